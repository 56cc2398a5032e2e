/* SPDX-License-Identifier: Apache-2.0 */
/* Connections and exchanges under way; and the slowest calls of those that ended. */
#include "select.h"
#include "tune.h"

#include <string.h>

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

/* ---- connections ---------------------------------------------------------------------------- */

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

static void fill_connection(struct mt_ctl *c, const struct mt_ask *a, uint32_t i,
	struct mt_select_row *r, struct mt_select_values *v)
{
	struct mt_ask_more more;

	r->conn = a->rows[i].tcp;
	r->use = a->rows[i].use;
	r->rate = mt_pace_look(c, r->worker, &r->conn);
	r->service = service_of(c, &r->conn);
	r->cluster = cluster_of(c, &r->use);
	more = (struct mt_ask_more){r->rate.in + r->rate.out, r->service, r->cluster};
	mt_ask_know(r->worker, &a->rows[i], &more, &v->fields);
}

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

static void add_connection(json_t *list, const struct mt_select_row *r)
{
	const struct mt_tcp_info *t = &r->conn;
	char id[MT_CONN_ID];
	json_t *row = mt_json_add(list, MT_M("id", mt_conn_id(r->worker, t->index, t->born_ms, id)),
		MT_M("worker", r->worker), MT_M("side", t->accepted ? "client" : "server"),
		MT_M("local", mt_select_place(&t->tuple.local, t->tuple.lport)),
		MT_M("remote", mt_select_place(&t->tuple.remote, t->tuple.rport)),
		MT_M("state", t->state),
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

static const struct mt_select_kind connections = {
	.name = "connections",
	.what = MT_ASK_CONNECTIONS,
	.fields = CONNECTION_FIELDS,
	.fill = fill_connection,
	.add = add_connection,
	.tops = MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes) | MT_EXPR_BIT(queued) |
		MT_EXPR_BIT(retransmits) | MT_EXPR_BIT(rtt) | MT_EXPR_BIT(rate) |
		MT_EXPR_BIT(unacked) | MT_EXPR_BIT(zero_windows) | MT_EXPR_BIT(calls),
	.sorted = MT_EXPR_N_FIELDS,
};

json_t *mt_show_connections(struct mt_ctl *c, const struct mt_request *r)
{
	uint32_t conns, half_open, time_wait;
	uint64_t total = 0;
	json_t *all = mt_select(c, r, &connections);

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		mt_tcp_counts(mt_worker_tcp(c->env.workers[w]), &conns, &half_open, &time_wait);
		total += conns;
	}
	if (all && !json_object_get(all, "error"))
		mt_json_set(all, MT_M("total", total));
	return all;
}

void mt_offer_connections(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	mt_select_offer(c, r, &connections, o);
}

/* ---- exchanges ------------------------------------------------------------------------------ */

static void fill_call(struct mt_ctl *c, const struct mt_ask *a, uint32_t i, struct mt_select_row *r,
	struct mt_select_values *v)
{
	r->call = a->calls[i];
	mt_record_know(&r->call, &v->made, &v->fields);
}

static json_t *add_call(json_t *list, const struct mt_select_row *r, bool over)
{
	const struct mt_record *i = &r->call;
	char name[MT_EXCHANGE_NAME];

	mt_exchange_name(i->worker, i->exchange, name);
	return mt_json_add(list, MT_M("exchange", name),
		MT_M("client", mt_select_place(&i->client, i->client_port)),
		MT_M("service", i->service), MT_M("method", i->method), MT_M("route", i->route),
		MT_M("endpoint", mt_select_place(&i->server, i->server_port)),
		MT_M(over ? "status" : "state", i->state),
		MT_M(over ? "took_us" : "age_us", i->took / MT_USEC), MT_M("queue_us", i->queue_us),
		MT_M("connect_us", i->connect_us), MT_M("server_us", i->server_us),
		MT_M("reply_us", i->reply_us), MT_M("bytes", i->bytes_in + i->bytes_out),
		MT_M("tries", i->tries + 1u));
}

static void add_exchange(json_t *list, const struct mt_select_row *r)
{
	add_call(list, r, false);
}

static const struct mt_select_kind exchanges = {
	.name = "exchanges",
	.what = MT_ASK_EXCHANGES,
	.fields = CALL_FIELDS | MT_EXPR_BIT(state) | MT_EXPR_BIT(age),
	.fill = fill_call,
	.add = add_exchange,
	.cut = true,
	.tops = MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes),
	.sorted = MT_EXPR_age,
};

json_t *mt_show_exchanges(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_select(c, r, &exchanges);
}

void mt_offer_exchanges(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	mt_select_offer(c, r, &exchanges, o);
}

static void add_slow(json_t *list, const struct mt_select_row *r)
{
	const struct mt_span *s = &r->call.span;
	char trace[2 * MT_TRACE_ID + 1];
	json_t *row = add_call(list, r, true);

	mt_json_set(row,
		MT_M("trace", mt_json_known(s->len ? mt_span_hex(s->trace, s->len, trace) : NULL)));
	mt_set_time(row, "ended", (int64_t)((r->call.wall + r->call.took) / MT_MSEC));
}

static const struct mt_select_kind slow = {
	.name = "slow",
	.what = MT_ASK_SLOW,
	.fields = CALL_FIELDS | MT_EXPR_BIT(status) | MT_EXPR_BIT(took),
	.fill = fill_call,
	.add = add_slow,
	.cut = true,
	.tops = MT_EXPR_BIT(age) | MT_EXPR_BIT(bytes),
	.sorted = MT_EXPR_age,
};

json_t *mt_show_slow(struct mt_ctl *c, const struct mt_request *r)
{
	return mt_select(c, r, &slow);
}

void mt_offer_slow(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	mt_offer_expression(c, slow.fields, o);
}
