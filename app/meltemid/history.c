/* SPDX-License-Identifier: Apache-2.0 */
/* Adds an entry to lib/ctl's history with each publish, and restores older versions from it. */
#include "daemon.h"

#include "mt_history.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int history_start(struct daemon *d, struct mt_err *e)
{
	d->history = mt_history_new(0, 0);
	return d->history ? 0 : mt_err(e, -ENOMEM, "no memory");
}

void history_stop(struct daemon *d)
{
	mt_history_free(d->history);
	mt_source_texts_free(d->texts);
	d->history = NULL;
	d->texts = NULL;
}

void history_cause(struct daemon *d, const char *from, const struct mt_who *who, const char *what)
{
	d->cause = from;
	d->cause_what = what;
	d->cause_who[0] = '\0';
	if (who)
		mt_who_str(who, d->cause_who);
}

void history_documents(struct daemon *d, struct mt_source_texts *t, uint64_t rolled_back)
{
	mt_source_texts_free(d->texts);
	d->texts = t;
	d->rolled_back = rolled_back;
}

/*
 * Lists what the publish changed by name, separated by "; ". The caller frees it; NULL: no memory.
 */
static char *changes_of(const struct mt_conf_items *items)
{
	static const char *const verbs[] = {[MT_CONF_ADDED] = "added",
		[MT_CONF_REMOVED] = "removed",
		[MT_CONF_CHANGED] = "changed"};
	struct mt_text_buf t = {0};

	for (uint32_t i = 0; i < items->n && t.len < MT_HISTORY_CHANGES; i++) {
		const struct mt_conf_item *it = &items->v[i];

		mt_text_add(&t, "%s%s %s %s%s%s", i ? "; " : "", it->kind, it->name,
			verbs[it->verb], *it->fields ? ": " : "", it->fields);
	}
	if (items->more)
		mt_text_add(&t, "; and %u more", items->more);
	return t.p;
}

void history_published(
	struct daemon *d, const struct mt_snapshot *s, const struct mt_conf_change *change)
{
	char counts[sizeof(d->change_words)], what[1024];
	struct mt_history_entry e = {.version = s->version,
		.wall = mt_clock_wall(&d->clock, mt_clock_now(&d->clock)),
		.merges = d->refreshing && !d->cause};

	if (!d->history || (e.merges && change && mt_conf_change_none(change)))
		return;
	if (change)
		publish_words(d, change, counts, sizeof(counts));
	else
		snprintf(counts, sizeof(counts), "%u service%s", s->n_services,
			s->n_services == 1 ? "" : "s");
	/* If nothing else changed, the operator's override is the change. */
	if (d->cause_what && change && mt_conf_change_none(change))
		snprintf(what, sizeof(what), "%s", d->cause_what);
	else
		snprintf(what, sizeof(what), "%s%s%s", d->cause_what ? d->cause_what : "",
			d->cause_what ? ": " : "", counts);
	snprintf(e.from, sizeof(e.from), "%s",
		d->cause	  ? d->cause
		: !d->refreshing  ? "files"
		: d->refresh_from ? d->refresh_from
				  : "discovery");
	snprintf(e.who, sizeof(e.who), "%s", d->cause_who[0] ? d->cause_who : "meltemid");
	e.what = what;
	e.overrides = override_text(mt_conf_overrides(d->conf));
	if (change)
		e.changes = changes_of(mt_conf_items(d->conf));
	if (d->texts)
		e.texts = mt_source_texts_ref(d->texts);
	if (mt_history_add(d->history, &e))
		mt_log(MT_LOG_ERROR, "config", "no memory: the history lacks version %llu",
			(unsigned long long)e.version);
	free(e.overrides);
	free(e.changes);
}

/* ---- rollback -------------------------------------------------------------------------------- */

/* Sets the overrides of that version; `before` gets those of now. */
static int set_overrides(
	struct daemon *d, const struct mt_history_entry *e, struct mt_overrides *before)
{
	struct mt_overrides s = {0};
	int rc = mt_overrides_copy(before, mt_conf_overrides(d->conf));

	/* Ids are not reused, and a client that watches the version sees a change. */
	s.next_id = before->next_id;
	s.version = before->version + 1;
	if (rc == 0)
		rc = override_from_text(&s, e->overrides, e->who, e->wall);
	if (rc == 0)
		rc = mt_conf_set_overrides(d->conf, &s);
	mt_overrides_fini(&s);
	return rc;
}

static int go_back(struct daemon *d, const struct mt_history_entry *e, uint64_t now)
{
	struct mt_source_texts *texts = mt_source_texts_ref(e->texts);
	uint64_t version = e->version;
	struct mt_overrides before = {0};
	int rc = set_overrides(d, e, &before);

	if (rc == 0)
		rc = config_from_texts(d, texts, version, now);
	if (rc && !d->waiting) {
		(void)mt_conf_set_overrides(d->conf, &before);
	} else {
		override_save(d);
		override_workers(d);
		override_log(d);
		rc = 0;
	}
	mt_source_texts_free(texts);
	mt_overrides_fini(&before);
	return rc;
}

int history_rollback(
	void *arg, const struct mt_who *who, uint64_t version, char *words, size_t size)
{
	struct daemon *d = arg;
	const struct mt_history_entry *e = mt_history_find(d->history, version);
	char what[64];
	int rc = -ENOENT;

	snprintf(what, sizeof(what), "to version %llu", (unsigned long long)version);
	snprintf(d->reload_words, sizeof(d->reload_words), "version %llu is no longer kept",
		(unsigned long long)version);
	if (e && e->texts) {
		history_cause(d, who ? "rollback" : "not confirmed", who, what);
		rc = go_back(d, e, mt_clock_now(&d->clock));
		history_cause(d, NULL, NULL, NULL);
	}
	mt_log(rc ? MT_LOG_ERROR : MT_LOG_INFO, "config", "rollback %s by %s: %s", what,
		who ? who->name : "meltemid, not confirmed in time", d->reload_words);
	snprintf(words, size, "%s", d->reload_words);
	return rc || !who || !d->waiting_writes ? rc : publish_later(d, -EINPROGRESS);
}

void history_turn(struct daemon *d, uint64_t now)
{
	uint64_t version;
	char words[64];

	/* A change that is still being written comes first. */
	if (d->later != LATER_NOTHING)
		return;
	version = mt_history_lapsed(d->history, now);
	if (version)
		(void)history_rollback(d, NULL, version, words, sizeof(words));
}
