/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a document of kind Codec. After a NUL byte come messages for what it compiles to;
 * without one the text itself is the message.
 */
#include "fuzz_codec_stream.h"
#include "mt_codecfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, 0, size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_diags diags;
	const char *why;

	mt_region_init(&region, 0);
	mt_diags_init(&diags);
	t = mt_codecfile_text(&region, &diags, "fuzz", (const char *)data, len);
	MT_ASSERT(t ? diags.errors == 0 : diags.errors + diags.warnings > 0);
	if (t) {
		MT_ASSERT(mt_codec_table_check(t, &why));
		if (end)
			stream_table(t, end + 1, (uint32_t)MT_MIN(size - len - 1, 4096u));
		else
			stream_table(t, data, (uint32_t)MT_MIN(size, 4096u));
	}
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	return 0;
}
