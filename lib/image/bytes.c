/* SPDX-License-Identifier: Apache-2.0 */
/* Writes bytes into an image and reads them. */
#include "mt_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define ROOM_MIN 65536u

static bool make_room(struct mt_image *im, size_t n)
{
	size_t room = im->room ? im->room : ROOM_MIN;
	uint8_t *bytes;

	if (n <= im->room - im->len)
		return true;
	while (room - im->len < n)
		room *= 2;
	bytes = realloc(im->bytes, room);
	if (!bytes) {
		mt_image_fail(im, -ENOMEM, "there is no memory for the image");
		return false;
	}
	im->bytes = bytes;
	im->room = room;
	return true;
}

static void take(struct mt_image *im, void *p, size_t n)
{
	if (n > im->len - im->at) {
		mt_image_fail(im, -EINVAL, "the image ends too early");
		return;
	}
	memcpy(p, im->bytes + im->at, n);
	im->at += n;
}

void mt_image_raw(struct mt_image *im, void *p, size_t n)
{
	if (im->error || n == 0)
		return;
	if (im->loading) {
		take(im, p, n);
		return;
	}
	if (!make_room(im, n))
		return;
	memcpy(im->bytes + im->len, p, n);
	im->len += n;
}

void mt_image_same(struct mt_image *im, uint64_t number, const char *why)
{
	uint64_t theirs = number;

	MT_IMAGE(im, theirs);
	if (theirs != number)
		mt_image_fail(im, -EINVAL, why);
}

void mt_image_section(struct mt_image *im, const char *name)
{
	mt_image_same(im, XXH3_64bits(name, strlen(name)),
		"the image has other parts than this build knows, or in another order");
}
