/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections and exchanges under way, selected by expressions and sorted; and the slowest calls of
 * those that ended.
 */
#include "mt_ctl_priv.h"
#include "names.h"
#include "tune.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROWS 512 /* rows shown */

#define CONNECTION_FIELDS                                                                          \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(state) | MT_EXPR_BIT(side) |                      \
		MT_EXPR_BIT(worker) | MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes) |                      \
		MT_EXPR_BIT(queued) | MT_EXPR_BIT(retransmits) | MT_EXPR_BIT(rtt) |                \
		MT_EXPR_BIT(rto) | MT_EXPR_BIT(cwnd) | MT_EXPR_BIT(mss) | MT_EXPR_BIT(unacked) |   \
		MT_EXPR_BIT(timeouts) | MT_EXPR_BIT(zero_windows) | MT_EXPR_BIT(rate) |            \
		MT_EXPR_BIT(calls) | MT_EXPR_BIT(service) | MT_EXPR_BIT(cluster) |                 \
		MT_EXPR_BIT(tls) | MT_EXPR_BIT(cipher) | MT_EXPR_BIT(peer))
#define CALL_FIELDS                                                                                \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(proto) | MT_EXPR_BIT(service) |                   \
		MT_EXPR_BIT(method) | MT_EXPR_BIT(route) | MT_EXPR_BIT(endpoint) |                 \
		MT_EXPR_BIT(exchange) | MT_EXPR_BIT(worker) | MT_EXPR_BIT(bytes))
#define EXCHANGE_FIELDS (CALL_FIELDS | MT_EXPR_BIT(state) | MT_EXPR_BIT(age))
#define SLOW_FIELDS	(CALL_FIELDS | MT_EXPR_BIT(status) | MT_EXPR_BIT(took))

struct row {
	uint64_t key; /* sort key, largest first */
	uint16_t worker;
	struct mt_rate rate; /* connections only, like `use` and the names below */
	struct mt_conn_use use;
	const char *service, *cluster; /* NULL: unknown */
	union {
		struct mt_tcp_info conn;
		struct mt_record call;
	};
};

/* State of one command. */
struct flows {
	enum mt_ask_what what;
	void (*add)(json_t *list, const struct row *row);
	struct mt_expr expr;
	struct mt_expr_names names; /* fields, and the columns of `add` */
	json_t *sample;		    /* a row, which holds the names of the columns */
	/* Field to sort by, largest first; MT_EXPR_N_FIELDS: unsorted. */
	enum mt_expr_field top;
	struct row *rows; /* 2 * ROWS; settle() keeps the first ROWS */
	uint32_t n;
	bool count;	  /* look at all, also beyond ROWS */
	uint64_t matched; /* of those that were looked at */
	/* Workers that did not answer; without this list they would look idle. */
	json_t *silent;
};

static json_t *where(const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];

	return mt_json_text(mt_addr_is_zero(a) ? "-" : mt_addr_port_str(a, port, text));
}

/* ---- gathering ------------------------------------------------------------------------------ */

static int by_key(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->key < y->key ? 1 : x->key > y->key ? -1 : 0;
}

static void settle(struct flows *f)
{
	if (f->top != MT_EXPR_N_FIELDS)
		qsort(f->rows, f->n, sizeof(*f->rows), by_key);
	f->n = MT_MIN(f->n, (uint32_t)ROWS);
}

/* Service of a client connection, if its listener has only one service. */
static const char *service_of(const struct mt_ctl *c, const struct mt_tcp_info *t)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_listener *l =
		s && t->accepted ? mt_snapshot_listener(s, &t->tuple.local, t->tuple.lport) : NULL;
	const struct mt_service *only = l ? mt_ctl_only_service(l) : NULL;

	return only ? only->name : NULL;
}

static const char *cluster_of(const struct mt_ctl *c, const struct mt_conn_use *use)
{
	if (use->cluster == UINT32_MAX || !c->env.conf)
		return NULL;
	return mt_upstream_cluster_name(mt_conf_upstreams(c->env.conf), use->cluster);
}

/* The values of a row: its fields, and its columns, for which the row is built when needed. */
struct values {
	const struct flows *f;
	const struct row *r;
	struct mt_expr_values fields;
	struct mt_view_row columns;
	json_t *built;
};

static struct mt_value value_of(void *arg, uint32_t id)
{
	struct values *v = arg;

	if (id < MT_EXPR_N_FIELDS)
		return mt_expr_field_value(&v->fields, id);
	if (!v->built) {
		v->built = json_array();
		v->f->add(v->built, v->r);
		v->columns.row = json_array_get(v->built, 0);
	}
	return mt_view_value(&v->columns, id);
}

/* True if the row matches; sets its key. */
static bool fits(struct values *v, struct row *r)
{
	struct mt_value got = mt_expr_run(&v->f->expr, value_of, v);

	json_decref(v->built);
	if (v->f->top != MT_EXPR_N_FIELDS)
		r->key = v->fields.v[v->f->top].number;
	return got.type == MT_VALUE_BOOL && got.yes;
}

/* Fills the row; false: it does not match the expression. */
static bool fill(
	struct mt_ctl *c, const struct flows *f, const struct mt_ask *a, uint32_t i, struct row *r)
{
	struct values v = {.f = f, .r = r, .columns.names = &f->names};
	struct mt_record_texts made;
	struct mt_ask_more more;

	if (f->what != MT_ASK_CONNECTIONS) {
		r->call = a->calls[i];
		mt_record_know(&r->call, &made, &v.fields);
		return fits(&v, r);
	}
	r->conn = a->rows[i].tcp;
	r->use = a->rows[i].use;
	r->rate = mt_pace_look(c, r->worker, &r->conn);
	r->service = service_of(c, &r->conn);
	r->cluster = cluster_of(c, &r->use);
	more = (struct mt_ask_more){r->rate.in + r->rate.out, r->service, r->cluster};
	mt_ask_know(r->worker, &a->rows[i], &more, &v.fields);
	return fits(&v, r);
}

static void take(struct mt_ctl *c, struct flows *f, uint16_t worker, const struct mt_ask *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct row *r = &f->rows[f->n];

		r->worker = worker;
		if (!fill(c, f, a, i, r))
			continue;
		f->matched++;
		if (++f->n == 2 * ROWS)
			settle(f);
	}
}

/* True if further rows could still be shown. */
static bool wants_more(const struct flows *f)
{
	return f->count || f->top != MT_EXPR_N_FIELDS || f->n < ROWS;
}

static void gather(struct mt_ctl *c, struct flows *f)
{
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ask *a = mt_ask(c, w, f->what, &f->expr);

		while (a && wants_more(f)) {
			take(c, f, w, a);
			if (!a->more)
				break;
			a = mt_ask_more(c, w);
		}
		if (!a)
			json_array_append_new(f->silent, json_integer(w));
	}
	settle(f);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* Parses "... top FIELD" at the end; *n: number of words before it. */
static int take_top(
	const struct mt_request *r, uint64_t tops, struct flows *f, uint32_t *n, struct mt_err *e)
{
	const struct mt_expr_name *top;
	const char *word;

	*n = r->n_args;
	if (r->n_args < 2 || strcmp(r->args[r->n_args - 2], "top") != 0)
		return 0;
	*n -= 2;
	word = r->args[*n + 1];
	mt_expr_names_of_fields(&f->names, tops);
	top = mt_expr_name_find(&f->names, word, strlen(word), e);
	if (top)
		f->top = top->id;
	if (top && r->view)
		mt_view_show(r->view, top->name);
	return top ? 0 : -EINVAL;
}

/* Records keep only the start of a long name, so a longer value is cut to a prefix match. */
static void match_what_is_kept(struct mt_expr *x)
{
	for (uint32_t i = 0; i < x->n_terms; i++) {
		struct mt_expr_term *t = &x->terms[i];
		char *value = x->texts + t->text;
		uint32_t room = t->field == MT_EXPR_service  ? MT_RECORD_SERVICE
				: t->field == MT_EXPR_route  ? MT_RECORD_ROUTE
				: t->field == MT_EXPR_method ? MT_RECORD_METHOD
							     : UINT32_MAX;

		if (t->cmp > MT_EXPR_NE || t->len <= room || memchr(value, '*', room))
			continue;
		value[room] = '*';
		t->len = (uint16_t)(room + 1);
	}
}

/* Names of an expression: the fields, then the columns of the answer, by a row without a call. */
static void make_names(struct flows *f, uint64_t fields)
{
	static const struct row none = {.service = "", .cluster = ""};

	f->sample = json_array();
	f->add(f->sample, &none);
	mt_expr_names_of_fields(&f->names, fields);
	mt_view_names(&f->names, f->sample);
}

/* Both the arguments and `where` select. */
static int parse(const struct mt_request *r, uint64_t fields, uint64_t tops, struct flows *f,
	struct mt_err *e)
{
	const char *where = r->view ? r->view->where : "";
	char own[MT_CTL_LINE + 1], expr[2 * MT_CTL_LINE + 8];
	uint32_t n;
	int rc = take_top(r, tops, f, &n, e);

	if (rc)
		return rc;
	mt_ctl_join_words(r->args, n, own, sizeof(own));
	snprintf(expr, sizeof(expr), *own && *where ? "(%s) (%s)" : "%s%s", own, where);
	make_names(f, fields);
	rc = mt_ctl_expr_of(&f->expr, expr, &f->names, fields, e);
	if (rc == 0 && r->view)
		mt_view_show_expr(r->view, &f->expr, &f->names);
	if (rc == 0 && f->what != MT_ASK_CONNECTIONS)
		match_what_is_kept(&f->expr);
	return rc;
}

static json_t *show(struct mt_ctl *c, const struct mt_request *r, struct flows *f, const char *name,
	uint64_t fields, uint64_t tops)
{
	json_t *list, *all;
	struct mt_err e;

	if (parse(r, fields, tops, f, &e) < 0) {
		json_decref(f->sample);
		return mt_ctl_wrong(&e);
	}
	f->rows = calloc(2 * ROWS, sizeof(*f->rows));
	if (!f->rows) {
		json_decref(f->sample);
		return NULL;
	}
	f->silent = json_array();
	f->count = r->view && r->view->count;
	gather(c, f);
	list = json_array();
	for (uint32_t i = 0; i < f->n; i++)
		f->add(list, &f->rows[i]);
	all = mt_json_object(MT_M(name, list));
	mt_json_set(all, MT_M("shown", json_array_size(list)));
	if (f->count)
		mt_json_set(all, MT_M("matched", f->matched));
	if (json_array_size(f->silent))
		json_object_set(all, "workers_without_answer", f->silent);
	mt_render_absent(all, "workers_without_answer");
	json_decref(f->silent);
	json_decref(f->sample);
	free(f->rows);
	return all;
}

/* ---- connections ---------------------------------------------------------------------------- */

/* Adds members that explain what limits the connection's throughput. */
static void add_state_of_tcp(json_t *row, const struct mt_tcp_info *t)
{
	mt_json_set(row, MT_M("lost", t->lost), MT_M("unacked", t->unacked),
		MT_M("timeouts", t->timeouts), MT_M("zero_windows", t->zero_windows),
		MT_M("rto_ms", t->rto_ms), MT_M("rttvar_us", t->rttvar_us),
		MT_M("min_rtt_us", t->min_rtt_us), MT_M("mss", t->mss),
		MT_M("ssthresh",
			t->ssthresh == UINT32_MAX ? json_null() : json_integer(t->ssthresh)),
		MT_M("snd_wnd", t->snd_wnd), MT_M("rcv_wnd", t->rcv_wnd),
		MT_M("out_of_order", t->ooo_bytes));
}

static void add_connection(json_t *list, const struct row *r)
{
	const struct mt_tcp_info *t = &r->conn;
	char id[MT_CONN_ID];
	json_t *row = mt_json_add(list, MT_M("id", mt_conn_id(r->worker, t->index, t->born_ms, id)),
		MT_M("worker", r->worker), MT_M("side", t->accepted ? "client" : "server"),
		MT_M("local", where(&t->tuple.local, t->tuple.lport)),
		MT_M("remote", where(&t->tuple.remote, t->tuple.rport)), MT_M("state", t->state),
		MT_M("of", mt_json_known(r->service ? r->service : r->cluster)),
		MT_M("tls", mt_json_known(mt_ask_tls(&r->use))),
		MT_M("cipher", mt_json_known(mt_ask_cipher(&r->use))),
		MT_M("peer", mt_json_known(r->use.peer)), MT_M("calls", r->use.calls),
		MT_M("age_ms", t->age_ns / MT_MSEC), MT_M("bytes_in", t->bytes_in),
		MT_M("bytes_out", t->bytes_out), MT_M("rate", r->rate.in + r->rate.out),
		MT_M("rate_in", r->rate.in), MT_M("rate_out", r->rate.out),
		MT_M("rate_ms", r->rate.over_ms), MT_M("rx_queued", t->rx_bytes),
		MT_M("tx_queued", t->tx_bytes), MT_M("srtt_us", t->srtt_us),
		MT_M("cwnd", t->snd_cwnd), MT_M("retransmits", t->retransmits));

	add_state_of_tcp(row, t);
}

json_t *mt_show_connections(struct mt_ctl *c, const struct mt_request *r)
{
	const uint64_t tops = MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes) | MT_EXPR_BIT(queued) |
			      MT_EXPR_BIT(retransmits) | MT_EXPR_BIT(rtt) | MT_EXPR_BIT(rate) |
			      MT_EXPR_BIT(unacked) | MT_EXPR_BIT(zero_windows) | MT_EXPR_BIT(calls);
	struct flows f = {
		.what = MT_ASK_CONNECTIONS, .top = MT_EXPR_N_FIELDS, .add = add_connection};
	uint32_t conns, half_open, time_wait;
	uint64_t total = 0;
	json_t *all = show(c, r, &f, "connections", CONNECTION_FIELDS, tops);

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		mt_tcp_counts(mt_worker_tcp(c->env.workers[w]), &conns, &half_open, &time_wait);
		total += conns;
	}
	if (all && !json_object_get(all, "error"))
		mt_json_set(all, MT_M("total", total));
	return all;
}

/* ---- exchanges ------------------------------------------------------------------------------ */

static json_t *add_call(json_t *list, const struct row *r, bool over)
{
	const struct mt_record *i = &r->call;
	char name[MT_EXCHANGE_NAME];

	mt_exchange_name(i->worker, i->exchange, name);
	return mt_json_add(list, MT_M("exchange", name),
		MT_M("client", where(&i->client, i->client_port)), MT_M("service", i->service),
		MT_M("method", i->method), MT_M("route", i->route),
		MT_M("endpoint", where(&i->server, i->server_port)),
		MT_M(over ? "status" : "state", i->state),
		MT_M(over ? "took_us" : "age_us", i->took / MT_USEC), MT_M("queue_us", i->queue_us),
		MT_M("connect_us", i->connect_us), MT_M("server_us", i->server_us),
		MT_M("reply_us", i->reply_us), MT_M("bytes", i->bytes_in + i->bytes_out),
		MT_M("tries", i->tries + 1u));
}

static void add_exchange(json_t *list, const struct row *r)
{
	add_call(list, r, false);
}

json_t *mt_show_exchanges(struct mt_ctl *c, const struct mt_request *r)
{
	struct flows f = {.what = MT_ASK_EXCHANGES, .top = MT_EXPR_age, .add = add_exchange};

	return show(c, r, &f, "exchanges", EXCHANGE_FIELDS, MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes));
}

static void add_slow(json_t *list, const struct row *r)
{
	json_t *row = add_call(list, r, true);

	mt_set_time(row, "ended", (int64_t)((r->call.wall + r->call.took) / MT_MSEC));
}

json_t *mt_show_slow(struct mt_ctl *c, const struct mt_request *r)
{
	struct flows f = {.what = MT_ASK_SLOW, .top = MT_EXPR_age, .add = add_slow};

	return show(c, r, &f, "slow", SLOW_FIELDS, MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes));
}

/* ---- completion ----------------------------------------------------------------------------- */

static void offer(
	struct mt_ctl *c, const struct mt_request *r, uint64_t fields, struct mt_offers *o)
{
	if (!r->view)
		mt_offer(o, "top", "those that have the most of a field");
	mt_offer_expression(c, fields, o);
}

void mt_offer_connections(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	offer(c, r, CONNECTION_FIELDS, o);
}

void mt_offer_exchanges(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	offer(c, r, EXCHANGE_FIELDS, o);
}

void mt_offer_slow(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	mt_offer_expression(c, SLOW_FIELDS, o);
}
