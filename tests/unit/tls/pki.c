/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include "mt_crypto.h"
#include "mt_test.h"
#include "mt_test_keys.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <time.h>

static long serial;

static void add(X509 *x, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

static void name_it(X509 *x, bool authority)
{
	X509_NAME *name = X509_get_subject_name(x);
	char text[32];

	snprintf(text, sizeof(text), "%s %ld", authority ? "authority" : "leaf", serial);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0);
}

struct pki_node pki_make(const struct pki_node *by, const struct pki_how *how)
{
	struct pki_node n = {.cert = X509_new()};
	bool timed = how->from || how->until;
	X509V3_CTX ctx;

	n.key = how->rsa ? mt_test_key(EVP_PKEY_RSA, 2048) : mt_crypto_new_key();
	CU_ASSERT_PTR_NOT_NULL_FATAL(n.key);
	X509_set_version(n.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(n.cert), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(n.cert), timed ? how->from : -3600);
	X509_gmtime_adj(X509_getm_notAfter(n.cert), timed ? how->until : 3600);
	name_it(n.cert, how->authority);
	X509_set_issuer_name(n.cert, X509_get_subject_name(by ? by->cert : n.cert));
	X509_set_pubkey(n.cert, n.key);
	X509V3_set_ctx(&ctx, by ? by->cert : n.cert, n.cert, NULL, NULL, 0);
	add(n.cert, &ctx, NID_basic_constraints,
		how->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	add(n.cert, &ctx, NID_key_usage,
		how->authority ? "critical,keyCertSign,cRLSign,digitalSignature"
			       : "critical,digitalSignature,keyEncipherment");
	if (!how->authority || how->purpose)
		add(n.cert, &ctx, NID_ext_key_usage,
			how->purpose ? how->purpose : "serverAuth,clientAuth");
	if (how->san)
		add(n.cert, &ctx, NID_subject_alt_name, how->san);
	CU_ASSERT_FATAL(X509_sign(n.cert, by ? by->key : n.key, EVP_sha256()) > 0);
	return n;
}

struct pki_node pki_twin(const struct pki_node *of, const struct pki_node *by, bool same_key)
{
	struct pki_node n = {.cert = X509_dup(of->cert), .key = of->key};

	CU_ASSERT_PTR_NOT_NULL_FATAL(n.cert);
	if (same_key)
		EVP_PKEY_up_ref(n.key);
	else
		n.key = mt_crypto_new_key();
	ASN1_INTEGER_set(X509_get_serialNumber(n.cert), ++serial);
	X509_set_issuer_name(n.cert, X509_get_subject_name(by ? by->cert : n.cert));
	X509_set_pubkey(n.cert, n.key);
	CU_ASSERT_FATAL(X509_sign(n.cert, by ? by->key : n.key, EVP_sha256()) > 0);
	return n;
}

void pki_free(struct pki_node *n)
{
	X509_free(n->cert);
	EVP_PKEY_free(n->key);
	*n = (struct pki_node){0};
}

static char *text_of(BIO *bio)
{
	char *data, *text;
	long len = BIO_get_mem_data(bio, &data);

	text = strndup(data, (size_t)len);
	BIO_free(bio);
	return text;
}

char *pki_pem(const X509 *const *certs, uint32_t n)
{
	BIO *bio = BIO_new(BIO_s_mem());

	for (uint32_t i = 0; i < n; i++)
		PEM_write_bio_X509(bio, (X509 *)certs[i]);
	return text_of(bio);
}

char *pki_key(const EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());

	PEM_write_bio_PrivateKey(bio, (EVP_PKEY *)key, NULL, NULL, 0, NULL, NULL);
	return text_of(bio);
}

/* Names the issuer's certificate by its own issuer and serial number. */
static void identify(X509_CRL *crl, const struct pki_node *by)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, by->cert, NULL, NULL, crl, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "issuer:always");
	CU_ASSERT_PTR_NOT_NULL_FATAL(ext);
	X509_CRL_add_ext(crl, ext, -1);
	X509_EXTENSION_free(ext);
}

static char *crl_of(const struct pki_node *by, const X509 *gone, bool stale, bool identified)
{
	BIO *bio = BIO_new(BIO_s_mem());
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *when = ASN1_TIME_new();

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->cert));
	X509_CRL_set1_lastUpdate(crl, X509_gmtime_adj(when, -7200));
	X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(when, stale ? -3600 : 3600));
	if (gone) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, (ASN1_INTEGER *)X509_get0_serialNumber(gone));
		X509_REVOKED_set_revocationDate(r, X509_gmtime_adj(when, -3600));
		X509_CRL_add0_revoked(crl, r);
	}
	if (identified)
		identify(crl, by);
	CU_ASSERT_FATAL(X509_CRL_sign(crl, by->key, EVP_sha256()) > 0);
	PEM_write_bio_X509_CRL(bio, crl);
	ASN1_TIME_free(when);
	X509_CRL_free(crl);
	return text_of(bio);
}

char *pki_crl(const struct pki_node *by, const X509 *gone, bool stale)
{
	return crl_of(by, gone, stale, false);
}

char *pki_crl_identified(const struct pki_node *by, const X509 *gone)
{
	return crl_of(by, gone, false, true);
}

struct mt_credential *pki_credential(
	const struct pki_node *leaf, const struct pki_node *by, const char *roots, const char *crl)
{
	const X509 *certs[] = {leaf->cert, by ? by->cert : NULL};
	char *chain = pki_pem(certs, by ? 2 : 1), *key = pki_key(leaf->key);
	struct mt_err e = {""};
	struct mt_credential *c = mt_credential_new(
		&(struct mt_credential_texts){
			.chain = chain, .key = key, .roots = roots, .crl = crl},
		&e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	free(chain);
	free(key);
	return c;
}

static struct pki all;

const struct pki *pki(void)
{
	const struct pki_how authority = {.authority = true};
	struct pki_node alice, bob;

	if (all.roots)
		return &all;
	all.root = pki_make(NULL, &authority);
	all.other_root = pki_make(NULL, &authority);
	all.mid = pki_make(&all.root, &authority);
	all.roots = pki_pem((const X509 *const[]){all.root.cert}, 1);
	all.other_roots = pki_pem((const X509 *const[]){all.other_root.cert}, 1);
	alice = pki_make(&all.root, &(struct pki_how){.san = "URI:" PKI_ALICE});
	bob = pki_make(&all.mid, &(struct pki_how){.san = "URI:" PKI_BOB ",DNS:*.bob.example"});
	all.alice = pki_credential(&alice, NULL, all.roots, NULL);
	all.bob = pki_credential(&bob, &all.mid, all.roots, NULL);
	pki_free(&alice);
	pki_free(&bob);
	return &all;
}

void pki_end(void)
{
	pki_free(&all.root);
	pki_free(&all.other_root);
	pki_free(&all.mid);
	mt_credential_drop(all.alice);
	mt_credential_drop(all.bob);
	free(all.roots);
	free(all.other_roots);
	all = (struct pki){0};
}
