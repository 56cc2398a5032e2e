/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What records need, out of the library: of TLS 1.3 the traffic secrets come by its key log, and keys by HKDF-Expand-Label
 * (RFC 8446 §7.1, §7.3); of TLS 1.2 the key block by the PRF from the master secret (RFC 5246 §6.3).
 */
#include "mt_tls_kdf.h"
#include "mt_tls_priv.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>

#define RANDOM	     32
#define MASTER_MAX   48
#define GCM_IMPLICIT 4 /* bytes of a nonce that TLS 1.2 does not write (RFC 5288 §3) */
#define IV	     12
#define BLOCK_MAX    (2 * (32 + IV))

/* ---- what was agreed on -------------------------------------------------------------------------------- */

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
	switch (EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(c))) {
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

/* ---- TLS 1.3 --------------------------------------------------------------------------------------------- */

static int hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* 0: it is none. */
static uint8_t read_hex(const char *p, uint8_t *out, uint32_t max)
{
	uint32_t n = 0;

	for (; hex(p[0]) >= 0 && hex(p[1]) >= 0; p += 2) {
		if (n == max)
			return 0;
		out[n++] = (uint8_t)(hex(p[0]) << 4 | hex(p[1]));
	}
	return *p ? 0 : (uint8_t)n;
}

/* "LABEL RANDOM SECRET"; the library wipes the line. */
void mt_tls_keylog(const SSL *ssl, const char *line)
{
	static const char client[] = "CLIENT_TRAFFIC_SECRET_0 ",
			  server[] = "SERVER_TRAFFIC_SECRET_0 ";
	struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	struct mt_tls_secrets *s = &h->secrets;
	const char *secret = strrchr(line, ' ');

	if (!secret)
		return;
	if (strncmp(line, client, sizeof(client) - 1) == 0)
		s->client_len = read_hex(secret + 1, s->client, sizeof(s->client));
	else if (strncmp(line, server, sizeof(server) - 1) == 0)
		s->server_len = read_hex(secret + 1, s->server, sizeof(s->server));
}

static int half_of_1_3(
	const struct mt_tls_keys *k, const uint8_t *secret, uint8_t len, struct mt_tls_half *half)
{
	if (len != mt_tls_hash_len(k->hash))
		return -EPROTO;
	memcpy(half->secret, secret, len);
	return mt_tls_traffic_key(half, k->cipher, k->hash);
}

static int keys_of_1_3(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	const struct mt_tls_secrets *s = &h->secrets;
	bool client = h->context->role == MT_TLS_CLIENT;
	int rc = half_of_1_3(k, s->client, s->client_len, client ? &k->tx : &k->rx);

	if (rc == 0)
		rc = half_of_1_3(k, s->server, s->server_len, client ? &k->rx : &k->tx);
	/* Tickets are records under these keys. A client has written nothing. */
	if (!client)
		k->tx.seq = h->sent_records;
	return rc;
}

/* ---- TLS 1.2 --------------------------------------------------------------------------------------------- */

static int prf(const struct mt_tls_keys *k, uint8_t *master, size_t master_len, uint8_t *seed,
	uint8_t *out, size_t len)
{
	char *md = k->hash == MT_TLS_SHA384 ? (char *)SN_sha384 : (char *)SN_sha256;
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, md, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, master_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (char *)"key expansion", 13),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, 2 * RANDOM),
		OSSL_PARAM_construct_end()};
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_TLS1_PRF, NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	bool ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok ? 0 : -ENOMEM;
}

static void half_of_1_2(const uint8_t *key, uint32_t key_n, const uint8_t *iv, uint32_t iv_n,
	struct mt_tls_half *half)
{
	memcpy(half->key, key, key_n);
	memcpy(half->iv, iv, iv_n);
	half->seq = 1; /* Finished was 0: the library writes it in one record */
}

static int keys_of_1_2(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	uint32_t key = mt_tls_key_len(k->cipher),
		 iv = k->cipher == MT_TLS_CHACHA20_POLY1305 ? IV : GCM_IMPLICIT;
	bool client = h->context->role == MT_TLS_CLIENT;
	uint8_t master[MASTER_MAX], seed[2 * RANDOM], block[BLOCK_MAX];
	const uint8_t *ivs = block + (size_t)2 * key;
	size_t n = SSL_SESSION_get_master_key(SSL_get_session(h->ssl), master, sizeof(master));
	int rc;

	SSL_get_server_random(h->ssl, seed, RANDOM);
	SSL_get_client_random(h->ssl, seed + RANDOM, RANDOM);
	rc = prf(k, master, n, seed, block, (size_t)2 * (key + iv));
	if (rc == 0) {
		half_of_1_2(block, key, ivs, iv, client ? &k->tx : &k->rx);
		half_of_1_2(block + key, key, ivs + iv, iv, client ? &k->rx : &k->tx);
		k->rx.seq = h->got_records;
	}
	OPENSSL_cleanse(master, sizeof(master));
	OPENSSL_cleanse(block, sizeof(block));
	return rc;
}

/* ---- an alert, where no record of ours can be ------------------------------------------------------------ */

#define HEADER	 5
#define EXPLICIT 8 /* bytes of a nonce that TLS 1.2 writes */
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
	if (rc == 0)
		rc = out->version == TLS1_3_VERSION ? keys_of_1_3(h, out) : keys_of_1_2(h, out);
	OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
	return rc;
}
