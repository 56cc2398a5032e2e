/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of ClientHellos: all ways to divide the bytes agree, what it says lies in the message, and no call takes
 * more steps than its bytes allow.
 */
#include "fuzz_steps.h"
#include "mt_hello.h"

#include <string.h>

/* Of a call; and of the parser, which sees the message as a whole. */
static const struct steps_bound read_bound = {500, 24}, parse_bound = {1000, 64};

struct way {
	uint32_t piece, call;
};

/* What came of it. */
struct outcome {
	enum mt_hello_rc rc;
	bool good;
	struct mt_hello_says says;
	uint8_t message[MT_HELLO_MAX];
};

static uint64_t all_steps;
static struct steps_worst worst;

static void held_to(const char *what, struct steps_bound b, uint64_t before, uint32_t bytes)
{
	uint64_t took = steps_taken - before;

	steps_hold(&worst, what, took, b.a + (uint64_t)b.b * bytes);
	all_steps += took;
}

static void check_slice(const struct outcome *o, const struct mt_hello *h, struct mt_slice s)
{
	if (s.len)
		MT_ASSERT(s.p > o->message && s.p + s.len <= o->message + h->len);
}

static void parse(const struct mt_hello *h, struct outcome *o)
{
	uint64_t before = steps_taken;

	MT_ASSERT(h->len <= MT_HELLO_MAX && h->got == h->len);
	o->good = mt_hello_parse(h, o->message, &o->says);
	held_to("parse", parse_bound, before, h->cur.pos);
	if (!o->good)
		return;
	check_slice(o, h, o->says.name);
	check_slice(o, h, o->says.alpn);
	MT_ASSERT(o->says.name.len <= 255);
	for (uint32_t i = 0; i < o->says.alpn.len; i += 1u + o->says.alpn.p[i])
		MT_ASSERT(o->says.alpn.p[i] > 0 && i + o->says.alpn.p[i] < o->says.alpn.len);
}

static void read_all(const struct way *w, const uint8_t *data, uint32_t size, struct outcome *o)
{
	struct mt_chain c = {0};
	struct mt_hello h;

	mt_hello_init(&h, &c);
	o->rc = MT_HELLO_MORE;
	for (uint32_t at = 0, n; at < size && o->rc == MT_HELLO_MORE; at += n) {
		uint64_t before;

		n = MT_MIN(w->call, size - at);
		fuzz_append(&c, data + at, n, w->piece);
		before = steps_taken;
		o->rc = mt_hello_read(&h);
		held_to("read", read_bound, before, n);
		MT_ASSERT(o->rc != MT_HELLO_MORE || h.cur.pos == c.len);
	}
	if (o->rc == MT_HELLO_WHOLE)
		parse(&h, o);
	mt_chain_free(&c);
}

static bool same(struct mt_slice a, struct mt_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct way ways[] = {{2048, UINT32_MAX}, {61, 7}, {1, 1}};
	static struct outcome first, other;

	if (size == 0 || size > 32768)
		return 0;
	all_steps = 0;
	worst = (struct steps_worst){0};
	read_all(&ways[0], data, (uint32_t)size, &first);
	for (uint32_t i = 1; i < MT_ARRAY_LEN(ways); i++) {
		read_all(&ways[i], data, (uint32_t)size, &other);
		MT_ASSERT(other.rc == first.rc);
		if (first.rc != MT_HELLO_WHOLE)
			continue;
		MT_ASSERT(other.good == first.good);
		MT_ASSERT(!first.good || (same(first.says.name, other.says.name) &&
						 same(first.says.alpn, other.says.alpn)));
	}
	fuzz_steps_tell(all_steps, size, &worst, data, size);
	fuzz_check_pools();
	return 0;
}
