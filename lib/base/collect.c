/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_collect.h"

#include <stdlib.h>
#include <string.h>

size_t mt_collect(char *data, size_t size, size_t n, void *collected)
{
	struct mt_collected *c = collected;
	char *more;

	(void)size;
	c->too_long = n > c->max - c->len;
	/* One byte more, because realloc() of none may return NULL. */
	more = c->too_long ? NULL : realloc(c->p, c->len + n + 1);
	if (!more)
		return 0;
	memcpy(more + c->len, data, n);
	c->p = more;
	c->len += n;
	return n;
}

void mt_collected_clear(struct mt_collected *c)
{
	free(c->p);
	*c = (struct mt_collected){.max = c->max};
}
