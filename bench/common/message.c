/* SPDX-License-Identifier: Apache-2.0 */
/* One request and one reply of each protocol, as their libraries encode them. */
#include "bench_message.h"

#include <string.h>

#include <rte_byteorder.h>

const char *const bench_codec_names[] = {"thrift", "dubbo", "tcp", "awesomerpc", NULL};
const char *const bench_ports[] = {
	"tcp-metaprotocol-thrift", "tcp-metaprotocol-dubbo", "tcp", "tcp-metaprotocol-awesomerpc"};

/* Where a frame has its length of 4 bytes, how many bytes that does not count, and the id. */
static const struct {
	uint32_t at, add, id_at, id_len;
} layouts[] = {
	[BENCH_THRIFT] = {0, 4, 16, 4},
	[BENCH_DUBBO] = {12, 16, 4, 8},
	[BENCH_TCP] = {0, 4, 16, 4},
	[BENCH_AWESOMERPC] = {5, 0, 1, 4},
};

static void put(struct bench_message *m, const void *bytes, uint32_t n)
{
	m->bytes = realloc(m->bytes, m->len + n);
	MT_ASSERT(m->bytes);
	memcpy(m->bytes + m->len, bytes, n);
	m->len += n;
}

static void put_be32(struct bench_message *m, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	put(m, &v, sizeof(v));
}

static void put_fill(struct bench_message *m, uint32_t n)
{
	uint32_t at = m->len;

	m->bytes = realloc(m->bytes, m->len + n);
	MT_ASSERT(m->bytes);
	m->len += n;
	memset(m->bytes + at, 'x', n);
}

static void set_be32(struct bench_message *m, uint32_t at, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(m->bytes + at, &v, sizeof(v));
}

/* Framed strict binary: echo(1: string). Reply: field 0. */
static void thrift(uint32_t size, struct bench_message *m, uint32_t type)
{
	put_be32(m, 0);
	put_be32(m, 0x80010000 | type);
	put_be32(m, 4);
	put(m, "echo", 4);
	put_be32(m, 0);
	put(m, "\x0b\x00", 2);
	put(m, type == 1 ? "\x01" : "\x00", 1);
	put_be32(m, size);
	put_fill(m, size);
	put(m, "\x00", 1);
	set_be32(m, 0, m->len - 4);
}

/* Hessian2 strings of ASCII: length in the tag, in tag and byte, or in chunks of two bytes. */
static void hessian(struct bench_message *m, const char *s, uint32_t n)
{
	for (; n > 32768; n -= 32768) {
		put(m, "R\x80\x00", 3);
		put_fill(m, 32768);
	}
	if (n < 32)
		put(m, (uint8_t[]){(uint8_t)n}, 1);
	else if (n < 1024)
		put(m, (uint8_t[]){(uint8_t)(0x30 | n >> 8), (uint8_t)n}, 2);
	else
		put(m, (uint8_t[]){'S', (uint8_t)(n >> 8), (uint8_t)n}, 3);
	if (s)
		put(m, s, n);
	else
		put_fill(m, n);
}

static void text(struct bench_message *m, const char *s)
{
	hessian(m, s, (uint32_t)strlen(s));
}

static void dubbo_header(struct bench_message *m, uint8_t flags, uint8_t status)
{
	put(m, (uint8_t[]){0xda, 0xbb, flags, status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 16);
}

static void dubbo_request(uint32_t size, struct bench_message *m)
{
	dubbo_header(m, 0xc2, 0);
	text(m, "2.0.2");
	text(m, "bench.Echo");
	text(m, "0.0.0");
	text(m, "echo");
	text(m, "Ljava/lang/String;");
	hessian(m, NULL, size);
	put(m, "H", 1);
	text(m, "path");
	text(m, "bench.Echo");
	text(m, "user");
	text(m, "jason");
	put(m, "Z", 1);
	set_be32(m, 12, m->len - 16);
}

static void dubbo_reply(uint32_t size, struct bench_message *m)
{
	dubbo_header(m, 0x02, 20);
	put(m, "\x91", 1);
	hessian(m, NULL, size);
	set_be32(m, 12, m->len - 16);
}

/* Version 0: no metadata before the body. */
static void awesomerpc(uint32_t size, struct bench_message *m)
{
	put(m, (uint8_t[13]){[10] = 12}, 13); /* the command is 12 */
	put_fill(m, size);
	set_be32(m, 5, m->len);
}

static void make(enum bench_codec codec, uint32_t size, struct bench_message *m, bool request)
{
	*m = (struct bench_message){.id_at = layouts[codec].id_at, .id_len = layouts[codec].id_len};
	if (codec == BENCH_AWESOMERPC)
		awesomerpc(size, m);
	else if (codec != BENCH_DUBBO)
		thrift(size, m, request ? 1 : 2);
	else if (request)
		dubbo_request(size, m);
	else
		dubbo_reply(size, m);
}

void bench_request(enum bench_codec codec, uint32_t size, struct bench_message *m)
{
	make(codec, size, m, true);
}

void bench_reply(enum bench_codec codec, uint32_t size, struct bench_message *m)
{
	make(codec, size, m, false);
}

uint32_t bench_frame_len(enum bench_codec codec, const struct mt_chain *c)
{
	uint8_t tmp[4];
	const uint8_t *p = mt_chain_peek(c, layouts[codec].at, 4, tmp);
	uint32_t len;

	if (!p)
		return 0;
	memcpy(&len, p, sizeof(len));
	len = rte_be_to_cpu_32(len) + layouts[codec].add;
	return c->len >= len ? len : 0;
}

void bench_get_id(
	const struct bench_message *like, const struct mt_chain *c, uint8_t id[BENCH_ID_MAX])
{
	mt_chain_read(c, like->id_at, id, like->id_len);
}

void bench_put_id(struct bench_message *m, const uint8_t id[BENCH_ID_MAX])
{
	memcpy(m->bytes + m->id_at, id, m->id_len);
}
