/* SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"
#include "mt_crypto.h"
#include "mt_tls_kdf.h"

#ifndef OPENSSL_IS_AWSLC
#include <openssl/core_names.h>
#endif
#include <openssl/kdf.h>
#include <openssl/x509.h>

/* Of the handshake in hand: traffic secrets of TLS 1.3. */
static uint8_t client_secret[48], server_secret[48];

static void on_keylog(const SSL *ssl, const char *line)
{
	char what[64], random[80], secret[128];

	if (sscanf(line, "%63s %79s %127s", what, random, secret) != 3)
		return;
	if (strcmp(what, "CLIENT_TRAFFIC_SECRET_0") == 0)
		tls_unhex(secret, client_secret);
	if (strcmp(what, "SERVER_TRAFFIC_SECRET_0") == 0)
		tls_unhex(secret, server_secret);
}

static void certify(SSL_CTX *ctx)
{
	static EVP_PKEY *key;
	static X509 *x;

	if (!x) {
		key = mt_crypto_new_key();
		x = X509_new();
		MT_ASSERT(key && x);
		X509_gmtime_adj(X509_getm_notBefore(x), 0);
		X509_gmtime_adj(X509_getm_notAfter(x), 3600);
		X509_set_pubkey(x, key);
		MT_ASSERT(X509_sign(x, key, EVP_sha256()));
	}
	MT_ASSERT(SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1);
}

static SSL_CTX *context(const struct suite *suite, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	MT_ASSERT(ctx);
	SSL_CTX_set_min_proto_version(ctx, suite->version);
	SSL_CTX_set_max_proto_version(ctx, suite->version);
	if (suite->version == 0x0304)
		MT_ASSERT(SSL_CTX_set_ciphersuites(ctx, suite->name) == 1);
	else
		MT_ASSERT(SSL_CTX_set_cipher_list(ctx, suite->name) == 1);
	SSL_CTX_set_keylog_callback(ctx, on_keylog);
	if (server)
		certify(ctx);
	return ctx;
}

static bool prf(const struct suite *suite, const uint8_t *master, const uint8_t seed[13 + 64],
	uint8_t *out, size_t n)
{
#ifdef OPENSSL_IS_AWSLC
	return CRYPTO_tls1_prf(suite->hash == MT_TLS_SHA384 ? EVP_sha384() : EVP_sha256(), out, n,
		       master, 48, (const char *)seed, 13, seed + 13, 32, seed + 45, 32) == 1;
#else
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *x = EVP_KDF_CTX_new(kdf);
	char digest[8];
	OSSL_PARAM p[4];
	bool ok;

	snprintf(digest, sizeof(digest), "%s", suite->hash == MT_TLS_SHA384 ? "SHA384" : "SHA256");
	p[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	p[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)master, 48);
	p[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)seed, 13 + 64);
	p[3] = OSSL_PARAM_construct_end();
	ok = EVP_KDF_derive(x, out, n, p) == 1;
	EVP_KDF_CTX_free(x);
	EVP_KDF_free(kdf);
	return ok;
#endif
}

/* RFC 5246 §6.3: both keys, then both IVs, the client's first; no MAC keys. */
static void expand_block(SSL *ssl, const struct suite *suite, uint8_t *block, size_t n)
{
	uint8_t master[48], seed[13 + 64];

	SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
	memcpy(seed, "key expansion", 13);
	SSL_get_server_random(ssl, seed + 13, 32);
	SSL_get_client_random(ssl, seed + 45, 32);
	MT_ASSERT(prf(suite, master, seed, block, n));
}

void taken_keys(SSL *ssl, const struct suite *suite, bool server, struct mt_tls_keys *k)
{
	struct mt_tls_half *client = server ? &k->rx : &k->tx, *srv = server ? &k->tx : &k->rx;
	uint32_t key = mt_tls_key_len(suite->cipher);
	uint32_t iv = suite->cipher == MT_TLS_CHACHA20_POLY1305 ? 12 : 4;
	uint8_t block[2 * (32 + 12)];

	*k = (struct mt_tls_keys){
		.version = suite->version, .cipher = suite->cipher, .hash = suite->hash};
	if (suite->version == 0x0304) {
		memcpy(client->secret, client_secret, sizeof(client_secret));
		memcpy(srv->secret, server_secret, sizeof(server_secret));
		MT_ASSERT(mt_tls_traffic_key(client, suite->cipher, suite->hash) == 0);
		MT_ASSERT(mt_tls_traffic_key(srv, suite->cipher, suite->hash) == 0);
		return;
	}
	expand_block(ssl, suite, block, 2 * (key + iv));
	memcpy(client->key, block, key);
	memcpy(srv->key, block + key, key);
	memcpy(client->iv, block + 2 * key, iv);
	memcpy(srv->iv, block + 2 * key + iv, iv);
	client->seq = srv->seq = 1; /* Finished was 0 */
}

void taken_begin(struct taken *t, const struct suite *suite, struct mt_aead *aead, bool server,
	size_t padding)
{
	SSL *ends[2], *ours;
	struct mt_tls_keys keys;
	int done[2] = {0};

	t->client = context(suite, false);
	t->server = context(suite, true);
	if (server)
		SSL_CTX_set_num_tickets(t->server, 0); /* they would be records of ours */
	ends[0] = SSL_new(t->client);
	ends[1] = SSL_new(t->server);
	t->to = BIO_new(BIO_s_mem());
	t->from = BIO_new(BIO_s_mem());
	MT_ASSERT(ends[0] && ends[1] && t->to && t->from);
	ours = ends[server];
	t->other = ends[!server];
	BIO_up_ref(t->to);
	BIO_up_ref(t->from);
	SSL_set_bio(t->other, t->to, t->from);
	SSL_set_bio(ours, t->from, t->to);
	SSL_set_connect_state(ends[0]);
	SSL_set_accept_state(ends[1]);
#ifndef OPENSSL_IS_AWSLC
	SSL_set_block_padding(t->other, padding);
#endif
	for (int i = 0; i < 10 && (done[0] != 1 || done[1] != 1); i++)
		done[i & 1] = SSL_do_handshake(ends[i & 1]);
	CU_ASSERT_FATAL(done[0] == 1 && done[1] == 1);
	taken_keys(ours, suite, server, &keys);
	BIO_up_ref(t->to);
	BIO_up_ref(t->from);
	SSL_free(ours);
	scene_begin(&t->s, suite, aead, server);
	mt_tls_record_init(&t->s.r, &keys, server);
}

void taken_end(struct taken *t)
{
	SSL_free(t->other);
	BIO_free(t->to);
	BIO_free(t->from);
	SSL_CTX_free(t->client);
	SSL_CTX_free(t->server);
	scene_end(&t->s);
}

void taken_receive(struct taken *t, uint32_t piece)
{
	static uint8_t bytes[WIRE_ROOM];
	int n = BIO_read(t->from, bytes, sizeof(bytes));

	if (n > 0)
		scene_append(&t->s.rx, bytes, (uint32_t)n, piece);
}

void taken_send(struct taken *t, struct mt_chain *out)
{
	static uint8_t bytes[WIRE_ROOM];
	uint32_t n = out->len;

	mt_chain_read(out, 0, bytes, n);
	mt_chain_free(out);
	CU_ASSERT_EQUAL(BIO_write(t->to, bytes, (int)n), (int)n);
}
