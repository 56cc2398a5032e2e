/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of access logs. Documents name them, and their authors may have fewer rights than this
 * process: no path leads out of the permitted directories, and no link, pipe or device is opened.
 */
#include "mt_alog_sink_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODE 0640

/* ---- paths in documents --------------------------------------------------------------------- */

/* Length of `directory` without slashes at its end. */
static size_t trimmed(const char *directory)
{
	size_t n = strlen(directory);

	while (n > 1 && directory[n - 1] == '/')
		n--;
	return n;
}

/* The part of the path below the directory; NULL: it is elsewhere. */
static const char *below(const char *path, const char *directory)
{
	size_t n = trimmed(directory);

	if (directory[0] != '/' || strncmp(path, directory, n) != 0)
		return NULL;
	path += n;
	if (n > 1 && *path != '/')
		return NULL;
	while (*path == '/')
		path++;
	return *path ? path : NULL;
}

/* True if a component is "..", or the path ends with a slash. The kernel checks this, too. */
static bool is_odd(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return path[strlen(path) - 1] == '/';
}

int mt_alog_place_of(const char *path, const char *const *directories, uint32_t n,
	struct mt_alog_place *place, struct mt_err *e)
{
	static const char *const standard[] = {MT_ALOG_DIRECTORY};

	memset(place, 0, sizeof(*place));
	if (strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/stderr") == 0) {
		place->fd = strcmp(path, "/dev/stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO;
		return 0;
	}
	if (!n) {
		directories = standard;
		n = 1;
	}
	for (uint32_t i = 0; i < n; i++) {
		const char *rest = below(path, directories[i]);

		if (!rest || is_odd(rest))
			continue;
		place->path = strdup(rest);
		place->directory = strndup(directories[i], trimmed(directories[i]));
		if (place->path && place->directory)
			return 0;
		mt_alog_place_fini(place);
		return mt_err(e, -ENOMEM, "no memory");
	}
	return mt_err(e, -EINVAL,
		"%.200s: access logs are written to /dev/stdout, /dev/stderr and files below %s%s",
		path, directories[0],
		n > 1 ? " and the other directories of spec.accessLog.directories" : "");
}

void mt_alog_place_fini(struct mt_alog_place *place)
{
	free(place->directory);
	free(place->path);
	memset(place, 0, sizeof(*place));
}

/* ---- the open file -------------------------------------------------------------------------- */

static int open_below(int directory, const char *path, int flags, mode_t mode)
{
	struct open_how how = {.flags = (uint64_t)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

static int open_directory(const struct mt_alog_sink *s)
{
	int fd = open(s->place.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Opens or creates the file. A new file has its mode whatever the umask is. */
static int open_or_create(int directory, const char *path)
{
	/* A pipe without a reader would otherwise block here. */
	int flags = O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, fd = -EEXIST;

	for (int tries = 0; fd == -EEXIST && tries < 3; tries++) {
		fd = open_below(directory, path, flags, 0);
		if (fd != -ENOENT)
			break;
		fd = open_below(directory, path, flags | O_CREAT | O_EXCL, MODE);
		if (fd >= 0)
			(void)fchmod(fd, MODE);
	}
	return fd;
}

static const char *unfit(const struct stat *st)
{
	return S_ISDIR(st->st_mode)    ? "it is a directory"
	       : !S_ISREG(st->st_mode) ? "it is not a regular file"
	       : st->st_nlink != 1     ? "the file has several names"
				       : NULL;
}

static int check(struct mt_alog_sink *s, int fd, struct mt_err *e)
{
	const char *why;
	struct stat st;

	if (fstat(fd, &st))
		return mt_err(
			e, -errno, "%s/%s: %s", s->place.directory, s->place.path, strerror(errno));
	why = unfit(&st);
	if (why)
		return mt_err(e, -EINVAL, "%s/%s: %s", s->place.directory, s->place.path, why);
	s->dev = st.st_dev;
	s->ino = st.st_ino;
	return 0;
}

/* Errors of openat2() that strerror() does not explain. */
static const char *words(int err)
{
	return err == ELOOP   ? "a link is on the way, which is not followed"
	       : err == EXDEV ? "the path leads out of the directory"
	       : err == ENXIO ? "it is not a regular file"
			      : strerror(err);
}

int mt_alog_file_open(struct mt_alog_sink *s, struct mt_err *e)
{
	int directory = open_directory(s), fd, rc;

	if (directory < 0)
		return mt_err(e, directory, "%s: %s", s->place.directory, words(-directory));
	fd = open_or_create(directory, s->place.path);
	close(directory);
	if (fd < 0)
		return mt_err(e, fd, "%s/%s: %s", s->place.directory, s->place.path, words(-fd));
	rc = check(s, fd, e);
	if (rc) {
		close(fd);
		return rc;
	}
	s->fd = fd;
	return 0;
}

bool mt_alog_file_same(const struct mt_alog_sink *s)
{
	int directory = open_directory(s), fd;
	struct stat st;
	bool same;

	if (directory < 0)
		return false;
	fd = open_below(directory, s->place.path, O_PATH | O_NOFOLLOW, 0);
	close(directory);
	if (fd < 0)
		return false;
	same = fstat(fd, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino;
	close(fd);
	return same;
}
