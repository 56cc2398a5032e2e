/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the source that a directory belongs to, if some sources are limited to some namespaces. A
 * source that contains the directory of a limited one leaves it out, because it would read it
 * without the limit. A limited source leaves out directories of others.
 */
#include "mt_files.h"

#include "mt_model_node.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Appends the names of a path to another one, without repeated slashes and `.`. */
static const char *append(struct mt_region *r, const char *path, const char *names)
{
	size_t n;

	for (names += strspn(names, "/"); *names && path; names += strspn(names, "/")) {
		n = strcspn(names, "/");
		if (n != 1 || *names != '.')
			path = mt_region_printf(r, "%s/%.*s", path, (int)n, names);
		names += n;
	}
	return path;
}

/*
 * The path of a directory without links, also if only directories above it exist; NULL: unknown. A
 * `..` below these stays, and then no directory has this path.
 */
static const char *real_name(struct mt_region *r, const char *directory)
{
	char real[PATH_MAX], above[PATH_MAX];
	size_t len = strlen(directory);
	const char *path;

	if (len >= sizeof(above))
		return NULL;
	memcpy(above, directory, len + 1);
	while (!realpath(*above ? above : ".", real)) {
		if (!len)
			return NULL;
		while (len > 1 && above[len - 1] == '/')
			len--;
		while (len > 0 && above[len - 1] != '/')
			len--;
		above[len] = '\0';
	}
	path = append(r, strcmp(real, "/") == 0 ? "" : mt_region_strdup(r, real), directory + len);
	return path && !*path ? "/" : path;
}

struct mt_root_place mt_root_place(struct mt_region *r, const char *directory, bool limited)
{
	struct mt_root_place p = {.real = real_name(r, directory), .limited = limited};
	struct stat st;

	if (stat(directory, &st) == 0) {
		p.dev = st.st_dev;
		p.ino = st.st_ino;
	}
	return p;
}

/* Reads the path of an open directory without links; false: unknown. */
static bool path_of(int fd, char path[PATH_MAX])
{
	char name[64];
	ssize_t len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, path, PATH_MAX);
	if (len <= 0 || len == PATH_MAX)
		return false;
	path[len] = '\0';
	return true;
}

bool mt_root_is_at(const struct mt_root_place *p, int fd)
{
	char path[PATH_MAX];

	return p->real && path_of(fd, path) && strcmp(path, p->real) == 0;
}

/* True if `p` contains the path more closely than `best`, or as closely and with a limit. */
static bool is_closer(
	const struct mt_root_place *p, const struct mt_root_place *best, const char *path)
{
	size_t len = p->real ? strlen(p->real) : 0, most = best ? strlen(best->real) : 0;

	return p->real && mt_is_below(path, p->real) &&
	       (!best || len > most || (len == most && p->limited && !best->limited));
}

/* The source that an open directory belongs to, as index + 1; 0: none, or no source has a limit. */
static uint32_t owner_of(const struct mt_root_place *v, uint32_t n, int fd, const struct stat *st)
{
	const struct mt_root_place *best = NULL;
	bool limited = false;
	char path[PATH_MAX];

	for (uint32_t i = 0; i < n; i++) {
		if (v[i].limited && v[i].ino && v[i].ino == st->st_ino && v[i].dev == st->st_dev)
			return i + 1;
		limited |= v[i].limited;
	}
	if (!limited || !path_of(fd, path))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		if (is_closer(&v[i], best, path))
			best = &v[i];
	return best ? (uint32_t)(best - v) + 1 : 0;
}

bool mt_root_is_of_another(
	const struct mt_root_place *v, uint32_t n, uint32_t self, int fd, const struct stat *st)
{
	uint32_t owner = owner_of(v, n, fd, st);

	/* Those without a limit read each other's directories; each is read once. */
	return owner && owner != self && (v[owner - 1].limited || v[self - 1].limited);
}
