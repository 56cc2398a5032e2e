/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the owner of a listening abstract socket in the kernel's table (sock_diag(7)). Peer
 * credentials need a connection, which any local user can prevent by a full queue.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* State of a listening socket, TCP_LISTEN of the kernel. */
#define LISTENS 10
/* Wait for the kernel's answer in s, which comes at once. */
#define WAIT_S 2

/* UDIAG_SHOW_UID and UNIX_DIAG_UID of Linux 5.3, which headers may lack. */
#define SHOW_UID 0x40
#define DIAG_UID 7

static int request(int fd)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req req;
	} r = {.h = {.nlmsg_len = sizeof(r),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.req = {.sdiag_family = AF_UNIX,
			.udiag_states = 1u << LISTENS,
			.udiag_show = UDIAG_SHOW_NAME | SHOW_UID}};
	const struct timeval wait = {.tv_sec = WAIT_S};

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0 ||
		send(fd, &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return -errno;
	return 0;
}

/* 1 if the entry has this name, with its owner in *out; 0: another name; -ENODATA: no owner. */
static int read_entry(
	const struct nlmsghdr *h, const char *name, size_t len, struct mt_listener *out)
{
	const struct unix_diag_msg *m = NLMSG_DATA(h);
	const struct rtattr *a = (const struct rtattr *)(m + 1);
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*m));
	bool named = false, owned = false;

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
		if (a->rta_type == UNIX_DIAG_NAME)
			named = RTA_PAYLOAD(a) == len && memcmp(RTA_DATA(a), name, len) == 0;
		if (a->rta_type == DIAG_UID && RTA_PAYLOAD(a) >= sizeof(out->uid)) {
			memcpy(&out->uid, RTA_DATA(a), sizeof(out->uid));
			owned = true;
		}
	}
	out->inode = m->udiag_ino;
	return !named ? 0 : owned ? 1 : -ENODATA;
}

/* Reads one part of the answer. 1, 0 or -errno as mt_listener_find(), or -EAGAIN: more follow. */
static int read_part(
	const char *part, ssize_t n, const char *name, size_t len, struct mt_listener *out)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)part;
	int left = (int)n, rc;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 0;
		if (h->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *e = NLMSG_DATA(h);

			return h->nlmsg_len >= NLMSG_LENGTH(sizeof(*e)) && e->error ? e->error
										    : -EPROTO;
		}
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
			return -EPROTO;
		rc = read_entry(h, name, len, out);
		if (rc)
			return rc;
	}
	return -EAGAIN;
}

int mt_listener_find(const char *name, size_t len, struct mt_listener *out)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG), rc;
	_Alignas(struct nlmsghdr) char part[32768];

	if (fd < 0)
		return -errno;
	rc = request(fd);
	if (rc == 0)
		rc = -EAGAIN;
	while (rc == -EAGAIN) {
		ssize_t n = recv(fd, part, sizeof(part), 0);

		if (n < 0 && errno == EINTR)
			continue;
		rc = n > 0 ? read_part(part, n, name, len, out) : -EIO;
	}
	close(fd);
	return rc;
}
