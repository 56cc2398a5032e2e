/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes to check a chain, verified earlier, against later roots and revocation lists. */
#include "mt_credential.h"

#include "mt_strmap.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static uint64_t hash_name(const X509_NAME *name)
{
	return X509_NAME_hash_ex(name, NULL, NULL, NULL);
}

/*
 * 64 bits of a cryptographic digest over the key and the name, so that no authority can make a key
 * and a name with the mark of another certificate.
 */
uint64_t mt_x509_key_mark(const X509 *x)
{
	const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(x);
	const uint64_t name = hash_name(X509_get_subject_name(x));
	uint8_t both[EVP_MAX_MD_SIZE + sizeof(name)], digest[EVP_MAX_MD_SIZE];
	unsigned int len;
	uint64_t mark;

	if (EVP_Digest(key->data, (size_t)key->length, both, &len, EVP_sha256(), NULL) != 1)
		return 0;
	memcpy(both + len, &name, sizeof(name));
	if (EVP_Digest(both, len + sizeof(name), digest, NULL, EVP_sha256(), NULL) != 1)
		return 0;
	memcpy(&mark, digest, sizeof(mark));
	return mark | 1;
}

static uint64_t issue_mark(const X509_NAME *issuer, const ASN1_INTEGER *serial)
{
	return mt_hash_bytes(serial->data, (size_t)serial->length, hash_name(issuer));
}

uint64_t mt_x509_issue_mark(const X509 *x)
{
	return issue_mark(X509_get_issuer_name(x), X509_get0_serialNumber(x));
}

/* ---- hashes of a credential's roots and revocation lists ------------------------------------- */

static bool push(struct mt_marks *m, uint64_t mark)
{
	/* the array is full at powers of two */
	uint32_t room = m->n & (m->n - 1) ? 0 : MT_MAX(1, 2 * m->n);
	uint64_t *more;

	if (room) {
		more = realloc(m->at, room * sizeof(*more));
		if (!more)
			return false;
		m->at = more;
	}
	m->at[m->n++] = mark;
	return true;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool push_list(struct mt_marks *m, X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *list = X509_CRL_get_REVOKED(crl);

	for (int i = 0; i < sk_X509_REVOKED_num(list); i++)
		if (!push(m, issue_mark(X509_CRL_get_issuer(crl),
				     X509_REVOKED_get0_serialNumber(
					     sk_X509_REVOKED_value(list, i)))))
			return false;
	return true;
}

bool mt_credential_mark(struct mt_credential *c)
{
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(c->trust);
	bool ok = true;

	for (int i = 0; ok && i < sk_X509_OBJECT_num(all); i++) {
		const X509_OBJECT *o = sk_X509_OBJECT_value(all, i);
		X509 *x = X509_OBJECT_get0_X509(o);
		X509_CRL *crl = X509_OBJECT_get0_X509_CRL((X509_OBJECT *)o);

		if (x)
			ok = push(&c->trusted, mt_x509_key_mark(x));
		else if (crl)
			ok = push_list(&c->revoked, crl);
	}
	if (c->trusted.n)
		qsort(c->trusted.at, c->trusted.n, sizeof(*c->trusted.at), compare);
	if (c->revoked.n)
		qsort(c->revoked.at, c->revoked.n, sizeof(*c->revoked.at), compare);
	ERR_clear_error();
	return ok;
}

bool mt_marks_have(const struct mt_marks *m, uint64_t mark)
{
	return m->n && mark && bsearch(&mark, m->at, m->n, sizeof(*m->at), compare);
}
