/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest of a resource's content, in one pass over the serialized bytes, without unpacking. The
 * digest of a message is the sum over its fields. Each field is hashed with its number and its
 * index among the fields of that number; map entries are hashed without an index. The order of
 * fields and of map entries therefore does not count, nor does it inside an Any of a known type.
 *
 * A server's resources contain what authors of its documents choose. Keys of the process keep them
 * from finding two contents, or sums, with one digest (SipHash).
 */
#include "mt_xds_map.h"

#include "mt_pb_json.h"
#include "mt_rand.h"
#include "mt_siphash.h"

#include <string.h>

#define FIELDS_MAX 64u

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

typedef struct mt_xds_digest digest;

static digest message(
	const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len, unsigned int depth);

/* One key for each half of a digest. */
static const uint8_t (*keys(void))[16]
{
	static uint8_t keys_[2][16];
	static bool made;

	if (!made)
		mt_rand_secret(keys_, sizeof(keys_));
	made = true;
	return keys_;
}

static digest plain(const void *p, size_t len)
{
	return (digest){{mt_siphash(keys()[0], p, len), mt_siphash(keys()[1], p, len)}};
}

static digest join(digest d, uint64_t a, uint64_t b)
{
	const uint64_t words[] = {d.v[0], d.v[1], a, b};

	return plain(words, sizeof(words));
}

static bool varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	*v = 0;
	for (unsigned int shift = 0; shift < 64 && *p < end; shift += 7) {
		uint8_t b = *(*p)++;

		*v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return true;
	}
	return false;
}

struct field {
	uint64_t key;
	uint64_t number;     /* the value itself, or its length */
	const uint8_t *data; /* BYTES only */
};

static bool next(const uint8_t **p, const uint8_t *end, struct field *f)
{
	size_t n;

	if (!varint(p, end, &f->key))
		return false;
	f->data = NULL;
	f->number = 0;
	switch (f->key & 7) {
	case VARINT:
		return varint(p, end, &f->number);
	case FIXED64:
	case FIXED32:
		n = (f->key & 7) == FIXED64 ? 8 : 4;
		if ((size_t)(end - *p) < n)
			return false;
		memcpy(&f->number, *p, n);
		*p += n;
		return true;
	case BYTES:
		if (!varint(p, end, &f->number) || f->number > (uint64_t)(end - *p))
			return false;
		f->data = *p;
		*p += f->number;
		return true;
	default:
		return false;
	}
}

/* Digest of an Any, with its value hashed by its type; the two fields may have any order. */
static digest any(const uint8_t *p, size_t len, unsigned int depth)
{
	const ProtobufCMessageDescriptor *type;
	struct field f, url = {0}, value = {0};
	const uint8_t *at = p;
	char name[160] = "";
	digest d;

	while (at < p + len) {
		if (!next(&at, p + len, &f) || !f.data || (f.key >> 3 != 1 && f.key >> 3 != 2))
			return plain(p, len);
		*(f.key >> 3 == 1 ? &url : &value) = f;
	}
	if (url.number < sizeof(name) && url.data)
		memcpy(name, url.data, url.number);
	type = mt_pb_type(name);
	d = plain(url.data, url.number);
	if (value.number) {
		digest v = type ? message(type, value.data, value.number, depth + 1)
				: plain(value.data, value.number);

		d = join(d, v.v[0], v.v[1]);
	}
	return d;
}

static digest value_of(
	const ProtobufCFieldDescriptor *known, const struct field *f, unsigned int depth)
{
	if (!f->data)
		return (digest){{f->number, ~f->number}};
	if (known && known->type == PROTOBUF_C_TYPE_MESSAGE && depth < MT_PB_DEPTH)
		return message(known->descriptor, f->data, f->number, depth + 1);
	return plain(f->data, f->number);
}

/*
 * Digest of a message. Bytes that are not a valid message, or are nested too deeply, are hashed as
 * they are.
 */
static digest message(
	const ProtobufCMessageDescriptor *type, const uint8_t *p, size_t len, unsigned int depth)
{
	uint32_t seen[FIELDS_MAX + 1] = {0};
	const uint8_t *at = p;
	digest sum = {{0, 0}};
	struct field f;

	if (type == &xds__any__descriptor && depth < MT_PB_DEPTH)
		return any(p, len, depth);
	while (at < p + len) {
		const ProtobufCFieldDescriptor *known;
		uint32_t place = FIELDS_MAX;
		uint64_t index = UINT64_MAX;
		digest v;

		if (!next(&at, p + len, &f) || f.key >> 3 > UINT32_MAX)
			return plain(p, len);
		known = protobuf_c_message_descriptor_get_field(type, (unsigned int)(f.key >> 3));
		if (known)
			place = MT_MIN((uint32_t)(known - type->fields), FIELDS_MAX);
		if (!known || known->type != PROTOBUF_C_TYPE_MESSAGE ||
			!mt_pb_is_entry(known->descriptor))
			index = seen[place]++;
		v = join(value_of(known, &f, depth), f.key, index);
		sum.v[0] += v.v[0];
		sum.v[1] += v.v[1];
	}
	return join(sum, len == 0, 0);
}

struct mt_xds_digest mt_xds_digest(const Xds__Any *body)
{
	static const uint8_t nothing;
	const ProtobufCMessageDescriptor *type = mt_pb_type(body->type_url);
	const uint8_t *data = body->value.len ? body->value.data : &nothing;
	digest url = plain(body->type_url, strlen(body->type_url));
	digest d = type ? message(type, data, body->value.len, 0) : plain(data, body->value.len);

	return join(url, d.v[0], d.v[1]);
}

uint64_t mt_xds_bytes_hash(const void *p, size_t len)
{
	return mt_siphash(keys()[0], p, len);
}
