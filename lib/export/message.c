/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_export_message.h"

#include "mt_varint.h"

#include <stdlib.h>
#include <string.h>

uint32_t mt_export_count(const struct mt_byte_ring *r, size_t *bytes)
{
	uint64_t at = mt_byte_ring_tail(r);
	uint32_t n = 0, len;

	*bytes = 0;
	while (mt_byte_ring_next(r, &at, &len) && *bytes + len <= MT_EXPORT_BATCH) {
		*bytes += len;
		n++;
	}
	return n;
}

/* Bytes of frame i with all that it contains. */
static size_t frame_size(const struct mt_export_conf *c, uint32_t i, size_t bytes)
{
	for (uint32_t k = c->n_frames; k > i; k--) {
		if (c->frames[k - 1].tag)
			bytes += 1 + mt_varint_len(bytes);
		bytes += c->frames[k - 1].len;
	}
	return bytes;
}

/* "[RECORD,RECORD]". NULL: no memory. */
static uint8_t *make_list(const struct mt_byte_ring *r, uint32_t n, size_t bytes, size_t *len)
{
	uint64_t at = mt_byte_ring_tail(r);
	uint8_t *message, *to;

	*len = bytes + n + 1;
	message = to = malloc(*len);
	if (!message)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = 0;
		const void *record = mt_byte_ring_next(r, &at, &size);

		*to++ = i ? ',' : '[';
		memcpy(to, record, size);
		to += size;
	}
	*to = ']';
	return message;
}

uint8_t *mt_export_make(const struct mt_export_conf *c, const struct mt_byte_ring *r, uint32_t n,
	size_t bytes, size_t *len)
{
	uint64_t at = mt_byte_ring_tail(r);
	uint8_t *message, *to;

	if (c->is_list)
		return make_list(r, n, bytes, len);
	*len = frame_size(c, 0, bytes);
	message = to = malloc(*len + 1);
	if (!message)
		return NULL;
	for (uint32_t i = 0; i < c->n_frames; i++) {
		const struct mt_export_frame *f = &c->frames[i];

		if (f->len)
			memcpy(to, f->before, f->len);
		to += f->len;
		if (!f->tag)
			continue;
		*to++ = f->tag;
		to += mt_varint_put(to, frame_size(c, i + 1, bytes));
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t size = 0;
		const void *record = mt_byte_ring_next(r, &at, &size);

		memcpy(to, record, size);
		to += size;
	}
	MT_ASSERT((size_t)(to - message) == *len);
	return message;
}
