/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <string.h>

const char *const blast_count_names[BLAST_COUNTS] = {
	[BLAST_SENT] = "sent",
	[BLAST_ANSWERED] = "answered",
	[BLAST_NATIVE_ERROR] = "native_error",
	[BLAST_WRONG] = "wrong_answer",
	[BLAST_RESET] = "reset",
	[BLAST_CLOSED] = "closed",
	[BLAST_TIMEOUT] = "timeout",
	[BLAST_BAD_BYTES] = "malformed",
	[BLAST_ABANDONED] = "abandoned",
	[BLAST_UNSENT] = "unsent",
	[BLAST_STRANGER] = "unknown_id",
	[BLAST_LATE] = "late",
	[BLAST_CONNECTED] = "connected",
	[BLAST_CONNECT_FAILED] = "connect_failed",
};

/* An id is slot and generation, so a reply that comes after its call ended is recognized as old. */
static uint32_t id_of(const struct blast_worker *w, const struct blast_call *k, uint32_t slot)
{
	uint32_t gens = BLAST_ID_SPAN >> w->slot_bits;

	return BLAST_ID_MIN + ((k->gen % gens) << w->slot_bits | slot);
}

static void count(struct blast_worker *w, const struct blast_call *k, enum blast_count what)
{
	mt_count(w->counts, what);
	if (k->measured)
		w->measured[what]++;
}

void blast_call_issue(struct blast_worker *w, struct blast_conn *c, uint64_t due, uint64_t now)
{
	uint32_t slot = c->free, size = (uint32_t)blast_dist_pick(&w->o->size, &w->rand);
	struct blast_call *k = &c->calls[slot];
	struct blast_queue *q = blast_conn_queue(w, c);
	const struct blast_message *m;
	uint8_t head[BLAST_HEAD];

	c->free = k->next_free;
	k->gen++;
	k->token = mt_rand_u64(&w->rand) & ((1ull << 60) - 1);
	k->reply_size = size;
	if (w->o->reply == BLAST_REPLY_DIST)
		k->reply_size = (uint32_t)blast_dist_pick(&w->o->reply_size, &w->rand);
	k->due = due;
	k->sent = now;
	k->live = true;
	k->measured = due >= w->measure_from && due < w->end;
	mt_list_add_tail(&w->sent, &k->node);
	c->in_flight++;
	c->issued++;
	count(w, k, BLAST_SENT);
	if (k->measured)
		blast_hist_add(&w->lag, now - due);
	w->max_lag = MT_MAX(w->max_lag, now - due);
	blast_head_write(head, k->token, k->reply_size);
	m = blast_cache_get(&w->cache, size, id_of(w, k, slot), head);
	blast_queue_put(q, m->bytes, m->len);
}

void blast_call_end(
	struct blast_worker *w, struct blast_call *k, enum blast_count fate, uint64_t now)
{
	struct blast_conn *c = k->conn;

	mt_list_del(&k->node);
	k->live = false;
	k->next_free = c->free;
	c->free = (uint16_t)(k - c->calls);
	c->in_flight--;
	count(w, k, fate);
	if (fate != BLAST_ANSWERED)
		return;
	if (now >= w->measure_from && now < w->end)
		w->in_window++;
	if (!k->measured)
		return;
	w->n_answered += !c->answered;
	c->answered = true;
	blast_hist_add(&w->latency, now - k->due);
	blast_hist_add(&w->service, now - k->sent);
}

static bool right(
	const struct blast_options *o, const struct blast_call *k, const struct blast_frame *f)
{
	uint8_t head[BLAST_HEAD];

	if (o->verify == BLAST_VERIFY_ID)
		return true;
	if (!f->n_parts || f->parts[0].len < BLAST_HEAD)
		return false;
	blast_head_write(head, k->token, o->reply == BLAST_REPLY_ANY ? f->size : k->reply_size);
	if (memcmp(f->parts[0].p, head, BLAST_HEAD) != 0)
		return false;
	if (o->reply != BLAST_REPLY_ANY && f->size != k->reply_size)
		return false;
	return o->verify == BLAST_VERIFY_TOKEN || blast_frame_pattern(f);
}

void blast_call_reply(
	struct blast_worker *w, struct blast_conn *c, const struct blast_frame *f, uint64_t now)
{
	uint32_t slot = (uint32_t)(f->id - BLAST_ID_MIN) & ((1u << w->slot_bits) - 1);
	struct blast_call *k = slot < w->o->outstanding ? &c->calls[slot] : NULL;

	if (!k || !k->live || id_of(w, k, slot) != f->id) {
		/*
		 * After a timeout its reply may still come: as many unknown replies as timeouts
		 * count as late.
		 */
		mt_count(w->counts, c->late ? BLAST_LATE : BLAST_STRANGER);
		c->late -= c->late ? 1 : 0;
		return;
	}
	if (f->kind == BLAST_ERROR)
		blast_call_end(w, k, BLAST_NATIVE_ERROR, now);
	else
		blast_call_end(w, k, right(w->o, k, f) ? BLAST_ANSWERED : BLAST_WRONG, now);
}

void blast_calls_expire(struct blast_worker *w, uint64_t now)
{
	struct mt_list *n;

	while ((n = mt_list_first(&w->sent))) {
		struct blast_call *k = mt_list_entry(n, struct blast_call, node);
		struct blast_conn *c = k->conn;

		if (now < k->sent + w->o->timeout)
			return;
		c->late++;
		blast_call_end(w, k, BLAST_TIMEOUT, now);
		blast_conn_next(w, c, now);
	}
}
