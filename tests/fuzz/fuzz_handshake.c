/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a peer may say to a handshake, before it has proved anything. The first byte: whose handshake ours is (a server's,
 * or bit 0: a client's that has said its hello), and in which pieces the rest comes.
 */
#include "fuzz.h"

#include "mt_crypto.h"
#include "mt_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>

static struct mt_tls_context *contexts[2];

static char *text_of(BIO *bio)
{
	char *data, *text;
	long n = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)n);
	BIO_free(bio);
	return text;
}

static struct mt_credential *make_credential(void)
{
	EVP_PKEY *key = mt_crypto_new_key();
	X509 *x = X509_new();
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
	struct mt_credential *c;
	char *texts[2];
	struct mt_err e;

	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	PEM_write_bio_X509(chain, x);
	PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL);
	texts[0] = text_of(chain);
	texts[1] = text_of(secret);
	c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = texts[0], .key = texts[1], .roots = texts[0]},
		&e);
	MT_ASSERT(c);
	free(texts[0]);
	free(texts[1]);
	X509_free(x);
	EVP_PKEY_free(key);
	return c;
}

static void make_contexts(void)
{
	static const char *const alpn[] = {"istio"};
	struct mt_tls_rules r = {
		.credential = make_credential(), .alpn = alpn, .n_alpn = 1, .tickets = true};
	struct mt_err e;

	for (int role = MT_TLS_CLIENT; role <= MT_TLS_SERVER; role++) {
		r.role = role;
		contexts[role] = mt_tls_context_new(&r, &e);
		MT_ASSERT(contexts[role]);
	}
	mt_credential_drop(r.credential);
}

/* Takes what it says; how much that was. */
static uint32_t hear(struct mt_tls_handshake *h)
{
	const uint8_t *out;
	uint32_t n = mt_tls_handshake_output(h, &out);

	mt_tls_handshake_sent(h, n);
	return n;
}

static void talk(
	struct mt_tls_handshake *h, bool client, const uint8_t *data, uint32_t size, uint32_t piece)
{
	enum mt_tls_step step = client ? mt_tls_handshake_step(h, NULL, 0) : MT_TLS_MORE;
	uint32_t said = hear(h);

	for (uint32_t at = 0, n; at < size && step == MT_TLS_MORE; at += n) {
		n = MT_MIN(piece, size - at);
		step = mt_tls_handshake_step(h, data + at, n);
		said += hear(h);
		MT_ASSERT(ERR_peek_error() == 0 || step == MT_TLS_MORE);
	}
	/* Nobody gets through without a key; a flight, a retry request and an alert are all that is said. */
	MT_ASSERT(step != MT_TLS_DONE);
	MT_ASSERT(said < 8192);
	MT_ASSERT(mt_tls_handshake_used(h) <= size);
	MT_ASSERT(
		(mt_tls_handshake_result(h)->reason != MT_TLS_WHY_none) == (step == MT_TLS_FAILED));
	MT_ASSERT(mt_tls_handshake_result(h)->reason != MT_TLS_WHY_internal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_tls_handshake *h;
	struct mt_tls_objects o;
	bool client;

	if (!contexts[0])
		make_contexts();
	if (size == 0)
		return 0;
	client = data[0] & 1;
	h = mt_tls_handshake_new(contexts[client ? MT_TLS_CLIENT : MT_TLS_SERVER], "fuzz");
	MT_ASSERT(h);
	talk(h, client, data + 1, (uint32_t)size - 1, 1 + 16u * (data[0] >> 1));
	mt_tls_handshake_free(h);
	o = mt_tls_objects();
	MT_ASSERT(o.made == o.freed);
	return 0;
}
