/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_addr_range.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static int compare(const struct mt_addr *a, const struct mt_addr *b)
{
	return memcmp(a, b, sizeof(*a));
}

/* The address before; not of the first one. */
static struct mt_addr before(const struct mt_addr *a)
{
	uint64_t hi = be64toh(a->q[0]), lo = be64toh(a->q[1]);

	return (struct mt_addr){.q = {htobe64(hi - (lo == 0)), htobe64(lo - 1)}};
}

/* The address after; not of the last one. */
static struct mt_addr after(const struct mt_addr *a)
{
	uint64_t hi = be64toh(a->q[0]), lo = be64toh(a->q[1]);

	return (struct mt_addr){.q = {htobe64(hi + (lo == UINT64_MAX)), htobe64(lo + 1)}};
}

static const struct mt_addr first, last = {.q = {UINT64_MAX, UINT64_MAX}};

static void push(struct mt_region *r, struct mt_addr_ranges *s, const struct mt_addr_range *one)
{
	struct mt_addr_range *slot = mt_region_push(r, (void **)&s->v, &s->n, sizeof(*slot));

	if (slot)
		*slot = *one;
}

void mt_ranges_add(
	struct mt_region *r, struct mt_addr_ranges *s, const struct mt_addr *net, uint8_t prefix)
{
	const struct mt_addr_range v4 = {mt_addr4(0), mt_addr4(UINT32_MAX)};
	struct mt_addr_range all = {*net, *net};

	for (uint32_t bit = prefix + (mt_addr_is4(net) ? 96u : 0u); bit < 128; bit++) {
		all.lo.b[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
		all.hi.b[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	}
	/* An IPv6 network has no IPv4 address, even ::/0. */
	if (!mt_addr_is4(net) && compare(&all.lo, &v4.lo) < 0 && compare(&all.hi, &v4.hi) >= 0) {
		push(r, s, &(struct mt_addr_range){all.lo, before(&v4.lo)});
		if (compare(&all.hi, &v4.hi) == 0)
			return;
		all.lo = after(&v4.hi);
	}
	push(r, s, &all);
}

void mt_ranges_append(
	struct mt_region *r, struct mt_addr_ranges *s, const struct mt_addr_ranges *more)
{
	for (uint32_t i = 0; i < more->n; i++)
		push(r, s, &more->v[i]);
}

static int by_lo(const void *a, const void *b)
{
	return compare(
		&((const struct mt_addr_range *)a)->lo, &((const struct mt_addr_range *)b)->lo);
}

/* True if the range begins in the other one, or right after it. */
static bool joins(const struct mt_addr_range *a, const struct mt_addr *lo)
{
	struct mt_addr next;

	if (compare(&a->hi, &last) == 0)
		return true;
	next = after(&a->hi);
	return compare(lo, &next) <= 0;
}

void mt_ranges_settle(struct mt_addr_ranges *s)
{
	uint32_t n = 0;

	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_lo);
	for (uint32_t i = 0; i < s->n; i++) {
		struct mt_addr_range *to = n ? &s->v[n - 1] : NULL;

		if (!to || !joins(to, &s->v[i].lo))
			s->v[n++] = s->v[i];
		else if (compare(&s->v[i].hi, &to->hi) > 0)
			to->hi = s->v[i].hi;
	}
	s->n = n;
}

struct mt_addr_ranges mt_ranges_all(struct mt_region *r)
{
	struct mt_addr_ranges s = {NULL, 0};

	push(r, &s, &(struct mt_addr_range){first, last});
	return s;
}

bool mt_ranges_are_all(const struct mt_addr_ranges *s)
{
	return s->n == 1 && compare(&s->v[0].lo, &first) == 0 && compare(&s->v[0].hi, &last) == 0;
}

struct mt_addr_ranges mt_ranges_others(struct mt_region *r, const struct mt_addr_ranges *s)
{
	struct mt_addr_ranges out = {NULL, 0};
	struct mt_addr from = first;

	for (uint32_t i = 0; i < s->n; i++) {
		if (compare(&from, &s->v[i].lo) < 0)
			push(r, &out, &(struct mt_addr_range){from, before(&s->v[i].lo)});
		if (compare(&s->v[i].hi, &last) == 0)
			return out;
		from = after(&s->v[i].hi);
	}
	push(r, &out, &(struct mt_addr_range){from, last});
	return out;
}

struct mt_addr_ranges mt_ranges_common(
	struct mt_region *r, const struct mt_addr_ranges *a, const struct mt_addr_ranges *b)
{
	struct mt_addr_ranges out = {NULL, 0};

	for (uint32_t i = 0, k = 0; i < a->n && k < b->n;) {
		const struct mt_addr_range *x = &a->v[i], *y = &b->v[k];
		struct mt_addr_range both = {compare(&x->lo, &y->lo) > 0 ? x->lo : y->lo,
			compare(&x->hi, &y->hi) < 0 ? x->hi : y->hi};

		if (compare(&both.lo, &both.hi) <= 0)
			push(r, &out, &both);
		if (compare(&x->hi, &y->hi) < 0)
			i++;
		else
			k++;
	}
	return out;
}

bool mt_ranges_have(const struct mt_addr_ranges *s, const struct mt_addr *a)
{
	uint32_t lo = 0, hi = s->n;

	/* `lo` becomes the first range that ends at the address or after it. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare(&s->v[mid].hi, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && compare(&s->v[lo].lo, a) <= 0;
}
