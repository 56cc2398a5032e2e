/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a compiled snapshot the current one, or keeps it until that is possible. Too many old ones
 * may still be in use, the disk may be full, or there may be no memory for addresses. Such a cause
 * may pass by itself or by an operator's action. Therefore the same snapshot is tried again, at
 * growing intervals, and documents that have not changed are not compiled again.
 */
#include "daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_FIRST (1 * MT_SEC)
#define RETRY_MOST  (30 * MT_SEC)

#define REFRESH_TOLD (10 * MT_SEC)
#define NAMES_TOLD   3u /* changed objects in the line of a reload; the history has all */

/*
 * A discovery server may change something five times a second. One line in ten seconds is enough;
 * the others are logged at debug level.
 */
static enum mt_log_level level_of(struct daemon *d)
{
	uint64_t now = mt_clock_now(&d->clock);

	if (d->refreshing && now < d->refresh_told + REFRESH_TOLD)
		return MT_LOG_DEBUG;
	d->refresh_told = d->refreshing ? now : 0;
	return MT_LOG_INFO;
}

static int note(struct daemon *d, int rc, bool log, const char *fmt, va_list ap)
{
	vsnprintf(d->reload_words, sizeof(d->reload_words), fmt, ap);
	d->reload_rc = rc;
	if (log)
		mt_log(rc ? MT_LOG_ERROR : level_of(d), "config", "%s", d->reload_words);
	/*
	 * A publish for another reason does not bring refused documents into use, so it is not
	 * reported as a successful reload.
	 */
	if (d->ctl && !(d->refused && rc == 0))
		mt_ctl_reloaded(d->ctl, rc == 0, d->reload_words, mt_clock_now(&d->clock));
	return rc;
}

int publish_note(struct daemon *d, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rc = note(d, rc, true, fmt, ap);
	va_end(ap);
	return rc;
}

int publish_note_logged(struct daemon *d, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rc = note(d, rc, false, fmt, ap);
	va_end(ap);
	return rc;
}

/* ---- one try ------------------------------------------------------------------------------ */

void publish_words(
	const struct daemon *d, const struct mt_conf_change *change, char *buf, size_t size)
{
	bool none = mt_conf_change_none(change);
	size_t len;

	mt_conf_change_str(change, buf, size);
	if (!d->node_fields[0])
		return;
	len = none ? 0 : strlen(buf);
	snprintf(buf + len, size - len, "%sNode: %s changed", none ? "" : "; ", d->node_fields);
}

/* " (service shop.example, listener 203.0.113.1:80 and 2 more)"; "": nothing changed. */
static void changed_names(const struct mt_conf_items *items, char *buf, size_t size)
{
	uint32_t n = MT_MIN(items->n, NAMES_TOLD);
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s %.60s", i ? ", " : " (",
			items->v[i].kind, items->v[i].name);
	if (n && len < size && items->n + items->more > n)
		len += (size_t)snprintf(
			buf + len, size - len, " and %u more", items->n + items->more - n);
	if (n && len < size)
		(void)snprintf(buf + len, size - len, ")");
}

/* The operator's reload found no change, often because the watcher read the files before. */
static int note_nothing(struct daemon *d)
{
	time_t t = (time_t)(d->changed_wall / MT_SEC);
	char when[32] = "";
	struct tm tm;

	if (!d->changed_wall || !gmtime_r(&t, &tm) ||
		!strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%SZ", &tm))
		return publish_note(d, 0, "reloaded: no change");
	return publish_note(d, 0, "reloaded: no change since %s (`show history`)", when);
}

/* Finishes a publish, after the snapshot has become current. */
static void published(
	struct daemon *d, struct mt_snapshot *s, const struct mt_conf_change *change, bool waited)
{
	bool none = mt_conf_change_none(change) && !d->node_fields[0];
	char words[sizeof(d->change_words)], names[NAMES_TOLD * 80 + 32];

	publish_words(d, change, words, sizeof(words));
	changed_names(mt_conf_items(d->conf), names, sizeof(names));
	history_published(d, s, change);
	mt_table_free(d->in_force);
	d->in_force = NULL;
	snprintf(d->change_words, sizeof(d->change_words), "%s", none ? "" : words);
	d->node_fields[0] = '\0';
	if (!none)
		d->changed_wall = mt_clock_wall(&d->clock, mt_clock_now(&d->clock));
	/* The log has a line for each refused document; nothing else has changed. */
	if (none && d->refused && d->reload_unsaid)
		(void)publish_note_logged(d, 0, "reloaded: %s", words);
	else if (none && !waited && d->cause && strcmp(d->cause, "files") == 0)
		(void)note_nothing(d);
	else
		(void)publish_note(d, 0, "reloaded%s: %s%s", waited ? ", after it had to wait" : "",
			words, names);
	if (d->reload_unsaid)
		config_in_force(d);
}

/* Waits for a write of the daemon's own file, usually for milliseconds, so this is not logged. */
static void wait_for_file(struct daemon *d, const char *why)
{
	if (d->waiting_rc)
		return;
	d->waiting_rc = -EINPROGRESS;
	snprintf(d->waiting_words, sizeof(d->waiting_words), "%s", why);
	snprintf(d->reload_words, sizeof(d->reload_words),
		"a newer configuration follows at once: %s", why);
	d->reload_rc = -EINPROGRESS;
}

/* Records why a snapshot waits. A reason is logged only if it differs from the last one. */
static void wait_for(struct daemon *d, int rc, const char *why)
{
	if (d->waiting_rc == rc && strcmp(d->waiting_words, why) == 0)
		return;
	d->waiting_rc = rc;
	snprintf(d->waiting_words, sizeof(d->waiting_words), "%s", why);
	(void)publish_note(d, rc,
		"a newer configuration waits and is retried; the last one stays in use: %s", why);
}

static int try(struct daemon *d, uint64_t now)
{
	struct mt_snapshot *s = d->waiting;
	bool waited = d->waiting_rc && d->waiting_rc != -EINPROGRESS;
	struct mt_conf_change change;
	struct mt_err e = {""};
	/* Everything that can fail comes before the snapshot is current. */
	struct net_vips *vips = net_prepare_vips(d, s, &e);
	int rc = vips ? mt_conf_publish(d->conf, s, now, &change, &e) : -ENOMEM;

	if (rc) {
		net_forget_vips(vips);
		d->waiting_writes = rc == -EINPROGRESS;
		d->retry_at = now + d->retry_after;
		if (d->waiting_writes) {
			wait_for_file(d, e.text);
			return rc;
		}
		wait_for(d, rc, e.text);
		d->retry_after = MT_MIN(2 * d->retry_after, RETRY_MOST);
		return rc;
	}
	/* After the publish, so that the node never answers for an address without a listener. */
	net_use_vips(d, vips);
	/*
	 * Entries that workers write before go to the outputs so far. Without any they wait in
	 * their rings, or are forgotten if mt-log runs.
	 */
	access_log_use(d, s->log);
	d->waiting = NULL;
	d->waiting_rc = 0;
	d->waiting_writes = false;
	published(d, s, &change, waited);
	return 0;
}

/* ---- from outside ------------------------------------------------------------------------- */

/*
 * Stores the cause with the snapshot, because the action that caused it may be over when it is
 * published.
 */
static void note_cause(struct daemon *d)
{
	struct waiting_cause *c = &d->waiting_cause;

	c->from = d->cause;
	c->refreshing = d->refreshing;
	c->refresh_from = d->refresh_from;
	snprintf(c->what, sizeof(c->what), "%s", d->cause_what ? d->cause_what : "");
	memcpy(c->who, d->cause_who, sizeof(c->who));
}

/*
 * Tries with the cause for which the snapshot was compiled, not with that of an action in progress.
 */
static int try_again(struct daemon *d, uint64_t now)
{
	const struct waiting_cause *c = &d->waiting_cause;
	const char *from = d->cause, *what = d->cause_what, *refresh_from = d->refresh_from;
	bool refreshing = d->refreshing;
	char who[MT_WHO_LEN];
	int rc;

	memcpy(who, d->cause_who, sizeof(who));
	d->cause = c->from;
	d->cause_what = c->what[0] ? c->what : NULL;
	d->refreshing = c->refreshing;
	d->refresh_from = c->refresh_from;
	memcpy(d->cause_who, c->who, sizeof(who));
	rc = try(d, now);
	d->cause = from;
	d->cause_what = what;
	d->refreshing = refreshing;
	d->refresh_from = refresh_from;
	memcpy(d->cause_who, who, sizeof(who));
	return rc;
}

int publish_snapshot(struct daemon *d, struct mt_snapshot *s, uint64_t now)
{
	publish_forget(d, now);
	d->waiting = s;
	d->waiting_rc = 0;
	d->waiting_words[0] = '\0';
	d->retry_after = RETRY_FIRST;
	note_cause(d);
	return try(d, now);
}

void publish_written(struct daemon *d, uint64_t now)
{
	if (d->waiting && d->waiting_writes)
		d->retry_at = now;
	publish_retry(d, now);
}

/* It was compiled with the kernel's addresses of then: if these are others, a refresh follows. */
static void try_compiled(struct daemon *d, uint64_t now)
{
	if (net_kernel(d) == 1) {
		d->mesh_changed = true;
		d->refresh_from = "kernel";
	}
	(void)try_again(d, now);
}

void publish_retry(struct daemon *d, uint64_t now)
{
	bool room = mt_conf_reap(d->conf, now) + 1 < MT_CONF_ALIVE_MAX;

	/*
	 * When an old snapshot has been freed, try at once. The end of other obstacles is not
	 * reported, so these wait until the retry is due.
	 */
	if (d->waiting && (now >= d->retry_at || (d->waiting_rc == -EBUSY && room)))
		try_compiled(d, now);
	if (d->later != LATER_PUBLISHED || (d->waiting && d->waiting_writes))
		return;
	d->later = LATER_NOTHING;
	mt_ctl_answer(d->ctl, d->reload_rc, d->reload_words, now);
}

int publish_later(struct daemon *d, int rc)
{
	if (rc != -EINPROGRESS)
		return rc;
	d->later = LATER_PUBLISHED;
	return MT_CTL_LATER;
}

void publish_forget(struct daemon *d, uint64_t now)
{
	if (!d->waiting)
		return;
	mt_conf_discard(d->conf, d->waiting, now);
	d->waiting = NULL;
	if (!d->waiting_writes)
		mt_log(MT_LOG_INFO, "config",
			"the configuration that waited is given up for a newer one");
}

/* ---- start and stop ----------------------------------------------------------------------- */

int publish_start(struct daemon *d, struct mt_err *e)
{
	int rc = mt_conf_publish(d->conf, d->first, mt_clock_now(&d->clock), NULL, e);

	if (rc == 0) {
		access_log_use(d, d->first->log);
		history_cause(d, "start", NULL, NULL);
		history_published(d, d->first, NULL);
		d->changed_wall = mt_clock_wall(&d->clock, mt_clock_now(&d->clock));
		history_cause(d, NULL, NULL, NULL);
		d->first = NULL;
		d->refused = mt_table_has_trouble(d->table);
		config_keep(d);
	}
	return rc;
}

void publish_stop(struct daemon *d)
{
	if (d->waiting)
		mt_conf_discard(d->conf, d->waiting, mt_clock_now(&d->clock));
	d->waiting = NULL;
}
