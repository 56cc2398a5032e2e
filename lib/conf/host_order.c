/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts by the ends of their names, so that a wildcard finds those below it without the others. */
#include "mt_conf_host_order_priv.h"

#include "mt_sort.h"

#include <string.h>

/* Compares names from their ends. */
static int by_end(const char *a, uint32_t n, const char *b, uint32_t m)
{
	uint32_t both = MT_MIN(n, m);

	for (uint32_t i = 1; i <= both; i++)
		if (a[n - i] != b[m - i])
			return (unsigned char)a[n - i] < (unsigned char)b[m - i] ? -1 : 1;
	return n < m ? -1 : n > m;
}

static int compare(const void *a, const void *b)
{
	const struct mt_host_place *x = a, *y = b;
	int of_ns = strcmp(x->ns, y->ns);

	return of_ns ? of_ns : by_end(x->name, x->len, y->name, y->len);
}

void mt_host_order_add(struct mt_build *b, struct mt_host_order *o, uint32_t host, const char *ns)
{
	struct mt_host_place *p = mt_region_push(&b->tmp, (void **)&o->v, &o->n, sizeof(*p));
	const char *name = b->host_list[host].se->hosts[0].s;

	if (p)
		*p = (struct mt_host_place){ns, name, (uint32_t)strlen(name), host};
}

bool mt_host_order_sort(struct mt_build *b, struct mt_host_order *o)
{
	o->next = mt_region_alloc(&b->tmp, sizeof(*o->next) * (o->n + 1));
	o->at = mt_region_alloc(&b->tmp, sizeof(*o->at) * b->n_hosts);
	if (!o->next || !o->at)
		return false;
	mt_sort(o->v, o->n, sizeof(*o->v), compare);
	for (uint32_t i = 0; i <= o->n; i++)
		o->next[i] = i;
	for (uint32_t i = 0; i < b->n_hosts; i++)
		o->at[i] = MT_NO_PLACE;
	for (uint32_t i = 0; i < o->n; i++)
		o->at[o->v[i].host] = i;
	return true;
}

/* Order of a place against all names that end in `tail`: 0 is one of them, or the tail itself. */
static int against(const struct mt_host_place *p, const char *ns, const char *tail, uint32_t len)
{
	int of_ns = strcmp(p->ns, ns);

	if (of_ns)
		return of_ns;
	if (p->len >= len && memcmp(p->name + p->len - len, tail, len) == 0)
		return 0;
	return by_end(p->name, p->len, tail, len);
}

/* First place that is `after` names with the tail (1), or not before them (0). */
static uint32_t bound(
	const struct mt_host_order *o, const char *ns, const char *tail, uint32_t len, int after)
{
	uint32_t from = 0, to = o->n;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (against(&o->v[mid], ns, tail, len) < after)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

struct mt_host_span mt_host_order_below(
	const struct mt_host_order *o, const char *ns, const char *wildcard)
{
	const char *tail = wildcard + 1;
	uint32_t len = (uint32_t)strlen(tail);
	struct mt_host_span s = {bound(o, ns, tail, len, 0), bound(o, ns, tail, len, 1)};

	/* The star matches at least one character, so the tail itself, the first, is not below. */
	s.from += s.from < s.to && o->v[s.from].len == len;
	return s;
}

uint32_t mt_host_order_free(struct mt_host_order *o, uint32_t at)
{
	uint32_t free = at;

	while (o->next[free] != free)
		free = o->next[free];
	while (o->next[at] != free) {
		uint32_t next = o->next[at];

		o->next[at] = free;
		at = next;
	}
	return free;
}

void mt_host_order_take(struct mt_host_order *o, uint32_t host)
{
	uint32_t at = o->at ? o->at[host] : MT_NO_PLACE;

	if (at != MT_NO_PLACE)
		o->next[at] = at + 1;
}
