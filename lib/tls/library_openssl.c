/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL 3.0 and later: takes secrets from the key log, and counts the records that it reports for
 * the sequence numbers.
 */
#include "mt_tls_library.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <string.h>

#define RANDOM		 32
#define MASTER_MAX	 48
#define MESSAGE_FINISHED 20

/* ---- a context ------------------------------------------------------------------------------- */

static int hex(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Returns the length; 0 if the text is not valid. */
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
static void on_keylog(const SSL *ssl, const char *line)
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

bool mt_tls_library_set_up(struct mt_tls_context *c)
{
	SSL_CTX_set_max_early_data(c->ssl, 0);
	/*
	 * Skips early data that a client sends nevertheless, by an old ticket or one of another
	 * server.
	 */
	SSL_CTX_set_recv_max_early_data(c->ssl, MT_TLS_EARLY_SKIPPED);
	SSL_CTX_set_keylog_callback(c->ssl, on_keylog);
	return true;
}

/* ---- a handshake ----------------------------------------------------------------------------- */

void mt_tls_library_saw(
	struct mt_tls_handshake *h, bool sent, int type, const uint8_t *p, size_t len)
{
	if (type == SSL3_RT_HANDSHAKE && sent && len && p[0] == MESSAGE_FINISHED) {
		/* The header of its own record came before it. */
		h->finished_sent = true;
	} else if (type == SSL3_RT_HEADER && sent && h->finished_sent) {
		h->sent_records++;
	} else if (type == SSL3_RT_HEADER && !sent && len) {
		/*
		 * Finished may come in several records (RFC 5246 §6.2.1), and TLS 1.2 goes on
		 * counting.
		 */
		if (p[0] == SSL3_RT_CHANGE_CIPHER_SPEC)
			h->got_records = 0;
		else
			h->got_records++;
	}
}

void mt_tls_library_hears(struct mt_tls_handshake *h, const uint8_t *p, uint32_t n)
{
	(void)h;
	(void)p;
	(void)n;
}

enum mt_tls_reason mt_tls_library_reason(int reason)
{
	switch (reason) {
	case SSL_R_NO_SHARED_CIPHER:
	case SSL_R_NO_SUITABLE_KEY_SHARE:
	case SSL_R_NO_SUITABLE_GROUPS:
	case SSL_R_NO_SHARED_GROUPS:
	case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
	case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
	case SSL_R_MISSING_SIGALGS_EXTENSION:
		return MT_TLS_WHY_no_shared_cipher;
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_VERSION_TOO_LOW:
	case SSL_R_VERSION_TOO_HIGH:
	case SSL_R_INAPPROPRIATE_FALLBACK:
		return MT_TLS_WHY_no_shared_version;
	default:
		return MT_TLS_WHY_protocol_error;
	}
}

/* ---- its end --------------------------------------------------------------------------------- */

/* Does nothing: tickets are written within the handshake. */
bool mt_tls_library_flush(struct mt_tls_handshake *h)
{
	(void)h;
	return true;
}

bool mt_tls_library_secrets(struct mt_tls_handshake *h, uint32_t len, uint8_t *rx, uint8_t *tx)
{
	const struct mt_tls_secrets *s = &h->secrets;
	bool client = h->context->role == MT_TLS_CLIENT;

	if (s->client_len != len || s->server_len != len)
		return false;
	memcpy(rx, client ? s->server : s->client, len);
	memcpy(tx, client ? s->client : s->server, len);
	return true;
}

static bool prf(const struct mt_tls_keys *k, uint8_t *master, size_t master_len, uint8_t *seed,
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
	return ok;
}

bool mt_tls_library_key_block(
	struct mt_tls_handshake *h, const struct mt_tls_keys *k, uint8_t *out, size_t len)
{
	uint8_t master[MASTER_MAX], seed[2 * RANDOM];
	size_t n = SSL_SESSION_get_master_key(SSL_get_session(h->ssl), master, sizeof(master));
	bool ok;

	SSL_get_server_random(h->ssl, seed, RANDOM);
	SSL_get_client_random(h->ssl, seed + RANDOM, RANDOM);
	ok = prf(k, master, n, seed, out, len);
	OPENSSL_cleanse(master, sizeof(master));
	return ok;
}

void mt_tls_library_sequences(struct mt_tls_handshake *h, struct mt_tls_keys *k)
{
	if (k->version == TLS1_3_VERSION) {
		/* Tickets are records under these keys. A client has sent none. */
		k->tx.seq = h->context->role == MT_TLS_CLIENT ? 0 : h->sent_records;
		return;
	}
	k->rx.seq = h->got_records;
	k->tx.seq = 1; /* Finished was number 0: the library writes it in one record */
}
