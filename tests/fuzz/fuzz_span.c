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
	(void)mt_span_b3_unsampled(all);
	return 0;
}
