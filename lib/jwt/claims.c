/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_claims.h"

#include <string.h>

/* Head of a group; the path and then the values follow. */
struct head {
	uint16_t path, values; /* bytes of each */
};

/* Head of a value: its length << 1; the lowest bit is set for MT_CLAIM_OTHER. */
typedef uint16_t value_head;

_Static_assert(MT_CLAIMS_BYTES <= UINT16_MAX / 2, "a value's length leaves a bit");

static bool next_group(const struct mt_claims *c, struct mt_claims_at *at)
{
	const uint8_t *p = c->bytes + at->end;
	struct head h;

	if (at->end + sizeof(h) > c->len)
		return false;
	memcpy(&h, p, sizeof(h));
	at->path = (struct mt_slice){p + sizeof(h), h.path};
	at->next = at->end + (uint32_t)sizeof(h) + h.path;
	at->end = at->next + h.values;
	return true;
}

static void take(const struct mt_claims *c, struct mt_claims_at *at, struct mt_claim *out)
{
	const uint8_t *p = c->bytes + at->next;
	value_head h;

	memcpy(&h, p, sizeof(h));
	*out = (struct mt_claim){.kind = h & 1 ? MT_CLAIM_OTHER : MT_CLAIM_STRING,
		.path = at->path,
		.value = {p + sizeof(h), h >> 1}};
	at->next += (uint32_t)sizeof(h) + out->value.len;
}

bool mt_claims_next(const struct mt_claims *c, struct mt_claims_at *at, struct mt_claim *out)
{
	if (at->next == at->end && !next_group(c, at))
		return false;
	take(c, at, out);
	return true;
}

static bool same(struct mt_slice a, struct mt_slice b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

bool mt_claims_find(const struct mt_claims *c, struct mt_slice path, struct mt_claims_at *at,
	struct mt_claim *out)
{
	while (at->next != at->end || next_group(c, at)) {
		if (same(at->path, path)) {
			take(c, at, out);
			return true;
		}
		at->next = at->end;
	}
	return false;
}

/* A name may contain any character, so its length precedes it. */
uint32_t mt_claims_path(uint8_t *path, uint32_t len, const void *name, uint32_t n)
{
	if (n > MT_CLAIMS_PATH || len + 2 + n > MT_CLAIMS_PATH)
		return 0;
	path[len] = (uint8_t)(n >> 8);
	path[len + 1] = (uint8_t)n;
	memcpy(path + len + 2, name, n);
	return len + 2 + n;
}

/* True if the last group has this path; *h is its head. */
static bool is_last(const struct mt_claims *c, struct mt_slice path, struct head *h)
{
	struct head last;

	if (!c->n)
		return false;
	memcpy(&last, c->bytes + c->last, sizeof(last));
	if (!same((struct mt_slice){c->bytes + c->last + sizeof(last), last.path}, path))
		return false;
	*h = last;
	return true;
}

static void put(struct mt_claims *c, const void *p, size_t n)
{
	if (n)
		memcpy(c->bytes + c->len, p, n);
	c->len += (uint32_t)n;
}

bool mt_claims_add(
	struct mt_claims *c, uint8_t kind, struct mt_slice path, const void *value, uint32_t len)
{
	value_head v = (value_head)(len << 1 | (kind == MT_CLAIM_OTHER));
	struct head h = {.path = (uint16_t)path.len};
	uint32_t size = (uint32_t)sizeof(v) + len;
	bool more = is_last(c, path, &h);

	if (c->n == MT_CLAIMS_ENTRIES || path.len > MT_CLAIMS_PATH || len > MT_CLAIMS_BYTES ||
		c->len + size + (more ? 0 : sizeof(h) + path.len) > MT_CLAIMS_BYTES)
		return false;
	if (!more) {
		c->last = c->len;
		put(c, &h, sizeof(h));
		put(c, path.p, path.len);
	}
	h.values = (uint16_t)(h.values + size);
	memcpy(c->bytes + c->last, &h, sizeof(h));
	put(c, &v, sizeof(v));
	put(c, value, len);
	c->n++;
	return true;
}
