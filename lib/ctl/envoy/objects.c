/* SPDX-License-Identifier: Apache-2.0 */
/* /clusters and /listeners: objects and their state. */
#include "mt_envoy_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- endpoints ------------------------------------------------------------------------------ */

struct host {
	char addr[MT_ADDR_STRLEN];
	struct mt_ep_stats st;
	struct mt_ep_answers answers;
	bool ejected, leaving, draining;
	uint32_t priority;
};

static void look_at(struct mt_envoy *e, const struct mt_cluster *cl, uint32_t i, struct host *h)
{
	const struct mt_endpoint *ep = &cl->eps[i];

	memset(h, 0, sizeof(*h));
	mt_endpoint_name(ep, h->addr);
	(void)mt_ctl_ep_stats(e->c, ep->state->index, ep->state->id, &h->st);
	mt_ctl_ep_answers(e->c, ep->state, &h->answers);
	h->ejected = mt_ep_is_out(ep->state);
	h->leaving = mt_ep_is_leaving(ep->state, e->c->now);
	h->draining = __atomic_load_n(&ep->state->draining, __ATOMIC_RELAXED);
	for (uint32_t k = 1; k < cl->n_levels; k++)
		if (i >= cl->levels[k].first)
			h->priority = k;
}

/* Envoy's statistics of a host, in Envoy's order: counters, then gauges. */
struct stat_row {
	const char *name;
	bool gauge;
	uint64_t value;
};
#define HOST_STATS 8

static void stats_of(const struct host *h, struct stat_row rows[HOST_STATS])
{
	const struct stat_row all[HOST_STATS] = {{"cx_connect_fail", false, h->st.connect_failed},
		{"cx_total", false, h->st.conns_opened}, {"rq_error", false, h->answers.errors},
		{"rq_success", false, h->answers.ok}, {"rq_timeout", false, 0},
		{"rq_total", false, h->st.requests}, {"cx_active", true, h->st.conns_active},
		{"rq_active", true, h->st.outstanding}};

	memcpy(rows, all, sizeof(all));
}

static json_t *host_json(struct mt_envoy *e, const struct mt_cluster *cl, uint32_t i)
{
	const struct mt_endpoint *ep = &cl->eps[i];
	const char *zone = mt_endpoint_zone(cl, ep);
	struct stat_row rows[HOST_STATS];
	json_t *stats = json_array(), *health, *j;
	struct host h;
	char n[24];

	look_at(e, cl, i, &h);
	stats_of(&h, rows);
	for (int k = 0; k < HOST_STATS; k++) {
		json_t *row = mt_json_object(MT_M("name", rows[k].name));

		/* Protobuf's JSON omits values of zero. */
		snprintf(n, sizeof(n), "%llu", (unsigned long long)rows[k].value);
		if (rows[k].value)
			mt_json_set(row, MT_M("value", n));
		if (rows[k].gauge)
			mt_json_set(row, MT_M("type", "GAUGE"));
		json_array_append_new(stats, row);
	}
	health = mt_json_object(
		MT_M("eds_health_status", h.draining || h.leaving ? "DRAINING" : "HEALTHY"));
	if (h.ejected)
		mt_json_set(health, MT_M("failed_outlier_check", json_true()));
	j = mt_json_object(MT_M("address", mt_envoy_address(&ep->addr, ep->port)),
		MT_M("stats", stats), MT_M("health_status", health), MT_M("weight", ep->weight));
	if (h.priority)
		mt_json_set(j, MT_M("priority", h.priority));
	if (zone)
		mt_json_set(j, MT_M("locality", mt_json_object(MT_M("zone", zone))));
	return j;
}

static void host_text(
	struct mt_envoy *e, const struct mt_cluster *cl, uint32_t i, struct mt_text_buf *out)
{
	const char *zone = mt_endpoint_zone(cl, &cl->eps[i]);
	struct stat_row rows[HOST_STATS];
	struct host h;

	look_at(e, cl, i, &h);
	stats_of(&h, rows);
	for (int k = 0; k < HOST_STATS; k++)
		mt_text_add(out, "%s::%s::%s::%llu\n", cl->name, h.addr, rows[k].name,
			(unsigned long long)rows[k].value);
	mt_text_add(out, "%s::%s::hostname::\n", cl->name, h.addr);
	mt_text_add(out, "%s::%s::health_flags::%s\n", cl->name, h.addr,
		h.ejected		  ? "/failed_outlier_check"
		: h.draining || h.leaving ? "/eds_status_draining"
					  : "healthy");
	mt_text_add(out, "%s::%s::weight::%u\n", cl->name, h.addr, cl->eps[i].weight);
	mt_text_add(out, "%s::%s::region::\n%s::%s::zone::%s\n%s::%s::sub_zone::\n", cl->name,
		h.addr, cl->name, h.addr, zone ? zone : "", cl->name, h.addr);
	mt_text_add(out, "%s::%s::canary::false\n%s::%s::priority::%u\n", cl->name, h.addr,
		cl->name, h.addr, h.priority);
}

/* ---- clusters ------------------------------------------------------------------------------- */

static json_t *cluster_json(struct mt_envoy *e, const struct mt_cluster *cl)
{
	json_t *hosts = json_array();
	json_t *j;

	for (uint32_t i = 0; i < cl->n_eps; i++)
		json_array_append_new(hosts, host_json(e, cl, i));
	j = mt_json_object(MT_M("name", cl->name), MT_M("added_via_api", mt_envoy_by_api(cl)),
		MT_M("host_statuses", hosts), MT_M("circuit_breakers", mt_envoy_breakers(cl)),
		MT_M("observability_name", cl->name));
	if (cl->endpoints_resource)
		mt_json_set(j, MT_M("eds_service_name", cl->endpoints_resource));
	return j;
}

static void cluster_text(struct mt_envoy *e, const struct mt_cluster *cl, struct mt_text_buf *out)
{
	static const char *const names[] = {"max_connections", "max_pending_requests"};
	const uint32_t values[] = {cl->max_connections, cl->max_pending};

	mt_text_add(out, "%s::observability_name::%s\n", cl->name, cl->name);
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		if (values[i])
			mt_text_add(out, "%s::default_priority::%s::%u\n", cl->name, names[i],
				values[i]);
	if (cl->budget)
		mt_text_add(out, "%s::default_priority::max_retries::%u\n", cl->name,
			mt_budget_limit(cl->budget, &cl->retry_budget));
	mt_text_add(
		out, "%s::added_via_api::%s\n", cl->name, mt_envoy_by_api(cl) ? "true" : "false");
	for (uint32_t i = 0; i < cl->n_eps; i++)
		host_text(e, cl, i, out);
}

static unsigned int begin(struct mt_envoy *e, struct mt_text_buf *out)
{
	unsigned int status = mt_envoy_format(e, "text", out);

	return status == MHD_HTTP_OK ? mt_envoy_filter(e, "filter", out) : status;
}

static void open_list(struct mt_envoy *e, struct mt_text_buf *out, const char *name)
{
	if (e->json && !e->open)
		mt_text_add(out, "{\"%s\": [", name);
	e->open = true;
}

/* Ends the list after the last object. True: more follows. */
static bool close_list(struct mt_envoy *e, struct mt_text_buf *out, bool last)
{
	if (e->json && last)
		mt_text_add(out, "\n]}\n");
	return !last;
}

static bool clusters(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_cluster *cl = NULL;

	open_list(e, out, "cluster_statuses");
	while (!mt_slice_full(out) && (cl = mt_envoy_cluster(e)) != NULL) {
		if (!mt_envoy_wanted(e, cl->name))
			continue;
		if (e->json)
			mt_envoy_put(e, out, cluster_json(e, cl));
		else
			cluster_text(e, cl, out);
	}
	return close_list(e, out, !cl);
}

/* ---- listeners ------------------------------------------------------------------------------ */

static bool listeners(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_listener *l = NULL;
	char name[512], where[MT_ADDR_STRLEN];

	open_list(e, out, "listener_statuses");
	while (!mt_slice_full(out) && (l = mt_envoy_listener(e)) != NULL) {
		mt_envoy_listener_name(l, name, sizeof(name));
		if (!mt_envoy_wanted(e, name))
			continue;
		if (e->json)
			mt_envoy_put(e, out,
				mt_json_object(MT_M("name", name),
					MT_M("local_address",
						mt_envoy_address(&l->addr, l->port))));
		else
			mt_text_add(
				out, "%s::%s\n", name, mt_addr_port_str(&l->addr, l->port, where));
	}
	return close_list(e, out, !l);
}

const struct mt_envoy_page mt_envoy_objects[] = {
	{"/clusters", "clusters with their endpoints: ?format=json, ?filter=REGEX", begin,
		clusters},
	{"/listeners", "listeners: ?format=json, ?filter=REGEX", begin, listeners},
	{.path = NULL},
};
