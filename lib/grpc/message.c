/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_grpc_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A larger buffer is freed after its message. */
#define KEPT_MAX (64u << 10)

void mt_grpc_in_fini(struct mt_grpc_in *in)
{
	free(in->buf);
	*in = (struct mt_grpc_in){.max = in->max};
}

void mt_grpc_prefix(uint8_t prefix[MT_GRPC_PREFIX], size_t len)
{
	prefix[0] = 0; /* not compressed */
	prefix[1] = (uint8_t)(len >> 24);
	prefix[2] = (uint8_t)(len >> 16);
	prefix[3] = (uint8_t)(len >> 8);
	prefix[4] = (uint8_t)len;
}

/* Reads bytes of the prefix. False if it is incomplete. */
static bool take_prefix(struct mt_grpc_in *in, const uint8_t **p, const uint8_t *end)
{
	while (in->n_prefix < MT_GRPC_PREFIX && *p < end)
		in->prefix[in->n_prefix++] = *(*p)++;
	if (in->n_prefix < MT_GRPC_PREFIX)
		return false;
	in->want = (size_t)in->prefix[1] << 24 | (size_t)in->prefix[2] << 16 |
		   (size_t)in->prefix[3] << 8 | in->prefix[4];
	return true;
}

/* Grows the buffer for received bytes only, so that an announced length alone costs no memory. */
static int reserve(struct mt_grpc_in *in, size_t more)
{
	size_t room = in->room ? in->room : 4096;
	uint8_t *buf;

	while (room < in->have + more)
		room *= 2;
	if (room == in->room)
		return 0;
	buf = realloc(in->buf, room);
	if (!buf)
		return -ENOMEM;
	in->buf = buf;
	in->room = room;
	return 0;
}

static int take_body(struct mt_grpc_in *in, const uint8_t **p, const uint8_t *end)
{
	size_t n = MT_MIN(in->want - in->have, (size_t)(end - *p));

	if (!n)
		return 0;
	if (reserve(in, n))
		return -ENOMEM;
	memcpy(in->buf + in->have, *p, n);
	in->have += n;
	*p += n;
	return 0;
}

int mt_grpc_in_feed(struct mt_grpc_in *in, const uint8_t *data, size_t len,
	bool (*message)(void *arg, const uint8_t *data, size_t len), void *arg)
{
	const uint8_t *end = data + len;
	int rc;

	for (;;) {
		size_t whole;

		if (!take_prefix(in, &data, end))
			return 0;
		if (in->prefix[0] != 0)
			return -EPROTO;
		if (in->want > in->max)
			return -EMSGSIZE;
		rc = take_body(in, &data, end);
		if (rc || in->have < in->want)
			return rc;
		whole = in->have;
		in->n_prefix = 0;
		in->have = 0;
		if (!message(arg, in->buf ? in->buf : (const uint8_t *)"", whole))
			return 0;
		if (in->room > KEPT_MAX)
			mt_grpc_in_fini(in);
	}
}
