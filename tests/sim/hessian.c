/* SPDX-License-Identifier: Apache-2.0 */
#include "hessian.h"
#include "link.h"

#include <string.h>

#define SHORT_STRING 31 /* characters that fit into the tag */
#define SHORT_BINARY 15
#define MEDIUM	     1023 /* two bits of the tag and one byte */
#define CHUNK	     32768

void hessian_text(struct rpc_bytes *out, const char *s)
{
	uint32_t n = (uint32_t)strlen(s);

	if (n <= SHORT_STRING) {
		rpc_put8(out, (uint8_t)n);
	} else {
		rpc_put8(out, (uint8_t)(0x30 + (n >> 8)));
		rpc_put8(out, (uint8_t)n);
	}
	rpc_put(out, s, n);
}

/* Characters below U+0080 take one byte, the others of Latin-1 two. */
static void characters(struct rpc_bytes *out, const uint8_t *p, uint32_t n)
{
	uint8_t *from = rpc_room(out, 2 * n), *to = from;

	for (uint32_t i = 0; i < n; i++) {
		if (p[i] < 0x80) {
			*to++ = p[i];
		} else {
			*to++ = 0xc0 | p[i] >> 6;
			*to++ = 0x80 | (p[i] & 0x3f);
		}
	}
	out->len -= 2 * n - (uint32_t)(to - from);
}

void hessian_string(struct hessian *h, const uint8_t *p, uint32_t n)
{
	uint32_t chunk = sim_one_in(h->rand, 2) ? CHUNK : 1 + sim_below(h->rand, 2000);

	for (; n > chunk; p += chunk, n -= chunk) {
		rpc_put8(h->out, 'R');
		rpc_put16(h->out, (uint16_t)chunk);
		characters(h->out, p, chunk);
	}
	if (n <= SHORT_STRING) {
		rpc_put8(h->out, (uint8_t)n);
	} else if (n <= MEDIUM) {
		rpc_put8(h->out, (uint8_t)(0x30 + (n >> 8)));
		rpc_put8(h->out, (uint8_t)n);
	} else {
		rpc_put8(h->out, 'S');
		rpc_put16(h->out, (uint16_t)n);
	}
	characters(h->out, p, n);
}

void hessian_binary(struct hessian *h, const uint8_t *p, uint32_t n)
{
	uint32_t chunk = sim_one_in(h->rand, 2) ? 65535 : 1 + sim_below(h->rand, 2000);

	for (; n > chunk; p += chunk, n -= chunk) {
		rpc_put8(h->out, 'A');
		rpc_put16(h->out, (uint16_t)chunk);
		rpc_put(h->out, p, chunk);
	}
	if (n <= SHORT_BINARY) {
		rpc_put8(h->out, (uint8_t)(0x20 + n));
	} else if (n <= MEDIUM) {
		rpc_put8(h->out, (uint8_t)(0x34 + (n >> 8)));
		rpc_put8(h->out, (uint8_t)n);
	} else {
		rpc_put8(h->out, 'B');
		rpc_put16(h->out, (uint16_t)n);
	}
	rpc_put(h->out, p, n);
}

/* ---- values that nobody reads, but that a proxy may have to step over ---- */

/* A tag of `base` and up to `span` more, then `n` bytes of anything. */
static void scalar(struct hessian *h, uint8_t base, uint32_t span, uint32_t n)
{
	rpc_put8(h->out, (uint8_t)(base + sim_below(h->rand, span)));
	while (n--)
		rpc_put8(h->out, (uint8_t)mt_rand_u64(h->rand));
}

static void junk_scalar(struct hessian *h)
{
	static const struct {
		uint8_t base, span, n;
	} forms[] = {
		{'N', 1, 0}, {'T', 1, 0}, {'F', 1, 0},			 /* null, true, false */
		{0x80, 64, 0}, {0xc0, 16, 1}, {0xd0, 8, 2}, {'I', 1, 4}, /* int */
		{0xd8, 24, 0}, {0xf0, 16, 1}, {0x38, 8, 2}, {'Y', 1, 4}, {'L', 1, 8}, /* long */
		{0x5b, 2, 0}, {0x5d, 1, 1}, {0x5e, 1, 2}, {0x5f, 1, 4}, {'D', 1, 8},  /* double */
		{'J', 1, 8}, {'K', 1, 4},					      /* date */
	};
	uint32_t i = sim_below(h->rand, MT_ARRAY_LEN(forms));

	scalar(h, forms[i].base, forms[i].span, forms[i].n);
}

static void junk_bytes(struct hessian *h)
{
	uint8_t b[300];
	uint32_t n = sim_below(h->rand, sim_one_in(h->rand, 4) ? sizeof(b) : 20);

	for (uint32_t i = 0; i < n; i++)
		b[i] = (uint8_t)mt_rand_u64(h->rand);
	if (sim_one_in(h->rand, 2))
		hessian_string(h, b, n);
	else
		hessian_binary(h, b, n);
}

static void many(struct hessian *h, uint32_t n, uint32_t depth)
{
	while (n--)
		hessian_junk(h, depth);
}

static void junk_list(struct hessian *h, uint32_t depth)
{
	uint32_t n = sim_below(h->rand, 6), form = sim_below(h->rand, 6);
	static const uint8_t tags[] = {0x55, 'V', 0x57, 0x58, 0x70, 0x78};
	bool typed = form == 0 || form == 1 || form == 4;

	rpc_put8(h->out, (uint8_t)(tags[form] + (form >= 4 ? n : 0)));
	if (typed)
		hessian_text(h->out, "[object");
	if (form == 1 || form == 3)
		rpc_put8(h->out, (uint8_t)(0x90 + n));
	many(h, n, depth);
	if (form == 0 || form == 2)
		rpc_put8(h->out, 'Z');
}

static void junk_map(struct hessian *h, uint32_t depth)
{
	uint32_t n = sim_below(h->rand, 4);
	bool typed = sim_one_in(h->rand, 2);

	rpc_put8(h->out, typed ? 'M' : 'H');
	if (typed)
		hessian_text(h->out, "java.util.TreeMap");
	for (; n; n--) {
		hessian_text(h->out, "tag"); /* looks like an attachment, and is none */
		hessian_junk(h, depth);
	}
	rpc_put8(h->out, 'Z');
}

static void junk_object(struct hessian *h, uint32_t depth)
{
	uint32_t fields = sim_below(h->rand, 4), def = h->defs++;

	rpc_put8(h->out, 'C');
	hessian_text(h->out, "org.sim.Bean");
	rpc_put8(h->out, (uint8_t)(0x90 + fields));
	for (uint32_t i = 0; i < fields; i++)
		hessian_text(h->out, i ? "age" : "name");
	if (def < 16 && sim_one_in(h->rand, 2)) {
		rpc_put8(h->out, (uint8_t)(0x60 + def));
	} else {
		rpc_put8(h->out, 'O');
		rpc_put8(h->out, (uint8_t)(0x90 + def));
	}
	many(h, fields, depth);
}

void hessian_junk(struct hessian *h, uint32_t depth)
{
	uint32_t form = sim_below(h->rand, depth ? 6 : 2);

	switch (form) {
	case 0:
		junk_scalar(h);
		return;
	case 1:
		junk_bytes(h);
		return;
	case 2:
		junk_list(h, depth - 1);
		return;
	case 3:
		junk_map(h, depth - 1);
		return;
	case 4:
		junk_object(h, depth - 1);
		return;
	default:
		rpc_put8(h->out, 'Q'); /* what was the first container once more */
		rpc_put8(h->out, 0x90);
	}
}

/* ---- reading ---- */

/* One chunk's length in its units, bytes of its head, whether it is text, whether it is the last. */
struct chunk {
	uint32_t len, head;
	bool text, last;
};

static bool chunk_head(const uint8_t *p, uint32_t n, struct chunk *c)
{
	uint8_t t;

	if (n == 0)
		return false;
	t = p[0];
	*c = (struct chunk){.last = t != 'R' && t != 'A', .text = t <= SHORT_STRING};
	if (t == 'S' || t == 'R' || t == 'B' || t == 'A') {
		c->text = t == 'S' || t == 'R';
		c->head = 3;
		c->len = n >= 3 ? sim_get16(p + 1) : 0;
	} else if (t >= 0x30 && t <= 0x37) {
		c->text = t <= 0x33;
		c->head = 2;
		c->len = n >= 2 ? (uint32_t)(t & 3) << 8 | p[1] : 0;
	} else if (t <= 0x2f) {
		c->head = 1;
		c->len = c->text ? t : t - 0x20u;
	} else {
		return false;
	}
	return n >= c->head;
}

/* Characters to bytes; the length on the wire, 0 when they are not all there or not of Latin-1. */
static uint32_t take_text(const uint8_t *p, uint32_t n, uint32_t len, struct rpc_bytes *flat)
{
	uint8_t *to = rpc_room(flat, len);
	uint32_t at = 0;

	while (len--) {
		if (at < n && p[at] < 0x80) {
			*to++ = p[at++];
			continue;
		}
		if (at + 2 > n || (p[at] & 0xfc) != 0xc0)
			return 0;
		*to++ = (uint8_t)(p[at] << 6 | (p[at + 1] & 0x3f));
		at += 2;
	}
	return at;
}

uint32_t hessian_take(const uint8_t *p, uint32_t n, struct rpc_bytes *flat)
{
	struct chunk c = {.last = false};
	uint32_t at = 0, used;

	while (!c.last) {
		if (!chunk_head(p + at, n - at, &c))
			return 0;
		at += c.head;
		used = c.len;
		if (c.text)
			used = take_text(p + at, n - at, c.len, flat);
		else if (c.len <= n - at)
			rpc_put(flat, p + at, c.len);
		if (used > n - at || (used == 0 && c.len))
			return 0;
		at += used;
	}
	return at;
}
