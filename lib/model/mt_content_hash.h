/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of the content of an object. Equal hashes count as equal content, so that no author of a
 * document can make another content with the hash of an existing one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct mt_content_hash {
	uint8_t v[32];
};

/* Size of its text: 64 hexadecimal digits, NUL-terminated. */
#define MT_CONTENT_HASH_TEXT 65

static inline bool mt_content_hash_same(
	const struct mt_content_hash *a, const struct mt_content_hash *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

void mt_content_hash_str(const struct mt_content_hash *h, char text[MT_CONTENT_HASH_TEXT]);
/* Parses its text. False, and *h all 0, if it is anything else. */
bool mt_content_hash_parse(const char *text, struct mt_content_hash *h);
