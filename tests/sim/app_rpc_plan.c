/* SPDX-License-Identifier: Apache-2.0 */
/* What a client asks: drawn, or by a script. */
#include "app_rpc_priv.h"
#include "link.h"

#define ROUTES 2

/* As many of small ones as of large ones, whatever the unit; together no more than the client may. */
static uint32_t any_size(struct rpc_client *c, uint32_t *left)
{
	uint32_t n = 16u << sim_below(&c->rand, c->mix.spread);

	n += sim_below(&c->rand, n);
	if (n > *left)
		n = sim_below(&c->rand, 32);
	*left -= MT_MIN(n, *left);
	return n;
}

static uint32_t size(struct rpc_client *c, uint32_t max, uint32_t *left)
{
	if (c->mix.spread)
		return any_size(c, left);
	if (sim_chance(&c->rand, c->mix.big))
		return sim_below(&c->rand, c->mix.big_max);
	return max ? sim_below(&c->rand, max) : 0;
}

/* The step of a client's script that the next call belongs to; NULL: its plan is drawn. */
static const struct rpc_step *step_of(const struct rpc_client *c)
{
	const struct rpc_step *t = c->script;
	uint64_t before = 0;

	while (t && c->begun >= before + t->calls)
		before += t++->calls;
	return t;
}

uint64_t rpc_script_pause(const struct rpc_client *c)
{
	const struct rpc_step *t = c->script;
	uint64_t before = 0;

	for (; t && before < c->begun; t++)
		if ((before += t->calls) == c->begun)
			return t->after;
	return 0;
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
static void write_call(
	struct rpc_client *c, const struct rpc_call *call, uint32_t pad, uint32_t delay_us)
{
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

static uint64_t draw_delay(struct rpc_client *c, const struct rpc_call *call)
{
	uint64_t delay = c->mix.delay_max ? sim_between(&c->rand, 0, c->mix.delay_max) : 0;

	if (c->mix.slow_b && call->route == 'b')
		delay += c->mix.slow_b;
	return sim_chance(&c->rand, c->mix.late) ? c->mix.late_ns : delay;
}

/* Draws what the call is. Returns the length of its request. */
static uint32_t draw_call(struct rpc_client *c, struct rpc_call *call, uint64_t *delay)
{
	const struct rpc_step *t = step_of(c);

	if (t) {
		call->reply_len = t->rep;
		*delay = t->delay;
		return t->req;
	}
	call->reply_len = size(c, c->mix.rep_max, &c->rep_left);
	call->ask = draw_ask(c);
	call->kind = draw_kind(c);
	*delay = draw_delay(c, call);
	if (call->kind == WIRE_ONEWAY)
		call->ask = RPC_ASK_REPLY;
	return size(c, c->mix.req_max, &c->req_left);
}

void rpc_begin_call(struct rpc_client *c)
{
	uint64_t id = c->set->first_id + (c->set->one_id ? 0 : c->begun), delay;
	uint64_t now = c->set->sim->now, written = c->written;
	struct rpc_call *call = c->out;
	uint32_t len;

	while (call->used)
		call++;
	*call = (struct rpc_call){
		.used = true,
		.no = c->begun,
		.kind = WIRE_CALL,
		.id = id & c->dialect->id_mask,
		.at = now,
		.route = (char)('a' + c->begun % ROUTES),
		.salt = (uint32_t)mt_rand_u64(&c->rand),
	};
	/* A salt that says by chance how many attachments there are does not. */
	if ((call->salt & ~DUBBO_MANY_MASK) == DUBBO_MANY)
		call->salt ^= 1u << 31;
	len = draw_call(c, call, &delay);
	if (c->notes && call->route == 'b')
		call->ask = RPC_ASK_NOTHING;
	if (c->mix.attachments)
		call->salt = DUBBO_MANY | c->mix.attachments;
	call->due = MT_MAX(now + delay, c->set->protocol.ordered ? c->last_due : 0);
	c->written -= c->tx.len - c->tx.off;
	write_call(c, call, len, (uint32_t)(delay / MT_USEC));
	call->end = c->written += c->tx.len - c->tx.off;
	if (c->past)
		c->past[call->no] = (struct rpc_past){.at = now,
			.len = (uint32_t)(call->end - written),
			.kind = call->kind,
			.route = call->route};
	c->begun++;
	if (call->kind != WIRE_ONEWAY)
		c->last_due = call->due;
	if (call->kind == WIRE_ONEWAY || call->ask == RPC_ASK_NOTHING) {
		call->used = false;
		rpc_end_call(c, call->no, RPC_ONEWAY);
	} else {
		c->n_out++;
	}
}
