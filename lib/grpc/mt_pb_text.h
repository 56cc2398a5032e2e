/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to collectors: their texts, which may have any content, and messages as fields of
 * others. Pure functions without allocation.
 */
#pragma once

#include "mt_base.h"

#include <protobuf-c/protobuf-c.h>

/* Texts of a message, terminated as protobuf-c needs them. */
struct mt_pb_texts {
	char *p;
	uint32_t len, size;
	uint32_t cut; /* texts that did not fit */
};

/*
 * Copies a text, with U+FFFD for each byte that is not UTF-8, or is NUL, because collectors refuse
 * a whole message for one of them. It has at most `most` bytes. "" if there is no space for any.
 */
char *mt_pb_text(struct mt_pb_texts *t, struct mt_slice from, uint32_t most);
/*
 * Writes a message as a field with this tag. Returns the length. `to` has `size` bytes, which
 * suffice.
 */
uint32_t mt_pb_field(const ProtobufCMessage *m, uint8_t tag, uint8_t *to, uint32_t size);
