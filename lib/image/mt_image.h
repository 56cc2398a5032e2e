/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/image: the state of a worker, between two turns, as bytes, and back. Each room describes its objects once, by
 * functions that serve both directions: what mt_image_...() writes when the image is saved, the same call reads when it is
 * loaded. Called on the thread that owns the worker, or where none runs.
 *
 * An object goes as it lies in memory, and then each pointer in it once more: as a place in one of the worker's own
 * memories (mt_image_space()), as a number, or as a name. An object keeps its index and generation, so references
 * (struct mt_ref), indexes and lists hold as they are. A pointer that leads out of the worker is no place in any of its
 * memories: the image is refused then.
 *
 * An image is read by the build that wrote it: sizes that differ are found and refused. It is not for the wire: who can
 * write one can write the worker's memory.
 */
#pragma once

#include "mt_buf.h"
#include "mt_slab.h"
#include "mt_stream.h"
#include "mt_wheel.h"

#define MT_IMAGE_SPACES 32
#define MT_IMAGE_USERS	16

struct mt_image {
	bool loading;
	int error;	 /* the first one, -errno; every later call does nothing */
	const char *why; /* static words for it */
	uint8_t *bytes;
	size_t len, room; /* bytes in it; allocated */
	size_t at;	  /* loading: read so far */
	uint32_t buffers; /* in all of its chains: what loading takes from the pools */
	struct mt_pools *pools;
	struct {
		uint8_t *base;
		size_t size;
	} spaces[MT_IMAGE_SPACES];
	uint32_t n_spaces;
	struct {
		const struct mt_stream_user *user;
		void *ctx;
	} users[MT_IMAGE_USERS];
	uint32_t n_users;
};

/* An empty one, to be saved into. */
void mt_image_begin(struct mt_image *im);
/* The last call when saving: seals it. im->error. */
int mt_image_seal(struct mt_image *im);
/*
 * To be loaded from these bytes, which stay the caller's, with buffers from these pools. 0; -EINVAL with im->why: they are no
 * image, of another version, or damaged.
 */
int mt_image_open(struct mt_image *im, const uint8_t *bytes, size_t len, struct mt_pools *pools);
/* The last call when loading: everything was read. im->error. */
int mt_image_end(struct mt_image *im);
/* Frees what was saved. */
void mt_image_free(struct mt_image *im);

/* It cannot be saved, or loaded: -errno and static words. The first one counts. */
void mt_image_fail(struct mt_image *im, int error, const char *why);

/* ---- what a worker consists of; the same calls in the same order before both directions ---- */

/* Memory that pointers may lead into: to multiples of 8 bytes from its begin on. At most MT_IMAGE_SPACES. */
void mt_image_space(struct mt_image *im, void *base, size_t size);
static inline void mt_image_space_slab(struct mt_image *im, const struct mt_slab *s)
{
	mt_image_space(im, s->base, (size_t)s->size * s->cap);
}
/* Who may be the user of a stream, with this context. At most MT_IMAGE_USERS. */
void mt_image_user(struct mt_image *im, const struct mt_stream_user *user, void *ctx);

/* ---- both directions ---- */

/* What follows is of this kind (a static name); both sides must agree. */
void mt_image_section(struct mt_image *im, const char *name);

/* Bytes as they lie in memory. */
void mt_image_raw(struct mt_image *im, void *p, size_t n);
#define MT_IMAGE(im, object) mt_image_raw(im, &(object), sizeof(object))

/* A number that both sides must have alike, or the image is refused with these words. */
void mt_image_same(struct mt_image *im, uint64_t number, const char *why);

/* *field, a pointer into one of the spaces, or NULL. */
void mt_image_pointer(struct mt_image *im, void *field);
/* A node, or a head; one that is all zero stays so. */
void mt_image_list(struct mt_image *im, struct mt_list *l);

/* The user of a stream, and its context. */
void mt_image_stream_user(struct mt_image *im, struct mt_stream *s);

/* Bytes, marks and known checksums of a chain, buffer by buffer. Its memory is never shared afterwards. */
void mt_image_chain(struct mt_image *im, struct mt_chain *c);
/* *m: one of the chain's buffers, or NULL. The chain is loaded by now. */
void mt_image_place(struct mt_image *im, const struct mt_chain *c, struct rte_mbuf **m);

/*
 * All objects of a slab: each as it lies in memory, then by `visit`, which may be NULL, whatever in it is a pointer. The slab that is loaded
 * into is new.
 */
typedef void mt_image_visit(struct mt_image *im, void *obj, void *arg);
void mt_image_slab(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg);
/* A wheel whose timers lie in objects of the spaces. */
void mt_image_wheel(struct mt_image *im, struct mt_wheel *w);
void mt_image_ledger(struct mt_image *im, struct mt_ledger *l);
/* `visit` once more, when all objects of all slabs are there. */
void mt_image_again(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg);
