/* SPDX-License-Identifier: Apache-2.0 */
#include "app_rpc_priv.h"
#include "asked.h"
#include "config.h"
#include "link.h"

#include <string.h>

#define PENDING 1100 /* on one connection */

/* A reply that is due later. */
struct pending {
	bool used;
	bool unwanted; /* a reply that no client may see */
	uint64_t id;
	char route;
	uint32_t reply_len, ask;
	uint8_t token[RPC_TOKEN];
};

struct rpc_conn {
	struct rpc_server *server;
	const struct dialect *dialect; /* NULL: not known yet */
	struct sim_sock *sock;	       /* NULL: over */
	struct rpc_bytes in, tx;
	struct rpc_bytes begun; /* replies: rpc_note_reply() */
	struct pending pending[PENDING];
	uint32_t n_pending, moved, written;
	uint32_t top;		    /* slots from here on were never used */
	uint32_t beats, beats_back; /* our own heartbeats: sent, answered or known to be left out */
	bool up, eof, fin_wanted, shut, unread;
	uint64_t read_at, write_at; /* of a server with a pace */
	uint64_t active_at;	    /* when something came or went */
	uint64_t free_at;	    /* serial: until when it has a call; MT_NEVER: for good */
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

	rpc_cut_replies(n->server->set, &n->begun, n->written);
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

static bool pauses(const struct rpc_server *v)
{
	uint64_t now = v->set->sim->now;

	return now >= v->pause_from && now < v->pause_to;
}

static bool is_deaf(const struct rpc_server *v)
{
	uint64_t now = v->set->sim->now;

	return now >= v->deaf_from && now < v->deaf_to;
}

/* When it goes on with what its pace or its pause holds up; a socket that takes nothing now is not asked all the time. */
static void go_on(struct rpc_conn *n, bool progress)
{
	uint64_t now = n->sock->sim->now, next = MT_NEVER;
	bool unsent = n->tx.off < n->tx.len;

	if (n->unread)
		next = is_deaf(n->server) ? MT_MAX(n->read_at, n->server->deaf_to) : n->read_at;
	if (unsent && (n->write_at > now || n->server->die_at > n->moved))
		next = MT_MIN(next, MT_MAX(n->write_at, progress ? 0 : now + MT_MSEC));
	if (pauses(n->server) && (n->unread || unsent))
		next = n->server->pause_to;
	if (next != MT_NEVER)
		sim_sock_wake(n->sock, MT_MAX(next, now + MT_USEC));
}

static void write_some(struct rpc_conn *n)
{
	struct rpc_server *v = n->server;
	uint32_t before = n->tx.off, max = v->write_max;

	if (v->die_at > n->moved)
		max = v->die_at - n->moved;
	if (v->write_stop && n->written >= v->write_stop)
		return;
	if (v->write_stop)
		max = v->write_stop - n->written;
	while (n->tx.off < n->tx.len && rpc_flush(&n->tx, n->sock, max))
		if (v->die_at > n->moved || v->write_pace || v->write_stop)
			break;
	n->moved += n->tx.off - before;
	n->written += n->tx.off - before;
	if (v->write_pace && n->tx.off > before)
		n->write_at = v->set->sim->now + v->write_pace;
}

static void flush(struct rpc_conn *n)
{
	uint32_t before = n->moved;

	if (!pauses(n->server) && n->server->set->sim->now >= n->write_at)
		write_some(n);
	if (dies(n))
		return;
	if (!n->shut && n->tx.off == n->tx.len && (n->fin_wanted || (n->eof && !n->n_pending))) {
		n->shut = true;
		sim_sock_shutdown(n->sock);
	}
	go_on(n, n->moved != before);
}

/* Writes a reply with a token that no call has. */
static void write_unwanted(struct rpc_conn *n, uint64_t id, char route)
{
	static const uint8_t no_token[RPC_TOKEN];
	struct wire_msg m = {.kind = WIRE_REPLY,
		.id = id,
		.route = route,
		.body = no_token,
		.body_len = RPC_TOKEN};

	sim_count_fault(n->server->set->sim, SIM_F_PEER_MISCHIEF);
	n->dialect->write(n->dialect, &n->tx, &m, 0);
}

static struct pending *free_pending(struct rpc_conn *n)
{
	uint32_t slot = 0;

	while (slot < PENDING && n->pending[slot].used)
		slot++;
	if (slot == PENDING) {
		sim_fail(n->server->set->sim,
			"server %u: more calls on one connection than anybody made", n->server->no);
		return NULL;
	}
	n->top = MT_MAX(n->top, slot + 1);
	n->n_pending++;
	return &n->pending[slot];
}

static void due(void *ctx, uint64_t slot);

/* Answers a call that is one-way or already answered, with the server's chance. */
static void answer_again(struct rpc_conn *n, uint64_t id, char route)
{
	struct rpc_server *v = n->server;
	struct sim *s = v->set->sim;
	struct pending *q;

	if (!v->again || !sim_chance(&s->host_rand, v->again))
		return;
	q = free_pending(n);
	if (!q)
		return;
	*q = (struct pending){.used = true, .unwanted = true, .id = id, .route = route};
	sim_host_at(v->host, s->now + sim_between(&s->host_rand, 1, v->again_ns + 1), due, n,
		(uint64_t)(q - n->pending));
}

/* Writes replies to no call before the reply to a call, with the server's chances. */
static void write_others(struct rpc_conn *n, const struct pending *q)
{
	struct rpc_server *v = n->server;
	struct mt_rand *r = &v->set->sim->host_rand;

	/* With a distant id that has the same slot of a ring. */
	if (sim_chance(r, v->stray))
		write_unwanted(n, (q->id + 0x10000000) & n->dialect->id_mask, q->route);
	if (v->other_method && sim_chance(r, v->other_method))
		write_unwanted(n, v->no_ids ? 0 : q->id, q->route == 'a' ? 'b' : 'a');
}

#define BEAT_ID	      0x5300u
#define BEAT_PATIENCE (100 * MT_SEC)

/*
 * Heartbeats before `no` have no answer. True if the proxy has counted that many, over all
 * connections, that it did not answer.
 */
static bool are_left_out(struct rpc_conn *n, uint64_t no)
{
	struct rpc_set *set = n->server->set;

	set->unanswered_seen += no - n->beats_back;
	set->sim->st.heartbeats_unanswered += no - n->beats_back;
	n->beats_back = (uint32_t)no;
	return set->unanswered && set->unanswered_seen <= set->unanswered(set->unanswered_arg);
}

static void beat_due(void *ctx, uint64_t no)
{
	struct rpc_conn *n = ctx;

	if (!n->sock || n->beats_back > no || n->server->set->lies || n->server->set->starved)
		return;
	if (!are_left_out(n, no + 1))
		sim_fail(n->server->set->sim, "server %u: heartbeat %u is not answered",
			n->server->no, (uint32_t)no);
}

static void write_beat(struct rpc_conn *n)
{
	struct wire_msg m = {.kind = WIRE_HEARTBEAT, .id = BEAT_ID + n->beats};

	n->dialect->write(n->dialect, &n->tx, &m, 0);
	n->beats++;
}

/* The last one is answered in time, or the proxy has counted that it is not. */
static void await_answer(struct rpc_conn *n)
{
	uint64_t at = n->server->set->sim->now + BEAT_PATIENCE;

	sim_host_at(n->server->host, at, beat_due, n, n->beats - 1);
}

/* Servers want to know too whether the other side lives. */
static void beat(struct rpc_conn *n)
{
	struct sim *s = n->server->set->sim;

	if (!n->dialect->heartbeats || !sim_chance(&s->host_rand, n->server->heartbeats))
		return;
	write_beat(n);
	await_answer(n);
}

#define FLOOD_STEPS 200

static void flood(void *ctx, uint64_t steps)
{
	struct rpc_conn *n = ctx;
	struct rpc_server *v = n->server;
	uint64_t step = (v->deaf_to - v->deaf_from) / FLOOD_STEPS;

	if (!n->sock || n->shut || n->fin_wanted)
		return;
	for (uint32_t i = 0; i < v->flood / FLOOD_STEPS; i++)
		write_beat(n);
	await_answer(n);
	if (steps > 1)
		sim_host_at(v->host, v->set->sim->now + step, flood, n, steps - 1);
	flush(n);
}

/* On each connection of which the server has read something, so that it knows the protocol. */
static void flood_all(void *ctx, uint64_t unused)
{
	struct rpc_server *v = ctx;

	for (uint32_t i = 0; i < v->n_conns; i++) {
		struct rpc_conn *n = v->conns[i];

		if (n->dialect && n->dialect->heartbeats)
			flood(n, FLOOD_STEPS);
	}
}

static const char *beat_answered(
	struct rpc_conn *n, const struct wire_msg *m, const uint8_t *p, uint32_t len)
{
	uint64_t no = m->id - BEAT_ID;

	if (no < n->beats_back || no >= n->beats)
		return "an answer to no heartbeat of ours";
	if (no != n->beats_back && !n->server->set->starved && !are_left_out(n, no))
		return "an answer to a heartbeat before those to earlier ones";
	n->beats_back = (uint32_t)no + 1;
	n->server->set->sim->st.heartbeats_back++;
	return dialect_same(n->dialect, p, len, m, 0, &n->server->set->again)
		       ? NULL
		       : "an answer to a heartbeat in other words than the protocol's";
}

static void reply(struct rpc_conn *n, const struct pending *q)
{
	struct rpc_bytes *body = &n->server->set->body;
	struct wire_msg m = {.kind = WIRE_REPLY, .id = q->id, .route = q->route};

	if (n->fin_wanted || q->ask == RPC_ASK_NOTHING)
		return;
	if (q->unwanted) {
		write_unwanted(n, n->server->no_ids ? 0 : q->id, q->route);
		return;
	}
	write_others(n, q);
	n->active_at = n->server->set->sim->now;
	rpc_clear(body);
	rpc_put(body, q->token, RPC_TOKEN);
	rpc_fill(rpc_room(body, q->reply_len), q->reply_len, q->token, 2);
	m.body = body->b;
	m.body_len = body->len;
	if (q->ask == RPC_ASK_ERROR)
		m.status = WIRE_APP_ERROR;
	if (n->server->no_ids)
		m.id = 0;
	rpc_note_reply(&n->begun, q->token, n->written + n->tx.len - n->tx.off);
	n->dialect->write(n->dialect, &n->tx, &m, rpc_salt(q->token));
	if (!n->server->again_oneway)
		answer_again(n, q->id, q->route);
	if (q->ask == RPC_ASK_FIN)
		n->fin_wanted = true;
	if (q->ask == RPC_ASK_DRAIN && n->dialect->drains) {
		m = (struct wire_msg){.kind = WIRE_DRAIN};
		n->dialect->write(n->dialect, &n->tx, &m, 0);
	}
	beat(n);
}

static void due(void *ctx, uint64_t slot)
{
	struct rpc_conn *n = ctx;
	struct pending q = n->pending[slot];

	if (!n->sock || !q.used)
		return;
	n->pending[slot].used = false;
	n->n_pending--;
	reply(n, &q);
	flush(n);
}

/* Calls that the server has and has not answered carry ids that must differ. */
static const char *check_id(const struct rpc_conn *n, const struct wire_msg *m)
{
	for (uint32_t i = 0; i < n->top; i++) {
		const struct pending *q = &n->pending[i];

		if (!q->used || q->unwanted)
			continue;
		if (n->server->serial && sim_get32(q->token) != sim_get32(m->body))
			return "a call of another client on a connection that takes one at a time";
		if (q->id == m->id && !n->server->serial)
			return "two outstanding calls with one id";
	}
	return NULL;
}

static const char *check_token(struct rpc_set *set, bool mirror, bool oneway, const uint8_t *t)
{
	uint32_t client = sim_get32(t), call = sim_get32(t + 4);
	uint8_t want[RPC_TOKEN], *seen;

	if (client >= set->n_clients || call >= set->client[client].calls)
		return "a token that nobody made";
	rpc_token(set->sim, client, call, want);
	if (memcmp(want, t, RPC_TOKEN) != 0)
		return "a token that nobody made";
	if (mirror)
		return set->client[client].copied[call]++ ? "a copy that came twice" : NULL;
	seen = &set->client[client].seen[call];
	if (*seen && set->replayed && set->replayed(set->replayed_arg))
		return NULL; /* nobody remembers a connection that a cookie made and that was reset (RFC 4987 §3.6) */
	if (*seen >= (oneway ? 1 : MT_MAX(set->executions, 1u)))
		return "a call that came twice, or more often than a policy allows";
	(*seen)++;
	return NULL;
}

/* Where a hash of the route says which server. */
static bool strays(struct rpc_set *set, char route, uint32_t server)
{
	uint32_t r = (uint32_t)(route - 'a');

	if (r > 1 || !set->sticky[r])
		return false;
	if (!set->stuck_to[r])
		set->stuck_to[r] = server + 1;
	return set->stuck_to[r] != server + 1;
}

/* What the route, and the policy of this server, add to the call. */
static void note_added(const struct rpc_server *v, struct wire_msg *m)
{
	uint32_t n = 0;

	if (v->set->changes && m->route == 'b') {
		m->added[n].key = CONFIG_CHANGED;
		m->added[n++].value = CONFIG_CHANGED_TO;
	}
	if (v->policed) {
		m->added[n].key = ASKED_ADDS;
		m->added[n].value = ASKED_ADDS;
	}
}

static const char *check_call(
	struct rpc_conn *n, struct wire_msg *m, const uint8_t *p, uint32_t len)
{
	struct rpc_set *set = n->server->set;
	uint32_t to = m->route == 'a' || m->route == 'b' ? set->route_to[m->route - 'a'] : 0;
	const uint8_t *t = m->body;
	const char *bad;
	bool oneway;

	if (m->body_len < RPC_ORDER)
		return "a request too short";
	oneway = m->kind == WIRE_ONEWAY || sim_get32(t + RPC_TOKEN + 8) == RPC_ASK_NOTHING;
	bad = check_token(set, n->server->mirror, oneway, t);
	if (bad)
		return bad;
	rpc_note_host(n->server, m);
	if (!rpc_filled(t + RPC_ORDER, m->body_len - RPC_ORDER, t, 1))
		return "a request with other bytes than the client sent";
	m->timeout_ms = set->timeout_ms;
	note_added(n->server, m);
	if (!dialect_same(n->dialect, p, len, m, sim_get32(t + RPC_TOKEN + 12), &set->again))
		return "a request in other words than the client's";
	if (to && !(to & 1u << n->server->group))
		return "a call that went another route";
	if (strays(set, m->route, n->server->no))
		return "a call that another server has the hash of";
	return NULL;
}

/* How long until a call that came now is answered. */
static uint64_t takes(struct rpc_server *v, uint64_t delay)
{
	uint64_t now = v->set->sim->now;

	if (!v->service)
		return delay;
	v->busy_until = MT_MAX(v->busy_until, now) + v->service;
	return v->busy_until - now + delay;
}

/* When it is answered. A serial server takes up a call when the one before it is done. */
static uint64_t due_at(struct rpc_conn *n, struct pending *q, uint64_t delay)
{
	uint64_t now = n->server->set->sim->now, at = now + takes(n->server, delay);

	if (!n->server->serial)
		return at;
	if (n->free_at == MT_NEVER)
		q->ask = RPC_ASK_SILENCE;
	else if (q->ask == RPC_ASK_SILENCE)
		n->free_at = MT_NEVER;
	else
		n->free_at = at = MT_MAX(n->free_at, now) + (at - now) + 1;
	return at;
}

/* What the call asks for, at first: the server answers further attempts. */
static uint32_t ask_of(const struct rpc_set *set, const uint8_t *t)
{
	uint32_t ask = sim_get32(t + RPC_TOKEN + 8);
	bool again = set->client[sim_get32(t)].seen[sim_get32(t + 4)] > 1;

	return again && (ask == RPC_ASK_RESET || ask == RPC_ASK_SILENCE) ? RPC_ASK_REPLY : ask;
}

static void keep(struct rpc_conn *n, const struct wire_msg *m)
{
	const uint8_t *t = m->body;
	struct pending *q = free_pending(n);
	uint64_t at;

	if (!q)
		return;
	*q = (struct pending){.used = true,
		.id = m->id,
		.route = m->route,
		.reply_len = sim_get32(t + RPC_TOKEN),
		.ask = n->server->silent ? RPC_ASK_SILENCE : ask_of(n->server->set, t)};
	memcpy(q->token, t, RPC_TOKEN);
	at = due_at(n, q, sim_get32(t + RPC_TOKEN + 4) * MT_USEC);
	if (q->ask != RPC_ASK_SILENCE)
		sim_host_at(n->server->host, at, due, n, (uint64_t)(q - n->pending));
}

static void take_beat(struct rpc_conn *n, uint64_t id)
{
	struct wire_msg m = {.kind = WIRE_HEARTBEAT_REPLY, .id = id};

	n->server->set->sim->st.heartbeats_up++;
	n->dialect->write(n->dialect, &n->tx, &m, 0);
}

/* false: the connection is gone. */
static bool take_call(struct rpc_conn *n, const struct wire_msg *m)
{
	n->server->calls++;
	if (m->kind == WIRE_ONEWAY) {
		answer_again(n, m->id, m->route);
		return true;
	}
	if (ask_of(n->server->set, m->body) == RPC_ASK_RESET) {
		reset(n);
		return false;
	}
	keep(n, m);
	return true;
}

/* false: the connection is gone. */
static bool take(struct rpc_conn *n, const uint8_t *p, uint32_t len)
{
	struct rpc_set *set = n->server->set;
	struct wire_msg m = {0};
	const char *bad = n->dialect->read(n->dialect, p, len, &set->flat, &m);

	if (!bad && m.kind == WIRE_HEARTBEAT) {
		take_beat(n, m.id);
		return true;
	}
	if (!bad && m.kind == WIRE_HEARTBEAT_REPLY)
		bad = beat_answered(n, &m, p, len);
	else if (!bad && m.kind != WIRE_CALL && m.kind != WIRE_ONEWAY)
		bad = "a message that is no request";
	else if (!bad)
		bad = check_call(n, &m, p, len);
	if (!bad && m.kind == WIRE_CALL)
		bad = check_id(n, &m);
	if (bad && !set->lies)
		sim_fail(set->sim, "server %u (%s): %s, id %llu, %u bytes", n->server->no,
			n->dialect->name, bad, (unsigned long long)m.id, len);
	if (bad || m.kind == WIRE_HEARTBEAT_REPLY)
		return true;
	return take_call(n, &m);
}

/* Whose first bytes these are. */
static bool know_dialect(struct rpc_conn *n)
{
	const struct protocol *p = &n->server->set->protocol;

	if (!n->dialect)
		n->dialect =
			p->of ? p->of(n->in.b + n->in.off, n->in.len - n->in.off) : p->dialects;
	return n->dialect != NULL;
}

static void parse(struct rpc_conn *n)
{
	struct sim *s = n->server->set->sim;
	uint32_t len;

	if (n->shut && n->dialect && !n->dialect->half_close) {
		rpc_skip(&n->in, n->in.len - n->in.off);
		return;
	}
	while (know_dialect(n) && (len = rpc_message(n->dialect, &n->in)) && !s->failed) {
		const uint8_t *p = n->in.b + n->in.off;

		if (len == UINT32_MAX) {
			if (!n->server->set->lies)
				sim_fail(s, "server %u: bytes that are no message", n->server->no);
			reset(n);
			return;
		}
		if (!take(n, p, len))
			return;
		rpc_skip(&n->in, len);
	}
}

/* false: the connection is gone, or the seed has failed. */
static bool read_some(struct rpc_conn *n)
{
	struct rpc_server *v = n->server;
	uint32_t max = v->read_max ? v->read_max : 4096, got;
	uint8_t *p;

	if (v->die_at > n->moved)
		max = MT_MIN(max, v->die_at - n->moved);
	p = rpc_room(&n->in, max);
	got = sim_sock_recv(n->sock, p, max);
	n->in.len -= max - got;
	n->moved += got;
	n->unread = got > 0;
	if (got)
		n->active_at = v->set->sim->now;
	if (got && v->read_pace)
		n->read_at = v->set->sim->now + v->read_pace;
	parse(n);
	return n->sock && !v->set->sim->failed && !dies(n);
}

static void on_pump(struct sim_sock *k)
{
	struct rpc_conn *n = k->ctx;

	while (n->unread && k->sim->now >= n->read_at && !pauses(n->server) && !is_deaf(n->server))
		if (!read_some(n))
			return;
	flush(n);
}

static void on_connected(struct sim_sock *k)
{
	((struct rpc_conn *)k->ctx)->up = true;
	on_pump(k);
}

static void on_readable(struct sim_sock *k)
{
	struct rpc_conn *n = k->ctx;

	if (!n->unread && n->server->look_ns)
		n->read_at = k->sim->now + n->server->look_ns;
	n->unread = true;
	on_pump(k);
}

static void on_eof(struct sim_sock *k)
{
	struct rpc_conn *n = k->ctx;
	uint32_t silent = 0;

	n->eof = true;
	for (uint32_t i = 0; i < n->top; i++)
		silent += n->pending[i].used && n->pending[i].ask == RPC_ASK_SILENCE;
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
	on_connected, on_readable, on_eof, on_pump, on_pump, on_closed};

/* The calls that lie unread in its queue: the machine has acknowledged them. */
static void note_unread(struct rpc_conn *n)
{
	struct rpc_set *set = n->server->set;
	struct wire_msg m;
	uint32_t len;

	while (know_dialect(n) && (len = rpc_message(n->dialect, &n->in)) && len != UINT32_MAX) {
		m = (struct wire_msg){0};
		if (!n->dialect->read(n->dialect, n->in.b + n->in.off, len, &set->flat, &m) &&
			m.body_len >= RPC_ORDER && sim_get32(m.body) < set->n_clients)
			set->client[sim_get32(m.body)].came[sim_get32(m.body + 4)] = 1;
		rpc_skip(&n->in, len);
	}
}

/* As a program closes a socket: who has sent what it did not read gets a reset. */
static void hang_up(struct rpc_conn *n)
{
	struct sim_sock *k = n->sock;
	uint32_t unread = 0, got;

	do {
		uint8_t *p = rpc_room(&n->in, 4096);

		got = sim_sock_recv(k, p, 4096);
		n->in.len -= 4096 - got;
		unread += got;
	} while (got);
	note_unread(n);
	over(n);
	if (unread)
		sim_sock_abort(k);
	else
		sim_sock_close(k);
}

static void idle_over(void *ctx, uint64_t arg)
{
	struct rpc_conn *n = ctx;
	uint64_t now = n->server->set->sim->now, due = n->active_at + n->server->idle_ns;

	if (!n->sock || n->shut)
		return;
	if (n->n_pending || !n->up)
		due = now + n->server->idle_ns;
	if (due > now)
		sim_host_at(n->server->host, due, idle_over, n, 0);
	else
		hang_up(n);
}

void rpc_server_restart(struct rpc_server *v)
{
	/* One whose handshake is under way the new program accepts. */
	for (uint32_t c = 0; c < v->n_conns; c++)
		if (v->conns[c]->sock && v->conns[c]->up)
			hang_up(v->conns[c]);
}

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
	n->active_at = k->sim->now;
	if (v->idle_ns)
		sim_host_at(v->host, n->active_at + v->idle_ns, idle_over, n, 0);
}

void rpc_server_start(struct rpc_server *v)
{
	sim_listen(v->host, v->port, on_accept, v);
	if (v->flood)
		sim_host_at(v->host, v->deaf_from, flood_all, v, 0);
}

void rpc_server_free(struct rpc_server *v)
{
	for (uint32_t i = 0; i < v->n_conns; i++) {
		free(v->conns[i]->in.b);
		free(v->conns[i]->tx.b);
		free(v->conns[i]->begun.b);
		free(v->conns[i]);
	}
}

void rpc_server_reset(struct rpc_server *v)
{
	for (uint32_t c = 0; c < v->n_conns; c++)
		if (v->conns[c]->sock)
			reset(v->conns[c]);
}

void rpc_stop(struct rpc_set *set)
{
	for (uint32_t i = 0; i < set->n_servers; i++)
		rpc_server_reset(&set->server[i]);
}
