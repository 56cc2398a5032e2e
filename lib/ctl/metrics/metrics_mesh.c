/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of discovery, by source, server and type. */
#include "mt_authz.h"
#include "mt_ctl_events_priv.h"
#include "mt_ctl_metrics_priv.h"

#include <string.h>

static uint64_t member(const void *of, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)of + offset, sizeof(v));
	return v;
}

static uint32_t collect_xds_streams(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds_stream_info s;
		struct mt_xds_info info;
		uint32_t pos = 0;

		mt_xds_info(c->env.sources[i], &info);
		while (mt_xds_stream_next(c->env.sources[i], &pos, &s)) {
			const struct mt_label l[] = {
				{"source", info.name}, {"server", s.cluster}, {"stream", s.stream}};

			mt_sample(out, f, l, 3, strcmp(s.state, "up") == 0);
		}
	}
	return 0;
}

static uint32_t collect_xds_resources(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(c->env.sources[i], &info);
		const struct {
			const char *state;
			uint32_t n;
		} all[] = {{"active", info.n_live}, {"waiting", info.n_waiting},
			{"refused", info.n_refused}, {"left_out", info.n_left_out},
			{"not_served", info.n_not_served}, {"as_kept", info.n_restored},
			{"on_demand", info.n_named}};

		for (size_t k = 0; k < MT_ARRAY_LEN(all); k++) {
			const struct mt_label l[] = {
				{"source", info.name}, {"state", all[k].state}};

			mt_sample(out, f, l, 2, all[k].n);
		}
	}
	return 0;
}

static uint32_t collect_identity(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl_env *env = &((const struct mt_ctl_family *)arg)->c->env;
	int64_t left;

	for (uint32_t i = 0; env->identity_left && i < env->n_sources; i++) {
		struct mt_xds_info info;
		struct mt_label l;

		if (!env->identity_left(env->arg, i, &left))
			continue;
		mt_xds_info(env->sources[i], &info);
		l = (struct mt_label){"source", info.name};
		mt_sample(out, f, &l, 1, (double)left);
	}
	return 0;
}

static uint32_t collect_xds_changes(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds_info info;
		struct mt_label l;

		mt_xds_info(c->env.sources[i], &info);
		l = (struct mt_label){"source", info.name};
		mt_sample(out, f, &l, 1, (double)info.pushes);
	}
	return 0;
}

/* Samples of sources with on-demand clusters: one per outcome of a requested name. */
static uint32_t collect_xds_demand(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(c->env.sources[i], &info);
		const struct {
			const char *event;
			uint64_t n;
		} all[] = {{"requested", info.demand.asked}, {"received", info.demand.told},
			{"absent", info.demand.absent}, {"unanswered", info.demand.unanswered},
			{"full", info.demand.full}, {"left", info.demand.left}};

		for (size_t k = 0; info.on_demand && k < MT_ARRAY_LEN(all); k++) {
			const struct mt_label l[] = {
				{"source", info.name}, {"event", all[k].event}};

			mt_sample(out, f, l, 2, (double)all[k].n);
		}
	}
	return 0;
}

/* Reports one member of struct mt_xds_type_info. */
static uint32_t collect_xds_types(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t item)
{
	const struct mt_ctl_family *x = arg;

	for (uint32_t i = 0; i < x->c->env.n_sources; i++) {
		struct mt_xds_type_info t;
		struct mt_xds_info info;
		uint32_t pos = 0;

		mt_xds_info(x->c->env.sources[i], &info);
		while (mt_xds_type_next(x->c->env.sources[i], &pos, &t)) {
			const struct mt_label l[] = {{"source", info.name}, {"server", t.cluster},
				{"stream", t.stream}, {"type", t.type}};

			mt_sample(out, f, l, 4, (double)member(&t, x->offset));
		}
	}
	return 0;
}

/* Objects without an index share one counter, so that a query for any of them returns the sum. */
static void closed_by_others(const struct mt_ctl *c, struct mt_sink *out, const struct mt_family *f)
{
	static const struct mt_closer others = {.by = ""};
	const struct mt_label l[] = {{"kind", MT_SERIES_OTHER}, {"namespace", MT_SERIES_OTHER},
		{"name", MT_SERIES_OTHER}};
	uint64_t n = mt_ctl_closed_by(c, &others);

	if (n)
		mt_sample(out, f, l, 3, (double)n);
}

static uint32_t collect_closed(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	if (pos == 0)
		closed_by_others(c, out, f);
	for (; s && pos < s->n_closers && !mt_sink_full(out); pos++) {
		const struct mt_closer *by = s->closers[pos];
		const struct mt_label l[] = {
			{"kind", by->kind}, {"namespace", by->ns}, {"name", by->name}};

		if (by->index)
			mt_sample(out, f, l, 3, (double)mt_ctl_closed_by(c, by));
	}
	return s && pos < s->n_closers ? pos : 0;
}

static uint32_t collect_closed_services(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	const char *name = "", *by;

	while (!mt_sink_full(out) && (name = mt_events_closed_next(c, &pos, &by)) != NULL) {
		const struct mt_label l[] = {{"service", name}, {"by", by}};

		mt_sample(out, f, l, 2, 1);
	}
	return name ? pos : 0;
}

static uint32_t collect_empty_clusters(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl *c = ((const struct mt_ctl_family *)arg)->c;
	const char *name = "";

	while (!mt_sink_full(out) && (name = mt_events_lacking_next(c, &pos)) != NULL) {
		const struct mt_label l = {"cluster", name};

		mt_sample(out, f, &l, 1, 1);
	}
	return name ? pos : 0;
}

#define XDS(m) offsetof(struct mt_xds_type_info, m)

const struct mt_family_row mt_families_mesh[] = {
	{{"meltemi_closed_by_policy_total", MT_COUNTER, "refusals", "kind, namespace, name",
		 "calls and connections, opaque TCP included, refused because of an object that "
		 "fails closed; beyond 1023 objects `other` counts the rest",
		 collect_closed, NULL},
		0},
	{{"meltemi_service_closed", MT_GAUGE, "boolean", "service, by",
		 "1: all calls to the service are denied, because of an object that fails closed; "
		 "absent: the service is open",
		 collect_closed_services, NULL},
		0},
	{{"meltemi_cluster_empty", MT_GAUGE, "boolean", "cluster",
		 "1: the cluster had endpoints and none takes traffic now; absent: one does, or it "
		 "never had one",
		 collect_empty_clusters, NULL},
		0},
	{{"meltemi_xds_stream_up", MT_GAUGE, "boolean", "source, server, stream",
		 "1: the stream to a discovery server is open", collect_xds_streams, NULL},
		0},
	{{"meltemi_xds_resources", MT_GAUGE, "resources", "source, state",
		 "resources of discovery servers, by state", collect_xds_resources, NULL},
		0},
	{{"meltemi_identity_left_seconds", MT_GAUGE, "seconds", "source",
		 "time until this node's certificate towards a discovery server expires; negative: "
		 "expired",
		 collect_identity, NULL},
		0},
	{{"meltemi_xds_changes_total", MT_COUNTER, "changes", "source",
		 "changes of the applied resources of a discovery server", collect_xds_changes,
		 NULL},
		0},
	{{"meltemi_xds_on_demand_total", MT_COUNTER, "names", "source, event",
		 "on-demand requests for clusters that a call needed, by result",
		 collect_xds_demand, NULL},
		0},
	{{"meltemi_xds_responses_total", MT_COUNTER, "responses", "source, server, stream, type",
		 "responses received from discovery servers", collect_xds_types, NULL},
		XDS(responses)},
	{{"meltemi_xds_accepted_total", MT_COUNTER, "responses", "source, server, stream, type",
		 "responses accepted (ACK)", collect_xds_types, NULL},
		XDS(acks)},
	{{"meltemi_xds_refused_total", MT_COUNTER, "responses", "source, server, stream, type",
		 "responses with rejected resources", collect_xds_types, NULL},
		XDS(nacks)},
	{{"meltemi_xds_received_bytes_total", MT_COUNTER, "bytes", "source, server, stream, type",
		 "bytes of responses", collect_xds_types, NULL},
		XDS(bytes)},
	{{0}, 0},
};
