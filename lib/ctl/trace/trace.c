/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread's part of tracing. Each worker gets a tracer (struct mt_trace) through its
 * mailbox. The control thread copies the traces that workers keep, on request and every LOOK, so
 * that their slots become free. Tracing ends by itself when it has the requested number of traces,
 * or after ten minutes.
 */
#include "mt_ctl_capture_priv.h"
#include "names.h"

#include <stdio.h>
#include <string.h>

#define CALL_MS	  1000
#define COUNT	  10 /* traces, by default */
#define COUNT_MAX 256
#define LASTS	  (600 * MT_SEC)
#define LOOK	  (100 * MT_MSEC) /* interval at which kept traces are collected */

enum kind { EXCHANGES, PACKETS, CONNECTION };

static const struct {
	const char *name;
	uint64_t fields;
	uint32_t count; /* traces, by default */
} kinds[] = {
	[EXCHANGES] = {"exchanges", MT_TRACE_EXCHANGE_FIELDS, COUNT},
	[PACKETS] = {"packets", MT_TRACE_PACKET_FIELDS, COUNT},
	[CONNECTION] = {"connection", MT_TRACE_CONNECTION_FIELDS, COUNT_MAX},
};

struct mt_ctl_trace {
	bool on;
	enum kind kind;
	struct mt_trace_conn followed; /* CONNECTION only: the connection, as last seen */
	uint16_t by;		       /* worker that follows the connection */
	uint32_t count;
	uint64_t since, until, look_at; /* ns */
	const char *ended_by;		/* NULL: tracing goes on */
	char expr[MT_CTL_LINE + 1];
	struct mt_trace *parts[MT_WORKERS_MAX]; /* NULL: the worker has none */
	struct mt_trace_stats stats;		/* of tracers that were freed */
	struct mt_trace_journey *kept;
	uint32_t n_kept;
};

/* ---- workers -------------------------------------------------------------------------------- */

/* Runs on the worker; NULL ends its tracing. */
static void set(struct mt_worker *w, void *arg)
{
	mt_worker_set_trace(w, arg);
}

bool mt_ctl_trace_hand(struct mt_ctl *c, uint16_t w, struct mt_trace *t)
{
	return mt_worker_call(c->env.workers[w], set, t, CALL_MS) == 0;
}

bool mt_ctl_trace_on(const struct mt_ctl *c)
{
	return c->trace && c->trace->on;
}

static void add_stats(struct mt_trace_stats *sum, const struct mt_trace_stats *s)
{
	sum->looked_at += mt_count_read(&s->looked_at);
	sum->kept += mt_count_read(&s->kept);
	sum->forgotten += mt_count_read(&s->forgotten);
	sum->missed += mt_count_read(&s->missed);
}

/*
 * Several workers may start to follow a connection before the control thread sees the first of
 * them; traces of the others are not collected.
 */
static void collect_from(struct mt_ctl_trace *t, uint16_t w)
{
	uint32_t at = 0;

	if (t->kind == CONNECTION && (t->followed.state == MT_TRACE_CONN_NONE || w != t->by))
		return;
	while (t->n_kept < t->count && mt_trace_take(t->parts[w], &at, &t->kept[t->n_kept]))
		t->n_kept++;
}

/*
 * Takes the tracer back from worker w. False: the worker does not answer and keeps it until a later
 * attempt.
 */
static bool give_up(struct mt_ctl *c, uint16_t w)
{
	struct mt_ctl_trace *t = c->trace;

	if (!t->parts[w])
		return true;
	if (!mt_ctl_trace_hand(c, w, NULL))
		return false;
	collect_from(t, w);
	add_stats(&t->stats, &t->parts[w]->stats);
	mt_trace_free(t->parts[w]);
	t->parts[w] = NULL;
	return true;
}

/* False: a worker does not answer. */
static bool give_up_all(struct mt_ctl *c)
{
	bool all = true;

	for (uint16_t w = 0; w < c->env.n_workers; w++)
		all &= give_up(c, w);
	return all;
}

static void end(struct mt_ctl *c, const char *why)
{
	(void)give_up_all(c);
	c->trace->on = false;
	c->trace->ended_by = why;
}

static bool start_worker(struct mt_ctl *c, uint16_t w, const struct mt_expr *x)
{
	struct mt_ctl_trace *t = c->trace;
	const struct mt_trace_conf conf = {.worker = w,
		.exchanges = t->kind != PACKETS,
		.packets = t->kind != EXCHANGES,
		.connection = t->kind == CONNECTION,
		.count = t->count,
		.expr = *x};

	t->parts[w] = mt_trace_new(&conf);
	return t->parts[w] && mt_ctl_trace_hand(c, w, t->parts[w]);
}

/* Once a worker follows a connection, takes the tracers of all other workers back. */
static void look_at_connection(struct mt_ctl *c)
{
	struct mt_ctl_trace *t = c->trace;

	for (uint16_t w = 0; w < c->env.n_workers && t->followed.state == MT_TRACE_CONN_NONE; w++) {
		if (!t->parts[w] || __atomic_load_n(&t->parts[w]->followed.state,
					    __ATOMIC_ACQUIRE) == MT_TRACE_CONN_NONE)
			continue;
		/* The other members may change until the connection is closed. */
		t->followed.conn = t->parts[w]->followed.conn;
		t->followed.state = MT_TRACE_CONN_FOLLOWED;
		t->by = w;
		for (uint16_t o = 0; o < c->env.n_workers; o++)
			if (o != w)
				(void)give_up(c, o);
	}
}

static const char *closed_words(const struct mt_trace_conn *f)
{
	if (f->state == MT_TRACE_CONN_RESET)
		return f->by_us ? "the connection was reset by this node"
				: "the connection was reset by its other end";
	return f->by_us ? "the connection was closed, by this node first"
			: "the connection was closed, by its other end first";
}

static void end_with_connection(struct mt_ctl *c)
{
	struct mt_ctl_trace *t = c->trace;
	const struct mt_trace *part = t->parts[t->by];

	if (t->followed.state == MT_TRACE_CONN_NONE || !part ||
		__atomic_load_n(&part->followed.state, __ATOMIC_ACQUIRE) < MT_TRACE_CONN_CLOSED)
		return;
	t->followed = part->followed;
	end(c, closed_words(&t->followed));
}

static void collect(struct mt_ctl *c)
{
	struct mt_ctl_trace *t = c->trace;

	if (t->kind == CONNECTION)
		look_at_connection(c);

	for (uint16_t w = 0; w < c->env.n_workers; w++)
		if (t->parts[w])
			collect_from(t, w);
	if (t->kind == CONNECTION)
		end_with_connection(c);
	if (!t->on)
		return;
	if (t->n_kept == t->count)
		end(c, "the requested number was reached");
	else if (c->now >= t->until)
		end(c, "its time is over");
}

/* ---- trace start --------------------------------------------------------------------------- */

/* Parsed arguments of `trace start`. */
struct wanted {
	enum kind kind;
	uint32_t count;
	char expr[MT_CTL_LINE + 1];
	struct mt_expr x;
};

void mt_ctl_join_words(const char *const *words, uint32_t n, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? " " : "", words[i]);
}

static int parse_start(const struct mt_request *r, struct wanted *w, struct mt_err *e)
{
	uint32_t n, first = 0;
	uint64_t count;
	int rc;

	w->kind = EXCHANGES;
	for (uint32_t k = 0; r->n_args && k < MT_ARRAY_LEN(kinds); k++)
		if (strcmp(r->args[0], kinds[k].name) == 0) {
			w->kind = k;
			first = 1;
		}
	n = r->n_args;
	count = kinds[w->kind].count;
	rc = mt_ctl_take_number(r, &n, "count", COUNT_MAX, &count, e);
	if (rc < 0)
		return rc;
	w->count = (uint32_t)count;
	n = MT_MAX(n, first);
	mt_ctl_join_words(r->args + first, n - first, w->expr, sizeof(w->expr));
	return mt_ctl_expr(&w->x, w->expr, kinds[w->kind].fields, e);
}

json_t *mt_trace_start(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_trace *t = c->trace;
	struct wanted w;
	struct mt_err e = {""};
	json_t *j;

	if (parse_start(r, &w, &e) < 0)
		return mt_ctl_wrong(&e);
	if (c->env.n_workers == 0)
		return mt_ctl_error("this node has no workers");
	if (t && t->on)
		return mt_ctl_error("a trace is running (%s `%s`); `trace stop` ends it",
			kinds[t->kind].name, t->expr);
	if (c->capture && c->capture->on)
		return mt_ctl_error("a capture of %s is running; `capture stop` ends it",
			mt_ctl_capture_of(c->capture));
	if (!t)
		t = c->trace = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	if (!give_up_all(c))
		return mt_ctl_error("a worker has not given up the last trace yet; try again");
	free(t->kept);
	t->n_kept = 0;
	t->kept = calloc(w.count, sizeof(*t->kept));
	if (!t->kept)
		return NULL;
	t->stats = (struct mt_trace_stats){0};
	t->kind = w.kind;
	t->followed = (struct mt_trace_conn){0};
	t->count = w.count;
	t->ended_by = NULL;
	t->since = t->look_at = c->now;
	t->until = c->now + LASTS;
	memcpy(t->expr, w.expr, sizeof(t->expr));
	for (uint16_t i = 0; i < c->env.n_workers; i++) {
		if (start_worker(c, i, &w.x))
			continue;
		end(c, "a worker does not answer");
		return mt_ctl_error("worker %u does not answer, or there is no memory", i);
	}
	t->on = true;
	j = mt_json_object(MT_M("trace", kinds[t->kind].name), MT_M("expression", t->expr),
		MT_M("count", t->count));
	mt_ctl_expr_note(c, &w.x, kinds[t->kind].fields, j);
	return j;
}

void mt_trace_offer(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	enum kind kind = EXCHANGES;

	for (uint32_t k = 0; r->n_args && k < MT_ARRAY_LEN(kinds); k++)
		if (strcmp(r->args[0], kinds[k].name) == 0)
			kind = k;
	if (r->n_args == 0) {
		mt_offer(o, "exchanges", "whole calls; the default");
		mt_offer(o, "packets", "single packets");
		mt_offer(o, "connection", "all packets and calls of one connection, until it ends");
	}
	mt_offer_expression(c, kinds[kind].fields, o);
	mt_offer(o, "count", "at the end: how many");
}

/* ---- trace stop, trace show ----------------------------------------------------------------- */

#define ENDS (2 * MT_ADDR_STRLEN + 8)

/* Names both ends of the followed connection; NULL: none is followed. */
static const char *connection_str(const struct mt_ctl_trace *t, char buf[ENDS])
{
	const struct mt_tuple *conn = &t->followed.conn;
	char local[MT_ADDR_STRLEN], remote[MT_ADDR_STRLEN];

	if (t->followed.state == MT_TRACE_CONN_NONE)
		return NULL;
	snprintf(buf, ENDS, "%s with %s", mt_addr_port_str(&conn->local, conn->lport, local),
		mt_addr_port_str(&conn->remote, conn->rport, remote));
	return buf;
}

static json_t *summary(struct mt_ctl *c)
{
	char conn[ENDS];
	struct mt_ctl_trace *t = c->trace;
	struct mt_trace_stats s = t->stats;

	for (uint16_t w = 0; w < c->env.n_workers; w++)
		if (t->parts[w])
			add_stats(&s, &t->parts[w]->stats);
	return mt_json_object(MT_M("trace", t->on ? "running" : "ended"),
		MT_M("of", kinds[t->kind].name), MT_M("expression", t->expr),
		MT_M("connection", mt_json_known(connection_str(t, conn))), MT_M("count", t->count),
		MT_M("kept", t->n_kept), MT_M("looked_at", s.looked_at), MT_M("missed", s.missed),
		MT_M("ended_because", mt_json_known(t->ended_by)));
}

json_t *mt_trace_stop(struct mt_ctl *c, const struct mt_request *r)
{
	if (!c->trace || !c->trace->on)
		return mt_ctl_error("no trace is running");
	collect(c);
	if (c->trace->on)
		end(c, "it was stopped");
	return summary(c);
}

json_t *mt_trace_show(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_trace *t = c->trace;
	json_t *all, *steps;
	uint32_t from = 0;
	char *end = "";

	if (!t)
		return mt_json_object(
			MT_M("trace", "nothing was traced; `trace start EXPRESSION` does it"));
	if (r->n_args == 2 && strcmp(r->args[0], "from") == 0)
		from = (uint32_t)strtoul(r->args[1], &end, 10);
	if (*end || (r->n_args && (r->n_args != 2 || strcmp(r->args[0], "from") != 0)))
		return mt_ctl_error("usage: trace show [from N]");
	if (t->on)
		collect(c);
	all = summary(c);
	steps = json_array();
	for (uint32_t i = from; i < t->n_kept; i++)
		mt_trace_render(steps, &t->kept[i], i, r->json);
	mt_json_set(all, MT_M("next", t->n_kept), MT_M("steps", steps));
	return all;
}

/* ---- control loop --------------------------------------------------------------------------- */

void mt_ctl_trace_turn(struct mt_ctl *c)
{
	struct mt_ctl_trace *t = c->trace;

	if (!t || !t->on || c->now < t->look_at)
		return;
	collect(c);
	t->look_at = c->now + LOOK;
}

uint64_t mt_ctl_trace_next(const struct mt_ctl *c)
{
	return c->trace && c->trace->on ? c->trace->look_at : MT_NEVER;
}

void mt_ctl_trace_free(struct mt_ctl *c)
{
	if (!c->trace)
		return;
	end(c, "the daemon ends");
	free(c->trace->kept);
	free(c->trace);
	c->trace = NULL;
}
