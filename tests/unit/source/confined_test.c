/* SPDX-License-Identifier: Apache-2.0 */
/* Sources beside each other: what one of them holds does not change how another is read. */
#include "mt_files.h"
#include "source_test.h"

#include "mt_log.h"
#include "watch_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE(name, ns)                                                                          \
	"apiVersion: networking.istio.io/v1\\nkind: ServiceEntry\\n"                               \
	"metadata: {name: " name ", namespace: " ns "}\\n"                                         \
	"spec:\\n  hosts: [" name ".x]\\n  ports: [{number: 80, name: tcp}]\\n"

struct scene {
	char dir[32], all[48], team[64];
	struct mt_watch *w;
	uint64_t t;
};

static void sh(const struct scene *sc, const char *fmt, ...)
{
	char cmd[2000];
	int at = snprintf(cmd, sizeof(cmd), "cd %s && ", sc->dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + at, sizeof(cmd) - (size_t)at, fmt, ap);
	va_end(ap);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

/* A directory `all` of a source, and in it `all/team` of another one. */
static void begin(struct scene *sc)
{
	*sc = (struct scene){.dir = "/tmp/mt_conf_XXXXXX", .t = 1000 * MT_SEC};
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(sc->dir));
	snprintf(sc->all, sizeof(sc->all), "%s/all", sc->dir);
	snprintf(sc->team, sizeof(sc->team), "%s/team", sc->all);
	sh(sc, "mkdir -p all/team");
}

static void end(struct scene *sc)
{
	char cmd[64];

	mt_watch_free(sc->w);
	snprintf(cmd, sizeof(cmd), "rm -r %s", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

/* ---- a load ---------------------------------------------------------------------------------- */

#define NODE(sources)                                                                              \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  sources: [" sources "]\n"
#define ALL  "{directory: all}"
#define TEAM "{directory: all/team, namespaces: [a]}"

struct got {
	struct mt_source_reading r;
	struct mt_diags diags;
};

/* Reads the sources of a Node in the file `node` below the scene's directory. */
static void read_node(const struct scene *sc, const char *file, const char *node, struct got *g)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", sc->dir, file);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(node, f);
	fclose(f);
	*g = (struct got){0};
	mt_diags_init(&g->diags);
	CU_ASSERT_EQUAL(mt_source_read(NULL, &g->r, &g->diags, path, NULL, 0), 0);
}

static void drop(struct got *g)
{
	mt_source_reading_fini(&g->r);
	mt_diags_fini(&g->diags);
}

/* Objects of this name: those that were taken, and those that their source may not have. */
static void count(const struct got *g, const char *name, uint32_t *taken, uint32_t *outside)
{
	*taken = *outside = 0;
	for (uint32_t i = 0; i < g->r.objects.n; i++) {
		const struct mt_object *o = g->r.objects.v[i];

		if (strcmp(o->name, name) != 0)
			continue;
		*taken += !o->outside && o->status != MT_OBJECT_REFUSED;
		*outside += o->outside;
	}
}

#define COUNTS(g, name, want_taken, want_outside)                                                  \
	do {                                                                                       \
		uint32_t taken, outside;                                                           \
		count(g, name, &taken, &outside);                                                  \
		CU_ASSERT_EQUAL(taken, want_taken);                                                \
		CU_ASSERT_EQUAL(outside, want_outside);                                            \
	} while (0)

/* A command that changes the directories of a scene during a load. */
static struct {
	const struct scene *sc;
	const char *at, *command; /* before this name is opened */
} swap;

static void do_swap(const char *path)
{
	if (!swap.sc || strcmp(path, swap.at) != 0)
		return;
	sh(swap.sc, "%s", swap.command);
	swap.sc = NULL;
}

static void read_swapped(const struct scene *sc, const char *node, const char *at,
	const char *command, struct got *g)
{
	swap.sc = sc;
	swap.at = at;
	swap.command = command;
	before_open = do_swap;
	read_node(sc, "node.yaml", node, g);
	before_open = NULL;
	CU_ASSERT_PTR_NULL(swap.sc);
}

#define BOTH SERVICE("t", "b") "---\\n" SERVICE("u", "a")

/* A limited directory that is replaced, or appears, during a load is read with its limit only. */
static void replaced_during_a_load(void)
{
	for (int k = 0; k < 4; k++) {
		struct scene sc;
		struct got g;

		begin(&sc);
		if (k & 1)
			sh(&sc, "rmdir all/team");
		if (k & 2)
			sh(&sc, "mv all far && ln -s far all");
		sh(&sc, "printf '" SERVICE("m", "b") "' > all/m.yaml && mkdir new && printf '" BOTH
						     "' > new/t.yaml");
		read_swapped(&sc, NODE(ALL ", " TEAM), "m.yaml",
			"(test ! -e all/team || mv all/team old) && mv new all/team", &g);
		COUNTS(&g, "m", 1, 0);
		COUNTS(&g, "t", 0, 1);
		COUNTS(&g, "u", 1, 0);
		drop(&g);
		end(&sc);
	}
}

/* The same if directories above it appear with it, whatever the way in which the Node names it. */
static void appears_with_directories_above(void)
{
	static const char *const nodes[] = {
		NODE(ALL ", {directory: all/x/y/team, namespaces: [a]}"),
		NODE(ALL ", {directory: ./all//x/./y/team//, namespaces: [a]}")};

	for (size_t i = 0; i < MT_ARRAY_LEN(nodes); i++) {
		struct scene sc;
		struct got g;

		begin(&sc);
		sh(&sc, "printf '" SERVICE(
				"m", "b") "' > all/m.yaml && mkdir -p new/y/team && printf '" BOTH
					  "' > new/y/team/t.yaml");
		read_swapped(&sc, nodes[i], "m.yaml", "mv new all/x", &g);
		COUNTS(&g, "m", 1, 0);
		COUNTS(&g, "t", 0, 1);
		COUNTS(&g, "u", 1, 0);
		drop(&g);
		end(&sc);
	}
}

/*
 * A link that leads to another version of all directories during a load, as tools make it that
 * publish a repository. The source with the limit has been read, and has it in that version, too.
 */
static void another_version_during_a_load(void)
{
	struct scene sc;
	struct got g;

	begin(&sc);
	sh(&sc, "printf '" SERVICE("m",
			"b") "' > all/m.yaml && printf '" BOTH
			     "' > all/team/t.yaml && cp -r all v2 && mv all v1 && ln -s v1 all");
	read_swapped(&sc, NODE(TEAM ", " ALL), "t.yaml", "ln -sfn v2 all", &g);
	COUNTS(&g, "m", 1, 0);
	COUNTS(&g, "t", 0, 1);
	COUNTS(&g, "u", 1, 0);
	drop(&g);
	end(&sc);
}

/* A hard link in a limited directory hides no file of another source. */
static void hard_links(void)
{
	static const char *const orders[] = {NODE(ALL ", " TEAM), NODE(TEAM ", " ALL)};

	for (size_t i = 0; i < MT_ARRAY_LEN(orders); i++) {
		struct scene sc;
		struct got g;

		begin(&sc);
		sh(&sc, "printf '" SERVICE(
				"m", "b") "' > all/m.yaml && ln all/m.yaml all/team/t.yaml");
		read_node(&sc, "node.yaml", orders[i], &g);
		COUNTS(&g, "m", 1, 1);
		drop(&g);
		end(&sc);
	}
}

/* What the configuration names is read once, also if it is in a limited directory. */
static void the_nodes_file_in_a_limited_directory(void)
{
	struct scene sc;
	struct got g;

	begin(&sc);
	sh(&sc, "printf '" SERVICE("t", "a") "' > all/team/t.yaml");
	read_node(&sc, "all/team/node.yaml", NODE("{directory: ., namespaces: [a]}"), &g);
	CU_ASSERT_EQUAL(g.diags.errors, 0);
	CU_ASSERT_EQUAL(g.r.objects.n, 2);
	COUNTS(&g, "t", 1, 0);
	drop(&g);
	end(&sc);
}

/* Of limited directories in each other the inner one has its own limit. */
static void limited_in_each_other(void)
{
	static const char *const orders[] = {NODE("{directory: all, namespaces: [b]}, " TEAM),
		NODE(TEAM ", {directory: all, namespaces: [b]}"),
		NODE(TEAM ", {directory: all, namespaces: [b]}, {directory: all/team, namespaces: "
			  "[b]}")};

	for (size_t i = 0; i < MT_ARRAY_LEN(orders); i++) {
		struct scene sc;
		struct got g;

		begin(&sc);
		sh(&sc, "printf '" SERVICE("m", "b") "' > all/m.yaml && printf '" SERVICE(
				"t", "a") "---\\n" SERVICE("x", "b") "' > all/team/t.yaml");
		read_node(&sc, "node.yaml", orders[i], &g);
		COUNTS(&g, "m", 1, 0);
		COUNTS(&g, "t", 1, 0);
		COUNTS(&g, "x", 0, 1);
		drop(&g);
		end(&sc);
	}
}

/* A source without namespaces in a limited one is not limited, and the outer one leaves it out. */
static void unlimited_in_limited(void)
{
	static const char *const orders[] = {
		NODE("{directory: all, namespaces: [b]}, {directory: all/team}"),
		NODE("{directory: all/team}, {directory: all, namespaces: [b]}")};

	for (size_t i = 0; i < MT_ARRAY_LEN(orders); i++) {
		struct scene sc;
		struct got g;

		begin(&sc);
		sh(&sc, "printf '" SERVICE("m", "b") "' > all/m.yaml && printf '" SERVICE(
				"t", "a") "' > all/team/t.yaml");
		read_node(&sc, "node.yaml", orders[i], &g);
		CU_ASSERT_EQUAL(g.diags.errors, 0);
		COUNTS(&g, "m", 1, 0);
		COUNTS(&g, "t", 1, 0);
		drop(&g);
		end(&sc);
	}
}

/* ---- the watch ------------------------------------------------------------------------------- */

/* Watches both directories; `limited`: the team's has some namespaces only. */
static void watch(struct scene *sc, bool limited)
{
	const char *const roots[] = {sc->all, sc->team};
	const bool confined[] = {false, limited};
	int err;

	sc->w = mt_watch_new(
		&(struct mt_watch_what){.directories = roots, .confined = confined, .n = 2}, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->w);
}

/* ms until a change is reported, in steps of 20 ms; 0: not within `most` s. */
static uint64_t reported(struct scene *sc, uint64_t most)
{
	uint64_t began = sc->t;

	for (; sc->t <= began + most * MT_SEC; sc->t += 20 * MT_MSEC)
		if (mt_watch_on_event(sc->w, sc->t))
			return (sc->t - began) / MT_MSEC;
	return 0;
}

static uint64_t warnings(void)
{
	return mt_log_counts(MT_LOGS_config)->lines[MT_LOG_WARN];
}

/* Names of a limited directory do not end the watch of a source that contains it. */
static void limited_directories_are_watched_apart(void)
{
	const struct mt_source_limits usual = mt_source_limits;
	uint64_t before = warnings();
	struct scene sc;

	begin(&sc);
	sh(&sc, "mkdir all/a all/z && touch all/a/x.yaml all/z/x.yaml && cd all/team && "
		"seq 20 | xargs touch");
	mt_source_limits.names = 20;
	watch(&sc, true);
	CU_ASSERT_EQUAL(warnings(), before);
	CU_ASSERT_EQUAL(reported(&sc, 2), 0);
	sh(&sc, "echo x > all/a/x.yaml");
	CU_ASSERT_EQUAL(reported(&sc, 2), 80);
	sh(&sc, "echo x > all/z/x.yaml");
	CU_ASSERT_EQUAL(reported(&sc, 2), 80);
	sh(&sc, "rm all/team/1 && echo x > all/team/x.yaml");
	CU_ASSERT_EQUAL(reported(&sc, 2), 80);
	mt_source_limits = usual;
	end(&sc);
}

/* A limit that ends the watch is logged, once until it does so no more. */
static void limits_of_the_watch(void)
{
	const struct mt_source_limits usual = mt_source_limits;
	static const struct mt_source_limits few[] = {{3, 100, UINT64_MAX, 1 << 30, 100},
		{100, 2, UINT64_MAX, 1 << 30, 100}, {100, 100, UINT64_MAX, 1 << 30, 1}};

	for (size_t i = 0; i < MT_ARRAY_LEN(few); i++) {
		uint64_t before = warnings();
		struct scene sc;

		begin(&sc);
		sh(&sc, "mkdir all/team/a && ln -s a all/team/b && touch all/team/a/x.yaml");
		mt_source_limits = few[i];
		watch(&sc, false);
		CU_ASSERT_EQUAL(warnings() - before, 1);
		sh(&sc, "mkdir all/c");
		CU_ASSERT_EQUAL(reported(&sc, 2), 0);
		CU_ASSERT_EQUAL(warnings() - before, 1);
		mt_source_limits = usual;
		sh(&sc, "mkdir all/d");
		(void)reported(&sc, 2);
		mt_source_limits = few[i];
		sh(&sc, "mkdir all/e");
		(void)reported(&sc, 2);
		CU_ASSERT_EQUAL(warnings() - before, 2);
		mt_source_limits = usual;
		end(&sc);
	}
}

/* Links of 801 names each, which lead to the same file. */
static void make_costly_links(const struct scene *sc, uint32_t n)
{
	char text[2100] = "";

	for (int i = 0; i < 400; i++)
		strcat(text, "d/../");
	strcat(text, ".t");
	sh(sc, "mkdir all/team/d && echo 1 > all/team/.t");
	for (uint32_t i = 0; i < n; i++) {
		char at[80];

		snprintf(at, sizeof(at), "%s/%u.yaml", sc->team, i);
		CU_ASSERT_EQUAL(symlink(text, at), 0);
	}
}

/* A poll of a source ends after some work, and goes on there. */
static void costly_links_are_polled_in_parts(void)
{
	const char *roots[1];
	struct mt_look_range *r;
	struct mt_watch_tree t;
	uint32_t work = 8020;
	struct scene sc;

	begin(&sc);
	make_costly_links(&sc, 100);
	roots[0] = sc.team;
	mt_tree_init(&t);
	t.inotify = inotify_init1(IN_CLOEXEC);
	CU_ASSERT_EQUAL(mt_tree_aim(&t, &(struct mt_watch_what){.directories = roots, .n = 1}), 0);
	CU_ASSERT(mt_tree_walk(&t, 0) >= 0);
	CU_ASSERT_EQUAL_FATAL(t.now.n_ranges, 1);
	CU_ASSERT_EQUAL(t.now.n_steps, 100 * 802);
	r = &t.now.ranges[0];
	/* The links and the directory itself. */
	CU_ASSERT_EQUAL(r->n, 101);
	r->end = r->n;
	CU_ASSERT_FALSE(mt_tree_look(&t, r, &work));
	CU_ASSERT_EQUAL(work, 0);
	CU_ASSERT_EQUAL(r->at, 11);
	sh(&sc, "echo longer > all/team/.t");
	work = UINT32_MAX;
	CU_ASSERT_TRUE(mt_tree_look(&t, r, &work));
	CU_ASSERT_EQUAL(r->at, 101);
	CU_ASSERT_EQUAL(UINT32_MAX - work, 90 * (802 + MT_LOOK_WORK));
	mt_tree_fini(&t);
	end(&sc);
}

/* They do not delay the polls of another source. */
static void costly_links_delay_no_other_source(void)
{
	struct scene sc;
	uint64_t ms;

	begin(&sc);
	make_costly_links(&sc, 400);
	sh(&sc, "mkdir all/.b && echo 1 > all/.b/x && ln -s .b/x all/x.yaml");
	watch(&sc, true);
	CU_ASSERT_EQUAL(reported(&sc, 2), 0);
	for (int i = 0; i < 3; i++) {
		sh(&sc, "echo longer >> all/.b/x");
		ms = reported(&sc, 3);
		CU_ASSERT(ms >= 80 && ms <= 1200);
	}
	sh(&sc, "echo longer > all/team/.t");
	CU_ASSERT_NOT_EQUAL(reported(&sc, 6), 0);
	end(&sc);
}

const struct mt_test confined_tests[] = {
	{"replaced_during_a_load", replaced_during_a_load},
	{"appears_with_directories_above", appears_with_directories_above},
	{"another_version_during_a_load", another_version_during_a_load},
	{"hard_links", hard_links},
	{"the_nodes_file_in_a_limited_directory", the_nodes_file_in_a_limited_directory},
	{"limited_in_each_other", limited_in_each_other},
	{"unlimited_in_limited", unlimited_in_limited},
	{"limited_directories_are_watched_apart", limited_directories_are_watched_apart},
	{"limits_of_the_watch", limits_of_the_watch},
	{"costly_links_are_polled_in_parts", costly_links_are_polled_in_parts},
	{"costly_links_delay_no_other_source", costly_links_delay_no_other_source},
	{0},
};
