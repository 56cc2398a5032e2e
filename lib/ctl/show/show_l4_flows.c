/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that are forwarded at layer 4: the use of each worker's table, and single flows. */
#include "select.h"

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

/* ---- single flows ---------------------------------------------------------------------------- */

void mt_ask_know_flow(uint16_t worker, const struct mt_l4_flow *f, struct mt_expr_values *v)
{
	v->known = 0;
	mt_expr_set_number(v, MT_EXPR_worker, worker);
	mt_expr_set_addr(v, MT_EXPR_src, &f->client);
	mt_expr_set_addr(v, MT_EXPR_dst, &f->vip);
	mt_expr_set_number(v, MT_EXPR_sport, f->client_port);
	mt_expr_set_number(v, MT_EXPR_dport, f->vip_port);
	mt_expr_set_str(v, MT_EXPR_state, state_of(f));
}

static const char *service_of(const struct mt_ctl *c, uint32_t id)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_l4_service *v = s && s->l4 ? mt_l4_service(s->l4, id) : NULL;

	return v ? v->name : NULL;
}

static void fill(struct mt_ctl *c, const struct mt_ask *a, uint32_t i, struct mt_select_row *r,
	struct mt_select_values *v)
{
	const struct mt_l4_flow *f = &r->flow;

	r->flow = a->flows[i];
	r->service = service_of(c, f->service);
	mt_ask_know_flow(r->worker, f, &v->fields);
	mt_expr_set_str(&v->fields, MT_EXPR_service, r->service);
	mt_expr_set_str(&v->fields, MT_EXPR_endpoint,
		mt_addr_port_str(&f->endpoint, f->endpoint_port, v->made.endpoint));
}

static void add(json_t *list, const struct mt_select_row *r)
{
	const struct mt_l4_flow *f = &r->flow;

	mt_json_add(list, MT_M("worker", r->worker),
		MT_M("client", mt_select_place(&f->client, f->client_port)),
		MT_M("vip", mt_select_place(&f->vip, f->vip_port)),
		MT_M("source", mt_select_place(&f->source, f->source_port)),
		MT_M("endpoint", mt_select_place(&f->endpoint, f->endpoint_port)),
		MT_M("protocol", mt_ctl_transport(f->proto)), MT_M("mode", mode_of(f)),
		MT_M("service", mt_json_known(r->service)), MT_M("state", state_of(f)),
		MT_M("kept", json_boolean(f->kept)), MT_M("packets_in", f->packets[0]),
		MT_M("packets_out", f->packets[1]), MT_M("idle_ms", f->idle / MT_MSEC),
		MT_M("expires_ms", expires_of(f) / MT_MSEC));
}

static uint64_t by_packets(const struct mt_select_row *r)
{
	return (uint64_t)r->flow.packets[0] + r->flow.packets[1];
}

static uint64_t by_idle(const struct mt_select_row *r)
{
	return r->flow.idle;
}

static const struct mt_select_order orders[] = {{"packets", "in both directions", by_packets},
	{"idle", "since the last packet", by_idle}, {.name = NULL}};
static const struct mt_select_kind kind = {
	.name = "list",
	.what = MT_ASK_FLOWS,
	.fields = MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |
		  MT_EXPR_BIT(dport) | MT_EXPR_BIT(state) | MT_EXPR_BIT(worker) |
		  MT_EXPR_BIT(service) | MT_EXPR_BIT(endpoint),
	.fill = fill,
	.add = add,
	.orders = orders,
	.sorted = MT_EXPR_N_FIELDS,
};

static uint64_t total(const struct mt_ctl *c)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		sum += l ? mt_l4_flows(l) : 0;
	}
	return sum;
}

json_t *mt_show_flow_list(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *found = mt_select(c, r, &kind), *all;

	if (!found || json_object_get(found, "error"))
		return found;
	/* Numbers first. */
	all = mt_json_object(MT_M("flows", total(c)), MT_M("shown", 0));
	json_object_update(all, found);
	json_decref(found);
	return all;
}

void mt_offer_flows(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	mt_select_offer(c, r, &kind, o);
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
