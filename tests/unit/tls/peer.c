/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"
#include "mt_tls_kdf.h"

#include <openssl/evp.h>

const struct suite tls_suites[N_SUITES] = {
	{0x0304, MT_TLS_AES_128_GCM, MT_TLS_SHA256, "TLS_AES_128_GCM_SHA256"},
	{0x0304, MT_TLS_AES_256_GCM, MT_TLS_SHA384, "TLS_AES_256_GCM_SHA384"},
	{0x0304, MT_TLS_CHACHA20_POLY1305, MT_TLS_SHA256, "TLS_CHACHA20_POLY1305_SHA256"},
	{0x0303, MT_TLS_AES_128_GCM, MT_TLS_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{0x0303, MT_TLS_AES_256_GCM, MT_TLS_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{0x0303, MT_TLS_CHACHA20_POLY1305, MT_TLS_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

static const EVP_CIPHER *cipher_of(const struct suite *s)
{
	return s->cipher == MT_TLS_AES_128_GCM	 ? EVP_aes_128_gcm()
	       : s->cipher == MT_TLS_AES_256_GCM ? EVP_aes_256_gcm()
						 : EVP_chacha20_poly1305();
}

static void make_half(struct mt_tls_half *h, const struct suite *s, uint32_t number)
{
	*h = (struct mt_tls_half){.seq = s->version == 0x0303};
	for (uint32_t i = 0; i < sizeof(h->secret); i++)
		h->secret[i] = (uint8_t)(number * 41 + i * 7 + (number >> 8));
	MT_ASSERT(mt_tls_traffic_key(h, s->cipher, s->hash) == 0);
	h->seq = s->version == 0x0303;
	if (s->version == 0x0303 && s->cipher != MT_TLS_CHACHA20_POLY1305)
		memset(h->iv + 4, 0, 8);
}

void peer_make(struct peer *p, const struct suite *s, uint32_t number, struct mt_tls_keys *ours)
{
	*p = (struct peer){.suite = s};
	make_half(&p->tx, s, number * 2);
	make_half(&p->rx, s, number * 2 + 1);
	*ours = (struct mt_tls_keys){s->version, s->cipher, s->hash, p->tx, p->rx};
}

static bool explicit_nonce(const struct suite *s)
{
	return s->version == 0x0303 && s->cipher != MT_TLS_CHACHA20_POLY1305;
}

static void put(uint8_t *p, uint64_t v, uint32_t bytes)
{
	while (bytes--)
		*p++ = (uint8_t)(v >> 8 * bytes);
}

static void nonce_of(
	const struct suite *s, const struct mt_tls_half *h, const uint8_t *wire, uint8_t *nonce)
{
	uint8_t seq[8];

	memcpy(nonce, h->iv, 12);
	if (explicit_nonce(s)) {
		memcpy(nonce + 4, wire, 8);
		return;
	}
	put(seq, h->seq, 8);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] ^= seq[i];
}

static EVP_CIPHER_CTX *start(
	const struct suite *s, struct mt_tls_half *h, const uint8_t *header, uint32_t n, bool seal)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	uint8_t nonce[12], aad[13];
	int len;

	nonce_of(s, h, header + 5, nonce);
	put(aad, h->seq++, 8);
	memcpy(aad + 8, header, 3);
	put(aad + 11, n, 2);
	MT_ASSERT(x && EVP_CipherInit_ex(x, cipher_of(s), NULL, h->key, nonce, seal) == 1);
	MT_ASSERT(EVP_CipherUpdate(x, NULL, &len, s->version == 0x0304 ? header : aad,
			  s->version == 0x0304 ? 5 : 13) == 1);
	return x;
}

uint32_t peer_seal(
	struct peer *p, const struct peer_how *how, const void *text, uint32_t n, uint8_t *out)
{
	static uint8_t inner[WIRE_ROOM];
	bool is_13 = p->suite->version == 0x0304;
	uint32_t before = explicit_nonce(p->suite) ? 13 : 5, len = n;
	EVP_CIPHER_CTX *x;
	int part;

	if (n)
		memcpy(inner, text, n);
	if (is_13) {
		if (!how->untyped)
			inner[len++] = how->type;
		memset(inner + len, 0, how->padding);
		len += how->padding;
	}
	out[0] = how->outer ? how->outer : is_13 ? 23 : how->type;
	put(out + 1, how->version ? how->version : 0x0303, 2);
	put(out + 3, before - 5 + len + 16, 2);
	/* Any nonce that is not used twice will do, and ours must take it from the record. */
	if (before == 13)
		put(out + 5, p->tx.seq ^ 0x5a00000000000000, 8);
	x = start(p->suite, &p->tx, out, n, true);
	MT_ASSERT(len == 0 || EVP_CipherUpdate(x, out + before, &part, inner, (int)len) == 1);
	MT_ASSERT(EVP_CipherFinal_ex(x, inner, &part) == 1);
	MT_ASSERT(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, 16, out + before + len) == 1);
	EVP_CIPHER_CTX_free(x);
	out[before + len + 15] ^= how->wrong_tag;
	return before + len + 16;
}

uint8_t peer_open(struct peer *p, const uint8_t *in, uint32_t *used, uint8_t *text, uint32_t *n)
{
	bool is_13 = p->suite->version == 0x0304;
	uint32_t before = explicit_nonce(p->suite) ? 13 : 5;
	uint32_t len = ((uint32_t)in[3] << 8 | in[4]) + 5 - before - 16;
	EVP_CIPHER_CTX *x = start(p->suite, &p->rx, in, len, false);
	uint8_t tag[16], none[16], type = in[0];
	int part;
	bool good;

	memcpy(tag, in + before + len, 16);
	good = len == 0 || EVP_CipherUpdate(x, text, &part, in + before, (int)len) == 1;
	good = good && EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, 16, tag) == 1 &&
	       EVP_CipherFinal_ex(x, none, &part) == 1 && in[1] == 3 && in[2] == 3;
	EVP_CIPHER_CTX_free(x);
	*used = before + len + 16;
	if (is_13) {
		if (type != 23)
			return 0;
		while (len > 0 && text[len - 1] == 0)
			len--;
		type = len ? text[--len] : 0;
	}
	*n = len;
	return good ? type : 0;
}

void peer_next(const struct peer *p, struct mt_tls_half *half)
{
	MT_ASSERT(mt_tls_next_secret(half, p->suite->cipher, p->suite->hash) == 0);
}
