/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the pieces of a change into a message. The head up to the last piece is replaced by a new
 * one. The old head is kept until the new message has been decoded.
 */
#include "write.h"

#include <errno.h>

/* ---- proof ----------------------------------------------------------------------------------- */

/* The outcome is compared by its class: mt_codec_classify() may have changed one status. */
static bool is_same(const struct mt_msg *a, const struct mt_msg *b)
{
	return a->kind == b->kind && a->variant == b->variant && a->aux == b->aux &&
	       a->event == b->event && a->timeout_ms == b->timeout_ms;
}

/* Runs over the new message. Metadata are charged for it; for ids decode() was. */
static bool run_again(struct write_change *c, struct table_run *r, struct mt_cursor *cur,
	const struct mt_chain *chain, enum mt_dir dir, struct mt_msg *msg)
{
	bool ok = table_again(r, c->r->t, dir, chain, cur, msg);

	if (c->mutations)
		c->meta->took += r->used;
	return ok;
}

/* Corrects the checksums of the new message and decodes it. */
static int prove(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain, uint64_t id,
	struct write_undo *u, struct mt_pools *p)
{
	struct table_trace trace;
	struct table_state s;
	struct table_run r = {.trace = &trace, .s = &s};
	enum mt_dir dir = (enum mt_dir)msg->flags;
	struct mt_cursor cur;
	struct mt_msg again;
	int rc;

	if (!run_again(c, &r, &cur, chain, dir, &again))
		return -ENOTSUP;
	rc = write_new_sums(c, &r, u, chain, p);
	if (rc < 0)
		return rc;
	if (rc > 0 && (!run_again(c, &r, &cur, chain, dir, &again) || !write_has_sums(c, &trace)))
		return -ENOTSUP;
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
	struct write_undo u = {0};
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
	rc = prove(c, msg, chain, id, &u, p);
	if (rc == 0) {
		mt_chain_free(&old);
		return 0;
	}
	write_sums_back(&u, chain, p);
	mt_chain_drop(chain, n);
	put_front(chain, &old);
	return rc;
}

/* The same for a head that lib/buf resizes in place. */
static int replace_prefix(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain,
	uint32_t end, uint64_t id, struct mt_pools *p)
{
	uint8_t was[MT_CHAIN_PREFIX_MAX], now[MT_CHAIN_PREFIX_MAX], *q;
	struct write_undo u = {0};
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
	rc = prove(c, msg, chain, id, &u, p);
	if (rc == 0)
		return 0;
	write_sums_back(&u, chain, p);
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
	if (end > chain->len || n < 0 || !write_resum(c))
		return -ENOTSUP;
	if (end > 0 && end <= MT_CHAIN_PREFIX_MAX && n > 0 && n <= MT_CHAIN_PREFIX_MAX)
		return replace_prefix(c, msg, chain, end, id, p);
	return replace(c, msg, chain, end, id, p);
}
