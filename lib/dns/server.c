/* SPDX-License-Identifier: Apache-2.0 */
/* The server: creation, event handling, and datagrams of the host's clients. */
#include "mt_addr_hash.h"
#include "mt_dns_server_priv.h"
#include "mt_rand.h"
#include "mt_sockaddr.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS 64
#define BURST  64 /* datagrams in one call; the next call takes more */

/* ---- events --------------------------------------------------------------------------------- */

static uint64_t pack(enum dns_event kind, struct mt_ref ref)
{
	return (uint64_t)kind << 56 | (uint64_t)(ref.gen & 0xffffff) << 32 | ref.idx;
}

int dns_watch(struct mt_dns_server *s, int fd, uint32_t events, enum dns_event kind,
	struct mt_ref ref, bool add)
{
	struct epoll_event ev = {.events = events, .data.u64 = pack(kind, ref)};

	return epoll_ctl(s->epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &ev) ? -errno : 0;
}

/* The object of an event; NULL if it was freed after the event was fetched. */
static void *object(const struct mt_slab *slab, uint64_t data)
{
	uint32_t idx = (uint32_t)data;

	if (idx >= slab->fresh || !(slab->gens[idx] & 1) ||
		(slab->gens[idx] & 0xffffff) != (data >> 32 & 0xffffff))
		return NULL;
	return mt_slab_at(slab, idx);
}

/* ---- one message ---------------------------------------------------------------------------- */

static uint32_t chance(void)
{
	uint32_t v = 0;

	(void)!getrandom(&v, sizeof(v), GRND_NONBLOCK);
	return v;
}

/* Answers SERVFAIL, because the query cannot be forwarded. */
static void sorry(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len)
{
	uint32_t n = mt_dns_error(msg, len, MT_DNS_SERVFAIL, false, s->out);

	if (n)
		dns_tell(s, o, s->out, n);
}

bool dns_serve(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len)
{
	const struct mt_dns_ask how = {.datagram = o->datagram,
		.recursion = s->conf.n_servers > 0,
		.stranger = !mt_dns_allows(s->conf.allow, &o->client),
		.rnd = chance()};
	uint32_t n = 0;

	switch (mt_dns_respond(s->table, &how, msg, len, s->out,
		o->datagram ? MT_DNS_UDP_MAX : MT_DNS_TCP_MAX, &n, s->counters)) {
	case MT_DNS_REPLY:
		dns_tell(s, o, s->out, n);
		break;
	case MT_DNS_FORWARD:
		if (!dns_forward(s, o, msg, len))
			sorry(s, o, msg, len);
		break;
	case MT_DNS_SILENCE:
		return false;
	}
	return true;
}

/* True for loopback addresses, which need no rate limit because other hosts cannot spoof them. */
static bool is_loopback(const struct mt_addr *a)
{
	static const struct mt_addr one6 = {.b = {[15] = 1}};

	return mt_addr_is4(a) ? a->b[12] == 127 : mt_addr_eq(a, &one6);
}

static void tell_datagram(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len)
{
	uint8_t cut[MT_DNS_CUT_MAX];
	uint32_t n = len;

	if (!is_loopback(&o->client))
		n = mt_dns_rate_tell(s->rate, &o->client, s->now, msg, len, cut, s->counters);
	if (n && sendto(s->udp, n < len ? cut : msg, n, MSG_DONTWAIT | MSG_NOSIGNAL,
			 (const struct sockaddr *)&o->peer, o->peer_len) < 0)
		dns_count(s, MT_DNS_answer_lost);
}

void dns_tell(struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len)
{
	switch (o->kind) {
	case DNS_FROM_HOST_UDP:
		tell_datagram(s, o, msg, len);
		return;
	case DNS_FROM_HOST_TCP:
		dns_conn_tell(s, o->conn, msg, len);
		return;
	case DNS_FROM_LANE:
		if (!mt_dns_lane_tell(s->lanes[o->lane], &o->where, msg, len))
			dns_count(s, MT_DNS_answer_lost);
		return;
	}
}

static void udp_event(struct mt_dns_server *s)
{
	for (int i = 0; i < BURST; i++) {
		struct dns_origin o = {.kind = DNS_FROM_HOST_UDP, .datagram = true};
		ssize_t n;

		o.peer_len = sizeof(o.peer);
		n = recvfrom(s->udp, s->buf, sizeof(s->buf), MSG_DONTWAIT | MSG_TRUNC,
			(struct sockaddr *)&o.peer, &o.peer_len);
		if (n < 0)
			return;
		if (n > MT_DNS_QUERY_MAX) {
			dns_count(s, MT_DNS_query_too_long);
			continue;
		}
		(void)mt_sockaddr_read((struct sockaddr *)&o.peer, &o.client, NULL);
		(void)dns_serve(s, &o, s->buf, (uint32_t)n);
	}
}

/* Forwards queries from the workers, which have already answered those for our names. */
static void lanes_turn(struct mt_dns_server *s)
{
	s->lane_left = false;
	for (uint16_t w = 0; w < s->conf.workers; w++)
		for (int i = 0; i <= MT_DNS_LANE_MAX; i++) {
			const struct mt_dns_asked *a = mt_dns_lane_take(s->lanes[w]);
			struct dns_origin o = {.kind = DNS_FROM_LANE, .lane = w};

			if (!a)
				break;
			/* Leave the rest for the next turn, which follows at once. */
			if (i == MT_DNS_LANE_MAX) {
				s->lane_left = true;
				break;
			}
			o.datagram = a->datagram;
			o.client = a->client;
			o.where = a->where;
			if (!dns_forward(s, &o, a->msg, a->len))
				sorry(s, &o, a->msg, a->len);
			mt_dns_lane_taken(s->lanes[w]);
		}
}

/* ---- the turn ------------------------------------------------------------------------------- */

static enum dns_event kind_of(const struct epoll_event *ev)
{
	return (enum dns_event)(ev->data.u64 >> 56);
}

static void event(struct mt_dns_server *s, const struct epoll_event *ev)
{
	struct dns_ask *a;
	struct dns_conn *c;
	uint64_t n;

	switch (kind_of(ev)) {
	case DNS_EV_TIMER:
		(void)!read(s->timer, &n, sizeof(n));
		return;
	case DNS_EV_UDP:
		udp_event(s);
		return;
	case DNS_EV_LISTENER:
		dns_conn_accept(s);
		return;
	case DNS_EV_CLIENT:
		c = object(&s->conns, ev->data.u64);
		if (c)
			dns_conn_event(s, c, ev->events);
		return;
	case DNS_EV_ASK:
		a = object(&s->asks, ev->data.u64);
		if (a)
			dns_ask_event(s, a, ev->events);
		return;
	}
}

static uint64_t next(const struct mt_dns_server *s)
{
	uint64_t at = MT_MIN(dns_forward_next(s), dns_loop_next(s));

	if (s->conns.in_use)
		at = MT_MIN(at, s->now + MT_SEC);
	return s->lane_left ? s->now : at;
}

static void set_timer(struct mt_dns_server *s)
{
	uint64_t at = next(s), ns = at > s->now ? at - s->now : 1;
	struct itimerspec t = {{0, 0}, {0, 0}};

	if (at != MT_NEVER) {
		t.it_value.tv_sec = (time_t)(ns / MT_SEC);
		t.it_value.tv_nsec = (long)(ns % MT_SEC);
	}
	(void)timerfd_settime(s->timer, 0, &t, NULL);
}

void mt_dns_server_turn(struct mt_dns_server *s, const struct mt_dns_table *t, uint64_t now)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(s->epoll, ev, EVENTS, 0);

	s->now = now;
	s->table = t;
	for (int i = 0; i < n; i++)
		if (kind_of(&ev[i]) != DNS_EV_LISTENER)
			event(s, &ev[i]);
	/*
	 * Accept connections last: a new client takes the place of the longest silent one, whose
	 * question may have come by now.
	 */
	for (int i = 0; i < n; i++)
		if (kind_of(&ev[i]) == DNS_EV_LISTENER)
			event(s, &ev[i]);
	lanes_turn(s);
	dns_forward_expire(s);
	dns_loop_turn(s);
	dns_conn_expire(s);
	set_timer(s);
}

/* ---- creation and release -------------------------------------------------------------------- */

static int open_one(struct mt_dns_server *s, int type, int *fd, enum dns_event kind)
{
	struct sockaddr_storage ss;
	socklen_t len = mt_sockaddr(&s->conf.listen.addr, s->conf.listen.port, &ss);
	int one = 1;

	*fd = socket(ss.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd < 0)
		return -errno;
	/* Allow the address although connections of the last run are in TIME_WAIT. */
	if (type == SOCK_STREAM)
		(void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(*fd, (struct sockaddr *)&ss, len) ||
		(type == SOCK_STREAM && listen(*fd, DNS_TCP_MAX)))
		return -errno;
	return dns_watch(s, *fd, EPOLLIN, kind, MT_REF_NONE, true);
}

static int open_sockets(struct mt_dns_server *s, struct mt_err *e)
{
	char text[MT_ADDR_STRLEN];
	int rc;

	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->epoll < 0 || s->timer < 0 ||
		dns_watch(s, s->timer, EPOLLIN, DNS_EV_TIMER, MT_REF_NONE, true))
		return mt_err(e, -errno, "DNS: event loop: %s", strerror(errno));
	if (!s->conf.listen.port)
		return 0;
	rc = open_one(s, SOCK_DGRAM, &s->udp, DNS_EV_UDP);
	if (rc == 0)
		rc = open_one(s, SOCK_STREAM, &s->listener, DNS_EV_LISTENER);
	if (rc == 0)
		return 0;
	return mt_err(e, rc, "spec.dns.listen %s: %s; %s",
		mt_addr_port_str(&s->conf.listen.addr, s->conf.listen.port, text), strerror(-rc),
		mt_bind_remedy(rc));
}

static int make_lanes(struct mt_dns_server *s)
{
	s->lanes = calloc(s->conf.workers + 1u, sizeof(struct mt_dns_lane *));
	if (!s->lanes)
		return -ENOMEM;
	for (uint16_t w = 0; w < s->conf.workers; w++) {
		s->lanes[w] = mt_dns_lane_new();
		if (!s->lanes[w])
			return -ENOMEM;
	}
	return 0;
}

struct mt_dns_server *mt_dns_server_new(
	const struct mt_dns_server_conf *conf, uint64_t now, struct mt_err *e)
{
	struct mt_dns_server *s = calloc(1, sizeof(*s));
	uint64_t seed;

	if (!s) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	s->conf = *conf;
	s->now = now;
	s->epoll = s->timer = s->udp = s->listener = -1;
	mt_list_init(&s->waiting);
	mt_list_init(&s->waiting_tcp);
	for (uint32_t i = 0; i < conf->n_servers; i++)
		s->upstreams[i].address = conf->servers[i];
	mt_addr_hash_ready();
	mt_rand_secret(&seed, sizeof(seed));
	s->rate = mt_dns_rate_new(seed, now);
	if (!s->rate || make_lanes(s) ||
		mt_slab_init(
			&s->asks, "dns-questions", sizeof(struct dns_ask), MT_DNS_WAITING_MAX) ||
		mt_slab_init(&s->conns, "dns-clients", sizeof(struct dns_conn), DNS_TCP_MAX)) {
		mt_err(e, -ENOMEM, "no memory");
		goto fail;
	}
	if (open_sockets(s, e))
		goto fail;
	set_timer(s);
	return s;
fail:
	mt_dns_server_free(s);
	return NULL;
}

static void close_sockets(struct mt_dns_server *s)
{
	const int fds[] = {s->listener, s->udp, s->timer, s->epoll};

	for (size_t i = 0; i < MT_ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

void mt_dns_server_free(struct mt_dns_server *s)
{
	void *obj;

	if (!s)
		return;
	for (uint32_t i = 0; s->asks.base && (obj = mt_slab_next(&s->asks, &i));)
		dns_ask_free(s, obj);
	for (uint32_t i = 0; s->conns.base && (obj = mt_slab_next(&s->conns, &i));)
		dns_conn_free(s, obj);
	for (uint16_t w = 0; s->lanes && w < s->conf.workers; w++)
		mt_dns_lane_free(s->lanes[w]);
	free(s->lanes);
	mt_dns_rate_free(s->rate);
	mt_slab_fini(&s->asks);
	mt_slab_fini(&s->conns);
	close_sockets(s);
	free(s);
}

int mt_dns_server_fd(const struct mt_dns_server *s)
{
	return s->epoll;
}

struct mt_dns_lane *mt_dns_server_lane(struct mt_dns_server *s, uint16_t worker)
{
	return s && worker < s->conf.workers ? s->lanes[worker] : NULL;
}

bool mt_dns_server_passes_on(const struct mt_dns_server *s)
{
	return s->conf.n_servers > 0 || s->conf.servers_change;
}

const uint64_t *mt_dns_server_counters(const struct mt_dns_server *s)
{
	return s->counters;
}

uint32_t mt_dns_server_waiting(const struct mt_dns_server *s)
{
	return s->asks.in_use;
}

struct mt_dns_address mt_dns_server_listens(const struct mt_dns_server *s)
{
	return s->conf.listen;
}

bool mt_dns_server_upstream(
	const struct mt_dns_server *s, uint32_t i, struct mt_dns_upstream_info *info)
{
	const struct dns_upstream *u = &s->upstreams[i];

	if (i >= s->conf.n_servers)
		return false;
	*info = (struct mt_dns_upstream_info){
		u->address, u->asked, u->answered, u->silent, u->aside_until > s->now, u->loops};
	return true;
}
