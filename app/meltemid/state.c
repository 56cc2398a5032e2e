/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the state directory at start. If it cannot be written, the operator who starts the daemon
 * learns so at once, not months later from the first reload that has something to keep.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE ".probe"
#define LOCK  ".lock"

const char *state_dir(const struct daemon *d)
{
	return d->node->state_dir.s ? d->node->state_dir.s : "/var/lib/meltemi";
}

/* Creates, writes and removes a file. 0 or -errno. */
static int probe(const char *dir)
{
	static const char text[] = "can this be written?\n";
	char path[4200];
	int fd, rc = 0;

	snprintf(path, sizeof(path), "%s/" PROBE, dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, text, sizeof(text) - 1) != (ssize_t)sizeof(text) - 1)
		rc = errno ? -errno : -EIO;
	if (fsync(fd) && rc == 0)
		rc = -errno;
	if (close(fd) && rc == 0)
		rc = -errno;
	(void)unlink(path);
	return rc;
}

/* Opens a file that only the daemon's user can open, and so lock. -1 if there is none. */
static int open_lock(const char *dir)
{
	char path[4200];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/" LOCK, dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_uid != geteuid() || (st.st_mode & 077))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/*
 * Locks the directory for the life of the process, however that ends. Two daemons would each
 * replace the file with the addresses that they know, and lose the other's. File systems without
 * locks are accepted without one.
 */
static int claim(const char *dir, struct mt_err *e)
{
	int fd = open_lock(dir);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK) {
		close(fd);
		return 0;
	}
	close(fd);
	return mt_err(e, -EBUSY,
		"stateDirectory %s: another meltemid uses it: stop that one, or name a directory "
		"of its own in the Node",
		dir);
}

int state_start(struct daemon *d, struct mt_err *e)
{
	const char *dir = state_dir(d);
	int rc = 0;

	errno = 0;
	if (mkdir(dir, 0700) && errno != EEXIST)
		rc = -errno;
	if (rc == 0)
		rc = probe(dir);
	if (rc == 0)
		return claim(dir, e);
	/* Perhaps nothing will have to be kept, so a full disk does not prevent a start. */
	if (rc == -ENOSPC || rc == -EDQUOT) {
		mt_log(MT_LOG_WARN, "state",
			"stateDirectory %s: %s: free some space; until then changes that have to "
			"be kept there wait",
			dir, strerror(-rc));
		return claim(dir, e);
	}
	return mt_err(e, rc,
		"stateDirectory %s cannot be written: %s: run `install -d -m 0700 %s` as the user "
		"that runs meltemid, or name another directory in the Node",
		dir, strerror(-rc), dir);
}

void state_stop(struct daemon *d)
{
}
