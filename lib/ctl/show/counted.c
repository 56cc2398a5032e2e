/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors, refusals and drops that were counted, each with its cause (mt_causes()): an event that
 * counts in several libraries is one row, that of its cause, which names the others. A cause that
 * counted long before the outcome did is not its cause, and would hide it in a row that looks old.
 */
#include "counted.h"

#include <stdio.h>
#include <string.h>

#define DEEP 8 /* causes of causes, at most */

static bool grow(struct mt_counted_list *l)
{
	struct mt_counted *v;

	if (l->n % 32)
		return true;
	v = realloc(l->v, (l->n + 32) * sizeof(*v));
	if (v)
		l->v = v;
	return v != NULL;
}

/* True if `cause` counted late enough to be the cause of the last of k. */
static bool may_cause(const struct mt_counted *cause, const struct mt_counted *k)
{
	return (cause->recent || !k->recent) && cause->last + MT_RECENT_NS >= k->last;
}

/* Index of the first of these names that may be a cause of k; l->n: none. */
static uint32_t first_of(
	const struct mt_counted_list *l, const char *names, const struct mt_counted *k)
{
	for (; names && *names; names += strspn(names, " ")) {
		size_t len = strcspn(names, " ");

		for (uint32_t i = 0; i < l->n; i++)
			if (strncmp(l->v[i].name, names, len) == 0 && !l->v[i].name[len] &&
				may_cause(&l->v[i], k))
				return i;
		names += len;
	}
	return l->n;
}

static uint32_t cause_of(const struct mt_counted_list *l, uint32_t i)
{
	const struct mt_counted *k = &l->v[i];

	for (int deep = 0; deep < DEEP; deep++) {
		uint32_t next = first_of(l, mt_causes(l->v[i].name), k);

		if (next == l->n)
			break;
		i = next;
	}
	return i;
}

int mt_counted(const struct mt_ctl *c, bool recent, struct mt_counted_list *l)
{
	struct mt_metric m;
	uint64_t pos = 0;

	*l = (struct mt_counted_list){NULL, 0};
	for (uint32_t i = 0; mt_metrics_next(c->metrics, &pos, &m); i++) {
		struct mt_counted k = {.m = m,
			.count = mt_cleared_count(c, i, m.value),
			.recent = mt_recent_count(c, i, m.value),
			.last = mt_recent_last(c, i, m.value)};

		if (m.severity == MT_SEV_INFO || !(recent ? k.recent : k.count))
			continue;
		if (!grow(l))
			return -1;
		snprintf(k.name, sizeof(k.name), "%s_%s", m.room, m.name);
		l->v[l->n++] = k;
	}
	for (uint32_t i = 0; i < l->n; i++)
		l->v[i].cause = cause_of(l, i);
	return 0;
}

void mt_counted_free(struct mt_counted_list *l)
{
	free(l->v);
}

const char *mt_counted_also(
	const struct mt_counted_list *l, uint32_t i, bool recent, char *buf, size_t size)
{
	size_t len = 0;

	for (uint32_t k = 0; k < l->n && len < size; k++)
		if (k != i && l->v[k].cause == i)
			len += (size_t)snprintf(buf + len, size - len, "%s%s (%llu)",
				len ? ", " : "", l->v[k].name,
				(unsigned long long)(recent ? l->v[k].recent : l->v[k].count));
	return len ? buf : NULL;
}

/* Traffic from outside may contain anything, so a drop is the least of them. */
static int rank(enum mt_severity s)
{
	return s == MT_SEV_ERROR ? 2 : s == MT_SEV_REFUSE ? 1 : 0;
}

enum mt_severity mt_counted_severity(const struct mt_counted_list *l, uint32_t i)
{
	enum mt_severity worst = l->v[i].m.severity;

	for (uint32_t k = 0; k < l->n; k++)
		if (l->v[k].cause == i && rank(l->v[k].m.severity) > rank(worst))
			worst = l->v[k].m.severity;
	return worst;
}
