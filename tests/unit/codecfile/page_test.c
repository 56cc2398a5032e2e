/* SPDX-License-Identifier: Apache-2.0 */
/* The example of docs/protocols/codec-files.md, with the parts that later sections add to it. */
#include "codecfile_test.h"

#include <stdio.h>

#define PAGE "../../docs/protocols/codec-files.md"

/* Sections whose examples are keys of the first one's spec. */
static bool adds(const char *title)
{
	static const char *const titles[] = {"An example", "Local replies", "Heartbeats and goaway",
		"Connections", "Authorization", "Samples"};

	for (size_t i = 0; i < MT_ARRAY_LEN(titles); i++)
		if (strcmp(title, titles[i]) == 0)
			return true;
	return false;
}

static void examples(void)
{
	static char text[16384];
	const struct mt_codec_table *t;
	struct mt_region region;
	size_t n = 0, len;
	uint32_t blocks = 0;
	bool wanted = false, inside = false;
	char *page = file_slurp(PAGE, &len), *line;

	CU_ASSERT_PTR_NOT_NULL_FATAL(page);
	while ((line = strsep(&page, "\n"))) {
		if (strncmp(line, "## ", 3) == 0)
			wanted = adds(line + 3);
		if (strncmp(line, "```", 3) == 0) {
			inside = strcmp(line, "```yaml") == 0;
			blocks += inside && wanted;
		} else if (inside && wanted) {
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", line);
			CU_ASSERT_FATAL(n < sizeof(text));
		}
	}
	CU_ASSERT_EQUAL(blocks, 6);
	mt_region_init(&region, 0);
	t = file_compile(&region, text);
	CU_ASSERT(t->n_templates == 4 && t->codec.write.goaway && t->codec.heartbeat_s == 15);
	mt_region_fini(&region);
}

const struct mt_test page_tests[] = {{"examples", examples}, {0}};
