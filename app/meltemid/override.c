/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's part of overrides, which an operator sets at run time. They become part of what is
 * compiled and published, or settings of the workers. Those to be kept are written to the state
 * directory. All changes go to the history and the log.
 */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CALL_MS	    1000
#define KEPT_SUFFIX " (kept)"

/* ---- workers --------------------------------------------------------------------------------- */

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
		else if (o->knob == MT_KNOB_SAMPLING)
			k.sampling_ms = o->value;
	}
	return k;
}

/* Runs on the worker. */
static void apply_knobs(struct mt_worker *w, void *arg)
{
	mt_worker_turn_knobs(w, arg);
}

static bool same_knobs(const struct mt_worker_knobs *a, const struct mt_worker_knobs *b)
{
	return a->idle == b->idle && a->burst == b->burst && a->coalesce == b->coalesce &&
	       a->sampling_ms == b->sampling_ms;
}

void override_workers(struct daemon *d)
{
	struct mt_worker_knobs k = knobs_of(d);

	if (same_knobs(&k, &d->knobs))
		return;
	d->knobs = k;
	for (uint16_t i = 0; i < d->n_workers; i++)
		if (mt_worker_call(d->workers[i], apply_knobs, &d->knobs, CALL_MS))
			mt_log(MT_LOG_WARN, "tune", "worker %u takes its settings over later", i);
}

/* ---- the log --------------------------------------------------------------------------------- */

/* Sets the log levels as at the start. */
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

void override_log(struct daemon *d)
{
	const struct mt_overrides *s = mt_conf_overrides(d->conf);
	int module;

	log_at_start(d);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_LOG && !s->v[i].target[0])
			mt_log_set_level((enum mt_log_level)s->v[i].value);
	/*
	 * Then single modules: these overrides are newer, because one for all modules removes them.
	 */
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_LOG &&
			(module = mt_log_module_find(s->v[i].target)) >= 0)
			mt_log_set_module(
				(enum mt_log_module)module, (enum mt_log_level)s->v[i].value);
}

/* A level for all modules removes the overrides of single ones. */
static void end_log_levels(struct mt_overrides *s, const struct mt_override *o)
{
	if (o->kind != MT_OVERRIDE_LOG || o->target[0])
		return;
	for (uint32_t i = s->n; i-- > 0;)
		if (s->v[i].kind == MT_OVERRIDE_LOG && s->v[i].target[0])
			(void)mt_overrides_drop(s, s->v[i].id);
}

int override_start(struct daemon *d, struct mt_err *e)
{
	d->knobs = d->knobs_at_start = mt_worker_knobs(d->workers[0]);
	override_workers(d);
	return 0;
}

void override_stop(struct daemon *d)
{
	if (d->later == LATER_WRITTEN)
		mt_overrides_fini(&d->overriding.to);
	d->later = LATER_NOTHING;
}

/* ---- the state directory --------------------------------------------------------------------- */

void override_load(struct daemon *d)
{
	struct mt_overrides s = {0};
	struct mt_err e = {""};

	if (mt_overrides_load(&s, state_dir(d), &e))
		mt_log(MT_LOG_ERROR, "tune",
			"%s; this override does not apply, fix the line or remove it", e.text);
	if (mt_conf_set_overrides(d->conf, &s))
		mt_log(MT_LOG_ERROR, "tune", "no memory for the overrides that were kept");
	if (s.n)
		mt_log(MT_LOG_INFO, "tune", "%u overrides were kept over the restart", s.n);
	mt_overrides_fini(&s);
}

/* ---- sets as text, for the history ----------------------------------------------------------- */

char *override_text(const struct mt_overrides *s)
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

int override_from_text(struct mt_overrides *s, const char *text, const char *who, uint64_t wall)
{
	char *copy = strdup(text), *save = NULL;
	int rc = copy ? 0 : -ENOMEM;

	for (char *l = copy ? strtok_r(copy, "\n", &save) : NULL; l && rc == 0;
		l = strtok_r(NULL, "\n", &save))
		rc = add_line(s, l, who, wall);
	free(copy);
	return rc;
}

/* ---- one change ------------------------------------------------------------------------------ */

/* True if the kept overrides of both sets are the same, so that the file need not be written. */
static bool is_written(const struct mt_overrides *before, const struct mt_overrides *after)
{
	char *a = mt_overrides_text(before), *b = mt_overrides_text(after);
	bool same = a && b && strcmp(a, b) == 0;

	free(a);
	free(b);
	return same;
}

static void saved_again(void *arg, int rc, const struct mt_err *e)
{
	if (rc)
		mt_log(MT_LOG_ERROR, "tune",
			"%s: after a restart other overrides would hold than now", e->text);
}

void override_save(struct daemon *d)
{
	mt_overrides_save(mt_conf_overrides(d->conf), state_dir(d), d->service, saved_again, d);
}

static int override_to(
	struct daemon *d, const struct mt_overrides *to, uint64_t now, char *words, size_t size)
{
	struct mt_overrides before;
	int rc = mt_overrides_copy(&before, mt_conf_overrides(d->conf));

	if (rc) {
		snprintf(words, size, "no memory");
		return rc;
	}
	rc = mt_conf_set_overrides(d->conf, to);
	if (rc) {
		snprintf(words, size, "nothing was changed: no memory");
		mt_overrides_fini(&before);
		return rc;
	}
	rc = config_refresh(d, now);
	/* An override whose snapshot waits is taken; one that does not compile is not. */
	if (rc && !d->waiting) {
		(void)mt_conf_set_overrides(d->conf, &before);
		if (!is_written(to, &before))
			override_save(d);
	} else {
		rc = 0;
		override_workers(d);
		override_log(d);
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
	case MT_TUNE_RETURN:
		rc = mt_overrides_return(s, t->set);
		snprintf(what, size, "return%s", mt_override_str(t->set, text) + strlen("drain"));
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

/*
 * Many overrides (of a drain, a limit, a worker) change no cluster or service, but are in force all
 * the same.
 */
static void say_done(const struct daemon *d, const char *what, bool set, char *words, size_t size)
{
	if (d->waiting)
		snprintf(words, size, "%s: %s", what, d->reload_words);
	else
		snprintf(words, size, "%s: %s%s%s", what, set ? "in force" : "done",
			d->change_words[0] ? "; " : "", d->change_words);
}

/*
 * Finishes a change when its write has ended: applies it, or reports that it could not be written.
 */
static int finish(struct daemon *d, char *words, size_t size)
{
	struct overriding *t = &d->overriding;
	char name[MT_WHO_LEN];
	int rc = t->rc;

	if (rc) {
		snprintf(words, size, "nothing was changed: %s (make stateDirectory writable)",
			t->why.text);
	} else {
		history_cause(d, "tune", &t->who, t->what);
		d->change_words[0] = '\0';
		rc = override_to(d, &t->to, mt_clock_now(&d->clock), words, size);
		history_cause(d, NULL, NULL, NULL);
	}
	if (rc) {
		mt_log(MT_LOG_WARN, "tune", "%s: %s: %s", mt_who_str(&t->who, name), t->what,
			words);
	} else {
		say_done(d, t->what, t->set, words, size);
		mt_log(MT_LOG_INFO, "tune", "%s: %s", mt_who_str(&t->who, name), words);
	}
	mt_overrides_fini(&t->to);
	return rc;
}

static void saved(void *arg, int rc, const struct mt_err *e)
{
	struct daemon *d = arg;
	struct overriding *t = &d->overriding;
	char words[1024];

	t->rc = rc;
	t->why = *e;
	/* No shell command waits at the end of the daemon, or before override() has returned. */
	if (!t->writing)
		return;
	t->writing = false;
	if (d->later != LATER_WRITTEN)
		return;
	d->later = LATER_NOTHING;
	rc = finish(d, words, sizeof(words));
	mt_ctl_answer(d->ctl, rc, words, mt_clock_now(&d->clock));
}

/* Writes a change before it takes effect, because what is reported as kept must not be lost. */
static int write_and_finish(struct daemon *d, char *words, size_t size)
{
	struct overriding *t = &d->overriding;

	t->rc = 0;
	t->writing = !is_written(mt_conf_overrides(d->conf), &t->to);
	if (t->writing)
		mt_overrides_save(&t->to, state_dir(d), d->service, saved, d);
	if (!t->writing)
		return finish(d, words, size);
	d->later = LATER_WRITTEN;
	return MT_CTL_LATER;
}

int override(
	void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words, size_t size)
{
	struct daemon *d = arg;
	struct overriding *next = &d->overriding;
	int rc;

	if (d->later != LATER_NOTHING) {
		snprintf(words, size,
			"another change is being written to the disk: repeat the command");
		return -EBUSY;
	}
	next->who = *who;
	next->set = t->what == MT_TUNE_SET;
	rc = mt_overrides_copy(&next->to, mt_conf_overrides(d->conf));
	if (rc == 0)
		rc = change(&next->to, t, next->what, sizeof(next->what));
	if (rc == 0)
		return write_and_finish(d, words, size);
	snprintf(words, size, rc == -E2BIG ? "there are %u overrides: drop some" : "no memory",
		MT_OVERRIDES_MAX);
	mt_overrides_fini(&next->to);
	return rc;
}
