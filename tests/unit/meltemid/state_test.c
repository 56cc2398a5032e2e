/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state directory that cannot be written is reported until a write as long as the one that failed
 * succeeds. A limit on the size of files stands in for a disk that is nearly full.
 */
#include "daemon.h"
#include "mt_service.h"
#include "suites.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LONG 4096

static struct daemon d;

static void limit_files(rlim_t bytes)
{
	struct rlimit l;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void finish_task(void)
{
	struct pollfd p = {.fd = mt_service_fd(d.service), .events = POLLIN};

	CU_ASSERT_EQUAL(poll(&p, 1, 10000), 1);
	mt_service_turn(d.service);
}

static void was_put(void *arg, int rc, const struct mt_err *why)
{
	*(int *)arg = rc;
}

/* Returns the result of a write of that many bytes. */
static int put(const char *dir, size_t bytes)
{
	char path[64];
	int rc = 1;

	snprintf(path, sizeof(path), "%s/file", dir);
	mt_service_replace(d.service, path, calloc(1, bytes), bytes, 0600, was_put, &rc);
	finish_task();
	return rc;
}

/* Lets the trial that is due run. */
static void try_at(uint64_t now)
{
	state_turn(&d, now);
	CU_ASSERT_TRUE(d.state.trying);
	finish_task();
	CU_ASSERT_FALSE(d.state.trying);
}

static void nearly_full(void)
{
	char dir[] = "/tmp/meltemi-state-XXXXXX", path[64];
	struct mt_node node = {0};
	struct mt_err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	signal(SIGXFSZ, SIG_IGN);
	node.state_dir.s = dir;
	d = (struct daemon){.node = &node, .service = mt_service_new("test", &e)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(d.service);

	CU_ASSERT_EQUAL(put(dir, LONG), 0);
	state_turn(&d, MT_SEC);
	CU_ASSERT_PTR_NULL(state_trouble(&d));

	limit_files(LONG - 1);
	CU_ASSERT_EQUAL(put(dir, LONG), -EFBIG);
	state_turn(&d, 2 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(state_trouble(&d));
	CU_ASSERT_PTR_NOT_NULL(strstr(state_trouble(&d), dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(state_trouble(&d), "File too large"));
	CU_ASSERT_FALSE(d.state.trying);
	/* A short file fits, which proves nothing. */
	CU_ASSERT_EQUAL(put(dir, 1), 0);
	try_at(UINT64_MAX);
	CU_ASSERT_PTR_NOT_NULL(state_trouble(&d));

	limit_files(RLIM_INFINITY);
	try_at(UINT64_MAX);
	CU_ASSERT_PTR_NULL(state_trouble(&d));
	state_turn(&d, UINT64_MAX);
	CU_ASSERT_FALSE(d.state.trying);

	mt_service_free(d.service);
	signal(SIGXFSZ, SIG_DFL);
	snprintf(path, sizeof(path), "%s/file", dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	/* Trials leave nothing. */
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* ---- trials are cheap ----------------------------------------------------------------- */

static fsblkcnt_t free_blocks; /* of 4,096 bytes, as statvfs() reports them; 0: the real ones */
static uint32_t n_allocated;
static int allocate_rc; /* -errno of fallocate(); 0: the real result */

/* Names of these functions with 64-bit offsets, as the linker sees them. */
int __real_statvfs64(const char *path, struct statvfs *v);
int __wrap_statvfs64(const char *path, struct statvfs *v);
int __real_fallocate64(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len);

int __wrap_statvfs64(const char *path, struct statvfs *v)
{
	int rc = __real_statvfs64(path, v);

	if (free_blocks) {
		v->f_frsize = 4096;
		v->f_blocks = 1u << 20;
		v->f_bavail = v->f_bfree = free_blocks;
	}
	return rc;
}

int __wrap_fallocate64(int fd, int mode, off_t offset, off_t len)
{
	n_allocated++;
	errno = -allocate_rc;
	return allocate_rc ? -1 : __real_fallocate64(fd, mode, offset, len);
}

/* Bytes that this process has written, to anything. */
static uint64_t written(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long long n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fscanf(f, "rchar: %*u wchar: %llu", &n), 1);
	fclose(f);
	return n;
}

#define BIG (64u << 20)

/* Runs a trial of BIG bytes. Returns how many bytes it wrote. */
static uint64_t big_trial(void)
{
	uint64_t before = written();

	n_allocated = 0;
	d.state.rc = -ENOSPC;
	d.state.bytes = BIG;
	try_at(UINT64_MAX);
	return written() - before;
}

/* A trial of a long file takes no room that others need, and writes little. */
static void cheap(void)
{
	char dir[] = "/tmp/meltemi-state-XXXXXX";
	struct mt_node node = {0};
	struct mt_err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	node.state_dir.s = dir;
	d = (struct daemon){.node = &node, .service = mt_service_new("test", &e)};
	CU_ASSERT_PTR_NOT_NULL_FATAL(d.service);

	/* There is not enough room: nothing is tried. */
	free_blocks = BIG / 4096 - 1;
	CU_ASSERT(big_trial() < 4096);
	CU_ASSERT_EQUAL(n_allocated, 0);
	CU_ASSERT_EQUAL(d.state.rc, -ENOSPC);
	/* There is, but the file cannot be that long, for example by a quota. */
	free_blocks = BIG / 4096;
	allocate_rc = -EDQUOT;
	CU_ASSERT(big_trial() < 4096);
	CU_ASSERT_EQUAL(n_allocated, 1);
	CU_ASSERT_EQUAL(d.state.rc, -EDQUOT);
	/* A file system without allocation. */
	allocate_rc = -EOPNOTSUPP;
	CU_ASSERT(big_trial() >= BIG);
	CU_ASSERT_EQUAL(d.state.rc, 0);
	allocate_rc = 0;
	CU_ASSERT(big_trial() < 4096);
	CU_ASSERT_EQUAL(d.state.rc, 0);
	free_blocks = 0;

	mt_service_free(d.service);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

const struct mt_test state_tests[] = {
	{"a directory that is nearly full", nearly_full}, {"trials are cheap", cheap}, {0}};
