/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_web.h"

#include "mt_base.h"

#include <string.h>

static const struct mt_web_file files[] = {
#include "web_files.inc"
};

const struct mt_web_file *mt_web_find(const char *name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(files); i++)
		if (strcmp(files[i].name, name) == 0)
			return &files[i];
	return NULL;
}
