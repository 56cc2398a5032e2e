/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the pieces of a change into a message. The head up to the last piece is replaced by a new
 * one. The old head is kept until the new message has been decoded.
 */
#include "mt_mutant.h"
#include "write.h"

#include <errno.h>

#define PIECE 16 /* mt_codec_own() */

static int own(struct mt_chain *chain, uint32_t off, uint32_t n, struct mt_pools *p)
{
	int rc = 0;

	for (uint32_t part; n > 0 && rc == 0; off += part, n -= part) {
		part = MT_MIN(n, (uint32_t)PIECE);
		rc = mt_codec_own(chain, off, part, p);
	}
	return rc;
}

/* The bytes are writable. */
static void patch(
	struct mt_chain *chain, uint32_t off, const void *from, uint32_t n, struct mt_pools *p)
{
	MT_ASSERT(mt_chain_patch(chain, off, from, n, p) == 0);
}

/* ---- checksums and proof --------------------------------------------------------------------- */

/* The checksums that were overwritten, to be written back. */
struct sums {
	uint32_t n;
	struct {
		uint32_t off, len;
		uint8_t bytes[8];
	} was[MT_CT_SUMS];
};

static bool keep_sum(struct sums *k, const struct mt_chain *chain, struct table_slot at)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (k->was[i].off == at.off)
			return true;
	if (k->n == MT_CT_SUMS)
		return false;
	k->was[k->n].off = at.off;
	k->was[k->n].len = at.len;
	mt_chain_read(chain, at.off, k->was[k->n++].bytes, at.len);
	return true;
}

static int write_sum(struct table_run *r, struct sums *k, const struct table_event *e,
	struct mt_chain *chain, struct mt_pools *p)
{
	const struct mt_ct_place *form = &r->t->places[e->place];
	uint8_t old[8], now[8];

	if (e->at.len > sizeof(old))
		return -ENOTSUP;
	mt_chain_read(chain, e->at.off, old, e->at.len);
	if (write_number_width(form, old, e->at.len, e->value, false) != e->at.len)
		return -ENOTSUP;
	write_number(form, old, e->at.len, e->value, now, e->at.len);
	/* Only bytes that are writable can be written back. */
	if (own(chain, e->at.off, e->at.len, p))
		return -ENOMEM;
	if (!keep_sum(k, chain, e->at))
		return -ENOTSUP;
	patch(chain, e->at.off, now, e->at.len, p);
	return 0;
}

/* Writes the sums that are wrong. Returns how many, or a negative error. */
static int write_sums(
	struct table_run *r, struct sums *k, struct mt_chain *chain, struct mt_pools *p)
{
	int n = 0, rc;

	if (mt_mutant(MT_MUTANT_table_sum_stale))
		return 0;
	for (uint32_t i = 0; i < r->trace->n; i++) {
		const struct table_event *e = &r->trace->event[i];

		if (e->op->code != MT_CT_SUM || !e->wrong)
			continue;
		rc = e->there ? write_sum(r, k, e, chain, p) : -ENOTSUP;
		if (rc)
			return rc;
		n++;
	}
	return n;
}

/* The outcome is compared by its class: mt_codec_classify() may have changed one status. */
static bool is_same(const struct mt_msg *a, const struct mt_msg *b)
{
	return a->kind == b->kind && a->variant == b->variant && a->aux == b->aux &&
	       a->event == b->event && a->timeout_ms == b->timeout_ms;
}

/*
 * Computes the checksums of the new message and decodes it. A sum may be part of what another one
 * covers, so that each needs a round.
 */
static int prove(const struct write_change *c, struct mt_msg *msg, struct mt_chain *chain,
	uint64_t id, struct sums *k, struct mt_pools *p)
{
	struct table_trace trace;
	struct table_state s;
	struct table_run r = {.trace = &trace, .s = &s};
	struct mt_cursor cur;
	struct mt_msg again;
	int rc = 1;

	for (uint32_t round = 0; rc > 0; round++) {
		if (round > MT_CT_SUMS ||
			!table_again(&r, c->r->t, (enum mt_dir)msg->flags, chain, &cur, &again))
			return -ENOTSUP;
		rc = write_sums(&r, k, chain, p);
	}
	if (rc)
		return rc;
	if (again.len != msg->len + c->growth || again.id != id || !is_same(&again, msg))
		return -ENOTSUP;
	if (c->mutations && !write_has_metadata(c, &again, chain))
		return -ENOTSUP;
	again.status = msg->status;
	*msg = again;
	return 0;
}

/* ---- a new head ------------------------------------------------------------------------------ */

/* The new bytes of all that is before `end`. */
static int build(const struct write_change *c, const struct mt_chain *chain, uint32_t end,
	struct mt_chain *head, struct mt_pools *p)
{
	struct mt_cursor cur;
	uint32_t at = 0;

	mt_cursor_init(&cur, chain, 0);
	for (uint32_t i = 0; i < c->n_pieces; i++) {
		const struct write_piece *w = &c->piece[i];

		if (mt_codec_copy(&cur, w->off - at, head, p) ||
			mt_chain_write(head, p, w->p, w->len))
			return -ENOMEM;
		mt_cursor_skip(&cur, w->old);
		at = w->off + w->old;
	}
	return mt_codec_copy(&cur, end - at, head, p);
}

/* Puts `head` in front of the chain. */
static void put_front(struct mt_chain *chain, struct mt_chain *head)
{
	mt_codec_put_head(chain, 0, head);
}

static int replace(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain, uint32_t end,
	uint64_t id, struct mt_pools *p)
{
	struct mt_chain head = {0}, old = {0};
	struct sums k = {0};
	uint32_t n;
	int rc = build(c, chain, end, &head, p);

	if (rc == 0)
		rc = mt_chain_split(chain, end, &old, p);
	if (rc) {
		mt_chain_free(&head);
		put_front(chain, &old);
		return rc;
	}
	n = head.len;
	put_front(chain, &head);
	rc = prove(c, msg, chain, id, &k, p);
	if (rc == 0) {
		mt_chain_free(&old);
		return 0;
	}
	while (k.n-- > 0)
		patch(chain, k.was[k.n].off, k.was[k.n].bytes, k.was[k.n].len, p);
	mt_chain_drop(chain, n);
	put_front(chain, &old);
	return rc;
}

/* The same for a head that lib/buf resizes in place. */
static int replace_prefix(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain,
	uint32_t end, uint64_t id, struct mt_pools *p)
{
	uint8_t was[MT_CHAIN_PREFIX_MAX], now[MT_CHAIN_PREFIX_MAX], *q;
	struct sums k = {0};
	uint32_t n = 0, at = 0;
	int rc;

	mt_chain_read(chain, 0, was, end);
	for (uint32_t i = 0; i < c->n_pieces; i++) {
		const struct write_piece *w = &c->piece[i];

		memcpy(now + n, was + at, w->off - at);
		n += w->off - at;
		memcpy(now + n, w->p, w->len);
		n += w->len;
		at = w->off + w->old;
	}
	q = mt_chain_resize_prefix(chain, end, n, p);
	if (!q)
		return -ENOMEM;
	memcpy(q, now, n);
	rc = prove(c, msg, chain, id, &k, p);
	if (rc == 0)
		return 0;
	while (k.n-- > 0)
		patch(chain, k.was[k.n].off, k.was[k.n].bytes, k.was[k.n].len, p);
	/* The head is writable and has the room that it had before. */
	q = mt_chain_resize_prefix(chain, n, end, p);
	MT_ASSERT(q);
	memcpy(q, was, end);
	return rc;
}

int write_apply(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain, uint64_t id,
	struct mt_pools *p)
{
	uint32_t end;
	int64_t n;
	int rc = write_settle(c);

	if (rc || c->n_pieces == 0)
		return rc;
	end = c->piece[c->n_pieces - 1].off + c->piece[c->n_pieces - 1].old;
	n = end + c->growth;
	if (end > chain->len || n < 0)
		return -ENOTSUP;
	if (end <= MT_CHAIN_PREFIX_MAX && n > 0 && n <= MT_CHAIN_PREFIX_MAX)
		return replace_prefix(c, msg, chain, end, id, p);
	return replace(c, msg, chain, end, id, p);
}
