/* SPDX-License-Identifier: Apache-2.0 */
#include "app_rpc_priv.h"
#include "link.h"

#include <string.h>

#define MAX_ATTEMPTS 60
/* Of a client whose connection may be reset: longer than any call may take. */
#define PATIENCE (200 * MT_SEC)

static void pump(struct rpc_client *c);
static const struct sim_app client_app;

static void read_phase(struct rpc_client *c)
{
	struct sim *s = c->set->sim;
	uint32_t len;

	if (s->now >= c->pause_from && s->now < c->pause_to)
		c->read_at = c->pause_to;
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

	if (c->over)
		return;
	c->attempts++;
	c->up = c->unread = c->shut = c->told = false;
	c->written = 0;
	c->in.off = c->in.len = c->tx.off = c->tx.len = 0;
	c->moved = 0;
	c->set->connects++;
	c->sock = sim_connect(c->host, &c->to, c->port, &client_app, c);
	if (!c->sock && c->attempts < MAX_ATTEMPTS)
		sim_host_at(c->host, c->set->sim->now + 300 * MT_MSEC, connect_now, c, 0);
	else if (!c->sock)
		over(c);
}

static bool gone(const struct rpc_client *c)
{
	return c->gone_at && c->set->sim->now >= c->gone_at;
}

/* The connection has ended: on with the rest, or the end. */
static void again(struct rpc_client *c)
{
	c->sock = NULL;
	lose_calls(c);
	if (c->ended < c->calls && c->attempts < MAX_ATTEMPTS && !gone(c))
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

/* Whether anything has waited for too long, every now and then. */
static void impatient(void *ctx, uint64_t n)
{
	struct rpc_client *c = ctx;

	for (uint32_t i = 0; i < c->window && !c->over; i++)
		if (c->out[i].used)
			rpc_check_late(c, &c->out[i]);
	if (!c->over)
		sim_host_at(c->host, c->set->sim->now + c->patience / 4, impatient, c, 0);
}

static void let_go(const struct rpc_client *c)
{
	if (c->closes)
		sim_sock_close(c->sock);
	else
		sim_sock_abort(c->sock);
}

/* For good. */
static void go(void *ctx, uint64_t n)
{
	struct rpc_client *c = ctx;

	if (c->sock)
		let_go(c);
	if (!c->over)
		again(c);
}

static void leave(struct rpc_client *c)
{
	sim_trace(c->set->sim, "client %u leaves after %u bytes", c->no, c->moved);
	sim_count_fault(c->set->sim, SIM_F_PEER_MISCHIEF);
	c->leaving = true;
	let_go(c);
	again(c);
}

/* Looks whether a call has waited for as long as the client waits. */
static void give_up(void *ctx, uint64_t n)
{
	struct rpc_client *c = ctx;
	uint64_t now = c->set->sim->now;

	for (uint32_t i = 0; i < c->window && c->sock; i++)
		if (c->out[i].used && now >= c->out[i].at + c->gives_up) {
			leave(c);
			break;
		}
	if (!c->over)
		sim_host_at(c->host, now + c->gives_up / 4, give_up, c, 0);
}

static uint64_t rest_until(struct rpc_client *c)
{
	uint64_t now = c->set->sim->now, beat;

	if (c->n_rests)
		return now + c->rests[sim_below(&c->rand, c->n_rests)] - c->rest_slack +
		       sim_between(&c->rand, 0, 2 * c->rest_slack);
	if (!c->beat_ns)
		return now + sim_between(&c->rand, 0, 2 * c->rest_ns);
	beat = c->beat_at + ((now - c->beat_at) / c->beat_ns + 1) * c->beat_ns;
	return beat - c->beat_slack + sim_between(&c->rand, 0, 2 * c->beat_slack);
}

static bool write_phase(struct rpc_client *c)
{
	struct sim *s = c->set->sim;
	uint32_t before;

	if (c->mute && s->now >= c->pause_from && s->now < c->pause_to)
		return false;
	while (c->up && !c->told && c->begun < c->calls && c->n_out < c->window &&
		s->now >= c->next_at) {
		rpc_begin_call(c);
		if (c->pace)
			c->next_at = s->now + sim_between(&c->rand, 0, 2 * c->pace);
		if (c->script)
			c->next_at = s->now + rpc_script_pause(c);
		if (c->rest_every && c->begun % c->rest_every == 0)
			c->next_at = rest_until(c);
	}
	before = c->tx.off;
	while (c->tx.off < c->tx.len && s->now >= c->write_at &&
		rpc_flush(&c->tx, c->sock, c->write_chunk))
		c->write_at = s->now + c->write_pace;
	c->moved += c->tx.off - before;
	return c->tx.off == c->tx.len;
}

/* All is sent, and calls are out. Clients of some protocols read on. */
static bool end_writing(struct rpc_client *c)
{
	c->shut = true;
	if (c->n_out && rpc_fin_closes(c->set)) {
		sim_trace(c->set->sim, "client %u closes, %u outstanding", c->no, c->n_out);
		sim_sock_close(c->sock);
		again(c);
		return false;
	}
	sim_sock_shutdown(c->sock);
	return true;
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
	if (!c->shut && sent && (c->told || c->begun == c->calls) && (c->half_close || !c->n_out) &&
		!end_writing(c))
		return;
	if (c->unread && c->read_at > s->now)
		next = c->read_at;
	if (!c->told && c->begun < c->calls && c->n_out < c->window)
		next = MT_MIN(next, MT_MAX(c->next_at, s->now + MT_USEC));
	if (c->tx.off < c->tx.len && c->write_at > s->now)
		next = MT_MIN(next, c->write_at);
	if (c->mute && s->now < c->pause_to)
		next = s->now < c->pause_from ? MT_MIN(next, c->pause_to) : c->pause_to;
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

/* A call that the proxy's machine has acknowledged, or that a server has seen, is answered. */
static void check_unread(struct rpc_client *c, const struct sim_sock *k)
{
	uint64_t acked = k->ops->acked(k);

	for (uint32_t i = 0; i < c->window; i++) {
		const struct rpc_call *call = &c->out[i];

		if (call->used && (call->end <= acked || c->seen[call->no]))
			sim_fail(k->sim, "client %u: call %u has no answer, and was %s", c->no,
				call->no, c->seen[call->no] ? "seen" : "acknowledged");
	}
}

/* The proxy closes its side only when nothing is owed. */
static void on_eof(struct sim_sock *k)
{
	struct rpc_client *c = k->ctx;

	if (c->may_lose_unread)
		check_unread(c, k);
	else if (c->n_out && !c->may_lose)
		sim_fail(k->sim, "client %u: FIN while %u calls are outstanding", c->no, c->n_out);
	if (c->set->steady && !c->shut)
		sim_fail(k->sim, "client %u: the proxy ends the connection", c->no);
	if (!c->shut) {
		c->shut = true;
		sim_sock_shutdown(k);
	}
}

static bool may_be_cut_off(const struct rpc_client *c)
{
	struct rpc_set *set = c->set;

	return set->cut_off &&
	       ++set->lost_cut_off <= set->cut_off(set->cut_off_arg, rpc_has_cut(c));
}

static void on_closed(struct sim_sock *k, enum sim_end how)
{
	struct rpc_client *c = k->ctx;

	sim_trace(k->sim, "client %u closed %d, %u outstanding", c->no, how, c->n_out);
	if (c->set->steady && c->up && !c->shut)
		sim_fail(k->sim, "client %u: the proxy ends the connection", c->no);
	if (c->may_lose_unread)
		check_unread(c, k);
	else if (c->n_out && !c->may_lose && !may_be_cut_off(c))
		sim_fail(k->sim, "client %u lost its connection with %u calls outstanding", c->no,
			c->n_out);
	again(c);
}

static const struct sim_app client_app = {
	on_connected, on_readable, on_eof, on_pump, on_pump, on_closed};

void rpc_client_start(struct rpc_client *c)
{
	mt_rand_seed(&c->rand, c->set->sim->seed * 31 + c->no);
	MT_ASSERT(c->calls <= RPC_MOST && c->window <= RPC_OUT);
	c->out = calloc(c->window + 1, sizeof(*c->out));
	c->ended_how = calloc(c->calls + 1, 1);
	c->came = calloc(c->calls + 1, 1);
	c->seen = calloc(c->calls + 1, 1);
	c->ran_on = calloc(c->calls + 1, 1);
	c->copied = calloc(c->calls + 1, 1);
	MT_ASSERT(c->out && c->ended_how && c->came && c->seen && c->ran_on && c->copied);
	if (c->set->sim->opt->log) {
		c->past = calloc(c->calls + 1, sizeof(*c->past));
		MT_ASSERT(c->past);
	}
	c->set->left++;
	sim_host_at(c->host, c->start, connect_now, c, 0);
	if (c->may_lose)
		sim_host_at(c->host, c->start + PATIENCE, watch, c, UINT64_MAX);
	if (c->gone_at)
		sim_host_at(c->host, c->gone_at, go, c, 0);
	if (c->gives_up)
		sim_host_at(c->host, c->start + c->gives_up, give_up, c, 0);
	if (c->patience)
		sim_host_at(c->host, c->start + c->patience, impatient, c, 0);
}

void rpc_room_for(struct rpc_set *set, uint32_t clients, uint32_t servers)
{
	free(set->client);
	free(set->server);
	set->client = calloc(clients, sizeof(*set->client));
	set->server = calloc(servers, sizeof(*set->server));
	MT_ASSERT(set->client && set->server);
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
		n += c->ended_how[i] == 1 + RPC_ONEWAY && c->seen[i];
	return n;
}

/* Calls that a server took part in. */
static uint32_t exchanges(const struct rpc_client *c)
{
	return c->ends[RPC_OK] + c->ends[RPC_APP_ERROR] + oneway_seen(c);
}

uint32_t rpc_exchanges(const struct rpc_set *set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < set->n_clients; i++)
		n += exchanges(&set->client[i]);
	return n;
}

void rpc_check(struct rpc_set *set)
{
	struct sim *s = set->sim;
	uint32_t natives = 0;

	for (uint32_t i = 0; i < set->n_clients && !s->failed; i++) {
		struct rpc_client *c = &set->client[i];

		if (!c->over || (c->ended < c->calls && !set->lies && c->attempts < MAX_ATTEMPTS &&
					!c->gone_at))
			sim_fail(s, "client %u: %u of %u calls ended, %u outstanding, attempt %u",
				i, c->ended, c->calls, c->n_out, c->attempts);
		else if (c->ends[RPC_OK] + c->ends[RPC_APP_ERROR] < c->min_answered)
			sim_fail(s, "client %u: servers answered %u of %u calls", i,
				c->ends[RPC_OK] + c->ends[RPC_APP_ERROR], c->calls);
		natives += c->ends[RPC_NATIVE];
		s->st.calls += c->ended;
		s->st.exchanges += exchanges(c);
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
		free(set->client[i].out);
		free(set->client[i].ended_how);
		free(set->client[i].came);
		free(set->client[i].seen);
		free(set->client[i].ran_on);
		free(set->client[i].copied);
		free(set->client[i].past);
	}
	for (uint32_t i = 0; i < set->n_servers; i++)
		rpc_server_free(&set->server[i]);
	free(set->client);
	free(set->server);
	free(set->body.b);
	free(set->flat.b);
	free(set->again.b);
}
