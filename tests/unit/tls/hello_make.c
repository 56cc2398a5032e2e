/* SPDX-License-Identifier: Apache-2.0 */
#include "hello_make.h"

#include <string.h>

static uint8_t body[HELLO_ROOM];
static uint32_t n;

static void put(uint32_t v, uint32_t bytes)
{
	while (bytes--)
		body[n++] = (uint8_t)(v >> 8 * bytes);
}

static void put_bytes(const void *p, uint32_t len)
{
	if (len)
		memcpy(body + n, p, len);
	n += len;
}

/* The length in front of what follows, which end_vector() fills in. */
static uint32_t begin_vector(uint32_t bytes)
{
	put(0, bytes);
	return n;
}

static void end_vector(uint32_t from, uint32_t bytes)
{
	uint32_t len = n - from, end = n;

	n = from - bytes;
	put(len, bytes);
	n = end;
}

static void put_names(const struct hello_how *how)
{
	uint32_t ext, list;

	if (!how->names[0])
		return;
	put(0, 2);
	ext = begin_vector(2);
	list = begin_vector(2);
	for (uint32_t i = 0; i < 3 && how->names[i]; i++) {
		put(0, 1);
		put((uint32_t)strlen(how->names[i]), 2);
		put_bytes(how->names[i], (uint32_t)strlen(how->names[i]));
	}
	end_vector(list, 2);
	end_vector(ext, 2);
}

static void put_alpn(const struct hello_how *how)
{
	uint32_t ext, list;

	if (!how->alpn[0])
		return;
	put(16, 2);
	ext = begin_vector(2);
	list = begin_vector(2);
	if (how->grease)
		put_bytes("\x02\x1a\x1a", 3);
	for (uint32_t i = 0; i < 4 && how->alpn[i]; i++) {
		put((uint32_t)strlen(how->alpn[i]), 1);
		put_bytes(how->alpn[i], (uint32_t)strlen(how->alpn[i]));
	}
	end_vector(list, 2);
	end_vector(ext, 2);
}

static void put_extensions(const struct hello_how *how)
{
	uint32_t all = begin_vector(2);

	if (how->grease)
		put(0x0a0a0000, 4);
	put_bytes(how->ext, how->ext_len);
	if (how->padding) {
		put(21, 2);
		put(how->padding, 2);
		memset(body + n, 0, how->padding);
		n += how->padding;
	}
	for (int i = 0; i <= how->twice; i++) {
		put_names(how);
		put_alpn(how);
	}
	if (how->grease)
		put_bytes("\x3a\x3a\x00\x01\x00", 5);
	end_vector(all, 2);
}

/* The message in records. */
static uint32_t wrap(uint8_t *out, uint32_t record)
{
	uint32_t len = 0;

	for (uint32_t at = 0, part; at < n; at += part) {
		part = n - at < record ? n - at : record;
		memcpy(out + len, "\x16\x03\x01", 3);
		out[len + 3] = (uint8_t)(part >> 8);
		out[len + 4] = (uint8_t)part;
		memcpy(out + len + 5, body + at, part);
		len += 5 + part;
	}
	return len;
}

uint32_t hello_make(uint8_t *out, const struct hello_how *how)
{
	uint32_t message;

	n = 0;
	put(1, 1);
	message = begin_vector(3);
	put(0x0303, 2);
	memset(body + n, 0x5a, 32);
	n += 32;
	put(32, 1);
	memset(body + n, 0xa5, 32);
	n += 32;
	put(4, 2);
	put(0x13011302, 4);
	put(0x0100, 2);
	if (!how->no_extensions)
		put_extensions(how);
	memset(body + n, 0, how->trailing);
	n += how->trailing;
	end_vector(message, 3);
	return wrap(out, how->record ? how->record : 16384);
}
