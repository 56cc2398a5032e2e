/* SPDX-License-Identifier: Apache-2.0 */
/* Describes a credential for people. */
#include "mt_credential.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 256

/* Prints a name as other programs do (RFC 2253); escapes what is not printable. */
static void name_text(const X509_NAME *name, char *buf, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(bio, buf, (int)size - 1);
	buf[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
	ERR_clear_error();
}

static void serial_text(const X509 *leaf, char *buf, size_t size)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
	size_t n = 0;

	buf[0] = '\0';
	for (int i = 0; serial && i < serial->length && n + 3 <= size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%02x", serial->data[i]);
}

static bool take_principal(void *arg, int type, const char *text, size_t len)
{
	char *out = arg;

	if (type != GEN_URI || len >= MT_CREDENTIAL_TEXT || memchr(text, '\0', len) ||
		len < strlen(MT_SPIFFE) || memcmp(text, MT_SPIFFE, strlen(MT_SPIFFE)) != 0)
		return true;
	memcpy(out, text, len);
	out[len] = '\0';
	return false;
}

bool mt_credential_leaf(const struct mt_credential *c, struct mt_credential_leaf *out)
{
	const X509 *leaf;
	const char *domain;

	memset(out, 0, sizeof(*out));
	if (!c->chain)
		return false;
	leaf = sk_X509_value(c->chain, 0);
	mt_x509_names(leaf, NAMES_MAX, take_principal, out->principal);
	domain = out->principal[0] ? out->principal + strlen(MT_SPIFFE) : "";
	snprintf(out->trust_domain, sizeof(out->trust_domain), "%.*s", (int)strcspn(domain, "/"),
		domain);
	serial_text(leaf, out->serial, sizeof(out->serial));
	name_text(X509_get_issuer_name(leaf), out->issuer, sizeof(out->issuer));
	return true;
}

bool mt_credential_root(
	const struct mt_credential *c, uint32_t which, struct mt_credential_root *out)
{
	STACK_OF(X509_OBJECT) *all = c->trust ? X509_STORE_get0_objects(c->trust) : NULL;

	for (int i = 0; all && i < (int)sk_X509_OBJECT_num(all); i++) {
		const X509 *x = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));

		if (!x || which--)
			continue;
		name_text(X509_get_subject_name(x), out->subject, sizeof(out->subject));
		serial_text(x, out->serial, sizeof(out->serial));
		out->not_after = mt_x509_time(X509_get0_notAfter(x));
		return true;
	}
	return false;
}

bool mt_credential_crl(const struct mt_credential *c, uint32_t which, struct mt_credential_crl *out)
{
	STACK_OF(X509_OBJECT) *all = c->trust ? X509_STORE_get0_objects(c->trust) : NULL;

	for (int i = 0; all && i < (int)sk_X509_OBJECT_num(all); i++) {
		const X509_CRL *x = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));

		if (!x || which--)
			continue;
		name_text(X509_CRL_get_issuer(x), out->issuer, sizeof(out->issuer));
		out->this_update = mt_x509_time(X509_CRL_get0_lastUpdate(x));
		out->next_update = mt_x509_time(X509_CRL_get0_nextUpdate(x));
		return true;
	}
	return false;
}
