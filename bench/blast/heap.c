/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <stdio.h>

static void grow(struct blast_heap *h)
{
	if (h->n < h->cap)
		return;
	h->cap = h->cap ? h->cap * 2 : 256;
	h->items = realloc(h->items, h->cap * sizeof(*h->items));
	if (!h->items) {
		fputs("meltemi-blast: no memory for delayed replies\n", stderr);
		exit(4);
	}
}

void blast_heap_push(struct blast_heap *h, const struct blast_later *l)
{
	uint32_t i = h->n, up;

	grow(h);
	h->n++;
	for (; i > 0 && h->items[(up = (i - 1) / 2)].at > l->at; i = up)
		h->items[i] = h->items[up];
	h->items[i] = *l;
}

void blast_heap_pop(struct blast_heap *h, struct blast_later *l)
{
	struct blast_later last = h->items[--h->n];
	uint32_t i = 0, child;

	*l = h->items[0];
	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && h->items[child + 1].at < h->items[child].at)
			child++;
		if (h->items[child].at >= last.at)
			break;
		h->items[i] = h->items[child];
		i = child;
	}
	h->items[i] = last;
}
