/* SPDX-License-Identifier: Apache-2.0 */
/* The watch with the kernel's real events and a clock of the test's own. */
#include "source_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mt_watch_XXXXXX";

static char *in_dir(const char *name)
{
	static char path[2][128];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void write_file(const char *name)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	close(fd);
}

static struct mt_watch *start(void)
{
	const char *const dirs[] = {dir};
	struct mt_watch *w;
	int err;

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	w = mt_watch_new(&(struct mt_watch_what){.directories = dirs, .n = 1}, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	CU_ASSERT_EQUAL(err, 0);
	CU_ASSERT(mt_watch_fd(w) >= 0);
	return w;
}

static void finish(struct mt_watch *w)
{
	char cmd[128];

	mt_watch_free(w);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void quiet_then_due(void)
{
	struct mt_watch *w = start();
	uint64_t t = 1000 * MT_SEC;

	CU_ASSERT_FALSE(mt_watch_on_event(w, t));
	write_file("a.yaml");
	CU_ASSERT_FALSE(mt_watch_on_event(w, t));
	CU_ASSERT_FALSE(mt_watch_on_event(w, t + 50 * MT_MSEC));
	write_file("b.yml");
	CU_ASSERT_FALSE(mt_watch_on_event(w, t + 79 * MT_MSEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, t + 150 * MT_MSEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, t + 160 * MT_MSEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, t + 10 * MT_SEC));
	finish(w);
}

/* Somebody who writes all the time does not put a reload off for ever. */
static void never_quiet(void)
{
	struct mt_watch *w = start();
	uint64_t t = 1000 * MT_SEC;
	bool told = false;

	for (int i = 0; i < 30 && !told; i++) {
		write_file("a.json");
		told = mt_watch_on_event(w, t + (uint64_t)i * 50 * MT_MSEC);
		CU_ASSERT_EQUAL(told, i == 20);
	}
	CU_ASSERT_TRUE(told);
	finish(w);
}

/* Changes in a pause are reported once, at its end. */
static void pause_between_reports(void)
{
	struct mt_watch *w = start();
	uint64_t t = 1000 * MT_SEC;
	uint32_t told = 0;

	for (uint32_t ms = 0; ms < 10000; ms += 10) {
		uint64_t now = t + ms * MT_MSEC;

		if (ms % 100 == 0)
			write_file("a.yaml");
		if (!mt_watch_on_event(w, now))
			continue;
		CU_ASSERT(told || ms == 80);
		told++;
		mt_watch_pause(w, now + 2 * MT_SEC);
	}
	CU_ASSERT_EQUAL(told, 5);
	CU_ASSERT_TRUE(mt_watch_on_event(w, t + 11 * MT_SEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, t + 20 * MT_SEC));
	finish(w);
}

static void editors_files_do_not_count(void)
{
	static const char *const names[] = {".a.yaml.swp", "a.yaml~", "#a.yaml#", ".#a.yaml",
		"a.yaml.tmp", "4913", "notes.txt", ".hidden.yaml"};
	struct mt_watch *w = start();

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		CU_ASSERT_FALSE(mt_source_wants(names[i]));
		write_file(names[i]);
	}
	CU_ASSERT_FALSE(mt_watch_on_event(w, 1 * MT_SEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, 5 * MT_SEC));
	CU_ASSERT_EQUAL(rename(in_dir("a.yaml.tmp"), in_dir("a.yaml")), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 6 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 7 * MT_SEC));
	CU_ASSERT_EQUAL(unlink(in_dir("a.yaml")), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 8 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 9 * MT_SEC));
	finish(w);
}

/* A new file counts when it is closed, a link at once. */
static void new_files_and_links(void)
{
	struct mt_watch *w = start();
	int fd = open(in_dir("a.yaml"), O_WRONLY | O_CREAT, 0600);

	CU_ASSERT_FALSE(mt_watch_on_event(w, 1 * MT_SEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, 2 * MT_SEC));
	close(fd);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 3 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 4 * MT_SEC));
	CU_ASSERT_EQUAL(symlink("a.yaml", in_dir("b.yaml")), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 5 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 6 * MT_SEC));
	CU_ASSERT_EQUAL(link(in_dir("a.yaml"), in_dir("c.yaml")), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 7 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 8 * MT_SEC));
	finish(w);
}

static void replaced_directory(void)
{
	struct mt_watch *w = start();
	char old[64];

	snprintf(old, sizeof(old), "%s.old", dir);
	CU_ASSERT_EQUAL(rename(dir, old), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 1 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 2 * MT_SEC));
	CU_ASSERT_FALSE(mt_watch_on_event(w, 3 * MT_SEC));
	CU_ASSERT_EQUAL(mkdir(dir, 0700), 0);
	CU_ASSERT_FALSE(mt_watch_on_event(w, 4 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 5 * MT_SEC));
	write_file("a.yaml");
	CU_ASSERT_FALSE(mt_watch_on_event(w, 6 * MT_SEC));
	CU_ASSERT_TRUE(mt_watch_on_event(w, 7 * MT_SEC));
	CU_ASSERT_EQUAL(rmdir(old), 0);
	finish(w);
}

const struct mt_test watch_tests[] = {
	{"quiet_then_due", quiet_then_due},
	{"never_quiet", never_quiet},
	{"pause_between_reports", pause_between_reports},
	{"editors_files_do_not_count", editors_files_do_not_count},
	{"new_files_and_links", new_files_and_links},
	{"replaced_directory", replaced_directory},
	{0},
};
