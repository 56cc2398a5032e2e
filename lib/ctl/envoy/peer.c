/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a connection on this host: the kernel knows which user's socket it is (sock_diag(7)). TCP has
 * no file mode that would keep others out.
 */
#include "mt_envoy_priv.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
	struct nlmsghdr head;
	struct inet_diag_req_v2 req;
};

static void put_end(const struct sockaddr_storage *ss, __be32 addr[4], __be16 *port)
{
	const struct sockaddr_in *a = (const struct sockaddr_in *)ss;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)ss;

	if (ss->ss_family == AF_INET) {
		addr[0] = a->sin_addr.s_addr;
		*port = a->sin_port;
	} else {
		memcpy(addr, &a6->sin6_addr, sizeof(a6->sin6_addr));
		*port = a6->sin6_port;
	}
}

/* The socket of which `remote` is its own end. */
static int ask(int nl, const struct sockaddr_storage *remote, const struct sockaddr_storage *local,
	uint32_t *uid)
{
	struct question q = {.head = {.nlmsg_len = sizeof(q),
				     .nlmsg_type = SOCK_DIAG_BY_FAMILY,
				     .nlmsg_flags = NLM_F_REQUEST},
		.req = {.sdiag_family = (uint8_t)remote->ss_family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = UINT32_MAX,
			.id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}};
	struct {
		struct nlmsghdr head;
		struct inet_diag_msg msg;
		char rest[1024];
	} a;
	ssize_t n;

	put_end(remote, q.req.id.idiag_src, &q.req.id.idiag_sport);
	put_end(local, q.req.id.idiag_dst, &q.req.id.idiag_dport);
	if (send(nl, &q, sizeof(q), 0) != (ssize_t)sizeof(q))
		return -errno;
	/* Netlink answers before send() returns. */
	n = recv(nl, &a, sizeof(a), MSG_DONTWAIT);
	if (n < (ssize_t)(sizeof(a.head) + sizeof(a.msg)) ||
		a.head.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -ENOENT;
	*uid = a.msg.idiag_uid;
	return 0;
}

int mt_envoy_peer_uid(struct MHD_Connection *conn, uint32_t *uid)
{
	const union MHD_ConnectionInfo *i =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct sockaddr_storage local = {0}, remote = {0};
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);
	int nl, rc;

	if (!i || getsockname(i->connect_fd, (struct sockaddr *)&local, &local_len) ||
		getpeername(i->connect_fd, (struct sockaddr *)&remote, &remote_len))
		return -ENOENT;
	nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (nl < 0)
		return -errno;
	rc = ask(nl, &remote, &local, uid);
	close(nl);
	return rc;
}
