/* SPDX-License-Identifier: Apache-2.0 */
#include "app_rpc.h"
#include "link.h"

#include <string.h>

#define PENDING 512

/* A reply that is due later. */
struct pending {
	bool used;
	uint64_t id;
	uint32_t reply_len, ask;
	uint8_t token[TOY_TOKEN];
};

struct rpc_conn {
	struct rpc_server *server;
	struct sim_sock *sock; /* NULL: over */
	struct rpc_bytes in, tx;
	struct pending pending[PENDING];
	uint32_t n_pending, moved;
	bool eof, fin_wanted, shut;
};

static void flush(struct rpc_conn *n);

static void over(struct rpc_conn *n)
{
	n->sock = NULL;
	n->server->live--;
}

static void reset(struct rpc_conn *n)
{
	struct sim_sock *k = n->sock;

	over(n);
	sim_sock_abort(k);
}

/* The server dies at a byte: here it is. */
static bool dies(struct rpc_conn *n)
{
	struct rpc_server *v = n->server;

	if (!v->die_at || n->moved < v->die_at)
		return false;
	sim_trace(v->set->sim, "server %u: connection dies after %u bytes", v->no, n->moved);
	sim_count_fault(v->set->sim, SIM_F_PEER_MISCHIEF);
	v->die_at += 1 + v->die_at / 16;
	if (v->die_fin) {
		n->fin_wanted = true;
		n->tx.off = n->tx.len;
		return false;
	}
	reset(n);
	return true;
}

static void flush(struct rpc_conn *n)
{
	uint32_t before = n->tx.off, max = 0;

	if (n->server->die_at > n->moved)
		max = n->server->die_at - n->moved;
	while (n->tx.off < n->tx.len && rpc_flush(&n->tx, n->sock, max))
		if (max)
			break;
	n->moved += n->tx.off - before;
	if (dies(n))
		return;
	if (!n->shut && n->tx.off == n->tx.len && (n->fin_wanted || (n->eof && !n->n_pending))) {
		n->shut = true;
		sim_sock_shutdown(n->sock);
	}
	if (n->tx.off < n->tx.len && max)
		sim_sock_wake(n->sock, n->sock->sim->now + MT_USEC);
}

/* A reply that nobody waits for: of an id far away, but in the same place of a ring. */
static void stray(struct rpc_conn *n, const struct pending *q)
{
	struct sim *s = n->server->set->sim;
	uint8_t *p;

	if (!sim_chance(&s->host_rand, n->server->stray))
		return;
	sim_count_fault(s, SIM_F_PEER_MISCHIEF);
	p = rpc_room(&n->tx, TOY_REPLY_MIN);
	rpc_head(p, TOY_REPLY, 0, q->id + 0x10000000, TOY_REPLY_MIN);
	memset(p + TOY_HEAD, 0, TOY_REPLY_MIN - TOY_HEAD);
}

static void reply(struct rpc_conn *n, const struct pending *q)
{
	uint32_t total = TOY_REPLY_MIN + q->reply_len;
	uint8_t *p;

	if (n->fin_wanted)
		return;
	stray(n, q);
	p = rpc_room(&n->tx, total);
	rpc_head(p, TOY_REPLY, q->ask == TOY_ASK_ERROR, q->id, total);
	p[TOY_HEAD] = 0;
	memcpy(p + TOY_HEAD + 1, q->token, TOY_TOKEN);
	rpc_fill(p + TOY_REPLY_MIN, q->reply_len, q->token, 2);
	if (q->ask == TOY_ASK_FIN)
		n->fin_wanted = true;
	if (q->ask == TOY_ASK_DRAIN) {
		p = rpc_room(&n->tx, TOY_HEAD + 1);
		rpc_head(p, TOY_DRAIN, 0, 0, TOY_HEAD + 1);
		p[TOY_HEAD] = 0;
	}
}

static void due(void *ctx, uint64_t slot)
{
	struct rpc_conn *n = ctx;
	struct pending *q = &n->pending[slot];

	if (!n->sock || !q->used)
		return;
	q->used = false;
	n->n_pending--;
	reply(n, q);
	flush(n);
}

/* Calls that the server has and has not answered carry ids that must differ. */
static const char *check_id(const struct rpc_conn *n, uint64_t id)
{
	if (n->server->serial && n->n_pending)
		return "a second call on a connection that takes one at a time";
	for (uint32_t i = 0; i < PENDING; i++)
		if (n->pending[i].used && n->pending[i].id == id)
			return "two outstanding calls with one id";
	return NULL;
}

static const char *check_call(struct rpc_conn *n, const uint8_t *p, uint32_t len)
{
	struct rpc_set *set = n->server->set;
	const uint8_t *t = p + TOY_HEAD + 2;
	uint8_t want[TOY_TOKEN];
	uint32_t client, call;

	if (len < TOY_REQUEST_MIN + 1 || p[TOY_HEAD] != 1)
		return "a request too short";
	client = sim_get32(t);
	call = sim_get32(t + 4);
	if (client >= set->n_clients || call >= RPC_CALLS)
		return "a token that nobody made";
	rpc_token(set->sim, client, call, want);
	if (memcmp(want, t, TOY_TOKEN) != 0)
		return "a token that nobody made";
	if (!rpc_filled(t + TOY_TOKEN + 12, len - TOY_REQUEST_MIN - 1, t, 1))
		return "a request with other bytes than the client sent";
	if (set->seen[client][call]++)
		return "a call that came twice";
	return NULL;
}

static void keep(struct rpc_conn *n, uint64_t id, const uint8_t *t)
{
	struct sim *s = n->server->set->sim;
	uint32_t slot = 0;
	struct pending *q;

	while (slot < PENDING && n->pending[slot].used)
		slot++;
	if (slot == PENDING) {
		sim_fail(s, "server %u: more calls on one connection than anybody made",
			n->server->no);
		return;
	}
	q = &n->pending[slot];
	*q = (struct pending){.used = true,
		.id = id,
		.reply_len = sim_get32(t + TOY_TOKEN),
		.ask = sim_get32(t + TOY_TOKEN + 8)};
	memcpy(q->token, t, TOY_TOKEN);
	n->n_pending++;
	if (q->ask != TOY_ASK_SILENCE)
		sim_host_at(n->server->host, s->now + sim_get32(t + TOY_TOKEN + 4) * MT_USEC, due,
			n, slot);
}

static void take(struct rpc_conn *n, const uint8_t *p, uint32_t len)
{
	uint64_t id = (uint64_t)sim_get32(p + 4) << 32 | sim_get32(p + 8);
	struct rpc_set *set = n->server->set;
	const char *bad;

	if (p[2] == TOY_HEARTBEAT) {
		uint8_t *h = rpc_room(&n->tx, TOY_HEAD + 1);

		rpc_head(h, TOY_HEARTBEAT_REPLY, 0, id, TOY_HEAD + 1);
		h[TOY_HEAD] = 0;
		return;
	}
	if (p[2] != TOY_REQUEST && p[2] != TOY_ONEWAY)
		return;
	bad = check_call(n, p, len);
	if (!bad && p[2] == TOY_REQUEST)
		bad = check_id(n, id);
	if (bad && set->lies)
		return;
	if (bad) {
		sim_fail(set->sim, "server %u: %s (id %u client %u call %u)", n->server->no, bad,
			(uint32_t)id, sim_get32(p + TOY_HEAD + 2), sim_get32(p + TOY_HEAD + 6));
		return;
	}
	n->server->calls++;
	if (p[2] == TOY_REQUEST)
		keep(n, id, p + TOY_HEAD + 2);
}

static bool wants_reset(const uint8_t *p, uint32_t len)
{
	return p[2] == TOY_REQUEST && len > TOY_REQUEST_MIN &&
	       sim_get32(p + TOY_HEAD + 2 + TOY_TOKEN + 8) == TOY_ASK_RESET;
}

static void parse(struct rpc_conn *n)
{
	struct sim *s = n->server->set->sim;
	uint32_t len;

	while ((len = rpc_message(&n->in)) && !s->failed) {
		const uint8_t *p = n->in.b + n->in.off;

		if (len == UINT32_MAX) {
			if (!n->server->set->lies)
				sim_fail(s, "server %u: bytes that are no message", n->server->no);
			reset(n);
			return;
		}
		take(n, p, len);
		if (wants_reset(p, len)) {
			reset(n);
			return;
		}
		rpc_skip(&n->in, len);
	}
}

static void on_readable(struct sim_sock *k)
{
	struct rpc_conn *n = k->ctx;
	uint32_t got;

	do {
		uint32_t max = 4096;
		uint8_t *p;

		if (n->server->die_at > n->moved)
			max = MT_MIN(max, n->server->die_at - n->moved);
		p = rpc_room(&n->in, max);
		got = sim_sock_recv(k, p, max);
		n->in.len -= max - got;
		n->moved += got;
		parse(n);
		if (!n->sock || k->sim->failed || dies(n))
			return;
	} while (got);
	flush(n);
}

static void on_pump(struct sim_sock *k)
{
	flush(k->ctx);
}

static void on_eof(struct sim_sock *k)
{
	struct rpc_conn *n = k->ctx;
	uint32_t silent = 0;

	n->eof = true;
	for (uint32_t i = 0; i < PENDING; i++)
		silent += n->pending[i].used && n->pending[i].ask == TOY_ASK_SILENCE;
	if (silent == n->n_pending)
		n->fin_wanted = true;
	flush(n);
}

static void on_closed(struct sim_sock *k, enum sim_end how)
{
	struct rpc_conn *n = k->ctx;

	sim_trace(k->sim, "server %u: connection closed %d", n->server->no, how);
	over(n);
}

static const struct sim_app server_app = {
	on_pump, on_readable, on_eof, on_pump, on_pump, on_closed};

static void on_accept(void *ctx, struct sim_sock *k)
{
	struct rpc_server *v = ctx;
	struct rpc_conn *n = calloc(1, sizeof(*n));

	MT_ASSERT(n);
	if (v->n_conns == RPC_CONNS) {
		sim_fail(k->sim, "server %u: more than %u connections", v->no, RPC_CONNS);
		v->n_conns--;
	}
	n->server = v;
	n->sock = k;
	v->conns[v->n_conns++] = n;
	v->live++;
	v->max_live = MT_MAX(v->max_live, v->live);
	k->app = &server_app;
	k->ctx = n;
}

void rpc_server_start(struct rpc_server *v)
{
	sim_listen(v->host, v->port, on_accept, v);
}

void rpc_server_free(struct rpc_server *v)
{
	for (uint32_t i = 0; i < v->n_conns; i++) {
		free(v->conns[i]->in.b);
		free(v->conns[i]->tx.b);
		free(v->conns[i]);
	}
}

void rpc_stop(struct rpc_set *set)
{
	for (uint32_t i = 0; i < set->n_servers; i++)
		for (uint32_t c = 0; c < set->server[i].n_conns; c++)
			if (set->server[i].conns[c]->sock)
				reset(set->server[i].conns[c]);
}
