/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protobuf bytes from outside, made into messages (protobuf-c) without trusting them. The library itself
 * recurses as deep as the bytes say, and a wire of two bytes an element becomes hundreds of bytes of memory;
 * both are bounded here. Control thread only.
 */
#pragma once

#include "mt_region.h"

#include <protobuf-c/protobuf-c.h>

/* Deeper nesting is refused; google.protobuf.Value, which nests at will, takes two levels for each list. */
#define MT_PB_DEPTH 64

/*
 * Where messages are put: all of one arena die together. At most `limit` bytes; what needs more is
 * refused.
 */
struct mt_pb_arena {
	struct mt_region region;
	ProtobufCAllocator alloc;
};

void mt_pb_arena_init(struct mt_pb_arena *a, size_t limit);
void mt_pb_arena_fini(struct mt_pb_arena *a);

/*
 * The message of type `type` that the bytes hold; it lives in the arena and shares nothing with the bytes.
 * NULL with *why set, a static text: not such a message, nested too deep, or too large for the arena.
 * Never free it by the library's function.
 */
void *mt_pb_unpack(struct mt_pb_arena *a, const ProtobufCMessageDescriptor *type,
	const uint8_t *data, size_t len, const char **why);

/*
 * Whether unpacking the bytes as `type` stays within MT_PB_DEPTH levels. Only fields that `type` knows as
 * messages count, so bytes and strings may hold anything. What is no message at all passes: unpacking tells.
 */
bool mt_pb_depth_ok(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t len);
