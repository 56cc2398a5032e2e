/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration history, differences between versions, and rollback. */
#include "mt_history.h"
#include "tune.h"

#include <stdio.h>
#include <string.h>

#define CONFIRM_MIN_S 1u
#define CONFIRM_MAX_S 86400u

static void add_armed(struct mt_ctl *c, json_t *all)
{
	uint64_t until, version = mt_history_armed(c->env.history, &until);
	char text[128];

	if (!version)
		return;
	snprintf(text, sizeof(text),
		"returns to version %llu in %llu s unless `commit` is given before",
		(unsigned long long)version,
		(unsigned long long)((until - MT_MIN(until, c->now)) / MT_SEC));
	mt_json_set(all, MT_M("to_be_confirmed", text));
}

void mt_ctl_acted(struct mt_ctl *c, const struct mt_who *who, const char *from, char *what)
{
	const struct mt_history_entry *last =
		c->env.history ? mt_history_at(c->env.history, 0) : NULL;
	struct mt_history_entry e = {.action = true, .what = what, .wall = mt_ctl_wall(c)};

	mt_who_str(who, e.who);
	mt_log(MT_LOG_INFO, "admin", "%s by %s: %s", from, e.who, what);
	if (!last)
		return;
	e.version = last->version;
	snprintf(e.from, sizeof(e.from), "%s", from);
	if (mt_history_add(c->env.history, &e))
		mt_log(MT_LOG_ERROR, "admin", "no memory: the history lacks `%s`", from);
}

json_t *mt_show_history(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_history_entry *e;
	json_t *list = json_array(), *all;

	for (uint32_t i = 0; c->env.history && (e = mt_history_at(c->env.history, i)); i++) {
		json_t *row = mt_json_add(list, MT_M("version", e->version));

		mt_set_time(row, "when", (int64_t)(e->wall / MT_MSEC));
		mt_json_set(row, MT_M("from", e->from), MT_M("who", e->who),
			MT_M("can_roll_back", e->texts ? "yes" : "no"), MT_M("what", e->what),
			MT_M("reason", mt_json_known(e->changes)));
	}
	all = mt_json_object(MT_M("history", list));
	if (all && c->env.history)
		add_armed(c, all);
	mt_render_absent(all, "to_be_confirmed");
	return all;
}

/*
 * Entry of a version number; NULL with *error if there is no such entry or its texts are no longer
 * kept.
 */
static const struct mt_history_entry *entry(struct mt_ctl *c, const char *word, json_t **error)
{
	const struct mt_history_entry *e = NULL;
	char *end = NULL;
	unsigned long long version = strtoull(word, &end, 10);

	if (c->env.history && word[0] >= '0' && word[0] <= '9' && !*end)
		e = mt_history_find(c->env.history, version);
	if (!e)
		*error = mt_ctl_error("there is no version %s; `show history` lists them", word);
	else if (!e->texts)
		*error = mt_ctl_error("the documents of version %s are no longer kept", word);
	return e && e->texts ? e : NULL;
}

json_t *mt_run_diff(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_history_entry *a, *b;
	json_t *error = NULL, *rows;

	a = entry(c, r->args[0], &error);
	b = error ? NULL : entry(c, r->args[1], &error);
	if (error)
		return error;
	rows = json_array();
	if (mt_history_diff(a, b, rows) == 0)
		return mt_json_object(MT_M("differences", rows));
	json_decref(rows);
	return NULL;
}

json_t *mt_run_rollback(struct mt_ctl *c, const struct mt_request *r)
{
	json_t *error = NULL, *answer;
	const struct mt_history_entry *e = entry(c, r->args[0], &error);
	char words[1024] = "";
	int rc;

	if (error)
		return error;
	if (!c->env.rollback)
		return mt_ctl_error("this daemon cannot go back");
	rc = c->env.rollback(c->env.arg, r->who, e->version, words, sizeof(words));
	answer = mt_ctl_when(c, r, rc, "rollback", words);
	if (rc >= 0)
		mt_json_set(answer,
			MT_M("remember",
				"files on disk are unchanged: the next reload applies them"));
	return answer;
}

/* "60s", "5m", "60" */
static bool seconds(const char *text, uint32_t *out)
{
	char *end = NULL;
	unsigned long n = strtoul(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || n > CONFIRM_MAX_S)
		return false;
	if (strcmp(end, "m") == 0)
		n *= 60;
	else if (*end && strcmp(end, "s") != 0)
		return false;
	*out = (uint32_t)n;
	return n >= CONFIRM_MIN_S && n <= CONFIRM_MAX_S;
}

json_t *mt_run_commit_confirm(struct mt_ctl *c, const struct mt_request *r)
{
	uint64_t until;
	uint32_t s;
	char text[256 + MT_WHO_LEN], other[64 + MT_WHO_LEN] = "";

	if (!c->env.history)
		return mt_ctl_error("this daemon keeps no history");
	if (!seconds(r->args[0], &s))
		return mt_ctl_error(
			"%s: not a time from 1s to 24h; write it like 60s or 5m", r->args[0]);
	if (mt_history_armed(c->env.history, &until))
		snprintf(other, sizeof(other), " (%s had started it already; the time is new)",
			c->confirm_by);
	if (!mt_history_arm(c->env.history, c->now + s * MT_SEC))
		return mt_ctl_error("there is nothing yet to go back to");
	snprintf(text, sizeof(text),
		"changes from now on are undone in %u s, back to version %llu, unless `commit` is "
		"given before%s",
		s, (unsigned long long)mt_history_armed(c->env.history, &until), other);
	mt_who_str(r->who, c->confirm_by);
	return mt_json_object(MT_M("commit", text));
}

json_t *mt_run_commit(struct mt_ctl *c, const struct mt_request *r)
{
	if (!c->env.history || !mt_history_confirm(c->env.history))
		return mt_ctl_error(
			"nothing waits to be confirmed; see `help` for `commit confirm`");
	return mt_json_object(MT_M("commit", "the active configuration stays"));
}
