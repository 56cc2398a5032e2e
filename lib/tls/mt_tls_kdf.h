/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key schedule's part that goes on after the handshake (RFC 8446 §7.1-7.3): labels are expanded to keys, and a secret to the
 * next one. By the library's HMAC, which costs microseconds and allocates: once for each connection and key update.
 */
#pragma once

#include "mt_base.h"
#include "mt_tls_keys.h"

/* Bytes of a secret; of a key. */
uint32_t mt_tls_hash_len(enum mt_tls_hash h);
uint32_t mt_tls_key_len(enum mt_tls_cipher c);

/*
 * HKDF-Expand-Label with an empty context: n bytes, no more than the hash has, from a secret as long as the hash. `label`
 * without "tls13 ", at most 12 characters. 0 or -ENOMEM.
 */
int mt_tls_expand_label(enum mt_tls_hash h, const uint8_t *secret, const char *label, uint8_t *out,
	uint32_t n) mt_must_check;

/* Key and IV of TLS 1.3 from half->secret; the next record is number 0. */
int mt_tls_traffic_key(
	struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h) mt_must_check;

/* What a KeyUpdate does to a direction: the next secret, its key and IV. */
int mt_tls_next_secret(
	struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h) mt_must_check;
