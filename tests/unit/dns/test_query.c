/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile messages: cut at every byte, names that lead in circles, sections that lie. */
#include "wire.h"
#include "../../outcomes_seen.h"

#include <stdio.h>

static uint64_t counters[MT_DNS_N_OUTCOMES];

static enum mt_dns_verdict respond(const uint8_t *msg, uint32_t len, char text[4096])
{
	static struct mt_dns_table *t;
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};
	uint8_t *exact = malloc(len ? len : 1), out[MT_DNS_UDP_MAX];
	enum mt_dns_verdict v;
	uint32_t n = 0;

	/* A byte read too many is behind the block. */
	memcpy(exact, msg, len);
	if (!t)
		t = wire_table();
	v = mt_dns_respond(t, &ask, exact, len, out, sizeof(out), &n, counters);
	free(exact);
	text[0] = '\0';
	if (v == MT_DNS_REPLY)
		wire_text(out, n, text);
	return v;
}

static void test_cut(void)
{
	struct wire w;
	char text[4096];

	wire_query(&w, &(struct wire_query){.name = "db.example.com", .type = A, .edns = 1232});
	CU_ASSERT_EQUAL(respond(w.b, w.len, text), MT_DNS_REPLY);
	for (uint32_t n = 0; n < w.len; n++) {
		enum mt_dns_verdict v = respond(w.b, n, text);

		CU_ASSERT_EQUAL(v, n < 12 ? MT_DNS_SILENCE : MT_DNS_REPLY);
		if (n >= 12)
			CU_ASSERT_NSTRING_EQUAL(text, "FORMERR", 7);
	}
}

#define HEAD   "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define TAIL   "\x00\x01\x00\x01"
#define MSG(x) x, sizeof(x) - 1

static const struct {
	const char *what, *bytes;
	size_t len;
} bad[] = {
	{"a pointer to itself", MSG(HEAD "\xc0\x0c" TAIL)},
	{"a pointer forward", MSG(HEAD "\xc0\x0e\x01"
				       "a\x00" TAIL)},
	{"a pointer into the header", MSG(HEAD "\xc0\x02" TAIL)},
	{"a label, then a pointer to it", MSG(HEAD "\x01"
						   "a\xc0\x0c" TAIL)},
	{"a pointer to a pointer", MSG(HEAD "\x01"
					    "a\xc0\x0e" TAIL)},
	{"half a pointer", MSG(HEAD "\xc0")},
	{"a label of 64", MSG(HEAD "\x40"
				   "aaaa\x00" TAIL)},
	{"a label of the unused kind", MSG(HEAD "\x80"
						"aaaa\x00" TAIL)},
	{"a label longer than the message", MSG(HEAD "\x3f"
						     "aaaa\x00" TAIL)},
	{"no end of the name", MSG(HEAD "\x01"
					"a\x01"
					"b")},
	{"no question", MSG("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
	{"two questions", MSG("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00"
			      "\x01"
			      "a\x00" TAIL "\x01"
			      "b\x00" TAIL)},
	{"65,535 questions", MSG("\x12\x34\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff"
				 "\x01"
				 "a\x00" TAIL)},
	{"an answer that is not there", MSG("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00"
					    "\x01"
					    "a\x00" TAIL)},
	{"a record longer than the message",
		MSG("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
		    "\x01"
		    "a\x00" TAIL "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x01")},
	{"two OPT records", MSG("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x02"
				"\x01"
				"a\x00" TAIL "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
				"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")},
	{"an OPT record among the answers",
		MSG("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00"
		    "\x01"
		    "a\x00" TAIL "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")},
	{"an OPT record with a name", MSG("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01"
					  "\x01"
					  "a\x00" TAIL "\x01"
					  "a\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")},
	{"bytes behind the message", MSG(HEAD "\x01"
					      "a\x00" TAIL "x")},
};

static void test_bad(void)
{
	char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		enum mt_dns_verdict v =
			respond((const uint8_t *)bad[i].bytes, (uint32_t)bad[i].len, text);

		CU_ASSERT_EQUAL(v, MT_DNS_REPLY);
		CU_ASSERT_NSTRING_EQUAL(text, "FORMERR", 7);
		if (strncmp(text, "FORMERR", 7) != 0)
			printf("\n%s: %s\n", bad[i].what, text);
	}
}

/* Names of 255 bytes are names, longer ones are not (RFC 1035 §2.3.4). */
static void test_long_names(void)
{
	static const struct {
		uint32_t last; /* letters of the fourth label */
		const char *want;
	} cases[] = {{60, "NXDOMAIN"}, {61, "NXDOMAIN"}, {62, "FORMERR"}, {63, "FORMERR"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		char name[300], text[4096];
		struct wire w;

		/* 3 * 64 bytes, the last label with its length, the root: 194 and the letters. */
		memset(name, 'a', sizeof(name));
		name[63] = name[127] = name[191] = '.';
		strcpy(name + 192 + cases[i].last - 8, ".invalid");
		wire_query(&w, &(struct wire_query){.name = name, .type = A});
		CU_ASSERT_EQUAL(respond(w.b, w.len, text), MT_DNS_REPLY);
		CU_ASSERT_NSTRING_EQUAL(text, cases[i].want, 7);
	}
}

/* 127 labels cost no more than their bytes, and lead nowhere. */
static void test_many_labels(void)
{
	char name[300] = "", text[4096];
	struct wire w;

	for (int i = 0; i < 126; i++)
		strcat(name, "a.");
	strcat(name, "b");
	wire_query(&w, &(struct wire_query){.name = name, .type = A});
	CU_ASSERT_EQUAL(respond(w.b, w.len, text), MT_DNS_FORWARD);
}

/* Any bytes at all: an answer that can be read, or none. */
static void test_random(void)
{
	uint64_t x = 88172645463325252ull;
	struct wire q;

	wire_query(&q, &(struct wire_query){.name = "a.wild.example.com", .type = A, .edns = 900});
	for (uint32_t i = 0; i < 200000; i++) {
		struct wire w = {0};
		char text[4096];

		w.len = q.len;
		memcpy(w.b, q.b, q.len);
		for (uint32_t k = 0; k < 1 + i % 4; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			w.b[x % w.len] = (uint8_t)(x >> 32);
		}
		if (respond(w.b, w.len, text) != MT_DNS_REPLY)
			continue;
		if (strncmp(text, "MALFORMED", 9) == 0) {
			CU_FAIL_FATAL("an answer that cannot be read");
		}
	}
}

/* ---- what is passed on, and what comes back ------------------------------------------------------ */

static void test_rewrite(void)
{
	struct wire w, big;
	uint8_t out[2048];

	wire_query(&w, &(struct wire_query){.name = "a.b", .type = A, .id = 5, .edns = 4096});
	mt_dns_query_rewrite(w.b, w.len, 0xabcd, out);
	CU_ASSERT_EQUAL(mt_dns_id(out), 0xabcd);
	wire_query(
		&big, &(struct wire_query){.name = "a.b", .type = A, .id = 0xabcd, .edns = 1232});
	CU_ASSERT(memcmp(out, big.b, big.len) == 0);
	wire_query(&w, &(struct wire_query){.name = "a.b", .type = A, .id = 5, .edns = 600});
	mt_dns_query_rewrite(w.b, w.len, 5, out);
	CU_ASSERT(memcmp(out, w.b, w.len) == 0);
	CU_ASSERT_EQUAL(mt_dns_datagram_limit(w.b, w.len), 600);
	CU_ASSERT_EQUAL(mt_dns_datagram_limit(big.b, big.len), 1232);
	CU_ASSERT_EQUAL(mt_dns_datagram_limit(big.b, 3), 512);
}

static void test_is_reply(void)
{
	struct wire q, r;
	static const struct {
		struct wire_query q;
		bool want;
	} cases[] = {
		{{.name = "a.example", .type = A, .id = 9, .flags = 0x8180}, true},
		{{.name = "A.ExamplE", .type = A, .id = 9, .flags = 0x8180}, true},
		{{.name = "a.example", .type = A, .id = 9, .flags = 0x8183}, true},
		{{.name = "a.example", .type = A, .id = 8, .flags = 0x8180}, false},
		{{.name = "a.example", .type = A, .id = 9, .flags = 0x0180}, false},
		{{.name = "a.example", .type = A, .id = 9, .flags = 0xa180}, false},
		{{.name = "b.example", .type = A, .id = 9, .flags = 0x8180}, false},
		{{.name = "a.example.x", .type = A, .id = 9, .flags = 0x8180}, false},
		{{.name = "a.example", .type = AAAA, .id = 9, .flags = 0x8180}, false},
		{{.name = "a.example", .type = A, .class = 3, .id = 9, .flags = 0x8180}, false},
	};

	wire_query(&q, &(struct wire_query){.name = "a.example", .type = A, .id = 9});
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		wire_query(&r, &cases[i].q);
		CU_ASSERT_EQUAL(mt_dns_is_reply_to(r.b, r.len, q.b, q.len), cases[i].want);
		for (uint32_t n = 0; n < r.len; n++)
			CU_ASSERT_FALSE(mt_dns_is_reply_to(r.b, n, q.b, q.len));
	}
	/* An error without the question is one; a success without it is not. */
	r.b[5] = 0;
	r.b[2] = 0x81;
	r.b[1] = 9;
	r.b[3] = 0x82;
	CU_ASSERT_TRUE(mt_dns_is_reply_to(r.b, 12, q.b, q.len));
	r.b[3] = 0x80;
	CU_ASSERT_FALSE(mt_dns_is_reply_to(r.b, 12, q.b, q.len));
	outcomes_seen(&mt_dns_outcomes, counters); /* of the whole suite */
}

const struct mt_test query_tests[] = {{"cut", test_cut}, {"bad", test_bad},
	{"long_names", test_long_names}, {"many_labels", test_many_labels}, {"random", test_random},
	{"rewrite", test_rewrite}, {"is_reply", test_is_reply}, {0}};
