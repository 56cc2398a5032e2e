/* SPDX-License-Identifier: Apache-2.0 */
/* Files of sinks: which are opened, how they are replaced, and full disks. */
#include "sinks.h"
#include "suites.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_place(const char *path, const char *const *dirs, uint32_t n, const char *directory,
	const char *below)
{
	struct mt_alog_place place;
	struct mt_err e;
	bool same;

	if (mt_alog_place_of(path, dirs, n, &place, &e))
		return false;
	same = place.path && strcmp(place.path, below) == 0 &&
	       strcmp(place.directory, directory) == 0;
	mt_alog_place_fini(&place);
	return same;
}

static void test_places(void)
{
	static const char *const dirs[] = {"/srv/logs/", "/var/log", "relative"};
	static const char *const bad[] = {"", "a.log", "/etc/passwd", "/srv/logs", "/srv/logs/",
		"/srv/logsx/a", "/srv/logs/../x", "/srv/logs/a/..", "/srv/logs/a/", "/dev/stdin",
		"/dev/fd/1", "relative/a", "/srv/logs/a/../../b", "/var/logs/x"};
	struct mt_alog_place place;
	struct mt_err e;

	CU_ASSERT_TRUE(is_place("/var/log/meltemi/a.log", NULL, 0, MT_ALOG_DIRECTORY, "a.log"));
	CU_ASSERT_TRUE(is_place("/srv/logs/a.log", dirs, 3, "/srv/logs", "a.log"));
	CU_ASSERT_TRUE(is_place("/srv/logs//b/..c", dirs, 3, "/srv/logs", "b/..c"));
	CU_ASSERT_TRUE(is_place("/var/log/x", dirs, 3, "/var/log", "x"));
	CU_ASSERT_EQUAL(mt_alog_place_of("/dev/stdout", NULL, 0, &place, &e), 0);
	CU_ASSERT_TRUE(place.fd == 1 && !place.path);
	CU_ASSERT_EQUAL(mt_alog_place_of("/dev/stderr", dirs, 3, &place, &e), 0);
	CU_ASSERT_TRUE(place.fd == 2 && !place.path);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(mt_alog_place_of(bad[i], dirs, 3, &place, &e), -EINVAL);
	CU_ASSERT_EQUAL(mt_alog_place_of("/tmp/x", NULL, 0, &place, &e), -EINVAL);
	CU_ASSERT_STRING_EQUAL(e.text,
		"/tmp/x: access logs are written to /dev/stdout, /dev/stderr "
		"and files below /var/log/meltemi");
}

/* The mode is exact whatever the umask is, and an existing file is appended to. */
static void test_mode(void)
{
	mode_t before = umask(077);
	struct mt_alog_sink *s = sinks_file("mode");
	struct stat st;

	CU_ASSERT_EQUAL(sinks_put(s, 0, 10), 10);
	CU_ASSERT_TRUE(sinks_wrote(s, 10));
	sinks_end(s, MT_ALOG_STOP, NULL);
	umask(before);
	CU_ASSERT_EQUAL(stat(sinks_path("mode"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0640);
	s = sinks_file("mode");
	CU_ASSERT_EQUAL(sinks_put(s, 10, 10), 10);
	sinks_end(s, MT_ALOG_STOP, NULL);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("mode")), 20);
}

/* The sink does not write there, names the reason, and keeps its lines. */
static void not_opened(const char *below, const char *why)
{
	struct mt_alog_sink *s = sinks_file(below);
	struct mt_alog_sink_stats st;

	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_not_open));
	CU_ASSERT_EQUAL(sinks_put(s, 0, 3), 3);
	mt_alog_sink_stats(s, &st);
	CU_ASSERT_PTR_NOT_NULL(strstr(st.why.text, why));
	if (!strstr(st.why.text, why))
		printf("\n%s: %s\n", below, st.why.text);
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_EQUAL(st.written, 0);
	CU_ASSERT_EQUAL(st.lost[MT_ALOG_STATE_stopped], 3);
}

static void touch(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	close(fd);
}

static void test_not_files(void)
{
	struct stat st;
	int fd;

	CU_ASSERT_EQUAL(mkdir(sinks_path("directory"), 0700), 0);
	not_opened("directory", "Is a directory");
	CU_ASSERT_EQUAL(mkfifo(sinks_path("fifo"), 0600), 0);
	not_opened("fifo", "it is not a regular file");
	fd = open(sinks_path("fifo"), O_RDONLY | O_NONBLOCK);
	not_opened("fifo", "it is not a regular file");
	close(fd);
	touch(sinks_path("target"));
	CU_ASSERT_EQUAL(symlink("target", sinks_path("link")), 0);
	not_opened("link", "a link is on the way");
	CU_ASSERT_EQUAL(symlink("no_target", sinks_path("dangling")), 0);
	not_opened("dangling", "a link is on the way");
	CU_ASSERT_NOT_EQUAL(stat(sinks_path("no_target"), &st), 0);
	CU_ASSERT_EQUAL(symlink("directory", sinks_path("linked")), 0);
	not_opened("linked/file", "a link is on the way");
	CU_ASSERT_EQUAL(symlink("/tmp", sinks_path("outside")), 0);
	not_opened("outside/mt_accesslog_test_file", "a link is on the way");
	CU_ASSERT_EQUAL(link(sinks_path("target"), sinks_path("second")), 0);
	not_opened("second", "the file has several names");
	not_opened("../mt_accesslog_test_file", "the path leads out of the directory");
	not_opened("/tmp/mt_accesslog_test_file", "the path leads out of the directory");
	CU_ASSERT_NOT_EQUAL(stat("/tmp/mt_accesslog_test_file", &st), 0);
	not_opened("no_directory/file", "No such file or directory");
	CU_ASSERT_EQUAL(stat(sinks_path("target"), &st), 0);
	CU_ASSERT_EQUAL(st.st_size, 0);
}

/* As logrotate does with "create", without a signal. */
static void test_renamed(void)
{
	struct mt_alog_sink *s = sinks_file("renamed");
	struct mt_alog_sink_stats st;

	CU_ASSERT_EQUAL(sinks_put(s, 0, 100), 100);
	CU_ASSERT_TRUE(sinks_wrote(s, 100));
	CU_ASSERT_EQUAL(rename(sinks_path("renamed"), sinks_path("renamed.1")), 0);
	CU_ASSERT_EQUAL(sinks_put(s, 100, 50), 50);
	CU_ASSERT_TRUE(sinks_wrote(s, 150));
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("renamed.1")), 100);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("renamed")), 50);
	/* A file that another program has created. */
	CU_ASSERT_EQUAL(unlink(sinks_path("renamed")), 0);
	touch(sinks_path("renamed"));
	CU_ASSERT_EQUAL(sinks_put(s, 150, 7), 7);
	CU_ASSERT_TRUE(sinks_wrote(s, 157));
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("renamed")), 7);
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_EQUAL(st.opened, 3);
}

/* An idle sink leaves a file that was removed, so that its place on the disk is free. */
static void test_removed_while_idle(void)
{
	struct mt_alog_sink *s = sinks_file("idle");
	struct stat st;

	CU_ASSERT_EQUAL(sinks_put(s, 0, 1), 1);
	CU_ASSERT_TRUE(sinks_wrote(s, 1));
	CU_ASSERT_EQUAL(unlink(sinks_path("idle")), 0);
	for (int i = 0; i < 100 && stat(sinks_path("idle"), &st); i++)
		usleep(50000);
	CU_ASSERT_EQUAL(stat(sinks_path("idle"), &st), 0);
	sinks_end(s, MT_ALOG_STOP, NULL);
}

/* As logrotate does with "copytruncate": the next line is at the start, without a hole before it. */
static void test_truncated(void)
{
	struct mt_alog_sink *s = sinks_file("truncated");

	CU_ASSERT_EQUAL(sinks_put(s, 0, 100), 100);
	CU_ASSERT_TRUE(sinks_wrote(s, 100));
	CU_ASSERT_EQUAL(truncate(sinks_path("truncated"), 0), 0);
	CU_ASSERT_EQUAL(sinks_put(s, 100, 5), 5);
	CU_ASSERT_TRUE(sinks_wrote(s, 105));
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("truncated")), 5);
	sinks_end(s, MT_ALOG_STOP, NULL);
}

static void test_reopened(void)
{
	struct mt_alog_sink *s = sinks_file("reopened");
	struct mt_alog_sink_stats st;

	CU_ASSERT_EQUAL(sinks_put(s, 0, 1), 1);
	CU_ASSERT_TRUE(sinks_wrote(s, 1));
	mt_alog_sink_reopen(s);
	for (int i = 0; i < 1000; i++) {
		mt_alog_sink_stats(s, &st);
		if (st.opened == 2)
			break;
		usleep(1000);
	}
	CU_ASSERT_EQUAL(st.opened, 2);
	sinks_end(s, MT_ALOG_STOP, NULL);
}

/* Lines wait for a file that cannot be opened yet. */
static void test_late_directory(void)
{
	struct mt_alog_sink *s = sinks_file("late/file");
	struct mt_alog_sink_stats st;

	CU_ASSERT_EQUAL(sinks_put(s, 0, 10), 10);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_not_open));
	CU_ASSERT_EQUAL(mkdir(sinks_path("late"), 0700), 0);
	CU_ASSERT_TRUE(sinks_wrote(s, 10));
	mt_alog_sink_stats(s, &st);
	CU_ASSERT_EQUAL(st.state, MT_ALOG_STATE_ok);
	CU_ASSERT_STRING_EQUAL(st.why.text, "");
	/* The directory goes, with the file. */
	CU_ASSERT_EQUAL(unlink(sinks_path("late/file")), 0);
	CU_ASSERT_EQUAL(rmdir(sinks_path("late")), 0);
	CU_ASSERT_EQUAL(sinks_put(s, 10, 1), 1);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_not_open));
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_EQUAL(st.written, 10);
}

/* ---- full disk ------------------------------------------------------------------------------ */

#define DISK (256 * 1024)

/* Mounts a small file system that only this thread and later ones see. */
static bool mount_small(const char *path)
{
	char options[32];

	if (geteuid() != 0 || unshare(CLONE_NEWNS) ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	snprintf(options, sizeof(options), "size=%d", DISK);
	return mkdir(path, 0700) == 0 && mount("none", path, "tmpfs", 0, options) == 0;
}

static void fill(const char *path, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	char block[4096] = {0};

	for (size_t i = 0; fd >= 0 && i < n; i += sizeof(block))
		CU_ASSERT_EQUAL(write(fd, block, sizeof(block)), sizeof(block));
	close(fd);
}

/* More lines than the buffer and the disk have room for. */
static uint64_t put_many(struct mt_alog_sink *s)
{
	uint64_t accepted = 0;

	for (uint32_t i = 0; i < 200000; i += 1000)
		accepted += sinks_put(s, i, 1000);
	return accepted;
}

static void test_full_disk(void)
{
	struct mt_alog_sink_stats st;
	struct mt_alog_sink *s;
	uint64_t accepted;

	if (!mount_small(sinks_path("small"))) {
		printf("(not tested: this needs root) ");
		return;
	}
	fill(sinks_path("small/ballast"), DISK / 2);
	s = sinks_file("small/log");
	accepted = put_many(s);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_no_space));
	accepted += sinks_put(s, 300000, 1000);
	mt_alog_sink_stats(s, &st);
	CU_ASSERT_PTR_NOT_NULL(strstr(st.why.text, "small/log: No space left on device"));
	CU_ASSERT_EQUAL(sinks_lost(&st) + accepted, 201000);
	CU_ASSERT_TRUE(st.lost[MT_ALOG_STATE_no_space] >= 1000);
	/* With room again the rest of a line is written where it began. */
	CU_ASSERT_EQUAL(unlink(sinks_path("small/ballast")), 0);
	for (int i = 0; i < 5000 && st.written * LINE_LEN < DISK * 3 / 4; i++) {
		usleep(1000);
		mt_alog_sink_stats(s, &st);
	}
	CU_ASSERT_TRUE(st.written * LINE_LEN >= DISK * 3 / 4);
	CU_ASSERT_TRUE(sinks_became(s, MT_ALOG_STATE_no_space));
	/* A new disk takes the rest. */
	CU_ASSERT_EQUAL(umount2(sinks_path("small"), MNT_DETACH), 0);
	CU_ASSERT_EQUAL(mount("none", sinks_path("small"), "tmpfs", 0, "size=64m"), 0);
	sinks_end(s, MT_ALOG_STOP, &st);
	CU_ASSERT_TRUE(st.lost[MT_ALOG_STATE_no_space] <= 201000 - accepted + 1);
	CU_ASSERT_EQUAL(st.lost[MT_ALOG_STATE_stopped], 0);
	CU_ASSERT_TRUE(sinks_lines_of(sinks_path("small/log")) > 0);
	umount2(sinks_path("small"), MNT_DETACH);
}

const struct mt_test sink_file_tests[] = {
	{"places", test_places},
	{"mode", test_mode},
	{"not files", test_not_files},
	{"renamed", test_renamed},
	{"removed while idle", test_removed_while_idle},
	{"truncated", test_truncated},
	{"reopened", test_reopened},
	{"late directory", test_late_directory},
	{"full disk", test_full_disk},
	{0},
};
