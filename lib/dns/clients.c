/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the host over TCP. Each message follows its length. A client may send any number of
 * queries, and gets answers in the order in which they become available (RFC 7766 §6.2.1.1, §7).
 */
#include "mt_dns_server_priv.h"

#include "mt_accept.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUEUE_MAX (1u << 20)

void dns_conn_free(struct mt_dns_server *s, struct dns_conn *c)
{
	close(c->fd);
	free(c->out);
	mt_slab_free(&s->conns, c);
}

static struct mt_ref ref_of(struct mt_dns_server *s, struct dns_conn *c)
{
	return mt_slab_ref(&s->conns, c);
}

static bool has_answers(const struct dns_conn *c)
{
	return c->out_at < c->out_len;
}

/*
 * True while queries are read: not after the client's FIN or while it leaves many answers unread.
 */
static bool is_read(const struct dns_conn *c)
{
	return !c->eof && c->out_len - c->out_at < DNS_TCP_QUEUE;
}

static bool is_done(const struct dns_conn *c)
{
	return c->eof && c->waiting == 0 && !has_answers(c);
}

/* Sets the events to wait for; a finished connection gets one more event, which closes it. */
static void watch_on(struct mt_dns_server *s, struct dns_conn *c)
{
	uint32_t events = is_read(c) ? EPOLLIN : 0;

	if (has_answers(c) || is_done(c))
		events |= EPOLLOUT;
	(void)dns_watch(s, c->fd, events, DNS_EV_CLIENT, ref_of(s, c), false);
}

/* Closes the connection that has been silent for longest, so that a new client finds room. */
static void make_room(struct mt_dns_server *s)
{
	struct dns_conn *c, *oldest = NULL;

	for (uint32_t i = 0; (c = mt_slab_next(&s->conns, &i));)
		if (!oldest || c->last < oldest->last)
			oldest = c;
	dns_count(s, MT_DNS_tcp_full);
	if (oldest)
		dns_conn_free(s, oldest);
}

void dns_conn_accept(struct mt_dns_server *s)
{
	struct sockaddr_storage ss = {0};
	socklen_t len = sizeof(ss);
	struct dns_conn *c;
	int fd = mt_accept(s->listener, &ss, &len);

	if (fd < 0)
		return;
	if (s->conns.in_use == s->conns.cap)
		make_room(s);
	c = mt_slab_alloc(&s->conns, NULL);
	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->last = s->now;
	(void)mt_sockaddr_read((struct sockaddr *)&ss, &c->client, NULL);
	dns_count(s, MT_DNS_tcp_accepted);
	if (dns_watch(s, fd, EPOLLIN, DNS_EV_CLIENT, ref_of(s, c), true))
		dns_conn_free(s, c);
}

/* ---- answers -------------------------------------------------------------------------------- */

static bool grow(struct dns_conn *c, uint32_t more)
{
	uint32_t cap = c->out_cap ? c->out_cap : 4096;
	uint8_t *p;

	if (c->out_at) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	while (cap < c->out_len + more)
		cap *= 2;
	if (cap == c->out_cap)
		return true;
	p = realloc(c->out, cap);
	if (!p)
		return false;
	c->out = p;
	c->out_cap = cap;
	return true;
}

/* False: the connection is broken. */
static bool flush(struct dns_conn *c)
{
	while (c->out_at < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->out_at += (uint32_t)n;
	}
	c->out_at = c->out_len = 0;
	return true;
}

static bool queue(struct mt_dns_server *s, struct dns_conn *c, const uint8_t *msg, uint32_t len)
{
	if (c->out_len - c->out_at > QUEUE_MAX || !grow(c, len + 2)) {
		dns_count(s, MT_DNS_answer_lost);
		return false;
	}
	mt_dns_frame_put(c->out + c->out_len, len);
	memcpy(c->out + c->out_len + 2, msg, len);
	c->out_len += len + 2;
	return true;
}

/* Sends an answer. Frees nothing, because the caller may be reading from this connection. */
void dns_conn_tell(struct mt_dns_server *s, struct mt_ref ref, const uint8_t *msg, uint32_t len)
{
	struct dns_conn *c = mt_slab_get(&s->conns, ref);

	if (!c) {
		dns_count(s, MT_DNS_answer_unwanted);
		return;
	}
	c->waiting -= c->waiting > 0;
	c->last = s->now;
	if (queue(s, c, msg, len))
		(void)flush(c);
	watch_on(s, c);
}

/* ---- questions ------------------------------------------------------------------------------ */

/* Serves all complete messages in `in`. False: a message is too long. */
static bool serve_all(struct mt_dns_server *s, struct dns_conn *c)
{
	uint32_t at = 0;

	while (c->got - at >= 2) {
		struct dns_origin o = {
			.kind = DNS_FROM_HOST_TCP, .client = c->client, .conn = ref_of(s, c)};
		uint32_t len = mt_dns_frame_len(c->in + at);

		if (len > MT_DNS_QUERY_MAX) {
			dns_count(s, MT_DNS_query_too_long);
			return false;
		}
		if (c->got - at - 2 < len)
			break;
		c->waiting++;
		if (!dns_serve(s, &o, c->in + at + 2, len))
			c->waiting--;
		at += 2 + len;
	}
	memmove(c->in, c->in + at, c->got - at);
	c->got -= at;
	return true;
}

/* False: the connection has ended. */
static bool read_some(struct mt_dns_server *s, struct dns_conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->got, sizeof(c->in) - c->got, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		c->eof = true;
		return true;
	}
	c->got += (uint32_t)n;
	c->last = s->now;
	return serve_all(s, c);
}

void dns_conn_event(struct mt_dns_server *s, struct dns_conn *c, uint32_t events)
{
	bool ok = !(events & (EPOLLERR | EPOLLHUP)) && flush(c);

	if (ok && events & EPOLLIN && is_read(c))
		ok = read_some(s, c);
	if (!ok || is_done(c))
		dns_conn_free(s, c);
	else
		watch_on(s, c);
}

void dns_conn_expire(struct mt_dns_server *s)
{
	struct dns_conn *c;

	for (uint32_t i = 0; (c = mt_slab_next(&s->conns, &i));) {
		if (s->now - c->last < DNS_TCP_IDLE)
			continue;
		dns_count(s, MT_DNS_tcp_idle);
		dns_conn_free(s, c);
	}
}
