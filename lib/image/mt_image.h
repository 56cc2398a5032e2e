/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/image: saves the state of a worker, between two loop iterations, as bytes, and loads it into
 * another worker, which continues with all connections and calls. A live upgrade needs it; today
 * only the simulator uses it, thousands of times a run. That enforces a design rule: state that
 * outlives a loop iteration does not depend on memory addresses and has no pointers into other
 * libraries. Called on the thread that owns the worker, or when none runs.
 *
 * Each library describes its objects once, in its image.c (lib/worker/image.c combines them), by
 * functions for both directions: MT_IMAGE(im, x) writes when saving and reads when loading, so the
 * two cannot diverge. Each object is saved as it is in memory, with its index and generation, so
 * references (struct mt_ref), indexes and lists of indexes remain valid. Then each of its pointers
 * is saved once more, in a form that depends on the target:
 * - Another object of the worker, a list head or node, a timer's slot: the number of one of the
 *   worker's memory areas (mt_image_space(): a slab, struct mt_proxy, struct mt_tcp) and an offset
 *   in it.
 * - Buffers: their bytes in order, each at its old offset in a buffer of the same pool; a pointer
 *   into a chain as its number in the chain. Bytes that chains share are saved once, and shared
 *   again after loading.
 * - The user of a stream: the number of the library's vtable; the context is the new worker's.
 * - A configuration: the version of its snapshot. Its parts: their position in it; a service: its
 *   index.
 * - An endpoint's state: its index in the registry. A codec: its identity.
 *
 * For any other pointer, such as a stream of a layer outside of the worker, saving fails with
 * -ENOTSUP and the worker continues. Hash tables are built again. The cursor of an incomplete
 * message is found by its position; the parse of a long message starts again.
 *
 * Saving changes nothing in the worker, except that rate limiters return their claimed tokens. In
 * the middle of an iteration, or with unread mail, it returns -EAGAIN. The new worker has the same
 * index and configuration. It takes buffers from its own pools while the old worker still has its
 * own; mt_image.buffers is the number needed. Then mt_worker_moved() destroys the old worker
 * without notifying peers. If loading fails, the old worker continues unchanged.
 *
 * Limits: mt_worker_image.h lists what is not saved. Only the build that wrote an image can read
 * it: object sizes, the order of parts and a checksum are compared, and each length, index and
 * offset is checked. The contents of objects are trusted, because the right to write an image is
 * the right to write the worker's memory; so it is not meant for a network. A live upgrade also
 * needs the devices' queues, the registry of endpoints and the neighbour table, which belong to the
 * node, and conversion between versions of objects.
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
	int error;	 /* the first one, -errno; then every later call does nothing */
	const char *why; /* static text */
	uint8_t *bytes;
	size_t len, room; /* used; allocated */
	size_t at;	  /* loading: bytes read so far */
	uint32_t buffers; /* in all chains: loading takes that many from the pools */
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
	/* Views of buffers that chains share, by number - 1 (shared.c). */
	struct mt_image_shared {
		struct mt_image_view *views;
		uint32_t n, room;
		uint32_t *table; /* saving: hash table of numbers */
	} shared;
};

/* Starts an empty image, to save into it. */
void mt_image_begin(struct mt_image *im);
/* Seals the image: the last call when saving. Returns im->error. */
int mt_image_seal(struct mt_image *im);
/*
 * Starts loading from these bytes, which stay the caller's, with buffers from these pools. 0, or
 * -EINVAL with im->why if they are not an image, are of another version, or are damaged.
 */
int mt_image_open(struct mt_image *im, const uint8_t *bytes, size_t len, struct mt_pools *pools);
/* Checks that everything was read: the last call when loading. Returns im->error. */
int mt_image_end(struct mt_image *im);
/* Frees the saved bytes. */
void mt_image_free(struct mt_image *im);

/* Records that saving or loading failed: -errno and a static text. Later errors are ignored. */
void mt_image_fail(struct mt_image *im, int error, const char *why);

/* ---- what a worker consists of; the same calls in the same order for saving and loading ---- */

/*
 * Registers memory to which pointers may lead, at multiples of 8 bytes from its start. At most
 * MT_IMAGE_SPACES.
 */
void mt_image_space(struct mt_image *im, void *base, size_t size);
static inline void mt_image_space_slab(struct mt_image *im, const struct mt_slab *s)
{
	mt_image_space(im, s->base, (size_t)s->size * s->cap);
}
/* Registers a possible user of streams, with this context. At most MT_IMAGE_USERS. */
void mt_image_user(struct mt_image *im, const struct mt_stream_user *user, void *ctx);

/* ---- both directions ---- */

/*
 * Marks the kind of what follows by a static name, which must be the same for saving and loading.
 */
void mt_image_section(struct mt_image *im, const char *name);

/* Saves or loads bytes as they are in memory. */
void mt_image_raw(struct mt_image *im, void *p, size_t n);
#define MT_IMAGE(im, object) mt_image_raw(im, &(object), sizeof(object))

/*
 * Checks a number that must be the same for saving and loading; otherwise refuses the image for
 * this reason.
 */
void mt_image_same(struct mt_image *im, uint64_t number, const char *why);

/* *field: a pointer into one of the spaces, or NULL. */
void mt_image_pointer(struct mt_image *im, void *field);
/* A list's node or head; one that is all zero stays so. */
void mt_image_list(struct mt_image *im, struct mt_list *l);

/* The user of a stream, and its context. */
void mt_image_stream_user(struct mt_image *im, struct mt_stream *s);

/*
 * The bytes, marks and known checksums of a chain, buffer by buffer. It shares memory after loading
 * with those chains that it has shared it with.
 */
void mt_image_chain(struct mt_image *im, struct mt_chain *c);
/* *m: one of the buffers of the chain, or NULL. The chain must be loaded already. */
void mt_image_place(struct mt_image *im, const struct mt_chain *c, struct rte_mbuf **m);

/*
 * All objects of a slab: each as it is in memory, and then its pointers by `visit`, which may be
 * NULL. The slab must be new when loading.
 */
typedef void mt_image_visit(struct mt_image *im, void *obj, void *arg);
void mt_image_slab(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg);
/* A timer wheel; its timers are in objects of the spaces. */
void mt_image_wheel(struct mt_image *im, struct mt_wheel *w);
void mt_image_ledger(struct mt_image *im, struct mt_ledger *l);
/* Calls `visit` once more for all objects, when those of all slabs are there. */
void mt_image_again(struct mt_image *im, struct mt_slab *s, mt_image_visit *visit, void *arg);
