/* SPDX-License-Identifier: Apache-2.0 */
/* The image as a whole, and pointers. */
#include "mt_image_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MAGIC	0x6567616d69746d00ull /* "\0mtimage" in memory */
#define VERSION 5u

/* At the start of the bytes. */
struct head {
	uint64_t magic;
	uint64_t sum; /* of everything after it */
	uint32_t version;
	uint32_t buffers;
	uint64_t len; /* including this header */
};
#define SUMMED offsetof(struct head, version)

void mt_image_fail(struct mt_image *im, int error, const char *why)
{
	if (im->error)
		return;
	im->error = error;
	im->why = why;
	mt_image_shared_free(im);
}

static void blank(struct mt_image *im, bool loading)
{
	memset(im, 0, sizeof(*im));
	im->loading = loading;
}

void mt_image_begin(struct mt_image *im)
{
	struct head h = {0};

	blank(im, false);
	MT_IMAGE(im, h);
}

int mt_image_seal(struct mt_image *im)
{
	struct head h = {
		.magic = MAGIC, .version = VERSION, .buffers = im->buffers, .len = im->len};

	if (im->error)
		return im->error;
	memcpy(im->bytes, &h, sizeof(h));
	h.sum = XXH3_64bits(im->bytes + SUMMED, im->len - SUMMED);
	memcpy(im->bytes, &h, sizeof(h));
	return 0;
}

static const char *wrong(const struct head *h, const uint8_t *bytes, size_t len)
{
	if (len < sizeof(*h) || h->magic != MAGIC)
		return "it is not an image of a worker";
	if (h->version != VERSION)
		return "it is an image of another version";
	if (h->len != len || h->sum != XXH3_64bits(bytes + SUMMED, len - SUMMED))
		return "the image is damaged";
	return NULL;
}

int mt_image_open(struct mt_image *im, const uint8_t *bytes, size_t len, struct mt_pools *pools)
{
	struct head h = {0};
	const char *why;

	blank(im, true);
	memcpy(&h, bytes, MT_MIN(len, sizeof(h)));
	why = wrong(&h, bytes, len);
	if (why) {
		mt_image_fail(im, -EINVAL, why);
		return im->error;
	}
	im->bytes = (uint8_t *)(uintptr_t)bytes; /* only read */
	im->len = len;
	im->at = sizeof(h);
	im->buffers = h.buffers;
	im->pools = pools;
	return 0;
}

int mt_image_end(struct mt_image *im)
{
	if (im->at != im->len)
		mt_image_fail(im, -EINVAL, "the image holds more than is read of it");
	mt_image_shared_free(im);
	return im->error;
}

void mt_image_free(struct mt_image *im)
{
	if (!im->loading)
		free(im->bytes);
	im->bytes = NULL;
	mt_image_shared_free(im);
}

/* ---- pointers -------------------------------------------------------------------------------- */

/* The saved form of a pointer: the number of its space + 1, and the offset in it; 0: NULL. */
#define PLACE_BITS 48

void mt_image_space(struct mt_image *im, void *base, size_t size)
{
	MT_ASSERT(im->n_spaces < MT_IMAGE_SPACES && size < 1ull << PLACE_BITS);
	im->spaces[im->n_spaces].base = base;
	im->spaces[im->n_spaces++].size = size;
}

static uint64_t place_of(struct mt_image *im, const uint8_t *p)
{
	for (uint32_t i = 0; i < im->n_spaces; i++)
		if (p >= im->spaces[i].base && p < im->spaces[i].base + im->spaces[i].size)
			return (uint64_t)(i + 1) << PLACE_BITS | (uint64_t)(p - im->spaces[i].base);
	mt_image_fail(im, -ENOTSUP, "something of the worker's leads out of it");
	return 0;
}

static void *at_place(struct mt_image *im, uint64_t place)
{
	uint64_t space = place >> PLACE_BITS, off = place & ((1ull << PLACE_BITS) - 1);

	if (space == 0 || space > im->n_spaces || off >= im->spaces[space - 1].size || off % 8) {
		mt_image_fail(im, -EINVAL, "a pointer of the image leads nowhere");
		return NULL;
	}
	return im->spaces[space - 1].base + off;
}

void mt_image_pointer(struct mt_image *im, void *field)
{
	uint64_t place = 0;
	void *p;

	memcpy(&p, field, sizeof(p));
	if (!im->loading && p)
		place = place_of(im, p);
	MT_IMAGE(im, place);
	if (!im->loading)
		return;
	p = place && !im->error ? at_place(im, place) : NULL;
	memcpy(field, &p, sizeof(p));
}

void mt_image_list(struct mt_image *im, struct mt_list *l)
{
	mt_image_pointer(im, &l->next);
	mt_image_pointer(im, &l->prev);
}

void mt_image_wheel(struct mt_image *im, struct mt_wheel *w)
{
	mt_image_section(im, "timers");
	MT_IMAGE(im, w->now_ms);
	MT_IMAGE(im, w->armed);
	MT_IMAGE(im, w->unsettled);
	for (int level = 0; level < MT_WHEEL_LEVELS; level++) {
		mt_image_list(im, &w->falling[level]);
		for (int slot = 0; slot < MT_WHEEL_SLOTS; slot++)
			mt_image_list(im, &w->slots[level][slot]);
	}
	if (im->loading && !im->error)
		mt_wheel_loaded(w);
}

/* ---- streams --------------------------------------------------------------------------------- */

void mt_image_user(struct mt_image *im, const struct mt_stream_user *user, void *ctx)
{
	MT_ASSERT(im->n_users < MT_IMAGE_USERS);
	im->users[im->n_users].user = user;
	im->users[im->n_users++].ctx = ctx;
}

/* The number of the stream's user + 1; 0: it has none. */
static uint32_t user_of(struct mt_image *im, const struct mt_stream *s)
{
	uint32_t i = 0;

	if (!s->user)
		return 0;
	while (i < im->n_users && im->users[i].user != s->user)
		i++;
	if (i == im->n_users)
		mt_image_fail(im, -ENOTSUP, "a stream's user is none of the worker's rooms");
	return i + 1;
}

void mt_image_stream_user(struct mt_image *im, struct mt_stream *s)
{
	uint32_t number = im->loading ? 0 : user_of(im, s);

	MT_IMAGE(im, number);
	if (!im->loading)
		return;
	if (number > im->n_users)
		mt_image_fail(im, -EINVAL, "the image names no user of streams");
	if (im->error)
		number = 0;
	s->user = number ? im->users[number - 1].user : NULL;
	s->user_ctx = number ? im->users[number - 1].ctx : NULL;
}
