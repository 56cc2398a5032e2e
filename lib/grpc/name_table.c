/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_name_table.h"

#include "mt_log.h"
#include "mt_strmap.h"

#include <stdio.h>
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
	/* Value of t->answers at its last answer that was new or changed; 0: none. */
	uint64_t answers;
	struct mt_addr *addrs;
	uint32_t n, more;
	/* The first of the failures in a row, monotonic and Unix time; 0: the last answer was good. */
	uint64_t failed;
	int64_t failed_wall;
	bool told;     /* the failures are in the log */
	char why[128]; /* of the last failure */
	char text[];
};

struct mt_name_table {
	struct mt_resolver *resolver;
	struct mt_strmap names; /* struct mt_name, by its text */
	uint64_t now, answers;
	int64_t wall;
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
	free(n->addrs);
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

void mt_name_read(const struct mt_name *n, struct mt_name_state *out)
{
	*out = (struct mt_name_state){.addrs = n->addrs,
		.n = n->n,
		.more = n->more,
		.answered = n->answers != 0,
		.why = n->why,
		.failed_at = n->told ? n->failed_wall : 0};
}

void mt_name_table_find(void *table, const char *text, struct mt_name_state *out)
{
	struct mt_name_table *t = table;
	struct mt_name *n = mt_strmap_get(&t->names, text);

	n = n ? n : add(t, text);
	*out = (struct mt_name_state){.why = ""};
	if (!n)
		return;
	n->load = t->load;
	n->asked = true;
	mt_name_read(n, out);
}

const char *mt_name_table_next(
	const struct mt_name_table *t, uint32_t *pos, struct mt_name_state *out)
{
	const struct mt_name *n;

	while ((n = mt_strmap_next(&t->names, pos, NULL)) != NULL) {
		mt_name_read(n, out);
		if (out->failed_at || out->more)
			return n->text;
	}
	return NULL;
}

/* ---- lookups --------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

/* Sorts them and removes duplicates; returns the number that is left. */
static uint32_t sort(struct mt_addr *v, uint32_t n)
{
	uint32_t kept = 0;

	qsort(v, n, sizeof(*v), by_bytes);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || memcmp(&v[kept - 1], &v[i], sizeof(*v)) != 0)
			v[kept++] = v[i];
	return kept;
}

/*
 * Takes the addresses of an answer, and keeps the previous ones of a family with a failed query, or
 * all if none would be left. True if they changed; the order does not count, because name servers
 * rotate answers. *stale: previous ones of a failed family.
 */
static bool take(struct mt_name *n, const struct mt_lookup_result *result, uint32_t *stale)
{
	struct mt_addr *v = calloc(result->n + n->n + 1, sizeof(*v));
	uint32_t k = result->n;

	*stale = 0;
	if (!v)
		return false;
	if (k)
		memcpy(v, result->addrs, sizeof(*v) * k);
	for (uint32_t i = 0; i < n->n; i++)
		if (result->failed[mt_addr_is4(&n->addrs[i])])
			v[k++] = n->addrs[i];
	*stale = k - result->n;
	k = sort(v, k);
	if (!k || (k == n->n && memcmp(v, n->addrs, sizeof(*v) * k) == 0)) {
		free(v);
		return false;
	}
	free(n->addrs);
	n->addrs = v;
	n->n = k;
	return true;
}

static void note_change(struct mt_name *n)
{
	n->answers = ++n->t->answers;
	n->t->changed |= n->asked;
}

/* Reports it when it has failed for a while, or at once if it has no address. */
static void note_failure(struct mt_name *n, const struct mt_lookup_result *result)
{
	const char *const *failed = result->failed;

	if (result->n)
		snprintf(n->why, sizeof(n->why), "%s addresses: %s", failed[1] ? "IPv4" : "IPv6",
			failed[1] ? failed[1] : failed[0]);
	else
		snprintf(n->why, sizeof(n->why), "%s", result->why ? result->why : "no answer");
	if (!n->failed) {
		n->failed = n->t->now;
		n->failed_wall = n->t->wall;
	}
	if (n->told || (n->n && n->t->now - n->failed < MT_NAME_PATIENCE))
		return;
	n->told = true;
	n->t->changed |= n->asked;
	mt_log(MT_LOG_WARN, "config", "name %s does not resolve: %s; %s", n->text, n->why,
		n->n ? "its last addresses are used" : "it has no address");
}

static void note_success(struct mt_name *n)
{
	n->why[0] = '\0';
	if (n->told) {
		mt_log(MT_LOG_INFO, "config", "name %s resolves again, after %llu s", n->text,
			(unsigned long long)((n->t->now - n->failed) / MT_SEC));
		n->t->changed |= n->asked;
	}
	n->told = false;
	n->failed = 0;
}

/* When to look it up again, ns from now. */
static uint64_t wait_of(const struct mt_lookup_result *result, bool fails)
{
	uint64_t age = result->ttl_s ? result->ttl_s * MT_SEC : REFRESH;

	if (fails)
		return RETRY;
	/* Addresses of the other family may be missing. */
	if (result->failed[0] || result->failed[1])
		age = MT_MIN(age, REFRESH);
	return MT_MIN(MT_MAX(age, REFRESH_MIN), REFRESH_MAX);
}

static void on_answer(void *arg, const struct mt_lookup_result *result)
{
	struct mt_name *n = arg;
	bool first = !n->answers, fails;
	uint32_t stale;

	if (n->lookup)
		n->t->n_under_way--;
	n->lookup = NULL;
	if (take(n, result, &stale) || first)
		note_change(n);
	fails = !result->n || stale;
	if (result->n)
		n->more = result->more;
	if (fails)
		note_failure(n, result);
	else
		note_success(n);
	n->due = n->t->now + wait_of(result, fails);
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

bool mt_name_table_turn(struct mt_name_table *t, uint64_t now, int64_t wall)
{
	bool changed;
	struct mt_name *n;

	t->now = now;
	t->wall = wall;
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

uint64_t mt_name_answers(const struct mt_name *n)
{
	return n->answers;
}

uint64_t mt_name_table_answers(const struct mt_name_table *t)
{
	return t->answers;
}
