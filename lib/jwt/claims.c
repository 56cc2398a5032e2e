/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_claims.h"

#include <string.h>

/* In front of an entry's path and value. */
struct head {
	uint16_t path, value;
	uint8_t kind;
};

bool mt_claims_next(const struct mt_claims *c, uint32_t *pos, struct mt_claim *out)
{
	const uint8_t *p = c->bytes + *pos;
	struct head h;

	if (*pos + sizeof(h) > c->len)
		return false;
	memcpy(&h, p, sizeof(h));
	p += sizeof(h);
	*out = (struct mt_claim){
		.kind = h.kind, .path = {p, h.path}, .value = {p + h.path, h.value}};
	*pos += (uint32_t)sizeof(h) + h.path + h.value;
	return true;
}

bool mt_claims_find(
	const struct mt_claims *c, struct mt_slice path, uint32_t *pos, struct mt_claim *out)
{
	while (mt_claims_next(c, pos, out))
		if (out->path.len == path.len && memcmp(out->path.p, path.p, path.len) == 0)
			return true;
	return false;
}

/* Names may hold any letter, so their lengths stand in front of them. */
uint32_t mt_claims_path(uint8_t *path, uint32_t len, const void *name, uint32_t n)
{
	if (n > MT_CLAIMS_PATH || len + 2 + n > MT_CLAIMS_PATH)
		return 0;
	path[len] = (uint8_t)(n >> 8);
	path[len + 1] = (uint8_t)n;
	memcpy(path + len + 2, name, n);
	return len + 2 + n;
}

bool mt_claims_add(
	struct mt_claims *c, uint8_t kind, struct mt_slice path, const void *value, uint32_t len)
{
	struct head h = {.path = (uint16_t)path.len, .value = (uint16_t)len, .kind = kind};
	uint8_t *to = c->bytes + c->len;

	if (c->n == MT_CLAIMS_ENTRIES || path.len > MT_CLAIMS_PATH || len > MT_CLAIMS_BYTES ||
		c->len + sizeof(h) + path.len + len > MT_CLAIMS_BYTES)
		return false;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), path.p, path.len);
	if (len)
		memcpy(to + sizeof(h) + path.len, value, len);
	c->n++;
	c->len += (uint32_t)sizeof(h) + path.len + len;
	return true;
}
