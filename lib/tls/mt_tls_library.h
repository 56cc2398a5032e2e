/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/tls: what the libraries that do handshakes have not in common. library_openssl.c or library_aws_lc.c is built, by the
 * build's tls_library; everything else of this room is written to what both have.
 */
#pragma once

#include "mt_tls_priv.h"

/* ---- a context ----- */

/* Of its SSL_CTX: what is only there, or is not the same by default. false: no memory. */
bool mt_tls_library_set_up(struct mt_tls_context *c);
/*
 * A server's tickets: a session whose certificate mt_tls_judge() would refuse now is as none, and a full handshake says why.
 * After SSL_CTX_set_num_tickets(). false: no memory.
 */
bool mt_tls_library_judge_tickets(struct mt_tls_context *c);
/* Wipes and frees the keys that seal the context's tickets. */
void mt_tls_library_free_tickets(struct mt_tls_context *c);

/* ---- a handshake ----- */

/* What passes, as SSL_CTX_set_msg_callback() tells it. */
void mt_tls_library_saw(
	struct mt_tls_handshake *h, bool sent, int type, const uint8_t *p, size_t len);
/* Bytes of the peer's, before the library has them. */
void mt_tls_library_hears(struct mt_tls_handshake *h, const uint8_t *p, uint32_t n);
/* Why it has failed, by the reason of an error of ERR_LIB_SSL; MT_TLS_WHY_protocol_error for all that have no other. */
enum mt_tls_reason mt_tls_library_reason(int reason);

/* ---- at its end, before the object is freed, in this order ----- */

/* Writes what the library has kept back. false: no memory. */
bool mt_tls_library_flush(struct mt_tls_handshake *h);
/* TLS 1.3: traffic secrets of the first application data, of `len` bytes each; false: it has none of this length. */
bool mt_tls_library_secrets(struct mt_tls_handshake *h, uint32_t len, uint8_t *rx, uint8_t *tx);
/* TLS 1.2: the first `len` bytes of the key block (RFC 5246 §6.3) by `k`'s hash; false: no memory. */
bool mt_tls_library_key_block(
	struct mt_tls_handshake *h, const struct mt_tls_keys *k, uint8_t *out, size_t len);
/* Into k->rx.seq and k->tx.seq: numbers of the next records. */
void mt_tls_library_sequences(struct mt_tls_handshake *h, struct mt_tls_keys *k);
