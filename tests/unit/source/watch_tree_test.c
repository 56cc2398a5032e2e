/* SPDX-License-Identifier: Apache-2.0 */
/* What the watch sees: all that is read, however it gets there, also where the kernel has no watch left. */
#include "source_test.h"

#include "mt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In front of the C library's: what the kernel says when it has no more. */
static int watches_left = -1;
static bool no_instance;

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	if (watches_left == 0) {
		errno = ENOSPC;
		return -1;
	}
	watches_left -= watches_left > 0;
	return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

int inotify_init1(int flags)
{
	if (no_instance) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_inotify_init1, flags);
}

struct scene {
	char dir[32], root[40], node[48];
	struct mt_watch *w;
	uint64_t t;
};

static void sh(const struct scene *sc, const char *fmt, ...)
{
	char cmd[600];
	int at = snprintf(cmd, sizeof(cmd), "cd %s && ", sc->dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + at, sizeof(cmd) - (size_t)at, fmt, ap);
	va_end(ap);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void watch_since(struct scene *sc, uint64_t since)
{
	const char *const roots[] = {sc->root};
	const struct mt_watch_what what = {
		.node_file = sc->node, .directories = roots, .n = 1, .since = since};
	int err;

	sc->w = mt_watch_new(&what, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->w);
	CU_ASSERT_EQUAL(err, 0);
}

/* A directory d and a Node's file beside it; `make` has made more before the watch begins. */
static void begin(struct scene *sc, const char *make)
{
	*sc = (struct scene){.dir = "/tmp/mt_tree_XXXXXX", .t = 1000 * MT_SEC};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sc->dir));
	snprintf(sc->root, sizeof(sc->root), "%s/d", sc->dir);
	snprintf(sc->node, sizeof(sc->node), "%s/node.yaml", sc->dir);
	sh(sc, "mkdir d && echo n > node.yaml && %s", make);
	watch_since(sc, 0);
}

static void end(struct scene *sc)
{
	char cmd[64];

	mt_watch_free(sc->w);
	snprintf(cmd, sizeof(cmd), "rm -r %s", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	watches_left = -1;
	no_instance = false;
}

/* ms until it is told, in steps of 20 ms; 0: not within 3 s. Whoever is told is not told again. */
static uint64_t told(struct scene *sc)
{
	uint64_t began = sc->t, after = 0;

	for (; sc->t <= began + 3 * MT_SEC; sc->t += 20 * MT_MSEC) {
		if (!mt_watch_on_event(sc->w, sc->t))
			continue;
		CU_ASSERT_EQUAL(after, 0);
		after = sc->t - began;
	}
	return after / MT_MSEC;
}

#define AT_ONCE(sc) CU_ASSERT_EQUAL(told(sc), 80)
/* Looked at by time: within 1 s, and 80 ms of quiet. */
#define IN_TIME(sc)                                                                                \
	do {                                                                                       \
		uint64_t ms = told(sc);                                                            \
		CU_ASSERT(ms >= 80 && ms <= 1200);                                                 \
	} while (0)
#define NEVER(sc) CU_ASSERT_EQUAL(told(sc), 0)

static void directories_that_come_and_go(void)
{
	struct scene sc;

	begin(&sc, "true");
	NEVER(&sc);
	/* Without a document in it, it changes nothing; but it is watched. */
	sh(&sc, "mkdir -p d/a/b");
	NEVER(&sc);
	sh(&sc, "echo x > d/a/b/x.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo x > d/a/b/notes.txt");
	NEVER(&sc);
	/* Made elsewhere and moved in, as a whole; then it is watched like the others. */
	sh(&sc, "mkdir new new/sub && echo y > new/sub/y.yaml && mv new d/");
	AT_ONCE(&sc);
	sh(&sc, "echo z > d/new/sub/y.yaml");
	AT_ONCE(&sc);
	sh(&sc, "mv d/new d/other");
	AT_ONCE(&sc);
	sh(&sc, "echo 1 > d/other/sub/y.yaml");
	AT_ONCE(&sc);
	sh(&sc, "mv d/other .");
	AT_ONCE(&sc);
	sh(&sc, "echo 2 > other/sub/y.yaml");
	NEVER(&sc);
	sh(&sc, "rm -r d/a");
	AT_ONCE(&sc);
	/* With documents in it at once: nothing is missed between its making and its watch. */
	sh(&sc, "mkdir d/quick && echo q > d/quick/q.yaml");
	AT_ONCE(&sc);
	/* One instead of the other: what is below the same name is somebody else. */
	sh(&sc, "mkdir next && echo q > next/q.yaml && mv d/quick old && mv next d/quick");
	AT_ONCE(&sc);
	sh(&sc, "echo r > d/quick/q.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo r > old/q.yaml");
	NEVER(&sc);
	end(&sc);
}

static void hidden_ones_are_left_out(void)
{
	struct scene sc;

	begin(&sc, "mkdir d/.git");
	sh(&sc, "echo x > d/.git/x.yaml && mkdir d/.new && echo y > d/.new/y.yaml");
	NEVER(&sc);
	sh(&sc, "mv d/.new d/new");
	AT_ONCE(&sc);
	sh(&sc, "mv d/new d/.new");
	AT_ONCE(&sc);
	sh(&sc, "echo z > d/.new/y.yaml");
	NEVER(&sc);
	/* As rsync does: a hidden name, then its own. */
	sh(&sc, "echo z > d/.z.yaml.X1");
	NEVER(&sc);
	sh(&sc, "mv d/.z.yaml.X1 d/z.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

static void mounted_volumes(void)
{
	struct scene sc;

	begin(&sc,
		"mkdir d/..1 && echo x > d/..1/x.yaml && ln -s ..1 d/..data && ln -s ..data/x.yaml "
		"d/x.yaml");
	NEVER(&sc);
	sh(&sc, "mkdir d/..2 && echo y > d/..2/x.yaml && ln -s ..2 d/..data_tmp && mv -T "
		"d/..data_tmp "
		"d/..data && rm -r d/..1");
	AT_ONCE(&sc);
	end(&sc);
}

static void links(void)
{
	struct scene sc;

	/* Hidden, so that only the links lead there. */
	begin(&sc, "mkdir d/.one d/.two d/.far && echo 1 > d/.one/a.yaml && echo 2 > "
		   "d/.two/a.yaml && echo f > d/.far/f");
	sh(&sc, "ln -s .one d/link");
	AT_ONCE(&sc);
	sh(&sc, "echo 3 > d/.one/a.yaml");
	AT_ONCE(&sc);
	sh(&sc, "ln -s .two d/.l && mv -T d/.l d/link");
	AT_ONCE(&sc);
	sh(&sc, "echo 4 > d/.one/a.yaml");
	NEVER(&sc);
	sh(&sc, "echo 4 > d/.two/a.yaml");
	AT_ONCE(&sc);
	sh(&sc, "rm d/link");
	AT_ONCE(&sc);
	sh(&sc, "echo 5 > d/.two/a.yaml");
	NEVER(&sc);
	/* What a link to a file leads to is elsewhere. */
	sh(&sc, "ln -s .far/f d/f.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo longer > d/.far/f");
	IN_TIME(&sc);
	/* One that leads nowhere yet. */
	sh(&sc, "ln -s .later d/later && mkdir made && echo l > made/l.yaml");
	NEVER(&sc);
	sh(&sc, "mv made d/.later");
	IN_TIME(&sc);
	sh(&sc, "echo m > d/.later/l.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

static void circles_and_depth(void)
{
	struct scene sc;
	char deep[200] = "d";

	for (int i = 0; i < 40; i++)
		strcat(deep, "/x");
	begin(&sc, "ln -s . d/self && ln -s .. d/up && ln -s nowhere d/nowhere");
	sh(&sc, "mkdir -p %s && echo a > d/x/x/x/a.yaml", deep);
	AT_ONCE(&sc);
	/* So deep nothing is read. */
	sh(&sc, "echo b > %s/b.yaml", deep);
	NEVER(&sc);
	end(&sc);
}

static void the_nodes_file(void)
{
	struct scene sc;

	begin(&sc, "true");
	sh(&sc, "echo m > node.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo other > n && mv n node.yaml");
	AT_ONCE(&sc);
	/* Its neighbours are no documents of ours. */
	sh(&sc, "echo x > beside.yaml && mkdir sub && echo y > sub/y.yaml");
	NEVER(&sc);
	sh(&sc, "mkdir ..1 ..2 && echo 1 > ..1/node.yaml && echo 2 > ..2/node.yaml && ln -s ..1 "
		"..data "
		"&& "
		"ln -sf ..data/node.yaml node.yaml");
	AT_ONCE(&sc);
	sh(&sc, "ln -s ..2 ..tmp && mv -T ..tmp ..data");
	AT_ONCE(&sc);
	sh(&sc, "echo longer > ..2/node.yaml");
	IN_TIME(&sc);
	end(&sc);
}

/* The Node's file among the documents; the directory is watched once, for both. */
static void the_nodes_file_among_documents(void)
{
	struct scene sc;

	begin(&sc, "echo n > d/node.yaml && rm node.yaml && ln -s d/node.yaml node.yaml");
	mt_watch_free(sc.w);
	snprintf(sc.node, sizeof(sc.node), "%.32s/d/node.yaml", sc.dir);
	watch_since(&sc, 0);
	sh(&sc, "echo m > d/node.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo x > d/x.yaml && mkdir d/s && echo y > d/s/y.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo z > d/s/y.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

static void permissions(void)
{
	struct scene sc;

	begin(&sc, "echo x > d/x.yaml");
	sh(&sc, "chmod 0 d/x.yaml");
	AT_ONCE(&sc);
	sh(&sc, "chmod 600 d/x.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

/* The named directory is a link, as releases are switched, or comes back as another one. */
static void named_ones_that_lead_elsewhere(void)
{
	struct scene sc;

	begin(&sc,
		"rmdir d && mkdir r1 r2 && echo 1 > r1/a.yaml && echo 2 > r2/a.yaml && ln -s r1 d");
	sh(&sc, "ln -s r2 n && mv -T n d");
	IN_TIME(&sc);
	sh(&sc, "echo 3 > r2/a.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo 3 > r1/a.yaml");
	NEVER(&sc);
	sh(&sc, "rm d && mkdir d && echo 4 > d/a.yaml");
	IN_TIME(&sc);
	sh(&sc, "rm -r d && mkdir d && echo 5 > d/b.yaml");
	IN_TIME(&sc);
	sh(&sc, "echo 6 > d/b.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

/* What came after the reading and before the watch. */
static void before_the_watch(void)
{
	struct scene sc;
	uint64_t since;

	begin(&sc, "mkdir d/s && echo x > d/s/x.yaml");
	mt_watch_free(sc.w);
	/* The file clock ticks at 4 ms; the next tick is later than what was written above. */
	usleep(20000);
	since = mt_watch_clock();
	watch_since(&sc, since);
	NEVER(&sc);
	mt_watch_free(sc.w);
	sh(&sc, "echo y > d/s/x.yaml");
	watch_since(&sc, since);
	AT_ONCE(&sc);
	mt_watch_free(sc.w);
	usleep(20000);
	since = mt_watch_clock();
	sh(&sc, "rm d/s/x.yaml");
	watch_since(&sc, since);
	AT_ONCE(&sc);
	end(&sc);
}

static void other_directories(void)
{
	struct scene sc;
	char more[48];

	begin(&sc, "mkdir more && echo x > more/x.yaml && echo y > d/y.yaml");
	snprintf(more, sizeof(more), "%s/more", sc.dir);
	const char *const both[] = {sc.root, more}, *const second[] = {more};

	sh(&sc, "echo 1 > more/x.yaml");
	NEVER(&sc);
	CU_ASSERT_EQUAL(
		mt_watch_aim(sc.w, &(struct mt_watch_what){sc.node, both, 2, .since = 0}), 0);
	NEVER(&sc);
	sh(&sc, "echo 2 > more/x.yaml");
	AT_ONCE(&sc);
	CU_ASSERT_EQUAL(
		mt_watch_aim(sc.w, &(struct mt_watch_what){sc.node, second, 1, .since = 0}), 0);
	sh(&sc, "echo 3 > d/y.yaml");
	NEVER(&sc);
	sh(&sc, "echo 3 > more/x.yaml");
	AT_ONCE(&sc);
	sh(&sc, "echo o > node.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

/* A MeshConfig is one file, wherever it is; what lies beside it is nobody's. */
static void a_mesh_config(void)
{
	struct scene sc;
	char file[48];

	begin(&sc, "mkdir more && echo x > more/mesh && echo y > more/beside.yaml");
	snprintf(file, sizeof(file), "%s/more/mesh", sc.dir);
	const char *const roots[] = {sc.root};

	sh(&sc, "echo longer > more/mesh");
	NEVER(&sc);
	CU_ASSERT_EQUAL(
		mt_watch_aim(sc.w, &(struct mt_watch_what){sc.node, roots, 1, .mesh_file = file}),
		0);
	NEVER(&sc);
	sh(&sc, "echo of another length > more/mesh");
	IN_TIME(&sc);
	sh(&sc, "echo of another length > more/beside.yaml");
	NEVER(&sc);
	end(&sc);
}

static uint64_t warnings(void)
{
	return mt_log_counts(MT_LOGS_config)->lines[MT_LOG_WARN];
}

/* Everything is seen all the same, and it is told once. */
static void changes_without_watches(struct scene *sc)
{
	sh(sc, "echo longer > d/a/a.yaml");
	IN_TIME(sc);
	sh(sc, "echo b > d/b/b.yaml");
	IN_TIME(sc);
	sh(sc, "rm d/b/b.yaml");
	IN_TIME(sc);
	sh(sc, "mkdir d/b/c && echo c > d/b/c/c.yaml");
	IN_TIME(sc);
	sh(sc, "echo longer > d/b/c/c.yaml");
	IN_TIME(sc);
	sh(sc, "mv d/b .");
	IN_TIME(sc);
	sh(sc, "echo longer > node.yaml");
	IN_TIME(sc);
	NEVER(sc);
}

static void no_watch_left(void)
{
	uint64_t before = warnings();
	struct scene sc;

	watches_left = 1;
	begin(&sc, "mkdir d/a d/b && echo a > d/a/a.yaml");
	NEVER(&sc);
	changes_without_watches(&sc);
	CU_ASSERT_EQUAL(warnings() - before, 1);
	/* When there are some again, what is walked through next is watched. */
	watches_left = -1;
	sh(&sc, "echo even longer > d/a/a.yaml");
	IN_TIME(&sc);
	sh(&sc, "echo the longest > d/a/a.yaml");
	AT_ONCE(&sc);
	end(&sc);
}

static void no_instance_left(void)
{
	uint64_t before = warnings();
	struct scene sc;

	no_instance = true;
	begin(&sc, "mkdir d/a d/b && echo a > d/a/a.yaml");
	changes_without_watches(&sc);
	CU_ASSERT_EQUAL(warnings() - before, 1);
	end(&sc);
}

/* Ten thousand files that are looked at by time are looked at in parts, and all of them each second. */
static void many_without_watches(void)
{
	struct scene sc;

	no_instance = true;
	begin(&sc, "cd d && seq -f %05.0f.yaml 0 9999 | xargs touch");
	NEVER(&sc);
	sh(&sc, "echo x > d/09999.yaml");
	IN_TIME(&sc);
	sh(&sc, "echo x > d/00000.yaml");
	IN_TIME(&sc);
	sh(&sc, "rm d/05000.yaml");
	IN_TIME(&sc);
	end(&sc);
}

const struct mt_test watch_tree_tests[] = {
	{"directories_that_come_and_go", directories_that_come_and_go},
	{"hidden_ones_are_left_out", hidden_ones_are_left_out},
	{"mounted_volumes", mounted_volumes},
	{"links", links},
	{"circles_and_depth", circles_and_depth},
	{"the_nodes_file", the_nodes_file},
	{"the_nodes_file_among_documents", the_nodes_file_among_documents},
	{"permissions", permissions},
	{"named_ones_that_lead_elsewhere", named_ones_that_lead_elsewhere},
	{"before_the_watch", before_the_watch},
	{"other_directories", other_directories},
	{"a_mesh_config", a_mesh_config},
	{"no_watch_left", no_watch_left},
	{"no_instance_left", no_instance_left},
	{"many_without_watches", many_without_watches},
	{0},
};
