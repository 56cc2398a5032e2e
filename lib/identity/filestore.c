/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_filestore.h"

#include "mt_cert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading -------------------------------------------------------------------------------------- */

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

int mt_file_read(const char *path, char **text, size_t *len, struct mt_err *e)
{
	/* Not blocking: a FIFO of that name must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	char *buf = NULL;

	*text = NULL;
	*len = 0;
	if (fd < 0)
		return mt_err(e, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st))
		rc = -errno;
	else if (!S_ISREG(st.st_mode))
		rc = mt_err(e, -EINVAL, "%s: it is no file", path);
	else if (st.st_size > MT_FILE_SMALL)
		rc = mt_err(e, -EFBIG, "%s: it is larger than %u bytes", path, MT_FILE_SMALL);
	else if (!(buf = calloc(1, (size_t)st.st_size + 2)))
		rc = -ENOMEM;
	else
		/* One byte more than there was: a file that grows meanwhile is told, not cut. */
		rc = read_all(fd, buf, (size_t)st.st_size + 1, len);
	close(fd);
	if (rc == 0) {
		*text = buf;
		return 0;
	}
	mt_wipe_free(buf);
	*len = 0;
	return rc == -EINVAL || st.st_size > MT_FILE_SMALL
		       ? rc
		       : mt_err(e, rc, "%s: %s", path, strerror(-rc));
}

/* ---- writing -------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return fsync(fd) ? -errno : 0;
}

/* The name is durable only when its directory is. */
static int sync_directory(const char *path)
{
	char dir[4096];
	char *slash;
	int fd, rc;

	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

int mt_file_replace(const char *path, const char *text, size_t len, struct mt_err *e)
{
	char tmp[4096];
	int fd, rc;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return mt_err(e, -ENAMETOOLONG, "%s: the path is too long", path);
	/* What a crash left behind may have another mode, or be a link to somewhere else. */
	if (unlink(tmp) && errno != ENOENT)
		return mt_err(e, -errno, "%s: %s", tmp, strerror(errno));
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return mt_err(e, -errno, "%s: %s", tmp, strerror(errno));
	rc = write_all(fd, text, len);
	if (close(fd) && rc == 0)
		rc = -errno;
	if (rc == 0 && rename(tmp, path))
		rc = -errno;
	if (rc == 0)
		rc = sync_directory(path);
	if (rc == 0)
		return 0;
	(void)unlink(tmp);
	return mt_err(e, rc, "%s: %s", path, strerror(-rc));
}

int mt_file_directory(const char *path, struct mt_err *e)
{
	struct stat st;

	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return mt_err(e, -errno, "%s: %s", path, strerror(errno));
	if (stat(path, &st))
		return mt_err(e, -errno, "%s: %s", path, strerror(errno));
	return S_ISDIR(st.st_mode) ? 0 : mt_err(e, -ENOTDIR, "%s: it is no directory", path);
}
