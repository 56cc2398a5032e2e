/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes what records need out of the library. TLS 1.3: the traffic secrets, and keys by
 * HKDF-Expand-Label (RFC 8446 §7.1, §7.3). TLS 1.2: the key block (RFC 5246 §6.3).
 */
#include "mt_tls_kdf.h"
#include "mt_tls_library.h"

#include <errno.h>
#include <string.h>

#define GCM_IMPLICIT 4 /* bytes of a nonce that are not in TLS 1.2 records (RFC 5288 §3) */
#define IV	     12
#define BLOCK_MAX    (2 * (32 + IV))

/* ---- cipher and hash ------------------------------------------------------------------------- */

static int cipher_of(const SSL_CIPHER *c, struct mt_tls_keys *k)
{
	switch (SSL_CIPHER_get_cipher_nid(c)) {
	case NID_aes_128_gcm:
		k->cipher = MT_TLS_AES_128_GCM;
		break;
	case NID_aes_256_gcm:
		k->cipher = MT_TLS_AES_256_GCM;
		break;
	case NID_chacha20_poly1305:
		k->cipher = MT_TLS_CHACHA20_POLY1305;
		break;
	default:
		return -EPROTO;
	}
	switch (EVP_MD_type(SSL_CIPHER_get_handshake_digest(c))) {
	case NID_sha256:
		k->hash = MT_TLS_SHA256;
		return 0;
	case NID_sha384:
		k->hash = MT_TLS_SHA384;
		return 0;
	default:
		return -EPROTO;
	}
}

/* ---- TLS 1.3 --------------------------------------------------------------------------------- */

static int keys_of_1_3(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	uint32_t len = mt_tls_hash_len(k->hash);
	int rc;

	if (!mt_tls_library_secrets(h, len, k->rx.secret, k->tx.secret))
		return -EPROTO;
	rc = mt_tls_traffic_key(&k->rx, k->cipher, k->hash);
	return rc ? rc : mt_tls_traffic_key(&k->tx, k->cipher, k->hash);
}

/* ---- TLS 1.2 --------------------------------------------------------------------------------- */

static void half_of_1_2(const uint8_t *key, uint32_t key_n, const uint8_t *iv, uint32_t iv_n,
	struct mt_tls_half *half)
{
	memcpy(half->key, key, key_n);
	memcpy(half->iv, iv, iv_n);
}

static int keys_of_1_2(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	uint32_t key = mt_tls_key_len(k->cipher),
		 iv = k->cipher == MT_TLS_CHACHA20_POLY1305 ? IV : GCM_IMPLICIT;
	bool client = h->context->role == MT_TLS_CLIENT;
	uint8_t block[BLOCK_MAX];
	const uint8_t *ivs = block + (size_t)2 * key;
	bool ok = mt_tls_library_key_block(h, k, block, (size_t)2 * (key + iv));

	if (ok) {
		half_of_1_2(block, key, ivs, iv, client ? &k->tx : &k->rx);
		half_of_1_2(block + key, key, ivs + iv, iv, client ? &k->rx : &k->tx);
	}
	OPENSSL_cleanse(block, sizeof(block));
	return ok ? 0 : -ENOMEM;
}

/* ---- an alert without record state ----------------------------------------------------------- */

#define HEADER	 5
#define EXPLICIT 8 /* bytes of a nonce that are in TLS 1.2 records */
#define TAG	 16

static const EVP_CIPHER *evp_of(const struct mt_tls_keys *k)
{
	switch (k->cipher) {
	case MT_TLS_AES_128_GCM:
		return EVP_aes_128_gcm();
	case MT_TLS_AES_256_GCM:
		return EVP_aes_256_gcm();
	default:
		return EVP_chacha20_poly1305();
	}
}

static void put_seq(uint8_t *p, uint64_t seq)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(seq >> (56 - 8 * i));
}

static bool seal_alert(const struct mt_tls_keys *k, uint8_t nonce[IV], const uint8_t aad[13],
	const uint8_t alert[2], uint8_t *out)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	int n;
	bool ok = x && EVP_EncryptInit_ex(x, evp_of(k), NULL, k->tx.key, nonce) == 1 &&
		  EVP_EncryptUpdate(x, NULL, &n, aad, 13) == 1 &&
		  EVP_EncryptUpdate(x, out, &n, alert, 2) == 1 &&
		  EVP_EncryptFinal_ex(x, out + 2, &n) == 1 &&
		  EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, TAG, out + 2) == 1;

	EVP_CIPHER_CTX_free(x);
	return ok;
}

uint32_t mt_tls_alert_record(const struct mt_tls_keys *k, uint8_t alert, uint8_t *out)
{
	bool chacha = k->cipher == MT_TLS_CHACHA20_POLY1305;
	uint32_t explicit = chacha ? 0 : EXPLICIT, len = explicit + 2 + TAG;
	uint8_t nonce[IV], aad[13], seq[8];
	const uint8_t bytes[2] = {SSL3_AL_FATAL, alert};

	if (k->version != TLS1_2_VERSION)
		return 0;
	put_seq(seq, k->tx.seq);
	memcpy(nonce, k->tx.iv, IV);
	for (int i = 0; i < 8; i++)
		nonce[GCM_IMPLICIT + i] = chacha ? nonce[GCM_IMPLICIT + i] ^ seq[i] : seq[i];
	memcpy(aad, seq, 8);
	memcpy(aad + 8, (const uint8_t[]){SSL3_RT_ALERT, 3, 3, 0, 2}, 5);
	memcpy(out, (const uint8_t[]){SSL3_RT_ALERT, 3, 3, 0, (uint8_t)len}, HEADER);
	memcpy(out + HEADER, seq, explicit);
	return seal_alert(k, nonce, aad, bytes, out + HEADER + explicit) ? HEADER + len : 0;
}

int mt_tls_hand_over(struct mt_tls_handshake *h, struct mt_tls_keys *out)
{
	int rc = cipher_of(SSL_get_current_cipher(h->ssl), out);

	out->version = (uint16_t)SSL_version(h->ssl);
	if (rc == 0 && !mt_tls_library_flush(h))
		rc = -ENOMEM;
	if (rc == 0)
		rc = out->version == TLS1_3_VERSION ? keys_of_1_3(h, out) : keys_of_1_2(h, out);
	if (rc == 0)
		mt_tls_library_sequences(h, out);
	OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
	return rc;
}
