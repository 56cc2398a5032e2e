/* SPDX-License-Identifier: Apache-2.0 */
#include "streams.h"

#include <stdlib.h>
#include <string.h>

struct stream *streams_add(struct streams *s)
{
	struct stream *to;

	/* At powers of two the array is full. */
	if ((s->n & (s->n - 1)) == 0) {
		struct stream *more;

		if (s->n >= STREAMS_MAX)
			return NULL;
		more = realloc(s->of, (s->n ? 2 * s->n : 1) * sizeof(*more));
		if (!more)
			return NULL;
		s->of = more;
	}
	to = &s->of[s->n++];
	memset(to, 0, sizeof(*to));
	return to;
}

void streams_drop(struct streams *s)
{
	struct stream *last = &s->of[--s->n];

	free(last->bytes);
	free(last->cuts);
}

void streams_free(struct streams *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		free(s->of[i].bytes);
		free(s->of[i].cuts);
	}
	free(s->of);
	*s = (struct streams){0};
}
