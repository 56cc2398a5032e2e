/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens files in the directory of a source, and none outside of it. Without this, an author of
 * documents could make this process read, watch and serve every file of the host by one symbolic
 * link, for example by a push to a repository.
 *
 * openat2() opens a path without links in one step. by_hand() follows links that stay below the
 * directory, also absolute ones that begin with the directory's path. It holds a descriptor
 * of each directory on its way, so that `..` and renamed directories cannot lead it out. It counts
 * the names that it resolves, because the kernel would follow 40 links with a path of 1,500 names
 * each, and a directory can have 131,072 names that lead there. by_hand() also stands in for the
 * kernel before Linux 5.6 and under filters that refuse the call.
 */
#include "mt_files.h"

#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* As in the kernel. */
#define LINKS_MAX 40

/* Names that by_hand() resolves for one path, those in the texts of links included. */
#define STEPS_MAX 4096

/* Directories that by_hand() is in at the same time: those of documents, and of links between. */
#define WAY_MAX (2 * MT_SOURCE_DEPTH)

int mt_root_open(struct mt_root *r, const char *path, uint32_t *steps)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	r->len = len;
	r->path = path;
	r->steps = steps;
	r->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return r->fd < 0 ? -errno : 0;
}

void mt_root_close(struct mt_root *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

/* The part of a path below the root's; "." for the root itself. */
static const char *below(const struct mt_root *r, const char *path)
{
	const char *rest = path + r->len;

	while (*rest == '/')
		rest++;
	return *rest ? rest : ".";
}

/* ---- by hand --------------------------------------------------------------------------------- */

struct way {
	const struct mt_root *root;
	int fds[WAY_MAX]; /* directories below the root, each in the one before it */
	uint32_t n, n_links, n_steps;
	char rest[PATH_MAX]; /* still to be resolved */
};

static int here(const struct way *w)
{
	return w->n ? w->fds[w->n - 1] : w->root->fd;
}

static void back(struct way *w)
{
	close(w->fds[--w->n]);
}

/* The part of an absolute path below a directory; NULL: it is elsewhere. */
static const char *part_below(const char *path, const char *directory, size_t len)
{
	while (len > 0 && directory[len - 1] == '/')
		len--;
	if (strncmp(path, directory, len) != 0 || (path[len] && path[len] != '/'))
		return NULL;
	return path + len;
}

/*
 * The part of an absolute link below the root. NULL: it leads out. The root's path may itself have
 * links.
 */
static const char *below_root(const struct mt_root *r, const char *target)
{
	const char *rest = *r->path == '/' ? part_below(target, r->path, r->len) : NULL;
	char name[64], real[PATH_MAX];
	ssize_t len;

	if (rest)
		return rest;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", r->fd);
	len = readlink(name, real, sizeof(real));
	if (len <= 0 || len == sizeof(real))
		return NULL;
	return part_below(target, real, (size_t)len);
}

/*
 * Counts `n` more names of a path with a link. 0; -ELOOP: the path has too many; -EDQUOT: its
 * source has.
 */
static int count_steps(struct way *w, uint32_t n)
{
	uint32_t *left = w->root->steps;

	if (w->n_steps > STEPS_MAX)
		return -ELOOP;
	if (*left < n) {
		*left = 0;
		return -EDQUOT;
	}
	*left -= n;
	return 0;
}

/* Puts the target of a link before the rest of the path. -EINVAL: the name is not a link. */
static int follow(struct way *w, const char *name)
{
	char target[PATH_MAX], all[2 * PATH_MAX];
	ssize_t len = readlinkat(here(w), name, target, sizeof(target) - 1);
	const char *to = target;
	int rc;

	if (len < 0)
		return -errno;
	rc = w->n_links++ ? 0 : count_steps(w, w->n_steps);
	if (rc)
		return rc;
	if (w->n_links > LINKS_MAX)
		return -ELOOP;
	target[len] = '\0';
	if (*target == '/') {
		to = below_root(w->root, target);
		if (!to)
			return -EXDEV;
		while (w->n)
			back(w);
	}
	snprintf(all, sizeof(all), "%s/%s", to, w->rest);
	if (strlen(all) >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memcpy(w->rest, all, strlen(all) + 1);
	return 0;
}

/* Takes the next name off the rest of the path; "": the path ends here. */
static void take_name(struct way *w, char name[NAME_MAX + 2])
{
	size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

	/* A longer name is cut to one that is still too long for the kernel. */
	snprintf(
		name, NAME_MAX + 2, "%.*s", (int)MT_MIN(len, (size_t)NAME_MAX + 1), w->rest + skip);
	memmove(w->rest, w->rest + skip + len, strlen(w->rest + skip + len) + 1);
}

/* Enters a directory on the way. Another name is -ENOTDIR, or -ELOOP for a link on some kernels. */
static int enter(struct way *w, const char *name)
{
	int fd;

	if (w->n == WAY_MAX)
		return -ELOOP;
	fd = openat(here(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP ? -ENOTDIR : -errno;
	w->fds[w->n++] = fd;
	return 0;
}

/* Goes to a name on the way. Returns as step(). */
static int pass(struct way *w, const char *name)
{
	/* Most are directories, which costs one call. */
	int rc = enter(w, name);

	if (rc == -ENOTDIR)
		rc = follow(w, name);
	if (rc == -EINVAL)
		rc = -ENOTDIR;
	return rc ? rc : 1;
}

/* Goes to the last name of a path. Returns as step(). */
static int arrive(struct way *w, const char *name, int flags, int *fd)
{
	bool itself = flags & O_PATH && flags & O_NOFOLLOW;
	int rc = itself ? -EINVAL : follow(w, name);

	if (rc != -EINVAL)
		return rc ? rc : 1;
	*fd = openat(here(w), name, flags | O_NOFOLLOW);
	return *fd < 0 ? -errno : 2;
}

/*
 * Goes one name further. 1: go on; 0: the path ends here; 2: it ends at the file in *fd, opened
 * with `flags`; else -errno.
 */
static int step(struct way *w, int flags, int *fd)
{
	char name[NAME_MAX + 2];
	int rc;

	take_name(w, name);
	if (!*name)
		return 0;
	w->n_steps++;
	rc = w->n_links ? count_steps(w, 1) : 0;
	if (rc)
		return rc;
	if (strcmp(name, ".") == 0)
		return 1;
	if (strcmp(name, "..") != 0)
		return w->rest[strspn(w->rest, "/")] ? pass(w, name) : arrive(w, name, flags, fd);
	if (!w->n)
		return -EXDEV;
	back(w);
	return 1;
}

static int by_hand(const struct mt_root *r, const char *path, int flags)
{
	struct way w = {.root = r};
	int fd = -1, rc;

	if (strlen(path) >= sizeof(w.rest))
		return -ENAMETOOLONG;
	memcpy(w.rest, path, strlen(path) + 1);
	do
		rc = step(&w, flags, &fd);
	while (rc == 1);
	if (rc == 0) {
		fd = openat(here(&w), ".", flags & ~O_NOFOLLOW);
		rc = fd < 0 ? -errno : 2;
	}
	while (w.n)
		back(&w);
	return rc == 2 ? fd : rc;
}

/* ---- of a source ----------------------------------------------------------------------------- */

int mt_root_openat(const struct mt_root *r, const char *path, int flags)
{
	int fd;

	flags |= O_CLOEXEC;
	if (!r) {
		fd = open(path, flags);
		return fd < 0 ? -errno : fd;
	}
	fd = mt_file_open_beneath(r->fd, below(r, path), flags, false);
	/* A link; a directory was renamed meanwhile; no such call, or a filter refuses it. */
	if (fd == -ELOOP || fd == -EAGAIN || fd == -ENOSYS || fd == -EPERM)
		fd = by_hand(r, below(r, path), flags);
	return fd;
}

static int stat_of(const struct mt_root *r, const char *path, int flags, struct stat *st)
{
	int fd = mt_root_openat(r, path, O_PATH | flags), rc;

	if (fd < 0)
		return fd;
	rc = fstat(fd, st) ? -errno : 0;
	close(fd);
	return rc;
}

int mt_root_stat(const struct mt_root *r, const char *path, struct stat *st)
{
	if (!r)
		return stat(path, st) ? -errno : 0;
	return stat_of(r, path, 0, st);
}

int mt_root_lstat(const struct mt_root *r, const char *path, struct stat *st)
{
	if (!r)
		return lstat(path, st) ? -errno : 0;
	return stat_of(r, path, O_NOFOLLOW, st);
}
