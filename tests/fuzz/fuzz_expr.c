/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of traces and filters. The first byte chooses which fields are known; the rest is the expression and, as a
 * text, every value.
 */
#include "fuzz.h"

#include "mt_expr.h"

#include <string.h>

#define TEXT_MAX 1024

static void make_values(struct mt_expr_values *v, const uint8_t *p, size_t n, uint8_t known)
{
	memset(v, 0, sizeof(*v));
	for (uint32_t f = 0; f < MT_EXPR_N_FIELDS; f++) {
		if (!(known >> f % 8 & 1))
			continue;
		if (mt_expr_fields[f].type == MT_EXPR_TEXT)
			mt_expr_set_text(v, f, (struct mt_slice){n ? p : NULL, (uint32_t)n});
		else
			v->known |= 1ull << f;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_expr_values some, all;
	struct mt_expr x, again;
	char text[TEXT_MAX + 1];
	struct mt_err e = {""};
	enum mt_tri early;
	size_t n;

	if (size == 0)
		return 0;
	n = MT_MIN(size - 1, (size_t)TEXT_MAX);
	memcpy(text, data + 1, n);
	text[n] = '\0';
	n = strlen(text);
	if (mt_expr_compile(&x, text, ~0ull, &e) != 0) {
		MT_ASSERT(e.text[0]);
		return 0;
	}
	MT_ASSERT(mt_expr_compile(&again, text, mt_expr_uses(&x), &e) == 0);
	MT_ASSERT(memcmp(&x, &again, sizeof(x)) == 0);
	make_values(&some, data + 1, n, data[0]);
	make_values(&all, data + 1, n, 0xff);
	/* What is decided early is never decided otherwise, and all known is decided. */
	early = mt_expr_eval(&x, &some);
	MT_ASSERT(mt_expr_eval(&x, &all) != MT_TRI_MAYBE || mt_expr_uses(&x) == 0);
	MT_ASSERT(early == MT_TRI_MAYBE || early == mt_expr_eval(&x, &all));
	return 0;
}
