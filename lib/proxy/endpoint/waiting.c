/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds calls that wait for an answer, by endpoint: their number, the oldest call, and since when
 * calls have waited. Together with the time of the endpoint's last bytes (mt_ep_stats.heard) the
 * results show a server with a TCP stack that acknowledges calls and an application that does not
 * answer them, in every protocol and with any time-outs.
 *
 * - While calls are under way, a pass over all exchanges starts every 500 ms. It takes at most 128
 *   attempts in a step and one step per ms, so that it uses about a percent of a core at most. If
 *   all exchanges of a worker have an attempt, a pass takes half a second. A call that is answered
 *   before a pass examines it costs nothing here.
 * - A call waits from the sending of its last byte until its reply, or the first part of a long
 *   one, is forwarded. Calls that are queued or still arriving, and calls of a client that has
 *   left, do not count.
 * - An opaque stream waits if its server got bytes and has sent none since. No pass examines
 *   streams, because there may be a million: they are counted when their wait begins and ends. A
 *   server that only receives has many waiting streams; the number of streams that it has answered
 *   distinguishes it from a silent server.
 * - Clients that give up and try again leave moments in which nothing waits. Until the endpoint
 *   sends something, pauses of at most MT_WAITING_PAUSE do not end its silence.
 * - The results of a pass become visible all at once: the control thread reads those of the last
 *   complete pass while the worker writes the next ones to the other array. If the reader is
 *   interrupted for longer than a pass, it finds the number of a later pass in the entry.
 */
#include "endpoint/mt_endpoint_priv.h"

#define EVERY  (500 * MT_MSEC) /* from the start of a pass to that of the next */
#define STEP   (1 * MT_MSEC)
#define CALLS  128  /* attempts examined in a step, at most */
#define PLACES 4096 /* exchanges examined in a step, at most; most may be free */

static inline void set(uint64_t *to, uint64_t value)
{
	__atomic_store_n(to, value, __ATOMIC_RELAXED);
}

/*
 * Returns the data kept for this index. Clears all but `n` first if endpoint `id` is new there, but
 * not if the index belongs to another endpoint by now.
 */
static struct mt_waiting_kept *kept_of(struct mt_proxy *p, uint32_t index, uint64_t id)
{
	struct mt_waiting_kept *k = &p->waiting.kept[index];

	if (mt_likely(k->id == id) || p->ep_stats[index].id != id)
		return k;
	set(&k->calls.first, 0);
	set(&k->streams.first, p->now);
	k->answered = k->unanswered = 0;
	__atomic_store_n(&k->id, id, __ATOMIC_RELEASE);
	return k;
}

/*
 * Notes that a call or stream, sent at `sent`, waits now. Begins a new silence if the endpoint has
 * sent bytes since the last one began, or if nothing has waited for longer than MT_WAITING_PAUSE.
 */
static void waits_since(struct mt_waiting_since *s, uint64_t sent, uint64_t heard, uint64_t now)
{
	if (s->first <= heard || now - s->last > MT_WAITING_PAUSE)
		set(&s->first, sent);
	set(&s->last, now);
}

/*
 * Returns the entry of the attempt's endpoint in the pass under way. A new entry has `sent` as the
 * time of its oldest call.
 */
static struct mt_waiting_ep *entry_of(struct mt_proxy *p, const struct mt_attempt *a, uint64_t sent)
{
	const struct mt_waiting *w = &p->waiting;
	struct mt_waiting_ep *e = &w->of[w->pass & 1][a->ep_index];

	if (mt_likely(e->pass == w->pass))
		return e;
	/*
	 * A reader that still reads the results of two passes ago must not take new fields for old
	 * ones.
	 */
	__atomic_store_n(&e->pass, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set(&e->id, a->ep_id);
	set(&e->oldest, sent);
	__atomic_store_n(&e->calls, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->pass, w->pass, __ATOMIC_RELEASE);
	waits_since(&kept_of(p, a->ep_index, a->ep_id)->calls, sent, p->ep_stats[a->ep_index].heard,
		p->now);
	return e;
}

static void look_at(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = &ex->attempt;
	struct mt_waiting_since *s;
	struct mt_waiting_ep *e;

	if (a->state != MT_ATTEMPT_SENT || ex->state != MT_EX_TRYING || ex->oneway)
		return;
	/* Another endpoint has the index by now. */
	if (mt_unlikely(p->ep_stats[a->ep_index].id != a->ep_id))
		return;
	e = entry_of(p, a, a->sent);
	__atomic_store_n(&e->calls, e->calls + 1, __ATOMIC_RELAXED);
	set(&e->oldest, MT_MIN(e->oldest, a->sent));
	s = &p->waiting.kept[a->ep_index].calls;
	set(&s->first, MT_MIN(s->first, a->sent));
	p->waiting.finding = true;
}

static void begin(struct mt_proxy *p)
{
	struct mt_waiting *w = &p->waiting;

	w->pass = w->done + 1;
	/* 0 means that no pass is under way; 2 is even like 0, so odd and even numbers alternate. */
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
	const struct mt_slab *s = &p->exchanges;
	struct mt_waiting *w = &p->waiting;
	uint32_t last, n = 0;

	if (!w->pass)
		begin(p);
	last = MT_MIN(s->fresh, w->at + PLACES);
	for (; w->at < last && n < CALLS; w->at++) {
		const struct mt_exchange *ex = mt_slab_at(s, w->at);

		if (!(s->gens[w->at] & 1) || !ex->attempt.state)
			continue;
		look_at(p, ex);
		n++;
	}
	if (w->at < s->fresh)
		w->due = p->now + STEP;
	else
		end(p);
}

/* ---- opaque streams ------------------------------------------------------------------------- */

void mt_waiting_asked(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_kept *k;

	/* After its FIN a server cannot answer. */
	if (pr->waits || pr->fin_to_down)
		return;
	k = kept_of(p, pr->lanes->ep_index, pr->lanes->ep_id);
	pr->waits = true;
	if (k->n == 0)
		waits_since(&k->streams, p->now, p->ep_stats[pr->lanes->ep_index].heard, p->now);
	__atomic_store_n(&k->n, k->n + 1, __ATOMIC_RELAXED);
}

/* Ends the stream's wait. Inline, because this happens at every answer of an opaque stream. */
static mt_inline struct mt_waiting_kept *stop(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_kept *k = kept_of(p, pr->lanes->ep_index, pr->lanes->ep_id);

	pr->waits = false;
	set(&k->streams.last, p->now);
	__atomic_store_n(&k->n, k->n - 1, __ATOMIC_RELAXED);
	return k;
}

void mt_waiting_answered(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_waiting_kept *k;

	mt_waiting_heard(p, pr->lanes);
	if (mt_likely(!pr->waits))
		return;
	k = stop(p, pr);
	if (pr->answered)
		return;
	pr->answered = true;
	__atomic_store_n(&k->answered, k->answered + 1, __ATOMIC_RELAXED);
}

void mt_waiting_ended(struct mt_proxy *p, struct mt_pair *pr, bool by_server)
{
	struct mt_waiting_kept *k;

	if (mt_likely(!pr->waits))
		return;
	k = stop(p, pr);
	if (by_server && !pr->answered)
		__atomic_store_n(&k->unanswered, k->unanswered + 1, __ATOMIC_RELAXED);
}

/* ---- for the control thread ----------------------------------------------------------------- */

/* Copies the entry. False if it is not of the pass `done`, or was changed during the copy. */
static bool read_entry(const struct mt_waiting_ep *e, uint32_t done, struct mt_waiting_ep *to)
{
	if (__atomic_load_n(&e->pass, __ATOMIC_ACQUIRE) != done)
		return false;
	to->calls = __atomic_load_n(&e->calls, __ATOMIC_RELAXED);
	to->id = mt_count_read(&e->id);
	to->oldest = mt_count_read(&e->oldest);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&e->pass, __ATOMIC_RELAXED) == done;
}

/*
 * Returns when the silence began; 0: nothing waits, and bytes of the endpoint or a long pause ended
 * the silence.
 */
static uint64_t began_of(const struct mt_waiting_since *s, bool waits, uint64_t heard, uint64_t now)
{
	uint64_t first = mt_count_read(&s->first), last = mt_count_read(&s->last);

	if (waits)
		return first;
	/* `now` may be before `last`, because the worker's clock may be ahead. */
	return first > heard && (now <= last || now - last <= MT_WAITING_PAUSE) ? first : 0;
}

/* Adds the data kept for the endpoint to `n`; n->calls and n->heard must be set. */
static void add_kept(
	const struct mt_waiting_kept *k, uint64_t id, uint64_t now, struct mt_ep_waiting *n)
{
	if (__atomic_load_n(&k->id, __ATOMIC_ACQUIRE) != id)
		return;
	n->answered = __atomic_load_n(&k->answered, __ATOMIC_RELAXED);
	n->unanswered = __atomic_load_n(&k->unanswered, __ATOMIC_RELAXED);
	n->streams = __atomic_load_n(&k->n, __ATOMIC_RELAXED);
	n->since = began_of(&k->calls, n->calls, n->heard, now);
	n->streams_since = began_of(&k->streams, n->streams, n->heard, now);
}

/* Sets n->calls and n->oldest to the results of the last complete pass. */
static void add_calls(
	const struct mt_waiting *w, uint32_t index, uint64_t id, struct mt_ep_waiting *n)
{
	struct mt_waiting_ep e;
	uint32_t done;
	bool got;

	do {
		done = __atomic_load_n(&w->done, __ATOMIC_ACQUIRE);
		got = done && read_entry(&w->of[done & 1][index], done, &e);
	} while (!got && done != __atomic_load_n(&w->done, __ATOMIC_ACQUIRE));
	if (!got || e.id != id)
		return;
	n->calls = e.calls;
	n->oldest = e.oldest;
}

struct mt_ep_waiting mt_proxy_ep_waiting(
	const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t now)
{
	const struct mt_waiting *w = &p->waiting;
	struct mt_ep_waiting n = {0};

	if (index >= MT_PROXY_EPS_MAX ||
		__atomic_load_n(&p->ep_stats[index].id, __ATOMIC_ACQUIRE) != id)
		return n;
	n.heard = mt_count_read(&p->ep_stats[index].heard);
	/* Usually no call is outstanding, and the entry need not be read. */
	if (mt_count_read(&p->ep_stats[index].outstanding))
		add_calls(w, index, id, &n);
	add_kept(&w->kept[index], id, now, &n);
	return n;
}
