/* SPDX-License-Identifier: Apache-2.0 */
/* Counters, those above severity INFO, and the configuration in use. */
#include "counted.h"
#include "mt_ctl_metrics_priv.h"

#include <stdio.h>
#include <string.h>

json_t *mt_show_counters(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *all = json_object();
	struct mt_metric m;
	uint64_t pos = 0;
	char name[128];

	for (uint32_t i = 0; mt_metrics_next(c->metrics, &pos, &m); i++) {
		snprintf(name, sizeof(name), "%s_%s", m.room, m.name);
		json_object_set_new(
			all, name, json_integer((json_int_t)mt_cleared_count(c, i, m.value)));
	}
	/* Absent rather than null otherwise: programs add up the numbers of this answer. */
	mt_cleared_since(c, all);
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

static json_t *error_row(const struct mt_counted_list *l, uint32_t i)
{
	const struct mt_counted *k = &l->v[i];
	const char *remedy = mt_remedy(k->m.room, k->m.name);
	char command[64], also[MT_COUNTED_ALSO];

	return mt_json_object(MT_M("name", k->name), MT_M("count", k->count),
		MT_M("last_minute", k->recent),
		MT_M("severity", mt_severity_str(mt_counted_severity(l, i))),
		MT_M("look_at", look_at(k->m.room, remedy, command, sizeof(command))),
		MT_M("reason", k->m.words),
		MT_M("also_counted",
			mt_json_known(mt_counted_also(l, i, false, also, sizeof(also)))),
		MT_M("remedy", mt_json_known(remedy)));
}

json_t *mt_show_errors(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *list = json_array(), *all;
	struct mt_counted_list l;

	if (mt_counted(c, false, &l) == 0)
		for (uint32_t i = 0; i < l.n; i++)
			if (l.v[i].cause == i)
				json_array_append_new(list, error_row(&l, i));
	mt_counted_free(&l);
	all = mt_json_object(MT_M("errors", list), MT_M("objects", mt_ctl_bad_objects(c)));
	mt_cleared_since(c, all);
	mt_render_absent(all, "counted_since counted_since_unix_ms");
	return all;
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
			mt_json_add(list, MT_M("name", name), MT_M("unit", mt_unit(o->name)),
				MT_M("severity", mt_severity_str(o->severity)),
				MT_M("meaning", o->words),
				MT_M("remedy", mt_json_known(mt_remedy(set->room, o->name))));
		}
	}
	for (uint32_t i = 0; mt_family_at(i); i++)
		mt_json_add(list, MT_M("name", mt_family_at(i)->name),
			MT_M("unit", mt_family_at(i)->unit),
			MT_M("severity", mt_severity_str(MT_SEV_INFO)),
			MT_M("meaning", mt_family_at(i)->help), MT_M("remedy", json_null()));
	return mt_json_object(MT_M("counters", list));
}

/* Adds the result of the last reload, and what is not applied yet. */
static void add_reload(struct mt_ctl *c, json_t *all)
{
	const char *why = c->env.waiting ? c->env.waiting(c->env.arg) : NULL;
	const char *fields = c->env.restart ? c->env.restart(c->env.arg) : NULL;

	if (why)
		mt_json_set(all, MT_M("newer_waits", why));
	mt_json_set(all,
		MT_M("node_document",
			"watched; fields that need a restart are used as they were at the start"));
	if (fields && *fields)
		mt_json_set(all, MT_M("restart_needed_for", fields));
	if (!c->reloaded_at)
		return;
	mt_json_set(all, MT_M("last_reload", c->reload_words), MT_M("last_reload_ok", c->reload_ok),
		MT_M("last_reload_ago_s", (c->now - c->reloaded_at) / MT_SEC));
}

/* Adds changes that are applied but not in the files: overrides and a rollback. */
static void add_changes_of_operators(struct mt_ctl *c, json_t *all)
{
	uint64_t back = c->env.rolled_back ? c->env.rolled_back(c->env.arg) : 0;
	uint32_t n = c->env.conf ? mt_conf_overrides(c->env.conf)->n : 0;
	char text[160];

	if (n)
		mt_json_set(all, MT_M("overrides", n));
	if (!back)
		return;
	snprintf(text, sizeof(text),
		"to version %llu; files may differ, and the next reload applies them",
		(unsigned long long)back);
	mt_json_set(all, MT_M("rolled_back", text));
}

json_t *mt_show_config(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *dirs = json_array(), *all;

	for (uint32_t i = 0; i < c->env.n_dirs; i++)
		json_array_append_new(dirs, mt_json_text(c->env.dirs[i]));
	all = mt_json_object(MT_M("version", s ? s->version : 0),
		MT_M("node_file", c->env.node_file ? c->env.node_file : ""),
		MT_M("listeners", s ? s->n_listeners : 0), MT_M("services", s ? s->n_services : 0),
		MT_M("clusters", s ? s->n_clusters : 0), MT_M("directories", dirs));
	if (!all)
		return NULL;
	add_reload(c, all);
	add_changes_of_operators(c, all);
	if (c->env.diagnostics)
		mt_json_set(
			all, MT_M("diagnostics", mt_json_lines(c->env.diagnostics(c->env.arg))));
	mt_render_absent(all, "newer_waits restart_needed_for last_reload last_reload_ok "
			      "last_reload_ago_s overrides rolled_back "
			      "diagnostics");
	return all;
}
