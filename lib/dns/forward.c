/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards queries: tries the servers in turn, each with a time limit; limits waiting queries. */
#include "mt_addr_hash.h"
#include "mt_dns_server_priv.h"
#include "mt_rand.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static uint32_t bucket_of(const struct mt_addr *client)
{
	const struct mt_addr a = mt_dns_client_of(client);

	return mt_addr_hash(&a) % DNS_CLIENTS;
}

static uint8_t *query(struct dns_ask *a)
{
	return a->msg + 2;
}

/* ---- choice of the server -------------------------------------------------------------------- */

/*
 * Sets *server to the next one, from index `from` on, that has not stopped answering (aside_until);
 * if all have, to the first of them. False: all send queries back (loop.c), or there is none.
 */
static bool choose(const struct mt_dns_server *s, uint32_t from, uint8_t *server)
{
	bool any = false;

	for (uint32_t i = 0; i < s->conf.n_servers; i++) {
		uint32_t k = (from + i) % s->conf.n_servers;
		const struct dns_upstream *u = &s->upstreams[k];

		if (u->loops || (any && u->aside_until > s->now))
			continue;
		*server = (uint8_t)k;
		any = true;
		if (u->aside_until <= s->now)
			break;
	}
	return any;
}

static void silent(struct mt_dns_server *s, const struct dns_ask *a)
{
	struct dns_upstream *u = &s->upstreams[a->server];

	dns_count(s, MT_DNS_server_timeout);
	u->suspect = true;
	u->silent++;
	if (++u->in_a_row >= DNS_ASIDE)
		u->aside_until = s->now + DNS_ASIDE_NS;
}

/* ---- queries --------------------------------------------------------------------------------- */

void dns_ask_close(struct dns_ask *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	free(a->in);
	a->in = NULL;
	mt_list_del(&a->node);
}

void dns_ask_free(struct mt_dns_server *s, struct dns_ask *a)
{
	dns_ask_close(a);
	s->clients[a->bucket]--;
	mt_slab_free(&s->asks, a);
}

/*
 * Sends the query in a datagram. Each try has a new socket and id, which an attacker would have to
 * guess (RFC 5452 §4). False: no socket.
 */
static bool ask_by_datagram(struct mt_dns_server *s, struct dns_ask *a)
{
	struct dns_upstream *u = &s->upstreams[a->server];
	struct sockaddr_storage ss;
	socklen_t len;
	uint16_t id;

	mt_rand_secret(&id, sizeof(id));
	mt_dns_set_id(query(a), id);
	len = mt_sockaddr(&u->address.addr, u->address.port, &ss);
	a->tcp = false;
	a->fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return false;
	a->deadline = s->now + DNS_TRY_NS;
	mt_list_add_tail(&s->waiting, &a->node);
	u->asked++;
	if (dns_watch(s, a->fd, EPOLLIN, DNS_EV_ASK, mt_slab_ref(&s->asks, a), true))
		return false;
	if (connect(a->fd, (struct sockaddr *)&ss, len) == 0 &&
		send(a->fd, query(a), a->len, MSG_NOSIGNAL) >= 0)
		return true;
	/* Sending failed, for example without a route: try the next server at once. */
	a->deadline = s->now;
	mt_list_del(&a->node);
	mt_list_add(&s->waiting, &a->node);
	return true;
}

static struct dns_ask *ask_new(struct mt_dns_server *s, const struct dns_origin *o)
{
	uint32_t bucket = bucket_of(&o->client);
	struct dns_ask *a;

	if (s->clients[bucket] >= DNS_PER_CLIENT)
		return NULL;
	a = mt_slab_alloc(&s->asks, NULL);
	if (!a)
		return NULL;
	s->clients[bucket]++;
	a->bucket = bucket;
	a->origin = *o;
	a->fd = -1;
	mt_list_init(&a->node);
	return a;
}

bool dns_forward(
	struct mt_dns_server *s, const struct dns_origin *o, const uint8_t *msg, uint32_t len)
{
	struct dns_ask *a;
	uint8_t server;

	if (len > MT_DNS_QUERY_MAX) {
		dns_count(s, MT_DNS_query_too_long);
		return false;
	}
	if (dns_loop_ends(s, msg, len))
		return false;
	if (!s->conf.n_servers) {
		dns_count(s, MT_DNS_no_server_answered);
		return false;
	}
	if (!choose(s, 0, &server)) {
		dns_count(s, MT_DNS_loops);
		return false;
	}
	a = ask_new(s, o);
	if (!a) {
		dns_count(s, MT_DNS_too_many);
		return false;
	}
	a->id = mt_dns_id(msg);
	a->len = (uint16_t)len;
	mt_dns_frame_put(a->msg, len);
	mt_dns_query_rewrite(msg, len, 0, query(a));
	a->server = server;
	if (!ask_by_datagram(s, a)) {
		dns_count(s, MT_DNS_no_socket);
		dns_ask_free(s, a);
		return false;
	}
	dns_count(s, MT_DNS_forwarded);
	return true;
}

/* ---- answers --------------------------------------------------------------------------------- */

/* True if the reply denies a name that the table has; answers the client from the table instead. */
static bool keep_name(struct mt_dns_server *s, const struct dns_ask *a, const uint8_t *reply)
{
	uint32_t n = 0;

	if (mt_dns_rcode(reply) == MT_DNS_NXDOMAIN)
		n = mt_dns_instead_of_nxdomain(s->table, a->origin.datagram, a->msg + MT_DNS_FRAME,
			a->len, s->out, s->counters);
	if (!n)
		return false;
	dns_count(s, MT_DNS_name_kept);
	dns_tell(s, &a->origin, s->out, n);
	return true;
}

/* Gives the client a reply of any length, with its own id and case of letters. */
static void give_back(struct mt_dns_server *s, struct dns_ask *a, uint8_t *reply, uint32_t len)
{
	uint32_t end = 12;

	mt_dns_set_id(reply, a->id);
	mt_dns_set_id(query(a), a->id);
	if (keep_name(s, a, reply)) {
		dns_ask_free(s, a);
		return;
	}
	/* The questions differ only in case (mt_dns_is_reply_to()), and replies do not compress it. */
	if (len > 12 && (reply[4] | reply[5])) {
		while (query(a)[end])
			end += 1u + query(a)[end];
		memcpy(reply + 12, query(a) + 12, end - 12);
	}
	dns_count(s, MT_DNS_forwarded_answers);
	if (a->origin.datagram && len > mt_dns_datagram_limit(query(a), a->len)) {
		len = mt_dns_error(query(a), a->len, 0, true, s->out);
		dns_count(s, MT_DNS_truncated);
		reply = s->out;
	}
	dns_tell(s, &a->origin, reply, len);
	dns_ask_free(s, a);
}

static void give_up(struct mt_dns_server *s, struct dns_ask *a)
{
	uint32_t n;

	dns_count(s, MT_DNS_no_server_answered);
	mt_dns_set_id(query(a), a->id);
	n = mt_dns_error(query(a), a->len, MT_DNS_SERVFAIL, false, s->out);
	dns_tell(s, &a->origin, s->out, n);
	dns_ask_free(s, a);
}

void dns_ask_next(struct mt_dns_server *s, struct dns_ask *a, const uint8_t *said, uint32_t len)
{
	dns_ask_close(a);
	/* A server that failed would fail again; one that was silent may have lost the datagram. */
	if (++a->tries < (said ? MT_MIN(s->conf.n_servers, DNS_TRIES) : DNS_TRIES) &&
		choose(s, a->server + 1u, &a->server)) {
		if (ask_by_datagram(s, a))
			return;
		dns_count(s, MT_DNS_no_socket);
	}
	if (said)
		give_back(s, a, (uint8_t *)said, len);
	else
		give_up(s, a);
}

void dns_ask_answered(struct mt_dns_server *s, struct dns_ask *a, uint8_t *reply, uint32_t len)
{
	struct dns_upstream *u = &s->upstreams[a->server];
	uint8_t rcode = mt_dns_rcode(reply);

	u->answered++;
	u->in_a_row = 0;
	u->aside_until = 0;
	if (rcode == MT_DNS_SERVFAIL || rcode == MT_DNS_REFUSED) {
		dns_count(s, MT_DNS_server_failed);
		/* Copy a TCP answer, whose buffer is freed with the socket. */
		if (reply != s->buf)
			memcpy(s->buf, reply, len);
		dns_ask_next(s, a, s->buf, len);
		return;
	}
	/* UDP clients ask again over TCP by themselves; TCP clients need the whole answer now. */
	if (!a->tcp && !a->origin.datagram && mt_dns_is_truncated(reply)) {
		dns_ask_close(a);
		dns_count(s, MT_DNS_retried_over_tcp);
		if (!dns_ask_tcp(s, a))
			dns_ask_next(s, a, NULL, 0);
		return;
	}
	give_back(s, a, reply, len);
}

static void datagram_event(struct mt_dns_server *s, struct dns_ask *a)
{
	ssize_t n = recv(a->fd, s->buf, sizeof(s->buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* An ICMP error: the server is not reachable. */
	if (n < 0) {
		silent(s, a);
		dns_ask_next(s, a, NULL, 0);
		return;
	}
	if (!mt_dns_is_reply_to(s->buf, (uint32_t)n, query(a), a->len)) {
		dns_count(s, MT_DNS_server_bad_reply);
		return;
	}
	dns_ask_answered(s, a, s->buf, (uint32_t)n);
}

void dns_ask_event(struct mt_dns_server *s, struct dns_ask *a, uint32_t events)
{
	if (a->tcp)
		dns_ask_tcp_event(s, a, events);
	else
		datagram_event(s, a);
}

/* ---- other servers -------------------------------------------------------------------------- */

static bool same_address(const struct mt_dns_address *a, const struct mt_dns_address *b)
{
	return mt_addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

/* Index of the address in the current servers; n_servers: not among them. */
static uint32_t place_of(const struct mt_dns_server *s, const struct mt_dns_address *a)
{
	uint32_t i = 0;

	while (i < s->conf.n_servers && !same_address(&s->upstreams[i].address, a))
		i++;
	return i;
}

static bool is_same(const struct mt_dns_server *s, const struct mt_dns_address *servers, uint32_t n)
{
	for (uint32_t i = 0; i < n && n == s->conf.n_servers; i++)
		if (!same_address(&s->upstreams[i].address, &servers[i]))
			return false;
	return n == s->conf.n_servers;
}

/* Updates a query that waits for the server at that address, after the servers changed. */
static void go_on(struct mt_dns_server *s, struct dns_ask *a, const struct mt_dns_address *at)
{
	uint32_t place = place_of(s, at);

	if (place < s->conf.n_servers) {
		a->server = (uint8_t)place;
		return;
	}
	dns_ask_close(a);
	a->tries = 0;
	a->server = 0;
	if (!choose(s, 0, &a->server) || !ask_by_datagram(s, a))
		give_up(s, a);
}

bool mt_dns_server_ask(
	struct mt_dns_server *s, const struct mt_dns_address *servers, uint32_t n, uint64_t now)
{
	struct dns_upstream before[MT_DNS_SERVERS_MAX], after[MT_DNS_SERVERS_MAX] = {0};
	struct dns_ask *a;

	if (is_same(s, servers, n))
		return false;
	s->now = now;
	memcpy(before, s->upstreams, sizeof(before));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t place = place_of(s, &servers[i]);

		if (place < s->conf.n_servers)
			after[i] = before[place];
		after[i].address = servers[i];
	}
	memcpy(s->upstreams, after, sizeof(after));
	s->conf.n_servers = n;
	for (uint32_t i = 0; (a = mt_slab_next(&s->asks, &i));)
		go_on(s, a, &before[a->server].address);
	return true;
}

/* ---- time ----------------------------------------------------------------------------------- */

static void expire(struct mt_dns_server *s, struct mt_list *list)
{
	struct mt_list *n;

	while ((n = mt_list_first(list))) {
		struct dns_ask *a = mt_list_entry(n, struct dns_ask, node);

		if (a->deadline > s->now)
			return;
		silent(s, a);
		dns_ask_next(s, a, NULL, 0);
	}
}

void dns_forward_expire(struct mt_dns_server *s)
{
	expire(s, &s->waiting);
	expire(s, &s->waiting_tcp);
}

uint64_t dns_forward_next(const struct mt_dns_server *s)
{
	uint64_t next = MT_NEVER;

	if (!mt_list_empty(&s->waiting))
		next = mt_list_entry(s->waiting.next, struct dns_ask, node)->deadline;
	if (!mt_list_empty(&s->waiting_tcp))
		next = MT_MIN(
			next, mt_list_entry(s->waiting_tcp.next, struct dns_ask, node)->deadline);
	return next;
}
