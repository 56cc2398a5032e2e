/* SPDX-License-Identifier: Apache-2.0 */
/* Splits a principal of the mesh into its parts. */
#include "mt_authz_priv.h"

#include <string.h>

/*
 * Takes the part before the next slash and skips the slash. Returns false if there is no slash, or
 * if the part is empty.
 */
static bool next_part(struct mt_slice *rest, struct mt_slice *part)
{
	const uint8_t *end = memchr(rest->p, '/', rest->len);

	if (!end || end == rest->p)
		return false;
	*part = (struct mt_slice){rest->p, (uint32_t)(end - rest->p)};
	rest->p = end + 1;
	rest->len -= part->len + 1;
	return true;
}

static bool is_word(struct mt_slice s, const char *word)
{
	return s.len == strlen(word) && memcmp(s.p, word, s.len) == 0;
}

bool mt_authz_member(struct mt_slice principal, struct mt_authz_member *m)
{
	struct mt_slice rest = principal, word;

	if (!next_part(&rest, &m->domain) || !next_part(&rest, &word) || !is_word(word, "ns") ||
		!next_part(&rest, &m->ns) || !next_part(&rest, &word) || !is_word(word, "sa"))
		return false;
	m->account = rest;
	return rest.len && !memchr(rest.p, '/', rest.len);
}
