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
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

const struct mt_test state_tests[] = {{"a directory that is nearly full", nearly_full}, {0}};
