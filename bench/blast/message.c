/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

const struct blast_proto *const blast_protos[] = {
	&blast_dubbo, &blast_thrift, &blast_thrift_compact, &blast_awesomerpc, &blast_tcp, NULL};

const struct blast_proto *blast_proto_find(const char *name)
{
	for (uint32_t i = 0; blast_protos[i]; i++)
		if (strcmp(blast_protos[i]->name, name) == 0)
			return blast_protos[i];
	return NULL;
}

static uint8_t pattern[BLAST_SIZE_MAX];
static pthread_once_t pattern_made = PTHREAD_ONCE_INIT;

/*
 * The pattern of letters depends on the position, so that displacements below 26 x 26 bytes are
 * detected.
 */
static void make_pattern(void)
{
	for (uint32_t at = 0; at < BLAST_SIZE_MAX; at++)
		pattern[at] = (uint8_t)('a' + (at + at / 26) % 26);
}

static void room(struct blast_message *m, uint32_t len)
{
	if (m->cap - m->len >= len)
		return;
	m->cap = (m->len + len) * 2;
	m->bytes = realloc(m->bytes, m->cap);
	if (!m->bytes) {
		fputs("meltemi-blast: no memory for messages; use smaller ones\n", stderr);
		exit(4);
	}
}

void blast_put(struct blast_message *m, const void *bytes, uint32_t len)
{
	room(m, len);
	memcpy(m->bytes + m->len, bytes, len);
	m->len += len;
}

void blast_put_be32(struct blast_message *m, uint32_t v)
{
	blast_put(m,
		(uint8_t[]){(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v},
		4);
}

void blast_set_be32(struct blast_message *m, uint32_t at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		m->bytes[at + (uint32_t)i] = (uint8_t)(v >> (24 - 8 * i));
}

void blast_put_payload(struct blast_message *m, uint32_t from, uint32_t len)
{
	if (from == 0)
		m->head_at = m->len;
	pthread_once(&pattern_made, make_pattern);
	blast_put(m, pattern + from, len);
}

const struct blast_message *blast_cache_get(
	struct blast_cache *c, uint32_t size, uint64_t id, const uint8_t head[BLAST_HEAD])
{
	struct blast_message *m = &c->slots[size % MT_ARRAY_LEN(c->slots)];

	if (!m->len || m->size != size) {
		m->len = 0;
		m->size = size;
		c->proto->make(m, &c->names, c->request, size);
	}
	c->proto->set_id(m->bytes + m->id_at, id);
	memcpy(m->bytes + m->head_at, head, MT_MIN(size, BLAST_HEAD));
	return m;
}

void blast_cache_fini(struct blast_cache *c)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(c->slots); i++)
		free(c->slots[i].bytes);
	memset(c->slots, 0, sizeof(c->slots));
}

void blast_head_write(uint8_t head[BLAST_HEAD], uint64_t token, uint32_t reply_size)
{
	for (uint32_t i = 0; i < BLAST_TOKEN; i++, token >>= 5)
		head[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz234567"[token & 31];
	for (uint32_t i = BLAST_HEAD; i-- > BLAST_TOKEN; reply_size /= 10)
		head[i] = (uint8_t)('0' + reply_size % 10);
}

uint32_t blast_head_size(const uint8_t head[BLAST_HEAD])
{
	uint32_t v = 0;

	for (uint32_t i = BLAST_TOKEN; i < BLAST_HEAD; i++) {
		if (head[i] < '0' || head[i] > '9')
			return UINT32_MAX;
		v = v * 10 + (head[i] - '0');
	}
	return v >= BLAST_HEAD && v <= BLAST_SIZE_MAX ? v : UINT32_MAX;
}

bool blast_frame_pattern(const struct blast_frame *f)
{
	uint32_t at = 0, skip;

	pthread_once(&pattern_made, make_pattern);
	for (uint32_t k = 0; k < f->n_parts; k++) {
		const struct mt_slice *part = &f->parts[k];

		skip = at < BLAST_HEAD ? MT_MIN(BLAST_HEAD - at, part->len) : 0;
		if (part->len > BLAST_SIZE_MAX - at ||
			memcmp(part->p + skip, pattern + at + skip, part->len - skip) != 0)
			return false;
		at += part->len;
	}
	return true;
}
