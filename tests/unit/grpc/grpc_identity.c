/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates of the test's own making: nothing that expires lies in the tree. */
#include "grpc_server.h"
#include "mt_crypto.h"
#include "mt_test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static char *text_of(BIO *bio)
{
	char *data, *text;
	long n = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)n);
	BIO_free(bio);
	return text;
}

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *x;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	x = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	X509_add_ext(cert, x, -1);
	X509_EXTENSION_free(x);
}

struct identity identity_new(const struct identity *ca, const char *san)
{
	return identity_called(ca, san, NULL);
}

static struct identity make(
	const struct identity *ca, const char *san, const char *cn, const char *constraints)
{
	static long serial = 1;
	struct identity id = {.key = mt_crypto_new_key(), .cert = X509_new()};
	X509_NAME *name = X509_get_subject_name(id.cert);
	BIO *out;

	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 3600);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)san, -1, -1, 0);
	if (cn)
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	X509_set_issuer_name(id.cert, ca ? X509_get_subject_name(ca->cert) : name);
	X509_set_pubkey(id.cert, id.key);
	extend(id.cert, ca ? ca->cert : id.cert, NID_basic_constraints, constraints);
	extend(id.cert, ca ? ca->cert : id.cert, NID_subject_alt_name, san);
	CU_ASSERT_FATAL(X509_sign(id.cert, ca ? ca->key : id.key, EVP_sha256()) > 0);
	out = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(out, id.cert);
	id.cert_pem = text_of(out);
	out = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(out, id.key, NULL, NULL, 0, NULL, NULL);
	id.key_pem = text_of(out);
	return id;
}

struct identity identity_called(const struct identity *ca, const char *san, const char *cn)
{
	return make(ca, san, cn, ca ? "CA:FALSE" : "CA:TRUE");
}

struct identity identity_authority(const struct identity *ca, const char *san)
{
	return make(ca, san, NULL, "CA:TRUE");
}

void identity_free(struct identity *id)
{
	EVP_PKEY_free(id->key);
	X509_free(id->cert);
	free(id->cert_pem);
	free(id->key_pem);
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *len,
	const unsigned char *in, unsigned int n, void *arg)
{
	*out = (const unsigned char *)"h2";
	*len = 2;
	return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *server_tls(const struct identity *id, const struct identity *clients)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	SSL_CTX_use_certificate(ctx, id->cert);
	SSL_CTX_use_PrivateKey(ctx, id->key);
	SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (clients) {
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), clients->cert);
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	return ctx;
}
