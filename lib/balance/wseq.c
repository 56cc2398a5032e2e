/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The weighted sequence. Reading a precomputed order costs one load, while a scheduler would keep
 * state per worker and walk the endpoints. Workers that start at different positions spread the
 * load equally.
 */
#include "mt_balance.h"

#include <errno.h>
#include <string.h>

static uint32_t gcd(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

/* Fills w with reduced weights; returns their sum, 0 when they are all equal (or all 0). */
static uint32_t reduce(uint32_t *w, const uint32_t *weights, uint32_t n)
{
	uint32_t g = 0, sum32 = 0;
	uint64_t sum = 0;
	bool equal = true;

	for (uint32_t i = 0; i < n; i++) {
		g = gcd(weights[i], g);
		equal = equal && weights[i] == weights[0];
	}
	if (equal || g == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		sum += weights[i] / g;
	for (uint32_t i = 0; i < n; i++) {
		w[i] = weights[i] / g;
		if (sum > MT_WSEQ_MAX && w[i])
			w[i] = MT_MAX((uint32_t)((uint64_t)w[i] * MT_WSEQ_MAX / sum), 1u);
		sum32 += w[i];
	}
	return sum32;
}

struct turn {
	uint64_t when; /* in units of 1 / (2 * weight), scaled */
	uint32_t idx;
};

static int by_when(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return x->idx < y->idx ? -1 : x->idx > y->idx;
}

int mt_wseq_build(struct mt_wseq *s, const uint32_t *weights, uint32_t n)
{
	uint32_t *w = malloc(sizeof(*w) * MT_MAX(n, 1u));
	struct turn *t = NULL;
	uint32_t sum, k = 0;

	memset(s, 0, sizeof(*s));
	if (!w)
		return -ENOMEM;
	sum = reduce(w, weights, n);
	if (sum == 0) {
		free(w);
		return 0;
	}
	t = malloc(sizeof(*t) * sum);
	s->order = malloc(sizeof(*s->order) * sum);
	if (!t || !s->order) {
		free(w);
		free(t);
		mt_wseq_free(s);
		return -ENOMEM;
	}
	/* The j-th of w turns is at (j + 1/2) / w of the sequence, so they are evenly spread. */
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < w[i]; j++)
			t[k++] = (struct turn){(((uint64_t)2 * j + 1) << 32) / (2ull * w[i]), i};
	qsort(t, sum, sizeof(*t), by_when);
	for (k = 0; k < sum; k++)
		s->order[k] = t[k].idx;
	s->n = sum;
	free(t);
	free(w);
	return 0;
}

void mt_wseq_free(struct mt_wseq *s)
{
	free(s->order);
	memset(s, 0, sizeof(*s));
}
