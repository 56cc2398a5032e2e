/* SPDX-License-Identifier: Apache-2.0 */
/* A codec's steps. The input's first byte says how it is divided. */
#pragma once

#include "fuzz_steps.h"
#include "mt_codec_priv.h"

static inline int fuzz_steps_codec(const struct mt_codec *codec, const uint8_t *data, size_t size)
{
	static const struct steps_how ways[] = {{MT_DIR_DOWN, 2048, UINT32_MAX},
		{MT_DIR_DOWN, 300, 300}, {MT_DIR_DOWN, 7, 61}, {MT_DIR_DOWN, 1, UINT32_MAX},
		{MT_DIR_UP, 2048, UINT32_MAX}, {MT_DIR_UP, 300, 300}};
	struct steps_seen s;

	if (size < 2 || size > 16384)
		return 0;
	s = steps_codec(codec, &ways[data[0] % MT_ARRAY_LEN(ways)], data + 1, (uint32_t)size - 1,
		fuzz_pools());
	fuzz_steps_tell(s.steps, size, &s.worst, data, size);
	fuzz_check_pools();
	return 0;
}
