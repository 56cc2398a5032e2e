/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that belong together, and texts that do not. */
#include "mt_credential.h"
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
	refuse((struct mt_credential_texts){.chain = chain, .key = chain}, "no PEM private key");
	refuse((struct mt_credential_texts){.chain = chain, .key = other}, "does not belong");
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

const struct mt_test credential_tests[] = {{"texts that are not what they should be", test_wrong},
	{"digests of what is trusted and shown", test_digests}, {0}};
