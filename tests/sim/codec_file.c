/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_file.h"
#include "dialect.h"

#include "mt_codecfile.h"

#include <stdio.h>

/* By whether their calls are serial. */
static const struct mt_codec_table *tables[2];

static const struct mt_codec_table *compile(const char *path)
{
	static char text[2][64 * 1024];
	static struct mt_region region[2]; /* until the process ends */
	static uint32_t files;
	const struct mt_codec_table *t;
	struct mt_diags diags;
	FILE *f = files < MT_ARRAY_LEN(text) ? fopen(path, "r") : NULL;
	uint32_t i = files;
	size_t n;

	if (!f)
		return NULL;
	n = fread(text[i], 1, sizeof(text[i]), f);
	fclose(f);
	files++;
	mt_diags_init(&diags);
	mt_region_init(&region[i], 0);
	t = mt_codecfile_text(&region[i], &diags, path, text[i], n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	return t;
}

bool sim_codec_file_read(const char *path)
{
	const struct mt_codec_table *t = compile(path);
	bool serial = t && t->codec.correlation == MT_CORR_SERIAL;

	if (!t || tables[serial])
		return false;
	tables[serial] = t;
	return dialect_of_file(t->codec.name) != NULL;
}

const struct mt_codec_table *sim_codec_file(bool serial)
{
	return tables[serial];
}
