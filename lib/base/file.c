/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Attempts to open a file while directories on its path are renamed. */
#define BENEATH_TRIES 16

void mt_wipe_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int read_all(int fd, char *buf, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, buf + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return -EFBIG;
}

/* Reads an open descriptor. */
static int read_file(
	int fd, const char *path, size_t max, char **data, size_t *len, struct mt_err *e)
{
	struct stat st;
	char *buf;
	int rc;

	if (fstat(fd, &st))
		return mt_err(e, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return mt_err(e, -EINVAL, "%s: it is not a file", path);
	if ((size_t)st.st_size > max)
		return mt_err(e, -EFBIG, "%s: it is larger than %zu bytes", path, max);
	buf = calloc(1, (size_t)st.st_size + 2);
	if (!buf)
		return mt_err(e, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
	/*
	 * Read one byte more than there was, so that a file that grows meanwhile is an error and is
	 * not cut.
	 */
	rc = read_all(fd, buf, (size_t)st.st_size + 1, len);
	if (rc == 0) {
		*data = buf;
		return 0;
	}
	explicit_bzero(buf, *len);
	free(buf);
	*len = 0;
	return mt_err(e, rc, "%s: %s", path, strerror(-rc));
}

static const char *user_name(char name[64])
{
	struct passwd p, *found = NULL;
	char names[1024];

	if (getpwuid_r(geteuid(), &p, names, sizeof(names), &found) == 0 && found)
		snprintf(name, 64, "%s", p.pw_name);
	else
		snprintf(name, 64, "%u", geteuid());
	return name;
}

static const char *group_name(char name[64])
{
	struct group g, *found = NULL;
	char names[1024];

	if (getgrgid_r(getegid(), &g, names, sizeof(names), &found) == 0 && found)
		snprintf(name, 64, "%s", g.gr_name);
	else
		snprintf(name, 64, "%u", getegid());
	return name;
}

/*
 * Finds the directory that this process may not search on the way to `path`, with all symbolic
 * links followed; "": none.
 */
static void closed_directory(const char *path, char at[PATH_MAX])
{
	char *slash;

	at[0] = '\0';
	if (realpath(path, at) || errno != EACCES) {
		at[0] = '\0';
		return;
	}
	/* glibc leaves the path up to the component that it could not look up. */
	slash = strrchr(at, '/');
	if (slash)
		slash[slash == at] = '\0';
}

/* Writes the file that `path` is a symbolic link to; "": it is none. */
static void target_of(const char *path, char at[PATH_MAX])
{
	struct stat st;

	if (lstat(path, &st) || !S_ISLNK(st.st_mode) || !realpath(path, at))
		at[0] = '\0';
}

const char *mt_file_remedy(
	const char *path, enum mt_file_kind kind, int err, char *buf, size_t size)
{
	char name[64], at[PATH_MAX];
	const char *file, *link;

	buf[0] = '\0';
	if ((err != EACCES && err != -EACCES) || geteuid() == 0)
		return buf;
	closed_directory(path, at);
	if (at[0]) {
		snprintf(buf, size, "chgrp %s %s && chmod g+x %s", group_name(name), at, at);
		return buf;
	}
	target_of(path, at);
	file = at[0] ? at : path;
	link = at[0] ? path : "";
	if (kind == MT_FILE_SECRET)
		snprintf(buf, size, "chown %s %s && chmod 400 %s%s%s", user_name(name), file, file,
			*link ? ", the target of symbolic link " : "", link);
	else
		snprintf(buf, size, "chgrp %s %s && chmod g+r %s%s%s", group_name(name), file, file,
			*link ? ", the target of symbolic link " : "", link);
	return buf;
}

int mt_file_not_opened(const char *path, enum mt_file_kind kind, int err, struct mt_err *e)
{
	char remedy[512];

	(void)mt_file_remedy(path, kind, err, remedy, sizeof(remedy));
	return mt_err(e, -err, "%s: %s%s%s%s", path, strerror(err), remedy[0] ? " (" : "", remedy,
		remedy[0] ? ")" : "");
}

static int read_path(const char *path, enum mt_file_kind kind, size_t max, int flags, char **data,
	size_t *len, struct mt_err *e)
{
	/* Non-blocking, so that opening a FIFO of that name does not block. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags), rc;

	*data = NULL;
	*len = 0;
	if (fd < 0)
		return mt_file_not_opened(path, kind, errno, e);
	rc = read_file(fd, path, max, data, len, e);
	close(fd);
	return rc;
}

int mt_file_read(
	const char *path, size_t max, int flags, char **data, size_t *len, struct mt_err *e)
{
	return read_path(path, MT_FILE_SHARED, max, flags, data, len, e);
}

int mt_file_read_secret(const char *path, char **data, size_t *len, struct mt_err *e)
{
	return read_path(path, MT_FILE_SECRET, MT_FILE_SMALL, 0, data, len, e);
}

int mt_file_open_beneath(int directory, const char *path, int flags, bool links)
{
	struct open_how how = {.flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | (links ? RESOLVE_NO_MAGICLINKS : RESOLVE_NO_SYMLINKS)};
	long fd;

	for (int i = 0; i < BENEATH_TRIES; i++) {
		fd = syscall(SYS_openat2, directory, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Start of the last component. */
static size_t name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (size_t)(slash - path) + 1 : 0;
}

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* `like` NULL: this process's user and group. */
static int write_beside(
	const char *tmp, const void *data, size_t len, mode_t mode, const struct stat *like)
{
	int fd, rc = 0;

	/* A file left by a crash may have another mode, or be a link to somewhere else. */
	if (unlink(tmp) && errno != ENOENT)
		return -errno;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* The owner comes first, because its change removes bits of the mode. */
	if (like && fchown(fd, like->st_uid, like->st_gid))
		rc = -errno;
	if (rc == 0 && mode != 0600 && fchmod(fd, mode))
		rc = -errno;
	if (rc == 0)
		rc = write_all(fd, data, len);
	if (close(fd) && rc == 0)
		rc = -errno;
	return rc;
}

/* The name is durable only if its directory is. */
static int sync_directory(const char *path)
{
	char dir[PATH_MAX];
	size_t n = name_of(path);
	int fd, rc;

	snprintf(dir, sizeof(dir), "%.*s", (int)n, path);
	fd = open(n ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

static int replace(const char *path, const void *data, size_t len, mode_t mode,
	const struct stat *like, struct mt_err *e)
{
	size_t n = name_of(path);
	char tmp[PATH_MAX];
	int rc;

	if (snprintf(tmp, sizeof(tmp), "%.*s.%s.new", (int)n, path, path + n) >= (int)sizeof(tmp))
		return mt_err(e, -ENAMETOOLONG, "%s: %s", path, strerror(ENAMETOOLONG));
	rc = write_beside(tmp, data, len, mode, like);
	if (rc == 0 && rename(tmp, path))
		rc = -errno;
	if (rc) {
		/* Remove an incomplete file, which would otherwise use space on a full disk. */
		(void)unlink(tmp);
		return mt_err(e, rc, "%s: %s", path, strerror(-rc));
	}
	rc = sync_directory(path);
	return rc ? mt_err(e, rc, "%s: %s", path, strerror(-rc)) : 0;
}

int mt_file_replace(const char *path, const void *data, size_t len, mode_t mode, struct mt_err *e)
{
	return replace(path, data, len, mode, NULL, e);
}

int mt_file_replace_like(
	const char *path, const void *data, size_t len, const struct stat *like, struct mt_err *e)
{
	return replace(path, data, len, like->st_mode & 07777, like, e);
}

int mt_file_directory(const char *path, mode_t mode, struct mt_err *e)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &st))
		return mt_err(e, -errno, "%s: %s", path, strerror(errno));
	return S_ISDIR(st.st_mode) ? 0 : mt_err(e, -ENOTDIR, "%s: it is not a directory", path);
}
