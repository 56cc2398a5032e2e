/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes untrusted protobuf bytes to messages (protobuf-c). The library itself recurses as deeply
 * as the bytes are nested, and uses hundreds of bytes for an element of two bytes on the wire.
 * Depth and memory are limited here. Control thread only.
 */
#pragma once

#include "mt_region.h"

#include <protobuf-c/protobuf-c.h>

/*
 * Maximum nesting. google.protobuf.Value, which may nest without limit, takes two levels for each
 * list.
 */
#define MT_PB_DEPTH 64

/*
 * Memory of messages, freed together. It is limited to `limit` bytes; a message that needs more is
 * an error.
 */
struct mt_pb_arena {
	struct mt_region region;
	ProtobufCAllocator alloc;
};

void mt_pb_arena_init(struct mt_pb_arena *a, size_t limit);
void mt_pb_arena_fini(struct mt_pb_arena *a);

/*
 * Decodes a message of type `type`. It is allocated in the arena and does not point into `data`.
 * Returns NULL with *why, a static text: invalid, nested too deeply, or too large for the arena. Do
 * not free the message with the library's function.
 */
void *mt_pb_unpack(struct mt_pb_arena *a, const ProtobufCMessageDescriptor *type,
	const uint8_t *data, size_t len, const char **why);

/*
 * True if decoding the bytes as `type` stays within MT_PB_DEPTH levels. Only fields that `type`
 * declares as messages count, so bytes and strings may contain anything. Also true for bytes that
 * are not a valid message: decoding fails on these.
 */
bool mt_pb_depth_ok(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);
