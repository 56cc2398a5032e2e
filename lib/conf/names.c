/* SPDX-License-Identifier: Apache-2.0 */
/* What names may hold: they become parts of clusters' and counters' names, and operators type them. */
#include "mt_conf_priv.h"

#include <string.h>

#define LABEL_MAX 63
#define HOST_MAX  253

static bool is_letter(unsigned char c, bool underscore)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	       (c >= 'A' && c <= 'Z') || (underscore && c == '_');
}

static bool is_word(const char *s, size_t len, size_t max, bool underscore)
{
	if (len == 0 || len > max || s[0] == '-' || s[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_letter((unsigned char)s[i], underscore))
			return false;
	return true;
}

bool mt_is_label(const char *s)
{
	return is_word(s, strlen(s), LABEL_MAX, false);
}

/* Longer parts than DNS allows are found in names of Java interfaces, which are hosts here too. */
bool mt_is_host(const char *s)
{
	if (strlen(s) > HOST_MAX)
		return false;
	for (;; s++) {
		size_t len = strcspn(s, ".");

		if (!is_word(s, len, HOST_MAX, true))
			return false;
		s += len;
		if (!*s)
			return true;
	}
}

bool mt_b_label(struct mt_build *b, const struct mt_meta *meta, const struct mt_text *t,
	const char *path, const char *what)
{
	if (mt_is_label(t->s))
		return true;
	mt_b_error(b, meta, t->line, path, "letters, digits and dashes between them, 63 at most",
		"\"%.96s\" is not a name for a %s", t->s, what);
	return false;
}

/* All lists and fields are the caller's own words, and short. */
static char *put(char *at, const char *end, const char *text)
{
	size_t len = MT_MIN(strlen(text), (size_t)(end - at));

	memcpy(at, text, len);
	return at + len;
}

char *mt_index_path(char buf[MT_INDEX_PATH], const char *list, uint32_t i, const char *field)
{
	const char *end = buf + MT_INDEX_PATH - 1;
	char digits[12], *d = digits + sizeof(digits) - 1, *at;

	*d = '\0';
	do
		*--d = (char)('0' + i % 10);
	while (i /= 10);
	at = put(buf, end, list);
	at = put(at, end, "[");
	at = put(at, end, d);
	at = put(at, end, "]");
	at = put(at, end, field);
	*at = '\0';
	return buf;
}
