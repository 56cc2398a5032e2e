/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffers that several chains share, in an image: each view of such a buffer has a number, and its
 * bytes are written once, with the first chain that has it. Saving finds the number by a hash table
 * of views; loading finds the buffer by the number.
 */
#include "mt_image_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ROOM_MIN 64u

/* Shorter views are copied when they are shared (lib/buf). */
#define SHARED_FROM 384u

struct mt_image_view {
	const struct rte_mbuf
		*of; /* saving: the buffer; loading: the first mbuf that has the view */
	uint32_t off, len;
};

static const struct rte_mbuf *buffer_of(struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) ? m : rte_mbuf_from_indirect(m);
}

bool mt_image_is_shared(struct rte_mbuf *m)
{
	const struct rte_mbuf *of = buffer_of(m);

	return mt_link(m)->len >= SHARED_FROM && rte_mbuf_refcnt_read(of) > 1;
}

static bool is_same(const struct mt_image_view *a, const struct mt_image_view *b)
{
	return a->of == b->of && a->off == b->off && a->len == b->len;
}

/* The place of a view in the hash table: its own, or a free one. */
static uint32_t *find(const struct mt_image_shared *s, const struct mt_image_view *v)
{
	uint64_t h = XXH3_64bits(&v->of, sizeof(v->of)) + v->off;

	for (;; h++) {
		uint32_t *at = &s->table[h & (2 * s->room - 1)];

		if (*at == 0 || is_same(&s->views[*at - 1], v))
			return at;
	}
}

/* Makes room for one more view; the table is at most half full. */
static bool grow(struct mt_image *im)
{
	struct mt_image_shared *s = &im->shared;
	uint32_t room = s->room ? 2 * s->room : ROOM_MIN;
	struct mt_image_view *views;
	uint32_t *table;

	if (s->n < s->room)
		return true;
	views = realloc(s->views, room * sizeof(*views));
	if (views)
		s->views = views;
	table = calloc(2 * (size_t)room, sizeof(*table));
	if (!views || !table) {
		free(table);
		mt_image_fail(im, -ENOMEM, "there is no memory for the image");
		return false;
	}
	free(s->table);
	s->table = table;
	s->room = room;
	for (uint32_t i = 0; i < s->n && !im->loading; i++)
		*find(s, &s->views[i]) = i + 1;
	return true;
}

uint32_t mt_image_number(struct mt_image *im, struct rte_mbuf *m, bool *first)
{
	const struct mt_image_view v = {
		.of = buffer_of(m), .off = mt_link(m)->off, .len = mt_link(m)->len};
	uint32_t *at;

	*first = false;
	if (!grow(im))
		return 0;
	at = find(&im->shared, &v);
	if (*at)
		return *at;
	*first = true;
	im->shared.views[im->shared.n] = v;
	return *at = ++im->shared.n;
}

void mt_image_numbered(struct mt_image *im, const struct rte_mbuf *m)
{
	if (grow(im))
		im->shared.views[im->shared.n++] = (struct mt_image_view){.of = m};
}

struct rte_mbuf *mt_image_by_number(const struct mt_image *im, uint32_t number)
{
	return (struct rte_mbuf *)(uintptr_t)im->shared.views[number - 1].of;
}

void mt_image_shared_free(struct mt_image *im)
{
	free(im->shared.views);
	free(im->shared.table);
	im->shared = (struct mt_image_shared){0};
}
