/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates like those of a mesh's CA: P-256, valid for one day. */
#include "bench_node.h"
#include "bench_tls.h"

#include "mt_crypto.h"
#include "mt_credential.h"

#include <openssl/pem.h>

static struct {
	X509 *certificate;
	EVP_PKEY *key;
} authority;

static void add(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	if (!e || !X509_add_ext(x, e, -1))
		bench_die("a certificate's extension", NULL);
	X509_EXTENSION_free(e);
}

/* `san` NULL: the CA's own certificate. */
static X509 *certify(EVP_PKEY *key, const char *san)
{
	X509 *x = X509_new(), *by = san ? authority.certificate : x;
	X509_NAME *name = X509_get_subject_name(x);
	static long serial;
	X509V3_CTX ctx;

	MT_ASSERT(x && key);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	if (!san)
		X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
			(const unsigned char *)BENCH_TRUST_DOMAIN, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(by));
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&ctx, by, x, NULL, NULL, 0);
	add(x, &ctx, NID_basic_constraints, san ? "critical,CA:FALSE" : "critical,CA:TRUE");
	add(x, &ctx, NID_key_usage, san ? "critical,digitalSignature" : "critical,keyCertSign");
	if (san) {
		add(x, &ctx, NID_ext_key_usage, "serverAuth,clientAuth");
		add(x, &ctx, NID_subject_alt_name, san);
	}
	if (X509_sign(x, san ? authority.key : key, EVP_sha256()) <= 0)
		bench_die("a certificate is not signed", NULL);
	return x;
}

static char *text_of(BIO *bio)
{
	char *data, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)len);
	MT_ASSERT(text);
	BIO_free(bio);
	return text;
}

static char *pem_of(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MT_ASSERT(bio && PEM_write_bio_X509(bio, x) == 1);
	return text_of(bio);
}

static char *pem_of_key(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	MT_ASSERT(bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	return text_of(bio);
}

struct mt_credential *bench_credential(const char *name)
{
	EVP_PKEY *key = mt_crypto_new_key();
	char san[128], *chain, *pem, *roots;
	struct mt_credential *c;
	struct mt_err e;
	X509 *x;

	if (!authority.key) {
		authority.key = mt_crypto_new_key();
		authority.certificate = certify(authority.key, NULL);
	}
	snprintf(san, sizeof(san), "URI:spiffe://" BENCH_TRUST_DOMAIN "/ns/bench/sa/%s", name);
	x = certify(key, san);
	chain = pem_of(x);
	pem = pem_of_key(key);
	roots = pem_of(authority.certificate);
	c = mt_credential_new(
		&(struct mt_credential_texts){.chain = chain, .key = pem, .roots = roots}, &e);
	if (!c)
		bench_die("a credential", &e);
	X509_free(x);
	EVP_PKEY_free(key);
	free(chain);
	free(pem);
	free(roots);
	return c;
}

void bench_authority_end(void)
{
	X509_free(authority.certificate);
	EVP_PKEY_free(authority.key);
	authority.certificate = NULL;
	authority.key = NULL;
}
