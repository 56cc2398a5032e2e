/* SPDX-License-Identifier: Apache-2.0 */
#include "layer_notes.h"

#include <stdlib.h>

static struct layer_note *nth(const struct layer_notes *w, uint32_t i)
{
	return &w->at[(w->head + i) % w->cap];
}

void layer_notes_free(struct layer_notes *w)
{
	free(w->at);
	*w = (struct layer_notes){0};
}

static void grow(struct layer_notes *w)
{
	struct layer_notes more = {.cap = w->cap ? 2 * w->cap : 16, .n = w->n, .floor = w->floor};

	more.at = calloc(more.cap, sizeof(*more.at));
	MT_ASSERT(more.at);
	for (uint32_t i = 0; i < w->n; i++)
		more.at[i] = *nth(w, i);
	free(w->at);
	*w = more;
}

void layer_notes_add(struct layer_notes *w, struct layer_note note)
{
	if (w->n == w->cap)
		grow(w);
	*nth(w, w->n++) = note;
}

void layer_notes_acked(struct layer_notes *w, uint64_t acked)
{
	while (w->n && nth(w, 0)->last <= acked) {
		w->floor = nth(w, 0)->upper;
		w->head = (w->head + 1) % w->cap;
		w->n--;
	}
}

uint64_t layer_notes_whole(const struct layer_notes *w, uint64_t pos)
{
	uint64_t at = w->floor;

	for (uint32_t i = 0; i < w->n && nth(w, i)->last <= pos; i++)
		at = nth(w, i)->upper;
	return at;
}

uint64_t layer_notes_begun(const struct layer_notes *w, uint64_t pos)
{
	uint64_t at = w->floor;

	for (uint32_t i = 0; i < w->n && nth(w, i)->first < pos; i++)
		at = nth(w, i)->upper;
	return at;
}
