/* SPDX-License-Identifier: Apache-2.0 */
/* The slowest exchanges. All memory is part of the worker from its start. */
#include "mt_slow.h"

void mt_slow_turn(struct mt_slow *s, uint64_t now)
{
	s->now_at = (uint8_t)!s->now_at;
	s->n[s->now_at] = 0;
	s->floor = 0;
	s->until = now + MT_SLOW_WINDOW;
}

static uint32_t quickest(const struct mt_record *calls, uint32_t n)
{
	uint32_t at = 0;

	for (uint32_t i = 1; i < n; i++)
		if (calls[i].took < calls[at].took)
			at = i;
	return at;
}

void mt_slow_keep(struct mt_slow *s, const struct mt_record *r)
{
	struct mt_record *calls = s->calls[s->now_at];
	uint32_t *n = &s->n[s->now_at];
	uint32_t at = *n < MT_SLOW_CALLS ? (*n)++ : quickest(calls, MT_SLOW_CALLS);

	calls[at] = *r;
	/* Until the window is full every call is slow enough. */
	if (*n == MT_SLOW_CALLS)
		s->floor = calls[quickest(calls, MT_SLOW_CALLS)].took + 1;
}

uint32_t mt_slow_read(const struct mt_slow *s, struct mt_record *out, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t w = 0; w < 2; w++)
		for (uint32_t i = 0; i < s->n[w] && n < max; i++)
			out[n++] = s->calls[w][i];
	return n;
}
