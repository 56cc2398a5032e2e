/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_cert_priv.h"

#include "mt_crypto.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

/* Copies the text of a memory BIO, and frees the BIO. NULL: no memory. */
static char *text_of(BIO *bio)
{
	char *data, *text;
	long n = BIO_get_mem_data(bio, &data);

	text = n > 0 ? strndup(data, (size_t)n) : NULL;
	BIO_free(bio);
	return text;
}

static char *key_text(EVP_PKEY *key)
{
	BIO *bio = mt_crypto_secret_text();

	if (!bio)
		return NULL;
	if (PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		return text_of(bio);
	BIO_free(bio);
	return NULL;
}

static char *request_text(X509_REQ *req)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio)
		return NULL;
	if (PEM_write_bio_X509_REQ(bio, req) == 1)
		return text_of(bio);
	BIO_free(bio);
	return NULL;
}

/*
 * Builds the name by hand, because OpenSSL's textual form would treat commas in it as separators.
 */
static bool add_uri(X509_REQ *req, const char *uri)
{
	STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	bool ok = list && names && name && text && ASN1_STRING_set(text, uri, -1) == 1;

	if (ok) {
		GENERAL_NAME_set0_value(name, GEN_URI, text);
		text = NULL;
		ok = sk_GENERAL_NAME_push(names, name) > 0;
		name = ok ? NULL : name;
	}
	/* Critical, because the certificate has no subject (RFC 5280 §4.2.1.6). */
	ok = ok &&
	     X509V3_add1_i2d(&list, NID_subject_alt_name, names, 1, X509V3_ADD_DEFAULT) == 1 &&
	     X509_REQ_add_extensions(req, list) == 1;
	ASN1_IA5STRING_free(text);
	GENERAL_NAME_free(name);
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	return ok;
}

/*
 * Writes the certificates of a text that belong to the chain: the first of all, and those not
 * self-signed.
 */
static bool add_to_chain(BIO *bio, const char *pem, bool *first)
{
	STACK_OF(X509) *list = mt_x509_list(pem, MT_CERT_TEXT);
	bool ok = true;

	for (int i = 0; list && i < (int)sk_X509_num(list) && ok; i++) {
		X509 *x = sk_X509_value(list, i);

		if (*first || !mt_crypto_self_signed(x, false))
			ok = PEM_write_bio_X509(bio, x) == 1;
		*first = false;
	}
	mt_x509_list_free(list);
	return ok;
}

char *mt_cert_chain(char *const *pems, size_t n, struct mt_err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = bio != NULL, first = true;
	char *text;

	for (size_t i = 0; i < n && ok; i++)
		ok = add_to_chain(bio, pems[i], &first);
	if (!ok || first) {
		BIO_free(bio);
		mt_err(e, ok ? -EINVAL : -ENOMEM, "%s",
			ok ? "there is no PEM certificate in it" : "no memory");
		return NULL;
	}
	text = text_of(bio);
	if (!text)
		mt_err(e, -ENOMEM, "no memory");
	return text;
}

static bool has(STACK_OF(X509) * list, const X509 *x)
{
	for (int i = 0; i < (int)sk_X509_num(list); i++)
		if (X509_cmp(sk_X509_value(list, i), x) == 0)
			return true;
	return false;
}

static bool is_valid(const X509 *x, int64_t at)
{
	time_t t = (time_t)at;

	return X509_cmp_time(X509_get0_notBefore(x), &t) < 0 &&
	       X509_cmp_time(X509_get0_notAfter(x), &t) > 0;
}

/*
 * Adds new valid roots of `shown`, except its first certificate, to `known`. False if there is
 * none, or without memory.
 */
static bool add_roots(STACK_OF(X509) * known, STACK_OF(X509) * shown, int64_t at)
{
	bool added = false;

	for (int i = 1; i < (int)sk_X509_num(shown); i++) {
		X509 *x = sk_X509_value(shown, i);

		if (!mt_crypto_self_signed(x, true) || X509_check_ca(x) <= 0 || !is_valid(x, at) ||
			has(known, x))
			continue;
		if (!X509_up_ref(x))
			return false;
		if (!sk_X509_push(known, x)) {
			X509_free(x);
			return false;
		}
		added = true;
	}
	return added;
}

char *mt_cert_merge(const char *roots, const char *answer, int64_t at)
{
	STACK_OF(X509) *known = mt_x509_list(roots, MT_CERT_TEXT),
		       *shown = mt_x509_list(answer, MT_CERT_TEXT);
	BIO *bio = BIO_new(BIO_s_mem());
	bool ok = bio && known && shown && add_roots(known, shown, at) &&
		  (int)sk_X509_num(known) <= MT_CERT_ROOTS;
	char *text = NULL;

	for (int i = 0; ok && i < (int)sk_X509_num(known); i++)
		if (is_valid(sk_X509_value(known, i), at))
			ok = PEM_write_bio_X509(bio, sk_X509_value(known, i)) == 1;
	if (ok)
		text = text_of(bio);
	else
		BIO_free(bio);
	mt_x509_list_free(known);
	mt_x509_list_free(shown);
	ERR_clear_error();
	return text;
}

char *mt_key_text(const char *pem, struct mt_err *e)
{
	EVP_PKEY *k = mt_x509_key(pem);
	char *text = k ? key_text(k) : NULL;

	if (!text)
		mt_err(e, k ? -ENOMEM : -EINVAL, "%s",
			k ? "no memory" : "the key is not a PEM private key without a password");
	EVP_PKEY_free(k);
	ERR_clear_error();
	return text;
}

static char *request_for(EVP_PKEY *key, const char *uri)
{
	X509_REQ *req = X509_REQ_new();
	char *text = NULL;

	if (req && X509_REQ_set_version(req, X509_REQ_VERSION_1) == 1 &&
		X509_REQ_set_pubkey(req, key) == 1 && add_uri(req, uri) &&
		X509_REQ_sign(req, key, EVP_sha256()) > 0)
		text = request_text(req);
	X509_REQ_free(req);
	return text;
}

int mt_csr_new(const char *uri, char **key, char **csr, struct mt_err *e)
{
	EVP_PKEY *k = mt_crypto_new_key();

	*key = k ? key_text(k) : NULL;
	*csr = k ? request_for(k, uri) : NULL;
	EVP_PKEY_free(k);
	ERR_clear_error();
	if (*key && *csr)
		return 0;
	mt_wipe_free(*key);
	free(*csr);
	*key = *csr = NULL;
	return mt_err(e, -ENOMEM, "no key could be made");
}
