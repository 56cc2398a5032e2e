/* SPDX-License-Identifier: Apache-2.0 */
/* What clients say of their traces. What is taken is written again as it was read. */
#include "fuzz.h"

#include "mt_span.h"

#include <string.h>

static void check(const struct mt_span *s, const uint8_t *data, uint32_t at)
{
	char hex[2 * MT_TRACE_ID + 1];

	MT_ASSERT(s->len == MT_TRACE_ID || s->len == MT_TRACE_ID / 2);
	MT_ASSERT(memcmp(mt_span_hex(s->trace, s->len, hex), data + at, 2u * s->len) == 0);
}

/* A trace of the message's keys is that of one of their values. */
static void check_found(const uint8_t *data, size_t size)
{
	struct mt_span_values v = {.seen = 0};
	struct mt_span s;

	for (size_t at = 0; at < size;) {
		uint8_t key = data[at] % MT_SPAN_ALL_KEYS;
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		mt_span_see(&v, (enum mt_span_key)key,
			(struct mt_slice){data + at + 1, len ? (uint32_t)len - 1 : 0});
		at += len + 1;
	}
	if (!mt_span_find(&s, &v)) {
		MT_ASSERT(!s.len && !s.has_id);
		return;
	}
	MT_ASSERT(s.len == MT_TRACE_ID || s.len == MT_TRACE_ID / 2);
	MT_ASSERT(s.sampling <= MT_SPAN_DEBUG);
	MT_ASSERT(v.seen & ~v.twice & 0x7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_slice all = {data, (uint32_t)size}, half = {data, (uint32_t)size / 2};
	struct mt_slice rest = {data + half.len, (uint32_t)size - half.len};
	struct mt_span s;

	if (mt_span_w3c(&s, all))
		check(&s, data, 3);
	if (mt_span_b3(&s, all))
		check(&s, data, 0);
	if (mt_span_b3_ids(&s, half, rest))
		check(&s, data, 0);
	check_found(data, size);
	return 0;
}
