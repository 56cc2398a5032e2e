/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dubbo 2 with hessian2: a 16-byte header (magic da bb, flags, status, id, length), then strings.
 * The body of a successful reply starts with 1 (a value) or 4 (a value, then attachments).
 */
#include "message.h"

#include <string.h>

#define HEADER	     16
#define FLAG_REQUEST 0x80
#define FLAG_TWO_WAY 0x40
#define FLAG_EVENT   0x20
#define STATUS_OK    20
#define CHUNK	     0x8000
#define HESSIAN2     2

/* Writes the tag of a string of `len` ASCII characters, the last or only chunk. */
static void put_tag(struct blast_message *m, uint32_t len)
{
	if (len <= 31)
		blast_put(m, (uint8_t[]){(uint8_t)len}, 1);
	else if (len <= 1023)
		blast_put(m, (uint8_t[]){(uint8_t)(0x30 | len >> 8), (uint8_t)len}, 2);
	else
		blast_put(m, (uint8_t[]){'S', (uint8_t)(len >> 8), (uint8_t)len}, 3);
}

static void put_text(struct blast_message *m, const char *text)
{
	put_tag(m, (uint32_t)strlen(text));
	blast_put(m, text, (uint32_t)strlen(text));
}

static void put_chunks(struct blast_message *m, uint32_t size)
{
	uint32_t from = 0;

	for (; size - from > CHUNK; from += CHUNK) {
		blast_put(m, "R\x80\x00", 3);
		blast_put_payload(m, from, CHUNK);
	}
	put_tag(m, size - from);
	blast_put_payload(m, from, size - from);
}

static void make(struct blast_message *m, const struct blast_names *n, bool request, uint32_t size)
{
	uint8_t header[HEADER] = {0xda, 0xbb,
		request ? FLAG_REQUEST | FLAG_TWO_WAY | HESSIAN2 : HESSIAN2,
		request ? 0 : STATUS_OK};

	m->id_at = 4;
	blast_put(m, header, HEADER);
	if (!request) {
		blast_put(m, "\x91", 1);
		put_chunks(m, size);
	} else {
		put_text(m, "2.0.2");
		put_text(m, n->service);
		put_text(m, "0.0.0");
		put_text(m, n->method);
		put_text(m, "Ljava/lang/String;");
		put_chunks(m, size);
		blast_put(m, "H", 1);
		put_text(m, "path");
		put_text(m, n->service);
		put_text(m, "interface");
		put_text(m, n->service);
		blast_put(m, "Z", 1);
	}
	blast_set_be32(m, 12, m->len - HEADER);
}

static void set_id(uint8_t *at, uint64_t id)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(id >> (56 - 8 * i));
}

/* Reads one chunk's tag; returns its length, or -1. *last: no chunk follows. */
static int64_t tag(const uint8_t **p, const uint8_t *end, bool *last)
{
	const uint8_t *t = *p;
	int64_t len = -1;

	if (t == end)
		return -1;
	*last = *t != 'R';
	if (*t <= 31) {
		len = *t;
		*p += 1;
	} else if (*t >= 0x30 && *t <= 0x33 && end - t >= 2) {
		len = (*t - 0x30) << 8 | t[1];
		*p += 2;
	} else if ((*t == 'S' || *t == 'R') && end - t >= 3) {
		len = t[1] << 8 | t[2];
		*p += 3;
	}
	return len > end - *p ? -1 : len;
}

/* Adds a string to the frame's parts, or skips it if f is NULL. */
static bool string(const uint8_t **p, const uint8_t *end, struct blast_frame *f)
{
	bool last = false;

	while (!last) {
		int64_t len = tag(p, end, &last);

		if (len < 0 || (f && f->n_parts == BLAST_PARTS))
			return false;
		if (f) {
			f->parts[f->n_parts++] = (struct mt_slice){*p, (uint32_t)len};
			f->size += (uint32_t)len;
		}
		*p += len;
	}
	return true;
}

static bool reply_body(const uint8_t *p, const uint8_t *end, struct blast_frame *f)
{
	if (p == end)
		return false;
	if (*p != 0x91 && *p != 0x94) {
		f->kind = BLAST_ERROR;
		return true;
	}
	p++;
	return string(&p, end, f);
}

static bool request_body(const uint8_t *p, const uint8_t *end, struct blast_frame *f)
{
	for (int i = 0; i < 5; i++)
		if (!string(&p, end, NULL))
			return false;
	return string(&p, end, f);
}

static bool body(const uint8_t *p, bool request, struct blast_frame *f)
{
	const uint8_t *end = p + f->len;

	f->id = (uint64_t)blast_be32(p + 4) << 32 | blast_be32(p + 8);
	if (p[2] & FLAG_EVENT) {
		f->kind = (p[2] & (FLAG_REQUEST | FLAG_TWO_WAY)) == (FLAG_REQUEST | FLAG_TWO_WAY)
				  ? BLAST_HEARTBEAT
				  : BLAST_EVENT;
		return true;
	}
	if (!(p[2] & FLAG_REQUEST) == request)
		return false;
	if (request)
		return request_body(p + HEADER, end, f);
	if (p[3] != STATUS_OK) {
		f->kind = BLAST_ERROR;
		return true;
	}
	return reply_body(p + HEADER, end, f);
}

static enum blast_take take(const uint8_t *p, uint32_t len, bool request, struct blast_frame *f)
{
	f->kind = BLAST_CALL;
	f->len = f->size = f->n_parts = 0;
	if (len < HEADER)
		return BLAST_MORE;
	f->len = blast_be32(p + 12);
	if (p[0] != 0xda || p[1] != 0xbb || f->len > BLAST_FRAME_MAX)
		return BLAST_MALFORMED;
	f->len += HEADER;
	if (len < f->len)
		return BLAST_MORE;
	return body(p, request, f) ? BLAST_TAKEN : BLAST_MALFORMED;
}

static void pong(uint64_t id, uint8_t out[17])
{
	memcpy(out, (uint8_t[]){0xda, 0xbb, FLAG_EVENT | HESSIAN2, STATUS_OK}, 4);
	set_id(out + 4, id);
	memcpy(out + 12, "\0\0\0\1N", 5);
}

const struct blast_proto blast_dubbo = {
	.name = "dubbo",
	.words = "Dubbo 2, hessian2: SERVICE.METHOD(String)",
	.make = make,
	.set_id = set_id,
	.id_len = 8,
	.take = take,
	.pong = pong,
};
