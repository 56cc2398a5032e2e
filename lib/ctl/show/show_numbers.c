/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, those above severity INFO, and the configuration in use. */
#include "mt_ctl_priv.h"

#include <stdio.h>
#include <string.h>

json_t *mt_show_counters(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *all = json_object();
	struct mt_metric m;
	uint64_t pos = 0;
	char name[128];

	while (mt_metrics_next(c->metrics, &pos, &m)) {
		snprintf(name, sizeof(name), "%s_%s", m.room, m.name);
		json_object_set_new(all, name, json_integer((json_int_t)m.value));
	}
	return all;
}

/*
 * Command that shows more: the first `show` command of the remedy, otherwise that of the library.
 */
static const char *look_at(const char *room, const char *remedy, char *buf, size_t size)
{
	const char *at = remedy ? strstr(remedy, "`show ") : NULL;
	static const struct {
		const char *room, *command;
	} t[] = {
		{"port", "show ports"},
		{"net", "show neighbours"},
		{"tcp", "show connections"},
		{"proxy", "show services"},
		{"upstream", "show clusters"},
		{"filter", "show limits"},
		{"buf", "show memory"},
		{"worker", "show workers"},
	};

	if (at) {
		snprintf(buf, size, "%.*s", (int)strcspn(at + 1, "`"), at + 1);
		return buf;
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (strcmp(t[i].room, room) == 0)
			return t[i].command;
	return "show counters";
}

json_t *mt_show_errors(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();
	struct mt_metric m;
	uint64_t pos = 0;
	char name[128], command[64];

	for (uint32_t i = 0; mt_metrics_next(c->metrics, &pos, &m); i++) {
		const char *remedy = mt_remedy(m.room, m.name);

		if (m.value == 0 || m.severity == MT_SEV_INFO)
			continue;
		snprintf(name, sizeof(name), "%s_%s", m.room, m.name);
		json_array_append_new(
			list, json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:s?}", "name", name,
				      "count", (json_int_t)m.value, "last_minute",
				      (json_int_t)mt_recent_count(c, i, m.value), "severity",
				      mt_severity_str(m.severity), "look_at",
				      look_at(m.room, remedy, command, sizeof(command)), "reason",
				      m.words, "remedy", remedy));
	}
	return json_pack("{s:o, s:o}", "errors", list, "objects", mt_ctl_bad_objects(c));
}

/* All counters and families, whatever their values: meaning and remedy. */
json_t *mt_show_meaning(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array();
	char name[128];

	for (size_t s = 0; s < mt_n_ctl_sets; s++) {
		const struct mt_outcome_set *set = mt_ctl_sets[s];

		for (uint32_t i = 0; i < set->n; i++) {
			const struct mt_outcome *o = &set->rows[i];

			snprintf(name, sizeof(name), "%s_%s", set->room, o->name);
			json_array_append_new(
				list, json_pack("{s:s, s:s, s:s, s:s, s:s?}", "name", name, "unit",
					      mt_unit(o->name), "severity",
					      mt_severity_str(o->severity), "meaning", o->words,
					      "remedy", mt_remedy(set->room, o->name)));
		}
	}
	for (uint32_t i = 0; mt_family_at(i); i++)
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s, s:n}", "name", mt_family_at(i)->name,
				      "unit", mt_family_at(i)->unit, "severity",
				      mt_severity_str(MT_SEV_INFO), "meaning",
				      mt_family_at(i)->help, "remedy"));
	return json_pack("{s:o}", "counters", list);
}

/* Adds the result of the last reload, and what is not applied yet. */
static void add_reload(struct mt_ctl *c, json_t *all)
{
	const char *why = c->env.waiting ? c->env.waiting(c->env.arg) : NULL;
	const char *fields = c->env.restart ? c->env.restart(c->env.arg) : NULL;

	if (why)
		json_object_set_new(all, "newer_waits", mt_json_text(why));
	json_object_set_new(all, "node_document",
		json_string(
			"watched; fields that need a restart are used as they were at the start"));
	if (fields && *fields)
		json_object_set_new(all, "restart_needed_for", json_string(fields));
	if (!c->reloaded_at)
		return;
	json_object_set_new(all, "last_reload", mt_json_text(c->reload_words));
	json_object_set_new(all, "last_reload_ok", json_boolean(c->reload_ok));
	json_object_set_new(all, "last_reload_ago_s",
		json_integer((json_int_t)((c->now - c->reloaded_at) / MT_SEC)));
}

/* Adds changes that are applied but not in the files: overrides and a rollback. */
static void add_changes_of_operators(struct mt_ctl *c, json_t *all)
{
	uint64_t back = c->env.rolled_back ? c->env.rolled_back(c->env.arg) : 0;
	uint32_t n = c->env.conf ? mt_conf_overrides(c->env.conf)->n : 0;
	char text[160];

	if (n)
		json_object_set_new(all, "overrides", json_integer(n));
	if (!back)
		return;
	snprintf(text, sizeof(text),
		"to version %llu; files may differ, and the next reload applies them",
		(unsigned long long)back);
	json_object_set_new(all, "rolled_back", json_string(text));
}

json_t *mt_show_config(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *dirs = json_array(), *all;

	for (uint32_t i = 0; i < c->env.n_dirs; i++)
		json_array_append_new(dirs, mt_json_text(c->env.dirs[i]));
	all = json_pack("{s:I, s:s, s:I, s:I, s:I, s:o}", "version",
		(json_int_t)(s ? s->version : 0), "node_file",
		c->env.node_file ? c->env.node_file : "", "listeners",
		(json_int_t)(s ? s->n_listeners : 0), "services",
		(json_int_t)(s ? s->n_services : 0), "clusters",
		(json_int_t)(s ? s->n_clusters : 0), "directories", dirs);
	if (!all)
		return NULL;
	add_reload(c, all);
	add_changes_of_operators(c, all);
	if (c->env.diagnostics)
		json_object_set_new(
			all, "diagnostics", mt_json_lines(c->env.diagnostics(c->env.arg)));
	mt_render_absent(all, "newer_waits restart_needed_for last_reload last_reload_ok "
			      "last_reload_ago_s overrides rolled_back "
			      "diagnostics");
	return all;
}
