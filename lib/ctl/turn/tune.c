/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `tune` and `drain`: overrides that an operator sets at run time. This file parses the words and
 * checks the override against the current configuration; the daemon applies it. If two operators
 * set the same override the last one wins and the answer names the override that it replaced. With
 * version=N the change is refused if any override has changed meanwhile.
 */
#include "tune.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WORDS_MAX 24

void mt_set_time(json_t *row, const char *name, int64_t unix_ms)
{
	time_t t = (time_t)(unix_ms / 1000);
	char text[40], in_ms[64];
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%SZ", &tm);
	snprintf(in_ms, sizeof(in_ms), "%s_unix_ms", name);
	json_object_set_new(row, name, json_string(text));
	json_object_set_new(row, in_ms, json_integer(unix_ms));
}

uint64_t mt_ctl_wall(const struct mt_ctl *c)
{
	return c->env.clock ? mt_clock_wall(c->env.clock, c->now) : c->now;
}

/* Compares version=N with the current version. NULL: equal; otherwise the error. */
static json_t *check_version(struct mt_ctl *c, const char *text)
{
	uint64_t version = mt_conf_overrides(c->env.conf)->version;
	char *end;
	unsigned long long want = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end)
		return mt_ctl_error("version=%s: not a number; `show overrides` has it", text);
	if (want == version)
		return NULL;
	return mt_ctl_error(
		"nothing was changed: the overrides are at version %llu by now, not %llu; "
		"look at `show overrides`",
		(unsigned long long)version, want);
}

/*
 * Copies the words except version=N. Returns their number; *refused: the error if the version is
 * not current.
 */
static uint32_t take_version(
	struct mt_ctl *c, const struct mt_request *r, const char **words, json_t **refused)
{
	uint32_t n = 0;

	*refused = NULL;
	for (uint32_t i = 0; i < r->n_args && n < WORDS_MAX; i++) {
		if (strncmp(r->args[i], "version=", 8) == 0 && !*refused)
			*refused = check_version(c, r->args[i] + 8);
		else
			words[n++] = r->args[i];
	}
	return n;
}

/* Describes the override that `o` replaces; "": none. */
static void replaced(struct mt_ctl *c, const struct mt_override *o, char *buf, size_t size)
{
	const struct mt_override *was = mt_overrides_same(mt_conf_overrides(c->env.conf), o);
	char text[MT_OVERRIDE_TEXT];

	buf[0] = '\0';
	if (was)
		snprintf(buf, size, "`%s` of %s, %llu s ago", mt_override_str(was, text), was->who,
			(unsigned long long)((mt_ctl_wall(c) - MT_MIN(was->wall, mt_ctl_wall(c))) /
					     MT_SEC));
}

json_t *mt_ask_tune(struct mt_ctl *c, const struct mt_request *r, const struct mt_ctl_tune *t,
	const char *key, const char *instead, const char *note)
{
	char words[1024] = "";
	json_t *j;
	int rc;

	if (!c->env.tune)
		return mt_ctl_error("this daemon cannot be tuned");
	rc = c->env.tune(c->env.arg, r->who, t, words, sizeof(words));
	j = mt_ctl_when(c, r, rc, key, words);
	if (rc >= 0)
		mt_json_set(j, MT_M("version", mt_conf_overrides(c->env.conf)->version),
			MT_M("in_place_of", mt_json_known(instead)),
			MT_M("note", mt_json_known(note)));
	return j;
}

/*
 * Workers have equal settings. Only workers know them, so lib/conf cannot check this. It can check
 * log-sample, which is part of the configuration.
 */
static bool is_set(const struct mt_ctl *c, const struct mt_override *o)
{
	struct mt_worker_knobs k;

	if (o->kind != MT_OVERRIDE_WORKER || !c->env.n_workers)
		return false;
	k = mt_worker_knobs(c->env.workers[0]);
	switch (o->knob) {
	case MT_KNOB_IDLE:
		return (k.idle == MT_WORKER_ADAPTIVE) == (o->value != 0);
	case MT_KNOB_BURST:
		return k.burst == o->value;
	case MT_KNOB_COALESCE:
		return k.coalesce == o->value;
	case MT_KNOB_SAMPLING:
		return k.sampling_ms == o->value;
	default:
		return false;
	}
}

/* Sets the override of these words; `key`: the answer's member for what was done. */
static json_t *set(struct mt_ctl *c, const struct mt_request *r, const char *const *words,
	uint32_t n, const char *key)
{
	struct mt_override o;
	char instead[MT_OVERRIDE_TEXT + 128], note[512];
	struct mt_ctl_tune t = {.what = MT_TUNE_SET, .set = &o};
	struct mt_err e = {""};

	if (mt_override_parse(&o, words, n, &e) || !mt_conf_override_applies(c->env.conf, &o, &e))
		return mt_ctl_error("%s", e.text);
	if (is_set(c, &o))
		return mt_ctl_error("nothing was changed: the workers have that setting already");
	if (!mt_conf_override_changes(c->env.conf, &o, &e))
		return mt_ctl_error("nothing was changed: %s", e.text);
	mt_who_str(r->who, o.who);
	o.wall = mt_ctl_wall(c);
	replaced(c, &o, instead, sizeof(instead));
	(void)mt_conf_override_note(c->env.conf, &o, note, sizeof(note));
	return mt_ask_tune(c, r, &t, key, instead, note);
}

json_t *mt_run_tune(struct mt_ctl *c, const struct mt_request *r)
{
	const char *noun = mt_command_noun(r->command), *words[WORDS_MAX + 1];
	json_t *refused;
	uint32_t n;

	if (!c->env.conf)
		return mt_ctl_error("there is no configuration");
	words[0] = strcmp(noun, "level") == 0 ? "log" : noun;
	n = take_version(c, r, words + 1, &refused);
	return refused ? refused : set(c, r, words, n + 1, "tune");
}

json_t *mt_run_drain(struct mt_ctl *c, const struct mt_request *r)
{
	const char *words[WORDS_MAX + 2] = {"drain", mt_command_noun(r->command)};
	json_t *refused;
	uint32_t n;

	if (!c->env.conf)
		return mt_ctl_error("there is no configuration");
	n = take_version(c, r, words + 2, &refused);
	return refused ? refused : set(c, r, words, n + 2, "drain");
}

static json_t *with_id(struct mt_ctl *c, const struct mt_request *r, struct mt_ctl_tune *t)
{
	const char *words[WORDS_MAX];
	json_t *refused;
	char *end = NULL;

	if (!c->env.conf)
		return mt_ctl_error("there is no configuration");
	if (take_version(c, r, words, &refused) != 1 && !refused)
		return mt_ctl_error("give ID or all; `show overrides` has the numbers");
	if (refused)
		return refused;
	if (strcmp(words[0], "all") == 0)
		return mt_ask_tune(c, r, t, "tune", NULL, NULL);
	t->id = (uint32_t)strtoul(words[0], &end, 10);
	if (words[0][0] < '0' || words[0][0] > '9' || *end ||
		!mt_overrides_find(mt_conf_overrides(c->env.conf), t->id))
		return mt_ctl_error("there is no override %s; look at `show overrides`", words[0]);
	return mt_ask_tune(c, r, t, "tune", NULL, NULL);
}

json_t *mt_run_tune_keep(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_tune t = {.what = MT_TUNE_KEEP};

	return with_id(c, r, &t);
}

json_t *mt_run_tune_drop(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_tune t = {.what = MT_TUNE_DROP};

	return with_id(c, r, &t);
}

json_t *mt_show_overrides(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_overrides *s = c->env.conf ? mt_conf_overrides(c->env.conf) : NULL;
	json_t *list = json_array();

	for (uint32_t i = 0; s && i < s->n; i++) {
		const struct mt_override *o = &s->v[i];
		char text[MT_OVERRIDE_TEXT];
		struct mt_err e = {""};
		bool applies = mt_conf_override_applies(c->env.conf, o, &e);
		json_t *row = mt_json_add(list, MT_M("id", o->id),
			MT_M("override", mt_override_str(o, text)), MT_M("kept", o->keep),
			MT_M("in_effect", applies ? "yes" : e.text), MT_M("by", o->who));

		mt_set_time(row, "since", (int64_t)(o->wall / MT_MSEC));
	}
	return mt_json_object(MT_M("version", s ? s->version : 0), MT_M("overrides", list));
}
