/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs: each object at its index, with its generation. */
#include "mt_image.h"

#include "mt_poison.h"

#include <errno.h>

/* Slab header in the image; the objects follow. */
struct head {
	uint32_t fresh, n_free, in_use, peak;
	uint64_t failed;
};

static uint32_t *free_place(const struct mt_slab *s, uint32_t i)
{
	return &s->free[(s->free_head + i) % s->cap];
}

/* free_head is 0 except in debug builds (lib/base/slab.c), where free indices are in a ring. */
static void free_indices(struct mt_image *im, struct mt_slab *s)
{
	for (uint32_t i = 0; i < s->n_free; i++) {
		MT_IMAGE(im, *free_place(s, i));
		if (im->loading && !im->error && *free_place(s, i) >= s->fresh)
			mt_image_fail(im, -EINVAL, "an object of the image is out of its slab");
		if (im->error)
			return;
	}
}

static void take_head(struct mt_image *im, struct mt_slab *s, const struct head *h)
{
	if (im->error)
		return;
	if (s->fresh || h->fresh > s->cap || h->n_free > h->fresh ||
		h->in_use != h->fresh - h->n_free) {
		mt_image_fail(im, -EINVAL, "a slab of the image does not fit in here");
		return;
	}
	mt_slab_reach(s, h->fresh);
	s->n_free = h->n_free;
	s->peak = h->peak;
	s->failed = h->failed;
}

/*
 * An object becomes live only when its bytes are loaded, so that destroying a partly loaded worker
 * finds no other objects.
 */
static void load_object(
	struct mt_image *im, struct mt_slab *s, uint32_t i, mt_image_visit *visit, void *arg)
{
	uint32_t gen = s->gens[i];
	void *obj = mt_slab_at(s, i);

	s->gens[i] = gen & ~1u;
	if (!(gen & 1) || im->error)
		return;
	mt_unpoison(obj, s->size);
	mt_image_raw(im, obj, s->size);
	if (im->error) {
		mt_poison(obj, s->size);
		return;
	}
	s->gens[i] = gen;
	s->in_use++;
	if (visit)
		visit(im, obj, arg);
}

static void save_object(
	struct mt_image *im, struct mt_slab *s, uint32_t i, mt_image_visit *visit, void *arg)
{
	void *obj = mt_slab_at(s, i);

	if (!(s->gens[i] & 1))
		return;
	mt_image_raw(im, obj, s->size);
	if (visit)
		visit(im, obj, arg);
}

void mt_image_slab(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg)
{
	struct head h = {.fresh = s->fresh,
		.n_free = s->n_free,
		.in_use = s->in_use,
		.peak = s->peak,
		.failed = s->failed};

	mt_image_section(im, s->name);
	mt_image_same(im, s->size, "objects of the image have another size in this build");
	MT_IMAGE(im, h);
	if (im->loading)
		take_head(im, s, &h);
	mt_image_raw(im, s->gens, s->fresh * sizeof(*s->gens));
	free_indices(im, s);
	for (uint32_t i = 0; i < s->fresh; i++)
		(im->loading ? load_object : save_object)(im, s, i, visit, arg);
	if (!im->error && s->in_use != h.in_use)
		mt_image_fail(im, -EINVAL, "a slab of the image has another number of objects");
}

void mt_image_again(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg)
{
	uint32_t i = 0;
	void *obj;

	while (!im->error && (obj = mt_slab_next(s, &i)))
		visit(im, obj, arg);
}
