/* SPDX-License-Identifier: Apache-2.0 */
#include "app_rpc_priv.h"
#include "link.h"

#include <string.h>

#define MAX_ATTEMPTS 60
/* Of a client whose connection may be reset: longer than any call may take. */
#define PATIENCE (200 * MT_SEC)
#define ROUTES	 2

static void pump(struct rpc_client *c);
static const struct sim_app client_app;

static uint32_t size(struct rpc_client *c, uint32_t max)
{
	if (sim_chance(&c->rand, c->mix.big))
		return sim_below(&c->rand, c->mix.big_max);
	return max ? sim_below(&c->rand, max) : 0;
}

static uint8_t draw_ask(struct rpc_client *c)
{
	const struct rpc_mix *m = &c->mix;

	if (sim_chance(&c->rand, m->silence))
		return RPC_ASK_SILENCE;
	if (sim_chance(&c->rand, m->error))
		return RPC_ASK_ERROR;
	if (sim_chance(&c->rand, m->reset))
		return RPC_ASK_RESET;
	if (sim_chance(&c->rand, m->fin))
		return RPC_ASK_FIN;
	if (sim_chance(&c->rand, m->drain))
		return RPC_ASK_DRAIN;
	return RPC_ASK_REPLY;
}

static enum wire_kind draw_kind(struct rpc_client *c)
{
	if (c->dialect->oneway && sim_chance(&c->rand, c->mix.oneway))
		return WIRE_ONEWAY;
	/* Where order is the correlation an answer out of order could not be told from a reply. */
	if (c->dialect->heartbeats && !c->set->protocol.ordered &&
		sim_chance(&c->rand, c->mix.heartbeat))
		return WIRE_HEARTBEAT;
	return WIRE_CALL;
}

/* Writes the call's message behind what is still to be sent. */
static void write_call(struct rpc_client *c, const struct rpc_call *call, uint32_t delay_us)
{
	uint32_t pad = size(c, c->mix.req_max);
	struct rpc_set *set = c->set;
	struct wire_msg m = {.kind = call->kind, .id = call->id};
	uint8_t *body;

	if (call->kind != WIRE_HEARTBEAT) {
		rpc_clear(&set->body);
		body = rpc_room(&set->body, RPC_ORDER + pad);
		rpc_token(set->sim, c->no, call->no, body);
		sim_put32(body + RPC_TOKEN, call->reply_len);
		sim_put32(body + RPC_TOKEN + 4, delay_us);
		sim_put32(body + RPC_TOKEN + 8, call->ask);
		sim_put32(body + RPC_TOKEN + 12, call->salt);
		rpc_fill(body + RPC_ORDER, pad, body, 1);
		m.body = body;
		m.body_len = RPC_ORDER + pad;
		m.route = call->route;
		m.timeout_ms = set->timeout_ms;
	}
	c->dialect->write(c->dialect, &c->tx, &m, call->salt);
}

static void begin_call(struct rpc_client *c)
{
	struct rpc_call *call = c->out;
	uint64_t delay = c->mix.delay_max ? sim_between(&c->rand, 0, c->mix.delay_max) : 0;
	uint64_t id = c->set->first_id + (c->set->one_id ? 0 : c->begun);

	while (call->used)
		call++;
	*call = (struct rpc_call){
		.used = true,
		.no = c->begun,
		.id = id & c->dialect->id_mask,
		.at = c->set->sim->now,
		.reply_len = size(c, c->mix.rep_max),
		.ask = draw_ask(c),
		.kind = draw_kind(c),
		.route = (char)('a' + c->begun % ROUTES),
		.salt = (uint32_t)mt_rand_u64(&c->rand),
	};
	if (sim_chance(&c->rand, c->mix.late))
		delay = c->mix.late_ns;
	if (call->kind == WIRE_ONEWAY)
		call->ask = RPC_ASK_REPLY;
	write_call(c, call, (uint32_t)(delay / MT_USEC));
	c->begun++;
	if (call->kind == WIRE_ONEWAY) {
		call->used = false;
		rpc_end_call(c, call->no, RPC_ONEWAY);
	} else {
		c->n_out++;
	}
}

static void read_phase(struct rpc_client *c)
{
	struct sim *s = c->set->sim;
	uint32_t len;

	while (c->unread && s->now >= c->read_at && !s->failed) {
		uint32_t max = c->read_max ? c->read_max : 8192;
		uint8_t *p = rpc_room(&c->in, max);
		uint32_t n = sim_sock_recv(c->sock, p, max);

		c->in.len -= max - n;
		c->moved += n;
		if (!n)
			c->unread = false;
		else if (c->read_pace)
			c->read_at = s->now + c->read_pace;
	}
	while ((len = rpc_message(c->dialect, &c->in)) && !s->failed) {
		const char *bad = len == UINT32_MAX ? "bytes that are no message"
						    : rpc_take_reply(c, c->in.b + c->in.off, len);

		if (bad && !c->set->lies)
			sim_fail(s, "client %u (%s): %s, %u bytes", c->no, c->dialect->name, bad,
				len);
		if (len == UINT32_MAX)
			return;
		rpc_skip(&c->in, len);
	}
}

/* What is outstanding ends with the connection. */
static void lose_calls(struct rpc_client *c)
{
	for (uint32_t i = 0; i < c->window; i++)
		if (c->out[i].used) {
			c->out[i].used = false;
			c->n_out--;
			rpc_end_call(c, c->out[i].no, RPC_LOST);
		}
}

static void over(struct rpc_client *c)
{
	if (c->over)
		return;
	c->over = true;
	c->set->left--;
}

static void connect_now(void *ctx, uint64_t n)
{
	struct rpc_client *c = ctx;

	c->attempts++;
	c->up = c->unread = c->shut = false;
	c->in.off = c->in.len = c->tx.off = c->tx.len = 0;
	c->moved = 0;
	c->sock = sim_connect(c->host, &c->to, c->port, &client_app, c);
	if (!c->sock && c->attempts < MAX_ATTEMPTS)
		sim_host_at(c->host, c->set->sim->now + 300 * MT_MSEC, connect_now, c, 0);
	else if (!c->sock)
		over(c);
}

/* The connection has ended: on with the rest, or the end. */
static void again(struct rpc_client *c)
{
	c->sock = NULL;
	lose_calls(c);
	if (c->ended < c->calls && c->attempts < MAX_ATTEMPTS)
		sim_host_at(c->host, c->set->sim->now + 200 * MT_MSEC, connect_now, c, 0);
	else
		over(c);
}

/* The proxy's reset may be lost, and a client that only waits would never know. */
static void watch(void *ctx, uint64_t moved)
{
	struct rpc_client *c = ctx;

	if (c->over)
		return;
	if (c->sock && c->n_out && c->moved == moved) {
		struct sim_sock *k = c->sock;

		sim_trace(c->set->sim, "client %u has waited long enough", c->no);
		sim_sock_abort(k);
		again(c);
	}
	sim_host_at(c->host, c->set->sim->now + PATIENCE, watch, c, c->moved);
}

static void leave(struct rpc_client *c)
{
	struct sim_sock *k = c->sock;

	sim_trace(c->set->sim, "client %u leaves after %u bytes", c->no, c->moved);
	sim_count_fault(c->set->sim, SIM_F_PEER_MISCHIEF);
	c->leaving = true;
	sim_sock_abort(k);
	again(c);
}

static uint64_t rest_until(struct rpc_client *c)
{
	uint64_t now = c->set->sim->now, beat;

	if (!c->beat_ns)
		return now + sim_between(&c->rand, 0, 2 * c->rest_ns);
	beat = c->beat_at + ((now - c->beat_at) / c->beat_ns + 1) * c->beat_ns;
	return beat - c->beat_slack + sim_between(&c->rand, 0, 2 * c->beat_slack);
}

static bool write_phase(struct rpc_client *c)
{
	struct sim *s = c->set->sim;
	uint32_t before;

	while (c->up && c->begun < c->calls && c->n_out < c->window && s->now >= c->next_at) {
		begin_call(c);
		if (c->pace)
			c->next_at = s->now + sim_between(&c->rand, 0, 2 * c->pace);
		if (c->rest_every && c->begun % c->rest_every == 0)
			c->next_at = rest_until(c);
	}
	before = c->tx.off;
	while (c->tx.off < c->tx.len && rpc_flush(&c->tx, c->sock, c->write_chunk))
		;
	c->moved += c->tx.off - before;
	return c->tx.off == c->tx.len;
}

static void pump(struct rpc_client *c)
{
	struct sim *s = c->set->sim;
	uint64_t next = MT_NEVER;
	bool sent;

	if (!c->sock)
		return;
	read_phase(c);
	if (s->failed)
		return;
	sent = write_phase(c);
	if (c->leave_at && c->moved >= c->leave_at && c->attempts < 30) {
		c->leave_at += 1 + c->leave_at / 8;
		leave(c);
		return;
	}
	if (!c->shut && sent && c->begun == c->calls && (c->half_close || !c->n_out)) {
		c->shut = true;
		sim_sock_shutdown(c->sock);
	}
	if (c->unread && c->read_at > s->now)
		next = c->read_at;
	if (c->begun < c->calls && c->n_out < c->window)
		next = MT_MIN(next, MT_MAX(c->next_at, s->now + MT_USEC));
	if (next != MT_NEVER)
		sim_sock_wake(c->sock, next);
}

static void on_connected(struct sim_sock *k)
{
	struct rpc_client *c = k->ctx;

	c->up = true;
	c->read_at = c->read_stop ? k->sim->now + c->read_stop : 0;
	c->next_at = 0;
	pump(c);
}

static void on_readable(struct sim_sock *k)
{
	struct rpc_client *c = k->ctx;

	c->unread = true;
	pump(c);
}

static void on_pump(struct sim_sock *k)
{
	pump(k->ctx);
}

/* The proxy closes its side only when nothing is owed. */
static void on_eof(struct sim_sock *k)
{
	struct rpc_client *c = k->ctx;

	if (c->n_out && !c->may_lose)
		sim_fail(k->sim, "client %u: FIN while %u calls are outstanding", c->no, c->n_out);
	if (c->set->steady && !c->shut)
		sim_fail(k->sim, "client %u: the proxy ends the connection", c->no);
	if (!c->shut) {
		c->shut = true;
		sim_sock_shutdown(k);
	}
}

static void on_closed(struct sim_sock *k, enum sim_end how)
{
	struct rpc_client *c = k->ctx;

	sim_trace(k->sim, "client %u closed %d, %u outstanding", c->no, how, c->n_out);
	if (c->set->steady && c->up && !c->shut)
		sim_fail(k->sim, "client %u: the proxy ends the connection", c->no);
	if (c->n_out && !c->may_lose)
		sim_fail(k->sim, "client %u lost its connection with %u calls outstanding", c->no,
			c->n_out);
	again(c);
}

static const struct sim_app client_app = {
	on_connected, on_readable, on_eof, on_pump, on_pump, on_closed};

void rpc_client_start(struct rpc_client *c)
{
	mt_rand_seed(&c->rand, c->set->sim->seed * 31 + c->no);
	MT_ASSERT(c->calls <= RPC_CALLS && c->window <= RPC_OUT);
	c->set->left++;
	sim_host_at(c->host, c->start, connect_now, c, 0);
	if (c->may_lose)
		sim_host_at(c->host, c->start + PATIENCE, watch, c, UINT64_MAX);
}

bool rpc_done(struct sim *s, void *set)
{
	return ((struct rpc_set *)set)->left == 0;
}

/* Those that a server has taken. */
static uint32_t oneway_seen(const struct rpc_client *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->calls; i++)
		n += c->ended_how[i] == 1 + RPC_ONEWAY && c->set->seen[c->no][i];
	return n;
}

void rpc_check(struct rpc_set *set)
{
	struct sim *s = set->sim;
	uint32_t natives = 0;

	for (uint32_t i = 0; i < set->n_clients && !s->failed; i++) {
		struct rpc_client *c = &set->client[i];

		if (!c->over || (c->ended < c->calls && !set->lies && c->attempts < MAX_ATTEMPTS))
			sim_fail(s, "client %u: %u of %u calls ended, %u outstanding, attempt %u",
				i, c->ended, c->calls, c->n_out, c->attempts);
		else if (c->ends[RPC_OK] + c->ends[RPC_APP_ERROR] < c->min_answered)
			sim_fail(s, "client %u: servers answered %u of %u calls", i,
				c->ends[RPC_OK] + c->ends[RPC_APP_ERROR], c->calls);
		natives += c->ends[RPC_NATIVE];
		s->st.calls += c->ended;
		s->st.exchanges += c->ends[RPC_OK] + c->ends[RPC_APP_ERROR] + oneway_seen(c);
		s->st.heartbeats += c->ends[RPC_HEARTBEAT];
	}
	sim_trace(s, "%u native errors", natives);
	if (set->native_max && natives > set->native_max)
		sim_fail(s, "%u native errors, more than the network explains", natives);
}

void rpc_free(struct rpc_set *set)
{
	for (uint32_t i = 0; i < set->n_clients; i++) {
		free(set->client[i].in.b);
		free(set->client[i].tx.b);
	}
	for (uint32_t i = 0; i < set->n_servers; i++)
		rpc_server_free(&set->server[i]);
	free(set->body.b);
	free(set->flat.b);
	free(set->again.b);
}
