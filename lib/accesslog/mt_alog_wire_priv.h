/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/accesslog: texts and fields of messages to collectors. */
#pragma once

#include "mt_alog_wire.h"

#include <protobuf-c/protobuf-c.h>

/* Texts of a message, terminated as protobuf-c needs them. */
struct mt_alog_texts {
	char *p;
	uint32_t len, size;
};

/*
 * Copies a text, made valid UTF-8 without NUL, with at most `most` bytes. "" if there is no space
 * for any.
 */
char *mt_alog_text_of(struct mt_alog_texts *t, struct mt_slice from, uint32_t most);
/* Writes a message as a field with this tag. `to` has `size` bytes, which suffice. The length. */
uint32_t mt_alog_field(const ProtobufCMessage *m, uint8_t tag, uint8_t *to, uint32_t size);

static inline struct mt_slice mt_alog_slice(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}
