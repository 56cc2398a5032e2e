/* SPDX-License-Identifier: Apache-2.0 */
/* State of discovery sources: streams, types, resources, and problems of any of them. */
#include "mt_ctl_priv.h"

#define PROBLEMS_MAX 200

json_t *mt_json_ago(const struct mt_ctl *c, uint64_t at)
{
	return at ? json_integer(c->now > at ? (json_int_t)((c->now - at) / MT_SEC) : 0)
		  : json_null();
}

/* Adds counts of clusters that calls requested on demand. */
static void set_demand(json_t *row, const struct mt_xds_info *info)
{
	mt_json_set(row, MT_M("on_demand_named", info->n_named),
		MT_M("on_demand_asked", info->n_asked),
		MT_M("on_demand_questions", info->demand.asked),
		MT_M("on_demand_told", info->demand.told),
		MT_M("on_demand_absent", info->demand.absent),
		MT_M("on_demand_unanswered", info->demand.unanswered),
		MT_M("on_demand_full", info->demand.full),
		MT_M("on_demand_left", info->demand.left));
}

static json_t *source_row(struct mt_ctl *c, uint32_t i)
{
	struct mt_xds_info info;
	json_t *row;

	mt_xds_info(c->env.sources[i], &info);
	row = mt_json_object(MT_M("name", info.name), MT_M("state", info.state),
		MT_M("resources", info.n_known), MT_M("active", info.n_live),
		MT_M("waiting", info.n_waiting), MT_M("refused", info.n_refused),
		MT_M("left_out", info.n_left_out), MT_M("not_served", info.n_not_served),
		MT_M("as_kept", info.n_restored), MT_M("bytes", info.bytes),
		MT_M("changes", info.pushes));
	if (info.on_demand)
		set_demand(row, &info);
	mt_render_absent(row, "on_demand_named on_demand_asked on_demand_questions on_demand_told "
			      "on_demand_absent on_demand_unanswered "
			      "on_demand_full on_demand_left");
	mt_json_set(row, MT_M("bootstrap", info.bootstrap), MT_M("state_file", info.kept_path),
		MT_M("state_file_words", info.kept),
		MT_M("identity",
			mt_json_known(c->env.identity ? c->env.identity(c->env.arg, i) : NULL)));
	return row;
}

static void add_streams(const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_stream_info s;
	uint32_t pos = 0;

	while (mt_xds_stream_next(x, &pos, &s))
		mt_json_add(list, MT_M("source", source), MT_M("server", s.server),
			MT_M("cluster", s.cluster), MT_M("stream", s.stream),
			MT_M("kind", s.delta ? "delta" : "whole"),
			MT_M("transport", s.tls ? "TLS" : "plaintext"), MT_M("state", s.state),
			MT_M("for_s", mt_json_ago(c, s.since_ns)), MT_M("connects", s.connects),
			MT_M("unreadable", s.unreadable),
			MT_M("trouble_s", mt_json_ago(c, s.trouble_ns)),
			MT_M("reason", mt_json_known(s.why)));
}

static void add_types(const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_type_info t;
	uint32_t pos = 0;

	while (mt_xds_type_next(x, &pos, &t))
		mt_json_add(list, MT_M("source", source), MT_M("cluster", t.cluster),
			MT_M("stream", t.stream), MT_M("type", t.type), MT_M("version", t.version),
			MT_M("wanted", t.wildcard ? json_string("all") : json_integer(t.wanted)),
			MT_M("responses", t.responses), MT_M("acks", t.acks),
			MT_M("nacks", t.nacks), MT_M("bytes", t.bytes),
			MT_M("acked_s", mt_json_ago(c, t.acked_ns)),
			MT_M("nacked_s", mt_json_ago(c, t.nacked_ns)),
			MT_M("reason", mt_json_known(t.error)));
}

static json_t *resource_row(
	const struct mt_ctl *c, const char *source, const struct mt_xds_resource_info *r)
{
	return mt_json_object(MT_M("source", source), MT_M("type", r->type), MT_M("name", r->name),
		MT_M("state", r->state), MT_M("version", r->version),
		MT_M("age_s", mt_json_ago(c, r->updated_ns)), MT_M("bytes", r->bytes),
		MT_M("not_used", r->n_ignored), MT_M("server", r->server),
		MT_M("asked_s", mt_json_ago(c, r->asked_ns)),
		MT_M("used_s", mt_json_ago(c, r->asked_ns ? r->used_ns : 0)),
		MT_M("reason", mt_json_known(r->reason)));
}

static void add_resources(
	const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list, bool all)
{
	struct mt_xds_resource_info r;
	const void *pos = NULL;

	while (mt_xds_resource_next(x, &pos, &r))
		if (all || (r.troubled && json_array_size(list) < PROBLEMS_MAX))
			json_array_append_new(list, resource_row(c, source, &r));
}

static void add_unused(struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_info info;
	uint32_t resources;
	const char *field, *why;

	mt_xds_info(x, &info);
	for (uint32_t i = 0; i < info.n_unused; i++)
		mt_json_add(list, MT_M("source", source), MT_M("field", info.unused[i]),
			MT_M("resources", json_null()), MT_M("reason", json_null()));
	for (uint32_t i = 0; (field = mt_xds_ignored(x, i, &why, &resources)) != NULL; i++)
		mt_json_add(list, MT_M("source", source), MT_M("field", field),
			MT_M("resources", resources), MT_M("reason", why));
}

static const char *name_of(struct mt_xds *x)
{
	struct mt_xds_info info;

	mt_xds_info(x, &info);
	return info.name;
}

json_t *mt_show_xds(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *sources = json_array(), *streams = json_array(), *types = json_array();
	json_t *problems = json_array(), *ignored = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++) {
		struct mt_xds *x = c->env.sources[i];
		const char *name = name_of(x);

		json_array_append_new(sources, source_row(c, i));
		add_streams(c, x, name, streams);
		add_types(c, x, name, types);
		add_resources(c, x, name, problems, false);
		add_unused(x, name, ignored);
	}
	return mt_json_object(MT_M("sources", sources), MT_M("streams", streams),
		MT_M("types", types), MT_M("problems", problems),
		MT_M("accepted_not_used", ignored));
}

json_t *mt_show_resources(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++)
		add_resources(c, c->env.sources[i], name_of(c->env.sources[i]), list, true);
	return mt_json_object(MT_M("resources", list));
}
