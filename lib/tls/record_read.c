/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads records: checks their headers (RFC 8446 §5.1-5.2, RFC 5246 §6.2) and dispatches their
 * content.
 */
#include "record_priv.h"

#include <errno.h>
#include <openssl/crypto.h>

#define SEALED_MAX_13 (MT_TLS_RECORD_PLAIN + 256)
#define SEALED_MAX_12 (MT_TLS_RECORD_PLAIN + 2048)

static uint32_t len_of(const uint8_t *header)
{
	return (uint32_t)header[3] << 8 | header[4];
}

uint32_t mt_tls_record_len(const struct mt_chain *from)
{
	uint8_t scratch[MT_TLS_RECORD_HEADER];
	const uint8_t *h = mt_chain_peek(from, 0, MT_TLS_RECORD_HEADER, scratch);

	return h ? MT_TLS_RECORD_HEADER + len_of(h) : 0;
}

/*
 * Returns 0 or the alert. In TLS 1.3 all records are application data on the outside. After the
 * handshake even ChangeCipherSpec is an error (§5).
 */
static int check_header(const struct mt_tls_record *r, const uint8_t *h)
{
	bool known = r->is_13 ? h[0] == CONTENT_DATA
			      : h[0] >= CONTENT_CHANGE_CIPHER_SPEC && h[0] <= CONTENT_DATA;

	if (mt_unlikely(!known))
		return MT_TLS_UNEXPECTED_MESSAGE;
	if (h[1] != 3 || h[2] != 3)
		return MT_TLS_PROTOCOL_VERSION;
	if (len_of(h) > (r->is_13 ? SEALED_MAX_13 : SEALED_MAX_12))
		return MT_TLS_RECORD_OVERFLOW;
	return 0;
}

static void take(struct opened *o, struct mt_chain *to)
{
	if (o->flat)
		mt_chain_grow(to, o->len);
	else
		mt_chain_concat(to, &o->out);
}

/* Processes content that is not text for the user. */
static enum mt_tls_record_got dispatch(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now)
{
	/* No other record may come between the parts of a divided message. */
	if (r->message_n && o->type != CONTENT_HANDSHAKE)
		return mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	switch (o->type) {
	case CONTENT_DATA:
		return mt_tls_record_may_be_empty(w, r, now)
			       ? MT_TLS_RECORD_OWN
			       : mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	case CONTENT_HANDSHAKE:
		return mt_tls_record_messages(w, r, o, now);
	case CONTENT_ALERT:
		return mt_tls_record_alert_in(w, r, o, now);
	default:
		return mt_tls_record_bad(r, MT_TLS_UNEXPECTED_MESSAGE);
	}
}

/*
 * Length of the protected bytes if the next record is of the usual kind; 0: it is not. Such a
 * record is recognized before it is opened: its header has the type application data, it is alone
 * in an unshared buffer, and the user has taken everything before it.
 */
static mt_inline uint32_t usual(
	const struct mt_tls_record *r, const struct mt_chain *from, const struct mt_chain *to)
{
	uint32_t first, total, around = r->before + MT_AEAD_TAG;
	const struct rte_mbuf *m = from->head;
	const uint8_t *h;

	if (mt_unlikely(!from->len || to->len || r->rx_over || r->rx.seq == UINT64_MAX))
		return 0;
	if (mt_unlikely(mt_link(m)->len <= around || !mt_buf_writable(m)))
		return 0;
	/* Some ports have buffers that hold more than a record may; those take the slow path. */
	h = mt_link_data(m);
	memcpy(&first, h, sizeof(first));
	total = MT_TLS_RECORD_HEADER + len_of(h);
	if (mt_unlikely((first & 0xffffff) != header_of(CONTENT_DATA) || mt_link(m)->len != total ||
			total > MT_TLS_RECORD_PLAIN))
		return 0;
	return total - around;
}

/* Opens the usual record in place. Returns as mt_tls_record_open(), but never OPEN_NO_MEMORY. */
static mt_inline int open_usual(struct mt_tls_records *w, struct mt_tls_record *r,
	struct mt_chain *from, uint32_t n, struct mt_chain *to, struct opened *o)
{
	uint32_t skip = r->before;
	struct mt_link *l = mt_link(from->head);
	uint8_t *at = mt_link_data(from->head), *text = at + skip;
	struct mt_aead_job j;
	int rc;

	o->type = CONTENT_DATA;
	mt_tls_record_open_job(r, at, n, &j);
	if (mt_unlikely(!w->aead->ops->whole(w->aead, &j, text, text, n, text + n)))
		return MT_TLS_BAD_RECORD_MAC;
	r->rx.seq++;
	mt_count(w->counts, MT_TLS_RECORD_N_INPLACE);
	rc = mt_tls_record_content(r, text, n, o);
	if (mt_likely(!rc && mt_tls_record_is_text(r, o))) {
		mt_chain_move_head(from, to, l->off + skip, o->len);
		return OPEN_DELIVERED;
	}
	o->flat = NULL;
	o->out = (struct mt_chain){0};
	if (!rc && o->len)
		mt_chain_move_head(from, &o->out, l->off + skip, o->len);
	else
		mt_chain_drop(from, l->len);
	return rc;
}

#define OPEN_PART -3 /* besides the results of mt_tls_record_open(): the record is incomplete */

/* Checks the next record's header and opens it. Returns as mt_tls_record_open(), or OPEN_PART. */
static int open_next(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	struct mt_chain *to, struct opened *o)
{
	uint8_t scratch[MT_TLS_RECORD_HEADER];
	const uint8_t *h;
	int alert;

	if (mt_likely(from->len && mt_link(from->head)->len >= MT_TLS_RECORD_HEADER))
		h = mt_link_data(from->head);
	else
		h = mt_chain_peek(from, 0, MT_TLS_RECORD_HEADER, scratch);
	if (!h)
		return OPEN_PART;
	alert = check_header(r, h);
	if (alert)
		return alert;
	if (from->len < MT_TLS_RECORD_HEADER + len_of(h))
		return OPEN_PART;
	if (r->rx.seq == UINT64_MAX)
		return MT_TLS_INTERNAL_ERROR;
	return mt_tls_record_open(w, r, from, len_of(h), to, o);
}

/* Handles the rare cases; `rc` is the result of opening the record. */
static mt_noinline enum mt_tls_record_got no_text(
	struct mt_tls_records *w, struct mt_tls_record *r, struct opened *o, int rc, uint64_t now)
{
	enum mt_tls_record_got got;

	if (rc == OPEN_PART)
		return MT_TLS_RECORD_MORE;
	if (rc == OPEN_NO_MEMORY)
		return MT_TLS_RECORD_NO_MEMORY;
	if (rc)
		return mt_tls_record_bad(r, (enum mt_tls_alert)rc);
	got = dispatch(w, r, o, now);
	mt_chain_free(&o->out);
	return got;
}

enum mt_tls_record_got mt_tls_record_read(struct mt_tls_records *w, struct mt_tls_record *r,
	struct mt_chain *from, struct mt_chain *to, uint64_t now)
{
	uint32_t n = usual(r, from, to);
	struct opened o;
	int rc;

	if (mt_likely(n))
		rc = open_usual(w, r, from, n, to, &o);
	else if (r->rx_over)
		return (enum mt_tls_record_got)r->rx_over;
	else
		rc = open_next(w, r, from, to, &o);
	if (mt_likely(rc == OPEN_DELIVERED))
		return MT_TLS_RECORD_DATA;
	/* Only open_next() returns this. */
	if (rc == OPENED && mt_tls_record_is_text(r, &o)) {
		take(&o, to);
		return MT_TLS_RECORD_DATA;
	}
	return no_text(w, r, &o, rc, now);
}

/* Opens the record as its reader would, because both use our sealing key. */
int mt_tls_record_reopen(struct mt_tls_records *w, const struct mt_tls_record *r, uint64_t seq,
	struct mt_chain *from, struct mt_chain *to)
{
	struct mt_tls_records uncounted = {.pools = w->pools, .aead = w->aead};
	struct mt_tls_record reader = {.rx = r->tx,
		.cipher = r->cipher,
		.is_13 = r->is_13,
		.before = r->before,
		.behind = r->behind};
	enum mt_tls_record_got got;

	reader.rx.seq = seq;
	got = mt_tls_record_read(&uncounted, &reader, from, to, 0);
	OPENSSL_cleanse(&reader, sizeof(reader));
	if (got == MT_TLS_RECORD_DATA)
		return 0;
	return got == MT_TLS_RECORD_NO_MEMORY ? -ENOMEM : -ENODATA;
}
