/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread mt-log: takes the entries of all rings in turn, renders each for each output, and puts
 * the lines into the sinks. It sleeps in poll() for 10 ms, or for a second without outputs.
 */
#include "mt_alog_priv.h"

#include "mt_outcome.h"
#include "mt_rights.h"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#define EACH	64   /* entries of a ring before the next ring has its turn */
#define BUSY_MS 10   /* between two looks at the rings */
#define IDLE_MS 1000 /* the same without outputs */

static uint64_t clock_of(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t mt_alog_monotonic(void)
{
	return clock_of(CLOCK_MONOTONIC);
}

void mt_alog_wake(const struct mt_alog *l)
{
	const uint64_t one = 1;

	(void)!write(l->event, &one, sizeof(one));
}

static bool stopping(const struct mt_alog *l)
{
	return __atomic_load_n(&l->stop, __ATOMIC_ACQUIRE);
}

/* ---- entries -------------------------------------------------------------------------------- */

/* True if the output's filter passes the entry, as its worker found or is found here. */
static bool passes(struct mt_alog *l, const struct mt_alog_output *o,
	const struct mt_alog_entry *entry, const struct mt_alog_record *r)
{
	int told;

	if (!o->filter)
		return true;
	told = mt_alog_verdict_of(&entry->verdict, o->filter_id);
	return told < 0 ? mt_alog_filter_passes(o->filter, l->trial, r) : told;
}

/* True if output i gets the line of the entry. */
static bool is_wanted(struct mt_alog *l, uint32_t i, const struct mt_alog_entry *entry,
	const struct mt_alog_record *r)
{
	const struct mt_alog_list *list = l->list;
	const struct mt_alog_output *o = list->v[i];

	return mt_alog_reaches(entry, list->keys[i], list->general[i], list->unserved[i]) &&
	       (!o->net || mt_alog_net_takes(o->net, r->type)) &&
	       !mt_alog_draw_skips(&o->draw, list->keys[i], entry) && passes(l, o, entry, r);
}

static void put(struct mt_alog *l, const struct mt_alog_entry *entry, uint64_t now)
{
	struct mt_alog_made made;
	struct mt_alog_record r;

	mt_alog_entry_view(entry, &made, &r);
	for (uint32_t i = 0; i < l->list->n; i++) {
		struct mt_alog_output *o = l->list->v[i];

		if (entry->spans && o->net)
			mt_alog_net_put_spans(o->net, l->list->keys[i], entry, &r);
		if (is_wanted(l, i, entry, &r))
			mt_alog_output_put(l, o, &r, now);
	}
}

/* Takes up to EACH entries before `end`. False: there are none left. */
static bool take(struct mt_alog *l, struct mt_byte_ring *r, uint64_t end, uint64_t now)
{
	const struct mt_alog_entry *entry;
	uint32_t len, n = 0;

	while (mt_byte_ring_tail(r) < end && n++ < EACH &&
		(entry = mt_byte_ring_peek(r, &len)) != NULL) {
		if (l->list)
			put(l, entry, now);
		mt_byte_ring_pop(r);
	}
	return mt_byte_ring_tail(r) < end;
}

static bool is_late(const struct mt_alog *l)
{
	return stopping(l) && mt_alog_monotonic() >= l->deadline;
}

static void find_heads(const struct mt_alog *l, uint64_t *end)
{
	for (uint32_t i = 0; i < l->workers; i++)
		end[i] = mt_byte_ring_head(&l->rings[i]);
}

/* Takes all entries before `end`, from each ring in turn. */
static void drain(struct mt_alog *l, const uint64_t *end)
{
	bool more = true;

	while (more && !is_late(l)) {
		uint64_t now = clock_of(CLOCK_REALTIME);

		more = false;
		for (uint32_t i = 0; i < l->workers; i++)
			more |= take(l, &l->rings[i], end[i], now);
		for (uint32_t i = 0; l->list && i < l->list->n; i++)
			mt_alog_output_flush(l->list->v[i]);
	}
}

/*
 * Takes the newest list of outputs, if the control thread has made one. Entries that were written
 * before go to the old outputs; without old ones they wait for the new.
 */
static void adopt(struct mt_alog *l)
{
	struct mt_alog_list *next = __atomic_exchange_n(&l->next, NULL, __ATOMIC_ACQUIRE);
	uint64_t end[MT_ALOG_WORKERS];

	if (!next)
		return;
	if (l->list && l->list->n) {
		find_heads(l, end);
		drain(l, end);
	}
	free(l->list);
	l->list = next;
	__atomic_store_n(&l->adopted, next->version, __ATOMIC_RELEASE);
}

/* Counts what could not be rendered before the deadline. */
static void count_rest(struct mt_alog *l)
{
	uint32_t len;

	for (uint32_t i = 0; i < l->workers; i++)
		while (mt_byte_ring_peek(&l->rings[i], &len)) {
			mt_byte_ring_pop(&l->rings[i]);
			mt_count(&l->unrendered, 0);
		}
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void pause_for(struct mt_alog *l)
{
	struct pollfd p = {.fd = l->event, .events = POLLIN};
	uint64_t n;

	if (poll(&p, 1, l->list && l->list->n ? BUSY_MS : IDLE_MS) > 0)
		(void)!read(l->event, &n, sizeof(n));
}

static void *loop(void *arg)
{
	struct mt_alog *l = arg;
	uint64_t end[MT_ALOG_WORKERS];
	bool last;

	do {
		last = stopping(l);
		/* Before the list: no entry meets outputs older than those that were set before it. */
		find_heads(l, end);
		adopt(l);
		drain(l, end);
		if (!last)
			pause_for(l);
	} while (!last);
	count_rest(l);
	return NULL;
}

int mt_alog_thread_start(struct mt_alog *l)
{
	int rc = mt_rights_thread(&l->thread, "mt-log", loop, l);

	l->running = rc == 0;
	return rc;
}
