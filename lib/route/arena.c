/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one table. It does not use lib/base's region, whose first block would be sixteen times
 * as large: there is one table for every service, and most have a few routes.
 */
#include "mt_route_priv.h"

#include <string.h>

#define CHUNK_FIRST 256u
#define CHUNK_MAX   4096u

struct mt_arena_chunk {
	struct mt_arena_chunk *next;
	size_t size;
	uint8_t bytes[] __attribute__((aligned(16)));
};

void *mt_arena_alloc(struct mt_arena *a, size_t size)
{
	void *p;

	/* Keeps the next allocation aligned. */
	size = (size + 15) & ~(size_t)15;
	if (!a->chunks || a->chunks->size - a->used < size) {
		size_t next = a->chunks ? MT_MIN(a->chunks->size * 2, CHUNK_MAX) : CHUNK_FIRST;
		size_t room = MT_MAX(size, next);
		struct mt_arena_chunk *c = calloc(1, sizeof(*c) + room);

		if (!c)
			return NULL;
		c->size = room;
		c->next = a->chunks;
		a->chunks = c;
		a->used = 0;
	}
	p = a->chunks->bytes + a->used;
	a->used += size;
	return p;
}

void *mt_arena_dup(struct mt_arena *a, const void *p, size_t size)
{
	void *copy = mt_arena_alloc(a, size);

	if (copy && size)
		memcpy(copy, p, size);
	return copy;
}

const char *mt_arena_str(struct mt_arena *a, const char *s, bool *ok)
{
	char *copy;

	if (!s)
		return NULL;
	copy = mt_arena_dup(a, s, strlen(s) + 1);
	if (!copy)
		*ok = false;
	return copy;
}

void mt_arena_free(struct mt_arena *a)
{
	while (a->chunks) {
		struct mt_arena_chunk *next = a->chunks->next;

		free(a->chunks);
		a->chunks = next;
	}
	a->used = 0;
}
