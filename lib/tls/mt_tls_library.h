/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Internal to lib/tls: what differs between the libraries that run handshakes. The build option
 * tls_library selects library_openssl.c or library_aws_lc.c. All other files use only what both
 * libraries have. OpenSSL first, then AWS-LC:
 * - Traffic secrets (TLS 1.3): from the key log callback; SSL_get_read_traffic_secret() and
 *   SSL_get_write_traffic_secret().
 * - Key block (TLS 1.2): TLS1-PRF of the master secret; SSL_generate_key_block().
 * - Sequence numbers: counted in the message callback, records after our own Finished (TLS 1.3
 *   servers: tickets) and records that carried the peer's Finished (TLS 1.2, where ours is 1);
 *   SSL_get_read_sequence() and SSL_get_write_sequence().
 * - A server's ticket (TLS 1.3): written during the handshake; held back until the next write, so
 *   zero bytes are written.
 * - Verifying a ticket's certificate again: in the ticket callback; there is none, so Meltemi seals
 *   and opens tickets itself, with AES-256-GCM-SIV and keys per context that change every two days.
 * - Early data: off, 16 KiB are skipped as configured; off, 16 KiB are skipped by default.
 * - Our own chain is sent unchanged because of SSL_MODE_NO_AUTO_CHAIN; by default. Renegotiation is
 *   refused because of SSL_OP_NO_RENEGOTIATION; by default.
 * - A plaintext alert after the hello (TLS 1.3; OpenSSL clients send one when they reject our
 *   certificate): read by the library; it cannot open it as a record, so Meltemi looks for it at
 *   the end of the input, so that the reported reason is the same.
 * - At thread exit: OPENSSL_thread_stop(); AWSLC_thread_local_clear().
 */
#pragma once

#include "mt_tls_priv.h"

/* ---- a context ----- */

/*
 * Sets those options of the SSL_CTX that only one library has or whose defaults differ. Returns
 * false without memory.
 */
bool mt_tls_library_set_up(struct mt_tls_context *c);
/*
 * Makes a server ignore a ticket whose certificate mt_tls_judge() would refuse now, so that a full
 * handshake reports the reason. Call after SSL_CTX_set_num_tickets(). Returns false without memory.
 */
bool mt_tls_library_judge_tickets(struct mt_tls_context *c);
/* Wipes and frees the keys that seal the context's tickets. */
void mt_tls_library_free_tickets(struct mt_tls_context *c);

/* ---- a handshake ----- */

/* Notes a message that SSL_CTX_set_msg_callback() reports. */
void mt_tls_library_saw(
	struct mt_tls_handshake *h, bool sent, int type, const uint8_t *p, size_t len);
/* Inspects bytes from the peer before the library gets them. */
void mt_tls_library_hears(struct mt_tls_handshake *h, const uint8_t *p, uint32_t n);
/*
 * Maps the reason of an ERR_LIB_SSL error; MT_TLS_WHY_protocol_error for all without a reason of
 * their own.
 */
enum mt_tls_reason mt_tls_library_reason(int reason);

/* ---- at its end, before the object is freed, in this order ----- */

/* Writes the output that the library has held back. Returns false without memory. */
bool mt_tls_library_flush(struct mt_tls_handshake *h);
/*
 * TLS 1.3: the traffic secrets of the first application data, `len` bytes each. Returns false if
 * the library has none of this length.
 */
bool mt_tls_library_secrets(struct mt_tls_handshake *h, uint32_t len, uint8_t *rx, uint8_t *tx);
/*
 * TLS 1.2: the first `len` bytes of the key block (RFC 5246 §6.3), made with the hash in `k`.
 * Returns false without memory.
 */
bool mt_tls_library_key_block(
	struct mt_tls_handshake *h, const struct mt_tls_keys *k, uint8_t *out, size_t len);
/* Sets k->rx.seq and k->tx.seq to the sequence numbers of the next records. */
void mt_tls_library_sequences(struct mt_tls_handshake *h, struct mt_tls_keys *k);
