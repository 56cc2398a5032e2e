/* SPDX-License-Identifier: Apache-2.0 */
/* What a client makes of the bytes that come back: which call they answer, and whether rightly. */
#include "app_rpc_priv.h"
#include "link.h"

#include <string.h>

void rpc_end_call(struct rpc_client *c, uint32_t no, enum rpc_end how)
{
	if (c->ended_how[no])
		sim_fail(c->set->sim, "client %u: call %u ended twice (%u, then %u)", c->no, no,
			c->ended_how[no] - 1, how);
	c->ended_how[no] = (uint8_t)(1 + how);
	if (c->past)
		c->past[no].ended = c->set->sim->now;
	c->ends[how]++;
	c->ended++;
}

/* When the client has read for so long that all it may be waiting for was to come. */
static uint64_t must_be_there(const struct rpc_client *c, const struct rpc_call *call)
{
	return MT_MAX(MT_MAX(call->due, c->pause_to), c->set->ready_at) + c->patience;
}

void rpc_check_late(struct rpc_client *c, const struct rpc_call *call)
{
	struct sim *s = c->set->sim;

	if (c->patience && s->now > must_be_there(c, call))
		sim_fail(s, "client %u: call %u, begun %llu ms ago, has no answer in time", c->no,
			call->no, (unsigned long long)((s->now - call->at) / MT_MSEC));
}

static const struct rpc_call *oldest(const struct rpc_client *c)
{
	const struct rpc_call *o = NULL;

	for (uint32_t i = 0; i < c->window; i++)
		if (c->out[i].used && (!o || c->out[i].no < o->no))
			o = &c->out[i];
	return o;
}

/* The oldest call with this id. */
static struct rpc_call *find(struct rpc_client *c, uint64_t id)
{
	struct rpc_call *o = NULL;

	for (uint32_t i = 0; i < c->window; i++)
		if (c->out[i].used && c->out[i].id == id && (!o || c->out[i].no < o->no))
			o = &c->out[i];
	return o;
}

static const char *check_server_reply(struct rpc_client *c, const struct rpc_call *call,
	const struct wire_msg *m, const uint8_t *p, uint32_t len)
{
	uint8_t token[RPC_TOKEN];

	rpc_token(c->set->sim, c->no, call->no, token);
	if (m->body_len < RPC_TOKEN)
		return "a reply too short for its token";
	if (memcmp(m->body, token, RPC_TOKEN) != 0)
		return "a reply with the token of another call";
	if (m->body_len - RPC_TOKEN != call->reply_len ||
		!rpc_filled(m->body + RPC_TOKEN, call->reply_len, token, 2))
		return "a reply with other bytes than the server sent";
	if ((m->status == WIRE_APP_ERROR) != (call->ask == RPC_ASK_ERROR))
		return "a reply with another status";
	if (!dialect_same(c->dialect, p, len, m, rpc_salt(token), &c->set->again))
		return "a reply in other words than the server's";
	return NULL;
}

static const char *check_native(
	struct rpc_client *c, const struct rpc_call *call, const struct wire_msg *m)
{
	uint32_t may = m->native & c->set->may_native;

	if (c->past)
		c->past[call->no].native = m->native;
	if (!may)
		return "a native error that nothing explains";
	if (m->route && m->route != call->route)
		return "a native error in the name of another method";
	/* Nothing but a limit can have refused it: no server may have seen it. */
	if (c->set->may_native == 1u << MT_REPLY_OVER_LIMIT && c->seen[call->no])
		return "a refusal of a call that a server has seen";
	c->set->native[__builtin_ctz(may)]++;
	return NULL;
}

static const char *check_reply(struct rpc_client *c, const struct rpc_call *call,
	const struct wire_msg *m, const uint8_t *p, uint32_t len)
{
	if (call->kind == WIRE_HEARTBEAT) {
		if (m->kind != WIRE_HEARTBEAT_REPLY)
			return "a heartbeat that is answered as a call";
		return dialect_same(c->dialect, p, len, m, 0, &c->set->again)
			       ? NULL
			       : "an answer to a heartbeat in other words than the protocol's";
	}
	if (m->kind != WIRE_REPLY)
		return "a call that is answered as a heartbeat";
	return m->status == WIRE_NATIVE ? check_native(c, call, m)
					: check_server_reply(c, call, m, p, len);
}

const char *rpc_take_reply(struct rpc_client *c, const uint8_t *p, uint32_t len)
{
	static const enum rpc_end ends[] = {RPC_OK, RPC_APP_ERROR, RPC_NATIVE};
	struct wire_msg m = {0};
	const char *bad = c->dialect->read(c->dialect, p, len, &c->set->flat, &m);
	struct rpc_call *call;

	if (bad)
		return bad;
	if (m.kind == WIRE_DRAIN) {
		c->told = true;
		return NULL;
	}
	if (m.kind != WIRE_REPLY && m.kind != WIRE_HEARTBEAT_REPLY)
		return "a message that is no reply";
	call = find(c, m.id);
	/* The proxy cannot know that it was one-way. */
	if (!call && c->notes && m.status == WIRE_NATIVE && m.native & c->set->may_native)
		return NULL;
	if (!call)
		return "a reply to no outstanding call";
	if (c->set->protocol.ordered && call != oldest(c))
		return "a reply out of order";
	bad = check_reply(c, call, &m, p, len);
	sim_trace(c->set->sim, "client %u call %u ends: status %u %x", c->no, call->no, m.status,
		m.native);
	rpc_check_late(c, call);
	call->used = false;
	c->n_out--;
	if (c->set->answered)
		c->set->answered(c->set->answered_arg, c, call, ends[m.status]);
	if (m.status != WIRE_NATIVE)
		c->set->sim->st.dialect[c->dialect->index]++;
	rpc_end_call(c, call->no, m.kind == WIRE_HEARTBEAT_REPLY ? RPC_HEARTBEAT : ends[m.status]);
	return bad;
}
