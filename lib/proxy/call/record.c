/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of exchanges (mt_record.h): what is kept for a record while the request's bytes exist,
 * how the exchange ended, and the function that makes the record. Records are made of slow calls,
 * exemplars and traced calls, and for the shell.
 */
#include "call/mt_call_priv.h"

#include <string.h>

#define STATUS_OF_LOCAL 16 /* above the status of every reply */
#define STATUS_CUT_OFF	UINT8_MAX

/* Keys compared without case: headers have them capitalized, other metadata in any case. */
#define KEY(which, text)                                                                           \
	[MT_SPAN_##which] = {.name = text,                                                         \
		.len = sizeof(text) - 1,                                                           \
		.id = -1,                                                                          \
		.icase = true,                                                                     \
		.hash = MT_KEY_HASH(text)}
static const struct mt_key trace_keys[MT_SPAN_KEYS] = {KEY(TRACEPARENT, "traceparent"),
	KEY(B3, "b3"), KEY(B3_TRACE, "x-b3-traceid"), KEY(B3_SPAN, "x-b3-spanid"),
	KEY(B3_SAMPLED, "x-b3-sampled")};

static const char *const state_names[MT_EX_N_STATES] = {
	[MT_EX_ROUTING] = "routing",
	[MT_EX_SUSPENDED] = "suspended",
	[MT_EX_BACKOFF] = "backoff",
	[MT_EX_TRYING] = "sent",
	[MT_EX_FILTERING] = "filtering",
	[MT_EX_REPLYING] = "replying",
	[MT_EX_READY] = "ready",
	[MT_EX_ON_DEMAND] = "awaiting",
};

static const char *const attempt_names[MT_ATTEMPT_N_STATES] = {
	[MT_ATTEMPT_QUEUED] = "queued",
	[MT_ATTEMPT_CONNECTING] = "connecting",
	[MT_ATTEMPT_SENDING] = "sending",
	[MT_ATTEMPT_SENT] = "sent",
	[MT_ATTEMPT_UNACKED] = "unacked",
};

static const char *state_of(const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);

	return a && ex->state == MT_EX_TRYING ? attempt_names[a->state] : state_names[ex->state];
}

/* ---- while the request's bytes exist --------------------------------------------------------- */

void mt_exchange_find_method(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_slice v;

	if (!ex->codec->method_key.name || !mt_view_get(&p->view, &ex->codec->method_key, &v))
		return;
	ex->method_len = (uint8_t)MT_MIN(v.len, (uint32_t)sizeof(ex->method) + 1);
	memcpy(ex->method, v.p, MT_MIN(v.len, (uint32_t)sizeof(ex->method)));
}

void mt_proxy_set_sampling(struct mt_proxy *p, uint32_t ms)
{
	if (p->exemplar_ms == ms)
		return;
	p->exemplar_ms = ms;
	p->exemplar_due = ms ? 0 : MT_NEVER;
}

uint32_t mt_proxy_sampling(const struct mt_proxy *p)
{
	return p->exemplar_ms;
}

/*
 * The trace of a call can be read only while the request's bytes exist, before it is known how long
 * the call takes. So the first call after each exemplar_ms (1 ms unless the operator changes it) is
 * sampled. All other calls cost a comparison.
 */
void mt_exchange_sample(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	uint8_t block[MT_ALOG_KEPT];
	struct mt_span span;
	uint16_t used = 0;

	p->exemplar_due = p->now + p->exemplar_ms * MT_MSEC;
	ex->sampled = true;
	/* While the request is still arriving, only its leading metadata may be read. */
	if (!ex->msg.len || ex->req.len < ex->msg.len)
		return;
	(void)mt_metadata_copy(
		&p->view, true, MT_ALOG_REQUEST, trace_keys, MT_SPAN_KEYS, block, &used);
	if (mt_alog_trace(named, mt_alog_kept(block, used, named), &span) &&
		span.sampling != MT_SPAN_UNSAMPLED)
		ex->span = span;
}

/* ---- how the exchange ended ------------------------------------------------------------------ */

void mt_exchange_replied(struct mt_exchange *ex, enum mt_msg_status status, uint64_t now)
{
	ex->status = (uint8_t)(1 + status);
	ex->attempt.replied = now;
}

void mt_exchange_answered_here(struct mt_exchange *ex, enum mt_local_reply what)
{
	ex->status = (uint8_t)(STATUS_OF_LOCAL + what);
}

void mt_exchange_cut_off(struct mt_exchange *ex)
{
	if (!ex->status)
		ex->status = STATUS_CUT_OFF;
}

static const char *status_of(const struct mt_exchange *ex)
{
	if (ex->status == STATUS_CUT_OFF)
		return "reset";
	if (ex->status >= STATUS_OF_LOCAL)
		return mt_local_reply_name((enum mt_local_reply)(ex->status - STATUS_OF_LOCAL));
	if (ex->status)
		return mt_exchange_status_name((enum mt_msg_status)(ex->status - 1));
	return ex->oneway ? "oneway" : "client_closed";
}

struct mt_call_end mt_exchange_end_of(const struct mt_exchange *ex)
{
	if (mt_likely(ex->status && ex->status < STATUS_OF_LOCAL))
		return (struct mt_call_end){
			.kind = MT_CALL_END_REPLY, .status = (enum mt_msg_status)(ex->status - 1)};
	if (ex->status == STATUS_CUT_OFF)
		return (struct mt_call_end){.kind = MT_CALL_END_RESET};
	if (ex->status >= STATUS_OF_LOCAL)
		return (struct mt_call_end){.kind = MT_CALL_END_LOCAL,
			.reply = (enum mt_local_reply)(ex->status - STATUS_OF_LOCAL),
			.ending = (enum mt_ending)ex->local_ending};
	return (struct mt_call_end){.kind = ex->oneway ? MT_CALL_END_ONEWAY : MT_CALL_END_CLIENT};
}

static enum mt_filter_ended ended_of(enum mt_msg_status status)
{
	if (status == MT_STATUS_OK)
		return MT_FILTER_ENDED_OK;
	return status == MT_STATUS_APP_ERROR ? MT_FILTER_ENDED_APP_ERROR
					     : MT_FILTER_ENDED_PROTO_ERROR;
}

enum mt_filter_ended mt_exchange_ended(const struct mt_exchange *ex)
{
	if (ex->status == STATUS_CUT_OFF)
		return MT_FILTER_ENDED_CUT_OFF;
	if (ex->status >= STATUS_OF_LOCAL)
		return MT_FILTER_ENDED_HERE;
	if (ex->status)
		return ended_of((enum mt_msg_status)(ex->status - 1));
	return ex->oneway ? MT_FILTER_ENDED_ONEWAY : MT_FILTER_ENDED_CLIENT_LEFT;
}

/* ---- the record ------------------------------------------------------------------------------ */

static uint32_t us(uint64_t from, uint64_t to)
{
	uint64_t n = from && to > from ? (to - from) / MT_USEC : 0;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* True if a server's reply has counted for the service; false if a filter answered instead. */
static bool is_answered(const struct mt_exchange *ex)
{
	return ex->status && ex->status < STATUS_OF_LOCAL;
}

/* When the reply counted for the service, so that exemplar and histogram have the same latency. */
static uint64_t answered_at(
	const struct mt_proxy *p, const struct mt_exchange *ex, uint64_t replied)
{
	if (mt_unlikely(is_answered(ex) && ex->filter_at > MT_FILTER_WAIT_OF_REPLY))
		return mt_exchange_side(p, ex)->passed;
	return replied;
}

/* Fills in the parts of the exchange's time; each part ends where the next one begins. */
static void fill_times(const struct mt_proxy *p, const struct mt_exchange *ex, struct mt_record *r)
{
	/* A one-way call ends when it is sent; the time to its acknowledgement is the network's. */
	uint64_t now = ex->oneway && ex->attempt.sent ? ex->attempt.sent : p->now;
	uint64_t sent = ex->attempt.sent ? ex->attempt.sent : now;
	uint64_t replied = ex->attempt.replied ? ex->attempt.replied : now;
	uint64_t connect = ex->attempt.connecting ? MT_MIN(ex->attempt.connecting, sent) : sent;

	r->took = now - ex->started;
	r->wall = p->wall - (p->now - ex->started);
	r->queue_us = us(ex->started, connect);
	r->connect_us = us(connect, sent);
	r->server_us = us(sent, replied);
	r->reply_us = us(replied, now);
	r->answered = is_answered(ex);
	r->answer_us = (answered_at(p, ex, replied) - ex->started) / MT_USEC;
}

static void fill_ends(const struct mt_proxy *p, const struct mt_exchange *ex, struct mt_record *r)
{
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, ex->attempt.lanes);
	const struct mt_down *d = mt_exchange_down(p, ex);

	if (d && d->s) {
		r->client = mt_stream_ends(d->s)->remote;
		r->client_port = mt_stream_ends(d->s)->rport;
		r->local = mt_stream_ends(d->s)->local;
		r->local_port = mt_stream_ends(d->s)->lport;
	}
	if (ln) {
		r->server = ln->addr;
		r->server_port = ln->port;
	}
}

/* Of a traced call its own span. Otherwise what a sampled call's client names. */
static struct mt_span span_of(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_tracing_context *c;
	struct mt_span s;

	if (mt_likely(!ex->traced))
		return ex->span;
	c = &mt_exchange_side(p, ex)->context;
	s = (struct mt_span){.len = c->trace_len, .has_id = true, .sampling = MT_SPAN_SAMPLED};
	memcpy(s.trace, c->trace, sizeof(s.trace));
	memcpy(s.id, c->span, sizeof(s.id));
	return s;
}

static void fill(const struct mt_proxy *p, const struct mt_exchange *ex, struct mt_record *r)
{
	memset(r, 0, sizeof(*r));
	r->exchange = ex->self;
	r->worker = p->worker;
	r->proto = ex->codec->name;
	r->tries = ex->tries;
	r->bytes_in = ex->msg.len;
	r->bytes_out = ex->attempt.reply_len;
	r->span = span_of(p, ex);
	r->workload = ex->attempt.workload;
	r->caller = ex->caller;
	fill_times(p, ex, r);
	fill_ends(p, ex, r);
	if (ex->service) {
		r->service_id = ex->service->id;
		mt_record_text(r->service, MT_RECORD_SERVICE, ex->service->name,
			strlen(ex->service->name));
	}
	if (ex->route)
		mt_record_text(r->route, MT_RECORD_ROUTE, ex->route->name, strlen(ex->route->name));
	mt_record_text(r->method, MT_RECORD_METHOD, ex->method, ex->method_len);
}

bool mt_proxy_record_next(struct mt_proxy *p, uint32_t *idx, struct mt_record *r)
{
	const struct mt_exchange *ex;

	do
		ex = mt_slab_next(&p->exchanges, idx);
	while (ex && !mt_call_rules_of(ex)->recorded);
	if (!ex)
		return false;
	fill(p, ex, r);
	r->state = state_of(ex);
	return true;
}

mt_noinline void mt_exchange_record_wanted(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_record r;

	if (!mt_call_rules_of(ex)->recorded)
		return;
	fill(p, ex, &r);
	r.state = status_of(ex);
	if (r.took >= p->slow.floor)
		mt_slow_keep(&p->slow, &r);
	if (ex->sampled && r.answered && ex->service)
		mt_exemplar_keep(&p->exemplars[ex->service->index], &r);
	mt_traced_end(p, ex, &r);
}

const struct mt_denied *mt_proxy_denied(const struct mt_proxy *p)
{
	return &p->denied;
}

const struct mt_slow *mt_proxy_slow(const struct mt_proxy *p)
{
	return &p->slow;
}

const struct mt_exemplars *mt_proxy_exemplars(const struct mt_proxy *p, uint32_t index)
{
	return index < MT_PROXY_SERVICES_MAX ? &p->exemplars[index] : NULL;
}
