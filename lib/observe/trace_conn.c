/* SPDX-License-Identifier: Apache-2.0 */
/* Follows one connection: the first that the expression selects, until it ends. */
#include "mt_trace_priv.h"

#define FIN 0x01u
#define RST 0x04u

static void conn_of(const struct mt_trace_note *n, struct mt_tuple *conn)
{
	const struct mt_trace_packet *p = &n->p;

	*conn = (struct mt_tuple){.local = n->tx ? p->src : p->dst,
		.remote = n->tx ? p->dst : p->src,
		.lport = n->tx ? p->sport : p->dport,
		.rport = n->tx ? p->dport : p->sport};
}

static bool same(const struct mt_tuple *a, const struct mt_tuple *b)
{
	return a->lport == b->lport && a->rport == b->rport && mt_addr_eq(&a->local, &b->local) &&
	       mt_addr_eq(&a->remote, &b->remote);
}

bool mt_trace_follows(const struct mt_trace *t, const struct mt_tuple *conn)
{
	return t->followed.state != MT_TRACE_CONN_NONE && same(&t->followed.conn, conn);
}

void mt_trace_note_tcp(struct mt_trace *t, const struct mt_trace_note *n)
{
	struct mt_expr_values v = {0};

	if (!t->conf.connection || t->followed.state != MT_TRACE_CONN_NONE || !n->p.sport)
		return;
	mt_trace_know_packet(n, t->conf.worker, &v);
	if (mt_expr_eval(&t->conf.expr, &v) != MT_TRI_YES)
		return;
	conn_of(n, &t->followed.conn);
	__atomic_store_n(&t->followed.state, MT_TRACE_CONN_FOLLOWED, __ATOMIC_RELEASE);
}

/*
 * Detects the end: a FIN of each side, or a reset. Later acknowledgements in the same loop
 * iteration are still shown, others are not.
 */
static void look_for_end(struct mt_trace_conn *f, const struct mt_trace_note *n)
{
	bool fin = n->p.flags & FIN, reset = n->p.flags & RST;

	if (f->state != MT_TRACE_CONN_FOLLOWED || !(fin || reset))
		return;
	if (!f->fin_in && !f->fin_out)
		f->by_us = n->tx;
	f->fin_in |= fin && !n->tx;
	f->fin_out |= fin && n->tx;
	if (reset)
		__atomic_store_n(&f->state, MT_TRACE_CONN_RESET, __ATOMIC_RELEASE);
	else if (f->fin_in && f->fin_out)
		__atomic_store_n(&f->state, MT_TRACE_CONN_CLOSED, __ATOMIC_RELEASE);
}

bool mt_trace_conn_packet(struct mt_trace *t, const struct mt_trace_note *n)
{
	struct mt_tuple conn;

	conn_of(n, &conn);
	if (!mt_trace_follows(t, &conn) || n->owner >= 0)
		return false;
	look_for_end(&t->followed, n);
	return true;
}
