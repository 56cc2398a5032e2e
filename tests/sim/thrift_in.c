/* SPDX-License-Identifier: Apache-2.0 */
#include "thrift_wire.h"

static bool stopped(const struct tw_in *in)
{
	return in->more || in->bad;
}

static void pass(struct tw_in *in, uint64_t n)
{
	if (n > in->n - in->at)
		in->more = true;
	else
		in->at += (uint32_t)n;
}

uint8_t tw_take8(struct tw_in *in)
{
	if (!stopped(in) && in->at < in->n)
		return in->p[in->at++];
	in->more |= !in->bad;
	return 0;
}

uint32_t tw_take32(struct tw_in *in)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | tw_take8(in);
	return v;
}

uint64_t tw_take_varint(struct tw_in *in)
{
	uint64_t v = 0;
	uint8_t b;

	for (uint32_t shift = 0; shift < 64; shift += 7) {
		b = tw_take8(in);
		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	in->bad = true;
	return 0;
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

int32_t tw_take_i32(struct tw_in *in)
{
	return in->compact ? (int32_t)unzigzag(tw_take_varint(in)) : (int32_t)tw_take32(in);
}

/* True and false of the compact encoding stand for one type. */
static bool type_of(struct tw_in *in, uint8_t id, enum tw_type *type)
{
	static const uint8_t compact[] = {TW_N, TW_BOOL, TW_BOOL, TW_BYTE, TW_I16, TW_I32, TW_I64,
		TW_DOUBLE, TW_STRING, TW_LIST, TW_SET, TW_MAP, TW_STRUCT, TW_UUID};
	static const uint8_t binary[] = {TW_N, TW_N, TW_BOOL, TW_BYTE, TW_DOUBLE, TW_N, TW_I16,
		TW_N, TW_I32, TW_N, TW_I64, TW_STRING, TW_STRUCT, TW_MAP, TW_SET, TW_LIST, TW_UUID};

	*type = TW_N;
	if (in->compact && id < MT_ARRAY_LEN(compact))
		*type = compact[id];
	if (!in->compact && id < MT_ARRAY_LEN(binary))
		*type = binary[id];
	in->bad |= *type == TW_N && !in->more;
	return !stopped(in);
}

bool tw_next_field(struct tw_in *in, int16_t *last, enum tw_type *type, bool *valued)
{
	uint8_t b = tw_take8(in);
	uint16_t id;

	*valued = true;
	if (stopped(in) || b == 0)
		return false;
	if (!in->compact) {
		id = tw_take8(in);
		*last = (int16_t)(id << 8 | tw_take8(in));
		return type_of(in, b, type);
	}
	*valued = (b & 15) != 1 && (b & 15) != 2;
	*last = b >> 4 ? (int16_t)(*last + (b >> 4)) : (int16_t)unzigzag(tw_take_varint(in));
	return type_of(in, b & 15, type);
}

static uint32_t take_length(struct tw_in *in)
{
	uint64_t n = in->compact ? tw_take_varint(in) : tw_take32(in);

	in->bad |= n > 8u << 20;
	return (uint32_t)n;
}

const uint8_t *tw_take_string(struct tw_in *in, uint32_t *len)
{
	uint32_t n = take_length(in), at = in->at;

	if (stopped(in))
		return NULL;
	pass(in, n);
	*len = n;
	return in->more ? NULL : in->p + at;
}

static void skip_list(struct tw_in *in, uint32_t depth)
{
	uint8_t head = tw_take8(in);
	uint32_t n = in->compact && head >> 4 < 15 ? head >> 4 : take_length(in);
	enum tw_type t;

	if (n && !type_of(in, in->compact ? head & 15 : head, &t))
		return;
	for (; n && !stopped(in); n--)
		tw_skip(in, t, depth);
}

static void skip_map(struct tw_in *in, uint32_t depth)
{
	uint8_t k = 0, v = 0;
	enum tw_type kt, vt;
	uint32_t n;

	if (!in->compact) {
		k = tw_take8(in);
		v = tw_take8(in);
	}
	n = take_length(in);
	if (in->compact && n) {
		v = tw_take8(in);
		k = v >> 4;
		v &= 15;
	}
	if (n && (!type_of(in, k, &kt) || !type_of(in, v, &vt)))
		return;
	for (; n && !stopped(in); n--) {
		tw_skip(in, kt, depth);
		tw_skip(in, vt, depth);
	}
}

void tw_skip(struct tw_in *in, enum tw_type type, uint32_t depth)
{
	static const uint8_t sizes[TW_N] = {1, 1, 2, 4, 8, 8, [TW_UUID] = 16};
	uint32_t len;

	if (depth == 0) {
		in->bad = true;
		return;
	}
	switch (type) {
	case TW_STRING:
		tw_take_string(in, &len);
		return;
	case TW_STRUCT:
		tw_skip_struct(in, depth - 1);
		return;
	case TW_MAP:
		skip_map(in, depth - 1);
		return;
	case TW_SET:
	case TW_LIST:
		skip_list(in, depth - 1);
		return;
	case TW_I16:
	case TW_I32:
	case TW_I64:
		if (in->compact)
			tw_take_varint(in);
		else
			pass(in, sizes[type]);
		return;
	default:
		pass(in, sizes[type]);
	}
}

void tw_skip_struct(struct tw_in *in, uint32_t depth)
{
	enum tw_type type;
	int16_t last = 0;
	bool valued;

	while (tw_next_field(in, &last, &type, &valued))
		if (valued)
			tw_skip(in, type, depth);
}
