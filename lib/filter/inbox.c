/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completions for a worker, from other threads. Producers use DPDK's ring one after the other
 * (head/tail sync): each waits for as long as a copy takes, or longer if the one before it is
 * preempted. Only the worker takes elements, and it never adds any.
 *
 *	producer: put, rung = 1, asleep? then write
 *	worker:   rung = 0, take; before a sleep: asleep = 1, rung? then it stays awake
 *
 * Both sides store and then load, sequentially consistent: either the producer sees that the worker
 * sleeps, or the worker sees the new element.
 */
#include "inbox_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * Inboxes by the number in tickets. `users` keeps an inbox from being freed while a producer uses
 * it.
 */
static struct {
	struct mt_filter_inbox *in;
	uint32_t users;
} inboxes[MT_FILTER_INBOXES];
static uint32_t serials;
/* The inbox of the worker whose filters this thread runs now; NULL: none. */
static __thread struct mt_filter_inbox *calling;

/* ---- boot ------------------------------------------------------------------------------------ */

static struct rte_ring *make_ring(void)
{
	ssize_t bytes = rte_ring_get_memsize_elem(sizeof(struct letter), MT_FILTER_INBOX_SIZE);
	struct rte_ring *r;

	if (bytes < 0)
		return NULL;
	/* This is only address space until it is used. */
	r = aligned_alloc(
		RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)bytes, (size_t)RTE_CACHE_LINE_SIZE));
	if (r && rte_ring_init(
			 r, "filters", MT_FILTER_INBOX_SIZE, RING_F_MP_HTS_ENQ | RING_F_SC_DEQ)) {
		free(r);
		r = NULL;
	}
	return r;
}

static bool enter(struct mt_filter_inbox *in)
{
	for (uint32_t i = 0; i < MT_FILTER_INBOXES; i++) {
		struct mt_filter_inbox *none = NULL;

		if (!__atomic_compare_exchange_n(
			    &inboxes[i].in, &none, in, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		in->index = i;
		return true;
	}
	return false;
}

struct mt_filter_inbox *mt_filter_inbox_new(void)
{
	struct mt_filter_inbox *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	in->wake_fd = -1;
	in->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
	in->ring = make_ring();
	in->own = malloc(MT_FILTER_INBOX_SIZE * sizeof(*in->own)); /* also address space only */
	if (!in->ring || !in->own || !enter(in)) {
		free(in->ring);
		free(in->own);
		free(in);
		return NULL;
	}
	return in;
}

void mt_filter_inbox_close(struct mt_filter_inbox *in)
{
	struct mt_filter_inbox *me = in;

	/* The place may belong to another inbox by now. */
	if (in)
		__atomic_compare_exchange_n(&inboxes[in->index].in, &me, NULL, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

void mt_filter_inbox_free(struct mt_filter_inbox *in)
{
	if (!in)
		return;
	mt_filter_inbox_close(in);
	while (__atomic_load_n(&inboxes[in->index].users, __ATOMIC_SEQ_CST))
		usleep(1);
	free(in->ring);
	free(in->own);
	free(in);
}

/* ---- producers ------------------------------------------------------------------------------- */

/* The size of version 1, up to its last field `changes`: later fields require a check of `size`. */
#define FIRST_SIZE                                                                                 \
	(offsetof(struct mt_filter_completion, changes) +                                          \
		sizeof(((struct mt_filter_completion *)NULL)->changes))

/* True for changes that set() would refuse, or that are too many. */
static bool are_wrong(const struct mt_filter_change *changes, uint32_t n)
{
	uint64_t bytes = 0;

	if (n > MT_FILTER_CHANGES_MAX || (n && !changes))
		return true;
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_filter_change *c = &changes[i];

		if (!c->key.p || c->key.len == 0)
			return true;
		bytes += (uint64_t)c->key.len + (c->value.p ? c->value.len : 0);
	}
	return bytes > MT_FILTER_CHANGES_BYTES_MAX;
}

static bool is_wrong(const struct mt_filter_completion *how)
{
	if (how->size < FIRST_SIZE || how->answer > MT_FILTER_TIMED_OUT)
		return true;
	if (how->text.len && !how->text.p)
		return true;
	if (how->verdict != MT_FILTER_NEXT && how->verdict != MT_FILTER_REPLY)
		return true;
	return are_wrong(how->changes, how->n_changes);
}

static char *append(char *to, struct mt_filter_text from)
{
	if (from.len)
		memcpy(to, from.p, from.len);
	return to + from.len;
}

static void write_letter(
	struct letter *l, const struct mt_filter_ticket *t, const struct mt_filter_completion *how)
{
	char *p = l->bytes;

	l->ticket = *t;
	l->verdict = (uint8_t)how->verdict;
	l->answer = (uint8_t)how->answer;
	l->text_len = (uint8_t)MT_MIN(how->text.len, MT_FILTER_TEXT_MAX);
	*append(l->text, (struct mt_filter_text){how->text.p, l->text_len}) = '\0';
	l->n_changes = (uint8_t)how->n_changes;
	for (uint32_t i = 0; i < how->n_changes; i++) {
		const struct mt_filter_change *c = &how->changes[i];

		l->change[i].key_len = (uint16_t)c->key.len;
		l->change[i].value_len = c->value.p ? (uint16_t)c->value.len : NO_VALUE;
		p = append(p, c->key);
		if (c->value.p)
			p = append(p, c->value);
	}
	__atomic_store_n(&l->stamp, t->generation, __ATOMIC_RELEASE);
}

static void wake_control(struct mt_filter_inbox *in)
{
	const uint64_t one = 1;

	__atomic_store_n(&in->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&in->asleep, __ATOMIC_SEQ_CST) && in->wake_fd >= 0)
		(void)!write(in->wake_fd, &one, sizeof(one));
}

uint64_t mt_filter_inbox_who(const struct mt_filter_inbox *in)
{
	return (uint64_t)in->index << 32 | in->serial;
}

void mt_filter_inbox_ring(uint64_t who)
{
	uint32_t index = (uint32_t)(who >> 32);
	struct mt_filter_inbox *in;

	if (index >= MT_FILTER_INBOXES)
		return;
	__atomic_add_fetch(&inboxes[index].users, 1, __ATOMIC_SEQ_CST);
	in = __atomic_load_n(&inboxes[index].in, __ATOMIC_SEQ_CST);
	if (in && in->serial == (uint32_t)who)
		wake_control(in);
	__atomic_sub_fetch(&inboxes[index].users, 1, __ATOMIC_SEQ_CST);
}

static int put_shared(struct mt_filter_inbox *in, const struct mt_filter_ticket *t,
	const struct mt_filter_completion *how)
{
	struct rte_ring_zc_data at;

	if (rte_ring_enqueue_zc_bulk_elem_start(in->ring, sizeof(struct letter), 1, &at, NULL) ==
		0) {
		__atomic_fetch_add(&in->full, 1, __ATOMIC_RELAXED);
		return -EAGAIN;
	}
	write_letter(at.ptr1, t, how);
	rte_ring_enqueue_zc_elem_finish(in->ring, 1);
	wake_control(in);
	return 0;
}

/* For completions made on the worker itself, which is awake and will check the list. */
static int put_own(struct mt_filter_inbox *in, const struct mt_filter_ticket *t,
	const struct mt_filter_completion *how)
{
	if (in->n_own == MT_FILTER_INBOX_SIZE) {
		__atomic_fetch_add(&in->full, 1, __ATOMIC_RELAXED);
		return -EAGAIN;
	}
	write_letter(&in->own[(in->own_first + in->n_own++) % MT_FILTER_INBOX_SIZE], t, how);
	__atomic_store_n(&in->rung, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static int put(struct mt_filter_inbox *in, const struct mt_filter_ticket *t,
	const struct mt_filter_completion *how)
{
	if (in->serial != t->serial)
		return -ESHUTDOWN;
	return in == calling ? put_own(in, t, how) : put_shared(in, t, how);
}

void mt_filter_inbox_calls(struct mt_filter_inbox *in)
{
	calling = in;
}

int mt_filter_complete(const struct mt_filter_ticket *t, const struct mt_filter_completion *how)
{
	struct mt_filter_inbox *in;
	int rc = -ESHUTDOWN;

	if (t->inbox >= MT_FILTER_INBOXES || t->serial == 0 || is_wrong(how))
		return -EINVAL;
	__atomic_add_fetch(&inboxes[t->inbox].users, 1, __ATOMIC_SEQ_CST);
	in = __atomic_load_n(&inboxes[t->inbox].in, __ATOMIC_SEQ_CST);
	if (in)
		rc = put(in, t, how);
	__atomic_sub_fetch(&inboxes[t->inbox].users, 1, __ATOMIC_SEQ_CST);
	return rc;
}
