/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a directory; they are read again only after the directory changed. */
#include "mt_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Selects files with names of documents, or nearly so, directories and links, unless hidden. */
static bool wants_entry(const struct dirent *e)
{
	if (e->d_name[0] == '.')
		return false;
	return e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN ||
	       mt_source_wants(e->d_name) || mt_source_is_misnamed(e->d_name);
}

static int by_path(const void *a, const void *b)
{
	const struct mt_listed_name *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void forget(struct mt_listing *l)
{
	mt_region_fini(&l->region);
	l->v = NULL;
	l->n = l->n_seen = 0;
	l->read_at = 0;
}

void mt_listing_fini(struct mt_listing *l)
{
	forget(l);
	free(l->path);
}

static void take_name(struct mt_listing *l, const char *name)
{
	struct mt_listed_name *slot;
	size_t len = strlen(l->path);

	while (len > 0 && l->path[len - 1] == '/')
		len--;
	slot = mt_region_push(&l->region, (void **)&l->v, &l->n, sizeof(*slot));
	if (slot)
		*slot = (struct mt_listed_name){
			mt_region_printf(&l->region, "%.*s/%s", (int)len, l->path, name),
			mt_source_wants(name), mt_source_is_misnamed(name)};
}

static int take_names(struct mt_listing *l, DIR *dir, uint32_t most)
{
	const struct dirent *e;

	for (errno = 0; (e = readdir(dir)) != NULL; errno = 0) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (l->n_seen == most)
			return -E2BIG;
		l->n_seen++;
		if (wants_entry(e))
			take_name(l, e->d_name);
	}
	if (errno)
		return -errno;
	if (l->region.failed)
		return -ENOMEM;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_path);
	return 0;
}

int mt_listing_read(struct mt_listing *l, int fd, const struct stat *st, uint32_t most)
{
	struct mt_file_identity now = mt_file_identity(st);
	uint64_t at = mt_file_clock();
	DIR *dir;
	int rc;

	if (mt_file_settled(&l->id, &now, l->read_at)) {
		close(fd);
		return l->n_seen <= most ? 0 : -E2BIG;
	}
	forget(l);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -errno;
	}
	rc = take_names(l, dir, most);
	closedir(dir);
	if (rc) {
		forget(l);
		return rc;
	}
	l->id = now;
	l->read_at = at;
	return 0;
}
