/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_file.h"

#include "mt_codecfile.h"

#include <stdio.h>

static const struct mt_codec_table *table;

bool sim_codec_file_read(const char *path)
{
	static char text[64 * 1024];
	static struct mt_region region; /* until the process ends */
	struct mt_diags diags;
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text), f) : 0;

	if (f)
		fclose(f);
	mt_diags_init(&diags);
	mt_region_init(&region, 0);
	table = mt_codecfile_text(&region, &diags, path, text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	return table != NULL;
}

const struct mt_codec_table *sim_codec_file(void)
{
	return table;
}
