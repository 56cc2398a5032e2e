/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the directories that configuration.c reads, and the Node's file, and watches them. The
 * kernel reports what happens in a directory. It does not report when a path above it leads
 * elsewhere, or changes of a link's target. These are polled, and so are directories beyond the
 * kernel's limit of watches.
 */
#include "watch_tree.h"

#include "mt_files.h"
#include "mt_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS                                                                                     \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |   \
		IN_MOVE_SELF | IN_ATTRIB | IN_ONLYDIR)

/* The current walk. */
struct walking {
	const struct mt_watch_tree *t;
	struct mt_walk *w;
	struct mt_strmap visited;     /* by device and inode */
	struct mt_root_place *places; /* by index in t->roots */
	uint32_t n_places;
	uint64_t since;
	const struct mt_root *root; /* the directory of a source; NULL: paths are as they are */
	uint32_t root_at;	    /* index + 1 of that directory in t->roots; 0: none */
	struct mt_source_limits used;
	uint32_t steps;	  /* left of that source */
	const char *ends; /* the limit that ended its watch; NULL: none */
};

/* ---- state of files -------------------------------------------------------------------------- */

static uint64_t ns_of(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * MT_SEC + (uint64_t)t->tv_nsec;
}

static struct mt_stamp stamp_from(const struct stat *st, bool content)
{
	if (!content)
		return (struct mt_stamp){.dev = st->st_dev, .ino = st->st_ino};
	return (struct mt_stamp){st->st_dev, st->st_ino, (uint64_t)st->st_size, ns_of(&st->st_mtim),
		ns_of(&st->st_ctim)};
}

static struct mt_stamp stamp_of(const struct mt_root *root, const char *path, bool content)
{
	struct stat st;

	if (mt_root_stat(root, path, &st))
		return (struct mt_stamp){0};
	return stamp_from(&st, content);
}

static bool same_stamp(const struct mt_stamp *a, const struct mt_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime == b->mtime &&
	       a->ctime == b->ctime;
}

static void push_look(struct walking *k, const char *path, bool content, struct mt_stamp stamp)
{
	struct mt_walk *w = k->w;
	struct mt_look *l = mt_region_push(&w->region, (void **)&w->looks, &w->n_looks, sizeof(*l));

	if (!l)
		return;
	*l = (struct mt_look){.path = mt_region_strdup(&w->region, path),
		.content = content,
		.root_at = k->root_at,
		.stamp = stamp};
	if (l->path)
		mt_strmap_put(&w->at, l->path, (void *)(uintptr_t)w->n_looks, NULL);
}

static void add_look(struct walking *k, const char *path, bool content)
{
	push_look(k, path, content, stamp_of(k->root, path, content));
}

/* Notes a change between the caller's load and the start of the watch. */
static void look_at_age(struct walking *k, const char *path)
{
	struct stat st;

	if (k->since && mt_root_stat(k->root, path, &st) == 0 && ns_of(&st.st_ctim) >= k->since)
		k->w->younger = true;
}

static bool first_visit(struct walking *k, const struct stat *st)
{
	char *key = mt_region_printf(
		&k->w->region, "%lx %lx", (unsigned long)st->st_dev, (unsigned long)st->st_ino);

	if (!key || mt_strmap_get(&k->visited, key))
		return false;
	mt_strmap_put(&k->visited, key, k, NULL);
	return true;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* `at`: leads to the directory now. NULL: the kernel will not report events of the directory. */
static struct mt_watched *add_watch(struct walking *k, const char *path, const char *at)
{
	struct mt_walk *w = k->w;
	struct mt_watched *d;
	int wd = k->t->inotify < 0 ? -1 : inotify_add_watch(k->t->inotify, at, EVENTS);

	if (wd < 0) {
		w->n_limited += k->t->inotify < 0 || errno == ENOSPC;
		return NULL;
	}
	d = mt_region_push(&w->region, (void **)&w->dirs, &w->n_dirs, sizeof(*d));
	if (d)
		*d = (struct mt_watched){.path = mt_region_strdup(&w->region, path), .wd = wd};
	return d;
}

static void walk(struct walking *k, const char *path, unsigned int depth);

/* Resolves a link, which is polled from now on; true if it leads to a directory. */
static bool walk_link(struct walking *k, const char *path)
{
	struct stat st;
	int rc = mt_root_stat(k->root, path, &st);
	bool directory = rc == 0 && S_ISDIR(st.st_mode);

	if (rc == -EDQUOT) {
		k->ends = MT_TOO_MANY_STEPS;
		return false;
	}
	/* A broken link may lead to a directory later, so poll all links. */
	push_look(k, path, !directory, rc ? (struct mt_stamp){0} : stamp_from(&st, !directory));
	return directory;
}

/* Visits one name in a directory; true if it is a document. `told`: events report its changes. */
static bool walk_entry(
	struct walking *k, const char *path, const struct dirent *e, bool told, unsigned int depth)
{
	bool wanted = mt_source_wants(e->d_name), directory = e->d_type == DT_DIR, link;
	struct stat st;

	link = e->d_type == DT_LNK;
	if (e->d_type == DT_UNKNOWN && mt_root_lstat(k->root, path, &st) == 0) {
		link = S_ISLNK(st.st_mode);
		directory = S_ISDIR(st.st_mode);
	}
	if (link)
		directory = walk_link(k, path);
	else if (wanted && !directory && !told)
		add_look(k, path, true);
	if (directory)
		walk(k, path, depth + 1);
	else if (wanted)
		look_at_age(k, path);
	return wanted && !directory;
}

static uint32_t walk_entries(
	struct walking *k, DIR *dir, const char *path, bool told, unsigned int depth)
{
	const struct dirent *e;
	size_t len = strlen(path);
	uint32_t wanted = 0;

	while (len > 0 && path[len - 1] == '/')
		len--;
	while ((e = readdir(dir)) != NULL) {
		char *at;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		/* A load reads no more names than these either. */
		if (k->used.names == mt_source_limits.names) {
			k->ends = MT_TOO_MANY_NAMES;
			break;
		}
		k->used.names++;
		if (e->d_name[0] == '.' || (e->d_type == DT_REG && !mt_source_wants(e->d_name)))
			continue;
		at = mt_region_printf(&k->w->region, "%.*s/%s", (int)len, path, e->d_name);
		if (at)
			wanted += walk_entry(k, at, e, told, depth);
	}
	return wanted;
}

static bool count_directory(struct walking *k)
{
	if (k->used.directories == mt_source_limits.directories) {
		k->ends = MT_TOO_MANY_DIRECTORIES;
		return false;
	}
	k->used.directories++;
	return true;
}

/* Opens a directory that this walk has not visited; -1: there is none, or it is too deep. */
static int open_unvisited(struct walking *k, const char *path, unsigned int depth)
{
	int fd = depth > MT_SOURCE_DEPTH ? -1 : mt_root_openat(k->root, path, O_PATH | O_DIRECTORY);
	struct stat st;

	if (fd == -EDQUOT)
		k->ends = MT_TOO_MANY_STEPS;
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 &&
		!mt_root_is_of_another(k->places, k->n_places, k->root_at, fd, &st) &&
		first_visit(k, &st) && count_directory(k))
		return fd;
	close(fd);
	return -1;
}

static DIR *open_entries(const struct walking *k, const char *path)
{
	int fd = mt_root_openat(k->root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd >= 0 && !dir)
		close(fd);
	return dir;
}

/*
 * Watches a directory before listing it, so that a name added in between is found by one of them.
 * The kernel takes only a path to watch, and that of the descriptor leads nowhere else.
 */
static void walk(struct walking *k, const char *path, unsigned int depth)
{
	int fd = open_unvisited(k, path, depth);
	struct mt_watched *d;
	uint32_t at, wanted;
	char name[64];
	DIR *dir;

	if (fd < 0)
		return;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	d = add_watch(k, path, name);
	close(fd);
	if (!d)
		add_look(k, path, true);
	look_at_age(k, path);
	at = k->w->n_dirs;
	dir = open_entries(k, path);
	wanted = dir ? walk_entries(k, dir, path, d != NULL, depth) : 0;
	if (d) {
		d = &k->w->dirs[at - 1]; /* the array may have moved */
		d->documents = true;
		d->wanted = wanted;
		d->unreadable = !dir;
	}
	if (dir)
		closedir(dir);
}

/* Logs once that changes of a source may not be noticed. */
static void tell_end(struct walking *k, uint32_t i)
{
	bool *told = &k->t->told_ends[i];

	if (k->ends && !*told)
		mt_log(MT_LOG_WARN, "config",
			"%s: not all of it is watched: it has more than %s; after a change of the "
			"rest `meltemi reload` is needed; remove other files from it, or divide it "
			"among several of the Node's spec.sources",
			k->t->roots[i], k->ends);
	*told = k->ends != NULL;
}

/* Walks through the directory of a source. Its own path may have links to anywhere. */
static void walk_root(struct walking *k, uint32_t i)
{
	const char *path = k->t->roots[i];
	struct mt_root root;

	add_look(k, path, false);
	k->steps = mt_source_limits.steps;
	if (mt_root_open(&root, path, &k->steps))
		return;
	k->root = &root;
	k->root_at = i + 1;
	k->used = (struct mt_source_limits){0};
	k->ends = NULL;
	walk(k, path, 0);
	tell_end(k, i);
	k->w->n_steps += mt_source_limits.steps - k->steps;
	k->root = NULL;
	k->root_at = 0;
	mt_root_close(&root);
}

static void find_places(struct walking *k)
{
	const struct mt_watch_tree *t = k->t;
	struct mt_region *r = &k->w->region;

	k->places = mt_region_alloc(r, (t->n_roots + 1) * sizeof(*k->places));
	k->n_places = k->places ? t->n_roots : 0;
	for (uint32_t i = 0; i < k->n_places; i++)
		k->places[i] = mt_root_place(r, t->roots[i], t->confined[i]);
}

/* ---- the Node's file ------------------------------------------------------------------------- */

static struct mt_watched *find_in(const struct mt_walk *w, int wd)
{
	for (uint32_t i = 0; i < w->n_dirs; i++)
		if (w->dirs[i].wd == wd)
			return &w->dirs[i];
	return NULL;
}

static void walk_node(struct walking *k)
{
	const char *path = k->t->node_file;
	size_t len = (size_t)(k->t->node_name - path);
	const char *above = len ? mt_region_strndup(&k->w->region, path, len) : ".";
	struct mt_watched *d, *first;
	struct stat st;
	bool link;

	if (!above)
		return;
	link = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	d = add_watch(k, above, above);
	first = d ? find_in(k->w, d->wd) : NULL;
	if (first != d)
		k->w->n_dirs--; /* the directory is also watched for its documents */
	if (first)
		first->node = true;
	add_look(k, path, link || !d);
	look_at_age(k, path);
}

/* ---- comparing walks ------------------------------------------------------------------------- */

static int by_wd(const void *a, const void *b)
{
	const struct mt_watched *x = a, *y = b;

	return (x->wd > y->wd) - (x->wd < y->wd);
}

const struct mt_watched *mt_tree_find(const struct mt_watch_tree *t, int wd)
{
	const struct mt_watched key = {.wd = wd};

	return t->now.n_dirs ? bsearch(&key, t->now.dirs, t->now.n_dirs, sizeof(key), by_wd) : NULL;
}

static const struct mt_look *find_look(const struct mt_walk *w, const char *path)
{
	uintptr_t i = (uintptr_t)mt_strmap_get(&w->at, path);

	return i ? &w->looks[i - 1] : NULL;
}

bool mt_tree_looks_at(const struct mt_watch_tree *t, const char *path)
{
	return find_look(&t->now, path) != NULL;
}

static bool is_there(const struct mt_look *l)
{
	return l->stamp.ino || l->stamp.dev;
}

/* True if walk `a` found documents that walk `b` lacks or has in another place or state. */
static bool has_more(const struct mt_walk *a, const struct mt_walk *b)
{
	for (uint32_t i = 0; i < a->n_dirs; i++) {
		const struct mt_watched *x = &a->dirs[i], *y = NULL;

		if (b->n_dirs)
			y = bsearch(x, b->dirs, b->n_dirs, sizeof(*x), by_wd);
		if (y && strcmp(x->path, y->path) == 0 && x->unreadable == y->unreadable)
			continue;
		if (x->wanted || x->unreadable || (y && (y->wanted || y->unreadable)))
			return true;
	}
	for (uint32_t i = 0; i < a->n_looks; i++) {
		const struct mt_look *x = &a->looks[i], *y = find_look(b, x->path);

		if (y ? x->content == y->content && !same_stamp(&x->stamp, &y->stamp)
		      : x->content && is_there(x))
			return true;
	}
	return false;
}

static void drop_watches(struct mt_watch_tree *t, const struct mt_walk *before)
{
	for (uint32_t i = 0; i < before->n_dirs; i++)
		if (!mt_tree_find(t, before->dirs[i].wd))
			inotify_rm_watch(t->inotify, before->dirs[i].wd);
}

static void fini_walk(struct mt_walk *w)
{
	mt_strmap_fini(&w->at);
	mt_region_fini(&w->region);
}

static void tell_limit(struct mt_watch_tree *t)
{
	if (!t->now.n_limited || t->told_limit)
		return;
	t->told_limit = true;
	mt_log(MT_LOG_WARN, "config",
		"%u directories have no watch, because inotify's limit is reached: they are looked "
		"at "
		"once a second; sysctl -w fs.inotify.%s raises it",
		t->now.n_limited,
		t->inotify < 0 ? "max_user_instances=1024" : "max_user_watches=1048576");
}

/* Ends the range of paths that are polled together. */
static void end_range(struct mt_walk *w)
{
	uint32_t first =
		w->n_ranges ? w->ranges[w->n_ranges - 1].first + w->ranges[w->n_ranges - 1].n : 0;
	struct mt_look_range *r;

	if (w->n_looks == first)
		return;
	r = mt_region_push(&w->region, (void **)&w->ranges, &w->n_ranges, sizeof(*r));
	if (r)
		*r = (struct mt_look_range){.first = first, .n = w->n_looks - first};
}

static void walk_all(struct walking *k)
{
	const struct mt_watch_tree *t = k->t;

	find_places(k);
	for (uint32_t i = 0; i < t->n_roots; i++) {
		walk_root(k, i);
		end_range(k->w);
	}
	if (t->node_file)
		walk_node(k);
	if (t->mesh_file) {
		add_look(k, t->mesh_file, true);
		look_at_age(k, t->mesh_file);
	}
	end_range(k->w);
}

int mt_tree_walk(struct mt_watch_tree *t, uint64_t since)
{
	struct mt_walk next = {.younger = false}, before = t->now;
	struct walking k = {.t = t, .w = &next, .since = since};
	bool changed;

	mt_region_init(&next.region, 0);
	walk_all(&k);
	mt_strmap_fini(&k.visited);
	if (next.region.failed) {
		fini_walk(&next);
		return -ENOMEM;
	}
	if (next.n_dirs)
		qsort(next.dirs, next.n_dirs, sizeof(*next.dirs), by_wd);
	t->now = next;
	changed = next.younger || has_more(&next, &before) || has_more(&before, &next);
	drop_watches(t, &before);
	fini_walk(&before);
	tell_limit(t);
	return changed;
}

/*
 * Opens the root only while it looks, because an open descriptor keeps a file system from being
 * unmounted.
 */
bool mt_tree_look(struct mt_watch_tree *t, struct mt_look_range *r, uint32_t *work)
{
	uint32_t steps = UINT32_MAX;
	struct mt_root root = {.fd = -1};
	bool opened = false, changed = false;

	for (; r->at < r->end && *work; r->at++) {
		struct mt_look *l = &t->now.looks[r->first + r->at];
		struct mt_stamp s = {0};

		if (l->root_at && !opened)
			(void)mt_root_open(&root, t->roots[l->root_at - 1], &steps);
		opened |= l->root_at > 0;
		if (!l->root_at || root.fd >= 0)
			s = stamp_of(l->root_at ? &root : NULL, l->path, l->content);
		changed |= !same_stamp(&s, &l->stamp);
		l->stamp = s;
		*work -= MT_MIN(*work, UINT32_MAX - steps + MT_LOOK_WORK);
		steps = UINT32_MAX;
	}
	mt_root_close(&root);
	return changed;
}

/* ---- setting what is watched ----------------------------------------------------------------- */

void mt_tree_init(struct mt_watch_tree *t)
{
	*t = (struct mt_watch_tree){.inotify = -1};
	mt_region_init(&t->region, 0);
	mt_region_init(&t->now.region, 0);
}

void mt_tree_fini(struct mt_watch_tree *t)
{
	if (t->inotify >= 0)
		close(t->inotify);
	fini_walk(&t->now);
	mt_region_fini(&t->region);
}

static bool same_name(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool mt_tree_is_aimed(const struct mt_watch_tree *t, const struct mt_watch_what *what)
{
	if (t->n_roots != what->n || !same_name(t->node_file, what->node_file) ||
		!same_name(t->mesh_file, what->mesh_file))
		return false;
	for (uint32_t i = 0; i < t->n_roots; i++)
		if (strcmp(t->roots[i], what->directories[i]) != 0 ||
			t->confined[i] != (what->confined && what->confined[i]))
			return false;
	return true;
}

int mt_tree_aim(struct mt_watch_tree *t, const struct mt_watch_what *what)
{
	struct mt_region region;
	const char **roots, *node = NULL, *mesh = NULL, *slash;
	bool *confined, *told;

	mt_region_init(&region, 0);
	roots = mt_region_alloc(&region, (what->n + 1) * sizeof(*roots));
	confined = mt_region_alloc(&region, what->n + 1);
	told = mt_region_alloc(&region, what->n + 1);
	for (uint32_t i = 0; roots && confined && i < what->n; i++) {
		roots[i] = mt_region_strdup(&region, what->directories[i]);
		confined[i] = what->confined && what->confined[i];
	}
	if (what->node_file)
		node = mt_region_strdup(&region, what->node_file);
	if (what->mesh_file)
		mesh = mt_region_strdup(&region, what->mesh_file);
	if (region.failed) {
		mt_region_fini(&region);
		return -ENOMEM;
	}
	slash = node ? strrchr(node, '/') : NULL;
	mt_region_fini(&t->region);
	t->region = region;
	t->roots = roots;
	t->confined = confined;
	t->told_ends = told;
	t->n_roots = what->n;
	t->node_file = node;
	t->mesh_file = mesh;
	t->node_name = slash ? slash + 1 : node;
	return 0;
}
