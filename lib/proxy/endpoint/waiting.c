/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds calls that wait for an answer of their endpoint: their number, the oldest of them, and
 * since when calls have waited there. Together with the time of the endpoint's last bytes
 * (mt_ep_stats.heard) this shows a server with a TCP stack that acknowledges calls and an
 * application that does not answer them, in every protocol and with any time-outs.
 *
 * - While calls are under way, a pass over all attempts starts every 500 ms. It takes at most 128
 *   attempts in a step and one step per ms, so that it uses about a percent of a core at most. If
 *   all attempts of a worker are in use, a pass takes half a second. So a call costs nothing here
 *   until it has waited.
 * - A call waits from its last byte on until its reply, or the first part of a long one, is
 *   forwarded. Calls that are queued, that are still arriving, or of a client that has left do not
 *   wait.
 * - An opaque stream waits if its server got bytes and has sent none since. Such streams are
 *   counted as they begin and end to wait, because there may be a million. Servers that only
 *   receive have many of them; how many streams were answered before shows which kind a server is.
 * - Results of passes are published whole: the control thread reads those of the last complete pass
 *   while the worker writes the next ones to the other array. If the reader is interrupted for
 *   longer than a pass, it finds another number of the pass in the entry.
 */
#include "mt_proxy_priv.h"

#define EVERY  (500 * MT_MSEC) /* from the start of a pass to that of the next */
#define STEP   (1 * MT_MSEC)
#define CALLS  128  /* looked at in a step */
#define PLACES 4096 /* looked at in a step; most of them may be free */

static inline void set(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELAXED);
}

/* The endpoint's entry of the pass under way; `sent` is when its first call was sent. */
static struct mt_waiting_ep *entry_of(
	struct mt_waiting *w, const struct mt_attempt *a, uint64_t sent)
{
	struct mt_waiting_ep *e = &w->of[w->pass & 1][a->ep_index];
	const struct mt_waiting_ep *last = &w->of[w->done & 1][a->ep_index];

	if (mt_likely(e->pass == w->pass))
		return e;
	/* A reader of the pass before the last one must not take the new fields for old ones. */
	__atomic_store_n(&e->pass, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set(&e->id, a->ep_id);
	set(&e->oldest, sent);
	set(&e->since,
		w->done && last->pass == w->done && last->id == a->ep_id ? last->since : sent);
	__atomic_store_n(&e->calls, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->pass, w->pass, __ATOMIC_RELEASE);
	return e;
}

static void look_at(struct mt_proxy *p, const struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(p, a);
	struct mt_waiting_ep *e;

	if (a->state != MT_ATTEMPT_SENT || ex->state != MT_EX_TRYING || ex->oneway)
		return;
	/* Another endpoint has the index by now. */
	if (mt_unlikely(p->ep_stats[a->ep_index].id != a->ep_id))
		return;
	e = entry_of(&p->waiting, a, ex->sent);
	__atomic_store_n(&e->calls, e->calls + 1, __ATOMIC_RELAXED);
	set(&e->oldest, MT_MIN(e->oldest, ex->sent));
	set(&e->since, MT_MIN(e->since, ex->sent));
	p->waiting.finding = true;
}

static void begin(struct mt_proxy *p)
{
	struct mt_waiting *w = &p->waiting;

	w->pass = w->done + 1;
	/* 0 is none; odd and even numbers still take turns. */
	if (mt_unlikely(w->pass == 0))
		w->pass = 2;
	w->at = 0;
	w->finding = false;
	w->began = p->now;
}

static void end(struct mt_proxy *p)
{
	struct mt_waiting *w = &p->waiting;

	__atomic_store_n(&w->done, w->pass, __ATOMIC_RELEASE);
	w->pass = 0;
	w->found = w->finding;
	w->due = MT_MAX(w->began + EVERY, p->now + STEP);
}

void mt_waiting_turn(struct mt_proxy *p)
{
	const struct mt_slab *s = &p->attempts;
	struct mt_waiting *w = &p->waiting;
	uint32_t last, n = 0;

	if (!w->pass)
		begin(p);
	last = MT_MIN(s->fresh, w->at + PLACES);
	for (; w->at < last && n < CALLS; w->at++) {
		if (!(s->gens[w->at] & 1))
			continue;
		look_at(p, mt_slab_at(s, w->at));
		n++;
	}
	if (w->at < s->fresh)
		w->due = p->now + STEP;
	else
		end(p);
}

/* ---- opaque streams ------------------------------------------------------------------------- */

/* Another endpoint may have the index by now; then the numbers stay its own. */
static struct mt_waiting_streams *streams_of(struct mt_proxy *p, const struct mt_lanes *ln)
{
	struct mt_waiting_streams *s = &p->waiting.streams[ln->ep_index];

	if (mt_likely(s->id == ln->ep_id) || p->ep_stats[ln->ep_index].id != ln->ep_id)
		return s;
	set(&s->since, p->now);
	s->answered = s->unanswered = 0;
	__atomic_store_n(&s->id, ln->ep_id, __ATOMIC_RELEASE);
	return s;
}

void mt_waiting_asked(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_streams *s;

	/* After its FIN a server cannot answer. */
	if (pr->waits || pr->fin_to_down)
		return;
	s = streams_of(p, pr->lanes);
	pr->waits = true;
	if (s->n == 0)
		set(&s->since, p->now);
	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELAXED);
}

/* The stream waits no more. */
static struct mt_waiting_streams *stop(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_streams *s = streams_of(p, pr->lanes);

	pr->waits = false;
	__atomic_store_n(&s->n, s->n - 1, __ATOMIC_RELAXED);
	return s;
}

void mt_waiting_answered(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_streams *s;

	mt_waiting_heard(p, pr->lanes);
	if (mt_likely(!pr->waits))
		return;
	s = stop(p, pr);
	if (pr->answered)
		return;
	pr->answered = true;
	__atomic_store_n(&s->answered, s->answered + 1, __ATOMIC_RELAXED);
}

void mt_waiting_ended(struct mt_proxy *p, struct mt_pair *pr, bool by_server)
{
	struct mt_waiting_streams *s;

	if (mt_likely(!pr->waits))
		return;
	s = stop(p, pr);
	if (by_server && !pr->answered)
		__atomic_store_n(&s->unanswered, s->unanswered + 1, __ATOMIC_RELAXED);
}

/* ---- for the control thread ----------------------------------------------------------------- */

/* Copies the entry if it is of the pass `done`, and stays so meanwhile. */
static bool read_entry(const struct mt_waiting_ep *e, uint32_t done, struct mt_waiting_ep *to)
{
	if (__atomic_load_n(&e->pass, __ATOMIC_ACQUIRE) != done)
		return false;
	to->calls = __atomic_load_n(&e->calls, __ATOMIC_RELAXED);
	to->id = mt_count_read(&e->id);
	to->oldest = mt_count_read(&e->oldest);
	to->since = mt_count_read(&e->since);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&e->pass, __ATOMIC_RELAXED) == done;
}

static void add_streams(const struct mt_waiting_streams *s, uint64_t id, struct mt_ep_waiting *n)
{
	if (__atomic_load_n(&s->id, __ATOMIC_ACQUIRE) != id)
		return;
	n->answered = __atomic_load_n(&s->answered, __ATOMIC_RELAXED);
	n->unanswered = __atomic_load_n(&s->unanswered, __ATOMIC_RELAXED);
	n->streams = __atomic_load_n(&s->n, __ATOMIC_RELAXED);
	n->streams_since = n->streams ? mt_count_read(&s->since) : 0;
}

struct mt_ep_waiting mt_proxy_ep_waiting(const struct mt_proxy *p, uint32_t index, uint64_t id)
{
	const struct mt_waiting *w = &p->waiting;
	struct mt_ep_waiting n = {0};
	struct mt_waiting_ep e;
	uint32_t done;
	bool got;

	if (index >= MT_PROXY_EPS_MAX ||
		__atomic_load_n(&p->ep_stats[index].id, __ATOMIC_ACQUIRE) != id)
		return n;
	n.heard = mt_count_read(&p->ep_stats[index].heard);
	add_streams(&w->streams[index], id, &n);
	/* As a rule nothing waits, and the entry need not be read. */
	if (mt_count_read(&p->ep_stats[index].outstanding) == 0)
		return n;
	do {
		done = __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
		got = done && read_entry(&w->of[done & 1][index], done, &e);
	} while (!got && done != __atomic_load_n(&w->done, __ATOMIC_ACQUIRE));
	if (!got || e.id != id)
		return n;
	n.calls = e.calls;
	n.oldest = e.oldest;
	n.since = e.since;
	return n;
}
