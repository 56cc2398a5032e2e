/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries that only a worker can answer, and actions that only it can take. The worker copies a
 * slice per request, so that packets do not wait while it walks a million connections; the next
 * request continues after the last one.
 */
#include "ask.h"
#include "mt_tls_layer.h"

#include <errno.h>
#include <string.h>

#define ASK_MS	 1000
#define LOOK_MAX 4096 /* objects visited per request */
/*
 * Of a request to close connections: calls that end with them, after which the rest waits for the
 * next request, and connections, also those without calls.
 */
#define CLOSE_CALLS 64
#define CLOSE_CONNS 16

const char *mt_ask_tls(const struct mt_conn_use *use)
{
	return !use->tls ? NULL : use->tls == 0x0304 ? "1.3" : "1.2";
}

const char *mt_ask_cipher(const struct mt_conn_use *use)
{
	return use->tls ? mt_tls_cipher_str((enum mt_tls_cipher)use->cipher) : NULL;
}

/* `src` is the side that opened the connection, whichever side is local. */
static void know_connection(
	uint16_t worker, const struct mt_ask_connection *a, struct mt_expr_values *v)
{
	const struct mt_tcp_info *t = &a->tcp;
	bool in = t->accepted;

	v->known = 0;
	mt_expr_set_number(v, MT_EXPR_worker, worker);
	mt_expr_set_addr(v, MT_EXPR_src, in ? &t->tuple.remote : &t->tuple.local);
	mt_expr_set_addr(v, MT_EXPR_dst, in ? &t->tuple.local : &t->tuple.remote);
	mt_expr_set_number(v, MT_EXPR_sport, in ? t->tuple.rport : t->tuple.lport);
	mt_expr_set_number(v, MT_EXPR_dport, in ? t->tuple.lport : t->tuple.rport);
	mt_expr_set_str(v, MT_EXPR_state, t->state);
	mt_expr_set_str(v, MT_EXPR_side, in ? "client" : "server");
	mt_expr_set_number(v, MT_EXPR_age, t->age_ns);
	mt_expr_set_number(v, MT_EXPR_bytes, t->bytes_in + t->bytes_out);
	mt_expr_set_number(v, MT_EXPR_queued, t->tx_bytes);
	mt_expr_set_number(v, MT_EXPR_retransmits, t->retransmits);
	mt_expr_set_number(v, MT_EXPR_rtt, t->srtt_us * MT_USEC);
	mt_expr_set_number(v, MT_EXPR_rto, t->rto_ms * MT_MSEC);
	mt_expr_set_number(v, MT_EXPR_cwnd, t->snd_cwnd);
	mt_expr_set_number(v, MT_EXPR_mss, t->mss);
	mt_expr_set_number(v, MT_EXPR_unacked, t->unacked);
	mt_expr_set_number(v, MT_EXPR_timeouts, t->timeouts);
	mt_expr_set_number(v, MT_EXPR_zero_windows, t->zero_windows);
	mt_expr_set_number(v, MT_EXPR_calls, a->use.calls);
	mt_expr_set_str(v, MT_EXPR_tls, mt_ask_tls(&a->use));
	mt_expr_set_str(v, MT_EXPR_encrypted, a->use.tls ? "yes" : "no");
	mt_expr_set_str(v, MT_EXPR_cipher, mt_ask_cipher(&a->use));
	mt_expr_set_str(v, MT_EXPR_peer, a->use.peer[0] ? a->use.peer : NULL);
}

void mt_ask_know(uint16_t worker, const struct mt_ask_connection *a, const struct mt_ask_more *more,
	struct mt_expr_values *v)
{
	know_connection(worker, a, v);
	mt_expr_set_number(v, MT_EXPR_rate, more->rate);
	mt_expr_set_str(v, MT_EXPR_service, more->service);
	mt_expr_set_str(v, MT_EXPR_cluster, more->cluster);
}

/*
 * A worker knows neither rates, nor names, nor columns. It keeps every connection that may match;
 * the control thread evaluates the expression again.
 */
static bool next_connection(struct mt_worker *w, struct mt_ask *a)
{
	struct mt_ask_connection *c = &a->rows[a->n];
	struct mt_expr_values v;

	if (!mt_tcp_info_next(mt_worker_tcp(w), &a->idx, &c->tcp))
		return false;
	mt_proxy_use(mt_worker_proxy(w), c->tcp.stream, &c->use);
	know_connection(mt_worker_index(w), c, &v);
	a->n += mt_expr_eval(&a->expr, &v) != MT_TRI_NO;
	return true;
}

/* True if the exchange may match the expression: columns are unknown here. */
static bool call_wanted(const struct mt_ask *a, const struct mt_record *r)
{
	struct mt_record_texts made;
	struct mt_expr_values v;

	/* Build no texts for an empty expression: packets wait meanwhile. */
	if (!a->expr.n_terms)
		return true;
	v.known = 0;
	mt_record_know(r, &made, &v);
	return mt_expr_eval(&a->expr, &v) != MT_TRI_NO;
}

static bool next_exchange(struct mt_worker *w, struct mt_ask *a)
{
	if (!mt_proxy_record_next(mt_worker_proxy(w), &a->idx, &a->calls[a->n]))
		return false;
	a->n += call_wanted(a, &a->calls[a->n]);
	return true;
}

static void copy_slow(struct mt_worker *w, struct mt_ask *a)
{
	uint32_t n = mt_slow_read(mt_proxy_slow(mt_worker_proxy(w)), a->calls, MT_ASK_ROWS);

	for (uint32_t i = 0; i < n; i++)
		if (call_wanted(a, &a->calls[i]))
			a->calls[a->n++] = a->calls[i];
}

static void copy_flows(struct mt_worker *w, struct mt_ask *a)
{
	const struct mt_l4 *l = mt_worker_l4(w);
	uint32_t end = a->idx + LOOK_MAX;
	struct mt_expr_values v;

	while (l && a->n < MT_ASK_ROWS && mt_l4_flow_next(l, &a->idx, end, &a->flows[a->n])) {
		mt_ask_know_flow(mt_worker_index(w), &a->flows[a->n], &v);
		a->n += mt_expr_eval(&a->expr, &v) != MT_TRI_NO;
	}
	a->more = l && a->idx < mt_l4_places(l);
}

static void copy_denied(struct mt_worker *w, struct mt_ask *a)
{
	const struct mt_denied *d = mt_proxy_denied(mt_worker_proxy(w));

	a->n = d->n;
	memcpy(a->denied, d->v, d->n * sizeof(d->v[0]));
}

/* Copies the largest holders of each class; every class gets an equal share of the rows. */
static void copy_holders(struct mt_worker *w, struct mt_ask *a)
{
	const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(w));
	const struct mt_holder *of[MT_ASK_ROWS / MT_N_CLASSES];

	for (int c = 0; c < MT_N_CLASSES; c++) {
		uint32_t n = mt_ledger_largest(l, c, of, MT_ARRAY_LEN(of));

		for (uint32_t i = 0; i < n; i++)
			a->holders[a->n++] = (struct mt_ask_holder){of[i]->key, of[i]->prefix,
				of[i]->side, (enum mt_class)c, of[i]->n, of[i]->charged[c]};
	}
}

/* Returns the number of calls that were under way on the connection. */
static uint32_t close_one(struct mt_worker *w, struct mt_ask_close *c)
{
	struct mt_tcp_info info;
	struct mt_conn_use use;
	uint32_t idx = c->index;

	c->there = mt_tcp_info_next(mt_worker_tcp(w), &idx, &info) && info.index == c->index &&
		   info.born_ms == c->born_ms;
	if (!c->there)
		return 0;
	mt_proxy_use(mt_worker_proxy(w), info.stream, &use);
	c->accepted = info.accepted;
	c->tuple = info.tuple;
	c->done = mt_proxy_close(mt_worker_proxy(w), info.stream, c->at_once);
	return use.calls;
}

static void close_some(struct mt_worker *w, struct mt_ask *a)
{
	uint32_t calls = 0;

	for (uint32_t n = 0; a->idx < a->n && n < CLOSE_CONNS && calls < CLOSE_CALLS; n++)
		calls += close_one(w, &a->closes[a->idx++]);
	a->more = a->idx < a->n;
}

static void return_all(struct mt_worker *w, struct mt_ask *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct mt_ask_return *r = &a->returns[i];

		r->done = mt_proxy_return(
			mt_worker_proxy(w), r->ep, r->ep_id, r->cluster, &r->addr, r->port);
	}
}

static void copy_rows(struct mt_worker *w, struct mt_ask *a)
{
	uint32_t looked = 0;

	a->n = 0;
	if (a->what == MT_ASK_SLOW) {
		copy_slow(w, a);
		return;
	}
	if (a->what == MT_ASK_FLOWS) {
		copy_flows(w, a);
		return;
	}
	if (a->what == MT_ASK_HOLDERS) {
		copy_holders(w, a);
		return;
	}
	if (a->what == MT_ASK_DENIED) {
		copy_denied(w, a);
		return;
	}
	while (a->n < MT_ASK_ROWS && looked++ < LOOK_MAX) {
		a->more =
			a->what == MT_ASK_CONNECTIONS ? next_connection(w, a) : next_exchange(w, a);
		if (!a->more)
			break;
	}
}

/* Runs on the worker. */
static void answer(struct mt_worker *w, void *arg)
{
	struct mt_ask *a = arg;

	a->more = false;
	if (a->what == MT_ASK_CLOSE)
		close_some(w, a);
	else if (a->what == MT_ASK_RETURN)
		return_all(w, a);
	else
		copy_rows(w, a);
	__atomic_store_n(&a->under_way, false, __ATOMIC_RELEASE);
}

static const struct mt_ask *put(struct mt_ctl *c, uint16_t worker, struct mt_ask *a)
{
	int rc;

	a->under_way = true;
	rc = mt_worker_call(c->env.workers[worker], answer, a, ASK_MS);
	/* The mailbox is full, so the request was not queued. */
	if (rc == -EAGAIN)
		a->under_way = false;
	return rc == 0 ? a : NULL;
}

struct mt_ask *mt_ask_for(struct mt_ctl *c, uint16_t worker, enum mt_ask_what what)
{
	struct mt_ask **a = &c->asks[worker];

	if (!*a)
		*a = calloc(1, sizeof(**a));
	/* A worker may still write to a request that timed out earlier. */
	if (!*a || __atomic_load_n(&(*a)->under_way, __ATOMIC_ACQUIRE))
		return NULL;
	(*a)->what = what;
	(*a)->idx = (*a)->n = 0;
	return *a;
}

bool mt_ask_run(struct mt_ctl *c, uint16_t worker)
{
	return put(c, worker, c->asks[worker]) != NULL;
}

const struct mt_ask *mt_ask(
	struct mt_ctl *c, uint16_t worker, enum mt_ask_what what, const struct mt_expr *x)
{
	struct mt_ask *a = mt_ask_for(c, worker, what);

	if (!a)
		return NULL;
	a->expr = *x;
	return put(c, worker, a);
}

const struct mt_ask *mt_ask_more(struct mt_ctl *c, uint16_t worker)
{
	struct mt_ask *a = c->asks[worker];

	return a->more ? put(c, worker, a) : NULL;
}
