/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Characters of UTF-8 (RFC 3629 section 4). For texts that people see, mt_log.h has mt_utf8_len(),
 * which leaves out control characters.
 */
#pragma once

#include "mt_base.h"

/* Bytes of the character at the start of the text; 0: there is none. */
uint32_t mt_utf8_char(const uint8_t *p, size_t n);
bool mt_is_utf8(struct mt_slice s);
/*
 * True for UTF-8 without NUL. Texts of protobuf are UTF-8 ("Protocol Buffers Version 3 Language
 * Specification", scalar types), and protobuf-c ends them with a NUL. A service fails on any other
 * text, so a call with such a text must not pass because a query failed.
 */
bool mt_is_protobuf_text(struct mt_slice s);
