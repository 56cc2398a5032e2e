/* SPDX-License-Identifier: Apache-2.0 */
/* State of discovery sources: streams, types, resources, and problems of any of them. */
#include "mt_ctl_priv.h"

#define PROBLEMS_MAX 200

static void set_str(json_t *o, const char *name, const char *value)
{
	json_object_set_new(o, name, mt_json_text(value ? value : ""));
}

static void set_int(json_t *o, const char *name, uint64_t value)
{
	json_object_set_new(o, name, json_integer((json_int_t)value));
}

/* Sets the age in s; null: never. */
static void set_age(const struct mt_ctl *c, json_t *o, const char *name, uint64_t at)
{
	if (at)
		set_int(o, name, c->now > at ? (c->now - at) / MT_SEC : 0);
	else
		json_object_set_new(o, name, json_null());
}

static json_t *add_row(json_t *list)
{
	json_t *row = json_object();

	json_array_append_new(list, row);
	return row;
}

/* Adds counts of clusters that calls requested on demand. */
static void set_demand(json_t *row, const struct mt_xds_info *info)
{
	set_int(row, "on_demand_named", info->n_named);
	set_int(row, "on_demand_asked", info->n_asked);
	set_int(row, "on_demand_questions", info->demand.asked);
	set_int(row, "on_demand_told", info->demand.told);
	set_int(row, "on_demand_absent", info->demand.absent);
	set_int(row, "on_demand_unanswered", info->demand.unanswered);
	set_int(row, "on_demand_full", info->demand.full);
	set_int(row, "on_demand_left", info->demand.left);
}

static json_t *source_row(struct mt_ctl *c, uint32_t i)
{
	json_t *row = json_object();
	struct mt_xds_info info;
	const char *identity;

	mt_xds_info(c->env.sources[i], &info);
	set_str(row, "name", info.name);
	set_str(row, "state", info.state);
	set_int(row, "resources", info.n_known);
	set_int(row, "active", info.n_live);
	set_int(row, "waiting", info.n_waiting);
	set_int(row, "refused", info.n_refused);
	set_int(row, "left_out", info.n_left_out);
	set_int(row, "not_served", info.n_not_served);
	set_int(row, "as_kept", info.n_restored);
	set_int(row, "bytes", info.bytes);
	set_int(row, "changes", info.pushes);
	if (info.on_demand)
		set_demand(row, &info);
	mt_render_absent(row, "on_demand_named on_demand_asked on_demand_questions on_demand_told "
			      "on_demand_absent on_demand_unanswered "
			      "on_demand_full on_demand_left");
	set_str(row, "bootstrap", info.bootstrap);
	set_str(row, "state_file", info.kept_path);
	set_str(row, "state_file_words", info.kept);
	identity = c->env.identity ? c->env.identity(c->env.arg, i) : NULL;
	if (identity)
		set_str(row, "identity", identity);
	mt_render_absent(row, "identity");
	return row;
}

static void add_streams(const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_stream_info s;
	uint32_t pos = 0;

	while (mt_xds_stream_next(x, &pos, &s)) {
		json_t *row = add_row(list);

		set_str(row, "source", source);
		set_str(row, "server", s.server);
		set_str(row, "cluster", s.cluster);
		set_str(row, "stream", s.stream);
		set_str(row, "kind", s.delta ? "delta" : "whole");
		set_str(row, "transport", s.tls ? "TLS" : "plaintext");
		set_str(row, "state", s.state);
		set_age(c, row, "for_s", s.since_ns);
		set_int(row, "connects", s.connects);
		set_int(row, "unreadable", s.unreadable);
		set_age(c, row, "trouble_s", s.trouble_ns);
		json_object_set_new(row, "reason", *s.why ? mt_json_text(s.why) : json_null());
	}
}

static void add_types(const struct mt_ctl *c, struct mt_xds *x, const char *source, json_t *list)
{
	struct mt_xds_type_info t;
	uint32_t pos = 0;

	while (mt_xds_type_next(x, &pos, &t)) {
		json_t *row = add_row(list);

		set_str(row, "source", source);
		set_str(row, "cluster", t.cluster);
		set_str(row, "stream", t.stream);
		set_str(row, "type", t.type);
		set_str(row, "version", t.version);
		if (t.wildcard)
			set_str(row, "wanted", "all");
		else
			set_int(row, "wanted", t.wanted);
		set_int(row, "responses", t.responses);
		set_int(row, "acks", t.acks);
		set_int(row, "nacks", t.nacks);
		set_int(row, "bytes", t.bytes);
		set_age(c, row, "acked_s", t.acked_ns);
		set_age(c, row, "nacked_s", t.nacked_ns);
		json_object_set_new(row, "reason", *t.error ? mt_json_text(t.error) : json_null());
	}
}

static json_t *resource_row(
	const struct mt_ctl *c, const char *source, const struct mt_xds_resource_info *r)
{
	json_t *row = json_object();

	set_str(row, "source", source);
	set_str(row, "type", r->type);
	set_str(row, "name", r->name);
	set_str(row, "state", r->state);
	set_str(row, "version", r->version);
	set_age(c, row, "age_s", r->updated_ns);
	set_int(row, "bytes", r->bytes);
	set_int(row, "not_used", r->n_ignored);
	set_str(row, "server", r->server);
	if (r->asked_ns) {
		set_age(c, row, "asked_s", r->asked_ns);
		set_age(c, row, "used_s", r->used_ns);
	}
	mt_render_absent(row, "asked_s used_s");
	json_object_set_new(row, "reason", *r->reason ? mt_json_text(r->reason) : json_null());
	return row;
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
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:n, s:n}", "source", source, "field",
				      info.unused[i], "resources", "reason"));
	for (uint32_t i = 0; (field = mt_xds_ignored(x, i, &why, &resources)) != NULL; i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:I, s:s}", "source", source, "field", field,
				      "resources", (json_int_t)resources, "reason", why));
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
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "sources", sources, "streams", streams,
		"types", types, "problems", problems, "accepted_not_used", ignored);
}

json_t *mt_show_resources(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->env.n_sources; i++)
		add_resources(c, c->env.sources[i], name_of(c->env.sources[i]), list, true);
	return json_pack("{s:o}", "resources", list);
}
