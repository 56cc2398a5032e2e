/* SPDX-License-Identifier: Apache-2.0 */
/* A whole configuration: the Node's file and all directories, each file once. */
#include "mt_files.h"

#include "mt_strmap.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

/* One load on its way. */
struct load {
	struct mt_source_cache *cache;
	struct mt_model *m;
	struct mt_diags *diags;
	struct mt_strmap visited; /* by device and inode: what is named twice is read once */
};

/* true: for the first time. */
static bool first_visit(struct load *l, const struct stat *st)
{
	char *key = mt_region_printf(
		&l->m->region, "%lx %lx", (unsigned long)st->st_dev, (unsigned long)st->st_ino);

	if (!key || mt_strmap_get(&l->visited, key))
		return false;
	mt_strmap_put(&l->visited, key, l, NULL);
	return true;
}

static void read_file(struct load *l, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		mt_load_error(l->diags, path, "check its name and permissions", errno);
	else if (first_visit(l, &st))
		mt_cache_read(l->cache, l->m, l->diags, path, &st);
}

static int wants_entry(const struct dirent *e)
{
	return mt_source_wants(e->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int scan(struct load *l, const char *path)
{
	struct dirent **names = NULL;
	int n = scandir(path, &names, wants_entry, by_name);
	size_t len = strlen(path);

	if (n < 0)
		return mt_load_error(l->diags, path,
			errno == EACCES ? "let this user read and search it"
					: "create the directory or mend its name",
			errno);
	while (len > 1 && path[len - 1] == '/')
		len--;
	for (int i = 0; i < n; i++) {
		char *file = mt_region_printf(&l->m->region, "%.*s%s%s", (int)len, path,
			len == 1 && *path == '/' ? "" : "/", names[i]->d_name);

		if (file)
			read_file(l, file);
		free(names[i]);
	}
	free(names);
	return 0;
}

static int read_directory(struct load *l, const char *path)
{
	struct stat st;

	/* One that is not there is told by scan(). */
	if (stat(path, &st) == 0 && !first_visit(l, &st))
		return 0;
	return scan(l, path);
}

static void read_all(
	struct load *l, const char *node_file, const char *const *directories, uint32_t n)
{
	if (node_file)
		read_file(l, node_file);
	for (uint32_t i = 0; l->m->node && i < l->m->node->n_sources; i++)
		if (l->m->node->sources[i].directory.s)
			read_directory(l, l->m->node->sources[i].directory.s);
	for (uint32_t i = 0; i < n; i++)
		read_directory(l, directories[i]);
}

int mt_source_load(struct mt_source_cache *cache, struct mt_model *m, struct mt_diags *diags,
	const char *node_file, const char *const *directories, uint32_t n)
{
	struct load l = {.cache = cache ? cache : mt_source_cache_new(), .m = m, .diags = diags};

	if (!l.cache)
		return -ENOMEM;
	mt_cache_begin(l.cache);
	read_all(&l, node_file, directories, n);
	mt_cache_end(l.cache, diags->errors == 0);
	if (!cache)
		mt_source_cache_free(l.cache);
	mt_strmap_fini(&l.visited);
	return m->region.failed ? -ENOMEM : 0;
}

int mt_source_directory(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	struct load l = {.cache = mt_source_cache_new(), .m = m, .diags = diags};
	int rc;

	if (!l.cache)
		return -ENOMEM;
	mt_cache_begin(l.cache);
	rc = read_directory(&l, path);
	mt_source_cache_free(l.cache);
	mt_strmap_fini(&l.visited);
	return m->region.failed ? -ENOMEM : rc;
}
