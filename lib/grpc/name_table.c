/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_name_table.h"

#include "mt_strmap.h"

#include <stdlib.h>
#include <string.h>

#define REFRESH	    (30 * MT_SEC) /* of an answer without TTL */
#define REFRESH_MIN (5 * MT_SEC)
#define REFRESH_MAX (3600 * MT_SEC)
#define RETRY	    (5 * MT_SEC)
#define UNDER_WAY   256 /* concurrent lookups: limits the load of 10,000 names */

struct mt_name {
	struct mt_name_table *t;
	struct mt_lookup *lookup;
	uint64_t due;
	uint32_t load; /* the last load that used it */
	bool asked;    /* used by the active load, or by one since that was refused */
	uint32_t held;
	uint64_t
		answers; /* value of t->answers at its last answer that was new or changed; 0: none */
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	uint32_t n;
	char why[128];
	char text[];
};

struct mt_name_table {
	struct mt_resolver *resolver;
	struct mt_strmap names; /* struct mt_name, by its text */
	uint64_t now, answers;
	uint32_t load, n_under_way;
	uint32_t at; /* position in `names` where the next turn continues */
	bool changed;
};

struct mt_name_table *mt_name_table_new(void)
{
	return calloc(1, sizeof(struct mt_name_table));
}

static void cancel(struct mt_name *n)
{
	if (!n->lookup)
		return;
	mt_lookup_cancel(n->lookup);
	n->lookup = NULL;
	n->due = 0;
	n->t->n_under_way--;
}

static void free_name(struct mt_name *n)
{
	cancel(n);
	free(n);
}

void mt_name_table_ask(struct mt_name_table *t, struct mt_resolver *r)
{
	struct mt_name *n;
	uint32_t pos = 0;

	while (!r && (n = mt_strmap_next(&t->names, &pos, NULL)) != NULL)
		cancel(n);
	t->resolver = r;
}

void mt_name_table_free(struct mt_name_table *t)
{
	struct mt_name *n;
	uint32_t pos = 0;

	if (!t)
		return;
	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL)
		free_name(n);
	mt_strmap_fini(&t->names);
	free(t);
}

/* ---- loads ----------------------------------------------------------------------------------- */

void mt_name_table_begin(struct mt_name_table *t)
{
	t->load++;
}

void mt_name_table_end(struct mt_name_table *t, bool refused)
{
	struct mt_strmap kept = {0};
	struct mt_name *n;
	uint32_t pos = 0;

	if (refused || !t->names.n || mt_strmap_reserve(&kept, t->names.n))
		return;
	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL) {
		n->asked = n->load == t->load;
		if (n->asked || n->held)
			mt_strmap_put(&kept, n->text, n, NULL);
		else
			free_name(n);
	}
	mt_strmap_fini(&t->names);
	t->names = kept;
}

static struct mt_name *add(struct mt_name_table *t, const char *text)
{
	size_t size = strlen(text) + 1;
	struct mt_name *n = calloc(1, sizeof(*n) + size);

	if (!n)
		return NULL;
	memcpy(n->text, text, size);
	n->t = t;
	if (mt_strmap_put(&t->names, n->text, n, NULL) == 0)
		return n;
	free(n);
	return NULL;
}

const struct mt_addr *mt_name_table_find(
	void *table, const char *text, uint32_t *count, const char **why)
{
	struct mt_name_table *t = table;
	struct mt_name *n = mt_strmap_get(&t->names, text);

	n = n ? n : add(t, text);
	*why = NULL;
	*count = n ? n->n : 0;
	if (!n)
		return NULL;
	n->load = t->load;
	n->asked = true;
	if (n->n)
		return n->addrs;
	*why = n->answers ? n->why : NULL;
	return NULL;
}

/* ---- lookups --------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

/*
 * Stores the addresses. True if they changed; the order does not count, because name servers rotate
 * answers.
 */
static bool take(struct mt_name *n, const struct mt_lookup_result *result)
{
	struct mt_addr sorted[MT_LOOKUP_ADDRS];

	memcpy(sorted, result->addrs, sizeof(*sorted) * result->n);
	qsort(sorted, result->n, sizeof(*sorted), by_bytes);
	if (result->n == n->n && memcmp(sorted, n->addrs, sizeof(*sorted) * n->n) == 0)
		return false;
	memcpy(n->addrs, sorted, sizeof(*sorted) * result->n);
	n->n = result->n;
	return true;
}

static void note_change(struct mt_name *n)
{
	n->answers = ++n->t->answers;
	n->t->changed |= n->asked;
}

static void on_answer(void *arg, const struct mt_lookup_result *result)
{
	struct mt_name *n = arg;
	uint64_t age = result->ttl_s ? result->ttl_s * MT_SEC : REFRESH;
	bool first = !n->answers;

	if (n->lookup)
		n->t->n_under_way--;
	n->lookup = NULL;
	if (!result->n) {
		n->due = n->t->now + RETRY;
		strncpy(n->why, result->why ? result->why : "no answer", sizeof(n->why) - 1);
		if (first)
			note_change(n);
		return;
	}
	n->why[0] = '\0';
	n->due = n->t->now + MT_MIN(MT_MAX(age, REFRESH_MIN), REFRESH_MAX);
	if (take(n, result) || first)
		note_change(n);
}

static void ask(struct mt_name *n)
{
	/*
	 * Before the lookup, because on_answer(), which sets it, may be called from within
	 * mt_lookup().
	 */
	n->due = MT_NEVER;
	n->lookup = mt_lookup(n->t->resolver, n->text, on_answer, n);
	if (n->lookup)
		n->t->n_under_way++;
}

bool mt_name_table_turn(struct mt_name_table *t, uint64_t now)
{
	bool changed;
	struct mt_name *n;

	t->now = now;
	/*
	 * Round robin: otherwise names whose servers never answer would use all UNDER_WAY lookups
	 * each time.
	 */
	for (uint32_t i = 0; t->resolver && t->n_under_way < UNDER_WAY && i < t->names.n; i++) {
		n = mt_strmap_next(&t->names, &t->at, NULL);
		if (!n) {
			t->at = 0;
			n = mt_strmap_next(&t->names, &t->at, NULL);
		}
		if (!n->lookup && now >= n->due)
			ask(n);
	}
	changed = t->changed;
	t->changed = false;
	return changed;
}

const char *mt_name_table_waits(const struct mt_name_table *t)
{
	const struct mt_name *n;
	uint32_t pos = 0;

	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL)
		if (n->asked && !n->answers)
			return n->text;
	return NULL;
}

/* ---- held names ------------------------------------------------------------------------------ */

struct mt_name *mt_name_hold(struct mt_name_table *t, const char *text)
{
	struct mt_name *n = mt_strmap_get(&t->names, text);

	n = n ? n : add(t, text);
	if (n)
		n->held++;
	return n;
}

void mt_name_release(struct mt_name *n)
{
	if (--n->held || n->asked)
		return;
	mt_strmap_del(&n->t->names, n->text);
	free_name(n);
}

const struct mt_addr *mt_name_addrs(const struct mt_name *n, uint32_t *count)
{
	*count = n->n;
	return n->addrs;
}

const char *mt_name_why(const struct mt_name *n)
{
	return n->why;
}

uint64_t mt_name_answers(const struct mt_name *n)
{
	return n->answers;
}

uint64_t mt_name_table_answers(const struct mt_name_table *t)
{
	return t->answers;
}
