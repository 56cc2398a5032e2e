/* SPDX-License-Identifier: Apache-2.0 */
/* Derives keys from secrets. */
#include "mt_tls_kdf.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <string.h>

#define LABEL_PREFIX "tls13 "
#define LABEL_MAX    12
#define HASH_MAX     48

uint32_t mt_tls_hash_len(enum mt_tls_hash h)
{
	return h == MT_TLS_SHA384 ? 48 : 32;
}

uint32_t mt_tls_key_len(enum mt_tls_cipher c)
{
	return c == MT_TLS_AES_128_GCM ? 16 : 32;
}

int mt_tls_expand_label(
	enum mt_tls_hash h, const uint8_t *secret, const char *label, uint8_t *out, uint32_t n)
{
	uint32_t len = (uint32_t)strlen(label), at = 0;
	uint8_t info[2 + 1 + sizeof(LABEL_PREFIX) + LABEL_MAX + 2], t[HASH_MAX];
	const EVP_MD *md = h == MT_TLS_SHA384 ? EVP_sha384() : EVP_sha256();
	bool done;

	MT_ASSERT(len <= LABEL_MAX && n <= mt_tls_hash_len(h));
	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(sizeof(LABEL_PREFIX) - 1 + len);
	memcpy(info + at, LABEL_PREFIX, sizeof(LABEL_PREFIX) - 1);
	at += sizeof(LABEL_PREFIX) - 1;
	memcpy(info + at, label, len);
	at += len;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* T(1) of HKDF-Expand, which is as long as the hash */
	done = HMAC(md, secret, (int)mt_tls_hash_len(h), info, at, t, NULL) != NULL;
	if (done)
		memcpy(out, t, n);
	OPENSSL_cleanse(t, sizeof(t));
	return done ? 0 : -ENOMEM;
}

int mt_tls_traffic_key(struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h)
{
	int rc = mt_tls_expand_label(h, half->secret, "key", half->key, mt_tls_key_len(c));

	if (rc == 0)
		rc = mt_tls_expand_label(h, half->secret, "iv", half->iv, sizeof(half->iv));
	half->seq = 0;
	return rc;
}

int mt_tls_next_secret(struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h)
{
	struct mt_tls_half next = {.seq = 0};
	int rc = mt_tls_expand_label(
		h, half->secret, "traffic upd", next.secret, mt_tls_hash_len(h));

	if (rc == 0)
		rc = mt_tls_traffic_key(&next, c, h);
	if (rc == 0)
		*half = next;
	OPENSSL_cleanse(&next, sizeof(next));
	return rc;
}
