/* SPDX-License-Identifier: Apache-2.0 */
/* What parses the files of a bundle and tokens, as tables. */
#include "mt_bundle.h"
#include "mt_cert.h"
#include "mt_node.h"
#include "mt_rand.h"
#include "suites.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static void assignments(void)
{
	static const struct {
		const char *text, *key, *value; /* value NULL: refused */
		const char *words;
		uint32_t line;
	} t[] = {
		{"A=b\n", "A", "b", NULL, 0},
		{"A='b c'\n", "A", "b c", NULL, 0},
		{"A=''\n", "A", "", NULL, 0},
		{"A=\n", "A", "", NULL, 0},
		{"A=b", "A", "b", NULL, 0},
		{"# c\n\n  export A='b' # d\r\n", "A", "b", NULL, 0},
		{"A='b'\"'\"'c'\n", "A", "b'c", NULL, 0},
		{"A=\"b\\\"\\\\c\\n\"\n", "A", "b\"\\c\\n", NULL, 0},
		{"A=b\\ c\n", "A", "b c", NULL, 0},
		{"A='x\ny'\nB=1\n", "A", "x\ny", NULL, 0},
		{"A=1\nA=2\n", "A", "2", NULL, 0},
		{"A='{\"a\":\"b\"}'\n", "A", "{\"a\":\"b\"}", NULL, 0},
		{"x\n", "", NULL, "this is not an assignment like NAME='value'", 1},
		{"\n1A=b\n", "", NULL, "this is not an assignment like NAME='value'", 2},
		{"A =b\n", "", NULL, "this is not an assignment like NAME='value'", 1},
		{"export\n", "", NULL, "this is not an assignment like NAME='value'", 1},
		{"A='b\n\n", "A", NULL, "a quote is opened and not closed", 1},
		{"A=1\nB=\"b", "B", NULL, "a quote is opened and not closed", 2},
		{"A=$B\n", "A", NULL, "the value holds a shell expansion", 1},
		{"A=\"`b`\"\n", "A", NULL, "the value holds a shell expansion", 1},
		{"A=b;c\n", "A", NULL, "the value holds a shell operator that is not quoted", 1},
		{"A=b c\n", "A", NULL, "something follows the value", 1},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_region r;
		struct mt_env env;
		struct mt_finding f;
		const char *v;
		int rc;

		mt_region_init(&r, 0);
		rc = mt_env_parse(&r, t[i].text, strlen(t[i].text), &env, &f);
		v = rc == 0 ? mt_env_get(&env, t[i].key) : NULL;
		if (t[i].value) {
			CU_ASSERT_TRUE(v && strcmp(v, t[i].value) == 0);
		} else {
			CU_ASSERT_NOT_EQUAL(rc, 0);
			CU_ASSERT_STRING_EQUAL(f.words, t[i].words);
			CU_ASSERT_STRING_EQUAL(f.field, t[i].key);
			CU_ASSERT_EQUAL(f.line, t[i].line);
		}
		mt_region_fini(&r);
	}
}

static void hosts(void)
{
	static const char text[] = "# a\n10.0.0.1 istiod.x ISTIOD.Y # b\n\n2001:db8::1\tz\r\n";
	static const struct {
		const char *text, *words;
	} bad[] = {{"10.0.0.1\n", "no name follows the address 10.0.0.1"},
		{"a b\n", "\"a\" is not an IP address"}};
	struct mt_region r;
	struct mt_hosts h;
	struct mt_finding f;
	char buf[MT_ADDR_STRLEN];

	mt_region_init(&r, 0);
	CU_ASSERT_EQUAL_FATAL(mt_hosts_parse(&r, text, strlen(text), &h, &f), 0);
	CU_ASSERT_EQUAL(h.n, 3);
	CU_ASSERT_EQUAL(mt_hosts_find(&h, "istiod.y")->line, 2);
	CU_ASSERT_STRING_EQUAL(mt_addr_str(&mt_hosts_find(&h, "z")->addr, buf), "2001:db8::1");
	CU_ASSERT_PTR_NULL(mt_hosts_find(&h, "istiod"));
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_NOT_EQUAL(
			mt_hosts_parse(&r, bad[i].text, strlen(bad[i].text), &h, &f), 0);
		CU_ASSERT_STRING_EQUAL(f.words, bad[i].words);
	}
	mt_region_fini(&r);
}

static void mesh(void)
{
	static const char text[] = "defaultConfig:\n  discoveryAddress: a:1\n  other: {}\n"
				   "  proxyMetadata:\n    A: \"b\"\n---\nsecond: ignored\n";
	static const struct {
		const char *text, *field;
		uint32_t line;
	} bad[] = {{"- a\n", "", 1}, {"defaultConfig: a\n", "defaultConfig", 1},
		{"defaultConfig:\n  proxyMetadata: a\n", "defaultConfig.proxyMetadata", 2},
		{"defaultConfig:\n  proxyMetadata:\n    A: {}\n", "defaultConfig.proxyMetadata", 3},
		{"a: [\n", "", 2}};
	struct mt_region r;
	struct mt_mesh_file m;
	struct mt_finding f;

	mt_region_init(&r, 0);
	CU_ASSERT_EQUAL_FATAL(mt_mesh_parse(&r, text, strlen(text), &m, &f), 0);
	CU_ASSERT_STRING_EQUAL(m.discovery, "a:1");
	CU_ASSERT_EQUAL(m.discovery_line, 2);
	CU_ASSERT_STRING_EQUAL(mt_env_get(&m.metadata, "A"), "b");
	CU_ASSERT_EQUAL(mt_mesh_parse(&r, "", 0, &m, &f), 0);
	CU_ASSERT_PTR_NULL(m.discovery);
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_NOT_EQUAL(mt_mesh_parse(&r, bad[i].text, strlen(bad[i].text), &m, &f), 0);
		CU_ASSERT_STRING_EQUAL(f.field, bad[i].field);
		CU_ASSERT_EQUAL(f.line, bad[i].line);
	}
	mt_region_fini(&r);
}

static void addresses(void)
{
	static const struct {
		const char *text, *host;
		uint16_t port; /* 0: refused */
	} t[] = {{"a.b:15012", "a.b", 15012}, {"[2001:db8::1]:1", "2001:db8::1", 1},
		{"10.0.0.1:65535", "10.0.0.1", 65535}, {"a", "", 0}, {"a:", "", 0}, {":1", "", 0},
		{"a:0", "", 0}, {"a:65536", "", 0}, {"a:1x", "", 0}, {"a:-1", "", 0},
		{"2001:db8::1:1", "", 0}, {"[]:1", "", 0}, {"https://a:1", "", 0}, {"a b:1", "", 0},
		{"192.0.2.300:1", "", 0}, {"[a.b:1]:1", "", 0}};
	char host[256];
	uint16_t port;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		int rc = mt_host_port(t[i].text, host, sizeof(host), &port);

		CU_ASSERT_EQUAL(rc == 0, t[i].port != 0);
		if (rc == 0) {
			CU_ASSERT_STRING_EQUAL(host, t[i].host);
			CU_ASSERT_EQUAL(port, t[i].port);
		}
	}
	CU_ASSERT_NOT_EQUAL(mt_host_port("abc:1", host, 3, &port), 0);
}

static void tokens(void)
{
	/* {"alg":"none"} . {"aud":"istio-ca","iss":"i","sub":"s","exp":1.9e9,"iat":5} */
	static const char good[] = "eyJhbGciOiJub25lIn0."
				   "eyJhdWQiOiJpc3Rpby1jYSIsImlzcyI6ImkiLCJzdWIiOiJzIiwiZXhwIjoxLjl"
				   "lOSwiaWF0Ijo1fQ.AA";
	static const struct {
		const char *text, *words;
	} bad[] = {{"", "three parts"}, {"a.b", "three parts"}, {"a.b.c.d", "three parts"},
		{"e30.e30.", "no signature"}, {"e30.e30.*", "signature is not base64url"},
		{"e30=.e30.AA", "header is not base64url"}, {"e.e30.AA", "header is not base64url"},
		{"W10.e30.AA", "header is not a JSON object"}, {"e30.bm8.AA", "claims is not JSON"},
		/* {"a":1,"a":1} */
		{"e30.eyJhIjoxLCJhIjoxfQ.AA", "claims is not JSON"}};
	static char huge[MT_JWT_MAX + 2];
	struct mt_jwt t;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_jwt_read(good, strlen(good), &t, &e), 0);
	CU_ASSERT_TRUE(mt_jwt_is_for(&t, "istio-ca"));
	CU_ASSERT_FALSE(mt_jwt_is_for(&t, "istio"));
	CU_ASSERT_EQUAL(t.expires, 1900000000);
	CU_ASSERT_EQUAL(t.issued_at, 5);
	CU_ASSERT_STRING_EQUAL(t.issuer, "i");
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_NOT_EQUAL(mt_jwt_read(bad[i].text, strlen(bad[i].text), &t, &e), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, bad[i].words));
	}
	memset(huge, 'a', sizeof(huge) - 1);
	CU_ASSERT_NOT_EQUAL(mt_jwt_read(huge, strlen(huge), &t, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "longer than"));
}

/* The part of a token that says so; padding is not part of it (RFC 7515). */
static size_t encode(const char *text, char *out)
{
	size_t n = (size_t)EVP_EncodeBlock(
		(unsigned char *)out, (const unsigned char *)text, (int)strlen(text));

	while (n && out[n - 1] == '=')
		n--;
	out[n] = '\0';
	for (char *p = out; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
	return n;
}

/* Texts of all lengths, with what becomes the two letters that plain base64 does not have. */
static void base64url(void)
{
	static const char letters[] = "abc~~~>>>xyz???";
	char issuer[200], json[256], part[512], token[600];
	struct mt_rand rng;
	struct mt_jwt t;
	struct mt_err e;
	size_t dashes = 0, lines = 0;

	mt_rand_seed(&rng, 7);
	for (size_t len = 0; len < 190; len++) {
		for (size_t i = 0; i < len; i++)
			issuer[i] = letters[mt_rand_below(&rng, sizeof(letters) - 1)];
		issuer[len] = '\0';
		snprintf(json, sizeof(json), "{\"iss\":\"%s\"}", issuer);
		encode(json, part);
		dashes += strchr(part, '-') != NULL;
		lines += strchr(part, '_') != NULL;
		snprintf(token, sizeof(token), "e30.%s.AA", part);
		CU_ASSERT_EQUAL(mt_jwt_read(token, strlen(token), &t, &e), 0);
		CU_ASSERT_STRING_EQUAL(t.issuer, issuer);
	}
	CU_ASSERT(dashes > 20 && lines > 20);
	/* Bits of the last letter that no byte has do not count. */
	CU_ASSERT_EQUAL(mt_jwt_read("e31.e33.AA", 10, &t, &e), 0);
	CU_ASSERT_NOT_EQUAL(mt_jwt_read(".e30.AA", 7, &t, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "header is not JSON"));
}

/* Each byte at each place of each length: 64 of them are of the alphabet, also at the ends. */
static void base64url_letters(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	/* "{}", "{ }", "{  }", "{   }", and one letter more than there can be. */
	static const char *const parts[] = {"e30", "eyB9", "eyAgfQ", "eyAgIH0", "eyB9e"};
	char token[32];
	struct mt_jwt t;
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
		for (size_t at = 0; at < strlen(parts[i]); at++)
			for (int c = 0; c < 256; c++) {
				size_t len = (size_t)snprintf(
					token, sizeof(token), "%s.e30.AA", parts[i]);
				bool sound =
					c && strchr(alphabet, c) && i + 1 < MT_ARRAY_LEN(parts);
				int rc;

				token[at] = (char)c;
				if (c == '.')
					continue;
				rc = mt_jwt_read(token, len, &t, &e);
				CU_ASSERT_EQUAL(
					rc && strstr(e.text, "header is not base64url text"),
					!sound);
				CU_ASSERT(rc == 0 || strstr(e.text, "header is no"));
			}
}

/* A name with everything that OpenSSL's textual form would read as more than one. */
static void a_request_names_exactly_the_uri(void)
{
	static const char uri[] = "spiffe://a/ns/b,DNS:evil/sa/c";
	char *key, *csr;
	struct mt_err e;
	STACK_OF(X509_EXTENSION) * list;
	GENERAL_NAMES *names;
	X509_REQ *req;
	BIO *bio;

	CU_ASSERT_EQUAL_FATAL(mt_csr_new(uri, &key, &csr, &e), 0);
	bio = BIO_new_mem_buf(csr, -1);
	req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(req);
	CU_ASSERT_EQUAL(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
	CU_ASSERT_EQUAL(EVP_PKEY_bits(X509_REQ_get0_pubkey(req)), 256);
	list = X509_REQ_get_extensions(req);
	names = X509V3_get_d2i(list, NID_subject_alt_name, NULL, NULL);
	CU_ASSERT_EQUAL_FATAL((int)sk_GENERAL_NAME_num(names), 1);
	CU_ASSERT_EQUAL(sk_GENERAL_NAME_value(names, 0)->type, GEN_URI);
	CU_ASSERT_NSTRING_EQUAL(
		ASN1_STRING_get0_data(sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier),
		uri, strlen(uri));
	GENERAL_NAMES_free(names);
	sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
	X509_REQ_free(req);
	BIO_free(bio);
	CU_ASSERT_PTR_NOT_NULL(strstr(key, "BEGIN PRIVATE KEY"));
	mt_wipe_free(key);
	free(csr);
}

/* Messages are bounded in depth also where we write them: metadata may hold any JSON. */
static void a_node_is_bounded_in_depth(void)
{
	for (int depth = 1; depth < 400; depth += 57) {
		char text[2048] = "{\"id\":\"a\",\"metadata\":{\"x\":";
		struct mt_region r;
		Xds__Node *m;
		json_t *o;

		memset(text + strlen(text), '[', (size_t)depth);
		memset(text + strlen(text), ']', (size_t)depth);
		strcat(text, "}}");
		o = json_loads(text, 0, NULL);
		mt_region_init(&r, 1u << 20);
		m = mt_node_message(&r, o);
		CU_ASSERT_EQUAL(m != NULL, depth < MT_PB_DEPTH);
		if (m)
			CU_ASSERT_STRING_EQUAL(m->metadata->fields[0]->key, "x");
		mt_region_fini(&r);
		json_decref(o);
	}
}

const struct mt_test bundle_tests[] = {{"assignments", assignments}, {"hosts", hosts},
	{"mesh", mesh}, {"addresses", addresses}, {"tokens", tokens}, {"base64url", base64url},
	{"base64url_letters", base64url_letters},
	{"a_request_names_exactly_the_uri", a_request_names_exactly_the_uri},
	{"a_node_is_bounded_in_depth", a_node_is_bounded_in_depth}, {0}};
