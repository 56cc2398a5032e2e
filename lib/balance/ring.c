/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash ring (Ketama), compatible with the mesh's other proxies, so that a key selects the same
 * endpoint in all of them. Point j of a backend is XXH64("NAME_j"). A key belongs to the first
 * point at or after its hash.
 */
#include "mt_balance.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 256

/*
 * Points per unit of normalised weight: the lightest backend gets a whole number, if `max` allows
 * it.
 */
static double scale_of(
	const uint32_t *weights, uint32_t n, uint64_t sum, uint32_t min, uint32_t max)
{
	double lightest = 1.0, scale;

	for (uint32_t i = 0; i < n; i++) {
		double w = sum ? (double)weights[i] / (double)sum : 1.0 / n;

		if (w > 0 && w < lightest)
			lightest = w;
	}
	scale = ceil(lightest * min) / lightest;
	return scale < max ? scale : max;
}

static int by_hash(const void *a, const void *b)
{
	const struct mt_ring_point *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->idx < y->idx ? -1 : x->idx > y->idx;
}

static uint64_t hash_point(const char *name, uint32_t j)
{
	char text[NAME_MAX_BYTES + 16];
	int len = snprintf(text, sizeof(text), "%.*s_%u", NAME_MAX_BYTES, name, j);

	return mt_balance_hash(text, (size_t)len, 0);
}

int mt_ring_build(struct mt_ring *r, const char *const *names, const uint32_t *weights, uint32_t n,
	uint32_t min, uint32_t max)
{
	double scale, target = 0;
	uint64_t sum = 0;
	uint32_t room;

	MT_ASSERT(n > 0);
	memset(r, 0, sizeof(*r));
	max = MT_MIN(max ? max : MT_RING_MAX, MT_RING_MAX);
	min = MT_MIN(min ? min : MT_RING_DEFAULT_MIN, max);
	for (uint32_t i = 0; weights && i < n; i++)
		sum += weights[i];
	scale = scale_of(weights, n, sum, min, max);
	/* One more for the rounding error of the summed parts. */
	room = (uint32_t)ceil(scale) + 1;
	r->points = malloc(sizeof(*r->points) * room);
	if (!r->points)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		target += scale * (sum ? (double)weights[i] / (double)sum : 1.0 / n);
		for (uint32_t j = 0; r->n < target && r->n < room; j++)
			r->points[r->n++] = (struct mt_ring_point){hash_point(names[i], j), i};
	}
	qsort(r->points, r->n, sizeof(*r->points), by_hash);
	return 0;
}

uint32_t mt_ring_pick(const struct mt_ring *r, uint64_t hash)
{
	uint32_t lo = 0, hi = r->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (r->points[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return r->points[lo < r->n ? lo : 0].idx;
}

void mt_ring_free(struct mt_ring *r)
{
	free(r->points);
	memset(r, 0, sizeof(*r));
}
