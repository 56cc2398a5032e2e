/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result of a finished handshake, whose library object is freed: everything that records need.
 * Wiped (OPENSSL_cleanse) after mt_tls_record_init().
 */
#pragma once

#include <stdint.h>

enum mt_tls_cipher { MT_TLS_AES_128_GCM, MT_TLS_AES_256_GCM, MT_TLS_CHACHA20_POLY1305 };
enum mt_tls_hash { MT_TLS_SHA256, MT_TLS_SHA384 };

struct mt_tls_half {
	uint8_t secret[48]; /* TLS 1.3 traffic secret; unused in 1.2 */
	uint8_t key[32];
	uint8_t iv[12]; /* TLS 1.2 GCM: the 4 implicit bytes, then 0 */
	uint64_t seq;	/* of the next record */
};

struct mt_tls_keys {
	uint16_t version; /* 0x0303, 0x0304 */
	uint8_t cipher, hash;
	struct mt_tls_half rx, tx;
};
