/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a whole configuration: the Node's file and all directories, each file once. */
#include "mt_fields.h"
#include "mt_files.h"

#include "mt_idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Lower in tests. */
struct mt_source_limits mt_source_limits = {MT_SOURCE_NAMES_MAX, MT_SOURCE_DIRECTORIES_MAX,
	MT_SOURCE_BYTES_MAX, MT_SOURCE_MEMORY_MAX, MT_SOURCE_STEPS_MAX};

/* Instead of a source: what the configuration names, which no source reads again. */
#define OF_ALL UINT32_MAX

/* The directory of a source, open for the whole load. */
struct opened {
	struct mt_root root;
	uint32_t steps; /* left */
	struct opened *next;
};

/* The current load. */
struct load {
	const struct mt_source_place *place; /* of the file or directory that is being read */
	struct mt_source_cache *cache;
	struct mt_source_reading *reading;
	struct mt_diags *diags;
	struct mt_region region;
	struct mt_idmap visited; /* struct visit by inode, to read what is named twice only once */
	struct opened *opened;
	/* Of the source that is being read; NULL for files that the configuration names. */
	const struct mt_root *root;
	uint32_t at;   /* its index in reading->roots */
	uint32_t self; /* index + 1 of a source limited to some namespaces; 0: another; OF_ALL */
	struct mt_source_limits used; /* by that source */
	bool exceeded;		      /* one of its limits: read no more of it */
	bool installed;		      /* there is a directory of installed codecs */
	struct listed *listed;
	struct mt_root_place *places; /* by index in reading->roots */
	uint32_t n_listed, n_places;
	uint64_t
		began; /* wall() at the start: time stamps of earlier changes are never later than it */
};

/* A visited file or directory; `next`: another visit to the same inode number. */
struct visit {
	dev_t dev;
	uint32_t self; /* of the load at that time */
	struct visit *next;
};

/* A directory and its state before it was listed. */
struct listed {
	const char *path;
	const struct mt_root *root;
	struct stat st;
};

void mt_source_reading_fini(struct mt_source_reading *r)
{
	mt_objects_fini(&r->objects);
	for (uint32_t i = 0; i < r->n_partial; i++)
		free(r->partial[i]);
	for (uint32_t i = 0; i < r->n_roots; i++) {
		free(r->roots[i].directory);
		free(r->roots[i].only);
	}
	mt_strmap_fini(&r->by_path);
	free(r->roots);
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
	if (!v[r->n_partial])
		return -ENOMEM;
	return mt_strmap_put(&r->by_path, v[r->n_partial++], r, NULL);
}

int mt_reading_changing(struct mt_source_reading *r, const char *path)
{
	r->n_changing++;
	return mt_reading_partial(r, path);
}

bool mt_source_is_partial(const struct mt_source_reading *r, const char *file)
{
	char *path = r->n_partial && !r->unread ? strdup(file) : NULL;
	bool found =
		r->unread || (r->n_partial && !path) || (path && mt_strmap_get(&r->by_path, path));

	/* Search for each directory above the file, because there may be 100,000 paths and files. */
	for (char *end = path; end && !found && (end = strchr(end, '/')) != NULL; end++) {
		char next = end[1];

		end[1] = '\0';
		found = mt_strmap_get(&r->by_path, path);
		end[1] = next;
		*end = '\0';
		found |= *path && mt_strmap_get(&r->by_path, path);
		*end = '/';
	}
	free(path);
	return found;
}

static bool excludes(const struct mt_source_root *root, const struct mt_object *o)
{
	const struct mt_source_place place = {.only = root->only};

	return mt_place_excludes(&place, mt_kind_find(o->group, o->kind), o->ns);
}

/* The source of a file: the innermost directory that contains it; one with namespaces first. */
static const struct mt_source_root *root_of(const struct mt_source_reading *r, const char *file)
{
	const struct mt_source_root *best = NULL;

	for (uint32_t i = 0; i < r->n_roots; i++) {
		const struct mt_source_root *one = &r->roots[i];
		size_t len = strlen(one->directory), most = best ? strlen(best->directory) : 0;

		if (mt_is_below(file, one->directory) &&
			(!best || len > most || (len == most && one->only && !best->only)))
			best = one;
	}
	return best;
}

bool mt_source_limit(const struct mt_source_reading *r, const char *file, const char **only)
{
	const struct mt_source_root *root = root_of(r, file);

	*only = root ? root->only : NULL;
	return root != NULL;
}

const char *mt_source_root_only(const struct mt_source_reading *r, const char *directory)
{
	for (uint32_t i = 0; i < r->n_roots; i++)
		if (strcmp(r->roots[i].directory, directory) == 0)
			return r->roots[i].only;
	return NULL;
}

const char *mt_source_holder(
	const struct mt_source_reading *r, const char *file, const struct mt_object *o)
{
	const struct mt_source_root *root = root_of(r, file);

	if (root && excludes(root, o))
		return NULL;
	if (r->unread)
		return r->unread;
	if (mt_source_is_partial(r, file))
		return file;
	if (root && !root->unread)
		return NULL;
	for (uint32_t i = 0; i < r->n_roots; i++)
		if (r->roots[i].unread && !excludes(&r->roots[i], o))
			return r->roots[i].directory;
	return NULL;
}

/*
 * True if this load has not visited the file or directory before. A source that is limited to some
 * namespaces has visits of its own: a hard link in it hides no file from others.
 */
static bool first_visit(struct load *l, const struct stat *st)
{
	/* Ids in the map must not be 0, so replace inode 0. */
	uint64_t id = st->st_ino ? st->st_ino : UINT64_MAX;
	struct visit *first = mt_idmap_get(&l->visited, id), *v;

	for (v = first; v; v = v->next)
		if (v->dev == st->st_dev && (v->self == l->self || v->self == OF_ALL))
			return false;
	v = mt_region_alloc(&l->region, sizeof(*v));
	if (!v)
		return false;
	*v = (struct visit){st->st_dev, l->self, first};
	if (mt_idmap_put(&l->visited, id, v))
		l->region.failed = true;
	return true;
}

static void cannot_read(struct load *l, const char *path, const char *remedy, int err)
{
	mt_load_error(l->diags, path, remedy, err);
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

/*
 * Keeps the objects of a source that cannot be read. The name of its directory may be a mistake, so
 * that they were in another one.
 */
static void keep_source(struct load *l, const char *path)
{
	struct mt_source_root *root = &l->reading->roots[l->at];

	if (!root->only) {
		keep_all(l, path);
		return;
	}
	root->unread = true;
	l->reading->n_unread++;
	mt_diag_add(l->diags, MT_DIAG_WARNING, (struct mt_origin){path, 0}, NULL,
		"correct its name or restore it; to remove its objects, name it no more",
		"no object of its namespaces is removed until it can be read: %s", root->only);
}

/*
 * Ends the reading of a source that exceeds a limit. An author of documents could otherwise keep
 * this thread busy, or take all memory.
 */
static void exceed(struct load *l, const char *path, const char *what)
{
	const struct mt_meta about = {.origin = {path, 0}, .serial = mt_object_serial()};

	l->exceeded = true;
	mt_diag_object(l->diags, MT_DIAG_ERROR, &about, 0, NULL,
		"remove other files from it, or divide it among several of the Node's "
		"spec.sources",
		"not all of it is read: it has more than %s", what);
	if (mt_reading_partial(l->reading, path))
		l->region.failed = true;
}

/* False if a file of this size exceeds what a source may have. */
static bool count_bytes(struct load *l, const struct stat *st)
{
	/* A longer file is not read. */
	if (l->root && S_ISREG(st->st_mode) && st->st_size <= MT_SOURCE_FILE_MAX)
		l->used.bytes += (uint64_t)st->st_size;
	if (l->used.bytes <= mt_source_limits.bytes)
		return true;
	exceed(l, l->root->path, "256 MiB of documents");
	return false;
}

/* Memory that the source may still take. */
static uint64_t memory_left(const struct load *l)
{
	uint64_t most = l->place->only ? mt_source_limits.memory : 2 * mt_source_limits.memory;

	return !l->root ? UINT64_MAX : most - MT_MIN(l->used.memory, most);
}

/* Charges memory to the source; false: it has no more. */
static bool count_memory(struct load *l, uint64_t memory)
{
	bool fits = memory <= memory_left(l);

	l->used.memory += memory;
	if (!fits)
		exceed(l, l->root->path,
			l->place->only ? "1 GiB of objects, messages and names in memory"
				       : "2 GiB of objects, messages and names in memory");
	return fits;
}

/* Ends the reading of a source that has used its names of paths with links. */
static void exceed_steps(struct load *l)
{
	if (!l->exceeded)
		exceed(l, l->root->path, MT_TOO_MANY_STEPS);
}

/* 0, or -errno if the file cannot be read or exceeds a limit of its source. */
static int read_file(struct load *l, const char *path, const struct stat *st)
{
	uint64_t memory = 0;
	int rc;

	if (!count_bytes(l, st))
		return -E2BIG;
	rc = mt_cache_read(l->cache, l->reading, l->diags, l->place, l->root, path, st,
		memory_left(l), &memory);
	if (rc == -EDQUOT)
		exceed_steps(l);
	/* The file needs more than is left: a charge that exceeds any limit ends the source. */
	return count_memory(l, rc == -EOVERFLOW ? UINT64_MAX / 2 : memory) ? rc : -E2BIG;
}

static void scan(struct load *l, const char *path, unsigned int depth);

/* Reports a path without a state, unless it was listed and is gone by now. */
static void tell_missing(struct load *l, const char *path, bool named, int err)
{
	struct stat link;
	int rc = !named && err == ENOENT ? mt_root_lstat(l->root, path, &link) : 0;

	if (rc && rc != -EDQUOT)
		return;
	cannot_read(l, path,
		err == ENOENT && !named
			? "it is a dangling symbolic link; remove it, or restore its target"
			: "check its name and permissions",
		err);
}

/*
 * Reads a file, or a directory below one; `rc`, `st`: the result of mt_root_stat(). `named`: the
 * configuration names it, so it must exist. A listed file that is gone by now is not an error,
 * because find_changed() notices that its directory changed. False: a file cannot be read.
 */
static bool read_state(struct load *l, const char *path, int rc, const struct stat *st, bool named,
	unsigned int depth)
{
	if (rc == -EDQUOT) {
		exceed_steps(l);
		return false;
	}
	if (rc) {
		tell_missing(l, path, named, -rc);
		return false;
	}
	if (!first_visit(l, st))
		return true;
	if (S_ISDIR(st->st_mode) && !named) {
		scan(l, path, depth + 1);
		return true;
	}
	rc = read_file(l, path, st);
	if (rc == -ENOENT && l->root)
		tell_missing(l, path, named, ENOENT);
	return rc == 0;
}

static bool read_named(struct load *l, const char *path)
{
	struct stat st;
	int rc = mt_root_stat(NULL, path, &st);
	bool read;

	l->self = OF_ALL;
	read = read_state(l, path, rc, &st, true, 0);
	l->self = 0;
	return read;
}

/*
 * Reads an entry of a directory if it has the name of a document, or is a directory or a link to
 * one. A link that leads out of the source may be one to a directory, so read_state() reports it.
 * Warns of a file that is left out by its name, because it looks as if it was read.
 */
static void read_listed(struct load *l, const struct mt_listed_name *name, unsigned int depth)
{
	struct stat st;
	int rc = mt_root_stat(l->root, name->path, &st);

	if (name->wanted || rc == -EXDEV || rc == -EDQUOT || (rc == 0 && S_ISDIR(st.st_mode)))
		(void)read_state(l, name->path, rc, &st, false, depth);
	else if (name->misnamed && rc == 0 && S_ISREG(st.st_mode))
		mt_diag_add(l->diags, MT_DIAG_WARNING, (struct mt_origin){name->path, 0}, NULL,
			"rename it, or move it to another directory",
			"is not read: only names that end in .yaml, .yml or .json are");
}

static void add_listed(struct load *l, const char *path, const struct stat *st)
{
	struct listed *d =
		mt_region_push(&l->region, (void **)&l->listed, &l->n_listed, sizeof(*d));

	if (d)
		*d = (struct listed){mt_region_strdup(&l->region, path), l->root, *st};
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

		if (mt_root_stat(d->root, d->path, &st) == 0 && st.st_ino == d->st.st_ino &&
			st.st_dev == d->st.st_dev && changed_at(&st) == changed_at(&d->st) &&
			!is_of_this_load(l, &st, now))
			continue;
		if (mt_reading_changing(l->reading, d->path))
			l->region.failed = true;
	}
}

/*
 * Lists a directory, after recording its state for find_changed(). 0 or -errno; -E2BIG: the source
 * has too many names; 1: it is left to another source.
 */
static int list(struct load *l, const char *path, struct mt_listing **names)
{
	int fd = mt_root_openat(l->root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK), rc;
	struct stat st;

	if (fd < 0)
		return fd;
	rc = fstat(fd, &st) ? -errno : 0;
	if (rc == 0 && mt_root_is_of_another(l->places, l->n_places, l->at + 1, fd, &st))
		rc = 1;
	*names = rc ? NULL : mt_cache_listing(l->cache, path);
	if (rc == 0 && !*names)
		rc = -ENOMEM;
	if (rc) {
		close(fd);
		return rc;
	}
	add_listed(l, path, &st);
	rc = mt_listing_read(*names, fd, &st, mt_source_limits.names - l->used.names);
	l->used.names += (*names)->n_seen;
	return rc;
}

static void cannot_list(struct load *l, const char *path, int rc)
{
	cannot_read(l, path,
		rc == -EACCES ? "let this user read and search it"
			      : "create the directory or correct its name",
		-rc);
}

/* Lists a directory if that exceeds no limit; false after a message if it does, or fails. */
static bool may_scan(
	struct load *l, const char *path, unsigned int depth, struct mt_listing **names)
{
	int rc;

	if (depth > MT_SOURCE_DEPTH) {
		cannot_read(l, path, "32 directories below each other at most", ELOOP);
		return false;
	}
	if (++l->used.directories > mt_source_limits.directories) {
		exceed(l, l->root->path, MT_TOO_MANY_DIRECTORIES);
		return false;
	}
	rc = list(l, path, names);
	if (rc == -E2BIG)
		exceed(l, l->root->path, MT_TOO_MANY_NAMES);
	else if (rc == -EDQUOT)
		exceed_steps(l);
	else if (rc < 0)
		cannot_list(l, path, rc);
	if (rc < 0 && !l->exceeded && !depth)
		keep_source(l, path);
	return rc == 0 && count_memory(l, (*names)->region.used);
}

static void scan(struct load *l, const char *path, unsigned int depth)
{
	struct mt_listing *names = NULL;

	if (!may_scan(l, path, depth, &names))
		return;
	for (uint32_t i = 0; i < names->n && !l->exceeded; i++)
		read_listed(l, &names->v[i], depth);
}

/* Opens the directory of a source for this load. NULL after a message. */
static const struct mt_root *open_root(struct load *l, const char *path)
{
	struct opened *o = mt_region_alloc(&l->region, sizeof(*o));
	int rc = o ? mt_root_open(&o->root, path, &o->steps) : -ENOMEM;

	if (rc) {
		cannot_list(l, path, rc);
		keep_source(l, path);
		return NULL;
	}
	o->steps = mt_source_limits.steps;
	o->next = l->opened;
	l->opened = o;
	return &o->root;
}

static void close_roots(struct load *l)
{
	for (struct opened *o = l->opened; o; o = o->next)
		mt_root_close(&o->root);
}

/* Finds where the directories of sources are now. */
static void find_places(struct load *l)
{
	for (uint32_t i = 0; i < l->n_places; i++)
		l->places[i] = mt_root_place(&l->region, l->reading->roots[i].directory,
			l->reading->roots[i].only != NULL);
}

/* Reads the next of reading->roots. */
static void read_root(struct load *l, const struct mt_source_place *place)
{
	const char *path = l->reading->roots[l->at].directory;
	const struct mt_root *root = open_root(l, path);
	struct stat st;

	/* Its path may lead elsewhere by now, so that limited directories in it are others. */
	if (root && !mt_root_is_at(&l->places[l->at], root->fd))
		find_places(l);
	l->self = place->only ? l->at + 1 : 0;
	if (root && (mt_root_stat(root, path, &st) != 0 || first_visit(l, &st))) {
		l->place = place;
		l->root = root;
		l->used = (struct mt_source_limits){0};
		l->exceeded = false;
		l->diags->owner = place->only;
		scan(l, path, 0);
		l->diags->owner = NULL;
		l->root = NULL;
		l->place = &mt_source_anywhere;
	}
	l->self = 0;
	l->at++;
}

static const struct mt_node *node_of(const struct mt_source_reading *r)
{
	for (uint32_t i = 0; i < r->objects.n; i++)
		if (r->objects.v[i]->part->node)
			return r->objects.v[i]->part->node;
	return NULL;
}

const struct mt_source_place mt_source_anywhere = {.source = MT_SOURCE_DOCUMENTS};

/* The namespaces of the source's objects, as in struct mt_source_place; NULL: all, or no memory. */
static const char *namespaces_of(struct load *l, const struct mt_node_source *s)
{
	const char *all = NULL;

	for (uint32_t i = 0; i < s->n_namespaces; i++) {
		const char *one = s->namespaces[i].s;

		all = all ? mt_region_printf(&l->region, "%s, %s", all, one)
			  : mt_region_strdup(&l->region, one);
		if (!all)
			return NULL;
	}
	return all;
}

/* Adds the directory of a source to reading->roots; `only`: its namespaces, NULL: all. */
static void note_root(struct load *l, const char *directory, const char *only)
{
	struct mt_source_reading *r = l->reading;
	struct mt_source_root *v = realloc(r->roots, (r->n_roots + 1) * sizeof(*v));
	struct mt_root_place *p =
		mt_region_push(&l->region, (void **)&l->places, &l->n_places, sizeof(*p));

	if (v)
		r->roots = v;
	if (!v || !p) {
		l->region.failed = true;
		return;
	}
	v[r->n_roots] = (struct mt_source_root){
		.directory = strdup(directory), .only = only ? strdup(only) : NULL};
	if (!v[r->n_roots].directory || (only && !v[r->n_roots].only))
		l->region.failed = true;
	r->n_roots++;
}

/*
 * Directories of codecs come first, because a source may contain one: then its documents are read
 * as codecs.
 */
static void note_roots(
	struct load *l, const struct mt_node *node, const char *const *directories, uint32_t n)
{
	struct stat st;

	for (uint32_t i = 0; node && i < node->n_codecs; i++)
		note_root(l, node->codecs[i].s, NULL);
	l->installed = node && stat(mt_source_codecs, &st) == 0;
	if (l->installed)
		note_root(l, mt_source_codecs, NULL);
	for (uint32_t i = 0; node && i < node->n_sources; i++)
		if (node->sources[i].directory.s)
			note_root(l, node->sources[i].directory.s,
				namespaces_of(l, &node->sources[i]));
	for (uint32_t i = 0; i < n; i++)
		note_root(l, directories[i], NULL);
}

static void read_source(struct load *l, const struct mt_node_source *s)
{
	const struct mt_source_place place = {.source = s->name.s ? s->name.s : MT_SOURCE_DOCUMENTS,
		.ns = s->ns.s,
		.only = l->reading->roots[l->at].only};

	read_root(l, &place);
}

const char *mt_source_codecs = MT_SOURCE_CODECS;

static void read_codecs(struct load *l, const struct mt_node *node)
{
	static const struct mt_source_place of_node = {
		.source = MT_SOURCE_OF_CODECS, .codecs = MT_CODECS_OF_NODE};
	static const struct mt_source_place installed = {
		.source = MT_SOURCE_INSTALLED_CODECS, .codecs = MT_CODECS_INSTALLED};

	for (uint32_t i = 0; node && i < node->n_codecs; i++)
		read_root(l, &of_node);
	if (l->installed)
		read_root(l, &installed);
}

static const struct mt_source_place mesh_config = {
	.source = MT_SOURCE_DOCUMENTS, .mesh_config = true};

static void read_all(
	struct load *l, const char *node_file, const char *const *directories, uint32_t n)
{
	const struct mt_node *node;

	l->place = &mt_source_anywhere;
	if (node_file)
		(void)read_named(l, node_file);
	node = node_of(l->reading);
	if (node && node->mesh && node->mesh->config.s) {
		l->place = &mesh_config;
		if (!read_named(l, node->mesh->config.s))
			keep_all(l, node->mesh->config.s);
	}
	note_roots(l, node, directories, n);
	if (!l->region.failed)
		find_places(l);
	/* Without memory a limit of namespaces might be missing. */
	if (l->region.failed)
		return;
	read_codecs(l, node);
	for (uint32_t i = 0; node && i < node->n_sources; i++)
		if (node->sources[i].directory.s)
			read_source(l, &node->sources[i]);
	for (uint32_t i = 0; i < n; i++)
		read_root(l, &mt_source_anywhere);
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
	close_roots(&l);
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
