/* SPDX-License-Identifier: Apache-2.0 */
/* The EAL's directory, which other users of the host may have made first. */
#include "mt_port_priv.h"
#include "suites.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY	65534
#define SKIPPED 77

static void ours(void)
{
	char dir[] = "/tmp/mt_run_XXXXXX", path[64], link[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dpdk", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	CU_ASSERT_TRUE(mt_run_dir_is_ours(path));
	CU_ASSERT_TRUE(mt_run_dir_is_ours(path));
	CU_ASSERT_EQUAL(symlink("dpdk", link), 0);
	CU_ASSERT_FALSE(mt_run_dir_is_ours(link));
	CU_ASSERT_EQUAL(chmod(path, 0755), 0);
	CU_ASSERT_TRUE(mt_run_dir_is_ours(path));
	CU_ASSERT_EQUAL(chmod(path, 0777), 0);
	CU_ASSERT_FALSE(mt_run_dir_is_ours(path));
	CU_ASSERT_EQUAL(chmod(path, 0700), 0);
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chown(path, NOBODY, NOBODY), 0);
		CU_ASSERT_FALSE(mt_run_dir_is_ours(path));
	}
	unlink(link);
	rmdir(path);
	rmdir(dir);
}

/* Gives this process a /tmp of its own with this mode, where root has made dpdk. */
static bool own_tmp(const char *mode)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", "/tmp", "tmpfs", 0, mode) == 0 && mkdir("/tmp/dpdk", 0700) == 0;
}

static int hold_as_another_user(struct mt_err *e)
{
	unsetenv("RUNTIME_DIRECTORY");
	unsetenv("XDG_RUNTIME_DIR");
	if (setgid(NOBODY) || setuid(NOBODY))
		return 0;
	return mt_run_dir_hold("prefix", e);
}

/* Exit status 0 if the directory of another user is a new one, and goes with the process. */
static int has_its_own(void)
{
	char dir[64], path[128];
	struct mt_err e;
	struct stat st;

	if (!own_tmp("mode=1777"))
		return SKIPPED;
	if (hold_as_another_user(&e) != 0 || !getenv("RUNTIME_DIRECTORY"))
		return 2;
	snprintf(dir, sizeof(dir), "%s", getenv("RUNTIME_DIRECTORY"));
	snprintf(path, sizeof(path), "%s/dpdk/prefix", dir);
	if (strncmp(dir, "/tmp/meltemi.", 13) != 0 || stat(path, &st) || st.st_uid != NOBODY)
		return 3;
	mt_run_dir_let(NULL);
	mt_run_dir_remove();
	return stat(dir, &st) == 0 ? 4 : 0;
}

/* Exit status 0 if the directory of another user is refused where no new one can be made. */
static int is_refused(void)
{
	struct mt_err e = {""};

	if (!own_tmp("mode=0755"))
		return SKIPPED;
	return hold_as_another_user(&e) == -EACCES && strstr(e.text, "set XDG_RUNTIME_DIR") ? 0 : 2;
}

static void others(void)
{
	static int (*const ways[])(void) = {has_its_own, is_refused};

	for (size_t i = 0; i < MT_ARRAY_LEN(ways) && geteuid() == 0; i++) {
		pid_t child = fork();
		int status;

		if (child == 0)
			_exit(ways[i]());
		CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
		CU_ASSERT_TRUE(WIFEXITED(status));
		if (WEXITSTATUS(status) == SKIPPED)
			printf("run_dir: this process may mount nothing ");
		else
			CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	}
}

const struct mt_test run_dir_tests[] = {{"ours", ours}, {"others", others}, {0}};
