/* SPDX-License-Identifier: Apache-2.0 */
#include "source_test.h"

#include <string.h>

struct loaded load_text(const char *text)
{
	struct loaded l = {.m = mt_model_new()};

	mt_diags_init(&l.diags);
	mt_source_text(l.m, &l.diags, "t", text, strlen(text));
	return l;
}

void unload(struct loaded *l)
{
	mt_diags_fini(&l->diags);
	mt_model_free(l->m);
}

const char *first_diag(const struct loaded *l)
{
	static char line[1024];
	uint32_t i = 0;

	if (!l->diags.n)
		return "";
	while (i + 1 < l->diags.n && l->diags.items[i].severity != MT_DIAG_ERROR)
		i++;
	mt_diag_format(&l->diags.items[i], line, sizeof(line));
	/* Without "t:". */
	return line + 2;
}
