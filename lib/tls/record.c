/* SPDX-License-Identifier: Apache-2.0 */
/* Record state of a connection: start, end, and key changes. */
#include "record_priv.h"
#include "mt_tls_kdf.h"

#include <errno.h>
#include <openssl/crypto.h>

static void use(struct mt_tls_record_half *half, uint8_t *secret, const struct mt_tls_half *k)
{
	memcpy(half->key, k->key, sizeof(half->key));
	memcpy(half->iv, k->iv, sizeof(half->iv));
	half->seq = k->seq;
	memcpy(secret, k->secret, sizeof(k->secret));
}

static int next_of(const struct mt_tls_record *r, const uint8_t *secret, struct mt_tls_half *next)
{
	memcpy(next->secret, secret, sizeof(next->secret));
	return mt_tls_next_secret(next, r->cipher, r->hash);
}

int mt_tls_record_next_rx(struct mt_tls_records *w, struct mt_tls_record *r)
{
	struct mt_tls_half next;
	int rc = next_of(r, r->rx_secret, &next);

	if (rc == 0) {
		w->aead->ops->forget(w->aead, r->cipher, r->rx.key);
		use(&r->rx, r->rx_secret, &next);
	}
	OPENSSL_cleanse(&next, sizeof(next));
	return rc;
}

void mt_tls_record_init(struct mt_tls_record *r, const struct mt_tls_keys *k, bool server)
{
	MT_ASSERT(k->version == 0x0303 || k->version == 0x0304);
	MT_ASSERT(k->cipher <= MT_TLS_CHACHA20_POLY1305 && k->hash <= MT_TLS_SHA384);
	*r = (struct mt_tls_record){
		.cipher = k->cipher,
		.hash = k->hash,
		.before = MT_TLS_RECORD_HEADER,
		.behind = MT_AEAD_TAG,
		.is_13 = k->version == 0x0304,
		.server = server,
	};
	if (r->is_13)
		r->behind++; /* the type: RFC 8446 §5.2 */
	else if (k->cipher != MT_TLS_CHACHA20_POLY1305)
		r->before += EXPLICIT_NONCE; /* RFC 5288 §3 */
	use(&r->rx, r->rx_secret, &k->rx);
	use(&r->tx, r->tx_secret, &k->tx);
}

void mt_tls_record_fini(struct mt_tls_records *w, struct mt_tls_record *r)
{
	w->aead->ops->forget(w->aead, r->cipher, r->rx.key);
	w->aead->ops->forget(w->aead, r->cipher, r->tx.key);
	OPENSSL_cleanse(r, sizeof(*r));
}

enum mt_tls_record_got mt_tls_record_bad(struct mt_tls_record *r, enum mt_tls_alert alert)
{
	r->alert = (uint8_t)alert;
	r->rx_over = MT_TLS_RECORD_BAD;
	return MT_TLS_RECORD_BAD;
}

/*
 * Derives the next key separately, because the KeyUpdate record is still sealed under the old one.
 */
int mt_tls_record_update(
	struct mt_tls_records *w, struct mt_tls_record *r, bool ask, struct mt_chain *out)
{
	const uint8_t message[] = {24, 0, 0, 1, ask};
	struct mt_tls_half next;
	int rc = r->is_13 ? next_of(r, r->tx_secret, &next) : -EOVERFLOW;

	if (rc == 0)
		rc = mt_tls_record_seal_bytes(
			w, r, CONTENT_HANDSHAKE, message, sizeof(message), out);
	if (rc == 0) {
		w->aead->ops->forget(w->aead, r->cipher, r->tx.key);
		use(&r->tx, r->tx_secret, &next);
		/* modulo 2^64: the bytes sent since then stay the same */
		r->tx_silent -= r->tx_bytes;
		r->tx_bytes = 0;
		r->due &= (uint8_t)~MT_TLS_RECORD_DUE_UPDATE;
		mt_count(w->counts, MT_TLS_RECORD_N_UPDATE_OUT);
	}
	OPENSSL_cleanse(&next, sizeof(next));
	return rc;
}
