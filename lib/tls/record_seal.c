/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seals plain text. Unshared buffers that are taken whole are sealed in place, with header and tag
 * in the room before and after them. The rest is sealed into new buffers. All memory is allocated
 * before anything changes.
 */
#include "record_priv.h"

#include <errno.h>

/*
 * Limits of a key. At a limit it is changed (TLS 1.3), or new requests are to stop (TLS 1.2). RFC
 * 8446 §5.5 allows more.
 */
#define KEY_BYTES   (1ull << 36)
#define KEY_RECORDS (1ull << 31)

/* Writes header and explicit nonce of a record of n bytes to p, and fills in the provider's job. */
static mt_inline void begin_record(struct mt_tls_record *r, enum content_type type, uint32_t n,
	uint8_t *p, struct mt_aead_job *j)
{
	uint32_t len = r->before - MT_TLS_RECORD_HEADER + n + r->behind;
	uint32_t header = header_of(r->is_13 ? CONTENT_DATA : (uint8_t)type);
	uint64_t said = mt_tls_record_said(header, len), nonce = 0;

	memcpy(p, &said, MT_TLS_RECORD_HEADER);
	if (has_explicit_nonce(r)) {
		nonce = rte_cpu_to_be_64(r->tx.seq);
		memcpy(p + MT_TLS_RECORD_HEADER, &nonce, sizeof(nonce));
	}
	if (mt_unlikely(!r->is_13))
		said = mt_tls_record_said(header, n);
	mt_tls_record_job(r, &r->tx, true, nonce, said, j);
}

static void count(struct mt_tls_record *r, uint32_t n)
{
	r->tx.seq++;
	r->tx_bytes += n;
	if (mt_unlikely(r->tx_bytes >= KEY_BYTES || r->tx.seq >= KEY_RECORDS))
		r->due |= r->is_13 ? MT_TLS_RECORD_DUE_UPDATE : MT_TLS_RECORD_DUE_DRAIN;
}

/* Seals a contiguous record at p, whose plain text is already in place. */
static mt_inline int seal_flat(struct mt_tls_records *w, struct mt_tls_record *r,
	enum content_type type, uint8_t *p, uint32_t n)
{
	uint8_t *text = p + r->before, *tag = text + n;
	struct mt_aead_job j;

	/*
	 * Write the type first, because the library loads it with its neighbours and waits for
	 * recent stores.
	 */
	if (r->is_13)
		*tag++ = (uint8_t)type;
	begin_record(r, type, n, p, &j);
	if (mt_unlikely(!w->aead->ops->whole(w->aead, &j, text, text, (uint32_t)(tag - text), tag)))
		return -EIO;
	count(r, n);
	return 0;
}

/* Appends n contiguous bytes to `out`, in a new buffer if necessary. NULL: no memory. */
static uint8_t *flat_room(struct mt_tls_records *w, struct mt_chain *out, uint32_t n)
{
	uint32_t room, before = out->len;
	uint8_t *p = mt_chain_room(out, &room);

	if (p && room >= n) {
		mt_chain_grow(out, n);
		return p;
	}
	if (mt_chain_reserve(out, w->pools, n))
		return NULL;
	MT_ASSERT(mt_link(out->tail)->len == n && out->len == before + n);
	return mt_link_data(out->tail);
}

static int may_seal(const struct mt_tls_record *r)
{
	if (r->tx_over)
		return -EPIPE;
	return r->tx.seq == UINT64_MAX ? -EOVERFLOW : 0;
}

int mt_tls_record_seal_bytes(struct mt_tls_records *w, struct mt_tls_record *r,
	enum content_type type, const uint8_t *bytes, uint32_t n, struct mt_chain *out)
{
	int rc = may_seal(r);
	uint8_t *p;

	if (rc)
		return rc;
	p = flat_room(w, out, r->before + n + r->behind);
	if (!p)
		return -ENOMEM;
	if (n)
		memcpy(p + r->before, bytes, n);
	return seal_flat(w, r, type, p, n);
}

/* What happens to the plain text's buffers. */
struct plan {
	uint32_t here; /* its first bytes: whole buffers that are writable */
	uint32_t copy;
	bool room_before, room_behind; /* around those, for header; for type and tag */
};

static void plan(const struct mt_tls_record *r, const struct mt_chain *plain, uint32_t n, bool take,
	struct plan *p)
{
	struct rte_mbuf *m = plain->head, *last = NULL;

	*p = (struct plan){.copy = n};
	/*
	 * Copy short buffers into one, because the library takes longer for each piece than a copy
	 * takes.
	 */
	if (!take || n == 0 || (mt_link(m)->len < n && mt_link(m)->len < SHORT))
		return;
	p->room_before = mt_link(m)->off >= r->before;
	for (; p->copy && mt_link(m)->len <= p->copy && mt_buf_writable(m); m = mt_link(m)->next) {
		p->here += mt_link(m)->len;
		p->copy -= mt_link(m)->len;
		last = m;
	}
	p->room_behind =
		last && !p->copy &&
		last->buf_len - (mt_link(last)->off + mt_link(last)->len) >= (int)r->behind;
}

/*
 * Prepares the record's buffers. So far they contain only text that stays in place. false: no
 * memory, nothing changed.
 */
static bool lay_out(struct mt_tls_records *w, const struct mt_tls_record *r, const struct plan *p,
	struct mt_chain *plain, struct mt_chain *rec)
{
	uint32_t before = r->before, behind = p->room_behind ? 0 : p->copy + r->behind;
	struct mt_chain front = {0}, back = {0};
	int rc = 0;

	if (!p->here)
		behind += before;
	else if (!p->room_before)
		rc = mt_chain_reserve(&front, w->pools, before);
	if (rc || (behind && mt_chain_reserve(&back, w->pools, behind))) {
		mt_chain_free(&front);
		return false;
	}
	mt_chain_concat(rec, &front);
	if (p->here) {
		struct mt_chain body = {0};

		rc = mt_chain_split(plain, p->here, &body, NULL);
		if (p->room_before && !mt_chain_resize_prefix(&body, 0, before, w->pools))
			rc = -ENOMEM;
		MT_ASSERT(rc == 0); /* only whole buffers move, and the room exists */
		mt_chain_concat(rec, &body);
	}
	mt_chain_concat(rec, &back);
	if (p->room_behind)
		mt_chain_grow(rec, r->behind);
	return true;
}

static bool protect(struct mt_aead *a, const struct mt_aead_job *j, const struct plan *p,
	struct run from, struct run to, bool type_byte, uint8_t *tag)
{
	uint32_t here = p->here;

	if (!p->copy) {
		here += type_byte;
		if (to.left >= here) {
			mt_link(to.m)->sum_off = 0;
			return a->ops->whole(a, j, to.p, to.p, here, tag);
		}
	}
	a->ops->begin(a, j);
	mt_tls_record_here(a, j, &to, here);
	mt_tls_record_there(a, j, &from, &to, p->copy);
	if (p->copy)
		mt_tls_record_here(a, j, &to, type_byte);
	return a->ops->end(a, j, tag);
}

/* `from`: where the bytes to copy start, after the others were taken. */
static int seal_chain(struct mt_tls_records *w, struct mt_tls_record *r, const struct plan *p,
	struct mt_chain *rec, struct run from, uint32_t n)
{
	uint8_t type = CONTENT_DATA, tag[MT_AEAD_TAG];
	uint32_t at = r->before, behind = at + n;
	struct mt_aead_job j;

	begin_record(r, CONTENT_DATA, n, mt_link_data(rec->head), &j);
	if (r->is_13 && mt_chain_patch(rec, behind++, &type, 1, w->pools))
		return -EIO;
	if (!protect(w->aead, &j, p, from, mt_run_at(rec, at), r->is_13, tag) ||
		mt_chain_patch(rec, behind, tag, sizeof(tag), w->pools))
		return -EIO;
	count(r, n);
	mt_count(w->counts, p->copy ? MT_TLS_RECORD_N_COPIED : MT_TLS_RECORD_N_INPLACE);
	return 0;
}

/*
 * True in the usual case: the text is all of an unshared buffer, which has room before and after
 * it.
 */
static bool is_alone(const struct mt_tls_record *r, const struct mt_chain *plain, uint32_t n)
{
	const struct mt_link *l = mt_link(plain->head);

	return l->len == n && l->off >= r->before &&
	       (uint32_t)plain->head->buf_len >= l->off + n + r->behind &&
	       mt_buf_writable(plain->head);
}

static int seal_head(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t n, struct mt_chain *out)
{
	uint32_t before = r->before, off = mt_link(plain->head)->off - before;
	int rc = seal_flat(w, r, CONTENT_DATA, (uint8_t *)plain->head->buf_addr + off, n);

	mt_count(w->counts, MT_TLS_RECORD_N_INPLACE);
	mt_chain_move_head(plain, out, off, before + n + r->behind);
	return rc;
}

/*
 * True if nothing is due, and the n bytes of text are all of a buffer that can become the record.
 */
static inline bool may_seal_alone(
	const struct mt_tls_record *r, const struct mt_chain *plain, uint32_t n)
{
	return mt_likely(n && !r->due && may_seal(r) == 0 && is_alone(r, plain, n));
}

int mt_tls_record_seal_alone(
	struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain)
{
	uint32_t n = plain->len;

	if (!may_seal_alone(r, plain, n))
		return -EAGAIN;
	mt_count(w->counts, MT_TLS_RECORD_N_INPLACE);
	mt_chain_frame(plain, r->before, r->behind);
	return seal_flat(w, r, CONTENT_DATA, mt_link_data(plain->head), n);
}

/*
 * Seals [off, off + n) of `plain` to `p` without copying it first. False, with nothing done, unless
 * this part is the end of `plain` and lies in its last buffer, with unused bytes after it, where
 * TLS 1.3 writes the type. Kept text that is sealed at once meets these conditions.
 */
static bool seal_end(struct mt_tls_records *w, struct mt_tls_record *r,
	const struct mt_chain *plain, uint32_t off, uint32_t n, uint8_t *p, int *rc)
{
	uint32_t room, before = r->before;
	uint8_t *end = mt_chain_room(plain, &room);
	struct mt_aead_job j;

	if (!n || off + n != plain->len || mt_link(plain->tail)->len < n || !end || !room)
		return false;
	if (r->is_13)
		*end = CONTENT_DATA;
	begin_record(r, CONTENT_DATA, n, p, &j);
	p += before;
	*rc = w->aead->ops->whole(w->aead, &j, p, end - n, n + r->is_13, p + n + r->is_13) ? 0
											   : -EIO;
	if (mt_likely(*rc == 0))
		count(r, n);
	return true;
}

/* Seals a part of `plain`, which changes only if `take`. */
static int seal(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t off, uint32_t n, bool take, struct mt_chain *out)
{
	uint32_t total = r->before + n + r->behind;
	struct mt_chain rec = {0};
	struct run from = {0};
	struct plan p;
	int rc;

	plan(r, plain, n, take, &p);
	if (!p.here && total <= FLAT_MAX) {
		uint8_t *at = flat_room(w, out, total);

		if (!at)
			return -ENOMEM;
		if (!seal_end(w, r, plain, off, n, at, &rc)) {
			mt_chain_read(plain, off, at + r->before, n);
			rc = seal_flat(w, r, CONTENT_DATA, at, n);
		}
		mt_count(w->counts, MT_TLS_RECORD_N_COPIED);
	} else {
		if (!lay_out(w, r, &p, plain, &rec))
			return -ENOMEM;
		if (p.copy)
			from = mt_run_at(plain, off);
		rc = seal_chain(w, r, &p, &rec, from, n);
		mt_chain_concat(out, &rec);
	}
	if (take && p.copy)
		mt_chain_drop(plain, p.copy);
	return rc;
}

static int seal_data(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t off, uint32_t n, bool take, struct mt_chain *out)
{
	int rc = 0;

	MT_ASSERT(n <= MT_TLS_RECORD_PLAIN && off <= plain->len && n <= plain->len - off);
	if (mt_unlikely(r->due))
		rc = mt_tls_record_own(w, r, out);
	if (rc == 0)
		rc = may_seal(r);
	return rc ? rc : seal(w, r, plain, off, n, take, out);
}

int mt_tls_record_seal(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t n, struct mt_chain *out)
{
	MT_ASSERT(n <= MT_TLS_RECORD_PLAIN && n <= plain->len);
	if (may_seal_alone(r, plain, n))
		return seal_head(w, r, plain, n, out);
	return seal_data(w, r, plain, 0, n, true, out);
}

int mt_tls_record_seal_copy(struct mt_tls_records *w, struct mt_tls_record *r,
	const struct mt_chain *plain, uint32_t off, uint32_t n, struct mt_chain *out)
{
	/* Without `take` none of its bytes change. */
	return seal_data(w, r, (struct mt_chain *)(uintptr_t)plain, off, n, false, out);
}
