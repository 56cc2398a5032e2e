/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread's part of sieves. */
#include "mt_alog_sieve_priv.h"

#include <stdlib.h>

/* Sets filter_of[i] or the bit of `open`. False: no memory. */
static bool add_filter(struct mt_alog_sieve *s, uint32_t i, const char *text)
{
	uint64_t id = text ? mt_alog_filter_id(text) : 0;
	struct mt_alog_filter *f;
	struct mt_err e;
	uint32_t at = 0;

	if (!text) {
		s->open |= 1u << i;
		return true;
	}
	while (at < s->n_filters && s->filters[at].id != id)
		at++;
	s->filter_of[i] = (uint8_t)at;
	if (at < s->n_filters)
		return true;
	f = mt_alog_filter_new(text, &e);
	if (!f)
		return false;
	if (!mt_alog_filter_is_for_workers(f)) {
		s->open |= 1u << i;
		mt_alog_filter_free(f);
		return true;
	}
	s->filters[s->n_filters].id = id;
	s->filters[s->n_filters++].filter = f;
	return true;
}

/* True if no entry that reaches an output is refused. */
static bool refuses_nothing(const struct mt_alog_sieve *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->outputs[i].draw.skips)
			return false;
	return !s->n_filters;
}

bool mt_alog_sieve_new(const struct mt_alog_sift *outputs, uint32_t n, struct mt_alog_sieve **to)
{
	struct mt_alog_sieve *s = calloc(1, sizeof(*s));

	MT_ASSERT(n <= MT_ALOG_OUTPUTS);
	*to = NULL;
	if (!s)
		return false;
	for (; s->n < n; s->n++) {
		s->outputs[s->n] = outputs[s->n];
		s->outputs[s->n].filter = NULL;
		if (!add_filter(s, s->n, outputs[s->n].filter)) {
			mt_alog_sieve_free(s);
			return false;
		}
	}
	if (refuses_nothing(s)) {
		mt_alog_sieve_free(s);
		return true;
	}
	*to = s;
	return true;
}

void mt_alog_sieve_free(struct mt_alog_sieve *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_filters; i++)
		mt_alog_filter_free(s->filters[i].filter);
	free(s);
}
