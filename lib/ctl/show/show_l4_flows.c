/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows that are forwarded at layer 4: the use of each worker's table, and single flows. Only the
 * worker reads its table, a slice per request, so that packets do not wait while it passes over
 * millions of flows.
 */
#include "mt_ctl_priv.h"
#include "names.h"
#include "view.h"

#include "mt_l4.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>

#define ROWS	 512  /* flows shown */
#define SLICE	 256  /* flows of a request */
#define LOOK_MAX 4096 /* places of the table visited per request */
#define ASK_MS	 1000

#define FIELDS                                                                                     \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(state) | MT_EXPR_BIT(worker) |                    \
		MT_EXPR_BIT(service) | MT_EXPR_BIT(endpoint))

/*
 * A worker's copy of its flows. The memory belongs to the ctl, because a request that timed out may
 * still run later.
 */
struct mt_flow_ask {
	bool under_way; /* set by the ctl, cleared by the worker */
	bool more;	/* further flows may follow */
	struct mt_expr expr;
	uint32_t idx; /* where to continue */
	uint32_t n;
	struct mt_l4_flow flows[SLICE];
};

struct row {
	uint64_t key; /* sort key, largest first */
	uint16_t worker;
	const char *service; /* NULL: it is no longer configured */
	struct mt_l4_flow f;
};

enum top { TOP_NONE, TOP_PACKETS, TOP_IDLE };

/* State of one command. */
struct query {
	enum top top;
	struct mt_expr expr;
	struct mt_expr_names names; /* fields, and the columns of a row */
	json_t *sample;		    /* a row, which holds the names of the columns */
	json_t *silent;		    /* workers that did not answer */
	uint32_t n;
	struct row rows[2 * ROWS]; /* settle() keeps the first ROWS */
};

static const char *state_of(const struct mt_l4_flow *f)
{
	static const char *const tcp[MT_L4_STATES] = {
		[MT_L4_SYN_SENT] = "syn_sent",
		[MT_L4_SYN_RECEIVED] = "syn_received",
		[MT_L4_ESTABLISHED] = "established",
		[MT_L4_HALF_CLOSED] = "half_closed",
		[MT_L4_CLOSING] = "closing",
		[MT_L4_TIME_WAIT] = "time_wait",
		[MT_L4_RESET] = "reset",
	};

	if (f->state != MT_L4_STATELESS)
		return tcp[f->state];
	if (f->kept)
		return "kept";
	if (mt_l4_is_one_way((enum mt_l4_mode)f->mode))
		return "not_kept"; /* replies do not pass */
	return f->answered ? "answered" : "unanswered";
}

static const char *mode_of(const struct mt_l4_flow *f)
{
	static const char *const modes[MT_L4_MODES] = {[MT_L4_NAT] = "nat",
		[MT_L4_NAT_FULL] = "nat-full",
		[MT_L4_DSR] = "dsr",
		[MT_L4_IPIP] = "tunnel-ipip",
		[MT_L4_GUE] = "tunnel-gue"};

	return modes[f->mode];
}

/* A flow may stay a few seconds longer, until the worker comes to it. */
static uint64_t expires_of(const struct mt_l4_flow *f)
{
	return f->timeout > f->idle ? f->timeout - f->idle : 0;
}

/* ---- on the worker --------------------------------------------------------------------------- */

static void know(uint16_t worker, const struct mt_l4_flow *f, struct mt_expr_values *v)
{
	v->known = 0;
	mt_expr_set_number(v, MT_EXPR_worker, worker);
	mt_expr_set_addr(v, MT_EXPR_src, &f->client);
	mt_expr_set_addr(v, MT_EXPR_dst, &f->vip);
	mt_expr_set_number(v, MT_EXPR_sport, f->client_port);
	mt_expr_set_number(v, MT_EXPR_dport, f->vip_port);
	mt_expr_set_str(v, MT_EXPR_state, state_of(f));
}

/* Keeps each flow that may match; the control thread evaluates the expression again. */
static void answer(struct mt_worker *w, void *arg)
{
	struct mt_flow_ask *a = arg;
	const struct mt_l4 *l = mt_worker_l4(w);
	uint32_t end = a->idx + LOOK_MAX;

	a->n = 0;
	while (l && a->n < SLICE && mt_l4_flow_next(l, &a->idx, end, &a->flows[a->n])) {
		struct mt_expr_values v;

		know(mt_worker_index(w), &a->flows[a->n], &v);
		a->n += mt_expr_eval(&a->expr, &v) != MT_TRI_NO;
	}
	a->more = l && a->idx < mt_l4_places(l);
	__atomic_store_n(&a->under_way, false, __ATOMIC_RELEASE);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static bool ask(struct mt_ctl *c, uint16_t worker)
{
	struct mt_flow_ask *a = c->flow_asks[worker];
	int rc;

	a->under_way = true;
	rc = mt_worker_call(c->env.workers[worker], answer, a, ASK_MS);
	/* The mailbox is full, so the request was not queued. */
	if (rc == -EAGAIN)
		a->under_way = false;
	return rc == 0;
}

/* A new request to the worker; NULL: it has not answered an earlier one, or no memory. */
static struct mt_flow_ask *begin(struct mt_ctl *c, uint16_t worker, const struct mt_expr *x)
{
	struct mt_flow_ask **a = &c->flow_asks[worker];

	if (!*a)
		*a = calloc(1, sizeof(**a));
	if (!*a || __atomic_load_n(&(*a)->under_way, __ATOMIC_ACQUIRE))
		return NULL;
	(*a)->expr = *x;
	(*a)->idx = 0;
	return *a;
}

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->key < y->key ? 1 : x->key > y->key ? -1 : 0;
}

static void settle(struct query *q)
{
	if (q->top != TOP_NONE)
		qsort(q->rows, q->n, sizeof(q->rows[0]), by_key);
	q->n = MT_MIN(q->n, (uint32_t)ROWS);
}

static const char *service_of(const struct mt_ctl *c, uint32_t id)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_l4_service *v = s && s->l4 ? mt_l4_service(s->l4, id) : NULL;

	return v ? v->name : NULL;
}

static json_t *where(const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];

	return mt_json_text(mt_addr_port_str(a, port, text));
}

static void add(json_t *list, const struct row *r)
{
	const struct mt_l4_flow *f = &r->f;

	mt_json_add(list, MT_M("worker", r->worker),
		MT_M("client", where(&f->client, f->client_port)),
		MT_M("vip", where(&f->vip, f->vip_port)),
		MT_M("source", where(&f->source, f->source_port)),
		MT_M("endpoint", where(&f->endpoint, f->endpoint_port)),
		MT_M("protocol", mt_ctl_transport(f->proto)), MT_M("mode", mode_of(f)),
		MT_M("service", mt_json_known(r->service)), MT_M("state", state_of(f)),
		MT_M("kept", json_boolean(f->kept)), MT_M("packets_in", f->packets[0]),
		MT_M("packets_out", f->packets[1]), MT_M("idle_ms", f->idle / MT_MSEC),
		MT_M("expires_ms", expires_of(f) / MT_MSEC));
}

/* The values of a row: its fields, and its columns, for which the row is built when needed. */
struct values {
	const struct row *r;
	struct mt_expr_values fields;
	struct mt_view_row columns;
	json_t *built;
	char endpoint[MT_ADDR_STRLEN];
};

static struct mt_value value_of(void *arg, uint32_t id)
{
	struct values *v = arg;

	if (id < MT_EXPR_N_FIELDS)
		return mt_expr_field_value(&v->fields, id);
	if (!v->built) {
		v->built = json_array();
		add(v->built, v->r);
		v->columns.row = json_array_get(v->built, 0);
	}
	return mt_view_value(&v->columns, id);
}

static bool matches(const struct query *q, const struct row *r)
{
	struct values v = {.r = r, .columns.names = &q->names};
	struct mt_value got;

	know(r->worker, &r->f, &v.fields);
	mt_expr_set_str(&v.fields, MT_EXPR_service, r->service);
	mt_expr_set_str(&v.fields, MT_EXPR_endpoint,
		mt_addr_port_str(&r->f.endpoint, r->f.endpoint_port, v.endpoint));
	got = mt_expr_run(&q->expr, value_of, &v);
	json_decref(v.built);
	return got.type == MT_VALUE_BOOL && got.yes;
}

static void take(struct mt_ctl *c, struct query *q, uint16_t worker, const struct mt_flow_ask *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct row *r = &q->rows[q->n];

		*r = (struct row){.worker = worker,
			.f = a->flows[i],
			.service = service_of(c, a->flows[i].service),
			.key = q->top == TOP_IDLE
				       ? a->flows[i].idle
				       : (uint64_t)a->flows[i].packets[0] + a->flows[i].packets[1]};
		if (!matches(q, r))
			continue;
		if (++q->n == 2 * ROWS)
			settle(q);
	}
}

/* True if further rows could still be shown. */
static bool wants_more(const struct query *q)
{
	return q->top != TOP_NONE || q->n < ROWS;
}

static void gather(struct mt_ctl *c, struct query *q)
{
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_flow_ask *a = begin(c, w, &q->expr);
		bool answered = a && ask(c, w);

		while (answered && wants_more(q)) {
			take(c, q, w, a);
			if (!a->more)
				break;
			answered = ask(c, w);
		}
		if (!answered)
			json_array_append_new(q->silent, json_integer(w));
	}
	settle(q);
}

/* ---- arguments ------------------------------------------------------------------------------- */

/* Parses "... top FIELD" at the end; *n: number of words before it. */
static int take_top(const struct mt_request *r, struct query *q, uint32_t *n, struct mt_err *e)
{
	const char *word;

	*n = r->n_args;
	if (r->n_args < 2 || strcmp(r->args[r->n_args - 2], "top") != 0)
		return 0;
	*n -= 2;
	word = r->args[*n + 1];
	q->top = strcmp(word, "packets") == 0 ? TOP_PACKETS
		 : strcmp(word, "idle") == 0  ? TOP_IDLE
					      : TOP_NONE;
	return q->top == TOP_NONE ? mt_err(e, -EINVAL, "top %.40s: write packets or idle", word)
				  : 0;
}

/* Both the arguments and `where` select. */
static int parse(const struct mt_request *r, struct query *q, struct mt_err *e)
{
	static const struct row none = {.service = ""};
	const char *more = r->view ? r->view->where : "";
	char own[MT_CTL_LINE + 1], expr[2 * MT_CTL_LINE + 8];
	uint32_t n;
	int rc = take_top(r, q, &n, e);

	if (rc)
		return rc;
	mt_ctl_join_words(r->args, n, own, sizeof(own));
	snprintf(expr, sizeof(expr), *own && *more ? "(%s) (%s)" : "%s%s", own, more);
	q->sample = json_array();
	add(q->sample, &none);
	mt_expr_names_of_fields(&q->names, FIELDS);
	mt_view_names(&q->names, q->sample);
	rc = mt_ctl_expr_of(&q->expr, expr, &q->names, FIELDS, e);
	if (rc == 0 && r->view)
		mt_view_show_expr(r->view, &q->expr, &q->names);
	return rc;
}

static uint64_t total(const struct mt_ctl *c)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		sum += l ? mt_l4_flows(l) : 0;
	}
	return sum;
}

static json_t *rows_of(const struct query *q)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < q->n; i++)
		add(list, &q->rows[i]);
	return list;
}

json_t *mt_show_flow_list(struct mt_ctl *c, const struct mt_request *r)
{
	struct query *q = calloc(1, sizeof(*q));
	json_t *all = NULL;
	struct mt_err e;

	if (!q)
		return NULL;
	if (parse(r, q, &e)) {
		all = mt_ctl_wrong(&e);
	} else {
		q->silent = json_array();
		gather(c, q);
		all = mt_json_object(
			MT_M("flows", total(c)), MT_M("shown", q->n), MT_M("list", rows_of(q)));
		if (json_array_size(q->silent))
			json_object_set(all, "workers_without_answer", q->silent);
		mt_render_absent(all, "workers_without_answer");
	}
	json_decref(q->silent);
	json_decref(q->sample);
	free(q);
	return all;
}

void mt_offer_flows(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	if (r->n_args && strcmp(r->args[r->n_args - 1], "top") == 0) {
		mt_offer(o, "packets", "in both directions");
		mt_offer(o, "idle", "since the last packet");
		return;
	}
	if (!r->view)
		mt_offer(o, "top", "those that have the most of a field");
	mt_offer_expression(c, FIELDS, o);
}

/* ---- the tables ------------------------------------------------------------------------------ */

static void add_table(json_t *list, uint16_t worker, struct mt_l4 *l)
{
	const uint64_t *n = mt_l4_counters(l);
	struct mt_l4_usage u;

	mt_l4_usage(l, &u);
	mt_json_add(list, MT_M("worker", worker), MT_M("flows", u.flows),
		MT_M("capacity", u.capacity), MT_M("kept", u.kept), MT_M("kept_max", u.kept_max),
		MT_M("made", mt_count_read(&n[MT_L4_flows_made])),
		MT_M("expired", mt_count_read(&n[MT_L4_flows_expired])),
		MT_M("closed", mt_count_read(&n[MT_L4_flows_closed])),
		MT_M("ended", mt_count_read(&n[MT_L4_flows_ended])),
		MT_M("evicted", mt_count_read(&n[MT_L4_flows_evicted])),
		MT_M("over_share", mt_count_read(&n[MT_L4_flows_over_share])),
		MT_M("table_full", mt_count_read(&n[MT_L4_table_full])),
		MT_M("forwarded", mt_count_read(&n[MT_L4_forwarded])));
}

json_t *mt_show_flows(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		if (l)
			add_table(list, w, l);
	}
	return mt_json_object(MT_M("flows", total(c)), MT_M("workers", list));
}
