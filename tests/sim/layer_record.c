/* SPDX-License-Identifier: Apache-2.0 */
/* Records as they are on the wire. */
#include "layer_records.h"

#include <errno.h>

static uint8_t text[RECORD_MAX]; /* of the record in hand */

static uint32_t rotl(uint32_t x)
{
	return x << 5 | x >> 27;
}

static uint32_t sum_of(const struct record *r)
{
	uint32_t sum = 0x811c9dc5u + (uint32_t)r->type + ((uint32_t)r->generation << 8);

	for (uint32_t i = 0; i < r->len; i++)
		sum = (rotl(sum) ^ text[i]) * 0x01000193u;
	return sum;
}

static void change(const struct record *r)
{
	uint32_t key = (r->generation + 1u) * 0x9e3779b1u;

	for (uint32_t i = 0; i < r->len; i++) {
		key = key * 1664525u + 1013904223u;
		text[i] ^= (uint8_t)(key >> 24);
	}
}

int record_peek(const struct mt_chain *c, struct record *r)
{
	uint8_t scratch[RECORD_HEADER];
	const uint8_t *h = mt_chain_peek(c, 0, RECORD_HEADER, scratch);

	if (!h)
		return 0;
	*r = (struct record){
		.type = h[0],
		.generation = h[1],
		.len = (uint32_t)h[2] << 8 | h[3],
		.sum = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7],
	};
	return r->type < RECORD_N_TYPES && r->len <= RECORD_MAX &&
			       (r->len == 0) == (r->type != RECORD_DATA)
		       ? 1
		       : -1;
}

int record_open(
	const struct mt_chain *c, const struct record *r, struct mt_chain *to, struct mt_pools *p)
{
	mt_chain_read(c, RECORD_HEADER, text, r->len);
	change(r);
	if (sum_of(r) != r->sum)
		return -EPROTO;
	return mt_chain_write(to, p, text, r->len);
}

int record_seal(const struct mt_chain *plain, uint32_t off, struct record *r, struct mt_chain *to,
	struct mt_pools *p)
{
	uint8_t h[RECORD_HEADER] = {
		(uint8_t)r->type, r->generation, (uint8_t)(r->len >> 8), (uint8_t)r->len};
	uint32_t before = to->len;

	if (r->len)
		mt_chain_read(plain, off, text, r->len);
	r->sum = sum_of(r);
	for (int i = 0; i < 4; i++)
		h[4 + i] = (uint8_t)(r->sum >> (24 - 8 * i));
	change(r);
	if (mt_chain_write(to, p, h, sizeof(h)))
		return -ENOMEM;
	if (!mt_chain_write(to, p, text, r->len))
		return 0;
	mt_chain_truncate(to, before);
	return -ENOMEM;
}
