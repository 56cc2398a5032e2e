/* SPDX-License-Identifier: Apache-2.0 */
#include "authority.h"

#include "mt_crypto.h"
#include "mt_test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static long serial = 1;

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

struct cert cert_make(const struct cert_words *w, const struct cert *by)
{
	struct cert c = {X509_new(), mt_crypto_new_key()};
	X509 *issuer = by ? by->x : c.x;
	X509_NAME *name = X509_get_subject_name(c.x);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c.key);
	X509_set_version(c.x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c.x), w->from || w->to ? w->from : -3600);
	X509_gmtime_adj(X509_getm_notAfter(c.x), w->from || w->to ? w->to : 3600);
	if (w->name)
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_UTF8, (const unsigned char *)w->name, -1, -1, 0);
	X509_set_issuer_name(c.x, X509_get_subject_name(issuer));
	X509_set_pubkey(c.x, c.key);
	extend(c.x, issuer, NID_basic_constraints,
		w->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (w->alt)
		extend(c.x, issuer, NID_subject_alt_name, w->alt);
	if (w->purpose)
		extend(c.x, issuer, NID_ext_key_usage, w->purpose);
	CU_ASSERT_FATAL(X509_sign(c.x, by ? by->key : c.key, EVP_sha256()) > 0);
	return c;
}

void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	*c = (struct cert){NULL, NULL};
}

void cert_write(const struct cert *c, const char *cert_file, const char *key_file)
{
	FILE *f = cert_file ? fopen(cert_file, "w") : NULL;

	if (f) {
		CU_ASSERT_EQUAL(PEM_write_X509(f, c->x), 1);
		fclose(f);
	}
	f = key_file ? fopen(key_file, "w") : NULL;
	if (f) {
		CU_ASSERT_EQUAL(PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL), 1);
		fclose(f);
	}
}

void cert_revoke(const struct cert *by, const struct cert *revoked, const char *file)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_new();
	FILE *f = fopen(file, "a");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->x));
	X509_gmtime_adj(t, 3600);
	X509_CRL_set1_nextUpdate(crl, t);
	X509_gmtime_adj(t, -3600);
	X509_CRL_set1_lastUpdate(crl, t);
	if (revoked) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x));
		X509_REVOKED_set_revocationDate(entry, t);
		X509_CRL_add0_revoked(crl, entry);
	}
	CU_ASSERT_FATAL(X509_CRL_sign(crl, by->key, EVP_sha256()) > 0);
	CU_ASSERT_EQUAL(PEM_write_X509_CRL(f, crl), 1);
	fclose(f);
	ASN1_TIME_free(t);
	X509_CRL_free(crl);
}
