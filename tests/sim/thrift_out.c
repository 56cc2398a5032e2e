/* SPDX-License-Identifier: Apache-2.0 */
#include "thrift_wire.h"

static const uint8_t binary_ids[TW_N] = {2, 3, 6, 8, 10, 4, 11, 12, 13, 14, 15, 16};
static const uint8_t compact_ids[TW_N] = {1, 3, 4, 5, 6, 7, 8, 12, 11, 10, 9, 13};

static void value(struct tw_out *o, enum tw_type type, uint32_t depth);

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

void tw_varint(struct rpc_bytes *out, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		rpc_put8(out, (uint8_t)(v | 0x80));
	rpc_put8(out, (uint8_t)v);
}

static void field_of(struct tw_out *o, int16_t *last, int16_t id, uint8_t type)
{
	int delta = id - *last;

	*last = id;
	if (!o->compact) {
		rpc_put8(o->out, type);
		rpc_put16(o->out, (uint16_t)id);
	} else if (delta > 0 && delta <= 15) {
		rpc_put8(o->out, (uint8_t)(delta << 4 | type));
	} else {
		rpc_put8(o->out, type);
		tw_varint(o->out, zigzag(id));
	}
}

void tw_field(struct tw_out *o, int16_t *last, int16_t id, enum tw_type type)
{
	field_of(o, last, id, o->compact ? compact_ids[type] : binary_ids[type]);
}

void tw_stop(struct tw_out *o)
{
	rpc_put8(o->out, 0);
}

static void length(struct tw_out *o, uint32_t n)
{
	if (o->compact)
		tw_varint(o->out, n);
	else
		rpc_put32(o->out, n);
}

void tw_string(struct tw_out *o, const void *p, uint32_t n)
{
	length(o, n);
	rpc_put(o->out, p, n);
}

void tw_i32(struct tw_out *o, int32_t v)
{
	if (o->compact)
		tw_varint(o->out, zigzag(v));
	else
		rpc_put32(o->out, (uint32_t)v);
}

/* ---- values that nobody reads ---- */

static void bytes(struct tw_out *o, uint32_t n)
{
	while (n--)
		rpc_put8(o->out, (uint8_t)mt_rand_u64(o->rand));
}

/* An integer of `size` bytes: small, or of any width. */
static void integer(struct tw_out *o, uint32_t size)
{
	uint64_t v = mt_rand_u64(o->rand) >> sim_below(o->rand, 64);

	if (!o->compact) {
		bytes(o, size);
		return;
	}
	if (size < 8)
		v &= (1ull << size * 8) - 1;
	tw_varint(o->out, v);
}

static uint8_t id_of(const struct tw_out *o, enum tw_type type)
{
	return o->compact ? compact_ids[type] : binary_ids[type];
}

/* Without nesting at depth 0. */
static enum tw_type draw(struct tw_out *o, uint32_t depth)
{
	enum tw_type t;

	do
		t = (enum tw_type)sim_below(o->rand, TW_N);
	while (!depth && t >= TW_STRUCT && t <= TW_LIST);
	return t;
}

static void list(struct tw_out *o, uint32_t depth)
{
	uint32_t n = sim_below(o->rand, sim_one_in(o->rand, 8) ? 40 : 5);
	enum tw_type t = draw(o, depth);

	if (!o->compact) {
		rpc_put8(o->out, id_of(o, t));
		rpc_put32(o->out, n);
	} else if (n < 15) {
		rpc_put8(o->out, (uint8_t)(n << 4 | id_of(o, t)));
	} else {
		rpc_put8(o->out, 0xf0 | id_of(o, t));
		tw_varint(o->out, n);
	}
	while (n--)
		value(o, t, depth);
}

static void map(struct tw_out *o, uint32_t depth)
{
	uint32_t n = sim_below(o->rand, 5);
	enum tw_type k = draw(o, 0), v = draw(o, depth);

	if (!o->compact) {
		rpc_put8(o->out, id_of(o, k));
		rpc_put8(o->out, id_of(o, v));
		rpc_put32(o->out, n);
	} else {
		tw_varint(o->out, n);
		if (n)
			rpc_put8(o->out, (uint8_t)(id_of(o, k) << 4 | id_of(o, v)));
	}
	while (n--) {
		value(o, k, 0);
		value(o, v, depth);
	}
}

static void string(struct tw_out *o)
{
	uint32_t n = sim_below(o->rand, sim_one_in(o->rand, 6) ? 300 : 12);

	length(o, n);
	bytes(o, n);
}

static void value(struct tw_out *o, enum tw_type type, uint32_t depth)
{
	static const uint8_t sizes[TW_N] = {1, 1, 2, 4, 8, 8, [TW_UUID] = 16};
	int16_t last = 0;

	switch (type) {
	case TW_I16:
	case TW_I32:
	case TW_I64:
		integer(o, sizes[type]);
		return;
	case TW_STRING:
		string(o);
		return;
	case TW_STRUCT:
		tw_junk(o, &last, depth - 1);
		tw_stop(o);
		return;
	case TW_MAP:
		map(o, depth - 1);
		return;
	case TW_SET:
	case TW_LIST:
		list(o, depth - 1);
		return;
	default:
		bytes(o, sizes[type]);
	}
}

void tw_junk(struct tw_out *o, int16_t *last, uint32_t depth)
{
	uint32_t n = sim_below(o->rand, 4);

	while (n--) {
		uint32_t jump = 1 + sim_below(o->rand, sim_one_in(o->rand, 4) ? 300 : 6);
		enum tw_type t = draw(o, depth);

		/* In a compact field a boolean is its type: 1 true, 2 false. */
		if (t == TW_BOOL && o->compact) {
			field_of(o, last, (int16_t)(*last + jump), 1 + sim_below(o->rand, 2));
			continue;
		}
		tw_field(o, last, (int16_t)(*last + jump), t);
		value(o, t, depth);
	}
}
