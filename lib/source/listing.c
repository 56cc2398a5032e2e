/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a directory; they are read again only after the directory changed. */
#include "mt_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Selects files with names of documents, or nearly so, directories and links, unless hidden. */
static int wants_entry(const struct dirent *e)
{
	if (e->d_name[0] == '.')
		return 0;
	return e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN ||
	       mt_source_wants(e->d_name) || mt_source_is_misnamed(e->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void forget(struct mt_listing *l)
{
	mt_region_fini(&l->region);
	l->v = NULL;
	l->n = 0;
	l->read_at = 0;
}

void mt_listing_fini(struct mt_listing *l)
{
	forget(l);
	free(l->path);
}

static void take_names(struct mt_listing *l, struct dirent **names, uint32_t n)
{
	size_t len = strlen(l->path);

	while (len > 1 && l->path[len - 1] == '/')
		len--;
	l->v = mt_region_alloc(&l->region, n * sizeof(*l->v));
	for (uint32_t i = 0; l->v && i < n; i++)
		l->v[l->n++] = (struct mt_listed_name){
			mt_region_printf(&l->region, "%.*s%s%s", (int)len, l->path,
				len == 1 && *l->path == '/' ? "" : "/", names[i]->d_name),
			mt_source_wants(names[i]->d_name), mt_source_is_misnamed(names[i]->d_name)};
}

int mt_listing_read(struct mt_listing *l, const struct stat *st)
{
	struct mt_file_identity now = mt_file_identity(st);
	uint64_t at = mt_file_clock();
	struct dirent **names = NULL;
	int n;

	if (mt_file_settled(&l->id, &now, l->read_at))
		return 0;
	forget(l);
	n = scandir(l->path, &names, wants_entry, by_name);
	if (n < 0)
		return -errno;
	take_names(l, names, (uint32_t)n);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	if (l->region.failed)
		return -ENOMEM;
	l->id = now;
	l->read_at = at;
	return 0;
}
