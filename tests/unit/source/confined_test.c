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
	{"limited_directories_are_watched_apart", limited_directories_are_watched_apart},
	{"limits_of_the_watch", limits_of_the_watch},
	{"costly_links_are_polled_in_parts", costly_links_are_polled_in_parts},
	{"costly_links_delay_no_other_source", costly_links_delay_no_other_source},
	{0},
};
