/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards queries over TCP (RFC 7766), if the answer by datagram was truncated. */
#include "mt_dns_server_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

bool dns_ask_tcp(struct mt_dns_server *s, struct dns_ask *a)
{
	const struct mt_dns_address *to = &s->upstreams[a->server].address;
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(&to->addr, to->port, &ss);

	a->tcp = true;
	a->sent = a->got = 0;
	a->want = 2;
	a->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0) {
		dns_count(s, MT_DNS_no_socket);
		return false;
	}
	a->deadline = s->now + DNS_TRY_TCP_NS;
	mt_list_add_tail(&s->waiting_tcp, &a->node);
	if (connect(a->fd, (struct sockaddr *)&ss, len) && errno != EINPROGRESS)
		return false;
	return dns_watch(s, a->fd, EPOLLIN | EPOLLOUT, DNS_EV_ASK, mt_slab_ref(&s->asks, a),
		       true) == 0;
}

/* Returns 1 if all is sent, 0 if not yet, -1 if the connection failed. */
static int send_query(struct mt_dns_server *s, struct dns_ask *a)
{
	uint32_t all = 2u + a->len;
	ssize_t n = send(a->fd, a->msg + a->sent, all - a->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	a->sent += (uint32_t)n;
	if (a->sent < all)
		return 0;
	return dns_watch(s, a->fd, EPOLLIN, DNS_EV_ASK, mt_slab_ref(&s->asks, a), false) ? -1 : 1;
}

/*
 * Reads the length, then as many bytes. Returns 1 if the reply is complete, 0 if not yet, -1 if the
 * connection failed.
 */
static int receive(struct dns_ask *a)
{
	for (;;) {
		ssize_t n;

		if (!a->in)
			a->in = malloc(2 + MT_DNS_TCP_MAX);
		if (!a->in)
			return -1;
		n = recv(a->fd, a->in + a->got, a->want - a->got, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		if (n == 0)
			return -1;
		a->got += (uint32_t)n;
		if (a->got < a->want)
			continue;
		if (a->want > 2)
			return 1;
		a->want = 2u + mt_dns_frame_len(a->in);
		if (a->want == 2)
			return -1;
	}
}

void dns_ask_tcp_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events)
{
	int rc = 0;

	if (a->sent < 2u + a->len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
		rc = send_query(s, a);
	if (rc >= 0 && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
		rc = a->sent == 2u + a->len ? receive(a) : -1;
	else if (rc > 0)
		rc = 0;
	if (rc == 0)
		return;
	if (rc < 0 || !mt_dns_is_reply_to(a->in + 2, a->want - 2, a->msg + 2, a->len)) {
		dns_count(s, rc < 0 ? MT_DNS_server_timeout : MT_DNS_server_bad_reply);
		dns_ask_next(s, a, NULL, 0);
		return;
	}
	/* Copy the reply, whose buffer is freed with the socket. */
	memcpy(s->buf, a->in + 2, a->want - 2);
	dns_ask_answered(s, a, s->buf, a->want - 2);
}
