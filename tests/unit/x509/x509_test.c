/* SPDX-License-Identifier: Apache-2.0 */
#include "grpc/grpc_server.h"
#include "mt_test.h"
#include "mt_credential.h"
#include "mt_crypto.h"
#include "mt_x509.h"

#include <sys/mman.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

/* ---- certificates ---------------------------------------------------------------------------- */

/* The names that a certificate has: raw, so that they may be what no tool would write. */
struct raw {
	int type;
	const char *data;
	int len;
};

static X509 *with_names(const struct raw *names, size_t n)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	X509 *x = X509_new();

	for (size_t i = 0; i < n; i++) {
		GENERAL_NAME *g = GENERAL_NAME_new();
		ASN1_STRING *s = ASN1_STRING_type_new(
			names[i].type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

		ASN1_STRING_set(s, names[i].data, names[i].len);
		GENERAL_NAME_set0_value(g, names[i].type, s);
		sk_GENERAL_NAME_push(list, g);
	}
	CU_ASSERT_EQUAL_FATAL(X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, 0), 1);
	GENERAL_NAMES_free(list);
	return x;
}

/* An extension of that name with bytes that are no list of names. */
static X509 *with_garbage(void)
{
	ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
	X509 *x = X509_new();
	X509_EXTENSION *ext;

	ASN1_OCTET_STRING_set(bytes, (const unsigned char *)"\x30\x82\xff\xff\x01", 5);
	ext = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, bytes);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(bytes);
	return x;
}

static char seen[512];
static size_t enough; /* further names are not wanted; 0: all are */

static bool see(void *arg, int type, const char *text, size_t len)
{
	size_t *n = arg, at = strlen(seen);

	snprintf(seen + at, sizeof(seen) - at, "%s%s:%.*s(%zu)", at ? " " : "",
		type == GEN_DNS	  ? "dns"
		: type == GEN_URI ? "uri"
				  : "ip",
		(int)len, text, len);
	return ++*n != enough;
}

static const char *names_of(const X509 *x, int max)
{
	size_t n = 0;

	seen[0] = '\0';
	mt_x509_names(x, max, see, &n);
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	return seen;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names(void)
{
	struct identity id = identity_new(NULL, "DNS:a.x,email:q@a.x,URI:spiffe://mesh/ns/a/sa/"
						"b,IP:192.0.2.7,IP:2001:db8::7,RID:1.2.3");
	const X509 *x = id.cert;

	CU_ASSERT_STRING_EQUAL(names_of(x, MT_X509_ALL),
		"dns:a.x(3) uri:spiffe://mesh/ns/a/sa/b(23) ip:192.0.2.7(9) ip:2001:db8::7(11)");
	/* Counted with those that are of other types. */
	CU_ASSERT_STRING_EQUAL(names_of(x, 2), "dns:a.x(3)");
	CU_ASSERT_STRING_EQUAL(names_of(x, 0), "");
	enough = 2;
	CU_ASSERT_STRING_EQUAL(
		names_of(x, MT_X509_ALL), "dns:a.x(3) uri:spiffe://mesh/ns/a/sa/b(23)");
	enough = 0;
	CU_ASSERT(mt_x509_has_uri(x, "spiffe://mesh/ns/a/sa/b"));
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "spiffe://mesh/ns/a/sa/"));
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "spiffe://mesh/ns/a/sa/bc"));
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "SPIFFE://mesh/ns/a/sa/b"));
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "a.x"));
	identity_free(&id);
}

/* A common name is no name of a host, whatever else is in the certificate; nor is a part of a label a wildcard. */
static void hosts(void)
{
	struct identity meshed =
				identity_called(NULL, "URI:spiffe://mesh/ns/evil/sa/x", "istiod.x"),
			both = identity_called(NULL, "DNS:*.a.x,DNS:b*.x", "istiod.x");

	CU_ASSERT_FALSE(mt_x509_has_host(meshed.cert, "istiod.x"));
	CU_ASSERT_FALSE(mt_x509_has_host(meshed.cert, "spiffe://mesh/ns/evil/sa/x"));
	CU_ASSERT_FALSE(mt_x509_has_host(both.cert, "istiod.x"));
	CU_ASSERT_FALSE(mt_x509_has_host(both.cert, "bc.x"));
	CU_ASSERT(mt_x509_has_host(both.cert, "B.a.x"));
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	identity_free(&meshed);
	identity_free(&both);
}

static void no_names(void)
{
	X509 *none = X509_new(), *garbage = with_garbage();
	struct identity others = identity_new(NULL, "email:q@a.x,RID:1.2.3");

	CU_ASSERT_STRING_EQUAL(names_of(none, MT_X509_ALL), "");
	CU_ASSERT_FALSE(mt_x509_has_uri(none, "spiffe://a"));
	CU_ASSERT_STRING_EQUAL(names_of(garbage, MT_X509_ALL), "");
	CU_ASSERT_FALSE(mt_x509_has_uri(garbage, "spiffe://a"));
	CU_ASSERT_STRING_EQUAL(names_of(others.cert, MT_X509_ALL), "");
	identity_free(&others);
	X509_free(garbage);
	X509_free(none);
}

/* Whoever signs a certificate may have been careless about what is in it. */
static void hostile_names(void)
{
	static const struct raw rows[] = {
		{GEN_URI, "spiffe://a\0.evil", 16},
		{GEN_URI, "", 0},
		{GEN_DNS, "", 0},
		{GEN_IPADD, "\1\2\3", 3},
		{GEN_IPADD, "", 0},
		{GEN_IPADD, "\0\0\0\0\0\0\0\0\0\0\xff\xff\300\0\2\7", 16},
		{GEN_DNS, "spiffe://b", 10},
		{GEN_URI, "spiffe://c", 10},
	};
	X509 *x = with_names(rows, MT_ARRAY_LEN(rows));

	CU_ASSERT_STRING_EQUAL(names_of(x, MT_X509_ALL),
		"uri:spiffe://a(16) uri:(0) dns:(0) ip:(0) ip:(0) ip:192.0.2.7(9) "
		"dns:spiffe://b(10) "
		"uri:spiffe://c(10)");
	/* A name does not end at a NUL, and a DNS name is no URI. */
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "spiffe://a"));
	CU_ASSERT_FALSE(mt_x509_has_uri(x, "spiffe://b"));
	CU_ASSERT(mt_x509_has_uri(x, "spiffe://c"));
	X509_free(x);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static int count(const char *pem, int max)
{
	STACK_OF(X509) *list = mt_x509_list(pem, max);
	int n = list ? (int)sk_X509_num(list) : 0;

	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	CU_ASSERT(!list || n > 0);
	mt_x509_list_free(list);
	return n;
}

static void lists(void)
{
	struct identity a = identity_new(NULL, "DNS:a"), b = identity_new(&a, "DNS:b");
	char text[8192];
	STACK_OF(X509) * list;

	snprintf(text, sizeof(text), "# ours\n%s\n%s and %s theirs", b.cert_pem, b.key_pem,
		a.cert_pem);
	list = mt_x509_list(text, MT_X509_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	CU_ASSERT_EQUAL_FATAL(
		(int)sk_X509_num(list), 1); /* "and" stands in the other's first line */
	mt_x509_list_free(list);
	snprintf(text, sizeof(text), "# ours\n%s\n%stheirs\n%s", b.cert_pem, b.key_pem, a.cert_pem);
	list = mt_x509_list(text, MT_X509_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(list);
	CU_ASSERT_EQUAL_FATAL((int)sk_X509_num(list), 2);
	CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(list, 0), b.cert), 0);
	CU_ASSERT_EQUAL(X509_cmp(sk_X509_value(list, 1), a.cert), 0);
	mt_x509_list_free(list);
	CU_ASSERT_EQUAL(count(text, 1), 1);
	CU_ASSERT_EQUAL(count(text, 0), 0);
	/* What is behind one that cannot be read does not count. */
	memset(strstr(text, "theirs\n") + 60, '*', 8);
	CU_ASSERT_EQUAL(count(text, MT_X509_ALL), 1);
	CU_ASSERT_EQUAL(count("", MT_X509_ALL), 0);
	CU_ASSERT_EQUAL(count(a.key_pem, MT_X509_ALL), 0);
	CU_ASSERT_EQUAL(count("-----BEGIN CERTIFICATE-----\n", MT_X509_ALL), 0);
	identity_free(&b);
	identity_free(&a);
}

/* More than any list of ours, as the roots of an operating system. */
static void many(void)
{
	struct identity a = identity_new(NULL, "DNS:a");
	size_t len = strlen(a.cert_pem), n = 200;
	char *text = malloc(n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, a.cert_pem, len + 1);
	CU_ASSERT_EQUAL(count(text, MT_X509_ALL), 200);
	CU_ASSERT_EQUAL(count(text, 64), 64);
	free(text);
	identity_free(&a);
}

/* The text of a key under a passphrase, or of a certificate. */
static char *text_of(BIO *bio)
{
	char *data;
	long n = BIO_get_mem_data(bio, &data);
	char *text = strndup(data, (size_t)n);

	BIO_free(bio);
	return text;
}

static void keys(void)
{
	struct identity a = identity_new(NULL, "DNS:a");
	EVP_PKEY *key = mt_x509_key(a.key_pem);
	BIO *bio = BIO_new(BIO_s_mem());
	char both[8192], *locked;

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT_TRUE(mt_crypto_same_key(key, a.key));
	EVP_PKEY_free(key);
	snprintf(both, sizeof(both), "%s%s", a.cert_pem, a.key_pem);
	key = mt_x509_key(both);
	CU_ASSERT_PTR_NOT_NULL(key);
	EVP_PKEY_free(key);
	CU_ASSERT_PTR_NULL(mt_x509_key(a.cert_pem));
	CU_ASSERT_PTR_NULL(mt_x509_key(""));
	/* It must not ask for the passphrase: the test would wait at a terminal. */
	PEM_write_bio_PKCS8PrivateKey(bio, a.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
	locked = text_of(bio);
	CU_ASSERT_PTR_NOT_NULL_FATAL(strstr(locked, "ENCRYPTED"));
	CU_ASSERT_PTR_NULL(mt_x509_key(locked));
	CU_ASSERT_EQUAL(ERR_peek_error(), 0);
	free(locked);
	identity_free(&a);
}

/* In kB, of the whole process. */
static long locked_memory(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %ld", &n) != 1)
			n = -1;
	if (f)
		fclose(f);
	return n;
}

static void locked_keys(void)
{
	struct identity a = identity_new(NULL, "DNS:a");
	bool locked = mt_crypto_lock_keys();
	size_t before = CRYPTO_secure_used();
	EVP_PKEY *key = mt_x509_key(a.key_pem);

	CU_ASSERT_PTR_NOT_NULL(key);
#ifdef OPENSSL_IS_AWSLC
	CU_ASSERT_EQUAL(locked, locked_memory() > 0);
	(void)munlockall();
#else
	/* The place is there even where nothing may be locked. */
	CU_ASSERT_TRUE(CRYPTO_secure_used() > before);
	CU_ASSERT_TRUE(!locked || locked_memory() > 0);
#endif
	EVP_PKEY_free(key);
	CU_ASSERT_EQUAL(CRYPTO_secure_used(), before);
	identity_free(&a);
}

/* ---- times ----------------------------------------------------------------------------------- */

static void times(void)
{
	static const struct {
		const char *text;
		int64_t s;
	} rows[] = {{"19700101000000Z", 0}, {"700101000001Z", 1}, {"491231235959Z", 2524607999},
		{"20500101000000Z", 2524608000}, {"500101000000Z", -631152000},
		{"99991231235959Z", 253402300799}, {"20260229000000Z", 0}, {"20261122130000", 0},
		{"today", 0}, {"", 0}};

	/* They are of Greenwich, wherever we are. */
	setenv("TZ", "XYZ-5", 1);
	tzset();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		ASN1_TIME *t = ASN1_STRING_type_new(
			strlen(rows[i].text) > 13 ? V_ASN1_GENERALIZEDTIME : V_ASN1_UTCTIME);

		ASN1_STRING_set(t, rows[i].text, -1);
		CU_ASSERT_EQUAL(mt_x509_time(t), rows[i].s);
		CU_ASSERT_EQUAL(ERR_peek_error(), 0);
		ASN1_STRING_free(t);
	}
	CU_ASSERT_EQUAL(mt_x509_time(NULL), 0);
	unsetenv("TZ");
	tzset();
}

static uint64_t key_mark(EVP_PKEY *key, const char *name)
{
	X509 *x = X509_new();
	uint64_t mark;

	CU_ASSERT_EQUAL(X509_set_pubkey(x, key), 1);
	CU_ASSERT_EQUAL(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
				(const unsigned char *)name, -1, -1, 0),
		1);
	mark = mt_x509_key_mark(x);
	X509_free(x);
	return mark;
}

/* A mark is no sum of a part for the key and a part for the name, which could be searched for apart. */
static void key_marks(void)
{
	EVP_PKEY *one = EVP_EC_gen("P-256"), *two = EVP_EC_gen("P-256");
	const uint64_t mark = key_mark(one, "a");

	CU_ASSERT_EQUAL(key_mark(one, "a"), mark);
	CU_ASSERT_NOT_EQUAL(key_mark(one, "b"), mark);
	CU_ASSERT_NOT_EQUAL(key_mark(two, "a"), mark);
	CU_ASSERT_NOT_EQUAL(mark ^ key_mark(one, "b"), key_mark(two, "a") ^ key_mark(two, "b"));
	EVP_PKEY_free(one);
	EVP_PKEY_free(two);
}

const struct mt_test x509_tests[] = {
	{"key_marks", key_marks},
	{"names", names},
	{"hosts", hosts},
	{"no_names", no_names},
	{"hostile_names", hostile_names},
	{"lists", lists},
	{"many", many},
	{"keys", keys},
	{"locked_keys", locked_keys},
	{"times", times},
	{0},
};
