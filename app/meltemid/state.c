/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests the state directory at start. If it cannot be written, the operator who starts the daemon
 * learns so at once, not months later from the first reload that has something to keep. While the
 * daemon runs, a failed write is followed by tests of the same length until one succeeds; health
 * and a metric report the directory meanwhile. Others may share the disk, so a test first compares
 * the free space, then allocates a file of that length, and writes only its start.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PROBE	".probe"
#define LOCK	".lock"
#define TRY_MIN 32u
#define TRY_MAX (64u << 20)
#define TRY_NS	(10 * MT_SEC)

const char *state_dir(const struct daemon *d)
{
	return d->node->state_dir.s ? d->node->state_dir.s : "/var/lib/meltemi";
}

/* 0 or -errno. */
static int write_all(int fd, size_t bytes)
{
	static const char text[65536] = "can this be written?\n";

	while (bytes) {
		ssize_t n = write(fd, text, MT_MIN(bytes, sizeof(text)));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		bytes -= (size_t)n;
	}
	return 0;
}

/* False if so little is free that a file of that length cannot be written. */
static bool has_room(const char *dir, size_t bytes)
{
	struct statvfs v;
	uint64_t blocks;

	/* Some file systems do not report their size. */
	if (statvfs(dir, &v) || !v.f_blocks || !v.f_frsize)
		return true;
	blocks = geteuid() ? v.f_bavail : v.f_bfree;
	return blocks >= (bytes + v.f_frsize - 1) / v.f_frsize;
}

/* Makes the file that long, by allocation if the file system has that. 0 or -errno. */
static int extend(int fd, size_t bytes)
{
	size_t start = MT_MIN(bytes, (size_t)TRY_MIN);
	int rc = write_all(fd, start);

	if (rc || bytes == start)
		return rc;
	if (fallocate(fd, 0, 0, (off_t)bytes) == 0)
		return 0;
	return errno == EOPNOTSUPP || errno == ENOSYS ? write_all(fd, bytes - start) : -errno;
}

/* Creates, extends and removes a file of that length. 0 or -errno. */
static int probe(const char *dir, size_t bytes)
{
	char path[4200];
	int fd, rc;

	if (!has_room(dir, bytes))
		return -ENOSPC;
	snprintf(path, sizeof(path), "%s/" PROBE, dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	rc = extend(fd, bytes);
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

/* ---- while it runs -------------------------------------------------------------------------- */

/* A write of a test file; static, because a disk that hangs keeps it for as long as the process. */
static struct trial {
	struct mt_task task;
	struct daemon *d;
	size_t bytes;
	char dir[4096];
} trial;

static int try_it(struct mt_task *t)
{
	return probe(trial.dir, trial.bytes);
}

static void set_trouble(struct daemon *d, int rc)
{
	d->state.rc = rc;
	snprintf(d->state.words, sizeof(d->state.words), "%.300s: %s", state_dir(d), strerror(-rc));
}

static void tried(struct mt_task *t, int rc)
{
	struct daemon *d = trial.d;

	d->state.trying = false;
	d->state.next = mt_clock_now(&d->clock) + TRY_NS;
	if (rc == 0) {
		mt_log(MT_LOG_INFO, "state", "stateDirectory %s can be written again",
			state_dir(d));
		d->state.bytes = 0;
	}
	set_trouble(d, rc);
}

void state_turn(struct daemon *d, uint64_t now)
{
	size_t bytes = 0;
	int rc = mt_service_failed(d->service, &bytes);

	if (rc && !d->state.rc)
		d->state.next = now + TRY_NS;
	if (rc)
		set_trouble(d, rc);
	d->state.bytes = MT_MAX(d->state.bytes, bytes);
	if (!d->state.rc || d->state.trying || now < d->state.next)
		return;
	d->state.trying = true;
	trial.task = (struct mt_task){.run = try_it, .done = tried};
	trial.d = d;
	/* The directory may have room for a short file, but not for the one that failed. */
	trial.bytes = MT_MIN(MT_MAX(d->state.bytes, TRY_MIN), TRY_MAX);
	snprintf(trial.dir, sizeof(trial.dir), "%s", state_dir(d));
	if (mt_service_submit(d->service, &trial.task)) {
		d->state.trying = false;
		d->state.next = now + TRY_NS;
	}
}

const char *state_trouble(void *arg)
{
	const struct daemon *d = arg;

	return d->state.rc ? d->state.words : NULL;
}

/* ---- start ---------------------------------------------------------------------------------- */

int state_start(struct daemon *d, struct mt_err *e)
{
	const char *dir = state_dir(d);
	int rc = 0;

	errno = 0;
	if (mkdir(dir, 0700) && errno != EEXIST)
		rc = -errno;
	if (rc == 0)
		rc = probe(dir, TRY_MIN);
	if (rc == 0)
		return claim(dir, e);
	/* Perhaps nothing will have to be kept, so a full disk does not prevent a start. */
	if (rc == -ENOSPC || rc == -EDQUOT) {
		set_trouble(d, rc);
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
