/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a whole configuration: the Node's file and all directories, each file once. */
#include "mt_files.h"

#include "mt_idmap.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* The current load. */
struct load {
	const struct mt_source_place *place; /* of the file or directory that is being read */
	struct mt_source_cache *cache;
	struct mt_source_reading *reading;
	struct mt_diags *diags;
	struct mt_region region;
	struct mt_idmap visited; /* struct visit by inode, to read what is named twice only once */
	struct listed *listed;
	uint32_t n_listed;
	uint64_t
		began; /* wall() at the start: time stamps of earlier changes are never later than it */
};

/* A visited file or directory; `next`: one with the same inode on another device. */
struct visit {
	dev_t dev;
	struct visit *next;
};

/* A directory and its state before it was listed. */
struct listed {
	const char *path;
	struct stat st;
};

void mt_source_reading_fini(struct mt_source_reading *r)
{
	mt_objects_fini(&r->objects);
	for (uint32_t i = 0; i < r->n_partial; i++)
		free(r->partial[i]);
	free(r->partial);
	free(r->unread);
	*r = (struct mt_source_reading){0};
}

int mt_reading_partial(struct mt_source_reading *r, const char *path)
{
	char **v = realloc(r->partial, (r->n_partial + 1) * sizeof(*v));

	if (!v)
		return -ENOMEM;
	r->partial = v;
	v[r->n_partial] = strdup(path);
	return v[r->n_partial++] ? 0 : -ENOMEM;
}

bool mt_source_is_partial(const struct mt_source_reading *r, const char *file)
{
	if (r->unread)
		return true;
	for (uint32_t i = 0; i < r->n_partial; i++) {
		size_t len = strlen(r->partial[i]);

		if (strncmp(r->partial[i], file, len) == 0 &&
			(file[len] == '\0' || file[len] == '/' || (len && file[len - 1] == '/')))
			return true;
	}
	return false;
}

/* True if this load has not visited the file or directory before. */
static bool first_visit(struct load *l, const struct stat *st)
{
	/* Ids in the map must not be 0, so replace inode 0. */
	uint64_t id = st->st_ino ? st->st_ino : UINT64_MAX;
	struct visit *first = mt_idmap_get(&l->visited, id), *v;

	for (v = first; v; v = v->next)
		if (v->dev == st->st_dev)
			return false;
	v = mt_region_alloc(&l->region, sizeof(*v));
	if (!v)
		return false;
	*v = (struct visit){st->st_dev, first};
	if (mt_idmap_put(&l->visited, id, v))
		l->region.failed = true;
	return true;
}

static void cannot_read(struct load *l, const char *path, const char *remedy)
{
	mt_load_error(l->diags, path, remedy, errno);
	if (mt_reading_partial(l->reading, path))
		l->region.failed = true;
}

/*
 * Keeps all objects of earlier loads: the configuration names this path, so its name may be a
 * mistake for that of any source.
 */
static void keep_all(struct load *l, const char *path)
{
	mt_diag_add(l->diags, MT_DIAG_WARNING, (struct mt_origin){path, 0}, NULL,
		"correct its name or restore it; to remove its objects, name it no more",
		"no object is removed until it can be read");
	if (!l->reading->unread)
		l->reading->unread = strdup(path);
	if (!l->reading->unread)
		l->region.failed = true;
}

static void scan(struct load *l, const char *path, unsigned int depth);

/*
 * Reads a file, or a directory below one. `named`: the configuration names it, so it must exist. A
 * listed file that is gone by now is no error, because find_changed() notices that its directory
 * changed. False: a file cannot be read.
 */
static bool read_path(struct load *l, const char *path, bool named, unsigned int depth)
{
	struct stat st, link;

	if (stat(path, &st)) {
		int err = errno;

		if (named || err != ENOENT || lstat(path, &link) == 0) {
			errno = err;
			cannot_read(l, path,
				err == ENOENT && !named ? "it is a dangling symbolic link; remove "
							  "it, or restore its target"
							: "check its name and permissions");
		}
		return false;
	}
	if (!first_visit(l, &st))
		return true;
	if (!S_ISDIR(st.st_mode) || named)
		return mt_cache_read(l->cache, l->reading, l->diags, l->place, path, &st) == 0;
	scan(l, path, depth + 1);
	return true;
}

/* True for names of documents, and for directories and links to directories. */
static bool is_wanted(const struct mt_listed_name *name)
{
	struct stat st;

	return name->wanted || (stat(name->path, &st) == 0 && S_ISDIR(st.st_mode));
}

/* A file that is left out by its name looks as if it was read. */
static void warn_of_name(struct load *l, const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		mt_diag_add(l->diags, MT_DIAG_WARNING, (struct mt_origin){path, 0}, NULL,
			"rename it, or move it to another directory",
			"is not read: only names that end in .yaml, .yml or .json are");
}

static void add_listed(struct load *l, const char *path, const struct stat *st)
{
	struct listed *d =
		mt_region_push(&l->region, (void **)&l->listed, &l->n_listed, sizeof(*d));

	if (d)
		*d = (struct listed){mt_region_strdup(&l->region, path), *st};
}

static uint64_t wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t changed_at(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * MT_SEC + (uint64_t)st->st_mtim.tv_nsec;
}

/*
 * True if the directory changed during this load. A time stamp in the future is from another clock,
 * and would look like a change in every later load, too.
 */
static bool is_of_this_load(const struct load *l, const struct stat *st, uint64_t now)
{
	return changed_at(st) > l->began && changed_at(st) <= now;
}

/*
 * Marks directories that changed during the load as partly read, so that missing objects are not
 * taken as deleted. A document may have moved to another name, or from a directory that was not
 * read yet to one that was. Then no listing has it. The watch soon triggers another load.
 */
static void find_changed(struct load *l)
{
	uint64_t now = wall();

	for (uint32_t i = 0; i < l->n_listed && !l->region.failed; i++) {
		const struct listed *d = &l->listed[i];
		struct stat st;

		if (stat(d->path, &st) == 0 && st.st_ino == d->st.st_ino &&
			st.st_dev == d->st.st_dev && changed_at(&st) == changed_at(&d->st) &&
			!is_of_this_load(l, &st, now))
			continue;
		if (mt_reading_partial(l->reading, d->path))
			l->region.failed = true;
	}
}

/* Lists a directory, after recording its state for find_changed(). 0 or -errno. */
static int list(struct load *l, const char *path, struct mt_listing **names)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	add_listed(l, path, &st);
	*names = mt_cache_listing(l->cache, path);
	return *names ? mt_listing_read(*names, &st) : -ENOMEM;
}

static void scan(struct load *l, const char *path, unsigned int depth)
{
	struct mt_listing *names = NULL;
	int rc;

	if (depth > MT_SOURCE_DEPTH) {
		errno = ELOOP;
		cannot_read(l, path, "32 directories below each other at most");
		return;
	}
	rc = list(l, path, &names);
	if (rc) {
		errno = -rc;
		cannot_read(l, path,
			rc == -EACCES ? "let this user read and search it"
				      : "create the directory or correct its name");
		if (!depth)
			keep_all(l, path);
		return;
	}
	for (uint32_t i = 0; i < names->n; i++)
		if (is_wanted(&names->v[i]))
			(void)read_path(l, names->v[i].path, false, depth);
		else if (names->v[i].misnamed)
			warn_of_name(l, names->v[i].path);
}

static void read_directory(struct load *l, const struct mt_source_place *place, const char *path)
{
	struct stat st;

	l->place = place;

	/* If the directory does not exist, scan() reports it. */
	if (stat(path, &st) == 0 && !first_visit(l, &st))
		return;
	scan(l, path, 0);
}

static const struct mt_node *node_of(const struct mt_source_reading *r)
{
	for (uint32_t i = 0; i < r->objects.n; i++)
		if (r->objects.v[i]->part->node)
			return r->objects.v[i]->part->node;
	return NULL;
}

const struct mt_source_place mt_source_anywhere = {.source = MT_SOURCE_DOCUMENTS};

static void read_source(struct load *l, const struct mt_node_source *s)
{
	const struct mt_source_place place = {
		.source = s->name.s ? s->name.s : MT_SOURCE_DOCUMENTS, .ns = s->ns.s};

	read_directory(l, &place, s->directory.s);
	l->place = &mt_source_anywhere;
}

static const struct mt_source_place mesh_config = {
	.source = MT_SOURCE_DOCUMENTS, .mesh_config = true};

static void read_all(
	struct load *l, const char *node_file, const char *const *directories, uint32_t n)
{
	const struct mt_node *node;

	l->place = &mt_source_anywhere;
	if (node_file)
		(void)read_path(l, node_file, true, 0);
	node = node_of(l->reading);
	if (node && node->mesh && node->mesh->config.s) {
		l->place = &mesh_config;
		if (!read_path(l, node->mesh->config.s, true, 0))
			keep_all(l, node->mesh->config.s);
	}
	for (uint32_t i = 0; node && i < node->n_sources; i++)
		if (node->sources[i].directory.s)
			read_source(l, &node->sources[i]);
	for (uint32_t i = 0; i < n; i++)
		read_directory(l, &mt_source_anywhere, directories[i]);
}

int mt_source_read(struct mt_source_cache *cache, struct mt_source_reading *r,
	struct mt_diags *diags, const char *node_file, const char *const *directories, uint32_t n)
{
	struct load l = {.cache = cache ? cache : mt_source_cache_new(),
		.reading = r,
		.diags = diags,
		.began = wall()};
	bool failed;

	if (!l.cache)
		return -ENOMEM;
	mt_region_init(&l.region, 0);
	/* Expect as many files as in the previous load. */
	if (mt_idmap_reserve(&l.visited, mt_cache_count(l.cache)))
		l.region.failed = true;
	mt_cache_begin(l.cache);
	read_all(&l, node_file, directories, n);
	find_changed(&l);
	/* Without a valid Node its directories were not read. */
	mt_cache_end(l.cache, !node_file || node_of(r));
	if (!cache)
		mt_source_cache_free(l.cache);
	mt_idmap_fini(&l.visited);
	failed = l.region.failed;
	mt_region_fini(&l.region);
	return failed ? -ENOMEM : 0;
}

int mt_source_load(struct mt_source_cache *cache, struct mt_model *m, struct mt_diags *diags,
	const char *node_file, const char *const *directories, uint32_t n)
{
	struct mt_source_reading r = {0};
	int rc = mt_source_read(cache, &r, diags, node_file, directories, n);

	if (rc == 0)
		rc = mt_objects_model(m, &r.objects, diags);
	mt_source_reading_fini(&r);
	return m->region.failed ? -ENOMEM : rc;
}

int mt_source_directory(struct mt_model *m, struct mt_diags *diags, const char *path)
{
	return mt_source_load(NULL, m, diags, NULL, &path, 1);
}
