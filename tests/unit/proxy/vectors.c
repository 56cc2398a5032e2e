/* SPDX-License-Identifier: Apache-2.0 */
#include "vectors.h"

#include "mt_test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct bytes vectors_read(const char *folder, const char *name)
{
	struct bytes out = {0};
	char path[512], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), MT_VECTORS "/%s/%s", folder, name);
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		const char *at = line;
		unsigned int b;
		int used;

		if (line[0] == '#')
			continue;
		for (; out.n < VECTORS_MOST && sscanf(at, "%2x%n", &b, &used) == 1; at += used)
			out.b[out.n++] = (uint8_t)b;
	}
	fclose(f);
	return out;
}

static bool is_call(const char *folder, const char *name)
{
	const char *kind = strcmp(folder, "thrift") == 0 ? "-call" : "request";

	return strstr(name, kind) || strstr(name, "oneway");
}

void vectors_each(const char *folder, void (*use)(const char *name, const struct bytes *call))
{
	const struct dirent *e;
	char path[512];
	uint32_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), MT_VECTORS "/%s", folder);
	d = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d))) {
		struct bytes call;

		if (!is_call(folder, e->d_name))
			continue;
		call = vectors_read(folder, e->d_name);
		use(e->d_name, &call);
		n++;
	}
	closedir(d);
	CU_ASSERT(n >= 3);
}
