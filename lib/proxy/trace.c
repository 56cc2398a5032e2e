/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records the steps of traced exchanges. Called only while exchanges are traced, and does not
 * affect them.
 */
#include "mt_proxy_base.h"
#include "mt_trace.h"

#include <stdio.h>
#include <string.h>

#define STEP(point, texts, numbers)                                                                \
	mt_trace_step(p->trace, j, MT_TRACE_##point, texts, MT_ARRAY_LEN(texts), numbers,          \
		MT_ARRAY_LEN(numbers))

static const char *const kind_names[MT_MSG_N_KINDS] = {
	[MT_MSG_REQUEST] = "request",
	[MT_MSG_REPLY] = "reply",
	[MT_MSG_ONEWAY] = "one-way request",
};

static const char *const lane_names[] = {
	[MT_UP_SHARED] = "shared",
	[MT_UP_WIDE] = "wide",
	[MT_UP_SERIAL] = "serial",
	[MT_UP_BULK] = "bulk",
	[MT_UP_PINNED] = "pinned",
};

const char *mt_exchange_status_name(enum mt_msg_status s)
{
	if (s == MT_STATUS_OK)
		return "ok";
	return s == MT_STATUS_APP_ERROR ? "app_error" : "proto_error";
}

const char *mt_local_reply_name(enum mt_local_reply what)
{
	/* The rows are reply_no_route, reply_no_cluster, … in this order. */
	return mt_proxy_outcomes.rows[MT_PROXY_reply_no_route + what].name + strlen("reply_");
}

void mt_proxy_set_trace(struct mt_proxy *p, struct mt_trace *t)
{
	p->trace = t;
}

static uint64_t key_of(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_ref ref = ex->self;

	return (uint64_t)ref.gen << 32 | ref.idx;
}

/* The trace; NULL: it has ended, and mt_exchange.trace is cleared: later steps cost nothing. */
static struct mt_trace_journey *journey(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_trace_journey *j = mt_trace_journey(p->trace, ex->trace, key_of(p, ex));

	if (!j)
		ex->trace = 0;
	return j;
}

static struct mt_slice method_of(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_slice v = {NULL, 0};

	if (!ex->codec->method_key.name || !mt_view_get(&p->view, &ex->codec->method_key, &v))
		return (struct mt_slice){NULL, 0};
	return v;
}

static const char *whole_words(bool complete)
{
	return complete ? "" : ", the rest is still to come";
}

static void know_request(struct mt_proxy *p, const struct mt_down *d, struct mt_exchange *ex,
	struct mt_expr_values *v, char name[MT_EXCHANGE_NAME])
{
	const struct mt_tuple *t = mt_stream_ends(d->s);

	mt_exchange_name(p->worker, ex->self, name);
	mt_expr_set_str(v, MT_EXPR_exchange, name);
	mt_expr_set_addr(v, MT_EXPR_src, &t->remote);
	mt_expr_set_addr(v, MT_EXPR_dst, &t->local);
	mt_expr_set_number(v, MT_EXPR_sport, t->rport);
	mt_expr_set_number(v, MT_EXPR_dport, t->lport);
	mt_expr_set_number(v, MT_EXPR_worker, p->worker);
	mt_expr_set_str(v, MT_EXPR_proto, ex->codec->name);
}

/* Copies the first bytes of a message of `len` bytes to the capture, if there is one. */
static void copy(struct mt_proxy *p, const struct mt_trace_journey *j, enum mt_capture_at at,
	const struct mt_stream *s, const struct mt_chain *c, uint32_t len)
{
	uint32_t n = MT_MIN(c->len, len);
	uint8_t *to;

	if (!p->trace->capture)
		return;
	to = mt_capture_message(p->trace, j, at, mt_stream_ends(s), len, &n);
	if (to)
		mt_chain_read(c, 0, to, n);
}

/*
 * Reads the metadata that the expression needs. A value that the view returns is valid only until
 * the next one, so values are copied to `bytes`.
 */
static void know_metadata(struct mt_proxy *p, struct mt_exchange *ex, bool complete,
	struct mt_expr_values *v, uint8_t bytes[MT_EXPR_KEYS][MT_TRACE_VALUE])
{
	const struct mt_expr *x = &p->trace->conf.expr;

	for (uint32_t i = 0; i < x->n_keys; i++) {
		struct mt_key key = mt_key_make(ex->codec, mt_expr_key(x, i));
		struct mt_slice found = {NULL, 0};

		/* An incomplete message has only its leading metadata. */
		if (!complete && (key.id < 0 || !(ex->codec->leading_keys >> key.id & 1)))
			continue;
		if (mt_view_get(&p->view, &key, &found)) {
			found.len = MT_MIN(found.len, (uint32_t)MT_TRACE_VALUE);
			memcpy(bytes[i], found.p, found.len);
			found.p = bytes[i];
		} else {
			found.p = NULL;
		}
		mt_expr_set_text(v, MT_EXPR_meta0 + i, found);
	}
}

void mt_traced_begin(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex, bool complete)
{
	char name[MT_EXCHANGE_NAME], client[MT_ADDR_STRLEN], local[MT_ADDR_STRLEN];
	const struct mt_tuple *t = mt_stream_ends(d->s);
	uint8_t bytes[MT_EXPR_KEYS][MT_TRACE_VALUE];
	struct mt_expr_values v = {0};
	struct mt_trace_journey *j;

	know_request(p, d, ex, &v, name);
	know_metadata(p, ex, complete, &v, bytes);
	mt_expr_set_text(&v, MT_EXPR_method, method_of(p, ex));
	ex->trace = mt_trace_begin(p->trace, key_of(p, ex), &v);
	if (!ex->trace)
		return;
	j = journey(p, ex);
	mt_trace_arrivals(p->trace, j, t);
	copy(p, j, MT_CAPTURE_REQUEST, d->s, &ex->req, ex->msg.len);
	STEP(decode,
		((const char *[]){ex->codec->name, kind_names[ex->msg.kind], whole_words(complete),
			mt_addr_port_str(&t->remote, t->rport, client)}),
		((uint64_t[]){ex->msg.id, ex->msg.len}));
	if (d->proto)
		STEP(listener,
			((const char *[]){mt_addr_port_str(&t->local, t->lport, local),
				d->proto->chain->listener->file}),
			((uint64_t[]){d->proto->chain->listener->line}));
}

void mt_traced_service(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_trace_journey *j = journey(p, ex);
	char method[64] = "-";
	struct mt_slice *m;

	if (!j)
		return;
	mt_trace_know_str(j, MT_EXPR_service, ex->service->name);
	if (!mt_trace_go_on(p->trace, j)) {
		ex->trace = 0;
		return;
	}
	m = &j->values.v[MT_EXPR_method].text;
	if (m->p)
		snprintf(method, sizeof(method), "%.*s", (int)m->len, (const char *)m->p);
	STEP(service, ((const char *[]){ex->service->name, ex->service->file, method}),
		((uint64_t[]){ex->service->line}));
}

static const char *verdict_words(enum mt_filter_verdict v, const struct mt_filter_ctx *ctx)
{
	if (v == MT_FILTER_NEXT)
		return "goes on";
	if (v == MT_FILTER_SUSPEND)
		return "waits for an answer";
	return ctx->reply_text ? ctx->reply_text : mt_local_reply_str(ctx->reply);
}

enum mt_filter_verdict mt_traced_filters(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_step *steps, uint32_t n)
{
	bool reply = p->filter_ctx.direction == MT_FILTER_OF_REPLY;
	enum mt_filter_verdict verdict = MT_FILTER_NEXT;
	struct mt_trace_journey *j = journey(p, ex);

	while (p->filter_ctx.at < n && verdict == MT_FILTER_NEXT) {
		const char *words[2] = {steps[p->filter_ctx.at].f->type->name};

		verdict = mt_filter_run(steps, p->filter_ctx.at + 1, &p->view, &p->filter_ctx);
		words[1] = verdict_words(verdict, &p->filter_ctx);
		if (j && reply)
			STEP(filter_reply, words, ((uint64_t[]){verdict}));
		else if (j)
			STEP(filter, words, ((uint64_t[]){verdict}));
	}
	return verdict;
}

void mt_traced_route(struct mt_proxy *p, struct mt_exchange *ex, uint32_t rule)
{
	struct mt_trace_journey *j = journey(p, ex);
	const struct mt_route_action *a = ex->route;
	char why[64] = "its only destination";

	if (!j)
		return;
	mt_trace_know_str(j, MT_EXPR_route, a->name);
	mt_trace_know_str(j, MT_EXPR_cluster, ex->attempt.cluster->name);
	if (!mt_trace_go_on(p->trace, j)) {
		ex->trace = 0;
		return;
	}
	STEP(route, ((const char *[]){a->name, a->file, a->match}), ((uint64_t[]){rule, a->line}));
	if (a->n_dests > 1)
		snprintf(why, sizeof(why), "drawn from %u destinations by weight", a->n_dests);
	STEP(cluster, ((const char *[]){ex->attempt.cluster->name, why}), ((uint64_t[]){0}));
}

void mt_traced_mutated(struct mt_proxy *p, struct mt_exchange *ex, uint32_t n, bool ok)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		STEP(mutate, ((const char *[]){ok ? "made" : "could not be made"}),
			((uint64_t[]){n}));
}

void mt_traced_passed_by(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	struct mt_trace_journey *j = journey(p, ex);
	char name[MT_ADDR_STRLEN];

	if (j)
		STEP(passed_by, ((const char *[]){mt_endpoint_name(ep, name)}), ((uint64_t[]){0}));
}

void mt_traced_mirror(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep, const char *why)
{
	struct mt_trace_journey *j = journey(p, ex);
	char name[MT_ADDR_STRLEN];

	if (j && ep)
		STEP(mirror, ((const char *[]){mt_endpoint_name(ep, name), c->name}),
			((uint64_t[]){0}));
	else if (j)
		STEP(mirror_not, ((const char *[]){c->name, why}), ((uint64_t[]){0}));
}

void mt_traced_denied(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep, const char *by)
{
	struct mt_trace_journey *j = journey(p, ex);
	char name[MT_ADDR_STRLEN];

	if (j)
		STEP(denied,
			((const char *[]){
				mt_endpoint_name(ep, name), by ? by : "no policy allows it"}),
			((uint64_t[]){0}));
}

void mt_traced_pick(struct mt_proxy *p)
{
	memcpy(p->trace_picks, p->lb.counters, sizeof(p->trace_picks));
}

static const char *pick_words(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	const uint64_t *before = p->trace_picks;

	if (p->lb.counters[MT_UPSTREAM_all_ejected] != before[MT_UPSTREAM_all_ejected])
		return "though every endpoint is ejected";
	if (p->lb.counters[MT_UPSTREAM_rerouted] != before[MT_UPSTREAM_rerouted])
		return "in place of one that is ejected, leaving, draining or was tried";
	if (ex->attempt.cluster->n_eps == 1)
		return "the only one";
	if (ex->tries)
		return "after others failed";
	return "the balancer's first choice";
}

void mt_traced_endpoint(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	struct mt_trace_journey *j = journey(p, ex);
	char name[MT_ADDR_STRLEN];

	if (!j)
		return;
	mt_trace_know_str(j, MT_EXPR_endpoint, mt_endpoint_name(ep, name));
	if (!mt_trace_go_on(p->trace, j)) {
		ex->trace = 0;
		return;
	}
	STEP(endpoint,
		((const char *[]){name, mt_lb_str(ex->attempt.cluster->lb), pick_words(p, ex)}),
		((uint64_t[]){ex->attempt.cluster->n_eps, p->lb.outstanding[ep->state->index]}));
}

void mt_traced_queued(struct mt_proxy *p, struct mt_exchange *ex, const char *why)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		STEP(queue, ((const char *[]){why}),
			((uint64_t[]){p->pending[ex->attempt.cluster_index]}));
}

void mt_traced_waits(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u)
{
	struct mt_trace_journey *j = journey(p, ex);
	char name[MT_ADDR_STRLEN];

	if (j)
		STEP(connecting,
			((const char *[]){lane_names[u->role],
				mt_addr_port_str(&u->lanes->addr, u->lanes->port, name)}),
			((uint64_t[]){0}));
}

void mt_traced_send(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_up *u)
{
	const struct mt_tuple *t = mt_stream_ends(u->s);
	char local[MT_ADDR_STRLEN], remote[MT_ADDR_STRLEN];
	struct mt_trace_journey *j = journey(p, ex);

	if (!j)
		return;
	copy(p, j, MT_CAPTURE_FORWARDED, u->s, &ex->req, MT_MAX(ex->req.len, ex->msg.len));
	STEP(send,
		((const char *[]){lane_names[u->role], mt_addr_port_str(&t->local, t->lport, local),
			mt_addr_port_str(&t->remote, t->rport, remote),
			whole_words(!ex->in_message)}),
		((uint64_t[]){ex->msg.id, ex->req.len}));
	mt_trace_watch(p->trace, j, t);
}

void mt_traced_retry(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		mt_trace_step(p->trace, j, MT_TRACE_retry, NULL, 0, ((uint64_t[]){ex->tries}), 1);
}

void mt_traced_retry_unread(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		mt_trace_step(
			p->trace, j, MT_TRACE_repeat, NULL, 0, ((uint64_t[]){ex->retries}), 1);
}

void mt_traced_reply(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u)
{
	struct mt_trace_journey *j = journey(p, ex);
	const char *status = mt_exchange_status_name(u->msg.status);

	if (!j)
		return;
	mt_trace_arrivals(p->trace, j, mt_stream_ends(u->s));
	copy(p, j, MT_CAPTURE_REPLY, u->s, &u->s->rx, u->msg.len);
	STEP(reply, ((const char *[]){status}),
		((uint64_t[]){u->msg.len, (p->now - ex->attempt.sent) / MT_USEC}));
}

void mt_traced_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		STEP(local_reply, ((const char *[]){mt_local_reply_name(what), text}),
			((uint64_t[]){0}));
}

void mt_traced_held(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		mt_trace_step(p->trace, j, MT_TRACE_reply_held, NULL, 0, NULL, 0);
}

void mt_traced_client(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d,
	const struct mt_chain *reply)
{
	struct mt_trace_journey *j = journey(p, ex);
	const struct mt_tuple *t;
	char client[MT_ADDR_STRLEN];

	if (!j)
		return;
	t = mt_stream_ends(d->s);
	STEP(client_reply, ((const char *[]){mt_addr_port_str(&t->remote, t->rport, client)}),
		((uint64_t[]){reply->len}));
	/* The end of a long reply has no bytes here and is not captured. */
	if (reply->len)
		copy(p, j, MT_CAPTURE_ANSWER, d->s, reply, reply->len);
	mt_trace_watch(p->trace, j, t);
}

void mt_traced_part(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d,
	const struct mt_chain *part, uint32_t left)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (!j)
		return;
	if (p->trace->capture && !mt_capture_saw(p->trace, j, MT_CAPTURE_ANSWER))
		copy(p, j, MT_CAPTURE_ANSWER, d->s, part, part->len + left);
	mt_trace_watch(p->trace, j, mt_stream_ends(d->s));
}

void mt_traced_end(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_record *r)
{
	struct mt_trace_journey *j = journey(p, ex);

	if (j)
		mt_trace_over(p->trace, j, r);
}
