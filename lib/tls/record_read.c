/* SPDX-License-Identifier: Apache-2.0 */
/* Records one by one: what a header may say (RFC 8446 §5.1-5.2, RFC 5246 §6.2), and who gets what was in them. */
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

/* 0, or the alert. In TLS 1.3 all is application data from outside, after the handshake a ChangeCipherSpec, too (§5). */
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

/* What is not text for the user. */
static enum mt_tls_record_got dispatch(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now)
{
	/* A message that is divided has no other records between its parts. */
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

enum mt_tls_record_got mt_tls_record_read(struct mt_tls_records *w, struct mt_tls_record *r,
	struct mt_chain *from, struct mt_chain *to, uint64_t now)
{
	uint8_t scratch[MT_TLS_RECORD_HEADER];
	enum mt_tls_record_got got;
	const uint8_t *h;
	struct opened o;
	int alert;

	if (r->rx_over)
		return (enum mt_tls_record_got)r->rx_over;
	if (mt_likely(from->len && mt_link(from->head)->len >= MT_TLS_RECORD_HEADER))
		h = mt_link_data(from->head);
	else
		h = mt_chain_peek(from, 0, MT_TLS_RECORD_HEADER, scratch);
	if (!h)
		return MT_TLS_RECORD_MORE;
	alert = check_header(r, h);
	if (alert)
		return mt_tls_record_bad(r, (enum mt_tls_alert)alert);
	if (from->len < MT_TLS_RECORD_HEADER + len_of(h))
		return MT_TLS_RECORD_MORE;
	if (r->rx.seq == UINT64_MAX)
		return mt_tls_record_bad(r, MT_TLS_INTERNAL_ERROR);
	alert = mt_tls_record_open(w, r, from, len_of(h), to, &o);
	if (mt_likely(alert == OPEN_DELIVERED))
		return MT_TLS_RECORD_DATA;
	if (alert == OPEN_NO_MEMORY)
		return MT_TLS_RECORD_NO_MEMORY;
	if (alert)
		return mt_tls_record_bad(r, (enum mt_tls_alert)alert);
	if (o.type == CONTENT_DATA && o.len && !r->message_n) {
		take(&o, to);
		return MT_TLS_RECORD_DATA;
	}
	got = dispatch(w, r, &o, now);
	mt_chain_free(&o.out);
	return got;
}

/* As its reader would: what we seal by is what he opens by. */
int mt_tls_record_reopen(struct mt_tls_records *w, const struct mt_tls_record *r, uint64_t seq,
	struct mt_chain *from, struct mt_chain *to)
{
	struct mt_tls_records uncounted = {.pools = w->pools, .aead = w->aead};
	struct mt_tls_record reader = {.rx = r->tx,
		.cipher = r->cipher,
		.is_13 = r->is_13,
		.explicit_nonce = r->explicit_nonce};
	enum mt_tls_record_got got;

	reader.rx.seq = seq;
	got = mt_tls_record_read(&uncounted, &reader, from, to, 0);
	OPENSSL_cleanse(&reader, sizeof(reader));
	if (got == MT_TLS_RECORD_DATA)
		return 0;
	return got == MT_TLS_RECORD_NO_MEMORY ? -ENOMEM : -ENODATA;
}
