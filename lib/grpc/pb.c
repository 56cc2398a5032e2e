/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_pb.h"

/* Wire types (protobuf encoding, "message structure"). */
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct wire {
	const uint8_t *p, *end;
};

static bool read_varint(struct wire *w, uint64_t *v)
{
	*v = 0;
	for (unsigned int shift = 0; shift < 64 && w->p < w->end; shift += 7) {
		uint8_t b = *w->p++;

		*v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

static bool skip(struct wire *w, uint64_t n)
{
	if (n > (uint64_t)(w->end - w->p))
		return false;
	w->p += n;
	return true;
}

/* Skips a value that is not a message. */
static bool skip_value(struct wire *w, unsigned int type)
{
	uint64_t n;

	switch (type) {
	case VARINT:
		return read_varint(w, &n);
	case FIXED64:
		return skip(w, 8);
	case FIXED32:
		return skip(w, 4);
	case BYTES:
		return read_varint(w, &n) && skip(w, n);
	default: /* groups, which no message in proto/ has */
		return false;
	}
}

/* Returns the message type of a field; NULL if it is not a message. */
static const ProtobufCMessageDescriptor *message_of(
	const ProtobufCMessageDescriptor *type, uint64_t key)
{
	const ProtobufCFieldDescriptor *f;

	if ((key & 7) != BYTES || key >> 3 > UINT32_MAX)
		return NULL;
	f = protobuf_c_message_descriptor_get_field(type, (unsigned int)(key >> 3));
	return f && f->type == PROTOBUF_C_TYPE_MESSAGE ? f->descriptor : NULL;
}

/* One pass without recursion: `in` is the stack of messages with their ends. */
bool mt_pb_depth_ok(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len)
{
	struct {
		const ProtobufCMessageDescriptor *type;
		const uint8_t *end;
	} in[MT_PB_DEPTH] = {{type, data}};
	struct wire w = {data, data};
	unsigned int depth = 0;
	uint64_t key, n;

	/* `data` may be NULL for an empty message. */
	if (!len)
		return true;
	in[0].end = w.end = data + len;
	for (;;) {
		const ProtobufCMessageDescriptor *below;

		while (w.p == in[depth].end) {
			if (depth == 0)
				return true;
			w.end = in[--depth].end;
		}
		if (!read_varint(&w, &key))
			return true;
		below = message_of(in[depth].type, key);
		if (!below) {
			if (!skip_value(&w, key & 7))
				return true;
			continue;
		}
		if (!read_varint(&w, &n) || n > (uint64_t)(w.end - w.p))
			return true;
		if (++depth == MT_PB_DEPTH)
			return false;
		in[depth].type = below;
		in[depth].end = w.end = w.p + n;
	}
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void *from_region(void *arg, size_t size)
{
	return mt_region_alloc(arg, size);
}

static void to_region(void *arg, void *p)
{
	/* Freed with the region. */
}

void mt_pb_arena_init(struct mt_pb_arena *a, size_t limit)
{
	mt_region_init(&a->region, limit);
	a->alloc = (ProtobufCAllocator){from_region, to_region, &a->region};
}

void mt_pb_arena_fini(struct mt_pb_arena *a)
{
	mt_region_fini(&a->region);
}

void *mt_pb_unpack(struct mt_pb_arena *a, const ProtobufCMessageDescriptor *type,
	const uint8_t *data, size_t len, const char **why)
{
	void *m;

	if (!mt_pb_depth_ok(type, data, len)) {
		*why = "it is nested too deep";
		return NULL;
	}
	m = protobuf_c_message_unpack(type, &a->alloc, len, data);
	if (!m)
		*why = a->region.failed ? "it needs too much memory"
					: "its bytes are no such message";
	return m;
}
