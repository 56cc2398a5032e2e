/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS on the data path: datagrams. Names of our own are answered at once, from the snapshot's table
 * into the buffer that is sent. Other queries go to the control thread by a bounded ring, and the
 * answers come back by another ring, iterations later.
 */
#include "mt_strmap.h"
#include "mt_worker_priv.h"

#include <stdlib.h>
#include <string.h>

#define PORT 53
/* Queries forwarded to other servers: per second, and in a burst. */
#define PASS_PER_SEC 2000
#define PASS_BURST   256
/* The same limits for one client. */
#define CLIENT_PER_SEC 500
#define CLIENT_BURST   128
#define HEAR_MAX       32 /* answers of other servers in one iteration */

_Static_assert(sizeof(struct names_where) <= sizeof(struct mt_dns_where), "handed back as it was");
_Static_assert(MT_NET_UDP_MAX == MT_DNS_UDP_MAX, "an answer fits into a packet");

bool mt_names_serves(const struct mt_names *n, const struct mt_addr *local, uint16_t port)
{
	if (port != PORT)
		return false;
	for (uint32_t i = 0; i < n->n_addrs; i++)
		if (mt_addr_eq(&n->addrs[i], local))
			return true;
	return false;
}

/* A token bucket. A fraction of a token counts for the next one. */
static bool take_token(
	uint32_t *tokens, uint64_t *last, uint64_t now, uint32_t per_sec, uint32_t most)
{
	uint64_t gone = now - *last;
	uint64_t fresh = MT_MIN(gone, MT_SEC) * per_sec / MT_SEC;

	if (fresh > 0) {
		*tokens = (uint32_t)MT_MIN(*tokens + fresh, (uint64_t)most);
		*last = gone > MT_SEC ? now : *last + fresh * MT_SEC / per_sec;
	}
	if (*tokens == 0)
		return false;
	(*tokens)--;
	return true;
}

static struct names_bucket *bucket_of(const struct mt_names *n, const struct mt_addr *client)
{
	const struct mt_addr who = mt_dns_client_of(client);

	return &n->clients[mt_hash_bytes(&who, sizeof(who), n->clients_seed) % MT_NAMES_CLIENTS];
}

/*
 * Checks the client's own share first, so that its refused queries use nothing of the common share.
 */
static bool may_pass(struct mt_names *n, const struct mt_addr *client)
{
	struct names_bucket *b = bucket_of(n, client);

	if (!take_token(&b->tokens, &b->last, n->now, CLIENT_PER_SEC, CLIENT_BURST)) {
		mt_count(n->counters, MT_DNS_client_too_fast);
		return false;
	}
	if (take_token(&n->pass_tokens, &n->pass_last, n->now, PASS_PER_SEC, PASS_BURST))
		return true;
	mt_count(n->counters, MT_DNS_too_fast);
	return false;
}

uint32_t mt_names_answer(struct mt_worker *w, const struct names_where *where, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint32_t room)
{
	struct mt_names *n = &w->names;
	const struct mt_dns_ask how = {.datagram = where->datagram,
		.recursion = n->recursion,
		.stranger = !mt_dns_allows(n->allow, &where->client),
		.rnd = (uint32_t)mt_rand_u64(&n->rnd)};
	struct mt_dns_where kept = {{0}};
	uint32_t used = 0;

	switch (mt_dns_respond(w->snapshot ? w->snapshot->dns : NULL, &how, msg, len, out, room,
		&used, n->counters)) {
	case MT_DNS_REPLY:
		return used;
	case MT_DNS_SILENCE:
		return MT_NAMES_SILENCE;
	case MT_DNS_FORWARD:
		break;
	}
	memcpy(&kept, where, sizeof(*where));
	if (may_pass(n, &where->client)) {
		if (mt_dns_lane_ask(n->lane, &kept, &where->client, where->datagram, msg, len))
			return MT_NAMES_LATER;
		mt_count(n->counters, MT_DNS_too_fast);
	}
	return mt_dns_error(msg, len, MT_DNS_SERVFAIL, false, out);
}

/* ---- datagrams ------------------------------------------------------------------------------ */

static bool on_datagram(
	void *arg, const struct mt_net_from *from, const uint8_t *data, uint16_t len)
{
	struct mt_worker *w = arg;
	struct names_where where = {.datagram = true,
		.client = from->remote,
		.local = from->local,
		.rport = from->rport,
		.port = from->port,
		.peer = from->peer};
	struct rte_mbuf *m;
	uint8_t *out;
	uint32_t n;

	if (!mt_names_serves(&w->names, &from->local, from->lport))
		return false;
	if (len > MT_DNS_QUERY_MAX) {
		mt_count(w->names.counters, MT_DNS_query_too_long);
		return true;
	}
	m = mt_net_udp_new(w->net, &out);
	if (!m) {
		mt_count(w->names.counters, MT_DNS_answer_lost);
		return true;
	}
	n = mt_names_answer(w, &where, data, len, out, mt_net_udp_room(w->net, from));
	if (n < MT_NAMES_LATER)
		n = mt_dns_rate_tell(
			w->names.rate, &from->remote, w->names.now, out, n, out, w->names.counters);
	if (n > 0 && n < MT_NAMES_LATER)
		mt_net_udp_send(w->net, from, m, (uint16_t)n);
	else
		mt_buf_free(m);
	return true;
}

static void tell_datagram(
	struct mt_worker *w, const struct names_where *where, const uint8_t *msg, uint32_t len)
{
	const struct mt_net_from to = {
		where->local, where->client, PORT, where->rport, where->port, where->peer};
	struct mt_names *n = &w->names;
	uint8_t cut[MT_DNS_CUT_MAX], *out;
	uint32_t now_len =
		mt_dns_rate_tell(n->rate, &where->client, n->now, msg, len, cut, n->counters);
	struct rte_mbuf *m;

	if (now_len == 0)
		return;
	msg = now_len < len ? cut : msg;
	len = now_len;
	/* An answer is too long only if the port has a small MTU. */
	m = len <= mt_net_udp_room(w->net, &to) ? mt_net_udp_new(w->net, &out) : NULL;
	if (!m) {
		mt_count(w->names.counters, MT_DNS_answer_lost);
		return;
	}
	memcpy(out, msg, len);
	mt_net_udp_send(w->net, &to, m, (uint16_t)len);
}

/* ---- creation and end ---------------------------------------------------------------------- */

bool mt_names_init(struct mt_worker *w, const struct mt_worker_conf *c)
{
	struct mt_names *n = &w->names;

	mt_list_init(&n->conns_by_use);
	if (!c->names.lane)
		return true;
	n->lane = c->names.lane;
	n->addrs = c->names.addrs;
	n->n_addrs = c->names.n_addrs;
	n->recursion = c->names.recursion;
	n->allow = c->names.allow;
	n->now = n->pass_last = c->now;
	n->pass_tokens = PASS_BURST;
	mt_rand_seed(&n->rnd, c->seed ^ UINT64_C(0x6e616d6573));
	n->clients_seed = mt_rand_u64(&n->rnd);
	n->clients = calloc(MT_NAMES_CLIENTS, sizeof(*n->clients));
	n->rate = mt_dns_rate_new(mt_rand_u64(&n->rnd), c->now);
	if (!n->clients || !n->rate)
		return false;
	if (mt_slab_init(&n->conns, "names-tcp", sizeof(struct names_conn), MT_NAMES_CONNS))
		return false;
	mt_netw_set_udp(w->net, on_datagram, w);
	return true;
}

void mt_names_fini(struct mt_worker *w)
{
	free(w->names.clients);
	mt_dns_rate_free(w->names.rate);
	if (w->names.conns.base)
		mt_slab_fini(&w->names.conns);
}

void mt_names_begin(struct mt_worker *w, uint64_t now)
{
	w->names.now = now;
}

uint32_t mt_names_turn(struct mt_worker *w)
{
	struct mt_names *n = &w->names;
	const struct mt_dns_told *told;
	uint32_t done = 0;

	if (mt_likely(!n->lane))
		return 0;
	for (; done < HEAR_MAX && (told = mt_dns_lane_hear(n->lane)); done++) {
		struct names_where where;

		memcpy(&where, &told->where, sizeof(where));
		if (where.datagram)
			tell_datagram(w, &where, told->msg, told->len);
		else
			mt_names_conn_tell(w, &where, told->msg, told->len);
		mt_dns_lane_heard(n->lane);
	}
	return done + mt_names_conn_expire(w);
}

uint64_t mt_names_next(const struct mt_worker *w)
{
	const struct mt_names *n = &w->names;

	if (mt_likely(!n->lane))
		return MT_NEVER;
	if (mt_dns_lane_has_answer(n->lane))
		return n->now;
	return mt_names_conn_next(w);
}

const uint64_t *mt_worker_names_counters(const struct mt_worker *w)
{
	return w->names.counters;
}
