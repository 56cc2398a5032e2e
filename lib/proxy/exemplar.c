/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars: single calls beside the numbers of all. Which trace a call belongs to can only be read while its request is there, when nobody
 * knows how long it will take; so one call of a millisecond (as long as nobody tunes that) is read, whatever it is, and kept for its latency when it is answered. The
 * others cost a comparison. The control thread reads what was kept by a sequence count that only this worker writes.
 */
#include "mt_proxy_priv.h"

#include <string.h>

/* So long a call of a known trace is not followed by one of none. */
#define KEPT  (60 * MT_SEC)
#define TRIES 8

_Static_assert(sizeof(struct mt_exemplar) % sizeof(uint64_t) == 0, "copied by words");

/* As headers they are written with capitals, as metadata in any way. */
#define KEY(text)                                                                                  \
	{                                                                                          \
		.name = text, .len = sizeof(text) - 1, .id = -1, .icase = true,                    \
		.hash = MT_KEY_HASH(text)                                                          \
	}
static const struct mt_key traceparent = KEY("traceparent"), b3 = KEY("b3"),
			   b3_trace = KEY("x-b3-traceid"), b3_span = KEY("x-b3-spanid"),
			   b3_sampled = KEY("x-b3-sampled");

static struct mt_slice value_of(struct mt_view *v, const struct mt_key *key)
{
	struct mt_slice value;

	return mt_view_get(v, key, &value) ? value : (struct mt_slice){NULL, 0};
}

/* Values may share the view's scratch: each is used before the next is asked for. */
static bool find_b3_ids(struct mt_view *v, struct mt_span *s)
{
	uint8_t trace[2 * MT_TRACE_ID];
	struct mt_slice value = value_of(v, &b3_sampled);
	uint32_t len;

	if (value.p && mt_span_b3_unsampled(value))
		return false;
	value = value_of(v, &b3_trace);
	if (!value.p || value.len > sizeof(trace))
		return false;
	len = value.len;
	memcpy(trace, value.p, len);
	value = value_of(v, &b3_span);
	return mt_span_b3_ids(s, (struct mt_slice){trace, len}, value);
}

static void find_span(struct mt_view *v, struct mt_span *s)
{
	struct mt_slice value = value_of(v, &traceparent);

	if (value.p && mt_span_w3c(s, value))
		return;
	value = value_of(v, &b3);
	if (value.p && mt_span_b3(s, value))
		return;
	(void)find_b3_ids(v, s);
}

void mt_proxy_set_sampling(struct mt_proxy *p, uint32_t ms)
{
	if (p->exemplar_ms == ms)
		return;
	p->exemplar_ms = ms;
	p->exemplar_due = ms ? 0 : MT_NEVER;
}

uint32_t mt_proxy_sampling(const struct mt_proxy *p)
{
	return p->exemplar_ms;
}

void mt_exemplar_begin(struct mt_proxy *p, struct mt_exchange *ex)
{
	p->exemplar_due = p->now + p->exemplar_ms * MT_MSEC;
	ex->sampled = true;
	/* Of one that is still arriving only leading metadata may be asked for. */
	if (ex->msg.len && ex->req.len >= ex->msg.len)
		find_span(&p->view, &ex->span);
}

static void put(struct mt_exemplar_slot *s, const struct mt_exemplar *e)
{
	uint64_t words[MT_ARRAY_LEN(s->words)];

	memcpy(words, e, sizeof(words));
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		__atomic_store_n(&s->words[i], words[i], __ATOMIC_RELAXED);
	__atomic_store_n(&s->turn, s->turn + 1, __ATOMIC_RELEASE);
}

static void get(const struct mt_exemplar_slot *s, struct mt_exemplar *e)
{
	uint64_t words[MT_ARRAY_LEN(s->words)];

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		words[i] = __atomic_load_n(&s->words[i], __ATOMIC_RELAXED);
	memcpy(e, words, sizeof(words));
}

/* Whether what is there says more. */
static bool stays(const struct mt_exemplar_slot *s, const struct mt_exemplar *next)
{
	struct mt_exemplar e;

	if (next->span.len)
		return false;
	get(s, &e);
	return e.span.len && e.service == next->service && next->wall < e.wall + KEPT;
}

void mt_exemplar_keep(struct mt_proxy *p, const struct mt_exchange *ex, uint64_t us)
{
	uint32_t at = 63 - (uint32_t)__builtin_clzll(us | 1);
	struct mt_exemplar_slot *s =
		&p->exemplars[ex->service->index].at[MT_MIN(at, MT_EXEMPLARS - 1u)];
	const struct mt_exemplar e = {.service = ex->service->id,
		.us = us,
		.wall = p->wall,
		.exchange = ex->self,
		.span = ex->span};

	if (!stays(s, &e))
		put(s, &e);
}

bool mt_proxy_exemplar(
	const struct mt_proxy *p, uint32_t index, uint32_t i, struct mt_exemplar *out)
{
	const struct mt_exemplar_slot *s;

	if (index >= MT_PROXY_SERVICES_MAX || i >= MT_EXEMPLARS)
		return false;
	s = &p->exemplars[index].at[i];
	for (int k = 0; k < TRIES; k++) {
		uint32_t turn = __atomic_load_n(&s->turn, __ATOMIC_ACQUIRE);

		if (turn == 0)
			return false;
		get(s, out);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(turn & 1) && __atomic_load_n(&s->turn, __ATOMIC_RELAXED) == turn)
			return true;
	}
	return false;
}
