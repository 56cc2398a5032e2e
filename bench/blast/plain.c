/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awesomeRPC (docs/protocols/awesomerpc.md) and, for opaque TCP, a length and an id before the
 * payload.
 */
#include "message.h"

#define AWESOME_HEADER 13
#define TCP_HEADER     8

static void set_id(uint8_t *at, uint64_t id)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(id >> (24 - 8 * i));
}

/*
 * Parses a frame with a header of `header` bytes, its total length at `len_at` and its id at
 * `id_at`.
 */
static enum blast_take take(const uint8_t *p, uint32_t len, uint32_t header, uint32_t len_at,
	uint32_t id_at, struct blast_frame *f)
{
	f->kind = BLAST_CALL;
	f->len = f->size = f->n_parts = 0;
	if (len < header)
		return BLAST_MORE;
	f->len = blast_be32(p + len_at);
	if (f->len < header || f->len > BLAST_FRAME_MAX)
		return BLAST_MALFORMED;
	if (len < f->len)
		return BLAST_MORE;
	f->id = blast_be32(p + id_at);
	f->size = f->len - header;
	f->parts[0] = (struct mt_slice){p + header, f->size};
	f->n_parts = 1;
	return BLAST_TAKEN;
}

static void awesome_make(
	struct blast_message *m, const struct blast_names *n, bool request, uint32_t size)
{
	(void)request;
	blast_put(m, "", 1); /* version 0: no metadata */
	m->id_at = 1;
	blast_put_be32(m, 0);
	blast_put_be32(m, AWESOME_HEADER + size);
	blast_put(m, (uint8_t[]){(uint8_t)(n->command >> 8), (uint8_t)n->command, 0, 0}, 4);
	blast_put_payload(m, 0, size);
}

static enum blast_take awesome_take(
	const uint8_t *p, uint32_t len, bool request, struct blast_frame *f)
{
	enum blast_take rc = take(p, len, AWESOME_HEADER, 5, 1, f);

	if (rc == BLAST_TAKEN && p[0] > 2)
		return BLAST_MALFORMED;
	if (rc == BLAST_TAKEN && !request && (p[11] | p[12]))
		f->kind = BLAST_ERROR;
	return rc;
}

static void tcp_make(
	struct blast_message *m, const struct blast_names *n, bool request, uint32_t size)
{
	(void)n;
	(void)request;
	blast_put_be32(m, TCP_HEADER + size);
	m->id_at = 4;
	blast_put_be32(m, 0);
	blast_put_payload(m, 0, size);
}

static enum blast_take tcp_take(const uint8_t *p, uint32_t len, bool request, struct blast_frame *f)
{
	(void)request;
	return take(p, len, TCP_HEADER, 0, 4, f);
}

const struct blast_proto blast_awesomerpc = {
	.name = "awesomerpc",
	.words = "awesomeRPC, version 0",
	.make = awesome_make,
	.set_id = set_id,
	.id_len = 4,
	.take = awesome_take,
};

const struct blast_proto blast_tcp = {
	.name = "tcp",
	.words = "opaque TCP: u32 length, u32 id, payload; any echo server answers it",
	.make = tcp_make,
	.set_id = set_id,
	.id_len = 4,
	.take = tcp_take,
};
