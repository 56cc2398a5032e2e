/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /stats: statistics that mesh tools read by Envoy's names (state of the server, of discovery, of
 * clusters), and every counter of the registry as meltemi.ROOM.NAME.
 */
#include "mt_envoy_priv.h"

#include <stdio.h>
#include <string.h>

static void stat(struct mt_envoy *e, struct mt_text_buf *out, uint64_t value, const char *fmt, ...)
	mt_printf(4, 5);

static void stat(struct mt_envoy *e, struct mt_text_buf *out, uint64_t value, const char *fmt, ...)
{
	char name[768];
	va_list ap;

	if (e->used_only && value == 0)
		return;
	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	if (!mt_envoy_wanted(e, name))
		return;
	if (e->json)
		mt_envoy_put(e, out, mt_json_object(MT_M("name", name), MT_M("value", value)));
	else
		mt_text_add(out, "%s: %llu\n", name, (unsigned long long)value);
}

/* ---- parts: each writes a slice and returns true if more follows ---------------------------- */

static bool part_server(struct mt_envoy *e, struct mt_text_buf *out)
{
	/* envoy.admin.v3.ServerInfo.State */
	static const uint64_t states[] = {
		[MT_CTL_SERVING] = 0, [MT_CTL_DRAINING] = 1, [MT_CTL_STARTING] = 3};
	const struct mt_snapshot *s = mt_ctl_snapshot(e->c);

	/* A state of 0 has a meaning, so it is always shown. */
	if (mt_envoy_wanted(e, "server.state")) {
		bool all = !e->used_only;

		e->used_only = false;
		stat(e, out, states[mt_ctl_state_now(e->c)], "server.state");
		e->used_only = !all;
	}
	stat(e, out, e->c->state == MT_CTL_SERVING, "server.live");
	stat(e, out, (e->c->now - e->c->started) / MT_SEC, "server.uptime");
	stat(e, out, e->c->env.n_workers, "server.concurrency");
	stat(e, out, e->c->state == MT_CTL_SERVING, "listener_manager.workers_started");
	stat(e, out, s ? s->n_listeners : 0, "listener_manager.total_listeners_active");
	stat(e, out, s ? s->n_clusters : 0, "cluster_manager.active_clusters");
	return false;
}

static bool part_discovery(struct mt_envoy *e, struct mt_text_buf *out)
{
	static const struct {
		const char *type, *name;
	} types[] = {{"CDS", "cluster_manager.cds"}, {"LDS", "listener_manager.lds"},
		{"RDS", "rds"}, {"EDS", "eds"}, {"SDS", "sds"}};
	uint64_t acks[MT_ARRAY_LEN(types)] = {0}, nacks[MT_ARRAY_LEN(types)] = {0};
	struct mt_xds_type_info info;

	for (uint32_t i = 0; i < e->c->env.n_sources; i++)
		for (uint32_t pos = 0; mt_xds_type_next(e->c->env.sources[i], &pos, &info);)
			for (size_t t = 0; t < MT_ARRAY_LEN(types); t++)
				if (strcmp(info.type, types[t].type) == 0) {
					acks[t] += info.acks;
					nacks[t] += info.nacks;
				}
	for (size_t t = 0; e->c->env.n_sources && t < MT_ARRAY_LEN(types); t++) {
		stat(e, out, acks[t], "%s.update_success", types[t].name);
		stat(e, out, nacks[t], "%s.update_rejected", types[t].name);
	}
	return false;
}

static void cluster_stats(struct mt_envoy *e, struct mt_text_buf *out, const struct mt_cluster *cl)
{
	struct mt_ep_stats sum = {0}, st;
	struct mt_ep_answers answers;
	uint64_t errors = 0;
	uint32_t healthy = 0;

	for (uint32_t i = 0; i < cl->n_eps; i++) {
		healthy += !mt_ep_is_out(cl->eps[i].state);
		if (!mt_ctl_ep_stats(e->c, cl->eps[i].state->index, cl->eps[i].state->id, &st))
			continue;
		sum.requests += st.requests;
		mt_ctl_ep_answers(e->c, cl->eps[i].state, &answers);
		errors += answers.errors;
		sum.connect_failed += st.connect_failed;
		sum.conns_opened += st.conns_opened;
		sum.conns_active += st.conns_active;
		sum.outstanding += st.outstanding;
	}
	stat(e, out, cl->n_eps, "cluster.%s.membership_total", cl->name);
	stat(e, out, healthy, "cluster.%s.membership_healthy", cl->name);
	stat(e, out, sum.conns_opened, "cluster.%s.upstream_cx_total", cl->name);
	stat(e, out, sum.conns_active, "cluster.%s.upstream_cx_active", cl->name);
	stat(e, out, sum.requests, "cluster.%s.upstream_rq_total", cl->name);
	stat(e, out, sum.outstanding, "cluster.%s.upstream_rq_active", cl->name);
	stat(e, out, sum.connect_failed, "cluster.%s.upstream_cx_connect_fail", cl->name);
	stat(e, out, errors, "cluster.%s.upstream_rq_error", cl->name);
}

/*
 * Clusters per slice at most, even if the client filters all of them, to bound the control thread's
 * time.
 */
#define LOOKED_AT 512

static bool part_clusters(struct mt_envoy *e, struct mt_text_buf *out)
{
	const struct mt_cluster *cl = NULL;

	for (int i = 0; i < LOOKED_AT && !mt_slice_full(out); i++) {
		cl = mt_envoy_cluster(e);
		if (!cl)
			return false;
		cluster_stats(e, out, cl);
	}
	return true;
}

static bool part_registry(struct mt_envoy *e, struct mt_text_buf *out)
{
	struct mt_metric m;

	while (!mt_slice_full(out)) {
		if (!mt_metrics_next(e->c->metrics, &e->pos, &m))
			return false;
		stat(e, out, m.value, "meltemi.%s.%s", m.room, m.name);
	}
	return true;
}

static bool (*const parts[])(struct mt_envoy *, struct mt_text_buf *) = {
	part_server, part_discovery, part_clusters, part_registry};

static bool stats(struct mt_envoy *e, struct mt_text_buf *out)
{
	if (e->json && !e->open)
		mt_text_add(out, "{\"stats\": [");
	e->open = true;
	if (!parts[e->part](e, out))
		e->part++;
	if (e->part < MT_ARRAY_LEN(parts))
		return true;
	if (e->json)
		mt_text_add(out, "\n]}\n");
	return false;
}

static unsigned int begin(struct mt_envoy *e, struct mt_text_buf *out)
{
	const char *format;

	e->used_only = mt_envoy_arg(e, "usedonly", NULL);
	e->prometheus = mt_envoy_arg(e, "format", &format) && strcmp(format, "prometheus") == 0;
	if (e->prometheus)
		return MHD_HTTP_OK;
	return mt_envoy_format(e, "text", out) == MHD_HTTP_OK ? mt_envoy_filter(e, "filter", out)
							      : MHD_HTTP_BAD_REQUEST;
}

const struct mt_envoy_page mt_envoy_stats[] = {
	{"/stats", "statistics: ?format=json|text|prometheus, ?filter=REGEX, ?usedonly", begin,
		stats},
	{.path = NULL},
};
