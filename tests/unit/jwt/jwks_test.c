/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys, and where they are from. */
#include "issuer.h"
#include "mt_test.h"
#include "mt_test_keys.h"

#include <openssl/rsa.h>

static uint32_t keys_in(const char *text)
{
	struct mt_err e = {""};
	struct mt_jwks *k = mt_jwks_parse(text, strlen(text), &e);
	uint32_t n = k ? k->n : 0;

	CU_ASSERT_EQUAL(k == NULL, e.text[0] != '\0');
	mt_jwks_drop(k);
	return n;
}

static uint32_t key(const struct issuer *i, const char *more)
{
	char *jwk = issuer_jwk(i, more), text[2048];

	snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
	free(jwk);
	return keys_in(text);
}

static void test_keys(void)
{
	struct issuer small = {
		.alg = "RS256", .kid = "small", .key = mt_test_key(EVP_PKEY_RSA, 1024)};

	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":\"sig\",\"alg\":\"PS512\""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("ES512"), ",\"alg\":\"ES512\""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("EdDSA"), ""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":\"enc\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"alg\":\"HS256\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("ES256"), ",\"alg\":\"ES384\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("ES256"), ",\"alg\":\"longer than any\""), 0);
	/* RFC 7517 §4.2 to §4.5: what it is for, and texts that are texts. */
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"verify\"]"), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"sign\",\"verify\"]"), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"encrypt\",\"wrapKey\"]"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[]"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":\"verify\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"alg\":256"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":[\"enc\"]"), 0);
	CU_ASSERT_EQUAL(key(&small, ""), 0);
	issuer_free(&small);
}

static void test_wrong(void)
{
	static const char *const wrong[] = {"", "{", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}",
		"{\"keys\":[1,null,[],\"x\"]}",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":7,"
		"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		/* not on the curve */
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
		"\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}"};

	for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++)
		CU_ASSERT_EQUAL(keys_in(wrong[i]), 0);
}

/* What is of use beside what is not. */
static void test_mixed(void)
{
	char *a = issuer_jwk(issuer_of("ES256"), ""), *text, *p;
	struct mt_err e;
	struct mt_jwks *k;

	p = text = malloc(65536);
	p += sprintf(p, "{\"keys\":[{\"kty\":\"oct\"}");
	for (int i = 0; i < MT_JWKS_KEYS + 5; i++)
		p += sprintf(p, ",%s", a);
	sprintf(p, "]}");
	k = mt_jwks_parse(text, strlen(text), &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_EQUAL(k->n, MT_JWKS_KEYS);
	CU_ASSERT_EQUAL(k->passed_over, 6);
	mt_jwks_drop(k);
	free(text);
	free(a);
}

static struct mt_jwks_source *get(struct mt_jwks_store *s, const char *text, const char *uri,
	const char *issuer, struct mt_err *e)
{
	const struct mt_jwks_said said = {.text = text, .uri = uri, .issuer = issuer};

	e->text[0] = '\0';
	return mt_jwks_store_get(s, &said, e);
}

/* One for who says the same; an inline one has its keys at once, another none until they are fetched. */
static void test_store(void)
{
	struct mt_jwks_store *s = mt_jwks_store_new();
	char *jwks = issuer_jwks(issuer_of("ES256")), name[128];
	struct mt_err e;
	struct mt_jwks_source *a = get(s, jwks, NULL, NULL, &e), *b = get(s, jwks, NULL, NULL, &e),
			      *c = get(s, NULL, "https://x/keys", NULL, &e),
			      *d = get(s, NULL, NULL, "http://x/", &e),
			      *f = get(s, NULL, "https://me:p@ss@x:8/k@y?a@b", NULL, &e);
	struct mt_jwks_status st;
	struct mt_jwks *k;
	uint64_t generation;

	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	k = mt_jwks_source_keys(a, &generation);
	CU_ASSERT_PTR_NOT_NULL(k);
	mt_jwks_drop(k);
	CU_ASSERT_PTR_NULL(mt_jwks_source_keys(c, &generation));
	CU_ASSERT_PTR_NULL(get(s, "{}", NULL, NULL, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "\"keys\""));
	CU_ASSERT_PTR_NULL(get(s, NULL, "ftp://x/keys", NULL, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "http"));
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 0, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "https://x/keys");
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 1, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "http://x/.well-known/openid-configuration");
	/* Whoever looks is not told passwords. */
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 2, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "https://x:8/k@y?a@b");
	CU_ASSERT_FALSE(mt_jwks_store_status(s, 3, &st, name, sizeof(name)));
	mt_jwks_source_drop(a);
	mt_jwks_source_drop(b);
	mt_jwks_source_drop(c);
	mt_jwks_source_drop(d);
	mt_jwks_source_drop(f);
	mt_jwks_store_free(s);
	free(jwks);
}

const struct mt_test jwks_tests[] = {{"keys", test_keys}, {"no keys", test_wrong},
	{"some of them", test_mixed}, {"where they are from", test_store}, {0}};
