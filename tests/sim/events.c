/* SPDX-License-Identifier: Apache-2.0 */
/* The event queue: a binary heap ordered by time, then by the order of making. */
#include "sim.h"

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void grow(struct sim *s)
{
	s->cap_events = s->cap_events ? s->cap_events * 2 : 1024;
	s->heap = realloc(s->heap, s->cap_events * sizeof(*s->heap));
	MT_ASSERT(s->heap);
}

void sim_at(struct sim *s, uint64_t at, sim_event_fn fn, void *arg, uint64_t n)
{
	sim_at_owned(s, at, fn, arg, n, NULL);
}

void sim_at_owned(
	struct sim *s, uint64_t at, sim_event_fn fn, void *arg, uint64_t n, void (*drop)(void *arg))
{
	struct sim_event e = {MT_MAX(at, s->now), s->event_order++, fn, arg, n, drop};
	uint32_t i = s->n_events;

	if (s->n_events == s->cap_events)
		grow(s);
	s->n_events++;
	while (i && before(&e, &s->heap[(i - 1) / 2])) {
		s->heap[i] = s->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	s->heap[i] = e;
}

static struct sim_event pop(struct sim *s)
{
	struct sim_event top = s->heap[0], last = s->heap[--s->n_events];
	uint32_t i = 0;

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= s->n_events)
			break;
		if (c + 1 < s->n_events && before(&s->heap[c + 1], &s->heap[c]))
			c++;
		if (!before(&s->heap[c], &last))
			break;
		s->heap[i] = s->heap[c];
		i = c;
	}
	s->heap[i] = last;
	return top;
}

void sim_events_drop(struct sim *s)
{
	for (uint32_t i = 0; i < s->n_events; i++)
		if (s->heap[i].drop)
			s->heap[i].drop(s->heap[i].arg);
	s->n_events = 0;
}

void sim_run(struct sim *s, uint64_t until, bool (*stop)(struct sim *s, void *arg), void *arg)
{
	uint32_t most = s->scenario->most_events ? s->scenario->most_events : SIM_MAX_EVENTS;

	while (!s->failed && s->n_events && s->heap[0].at <= until) {
		struct sim_event e;

		if (stop && stop(s, arg))
			return;
		e = pop(s);
		s->now = e.at;
		sim_trace_bytes(s, &e.at, sizeof(e.at));
		e.fn(s, e.arg, e.n);
		if (++s->st.events > most)
			sim_fail(s, "livelock: more than %u events", most);
	}
	if (!s->failed && !(stop && stop(s, arg)))
		s->now = MT_MAX(s->now, until);
}
