/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a record to its plain text. Unshared buffers that contain only this record are opened in
 * place. A buffer in which the next record starts stays: its part of this record is opened into a
 * new buffer, so that the next record can be opened in place. Short records go after the user's
 * last byte if there is room.
 */
#include "record_priv.h"

/* Layout of the record, and what happens to its bytes. */
struct plan {
	uint32_t skip;	/* header and explicit nonce */
	uint32_t n;	/* protected bytes, without the tag */
	uint32_t total; /* length of the whole record on the wire */
	uint32_t whole; /* its first bytes, whose whole buffers become the user's */
	uint32_t copy;	/* the last protected bytes, which go to another buffer */
};

static void plan_copy(struct plan *p)
{
	p->whole = 0;
	p->copy = p->n;
}

static void plan(struct plan *p, const struct mt_chain *from)
{
	uint32_t begin = 0, payload = p->skip + p->n;

	for (struct rte_mbuf *m = from->head; begin < p->total; m = mt_link(m)->next) {
		uint32_t end = begin + mt_link(m)->len;

		if (end > p->total)
			break;
		if (!mt_buf_writable(m) && end > p->skip && begin < payload) {
			plan_copy(p);
			return;
		}
		begin = end;
	}
	p->whole = begin;
	p->copy = payload > MT_MAX(begin, p->skip) ? payload - MT_MAX(begin, p->skip) : 0;
}

/* `to`: where the copied bytes go. */
static bool unprotect(struct mt_aead *a, const struct mt_aead_job *j, const struct plan *p,
	struct mt_chain *from, struct run to, uint8_t *tag)
{
	uint32_t here = p->n - p->copy;
	struct run at = {0};

	if (p->n)
		at = mt_run_at(from, p->skip);
	if (mt_likely(at.left >= p->n && (here == 0 || p->copy == 0))) {
		if (here)
			mt_link(at.m)->sum_off = 0;
		/* Without protected bytes there is no target buffer. */
		return a->ops->whole(a, j, here || !p->n ? at.p : to.p, at.p, p->n, tag);
	}
	a->ops->begin(a, j);
	mt_tls_record_here(a, j, &at, here);
	mt_tls_record_there(a, j, &at, &to, p->copy);
	return a->ops->end(a, j, tag);
}

/*
 * Appends to `out` what was opened in place, and then what was copied. Leaves out the parts of the
 * tag in these buffers.
 */
static void take(
	const struct plan *p, struct mt_chain *from, struct mt_chain *copied, struct mt_chain *out)
{
	uint32_t moved = p->whole > p->skip ? p->whole - p->skip : 0;
	int rc = 0;

	mt_chain_drop(from, p->skip);
	if (moved)
		rc = mt_chain_split(from, moved, out, NULL);
	MT_ASSERT(rc == 0); /* only whole buffers move, so no new one is needed */
	if (p->total - p->skip - moved)
		mt_chain_drop(from, p->total - p->skip - moved);
	mt_chain_concat(out, copied);
	mt_chain_shorten(out, p->n);
}

/* Index of the last byte that is not 0 among the first n; n if there is none. */
static uint32_t last_byte(const struct opened *o, uint32_t n, uint8_t *byte)
{
	uint32_t last = n, at = 0;

	for (uint32_t i = n; o->flat && i > 0 && last == n; i--)
		if (o->flat[i - 1]) {
			*byte = o->flat[i - 1];
			last = i - 1;
		}
	for (struct rte_mbuf *m = o->out.head; m && at < n; m = mt_link(m)->next) {
		uint32_t len = MT_MIN(mt_link(m)->len, n - at);

		for (uint32_t i = 0; i < len; i++)
			if (mt_link_data(m)[i]) {
				*byte = mt_link_data(m)[i];
				last = at + i;
			}
		at += len;
	}
	return last;
}

/*
 * TLS 1.3: the type is the last of the n bytes that is not 0 (RFC 8446 §5.2), usually the last
 * byte. false: all are 0.
 */
static bool strip(struct opened *o, uint32_t n)
{
	struct rte_mbuf *tail = o->out.tail;

	if (n == 0)
		return false;
	o->len = n - 1;
	o->type = o->flat ? o->flat[n - 1] : mt_link_data(tail)[mt_link(tail)->len - 1];
	if (mt_unlikely(o->type == 0))
		o->len = last_byte(o, n, &o->type);
	return o->type != 0;
}

static int open_to(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	struct plan *p, const uint8_t *prefix, struct run to, struct mt_chain *copied,
	struct opened *o)
{
	uint8_t tag[MT_AEAD_TAG];
	struct mt_aead_job j;

	mt_tls_record_open_job(r, prefix, p->n, &j);
	mt_chain_read(from, p->skip + p->n, tag, sizeof(tag));
	if (!unprotect(w->aead, &j, p, from, to, tag)) {
		mt_chain_free(copied);
		return MT_TLS_BAD_RECORD_MAC;
	}
	r->rx.seq++;
	mt_count(w->counts, p->copy ? MT_TLS_RECORD_N_COPIED : MT_TLS_RECORD_N_INPLACE);
	if (o->flat)
		mt_chain_drop(from, p->total);
	else
		take(p, from, copied, &o->out);
	o->type = prefix[0];
	o->len = p->n;
	if (r->is_13 && (p->n > MT_TLS_RECORD_PLAIN + 1 || !strip(o, p->n))) {
		mt_chain_free(&o->out);
		return p->n > MT_TLS_RECORD_PLAIN + 1 ? MT_TLS_RECORD_OVERFLOW
						      : MT_TLS_UNEXPECTED_MESSAGE;
	}
	if (o->len > MT_TLS_RECORD_PLAIN) {
		mt_chain_free(&o->out);
		return MT_TLS_RECORD_OVERFLOW;
	}
	if (!o->flat)
		mt_chain_shorten(&o->out, o->len);
	return OPENED;
}

/* Opens a contiguous record, in whose buffer the next one starts, into a buffer of its own. */
static int open_beside(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	uint32_t skip, uint32_t n, struct mt_chain *to, struct opened *o)
{
	uint8_t *at = mt_link_data(from->head), *text, *sealed = at + skip;
	struct rte_mbuf *m = mt_buf_data(w->pools);
	struct mt_aead_job j;
	int rc;

	if (mt_unlikely(!m))
		return OPEN_NO_MEMORY;
	text = (uint8_t *)m->buf_addr + m->data_off;
	o->type = at[0];
	mt_tls_record_open_job(r, at, n, &j);
	if (mt_unlikely(!w->aead->ops->whole(w->aead, &j, text, sealed, n, sealed + n))) {
		mt_buf_free(m);
		return MT_TLS_BAD_RECORD_MAC;
	}
	r->rx.seq++;
	mt_count(w->counts, MT_TLS_RECORD_N_COPIED);
	rc = mt_tls_record_content(r, text, n, o);
	mt_chain_drop(from, skip + n + MT_AEAD_TAG);
	if (mt_likely(!rc && mt_tls_record_is_text(r, o))) {
		mt_chain_append(to, m, m->data_off, o->len);
		return OPEN_DELIVERED;
	}
	o->flat = NULL;
	o->out = (struct mt_chain){0};
	if (!rc && o->len)
		mt_chain_append(&o->out, m, m->data_off, o->len);
	else
		mt_buf_free(m);
	return rc;
}

int mt_tls_record_open(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	uint32_t len, struct mt_chain *to, struct opened *o)
{
	struct plan p = {.skip = r->before, .total = MT_TLS_RECORD_HEADER + len};
	uint8_t prefix[PREFIX_MAX];
	struct mt_chain copied = {0};
	struct run target = {0};
	uint32_t room;

	if (p.total < p.skip + MT_AEAD_TAG)
		return MT_TLS_BAD_RECORD_MAC;
	p.n = p.total - p.skip - MT_AEAD_TAG;
	if (mt_likely(mt_link(from->head)->len > p.total && p.n <= FLAT_MAX && !to->len))
		return open_beside(w, r, from, p.skip, p.n, to, o);
	o->flat = NULL;
	o->out = (struct mt_chain){0};
	mt_chain_read(from, 0, prefix, p.skip);
	if (p.n < SHORT && (o->flat = mt_chain_room(to, &room)) != NULL && room < p.n)
		o->flat = NULL;
	if (o->flat) {
		plan_copy(&p);
		target = (struct run){.p = o->flat, .left = p.n};
		return open_to(w, r, from, &p, prefix, target, &copied, o);
	}
	plan(&p, from);
	if (p.copy) {
		if (mt_chain_reserve(&copied, w->pools, p.copy))
			return OPEN_NO_MEMORY;
		target = mt_run_at(&copied, 0);
	}
	return open_to(w, r, from, &p, prefix, target, &copied, o);
}
