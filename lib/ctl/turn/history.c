/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History of configurations: a ring of entries. The newest entries keep the texts that a rollback
 * needs.
 */
#include "mt_history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mt_history {
	struct mt_history_entry *ring;
	uint32_t cap, n, next; /* next: slot of the next entry */
	size_t bytes_max, bytes;
	uint64_t confirm_until, confirm_version; /* 0: no confirmation is outstanding */
};

struct mt_history *mt_history_new(uint32_t entries, size_t bytes)
{
	struct mt_history *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->cap = entries ? entries : MT_HISTORY_ENTRIES;
	h->bytes_max = bytes ? bytes : MT_HISTORY_BYTES;
	h->ring = calloc(h->cap, sizeof(*h->ring));
	if (h->ring)
		return h;
	free(h);
	return NULL;
}

static void clear(struct mt_history_entry *e)
{
	free(e->what);
	free(e->changes);
	free(e->overrides);
	mt_source_texts_free(e->texts);
	memset(e, 0, sizeof(*e));
}

void mt_history_free(struct mt_history *h)
{
	if (!h)
		return;
	for (uint32_t i = 0; i < h->cap; i++)
		clear(&h->ring[i]);
	free(h->ring);
	free(h);
}

/* Entry i, newest first; NULL: there is none. */
static struct mt_history_entry *at(const struct mt_history *h, uint32_t i)
{
	return i < h->n ? &h->ring[(h->next + h->cap - 1 - i) % h->cap] : NULL;
}

static bool is_version(const struct mt_history_entry *e, uint64_t version)
{
	return !e->action && e->version == version;
}

const struct mt_history_entry *mt_history_at(const struct mt_history *h, uint32_t i)
{
	return at(h, i);
}

const struct mt_history_entry *mt_history_find(const struct mt_history *h, uint64_t version)
{
	for (uint32_t i = 0; i < h->n; i++)
		if (is_version(at(h, i), version))
			return at(h, i);
	return NULL;
}

/* ---- memory --------------------------------------------------------------------------------- */

/* Bytes of this entry, without texts that it shares with the next older entry. */
static size_t bytes_of(const struct mt_history_entry *e, const struct mt_history_entry *before)
{
	size_t n = sizeof(*e) + strlen(e->what) + strlen(e->changes) + strlen(e->overrides) + 3;

	return e->texts ? n + mt_source_texts_bytes(e->texts, before ? before->texts : NULL) : n;
}

static size_t sum(const struct mt_history *h)
{
	size_t n = h->cap * sizeof(*h->ring);
	const struct mt_history_entry *before = NULL;

	for (uint32_t i = h->n; i-- > 0;) {
		n += bytes_of(at(h, i), before) - sizeof(*h->ring);
		if (!at(h, i)->action)
			before = at(h, i);
	}
	return n;
}

/*
 * The oldest entry with texts, except the configuration in force and the one to which `commit
 * confirm` may return. NULL: none.
 */
static struct mt_history_entry *oldest_with_texts(const struct mt_history *h)
{
	for (uint32_t i = h->n; i-- > 1;)
		if (at(h, i)->texts && at(h, i)->version != h->confirm_version &&
			at(h, i)->version != at(h, 0)->version)
			return at(h, i);
	return NULL;
}

static void fit(struct mt_history *h)
{
	struct mt_history_entry *e;

	h->bytes = sum(h);
	while (h->bytes > h->bytes_max && (e = oldest_with_texts(h)) != NULL) {
		mt_source_texts_free(e->texts);
		e->texts = NULL;
		h->bytes = sum(h);
	}
}

size_t mt_history_bytes(const struct mt_history *h)
{
	return h->bytes;
}

/* ---- entries -------------------------------------------------------------------------------- */

static char *copy(const char *text)
{
	return strdup(text ? text : "");
}

static bool is_merged(const struct mt_history *h, const struct mt_history_entry *e)
{
	const struct mt_history_entry *last = at(h, 0);

	if (last && e->action)
		return last->action && strcmp(e->from, last->from) == 0;
	return last && e->merges && last->merges && strcmp(e->from, last->from) == 0 &&
	       e->wall - last->wall < MT_HISTORY_MERGE && last->version != h->confirm_version;
}

/*
 * Joins changes, newest first; the oldest are cut off if space is short. The caller frees the
 * result. NULL: no memory.
 */
static char *join_changes(const char *newest, const char *older)
{
	static const char cut[] = "; and older ones";
	size_t room = MT_HISTORY_CHANGES - sizeof(cut);
	char *all = NULL, *end;

	if (asprintf(&all, "%s%s%s", newest, *newest && *older ? "; " : "", older) < 0)
		return NULL;
	if (strlen(all) < room)
		return all;
	all[room] = '\0';
	end = strrchr(all, ';');
	strcpy(end ? end : all + room, cut);
	return all;
}

/* Merges the previous newest entry into `e`, so that no change is lost when others soon follow. */
static int take_in(struct mt_history_entry *e, const struct mt_history_entry *last)
{
	char *changes = join_changes(e->changes, last->changes), *what = NULL;
	const char *last_words = e->what;

	e->merged = last->merged + 1;
	if (!changes ||
		asprintf(&what, "%u changes, the last one: %s", e->merged + 1, last_words) < 0) {
		free(changes);
		return -ENOMEM;
	}
	free(e->changes);
	free(e->what);
	e->changes = changes;
	e->what = what;
	return 0;
}

static void drop_newest(struct mt_history *h)
{
	h->next = (h->next + h->cap - 1) % h->cap;
	h->n--;
	clear(&h->ring[h->next]);
}

/* Makes the slot of the oldest entry empty by the loss of the oldest action, if there is one. */
static void drop_action(struct mt_history *h)
{
	uint32_t i = h->n;

	while (i > 0 && !at(h, i - 1)->action)
		i--;
	if (i == 0)
		return;
	clear(at(h, i - 1));
	for (; i < h->n; i++)
		*at(h, i - 1) = *at(h, i);
	memset(at(h, h->n - 1), 0, sizeof(*h->ring));
}

/*
 * Frees the slot for the next entry, normally that of the oldest; an action takes that of another
 * one, because rollbacks need the configurations. The entry to which `commit confirm` may return
 * stays; then the second oldest goes.
 */
static void make_room(struct mt_history *h, bool action)
{
	struct mt_history_entry *oldest = &h->ring[h->next];
	struct mt_history_entry *second = &h->ring[(h->next + 1) % h->cap];

	if (h->n == h->cap && action)
		drop_action(h);
	if (h->n == h->cap && h->cap > 2 && h->confirm_version &&
		is_version(oldest, h->confirm_version)) {
		clear(second);
		*second = *oldest;
		memset(oldest, 0, sizeof(*oldest));
	}
	clear(oldest);
}

int mt_history_add(struct mt_history *h, const struct mt_history_entry *e)
{
	struct mt_history_entry new = *e;

	new.what = copy(e->what);
	new.changes = e->changes ? strndup(e->changes, MT_HISTORY_CHANGES) : copy(NULL);
	new.overrides = copy(e->overrides);
	if (!new.what || !new.changes || !new.overrides ||
		(is_merged(h, e) && take_in(&new, at(h, 0)))) {
		clear(&new);
		return -ENOMEM;
	}
	if (is_merged(h, e))
		drop_newest(h);
	make_room(h, e->action);
	h->ring[h->next] = new;
	h->next = (h->next + 1) % h->cap;
	h->n += h->n < h->cap;
	fit(h);
	return 0;
}

/* ---- commit confirm ------------------------------------------------------------------------- */

bool mt_history_arm(struct mt_history *h, uint64_t until)
{
	if (h->n == 0)
		return false;
	if (!h->confirm_version)
		h->confirm_version = at(h, 0)->version;
	h->confirm_until = until;
	return true;
}

bool mt_history_confirm(struct mt_history *h)
{
	bool armed = h->confirm_version != 0;

	h->confirm_version = h->confirm_until = 0;
	fit(h);
	return armed;
}

uint64_t mt_history_armed(const struct mt_history *h, uint64_t *until)
{
	*until = h->confirm_until;
	return h->confirm_version;
}

uint64_t mt_history_lapsed(struct mt_history *h, uint64_t now)
{
	uint64_t version = h->confirm_version;

	if (!version || now < h->confirm_until)
		return 0;
	h->confirm_version = h->confirm_until = 0;
	return at(h, 0)->version == version ? 0 : version;
}
