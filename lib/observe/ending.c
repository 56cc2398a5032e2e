/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_ending.h"

#include <string.h>

const struct mt_ending_row mt_endings[MT_N_ENDINGS] = {
#define MT_ENDING(name, code, flags, details, bracket) {#name, code, flags, details, bracket},
#include "endings.def"
#undef MT_ENDING
};

static const struct {
	const char *name, *words;
	uint32_t flag;
} flag_names[] = {
#define MT_RESPONSE_FLAG(name, words, bit) {#name, words, 1u << (bit)},
#include "response_flags.def"
#undef MT_RESPONSE_FLAG
};

uint32_t mt_flags_text(uint32_t flags, bool words, char text[MT_FLAGS_TEXT])
{
	uint32_t n = 0;

	for (uint32_t i = 0; flags && i < MT_ARRAY_LEN(flag_names); i++) {
		const char *name = words ? flag_names[i].words : flag_names[i].name;
		uint32_t len = (uint32_t)strlen(name);

		if (!(flags & flag_names[i].flag) || n + len + 2 > MT_FLAGS_TEXT)
			continue;
		if (n)
			text[n++] = ',';
		memcpy(text + n, name, len + 1);
		n += len;
		flags &= ~flag_names[i].flag;
	}
	if (!n)
		memcpy(text, "-", 2);
	return n ? n : 1;
}
