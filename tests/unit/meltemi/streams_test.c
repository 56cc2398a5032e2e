/* SPDX-License-Identifier: Apache-2.0 */
/* Captures and texts as byte streams: `meltemi codec test`. */
#include "packets.h"
#include "streams.h"
#include "suites.h"

#include <stdio.h>
#include <string.h>

#define SYN 0x02
#define ACK 0x10

struct file {
	uint8_t bytes[8192];
	uint32_t n;
	bool swapped, ng, old;
	uint32_t link, vlans, v6;
};

/* ---- captures -------------------------------------------------------------------------------- */

static void put(struct file *f, const void *p, uint32_t n)
{
	CU_ASSERT_FATAL(f->n + n <= sizeof(f->bytes));
	memcpy(f->bytes + f->n, p, n);
	f->n += n;
}

static void put32(struct file *f, uint32_t v)
{
	v = f->swapped ? __builtin_bswap32(v) : v;
	put(f, &v, sizeof(v));
}

static void put16(struct file *f, uint16_t v)
{
	v = f->swapped ? __builtin_bswap16(v) : v;
	put(f, &v, sizeof(v));
}

static void start(struct file *f)
{
	f->n = 0;
	if (!f->ng) {
		put32(f, 0xa1b2c3d4);
		put32(f, 0x00040002);
		for (int i = 0; i < 3; i++)
			put32(f, i == 2 ? 65535 : 0);
		put32(f, f->link);
		return;
	}
	put32(f, 0x0a0d0d0a);
	put32(f, 28);
	put32(f, 0x1a2b3c4d);
	for (int i = 0; i < 3; i++)
		put32(f, i ? UINT32_MAX : 1);
	put32(f, 28);
	put32(f, 1);
	put32(f, 20);
	put16(f, (uint16_t)f->link);
	put16(f, 0);
	put32(f, 0);
	put32(f, 20);
}

static void put_packet(struct file *f, const uint8_t *p, uint32_t n)
{
	uint32_t pad = -n & 3;

	if (!f->ng) {
		put32(f, 0);
		put32(f, 0);
		put32(f, n);
		put32(f, n);
		put(f, p, n);
		return;
	}
	put32(f, f->old ? 3 : 6);
	put32(f, (f->old ? 16 : 32) + n + pad);
	for (int i = 0; i < 4 && !f->old; i++)
		put32(f, i == 3 ? n : 0);
	put32(f, n);
	put(f, p, n);
	put(f, "\0\0\0", pad);
	put32(f, (f->old ? 16 : 32) + n + pad);
}

/* A segment of a client at port 40000 of a server at port 8080, or back. */
static void segment(struct file *f, bool client, uint32_t seq, uint8_t flags, const char *text)
{
	uint8_t p[256] = {0}, *at = p;
	uint32_t len = (uint32_t)strlen(text), c = client ? 1 : 2, s = client ? 2 : 1;
	uint16_t ports[2] = {client ? 40000 : 8080, client ? 8080 : 40000};

	if (f->link == 1) {
		at += 12;
		for (uint32_t i = 0; i < f->vlans; i++, at += 4)
			at[0] = 0x81;
		at[0] = f->v6 ? 0x86 : 8;
		at[1] = f->v6 ? 0xdd : 0;
		at += 2;
	}
	if (f->v6) {
		at[0] = 0x60;
		at[4] = (uint8_t)((8 + 20 + len) >> 8);
		at[5] = (uint8_t)(8 + 20 + len);
		at[23] = (uint8_t)c;
		at[39] = (uint8_t)s;
		at[40] = 6; /* after hop-by-hop options */
		at += 48;
	} else {
		at[0] = 0x45;
		at[3] = (uint8_t)(40 + len);
		at[9] = 6;
		at[12] = at[16] = 10;
		at[15] = (uint8_t)c;
		at[19] = (uint8_t)s;
		at += 20;
	}
	for (int i = 0; i < 2; i++) {
		at[2 * i] = (uint8_t)(ports[i] >> 8);
		at[2 * i + 1] = (uint8_t)ports[i];
	}
	for (int i = 0; i < 4; i++)
		at[4 + i] = (uint8_t)(seq >> (24 - 8 * i));
	at[12] = 0x50;
	at[13] = flags;
	memcpy(at + 20, text, len);
	/* Frames of Ethernet have bytes after a short packet. */
	put_packet(f, p, (uint32_t)(at + 20 + len - p) + (f->link == 1 ? 6 : 0));
}

static struct streams read_file(const struct file *f, uint32_t port)
{
	struct streams s = {0};

	CU_ASSERT(packets_is(f->bytes, f->n));
	CU_ASSERT(streams_capture(&s, f->bytes, f->n, port));
	return s;
}

static bool is(const struct stream *s, enum stream_from from, const char *text)
{
	bool same = s->from == from && s->n == strlen(text) && memcmp(s->bytes, text, s->n) == 0;

	if (!same)
		fprintf(stderr, "%s, from %d: \"%.*s\"\n", s->name, s->from, (int)s->n, s->bytes);
	return same;
}

static void call(struct file *f)
{
	start(f);
	segment(f, true, 999, SYN, "");
	segment(f, false, 4999, SYN | ACK, "");
	segment(f, true, 1000, ACK, "hel");
	segment(f, false, 5000, ACK, "world");
	segment(f, true, 1003, ACK, "lo");
}

static void formats(void)
{
	for (uint32_t i = 0; i < 32; i++) {
		struct file f = {.swapped = i & 1,
			.ng = i & 2,
			.link = i & 4 ? 1 : 101,
			.vlans = i & 4 ? i >> 3 & 2 : 0,
			.v6 = i & 8,
			.old = i & 16};
		struct streams s;

		call(&f);
		s = read_file(&f, 0);
		CU_ASSERT_FATAL(s.n == 2);
		CU_ASSERT(is(&s.of[0], STREAM_CLIENT, "hello") && s.of[0].whole);
		CU_ASSERT(is(&s.of[1], STREAM_SERVER, "world") && s.of[1].whole);
		CU_ASSERT_STRING_EQUAL(s.of[0].name,
			f.v6 ? "[::1]:40000 -> [::2]:8080" : "10.0.0.1:40000 -> 10.0.0.2:8080");
		CU_ASSERT(s.of[0].n_cuts == 1 && s.of[0].cuts[0].at == 3 && !s.of[0].cuts[0].gap);
		CU_ASSERT(!s.why[0] && !s.others);
		streams_free(&s);
	}
}

static void order(void)
{
	struct file f = {.link = 1};
	struct streams s;

	start(&f);
	segment(&f, true, UINT32_MAX - 2, SYN, "");
	segment(&f, true, 3, ACK, "fg");
	segment(&f, true, UINT32_MAX - 1, ACK, "abc");
	segment(&f, true, UINT32_MAX - 1, ACK, "XYZd"); /* sent again, with one more */
	segment(&f, true, 2, ACK, "e");
	segment(&f, true, UINT32_MAX - 2, ACK, "?"); /* keep-alive */
	s = read_file(&f, 0);
	CU_ASSERT_FATAL(s.n == 1);
	CU_ASSERT(is(&s.of[0], STREAM_CLIENT, "abcdefg"));
	streams_free(&s);
}

static void gaps(void)
{
	struct file f = {.link = 1};
	struct streams s;

	start(&f);
	segment(&f, true, 1000, ACK, "abc");
	segment(&f, true, 1013, ACK, "def");
	segment(&f, false, 999, SYN | ACK, "");
	segment(&f, false, 1004, ACK, "x");
	s = read_file(&f, 0);
	CU_ASSERT_FATAL(s.n == 2);
	CU_ASSERT(is(&s.of[0], STREAM_CLIENT, "abcdef") && !s.of[0].whole);
	CU_ASSERT(s.of[0].n_cuts == 1 && s.of[0].cuts[0].at == 3 && s.of[0].cuts[0].gap == 10);
	CU_ASSERT(is(&s.of[1], STREAM_SERVER, "x"));
	CU_ASSERT(s.of[1].n_cuts == 1 && s.of[1].cuts[0].at == 0 && s.of[1].cuts[0].gap == 4);
	streams_free(&s);
}

/* Ports are used again; without SYN the lower port is the server's. */
static void connections(void)
{
	struct file f = {.link = 101};
	struct streams s;

	start(&f);
	segment(&f, true, 9, SYN, "");
	segment(&f, true, 10, ACK, "one");
	segment(&f, true, 9, SYN, "");
	segment(&f, true, 77, SYN, "");
	segment(&f, true, 78, ACK, "two");
	segment(&f, false, 5, ACK, "back");
	s = read_file(&f, 0);
	CU_ASSERT_FATAL(s.n == 3);
	CU_ASSERT(is(&s.of[0], STREAM_CLIENT, "one") && is(&s.of[1], STREAM_CLIENT, "two"));
	CU_ASSERT(is(&s.of[2], STREAM_SERVER, "back"));
	streams_free(&s);
	s = read_file(&f, 40000);
	CU_ASSERT_FATAL(s.n == 3);
	CU_ASSERT(is(&s.of[0], STREAM_SERVER, "one"));
	streams_free(&s);
	s = read_file(&f, 80);
	CU_ASSERT(s.n == 0 && s.others == 6);
	streams_free(&s);
}

/* A file that ends anywhere, or has any wrong byte: what came before is read. */
static void damaged(void)
{
	for (uint32_t i = 0; i < 8; i++) {
		struct file f = {.swapped = i & 1, .ng = i & 2, .link = 1, .v6 = i & 4};
		struct streams s;
		uint32_t n;

		call(&f);
		n = f.n;
		for (f.n = 4; f.n < n; f.n++) {
			s = read_file(&f, 0);
			CU_ASSERT(s.n <= 2);
			streams_free(&s);
		}
		for (uint32_t at = 4; at < n; at++)
			for (uint32_t bit = 0; bit < 8; bit++) {
				f.bytes[at] ^= (uint8_t)(1u << bit);
				s = read_file(&f, 0);
				streams_free(&s);
				f.bytes[at] ^= (uint8_t)(1u << bit);
			}
	}
}

static void reasons(void)
{
	struct file f = {.ng = true, .link = 1};
	struct streams s;

	call(&f);
	f.n -= 3;
	s = read_file(&f, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.why, "a block's length is wrong, or exceeds the file"));
	CU_ASSERT(s.n == 2 && is(&s.of[0], STREAM_CLIENT, "hel"));
	streams_free(&s);
	f = (struct file){.link = 1};
	call(&f);
	f.n -= 3;
	s = read_file(&f, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.why, "a packet is longer than the rest of the file"));
	streams_free(&s);
	f.n = 20;
	s = read_file(&f, 0);
	CU_ASSERT_STRING_EQUAL(s.why, "byte 0: the head of the file is cut off");
	streams_free(&s);
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void texts(void)
{
	static const struct {
		const char *text, *want; /* "CLIENT:hex|EITHER:hex" by first letters */
	} rows[] = {
		{"ac3e 02\n00ff", "e:ac3e0200ff|"},
		{"# x\n\nclient: ac:3e\r\nserver 01\n02\n\n03\n", "c:ac3e|s:0102|e:03|"},
		{"client\n01\n\n", "c:01|"},
		{"00000000: ac3e 0200 0000 0005 0000 0015 0000 0002  .>..............\n"
		 "00000010: 0003 616e 65                             ..ane\n",
			"e:ac3e0200000000050000001500000002"
			"0003616e65|"},
		{"00000000  ac 3e 02 00 00 00 00 05  00 00 00 15 00 00 00 02  |.>..............|\n"
		 "00000010  00 03 61 6e 65 61 62 63                           |..aneabc|\n"
		 "00000018\n",
			"e:ac3e0200000000050000001500000002"
			"0003616e65616263|"},
		{"server:\n\t0x0000:  4500 003c 1c46  E..<.F\n\t0x0000:  4501  E.\n",
			"s:4500003c1c46|s:4501|"},
		{"0000   61 62 63 64 65 66 67 68   abcdefgh\n", "e:6162636465666768|"},
		{"6162  63\n", "e:616263|"},
		{"zz", "line 1: \"z\" is not one of two hexadecimal digits"},
		{"00\n0", "line 2: \"0\" is not one of two hexadecimal digits"},
		{"\x01", "line 1: byte 0x01 is not a hexadecimal digit"},
		{"00000000  00 01  |..|\n*\n", "line 2: a dump that leaves out repeated lines"},
		{"clientele", "line 1: \"c\""},
		{"\n# nothing\n", ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct streams s = {0};
		char is_[512] = "";
		size_t n = 0;

		if (!streams_text(&s, rows[i].text, strlen(rows[i].text)))
			n = (size_t)snprintf(
				is_, sizeof(is_), "%.*s", (int)strlen(rows[i].want), s.why);
		for (uint32_t k = 0; k < s.n && !s.why[0]; k++) {
			n += (size_t)snprintf(is_ + n, sizeof(is_) - n, "%c:", "cse"[s.of[k].from]);
			for (uint32_t b = 0; b < s.of[k].n; b++)
				n += (size_t)snprintf(
					is_ + n, sizeof(is_) - n, "%02x", s.of[k].bytes[b]);
			n += (size_t)snprintf(is_ + n, sizeof(is_) - n, "|");
		}
		CU_ASSERT_STRING_EQUAL(is_, rows[i].want);
		if (strcmp(is_, rows[i].want) != 0)
			fprintf(stderr, "%zu: %s\n", i, is_);
		streams_free(&s);
	}
}

const struct mt_test streams_tests[] = {{"formats", formats}, {"order", order}, {"gaps", gaps},
	{"connections", connections}, {"damaged", damaged}, {"reasons", reasons}, {"texts", texts},
	{0}};
