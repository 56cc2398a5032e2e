/* SPDX-License-Identifier: Apache-2.0 */
/* Places: where they are, and the bytes and numbers in them. */
#include "jce.h"
#include "look.h"
#include "run.h"

#define VARINT_MAX  10
#define DECIMAL_MAX 20

/*
 * Moves the cursor; backward it searches from the mark, or else from the chain's head. Costs a step
 * for each buffer.
 */
static void seek(struct table_run *r, uint32_t off)
{
	struct mt_cursor *cur = r->cur;

	if (cur->pos > off && r->mark.seg && r->mark.pos <= off)
		*cur = r->mark;
	if (cur->pos > off || !cur->seg) {
		r->used += MT_MIN(cur->chain->segs, off);
		mt_cursor_init(cur, cur->chain, off);
		return;
	}
	r->used += MT_MIN(cur->chain->segs, off - cur->pos);
	mt_cursor_skip(cur, off - cur->pos);
}

const uint8_t *table_far(struct table_run *r, uint32_t off, uint32_t n, uint8_t *tmp)
{
	const struct mt_chain *c = r->cur ? r->cur->chain : NULL;
	uint32_t last;

	if (!c || (uint64_t)off + n > c->len)
		return NULL;
	last = mt_chain_before_tail(c);
	if (off >= last)
		return mt_link_data(c->tail) + (off - last);
	seek(r, off);
	return mt_cursor_peek(r->cur, n, tmp);
}

void table_mark(struct table_run *r, uint32_t off)
{
	if (!r->cur)
		return;
	if (off >= r->head_len)
		seek(r, off);
	r->mark = *r->cur;
}

uint32_t table_piece(struct table_run *r, uint32_t off, uint32_t end, const uint8_t **p)
{
	end = MT_MIN(end, r->arrived);
	if (off >= end)
		return 0;
	if (off < r->head_len) {
		*p = r->head + off;
		return MT_MIN(end, r->head_len) - off;
	}
	if (!r->cur)
		return 0;
	seek(r, off);
	return MT_MIN(mt_cursor_run(r->cur, p), end - off);
}

/* The range that a place counts from. */
static bool range_of(
	const struct table_run *r, const struct mt_ct_place *p, uint64_t *from, uint64_t *end)
{
	struct table_slot s;

	*from = 0;
	*end = table_limit(r);
	if (p->base == MT_CT_START)
		return true;
	if (p->base == MT_CT_END)
		return r->msg->len != 0;
	if (!table_there(r, p->slot))
		return false;
	s = table_slot(r, p->slot);
	if (p->base == MT_CT_AFTER) {
		*from = (uint64_t)s.off + s.len;
	} else {
		*from = s.off;
		*end = (uint64_t)s.off + s.len;
	}
	return true;
}

enum table_rc table_locate(
	const struct table_run *r, const struct mt_ct_place *p, struct table_slot *at)
{
	uint64_t from, end, off;

	if (!range_of(r, p, &from, &end))
		return TABLE_ABSENT;
	off = (p->at < 0 ? end : from) + (uint64_t)(int64_t)p->at;
	if (off < from || off > end || p->size > end - off || end > UINT32_MAX)
		return TABLE_ABSENT;
	*at = (struct table_slot){(uint32_t)off, p->size ? p->size : (uint32_t)(end - off)};
	return TABLE_GOT;
}

int table_varint(const uint8_t *p, uint32_t n, uint64_t *v)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n && i < VARINT_MAX; i++) {
		/* The last byte has one bit: readers in Go take more for a mistake. */
		if (i == VARINT_MAX - 1 && p[i] > 1)
			return -1;
		sum |= (uint64_t)(p[i] & 0x7f) << 7 * i;
		if (p[i] < 0x80) {
			*v = sum;
			return (int)i + 1;
		}
	}
	return n < VARINT_MAX ? 0 : -1;
}

static bool decimal(const uint8_t *p, uint32_t n, uint64_t *v)
{
	bool negative = n > 0 && *p == '-';
	uint64_t sum = 0;

	if (negative)
		p++, n--;
	if (n == 0)
		return false;
	for (; n > 0; p++, n--) {
		if (*p < '0' || *p > '9' || sum > (UINT64_MAX - 9) / 10)
			return false;
		sum = sum * 10 + (uint64_t)(*p - '0');
	}
	*v = negative ? -sum : sum;
	/* A higher number would be a negative one. */
	return sum <= (uint64_t)INT64_MAX + negative;
}

static uint64_t extended(uint64_t v, uint32_t bytes)
{
	uint32_t unused = 64 - 8 * bytes;

	return (uint64_t)((int64_t)(v << unused) >> unused);
}

static bool plain(const uint8_t *p, uint32_t n, const struct mt_ct_place *place, uint64_t *v)
{
	uint64_t sum = 0;

	if (n == 0 || n > sizeof(sum))
		return false;
	for (uint32_t i = 0; i < n; i++)
		sum = sum << 8 | p[place->type == MT_CT_LITTLE ? n - 1 - i : i];
	*v = place->flags & MT_CT_SIGNED ? extended(sum, n) : sum;
	return true;
}

/* An integer with as many bytes as its type has. Signed. */
static bool jce(const uint8_t *p, uint32_t n, uint64_t *v)
{
	uint32_t head = table_jce_head(p, n), len = table_jce_integer(p, n);
	uint64_t sum = 0;

	if (len == 0 || len > n)
		return false;
	for (uint32_t i = head; i < len; i++)
		sum = sum << 8 | p[i];
	*v = len > head ? extended(sum, len - head) : 0;
	return true;
}

static bool convert(const uint8_t *p, uint32_t n, const struct mt_ct_place *place, uint64_t *v)
{
	switch (place->type) {
	case MT_CT_BIG:
	case MT_CT_LITTLE:
		return plain(p, n, place, v);
	case MT_CT_DECIMAL:
		return decimal(p, n, v);
	case MT_CT_VARINT:
		return table_varint(p, n, v) > 0;
	case MT_CT_ZIGZAG:
		if (table_varint(p, n, v) <= 0)
			return false;
		*v = *v >> 1 ^ -(*v & 1);
		return true;
	case MT_CT_JCE:
		return jce(p, n, v);
	default:
		return false;
	}
}

enum table_rc table_number(struct table_run *r, const struct mt_ct_place *p, uint64_t *v)
{
	uint8_t tmp[DECIMAL_MAX];
	struct table_slot at;
	const uint8_t *b;

	r->used += 4;
	*v = p->absent;
	if (table_locate(r, p, &at) != TABLE_GOT)
		return p->flags & MT_CT_DEFAULT ? TABLE_GOT : TABLE_ABSENT;
	/* Other bytes than a number do not get the default, because servers may read a number. */
	if (at.len == 0 || at.len > DECIMAL_MAX)
		return TABLE_ABSENT;
	if (!table_arrived(r, at.off + at.len))
		return TABLE_WAIT;
	b = table_bytes(r, at.off, at.len, tmp);
	if (!b || !convert(b, at.len, p, v))
		return TABLE_ABSENT;
	*v &= p->mask;
	return TABLE_GOT;
}

bool table_number_near(const uint8_t *p, uint32_t n, const struct mt_ct_place *place, uint64_t *v)
{
	uint32_t off = (uint32_t)place->at;

	if (place->base != MT_CT_START || place->size == 0 || off > n || place->size > n - off ||
		(place->type != MT_CT_BIG && place->type != MT_CT_LITTLE) ||
		!plain(p + off, place->size, place, v))
		return false;
	*v &= place->mask;
	return true;
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t n, bool icase)
{
	return memcmp(a, b, n) == 0 ||
	       (icase && strncasecmp((const char *)a, (const char *)b, n) == 0);
}

bool table_equal(struct table_run *r, uint32_t off, uint32_t len, uint32_t text, uint32_t text_len,
	bool icase)
{
	const uint8_t *want = r->t->text + text, *p;

	if (len != text_len)
		return false;
	for (uint32_t n; len > 0; off += n, want += n, len -= n) {
		n = table_piece(r, off, off + len, &p);
		if (n == 0 || !same(p, want, n, icase))
			return false;
		r->used += 2;
	}
	return true;
}
