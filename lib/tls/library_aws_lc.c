/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS-LC: has functions for secrets and sequence numbers, holds back a server's tickets until
 * something is written, and offers no check of a session that came from a ticket. Tickets are
 * therefore sealed and opened here, by its AEAD, with the keys that it makes and changes for each
 * context.
 */
#include "mt_tls_library.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#define TICKET_KEYS 48 /* the library's: a name, and two keys of 16 bytes */
#define KEY_NAME    16
#define NONCE	    12 /* EVP_aead_aes_256_gcm_siv(), which tolerates random nonces (RFC 8452) */
#define TAG	    16

/* ---- a context ------------------------------------------------------------------------------- */

/*
 * Early data is off, and skipped up to 16 KiB. By default renegotiation is refused and nothing is
 * compressed.
 */
bool mt_tls_library_set_up(struct mt_tls_context *c)
{
	SSL_CTX_set_early_data_enabled(c->ssl, 0);
	return true;
}

static EVP_AEAD_CTX *ticket_key(SSL *ssl)
{
	uint8_t keys[TICKET_KEYS];
	EVP_AEAD_CTX *x = NULL;

	if (SSL_CTX_get_tlsext_ticket_keys(SSL_get_SSL_CTX(ssl), keys, sizeof(keys)) == 1)
		x = EVP_AEAD_CTX_new(
			EVP_aead_aes_256_gcm_siv(), keys + KEY_NAME, TICKET_KEYS - KEY_NAME, TAG);
	OPENSSL_cleanse(keys, sizeof(keys));
	return x;
}

static size_t overhead(SSL *ssl)
{
	(void)ssl;
	return NONCE + TAG;
}

static int seal(SSL *ssl, uint8_t *out, size_t *out_len, size_t max, const uint8_t *in, size_t n)
{
	EVP_AEAD_CTX *x = ticket_key(ssl);
	uint8_t nonce[NONCE];
	bool ok = x && max > NONCE && RAND_bytes(nonce, NONCE) == 1;

	/* `in` may be `out`. */
	ok = ok && n + NONCE + TAG <= max && memmove(out + NONCE, in, n) &&
	     EVP_AEAD_CTX_seal(x, out + NONCE, out_len, max - NONCE, nonce, NONCE, out + NONCE, n,
		     NULL, 0) == 1;
	if (ok) {
		memcpy(out, nonce, NONCE);
		*out_len += NONCE;
	}
	EVP_AEAD_CTX_free(x);
	return ok;
}

/* False if the ticket's certificate would be refused now. */
static bool is_good(SSL *ssl, const uint8_t *bytes, size_t n)
{
	const struct mt_tls_handshake *h = SSL_get_app_data(ssl);
	SSL_SESSION *s = SSL_SESSION_from_bytes(bytes, n, SSL_get_SSL_CTX(ssl));
	X509 *leaf = s ? SSL_SESSION_get0_peer(s) : NULL;
	bool good = s && (!leaf || h->context->trust == MT_TLS_ANYBODY ||
				 mt_tls_judge(h->context, leaf) == MT_TLS_WHY_none);

	SSL_SESSION_free(s);
	return good;
}

static enum ssl_ticket_aead_result_t open_ticket(
	SSL *ssl, uint8_t *out, size_t *out_len, size_t max, const uint8_t *in, size_t n)
{
	EVP_AEAD_CTX *x = ticket_key(ssl);
	bool ok = x && n > NONCE &&
		  EVP_AEAD_CTX_open(
			  x, out, out_len, max, in, NONCE, in + NONCE, n - NONCE, NULL, 0) == 1 &&
		  is_good(ssl, out, *out_len);

	EVP_AEAD_CTX_free(x);
	ERR_clear_error();
	return ok ? ssl_ticket_aead_success : ssl_ticket_aead_ignore_ticket;
}

bool mt_tls_library_judge_tickets(struct mt_tls_context *c)
{
	static const SSL_TICKET_AEAD_METHOD method = {overhead, seal, open_ticket};

	SSL_CTX_set_ticket_aead_method(c->ssl, &method);
	return true;
}

/* Does nothing: the library owns the keys. */
void mt_tls_library_free_tickets(struct mt_tls_context *c)
{
	(void)c;
}

/* ---- a handshake ----------------------------------------------------------------------------- */

void mt_tls_library_saw(
	struct mt_tls_handshake *h, bool sent, int type, const uint8_t *p, size_t len)
{
	(void)h;
	(void)sent;
	(void)type;
	(void)p;
	(void)len;
}

/*
 * OpenSSL clients that reject our certificate (TLS 1.3) have not changed their key yet when they
 * send the alert. The library takes this plaintext alert for a record that it cannot open. The
 * handshake fails either way; this gives it the right reason.
 */
void mt_tls_library_hears(struct mt_tls_handshake *h, const uint8_t *p, uint32_t n)
{
	static const uint8_t fatal[] = {SSL3_RT_ALERT, 3, 3, 0, 2, SSL3_AL_FATAL};

	if (h->context->role == MT_TLS_CLIENT || n <= sizeof(fatal) ||
		SSL_version(h->ssl) != TLS1_3_VERSION ||
		memcmp(p + n - sizeof(fatal) - 1, fatal, sizeof(fatal)) != 0)
		return;
	h->got_alert = p[n - 1];
	h->has_alert = true;
}

enum mt_tls_reason mt_tls_library_reason(int reason)
{
	switch (reason) {
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SHARED_GROUP:
	case SSL_R_NO_COMMON_SIGNATURE_ALGORITHMS:
		return MT_TLS_WHY_no_shared_cipher;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_NO_SUPPORTED_VERSIONS_ENABLED:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return MT_TLS_WHY_no_shared_version;
	default:
		return MT_TLS_WHY_protocol_error;
	}
}

/* ---- its end --------------------------------------------------------------------------------- */

/* Makes the library write its tickets, by a write of no bytes. */
bool mt_tls_library_flush(struct mt_tls_handshake *h)
{
	return h->context->role == MT_TLS_CLIENT || SSL_version(h->ssl) != TLS1_3_VERSION ||
	       SSL_write(h->ssl, "", 0) >= 0;
}

bool mt_tls_library_secrets(struct mt_tls_handshake *h, uint32_t len, uint8_t *rx, uint8_t *tx)
{
	size_t rx_len = len, tx_len = len;

	return SSL_get_read_traffic_secret(h->ssl, rx, &rx_len) == 1 &&
	       SSL_get_write_traffic_secret(h->ssl, tx, &tx_len) == 1 && rx_len == len &&
	       tx_len == len;
}

bool mt_tls_library_key_block(
	struct mt_tls_handshake *h, const struct mt_tls_keys *k, uint8_t *out, size_t len)
{
	(void)k;
	return SSL_get_key_block_len(h->ssl) == len &&
	       SSL_generate_key_block(h->ssl, out, len) == 1;
}

void mt_tls_library_sequences(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	k->rx.seq = SSL_get_read_sequence(h->ssl);
	k->tx.seq = SSL_get_write_sequence(h->ssl);
}
