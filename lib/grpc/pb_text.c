/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_pb_text.h"

#include "mt_utf8.h"
#include "mt_varint.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define LENGTH_MOST 5		   /* bytes of a length */

/* Length of the character at `p` if protobuf accepts it; 0: it does not. */
static uint32_t character(const uint8_t *p, uint32_t len)
{
	return *p ? mt_utf8_char(p, len) : 0;
}

char *mt_pb_text(struct mt_pb_texts *t, struct mt_slice from, uint32_t most)
{
	static char none[] = "";
	uint32_t room = t->size - t->len, n = 0;
	char *to = t->p + t->len;

	if (!room || !from.len) {
		t->cut += from.len != 0;
		return none;
	}
	most = MT_MIN(most, room - 1);
	for (uint32_t at = 0; at < from.len;) {
		uint32_t len = character(from.p + at, from.len - at);
		uint32_t need = len ? len : 3;

		if (n + need > most) {
			t->cut++;
			break;
		}
		memcpy(to + n, len ? (const char *)from.p + at : REPLACEMENT, need);
		n += need;
		at += len ? len : 1;
	}
	to[n] = '\0';
	t->len += n + 1;
	return to;
}

uint32_t mt_pb_field(const ProtobufCMessage *m, uint8_t tag, uint8_t *to, uint32_t size)
{
	size_t len = protobuf_c_message_get_packed_size(m);
	uint32_t n = 0;

	MT_ASSERT(len + 1 + LENGTH_MOST <= size);
	to[n++] = tag;
	n += mt_varint_put(to + n, len);
	return n + (uint32_t)protobuf_c_message_pack(m, to + n);
}
