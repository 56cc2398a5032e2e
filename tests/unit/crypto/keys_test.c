/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys from numbers, with signatures that RFCs contain; digests; texts of private keys. */
#include "mt_base.h"
#include "mt_crypto.h"
#include "mt_test.h"

#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <pthread.h>
#include <string.h>

static bool verifies(
	EVP_PKEY *key, const EVP_MD *md, const void *text, size_t len, const uint8_t *sig, size_t n)
{
	EVP_MD_CTX *x = EVP_MD_CTX_new();
	bool yes = EVP_DigestVerifyInit(x, NULL, md, NULL, key) == 1 &&
		   EVP_DigestVerify(x, sig, n, text, len) == 1;

	EVP_MD_CTX_free(x);
	ERR_clear_error();
	return yes;
}

/* ---- RSA ------------------------------------------------------------------------------------- */

/* RFC 7515, appendix A.2: the key, what is signed, and the signature by RS256. */
static const char rsa_n[] =
	"a1f8160ae2e3c9b465ce8d2d656263362b927dbe29e1f02477fc1625cc90a136e38bd93497c5b6ea63dd7711"
	"e67c7429f956b0fb8a8f089adc4b69893cc1333f53edd019b87784252fec914fe4857769594bea4280d32c0f"
	"55bf62944f130396bc6e9bdf6ebdd2bda3678eeca0c668f701b38dbffb38c8342ce2fe6d27fade4a5a487497"
	"9dd4b9cf9adec4c75b05852c2c0f5ef8a5c1750392f944e8ed64c110c6b647609aa4783aeb9c6c9ad7553130"
	"50638b83665c6f6f7a82a396702a1f641b82d3ebf2392219491fb686872c5716f50af8358d9a8b9d17c34072"
	"8f7f87d89a18d8fcab67ad84590c2ecf759339363c07034d6f606f9e21e05456cae5e9a1";
static const char rsa_text[] =
	"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx"
	"lLmNvbS9pc19yb290Ijp0cnVlfQ";
static const char rsa_sig[] =
	"702e218943e88fd11eb5d82dbf7845f34106ae1b81fff7731116add1717d83656d420afd3c96eedd73a2663e"
	"5166687b000b87226e0187ed1073f945e582adfcef16d85a798ee8c66ddb3db8975b17d09402beedd5d9d970"
	"07108db28160d5f8040ca7445762b81fbe7ff9d92e0ae76f24f25b33bbe6f44ae61eb1040acb20044d3ef912"
	"8ed40130795bd4bd3b41eecad066ab651981fde48df77f372dc38b9fafdd3befb18b5da3cc3c2eb02f9e3a41"
	"d612caad15911273a05f23b9e838faaf849d698429ef5a1e88798236c3d40e604522a544c8f27a7a2db80663"
	"d16cf7caea56de405cb2215a45b2c25566b55ac1a748a070dfc8a32a469543d019eefb47";

static void test_rsa(void)
{
	BIGNUM *n = NULL, *e = BN_new();
	uint8_t sig[256];
	BIGNUM *s = NULL;
	EVP_PKEY *key;

	BN_set_word(e, 65537);
	CU_ASSERT_NOT_EQUAL_FATAL(BN_hex2bn(&n, rsa_n), 0);
	CU_ASSERT_NOT_EQUAL_FATAL(BN_hex2bn(&s, rsa_sig), 0);
	CU_ASSERT_EQUAL_FATAL(BN_num_bytes(s), sizeof(sig));
	BN_bn2bin(s, sig);
	key = mt_crypto_rsa_key(n, e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_EQUAL(EVP_PKEY_bits(key), 2048);
	CU_ASSERT_TRUE(verifies(key, EVP_sha256(), rsa_text, strlen(rsa_text), sig, sizeof(sig)));
	CU_ASSERT_FALSE(
		verifies(key, EVP_sha256(), rsa_text, strlen(rsa_text) - 1, sig, sizeof(sig)));
	sig[100] ^= 1;
	CU_ASSERT_FALSE(verifies(key, EVP_sha256(), rsa_text, strlen(rsa_text), sig, sizeof(sig)));
	EVP_PKEY_free(key);
	BN_free(n);
	BN_free(e);
	BN_free(s);
}

/* ---- elliptic curves ------------------------------------------------------------------------- */

/* RFC 6979, appendices A.2.5 to A.2.7: public keys and signatures of the text "sample". */
static const struct curve {
	const char *name, *x, *y, *r, *s;
	const EVP_MD *(*md)(void);
	int bits;
} curves[] = {
	{"P-256", "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
		"7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
		"EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
		"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8", EVP_sha256,
		256},
	{"P-384",
		"EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064"
		"A254515480BC13",
		"8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE73"
		"44FD2533264720",
		"94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E"
		"36DD1E80FABE46",
		"99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B"
		"82C71A38628AC8",
		EVP_sha384, 384},
	{"P-521",
		"01894550D0785932E00EAA23B694F213F8C3121F86DC97A04E5A7167DB4E5BCD371123D46E45DB6B5D"
		"5370A7F20FB633155D38"
		"FFA16D2BD761DCAC474B9A2F5023A4",
		"00493101C962CD4D2FDDF782285E64584139C2F91B47F87FF82354D6630F746A28A0DB25741B5B34A8"
		"28008B22ACC23F924FAA"
		"FBD4D33F81EA66956DFEAA2BFDFCF5",
		"00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D4"
		"50606ADD152B534931D7"
		"D4E8455CC91F9B15BF05EC36E377FA",
		"00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF282623EAA63E5B5C07"
		"23D8B8C37FF0777B1A20"
		"F8CCB1DCCC43997F1EE0E44DA4A67A",
		EVP_sha512, 521},
};

/* Writes the point of this key, uncompressed (SEC 1 §2.3.3); returns its length. */
static size_t point_of(const struct curve *c, uint8_t point[200])
{
	const char *const text[] = {c->x, c->y};
	size_t n = 0;

	point[n++] = 4;
	for (int i = 0; i < 2; i++) {
		BIGNUM *b = NULL;
		int len = (int)strlen(text[i]) / 2;

		BN_hex2bn(&b, text[i]);
		BN_bn2binpad(b, point + n, len);
		n += (size_t)len;
		BN_free(b);
	}
	return n;
}

static size_t der_of(const struct curve *c, uint8_t **der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = NULL, *s = NULL;
	int n;

	BN_hex2bn(&r, c->r);
	BN_hex2bn(&s, c->s);
	ECDSA_SIG_set0(sig, r, s);
	*der = NULL;
	n = i2d_ECDSA_SIG(sig, der);
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

static void test_curves(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(curves); i++) {
		uint8_t point[200], *der;
		size_t n = point_of(&curves[i], point), len = der_of(&curves[i], &der);
		EVP_PKEY *key = mt_crypto_ec_key(curves[i].name, point, n);

		CU_ASSERT_PTR_NOT_NULL_FATAL(key);
		CU_ASSERT_EQUAL(EVP_PKEY_bits(key), curves[i].bits);
		CU_ASSERT_TRUE(verifies(key, curves[i].md(), "sample", 6, der, len));
		CU_ASSERT_FALSE(verifies(key, curves[i].md(), "simple", 6, der, len));
		EVP_PKEY_free(key);
		OPENSSL_free(der);
	}
}

static void check_no_key(const char *curve, const uint8_t *point, size_t n)
{
	EVP_PKEY *key = mt_crypto_ec_key(curve, point, n);

	CU_ASSERT_PTR_NULL(key);
	EVP_PKEY_free(key);
	ERR_clear_error();
}

static void test_bad_points(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(curves); i++) {
		uint8_t point[200];
		size_t n = point_of(&curves[i], point);

		check_no_key(curves[i].name, point, n - 1);
		check_no_key(curves[i].name, point, 0);
		check_no_key(curves[(i + 1) % MT_ARRAY_LEN(curves)].name, point, n);
		check_no_key("P-257", point, n);
		point[0] = 5;
		check_no_key(curves[i].name, point, n);
		point[0] = 4;
		point[n - 1] ^= 1; /* not on the curve */
		check_no_key(curves[i].name, point, n);
	}
}

/* ---- keys of its own ------------------------------------------------------------------------- */

static void test_new_key(void)
{
	EVP_PKEY *a = mt_crypto_new_key(), *b = mt_crypto_new_key(), *copy;
	uint8_t *der = NULL;
	const uint8_t *p;
	int n;

	CU_ASSERT_FATAL(a && b);
	CU_ASSERT_EQUAL(EVP_PKEY_base_id(a), EVP_PKEY_EC);
	CU_ASSERT_EQUAL(EVP_PKEY_bits(a), 256);
	CU_ASSERT_FALSE(mt_crypto_same_key(a, b));
	n = i2d_PUBKEY(a, &der);
	p = der;
	copy = d2i_PUBKEY(NULL, &p, n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_TRUE(mt_crypto_same_key(a, copy));
	CU_ASSERT_FALSE(mt_crypto_same_key(b, copy));
	OPENSSL_free(der);
	EVP_PKEY_free(a);
	EVP_PKEY_free(b);
	EVP_PKEY_free(copy);
}

/* ---- digests --------------------------------------------------------------------------------- */

/* RFC 6234, section 8.5: SHA-256 of "abc". */
static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
	0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10,
	0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};

static void check_digest(EVP_MD_CTX *x)
{
	uint8_t got[32];
	unsigned int n = 0;

	CU_ASSERT_EQUAL(EVP_DigestUpdate(x, "abc", 3), 1);
	CU_ASSERT_EQUAL(EVP_DigestFinal_ex(x, got, &n), 1);
	CU_ASSERT_EQUAL(n, sizeof(abc));
	CU_ASSERT_EQUAL(memcmp(got, abc, sizeof(abc)), 0);
}

/* It starts again after its end, and in the middle of a text. */
static void test_digest_again(void)
{
	EVP_MD_CTX *x = EVP_MD_CTX_new();

	CU_ASSERT_FALSE(mt_crypto_digest_again(x));
	ERR_clear_error();
	CU_ASSERT_EQUAL(EVP_DigestInit_ex(x, EVP_sha256(), NULL), 1);
	check_digest(x);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(mt_crypto_digest_again(x));
		check_digest(x);
		CU_ASSERT_TRUE(mt_crypto_digest_again(x));
		CU_ASSERT_EQUAL(EVP_DigestUpdate(x, "left behind", 11), 1);
	}
	EVP_MD_CTX_free(x);
}

/* ---- texts of private keys, threads, the library --------------------------------------------- */

static void test_secret_text(void)
{
	char part[1000], got[sizeof(part)], *text = NULL;
	BIO *b = mt_crypto_secret_text();

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	for (int i = 0; i < 20; i++) {
		memset(part, 'a' + i, sizeof(part));
		CU_ASSERT_EQUAL(BIO_write(b, part, sizeof(part)), sizeof(part));
	}
	CU_ASSERT_EQUAL(BIO_get_mem_data(b, &text), 20 * (long)sizeof(part));
#ifndef OPENSSL_IS_AWSLC
	/* In the locked heap, whose blocks are overwritten when they are freed. */
	CU_ASSERT_TRUE(CRYPTO_secure_allocated(text));
#endif
	for (int i = 0; i < 20; i++) {
		memset(part, 'a' + i, sizeof(part));
		CU_ASSERT_EQUAL(BIO_read(b, got, sizeof(got)), sizeof(got));
		CU_ASSERT_EQUAL(memcmp(part, got, sizeof(got)), 0);
	}
	BIO_free(b);
}

static void *in_a_thread(void *arg)
{
	EVP_MD_CTX *x = EVP_MD_CTX_new();

	EVP_DigestInit_ex(x, EVP_sha256(), NULL);
	check_digest(x);
	EVP_MD_CTX_free(x);
	CU_ASSERT_PTR_NULL(mt_crypto_ec_key("P-256", NULL, 0)); /* leaves an error in its queue */
	CU_ASSERT_NOT_EQUAL(ERR_peek_error(), 0);
	mt_crypto_thread_end();
	*(unsigned long *)arg = ERR_peek_error();
	mt_crypto_thread_end();
	return NULL;
}

static void test_thread_end(void)
{
	unsigned long left = 1;
	pthread_t t;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&t, NULL, in_a_thread, &left), 0);
	pthread_join(t, NULL);
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
}

static void test_library(void)
{
#ifdef OPENSSL_IS_AWSLC
	CU_ASSERT_EQUAL(strncmp(mt_crypto_library(), "AWS-LC ", 7), 0);
#else
	unsigned int major = 0;

	CU_ASSERT_EQUAL(sscanf(mt_crypto_library(), "OpenSSL %u.", &major), 1);
	CU_ASSERT(major >= 3);
#endif
}

/* Before the first key is read. The result is the same when it is called again. */
static void test_lock(void)
{
	bool locked = mt_crypto_lock_keys();

	CU_ASSERT_EQUAL(mt_crypto_lock_keys(), locked);
}

const struct mt_test keys_tests[] = {
	{"lock", test_lock},
	{"RSA, RFC 7515 A.2", test_rsa},
	{"curves, RFC 6979 A.2", test_curves},
	{"points that are none", test_bad_points},
	{"new keys", test_new_key},
	{"a digest again", test_digest_again},
	{"secret text", test_secret_text},
	{"end of a thread", test_thread_end},
	{"the library's name", test_library},
	{0},
};
