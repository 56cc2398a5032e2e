/* SPDX-License-Identifier: Apache-2.0 */
/* ClientHellos as they come: in any segments and records, of OpenSSL's making, and malformed. */
#include "hello_make.h"
#include "mt_hello.h"
#include "tls_test.h"

#include <openssl/ssl.h>

#define LONGEST                                                                                    \
	(MT_HELLO_MAX -                                                                            \
		78) /* padding of the longest one: what else hello_make() writes is 78 bytes */

static uint8_t bytes[HELLO_ROOM], scratch[MT_HELLO_MAX];

struct seen {
	enum mt_hello_rc rc;
	bool good;
	uint32_t used; /* bytes of the stream that were read */
	struct mt_hello_says says;
};

/* Appends segments of at most `piece` bytes. */
static void append(struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece)
{
	for (uint32_t part; n > 0; p += part, n -= part) {
		struct rte_mbuf *m = mt_buf_data(&tls_pools);

		part = MT_MIN(n, piece);
		MT_ASSERT(m);
		memcpy((uint8_t *)m->buf_addr + m->data_off, p, part);
		mt_chain_append(c, m, m->data_off, part);
	}
}

/* In segments of `piece` bytes, a call for each. */
static struct seen see(const uint8_t *p, uint32_t n, uint32_t piece)
{
	struct seen s = {.rc = MT_HELLO_MORE};
	struct mt_chain c = {0};
	struct mt_hello h;

	mt_hello_init(&h, &c);
	for (uint32_t at = 0, part; at < n && s.rc == MT_HELLO_MORE; at += part) {
		part = MT_MIN(piece, n - at);
		append(&c, p + at, part, 1024);
		s.rc = mt_hello_read(&h);
	}
	s.used = h.cur.pos;
	if (s.rc == MT_HELLO_WHOLE)
		s.good = mt_hello_parse(&h, scratch, &s.says);
	mt_chain_free(&c);
	return s;
}

static struct seen see_made(const struct hello_how *how)
{
	return see(bytes, hello_make(bytes, how), 1024);
}

static bool is(struct mt_slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static const struct hello_how usual = {.names = {"Demo.Example.com"}, .alpn = {"h2", "http/1.1"}};

static void check_usual(struct seen s, uint32_t len)
{
	CU_ASSERT_EQUAL(s.rc, MT_HELLO_WHOLE);
	CU_ASSERT_TRUE(s.good);
	CU_ASSERT_EQUAL(s.used, len);
	CU_ASSERT_TRUE(is(s.says.name, "demo.example.com"));
	CU_ASSERT_TRUE(is(s.says.alpn, "\x02h2\x08http/1.1"));
}

static void test_each_boundary(void)
{
	static const uint32_t records[] = {0, 1, 2, 3, 4, 5, 50, 100};

	for (uint32_t r = 0; r < MT_ARRAY_LEN(records); r++) {
		struct hello_how how = usual;
		uint32_t n;

		how.record = records[r];
		n = hello_make(bytes, &how);
		for (uint32_t piece = 1; piece <= n; piece++)
			check_usual(see(bytes, n, piece), n);
		/* Each begin of it may become one, and is none yet. */
		for (uint32_t len = 1; len < n; len++)
			CU_ASSERT_EQUAL(see(bytes, len, 1024).rc, MT_HELLO_MORE);
	}
}

/* What follows is not its own: the next record, or early data (RFC 8446 §4.2.10). */
static void test_more_behind(void)
{
	uint32_t n = hello_make(bytes, &usual);

	memset(bytes + n, 0x17, 100);
	check_usual(see(bytes, n + 100, 2048), n);
}

static void test_what_is_missing(void)
{
	struct seen s = see_made(&(struct hello_how){.no_extensions = true});

	CU_ASSERT_TRUE(s.good && !s.says.name.len && !s.says.alpn.len);
	s = see_made(&(struct hello_how){.padding = 9});
	CU_ASSERT_TRUE(s.good && !s.says.name.len && !s.says.alpn.len);
	s = see_made(&(struct hello_how){.names = {"a"}});
	CU_ASSERT_TRUE(s.good && is(s.says.name, "a") && !s.says.alpn.len);
	/* One dot at the end is the root's; with two it is not a name. */
	s = see_made(&(struct hello_how){.names = {"A.x."}});
	CU_ASSERT_TRUE(s.good && is(s.says.name, "a.x"));
	s = see_made(&(struct hello_how){.names = {"a.x.."}});
	CU_ASSERT_TRUE(s.good && is(s.says.name, "a.x."));
	s = see_made(&(struct hello_how){.names = {"."}});
	CU_ASSERT_TRUE(s.good && is(s.says.name, "."));
	s = see_made(&(struct hello_how){.alpn = {"h2"}});
	CU_ASSERT_TRUE(s.good && !s.says.name.len && is(s.says.alpn, "\x02h2"));
}

static void test_grease(void)
{
	struct hello_how how = usual;
	struct seen s;

	how.grease = true;
	s = see_made(&how);
	CU_ASSERT_TRUE(s.good);
	CU_ASSERT_TRUE(is(s.says.name, "demo.example.com"));
	CU_ASSERT_TRUE(is(s.says.alpn, "\x02\x1a\x1a\x02h2\x08http/1.1"));
}

/* Extensions as they are; each of them alone is malformed. */
static void test_malformed_extensions(void)
{
	static const struct {
		const char *what;
		uint8_t len, ext[24];
	} rows[] = {
		{"no list of names", 4, {0, 0, 0, 0}},
		{"an empty list of names", 6, {0, 0, 0, 2, 0, 0}},
		{"an empty name", 9, {0, 0, 0, 5, 0, 3, 0, 0, 0}},
		{"a name longer than its list", 10, {0, 0, 0, 6, 0, 4, 0, 0, 9, 'a'}},
		{"a list longer than its extension", 10, {0, 0, 0, 6, 0, 9, 0, 0, 1, 'a'}},
		{"something behind the list", 11, {0, 0, 0, 7, 0, 4, 0, 0, 1, 'a', 0}},
		{"half an entry", 7, {0, 0, 0, 3, 0, 1, 0}},
		{"no list of protocols", 4, {0, 16, 0, 0}},
		{"an empty list of protocols", 6, {0, 16, 0, 2, 0, 0}},
		{"an empty protocol", 8, {0, 16, 0, 4, 0, 2, 0, 0}},
		{"a protocol longer than its list", 8, {0, 16, 0, 4, 0, 2, 2, 'h'}},
		{"something behind the protocols", 9, {0, 16, 0, 5, 0, 2, 1, 'h', 0}},
		{"half a header", 3, {0, 21, 0}},
		{"longer than all", 4, {0, 21, 0xff, 0xff}},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct seen s =
			see_made(&(struct hello_how){.ext = rows[i].ext, .ext_len = rows[i].len});

		CU_ASSERT_EQUAL(s.rc, MT_HELLO_WHOLE);
		CU_ASSERT_FALSE(s.good);
		if (s.good)
			fprintf(stderr, "%s is taken\n", rows[i].what);
	}
}

static void test_twice(void)
{
	struct hello_how how = {.names = {"a.example", "b.example"}};

	CU_ASSERT_FALSE(see_made(&how).good);
	how = (struct hello_how){.names = {"a.example"}, .twice = true};
	CU_ASSERT_FALSE(see_made(&how).good);
	how = (struct hello_how){.alpn = {"h2"}, .twice = true};
	CU_ASSERT_FALSE(see_made(&how).good);
}

/* Another type of name is passed over. */
static void test_other_name(void)
{
	static const uint8_t ext[] = {0, 0, 0, 12, 0, 10, 7, 0, 2, 'x', 'y', 0, 0, 2, 'h', 'i'};
	struct seen s = see_made(&(struct hello_how){.ext = ext, .ext_len = sizeof(ext)});

	CU_ASSERT_TRUE(s.good && is(s.says.name, "hi"));
}

static void test_long_name(void)
{
	char name[257];
	struct hello_how how = {.names = {name}};

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	CU_ASSERT_TRUE(see_made(&how).good);
	name[255] = 'n';
	name[256] = 0;
	CU_ASSERT_FALSE(see_made(&how).good);
}

static void test_trailing(void)
{
	CU_ASSERT_FALSE(see_made(&(struct hello_how){.names = {"a"}, .trailing = 1}).good);
	CU_ASSERT_FALSE(see_made(&(struct hello_how){.no_extensions = true, .trailing = 1}).good);
}

static void test_how_long(void)
{
	struct hello_how how = {.padding = LONGEST - 2 - 4};
	struct seen s = see_made(&how);

	while (s.rc == MT_HELLO_WHOLE) {
		CU_ASSERT_TRUE(s.good);
		how.padding++;
		s = see_made(&how);
	}
	CU_ASSERT_EQUAL(s.rc, MT_HELLO_TOO_LONG);
	CU_ASSERT_EQUAL(s.used, 9); /* its header says so */
	how.padding--;
	how.record = 1;
	s = see_made(&how);
	CU_ASSERT_TRUE(s.good);
	CU_ASSERT_EQUAL(s.used, 6 * MT_HELLO_MAX);
}

/* The first byte that tells is the last one that is read. */
static void test_other(void)
{
	static const struct {
		uint8_t used, len, bytes[8];
	} rows[] = {
		{1, 4, {'P', 'O', 'S', 'T'}},
		{1, 2, {0xda, 0xbb}},
		{1, 3, {0x15, 3, 1}},
		{1, 3, {0x80, 0x2e, 1}}, /* SSL 2.0 (RFC 8446 §4.1.2: no more) */
		{2, 3, {0x16, 2, 0}},
		{5, 6, {0x16, 3, 1, 0, 0, 1}},
		{5, 6, {0x16, 3, 1, 0x40, 1, 1}},
		{6, 7, {0x16, 3, 1, 0, 9, 2, 0}},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct seen s = see(rows[i].bytes, rows[i].len, 8);

		CU_ASSERT_EQUAL(s.rc, MT_HELLO_OTHER);
		CU_ASSERT_EQUAL(s.used, rows[i].used);
	}
}

/* One byte is another: whatever is said then lies in the message, in all divisions alike. */
static void test_one_byte_differs(void)
{
	uint32_t n = hello_make(bytes, &usual);

	for (uint32_t at = 0; at < n; at++) {
		uint8_t was = bytes[at];

		for (uint32_t x = 1; x < 256; x += x < 16 ? 1 : 15) {
			struct seen a, b;

			bytes[at] = was ^ (uint8_t)x;
			a = see(bytes, n, 1024);
			b = see(bytes, n, 13);
			CU_ASSERT_EQUAL(a.rc, b.rc);
			CU_ASSERT_EQUAL(a.good, b.good);
			CU_ASSERT_EQUAL(a.says.name.len, b.says.name.len);
			CU_ASSERT_TRUE(!a.good ||
				       a.says.name.p + a.says.name.len <= scratch + MT_HELLO_MAX);
		}
		bytes[at] = was;
	}
}

/* What OpenSSL's client begins with. */
static uint32_t of_openssl(const char *name, const char *alpn, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	SSL *ssl;
	int n;

	CU_ASSERT_FATAL(ctx && in && out && (ssl = SSL_new(ctx)) != NULL);
	SSL_set_bio(ssl, in, out);
	SSL_set_max_proto_version(ssl, version);
	SSL_set_tlsext_host_name(ssl, name);
	SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned int)strlen(alpn));
	CU_ASSERT_EQUAL(SSL_connect(ssl), -1);
	n = BIO_read(out, bytes, sizeof(bytes));
	CU_ASSERT_FATAL(n > 0);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return (uint32_t)n;
}

static void test_openssl(void)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		uint32_t n = of_openssl("Demo.Example.com", "\x02h2\x08http/1.1", versions[i]);

		for (uint32_t piece = 1; piece <= n; piece++)
			check_usual(see(bytes, n, piece), n);
	}
}

const struct mt_test hello_tests[] = {{"each boundary", test_each_boundary},
	{"more behind it", test_more_behind}, {"what is missing", test_what_is_missing},
	{"GREASE", test_grease}, {"malformed extensions", test_malformed_extensions},
	{"twice", test_twice}, {"another type of name", test_other_name},
	{"a long name", test_long_name}, {"something behind", test_trailing},
	{"how long it may be", test_how_long}, {"what is none", test_other},
	{"one byte differs", test_one_byte_differs}, {"OpenSSL's", test_openssl}, {0}};
