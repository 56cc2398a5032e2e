/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of an object's content. Objects with equal hashes count as equal, because authors of
 * documents cannot find collisions of SHA-256.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct mt_content_hash {
	uint8_t v[32];
};

/* Size of a hash as text: 64 hexadecimal digits and a NUL. */
#define MT_CONTENT_HASH_TEXT 65

static inline bool mt_content_hash_same(
	const struct mt_content_hash *a, const struct mt_content_hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void mt_content_hash_str(const struct mt_content_hash *h, char text[MT_CONTENT_HASH_TEXT]);
/* Parses the text of a hash. Returns false and sets *h to all 0 if `text` is not a hash. */
bool mt_content_hash_parse(const char *text, struct mt_content_hash *h);
