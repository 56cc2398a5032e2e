/* SPDX-License-Identifier: Apache-2.0 */
/* A thread's side: processes what a lane hands over, and sends the results. */
#include "mt_tls_pool_priv.h"

#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES_MAX (MT_TLS_PIECE - PIECE_HEAD)
#define TURN		16 /* pieces taken from one wire before the next */

static void end_job(struct mt_tls_job *j)
{
	mt_tls_handshake_free(j->handshake);
	*j = (struct mt_tls_job){0};
}

static bool is_live(const struct mt_tls_wire *w, uint32_t slot, uint32_t generation)
{
	return __atomic_load_n(&w->lane->live[slot], __ATOMIC_ACQUIRE) == generation;
}

/* ---- to the worker --------------------------------------------------------------------------- */

/* Reserves a piece. NULL: the ring is full. */
static struct piece *start(struct mt_tls_wire *w, uint32_t slot, enum piece_kind kind)
{
	struct mt_tls_job *j = &w->jobs[slot];
	uint32_t used = j->handshake ? mt_tls_handshake_used(j->handshake) : 0;
	struct rte_ring_zc_data at;
	struct piece *p;

	if (rte_ring_enqueue_zc_bulk_elem_start(w->to_worker, sizeof(*p), 1, &at, NULL) == 0)
		return NULL;
	p = at.ptr1;
	p->worker = (uint16_t)w->lane->worker;
	p->slot = slot;
	p->generation = j->generation;
	p->sequence = j->sequence++;
	p->used = used - j->told;
	j->told = used;
	p->kind = (uint8_t)kind;
	p->len = 0;
	return p;
}

static void finish(struct mt_tls_wire *w)
{
	const uint64_t one = 1;
	struct mt_tls_lane *l = w->lane;

	rte_ring_enqueue_zc_elem_finish(w->to_worker, 1);
	__atomic_store_n(&l->rung, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&l->asleep, __ATOMIC_SEQ_CST) && l->wake_fd >= 0)
		(void)!write(l->wake_fd, &one, sizeof(one));
}

/* Sends output. Also reports the bytes used if nothing else reports them. */
static bool say_bytes(struct mt_tls_wire *w, uint32_t slot)
{
	struct mt_tls_job *j = &w->jobs[slot];
	const uint8_t *out;
	uint32_t n;

	if (!j->handshake)
		return true;
	while ((n = mt_tls_handshake_output(j->handshake, &out)) > 0 ||
		(j->step == MT_TLS_MORE && mt_tls_handshake_used(j->handshake) > j->told)) {
		struct piece *p = start(w, slot, PIECE_OUT);

		if (!p)
			return false;
		p->len = (uint16_t)MT_MIN(n, PIECE_BYTES_MAX);
		if (p->len)
			memcpy(p->bytes, out, p->len);
		mt_tls_handshake_sent(j->handshake, p->len);
		finish(w);
	}
	return true;
}

/* Sends all that is outstanding for a slot. false: the ring is full. */
static bool say(struct mt_tls_wire *w, uint32_t slot)
{
	struct mt_tls_job *j = &w->jobs[slot];
	struct piece *p;

	/* Without memory there is a failure but no handshake. */
	if ((!j->handshake && j->step != MT_TLS_FAILED) || !is_live(w, slot, j->generation)) {
		end_job(j);
		return true;
	}
	if (!say_bytes(w, slot))
		return false;
	if (j->step == MT_TLS_MORE)
		return true;
	p = start(w, slot, j->step == MT_TLS_DONE ? PIECE_DONE : PIECE_FAILED);
	if (!p)
		return false;
	p->result = j->handshake ? *mt_tls_handshake_result(j->handshake)
				 : (struct mt_tls_result){.reason = MT_TLS_WHY_internal};
	finish(w);
	end_job(j);
	return true;
}

/* ---- from the worker ------------------------------------------------------------------------- */

static void begin(struct mt_tls_wire *w, struct piece *p)
{
	struct mt_tls_job *j = &w->jobs[p->slot];
	char sni[MT_TLS_NAME_MAX + 1];

	/* Left from an earlier generation. */
	end_job(j);
	memcpy(sni, p->bytes, p->len);
	sni[p->len] = '\0';
	*j = (struct mt_tls_job){.handshake = mt_tls_handshake_new(p->context, p->len ? sni : NULL),
		.generation = p->generation};
	if (!j->handshake)
		j->step = MT_TLS_FAILED;
	else if (mt_tls_context_role(p->context) == MT_TLS_CLIENT) /* sends first */
		j->step = mt_tls_handshake_step(j->handshake, NULL, 0);
}

/* Processes a piece, unless its handshake is over. */
static void work(struct mt_tls_wire *w, struct piece *p)
{
	struct mt_tls_job *j = &w->jobs[p->slot];
	bool live = is_live(w, p->slot, p->generation);

	if (p->kind == PIECE_BEGIN) {
		if (live)
			begin(w, p);
		mt_tls_context_drop(p->context);
	} else if (live && j->handshake && j->generation == p->generation &&
		   j->step == MT_TLS_MORE) {
		MT_ASSERT(p->sequence == j->heard + 1);
		j->heard = p->sequence;
		j->step = mt_tls_handshake_step(j->handshake, p->bytes, p->len);
	}
	/* Bytes after the end are ignored here, because the worker still has them. */
}

static bool take_one(struct mt_tls_wire *w, uint32_t *slot)
{
	struct rte_ring_zc_data at;

	if (rte_ring_dequeue_zc_bulk_elem_start(w->to_thread, sizeof(struct piece), 1, &at, NULL) ==
		0)
		return false;
	*slot = ((struct piece *)at.ptr1)->slot;
	work(w, at.ptr1);
	rte_ring_dequeue_zc_elem_finish(w->to_thread, 1);
	return true;
}

/* Frees cancelled handshakes whose slots are not in use again. */
static void sweep(struct mt_tls_wire *w)
{
	for (uint32_t i = 0; i < MT_TLS_SLOTS; i++)
		if (w->jobs[i].handshake && !is_live(w, i, w->jobs[i].generation))
			end_job(&w->jobs[i]);
}

/* True if all is sent. Otherwise the worker rings when it has taken something. */
static bool unstall(struct mt_tls_wire *w)
{
	if (w->stalled && say(w, w->stalled - 1))
		w->stalled = 0;
	if (!w->stalled)
		return true;
	__atomic_exchange_n(&w->blocked, 1, __ATOMIC_SEQ_CST);
	/* Try again: the worker may have taken something meanwhile without seeing `blocked`. */
	if (say(w, w->stalled - 1))
		w->stalled = 0;
	return !w->stalled;
}

bool mt_tls_wire_serve(struct mt_tls_wire *w)
{
	uint32_t slot, n = 0;

	if (__atomic_load_n(&w->sweep, __ATOMIC_RELAXED) &&
		__atomic_exchange_n(&w->sweep, 0, __ATOMIC_SEQ_CST))
		sweep(w);
	while (unstall(w) && n < TURN && take_one(w, &slot)) {
		n++;
		if (!say(w, slot))
			w->stalled = slot + 1;
	}
	return n > 0;
}

void mt_tls_wire_end(struct mt_tls_wire *w)
{
	struct rte_ring_zc_data at;

	while (w->to_thread && rte_ring_dequeue_zc_bulk_elem_start(
				       w->to_thread, sizeof(struct piece), 1, &at, NULL)) {
		const struct piece *p = at.ptr1;

		if (p->kind == PIECE_BEGIN)
			mt_tls_context_drop(p->context);
		rte_ring_dequeue_zc_elem_finish(w->to_thread, 1);
	}
	for (uint32_t i = 0; w->jobs && i < MT_TLS_SLOTS; i++)
		end_job(&w->jobs[i]);
}
