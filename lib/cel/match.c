/* SPDX-License-Identifier: Apache-2.0 */
/* matches() finds a regex anywhere in a text, but lib/route's RE2 compares whole texts. */
#include "mt_cel_priv.h"
#include "re2_shim.h"

#include <errno.h>
#include <string.h>

static size_t put(char *to, size_t at, const void *from, size_t n)
{
	memcpy(to + at, from, n);
	return at + n;
}

struct mt_re2 *mt_cel_match_new(struct mt_slice pattern, struct mt_err *e)
{
	char text[MT_CEL_TEXT + 32], why[200] = "";
	struct mt_re2 *re = mt_re2_new((const char *)pattern.p, pattern.len, why, sizeof(why));
	size_t n;

	/* Alone first: `a)(b` is wrong, but would be right in the parentheses below. */
	if (re) {
		mt_re2_free(re);
		/* As in CEL, `.` does not match line feeds unless the regex has (?s). */
		n = put(text, 0, "(?s:.*)(?-s:", 12);
		n = put(text, n, pattern.p, pattern.len);
		n = put(text, n, ")(?s:.*)", 8);
		re = mt_re2_new(text, n, why, sizeof(why));
	}
	if (!re)
		mt_err(e, -EINVAL, "%s", why);
	return re;
}
