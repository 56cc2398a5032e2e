/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of discovery, by source, server and type. */
#include "mt_authz.h"
#include "mt_ctl_events_priv.h"
#include "mt_ctl_metrics_priv.h"

#include <string.h>

static void collect_xds_streams(struct mt_collect *k)
{
	for (uint32_t i = 0; i < k->c->env.n_sources; i++) {
		struct mt_xds_stream_info s;
		struct mt_xds_info info;
		uint32_t pos = 0;

		mt_xds_info(k->c->env.sources[i], &info);
		while (mt_xds_stream_next(k->c->env.sources[i], &pos, &s))
			mt_emit(k, strcmp(s.state, "up") == 0, {"source", info.name},
				{"server", s.cluster}, {"stream", s.stream});
	}
}

static void collect_xds_resources(struct mt_collect *k)
{
	for (uint32_t i = 0; i < k->c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(k->c->env.sources[i], &info);
		const struct {
			const char *state;
			uint32_t n;
		} all[] = {{"active", info.n_live}, {"waiting", info.n_waiting},
			{"refused", info.n_refused}, {"left_out", info.n_left_out},
			{"not_served", info.n_not_served}, {"as_kept", info.n_restored},
			{"on_demand", info.n_named}};

		for (size_t j = 0; j < MT_ARRAY_LEN(all); j++)
			mt_emit(k, all[j].n, {"source", info.name}, {"state", all[j].state});
	}
}

static void collect_identity(struct mt_collect *k)
{
	const struct mt_ctl_env *env = &k->c->env;
	int64_t left;

	for (uint32_t i = 0; env->identity_left && i < env->n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(env->sources[i], &info);
		if (env->identity_left(env->arg, i, &left))
			mt_emit(k, left, {"source", info.name});
	}
}

static void collect_xds_changes(struct mt_collect *k)
{
	for (uint32_t i = 0; i < k->c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(k->c->env.sources[i], &info);
		mt_emit(k, info.pushes, {"source", info.name});
	}
}

/* Samples of sources with on-demand clusters: one per outcome of a requested name. */
static void collect_xds_demand(struct mt_collect *k)
{
	for (uint32_t i = 0; i < k->c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(k->c->env.sources[i], &info);
		const struct {
			const char *event;
			uint64_t n;
		} all[] = {{"requested", info.demand.asked}, {"received", info.demand.told},
			{"absent", info.demand.absent}, {"unanswered", info.demand.unanswered},
			{"full", info.demand.full}, {"left", info.demand.left}};

		for (size_t j = 0; info.on_demand && j < MT_ARRAY_LEN(all); j++)
			mt_emit(k, all[j].n, {"source", info.name}, {"event", all[j].event});
	}
}

/* Reports one member of struct mt_xds_type_info. */
static void collect_xds_types(struct mt_collect *k)
{
	for (uint32_t i = 0; i < k->c->env.n_sources; i++) {
		struct mt_xds_type_info t;
		struct mt_xds_info info;
		uint32_t pos = 0;

		mt_xds_info(k->c->env.sources[i], &info);
		while (mt_xds_type_next(k->c->env.sources[i], &pos, &t))
			mt_emit(k, mt_collect_member(k, &t), {"source", info.name},
				{"server", t.cluster}, {"stream", t.stream}, {"type", t.type});
	}
}

static void collect_closed(struct mt_collect *k)
{
	/* Objects without an index share one counter, so that any of them has the sum. */
	static const struct mt_closer others = {.by = ""};
	const struct mt_snapshot *s = mt_ctl_snapshot(k->c);
	uint64_t n = k->pos ? 0 : mt_ctl_closed_by(k->c, &others);

	if (n)
		mt_emit(k, n, {"kind", MT_SERIES_OTHER}, {"namespace", MT_SERIES_OTHER},
			{"name", MT_SERIES_OTHER});
	for (; s && k->pos < s->n_closers && !mt_sink_full(k->out); k->pos++) {
		const struct mt_closer *by = s->closers[k->pos];

		if (by->index)
			mt_emit(k, mt_ctl_closed_by(k->c, by), {"kind", by->kind},
				{"namespace", by->ns}, {"name", by->name});
	}
	k->more = s && k->pos < s->n_closers;
}

static void collect_closed_services(struct mt_collect *k)
{
	const char *name = "", *by;

	while (!mt_sink_full(k->out) && (name = mt_events_closed_next(k->c, &k->pos, &by)) != NULL)
		mt_emit(k, 1, {"service", name}, {"by", by});
	k->more = name != NULL;
}

static void collect_empty_clusters(struct mt_collect *k)
{
	const char *name = "";

	while (!mt_sink_full(k->out) && (name = mt_events_lacking_next(k->c, &k->pos)) != NULL)
		mt_emit(k, 1, {"cluster", name});
	k->more = name != NULL;
}

#define XDS(m) offsetof(struct mt_xds_type_info, m)

const struct mt_family_row mt_families_mesh[] = {
	{"meltemi_closed_by_policy_total", MT_COUNTER, "refusals", "kind, namespace, name",
		"calls and connections, opaque TCP included, refused because of an object that "
		"fails closed; beyond 1023 objects `other` counts the rest",
		collect_closed, 0},
	{"meltemi_service_closed", MT_GAUGE, "boolean", "service, by",
		"1: all calls to the service are denied, because of an object that fails closed; "
		"absent: the service is open",
		collect_closed_services, 0},
	{"meltemi_cluster_empty", MT_GAUGE, "boolean", "cluster",
		"1: the cluster had endpoints and none takes traffic now; absent: one does, or it "
		"never had one",
		collect_empty_clusters, 0},
	{"meltemi_xds_stream_up", MT_GAUGE, "boolean", "source, server, stream",
		"1: the stream to a discovery server is open", collect_xds_streams, 0},
	{"meltemi_xds_resources", MT_GAUGE, "resources", "source, state",
		"resources of discovery servers, by state", collect_xds_resources, 0},
	{"meltemi_identity_left_seconds", MT_GAUGE, "seconds", "source",
		"time until this node's certificate towards a discovery server expires; negative: "
		"expired",
		collect_identity, 0},
	{"meltemi_xds_changes_total", MT_COUNTER, "changes", "source",
		"changes of the applied resources of a discovery server", collect_xds_changes, 0},
	{"meltemi_xds_on_demand_total", MT_COUNTER, "names", "source, event",
		"on-demand requests for clusters that a call needed, by result", collect_xds_demand,
		0},
	{"meltemi_xds_responses_total", MT_COUNTER, "responses", "source, server, stream, type",
		"responses received from discovery servers", collect_xds_types, XDS(responses)},
	{"meltemi_xds_accepted_total", MT_COUNTER, "responses", "source, server, stream, type",
		"responses accepted (ACK)", collect_xds_types, XDS(acks)},
	{"meltemi_xds_refused_total", MT_COUNTER, "responses", "source, server, stream, type",
		"responses with rejected resources", collect_xds_types, XDS(nacks)},
	{"meltemi_xds_received_bytes_total", MT_COUNTER, "bytes", "source, server, stream, type",
		"bytes of responses", collect_xds_types, XDS(bytes)},
	{0},
};
