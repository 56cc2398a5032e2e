/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator turns at run time, as far as it is the daemon's: overrides become part of what is compiled and
 * published, or of the workers; those that are kept are written down; all of it is told to the history and the log.
 */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALL_MS	    1000
#define KEPT_SUFFIX " (kept)"

/* ---- workers ------------------------------------------------------------------------------------ */

static struct mt_worker_knobs knobs_of(const struct daemon *d)
{
	const struct mt_overrides *s = mt_conf_overrides(d->conf);
	struct mt_worker_knobs k = d->knobs_at_start;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct mt_override *o = &s->v[i];

		if (o->kind != MT_OVERRIDE_WORKER)
			continue;
		if (o->knob == MT_KNOB_IDLE)
			k.idle = o->value ? MT_WORKER_ADAPTIVE : MT_WORKER_POLL;
		else if (o->knob == MT_KNOB_BURST)
			k.burst = (uint16_t)o->value;
		else if (o->knob == MT_KNOB_COALESCE)
			k.coalesce = (uint16_t)o->value;
		else
			k.sampling_ms = o->value;
	}
	return k;
}

/* On the worker. */
static void apply_knobs(struct mt_worker *w, void *arg)
{
	mt_worker_turn_knobs(w, arg);
}

static bool same_knobs(const struct mt_worker_knobs *a, const struct mt_worker_knobs *b)
{
	return a->idle == b->idle && a->burst == b->burst && a->coalesce == b->coalesce &&
	       a->sampling_ms == b->sampling_ms;
}

void turn_workers(struct daemon *d)
{
	struct mt_worker_knobs k = knobs_of(d);

	if (same_knobs(&k, &d->knobs))
		return;
	d->knobs = k;
	for (uint16_t i = 0; i < d->n_workers; i++)
		if (mt_worker_call(d->workers[i], apply_knobs, &d->knobs, CALL_MS))
			mt_log(MT_LOG_WARN, "tune", "worker %u takes its settings over later", i);
}

/* ---- the log ------------------------------------------------------------------------------------ */

/* With which levels it started. */
static void log_at_start(const struct daemon *d)
{
	const struct mt_node_log *n = &d->node->admin.log;

	if (d->args.log_level >= 0) {
		mt_log_set_level((enum mt_log_level)d->args.log_level);
		return;
	}
	mt_log_set_level(n->level.set ? (enum mt_log_level)n->level.v : MT_LOG_INFO);
	for (int i = 0; i < MT_LOG_MODULES; i++)
		if (n->modules[i].set)
			mt_log_set_module(
				(enum mt_log_module)i, (enum mt_log_level)n->modules[i].v);
}

void turn_log(struct daemon *d)
{
	const struct mt_overrides *s = mt_conf_overrides(d->conf);
	int module;

	log_at_start(d);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_LOG && !s->v[i].target[0])
			mt_log_set_level((enum mt_log_level)s->v[i].value);
	/* One for a module is younger: one for all takes theirs away. */
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_LOG &&
			(module = mt_log_module_find(s->v[i].target)) >= 0)
			mt_log_set_module(
				(enum mt_log_module)module, (enum mt_log_level)s->v[i].value);
}

/* A level for all modules ends those of single ones. */
static void end_log_levels(struct mt_overrides *s, const struct mt_override *o)
{
	if (o->kind != MT_OVERRIDE_LOG || o->target[0])
		return;
	for (uint32_t i = s->n; i-- > 0;)
		if (s->v[i].kind == MT_OVERRIDE_LOG && s->v[i].target[0])
			(void)mt_overrides_drop(s, s->v[i].id);
}

int turn_start(struct daemon *d, struct mt_err *e)
{
	d->knobs = d->knobs_at_start = mt_worker_knobs(d->workers[0]);
	turn_workers(d);
	return 0;
}

void turn_stop(struct daemon *d)
{
}

/* ---- the state directory ------------------------------------------------------------------------ */

void turn_load(struct daemon *d)
{
	struct mt_overrides s = {0};
	struct mt_err e = {""};

	if (mt_overrides_load(&s, state_dir(d), &e))
		mt_log(MT_LOG_ERROR, "tune",
			"%s; this override does not hold, mend the line or remove it", e.text);
	if (mt_conf_set_overrides(d->conf, &s))
		mt_log(MT_LOG_ERROR, "tune", "no memory for the overrides that were kept");
	if (s.n)
		mt_log(MT_LOG_INFO, "tune", "%u overrides were kept over the restart", s.n);
	mt_overrides_fini(&s);
}

/* ---- sets as text, for the history ---------------------------------------------------------------- */

char *turn_text(const struct mt_overrides *s)
{
	struct mt_text_buf t = {0};
	char line[MT_OVERRIDE_TEXT];

	mt_text_bytes(&t, "", 0);
	for (uint32_t i = 0; i < s->n; i++)
		mt_text_add(&t, "%s%s\n", mt_override_str(&s->v[i], line),
			s->v[i].keep ? KEPT_SUFFIX : "");
	if (t.failed) {
		mt_text_fini(&t);
		return NULL;
	}
	return t.p ? t.p : strdup("");
}

static int add_line(struct mt_overrides *s, char *line, const char *who, uint64_t wall)
{
	char *kept = strstr(line, KEPT_SUFFIX);
	struct mt_override o;
	struct mt_err e;
	uint32_t id;

	if (kept)
		*kept = '\0';
	if (mt_override_parse_line(&o, line, &e))
		return -EINVAL;
	o.keep = kept != NULL;
	o.wall = wall;
	snprintf(o.who, sizeof(o.who), "%s", who);
	return mt_overrides_set(s, &o, &id);
}

int turn_from_text(struct mt_overrides *s, const char *text, const char *who, uint64_t wall)
{
	char *copy = strdup(text), *save = NULL;
	int rc = copy ? 0 : -ENOMEM;

	for (char *l = copy ? strtok_r(copy, "\n", &save) : NULL; l && rc == 0;
		l = strtok_r(NULL, "\n", &save))
		rc = add_line(s, l, who, wall);
	free(copy);
	return rc;
}

/* ---- one change --------------------------------------------------------------------------------- */

static bool any_kept(const struct mt_overrides *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].keep)
			return true;
	return false;
}

/* Written before it counts: what is said to be kept must not be lost. */
static int save(struct daemon *d, const struct mt_overrides *before,
	const struct mt_overrides *after, struct mt_err *e)
{
	if (!any_kept(before) && !any_kept(after))
		return 0;
	return mt_overrides_save(after, state_dir(d), e);
}

static int turn_to(
	struct daemon *d, const struct mt_overrides *to, uint64_t now, char *words, size_t size)
{
	struct mt_overrides before;
	struct mt_err e = {""};
	int rc = mt_overrides_copy(&before, mt_conf_overrides(d->conf));

	if (rc) {
		snprintf(words, size, "no memory");
		return rc;
	}
	rc = save(d, &before, to, &e);
	if (rc == 0 && (rc = mt_conf_set_overrides(d->conf, to)))
		(void)mt_err(&e, rc, "no memory");
	if (rc) {
		snprintf(words, size, "nothing was changed: %s", e.text);
		mt_overrides_fini(&before);
		return rc;
	}
	rc = config_refresh(d, now);
	/* One that waits for room is taken; one that does not compile is not. */
	if (rc && !d->waiting) {
		(void)mt_conf_set_overrides(d->conf, &before);
		(void)save(d, to, &before, &e);
	} else {
		rc = 0;
		turn_workers(d);
		turn_log(d);
	}
	snprintf(words, size, "%s", d->reload_words);
	mt_overrides_fini(&before);
	return rc;
}

static int change(struct mt_overrides *s, const struct mt_ctl_tune *t, char *what, size_t size)
{
	char text[MT_OVERRIDE_TEXT];
	uint32_t id = t->id;
	int rc = 0;

	switch (t->what) {
	case MT_TUNE_SET:
		end_log_levels(s, t->set);
		rc = mt_overrides_set(s, t->set, &id);
		snprintf(what, size, "%s", mt_override_str(t->set, text));
		break;
	case MT_TUNE_KEEP:
		for (uint32_t i = 0; i < s->n; i++)
			s->v[i].keep |= !id || s->v[i].id == id;
		s->version++;
		snprintf(what, size, id ? "keep %u" : "keep all", id);
		break;
	case MT_TUNE_DROP:
		if (id && mt_overrides_find(s, id))
			snprintf(what, size, "drop %s",
				mt_override_str(mt_overrides_find(s, id), text));
		else
			snprintf(what, size, "drop all");
		while (s->n && mt_overrides_drop(s, id ? id : s->v[0].id) && !id)
			;
		break;
	}
	return rc;
}

/* Many an override (of a drain, a limit, a worker) changes no cluster or service, and holds all the same. */
static void say_done(const struct daemon *d, const char *what, bool set, char *words, size_t size)
{
	if (d->waiting)
		snprintf(words, size, "%s: %s", what, d->reload_words);
	else
		snprintf(words, size, "%s: %s%s%s", what, set ? "in force" : "done",
			d->change_words[0] ? "; " : "", d->change_words);
}

int turn(void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words, size_t size)
{
	struct daemon *d = arg;
	struct mt_overrides s;
	char what[MT_OVERRIDE_TEXT + 16] = "", name[MT_WHO_LEN];
	int rc = mt_overrides_copy(&s, mt_conf_overrides(d->conf));

	if (rc == 0)
		rc = change(&s, t, what, sizeof(what));
	if (rc) {
		snprintf(words, size,
			rc == -E2BIG ? "there are %u overrides: drop some" : "no memory",
			MT_OVERRIDES_MAX);
		mt_overrides_fini(&s);
		return rc;
	}
	history_cause(d, "tune", who, what);
	d->change_words[0] = '\0';
	rc = turn_to(d, &s, mt_clock_now(&d->clock), words, size);
	if (rc) {
		mt_log(MT_LOG_WARN, "tune", "%s: %s: %s", mt_who_str(who, name), what, words);
	} else {
		say_done(d, what, t->what == MT_TUNE_SET, words, size);
		mt_log(MT_LOG_INFO, "tune", "%s: %s", mt_who_str(who, name), words);
	}
	history_cause(d, NULL, NULL, NULL);
	mt_overrides_fini(&s);
	return rc;
}
