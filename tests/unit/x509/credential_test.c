/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that belong together, and texts that do not. */
#include "mt_credential.h"
#include "mt_crypto.h"
#include "mt_test.h"
#include "tls/pki.h"

#include <openssl/err.h>

static void refuse(struct mt_credential_texts t, const char *words)
{
	struct mt_err e = {""};

	CU_ASSERT_PTR_NULL(mt_credential_new(&t, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, words));
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
}

/* A key of Ed448, made by openssl(1): AWS-LC knows none of them, and that is said. */
static const char ed448[] = "-----BEGIN PRIVATE KEY-----\n"
			    "MEcCAQAwBQYDK2VxBDsEOYlCo0DtrUsCdrOjAEbK86agNfGipX2SHoAlVllfUkbY\n"
			    "1EYiDoi3vrzXCx2xPcHxRp47L5DXXOGQLQ==\n"
			    "-----END PRIVATE KEY-----\n";

static void test_wrong(void)
{
	struct pki_node one = pki_make(&pki()->root, &(struct pki_how){0}),
			two = pki_make(&pki()->root, &(struct pki_how){0});
	char *chain = pki_pem((const X509 *const[]){one.cert}, 1), *key = pki_key(one.key),
	     *other = pki_key(two.key);
	char *crl = pki_crl(&pki()->root, NULL, false);

	refuse((struct mt_credential_texts){.chain = chain}, "come together");
	refuse((struct mt_credential_texts){.key = key}, "come together");
	refuse((struct mt_credential_texts){.chain = key, .key = key},
		"the chain holds no PEM certificate");
	refuse((struct mt_credential_texts){.chain = chain, .key = chain}, "not a PEM private key");
	refuse((struct mt_credential_texts){.chain = chain, .key = other}, "does not belong");
	refuse((struct mt_credential_texts){.chain = chain, .key = (char *)ed448},
		strncmp(mt_crypto_library(), "AWS-LC", 6) == 0 ? "of a kind that AWS-LC"
							       : "does not belong");
	refuse((struct mt_credential_texts){.roots = key}, "the roots hold no PEM certificate");
	refuse((struct mt_credential_texts){.crl = crl}, "without roots");
	refuse((struct mt_credential_texts){.roots = pki()->roots, .crl = chain},
		"the CRL holds no PEM list");
	free(chain);
	free(key);
	free(other);
	free(crl);
	pki_free(&one);
	pki_free(&two);
}

static bool same(const uint8_t a[32], const uint8_t b[32])
{
	return memcmp(a, b, 32) == 0;
}

/* What a session is bound to: the same things, the same digest. */
static void test_digests(void)
{
	static const uint8_t none[32];
	char *crl = pki_crl(&pki()->root, NULL, false), *words;
	struct mt_err e;
	struct mt_credential *all[4];

	CU_ASSERT_FATAL(asprintf(&words, "our roots:\n%s\n", pki()->roots) > 0);
	all[0] = mt_credential_new(&(struct mt_credential_texts){.roots = pki()->roots}, &e);
	all[1] = mt_credential_new(&(struct mt_credential_texts){.roots = words}, &e);
	all[2] = mt_credential_new(&(struct mt_credential_texts){.roots = pki()->other_roots}, &e);
	all[3] = mt_credential_new(
		&(struct mt_credential_texts){.roots = pki()->roots, .crl = crl}, &e);
	CU_ASSERT_TRUE(same(all[0]->trust_digest, all[1]->trust_digest));
	CU_ASSERT_FALSE(same(all[0]->trust_digest, all[2]->trust_digest));
	CU_ASSERT_FALSE(same(all[0]->trust_digest, all[3]->trust_digest));
	CU_ASSERT_TRUE(same(all[0]->chain_digest, none));
	CU_ASSERT_FALSE(same(pki()->alice->chain_digest, pki()->bob->chain_digest));
	CU_ASSERT_TRUE(same(pki()->alice->trust_digest, all[0]->trust_digest));
	CU_ASSERT_EQUAL(all[0]->not_after, 0);
	CU_ASSERT_EQUAL(pki()->alice->not_after - pki()->alice->not_before, 7200);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++)
		mt_credential_drop(all[i]);
	free(words);
	free(crl);
	pki_end();
}

/* What an operator reads of it: names that a library would cut, or that are no SPIFFE IDs, are none. */
static void test_leaf(void)
{
	struct pki_node one = pki_make(&pki()->root,
				&(struct pki_how){.san = "DNS:a,URI:https://x/y,URI:" PKI_ALICE}),
			none = pki_make(&pki()->root, &(struct pki_how){.san = "DNS:a"});
	struct mt_credential *c = pki_credential(&one, NULL, NULL, NULL),
			     *d = pki_credential(&none, NULL, NULL, NULL);
	struct mt_credential_leaf said;
	char serial[64];

	CU_ASSERT_TRUE(mt_credential_leaf(c, &said));
	CU_ASSERT_STRING_EQUAL(said.principal, PKI_ALICE);
	CU_ASSERT_STRING_EQUAL(said.trust_domain, "cluster.local");
	snprintf(serial, sizeof(serial), "%02x",
		(unsigned int)ASN1_INTEGER_get(X509_get0_serialNumber(one.cert)));
	CU_ASSERT_STRING_EQUAL(said.serial, serial);
	CU_ASSERT_PTR_NOT_NULL(strstr(said.issuer, "="));
	CU_ASSERT_TRUE(mt_credential_leaf(d, &said));
	CU_ASSERT_STRING_EQUAL(said.principal, "");
	CU_ASSERT_STRING_EQUAL(said.trust_domain, "");
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	mt_credential_drop(c);
	mt_credential_drop(d);
	pki_free(&one);
	pki_free(&none);
	pki_end();
}

static void test_roots(void)
{
	struct mt_credential_root root;
	struct mt_credential_leaf said;
	struct mt_credential *both;
	struct mt_err e;
	char *texts;

	CU_ASSERT_FATAL(asprintf(&texts, "%s%s", pki()->roots, pki()->other_roots) > 0);
	both = mt_credential_new(&(struct mt_credential_texts){.roots = texts}, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(both);
	CU_ASSERT_FALSE(mt_credential_leaf(both, &said));
	CU_ASSERT_STRING_EQUAL(said.serial, "");
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE_FATAL(mt_credential_root(both, i, &root));
		CU_ASSERT_TRUE(
			root.not_after == mt_x509_time(X509_get0_notAfter(pki()->root.cert)) ||
			root.not_after == mt_x509_time(X509_get0_notAfter(pki()->other_root.cert)));
		CU_ASSERT_PTR_NOT_NULL(strstr(root.subject, "="));
	}
	CU_ASSERT_FALSE(mt_credential_root(both, 2, &root));
	mt_credential_drop(both);
	free(texts);
	pki_end();
}

const struct mt_test credential_tests[] = {{"texts that are not what they should be", test_wrong},
	{"digests of what is trusted and shown", test_digests},
	{"what a certificate says of itself", test_leaf}, {"roots, one by one", test_roots}, {0}};
