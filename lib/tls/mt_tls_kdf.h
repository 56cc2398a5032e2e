/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the key schedule that goes on after the handshake (RFC 8446 §7.1-7.3): expands labels
 * to keys, and a secret to the next one. Uses the library's HMAC, which takes microseconds and
 * allocates. Needed once for each connection and each key update.
 */
#pragma once

#include "mt_base.h"
#include "mt_tls_keys.h"

/* Length of a secret; length of a key. In bytes. */
uint32_t mt_tls_hash_len(enum mt_tls_hash h);
uint32_t mt_tls_key_len(enum mt_tls_cipher c);

/*
 * HKDF-Expand-Label with an empty context. Writes n bytes, at most the hash's length, from a secret
 * of the hash's length. `label` has at most 12 characters, without "tls13 ". Returns 0 or -ENOMEM.
 */
int mt_tls_expand_label(enum mt_tls_hash h, const uint8_t *secret, const char *label, uint8_t *out,
	uint32_t n) mt_must_check;

/* Derives the TLS 1.3 key and IV from half->secret; the next record is number 0. */
int mt_tls_traffic_key(
	struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h) mt_must_check;

/* Applies a KeyUpdate to a direction: derives the next secret, its key and its IV. */
int mt_tls_next_secret(
	struct mt_tls_half *half, enum mt_tls_cipher c, enum mt_tls_hash h) mt_must_check;
