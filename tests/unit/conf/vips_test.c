/* SPDX-License-Identifier: Apache-2.0 */
/* Allocated addresses: given in order, kept over restarts, never another's. */
#include "conf_test.h"
#include "mt_conf_priv.h"
#include "mt_file.h"
#include "mt_service.h"
#include "mt_strmap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], state[80], file[96];

static void make_dir(void)
{
	strcpy(dir, "/tmp/mt_vips_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(file, sizeof(file), "%s/vips.json", state);
}

static void remove_dir(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static struct mt_conf *open_conf(bool read_only, struct mt_err *err)
{
	const struct mt_conf_options o = {.workers = 1, .state_dir = state, .read_only = read_only};

	return mt_conf_create(&o, err);
}

/* Services of these names, without addresses but for the last, which has what is given. */
static void services(char *text, size_t size, const char *const *hosts, const char *addr)
{
	size_t len = 0;

	for (; *hosts; hosts++)
		len += (size_t)snprintf(text + len, size - len,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: %s}\nspec:\n  hosts: [%s]\n"
			"  ports: [{number: 1, name: tcp}]\n  resolution: STATIC\n",
			*hosts, *hosts);
	if (addr)
		snprintf(text + len, size - len, "  addresses: [%s]\n", addr);
}

/* Publishes a configuration of these hosts and says where `host` is. */
static void where(const char *const *hosts, const char *addr, const char *host, char *out)
{
	struct mt_err err;
	struct mt_conf *c = open_conf(false, &err);
	char text[4096];
	struct built b;

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	services(text, sizeof(text), hosts, addr);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	for (uint32_t i = 0; i < b.s->n_listeners; i++)
		if (strcmp(b.s->listeners[i].protos->services[0]->name, host) == 0)
			mt_addr_str(&b.s->listeners[i].addr, out);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
	b.s = NULL;
	unbuild(&b);
}

static void kept_over_restarts(void)
{
	char a[MT_ADDR_STRLEN];
	struct stat st;

	make_dir();
	where((const char *const[]){"a", "b", "c", NULL}, NULL, "b", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	CU_ASSERT_EQUAL_FATAL(stat(state, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0700);
	CU_ASSERT_EQUAL_FATAL(stat(file, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	/* Another order, other neighbours: the same address. */
	where((const char *const[]){"x", "b", NULL}, NULL, "b", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	where((const char *const[]){"x", "b", NULL}, NULL, "x", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.4");
	/* It was away meanwhile. */
	where((const char *const[]){"c", NULL}, NULL, "c", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.3");
	remove_dir();
}

static void written_and_given(void)
{
	char a[MT_ADDR_STRLEN];

	make_dir();
	where((const char *const[]){"a", "z", NULL}, "240.240.0.1", "a", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	/* Now a document writes what was given before the start. */
	where((const char *const[]){"a", "z", NULL}, "240.240.0.2", "a", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	where((const char *const[]){"a", "z", NULL}, "240.240.0.2", "z", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.1");
	remove_dir();
}

struct damage {
	const char *text;
	bool ok;
};

static const struct damage damages[] = {
	{"{\"version\": 1, \"addresses\": {}}", true},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.3.7\"}}", true},
	/* As versions before wrote it. */
	{"{\"version\": 1, \"addresses\": {\n\"a\": \"240.240.0.1\",\n\"\\\"q\\\\\": "
	 "\"240.240.0.2\"\n}}\n",
		true},
	{"{\"version\": 1}", false},
	{"{\"addresses\": {}}", false},
	{"{\"version\": 1, \"addresses\": []}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": 7}}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"10.0.0.1\", \"b\": \"240.240.0.1\"}}", false},
	{"", false},
	{"{", false},
	{"{\"version\": 2, \"addresses\": {}}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"10.0.0.1\"}}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.0.255\"}}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.0.1\", \"b\": \"240.240.0.1\"}}",
		false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.0.1\", \"a\": \"240.240.0.2\"}}",
		false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.0.1\"}, \"gone\": [\"a\", \"b\"]}",
		true},
	{"{\"version\": 1, \"addresses\": {}, \"gone\": {}}", false},
	{"{\"version\": 1, \"addresses\": {}, \"gone\": [1]}", false},
	{"{\"version\": 1, \"addresses\": {\"a\": \"240.240.0.1\"", false},
	{"{\"version\": 1, \"addresses\": {\"a", false},
	{"{\"version\": 1, \"addresses\": {\"a\\", false},
};

static void damaged_file(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(damages); i++) {
		struct mt_err err = {""};
		struct mt_conf *c;
		FILE *f;

		make_dir();
		CU_ASSERT_EQUAL(mkdir(state, 0700), 0);
		f = fopen(file, "w");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		fputs(damages[i].text, f);
		fclose(f);
		c = open_conf(false, &err);
		CU_ASSERT_EQUAL(c != NULL, damages[i].ok);
		if (!c)
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "damaged (restore it"));
		mt_conf_destroy(c);
		remove_dir();
	}
}

/* A file of an earlier version has hosts as documents wrote them, and perhaps one in two forms. */
static void capitals_of_earlier_versions(void)
{
	char a[MT_ADDR_STRLEN];
	FILE *f;

	make_dir();
	CU_ASSERT_EQUAL(mkdir(state, 0700), 0);
	f = fopen(file, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("{\"version\": 1, \"addresses\": {\"B.Test\": \"240.240.0.7\", \"B.test\": "
	      "\"240.240.0.8\", \"c\": \"240.240.0.9\"}, \"gone\": [\"B.Test\", \"B.test\"]}",
		f);
	fclose(f);
	where((const char *const[]){"B.Test", "c", NULL}, NULL, "b.test", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.7");
	where((const char *const[]){"b.test", "c", NULL}, NULL, "c", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.9");
	remove_dir();
}

/* A check leaves no trace. */
static void check_writes_nothing(void)
{
	struct mt_err err;
	struct built b;
	char text[1024];

	make_dir();
	services(text, sizeof(text), (const char *const[]){"a", NULL}, NULL);
	b = build_text(open_conf(true, &err), text);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "240.240.0.1", 1));
	unbuild(&b);
	CU_ASSERT_NOT_EQUAL(access(state, F_OK), 0);
	remove_dir();
}

static void unwritable_directory(void)
{
	struct mt_err err = {""};
	char text[1024];
	struct built b;
	FILE *f;

	make_dir();
	/* A file where the directory should be stops root as well. */
	f = fopen(state, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fclose(f);
	services(text, sizeof(text), (const char *const[]){"a", NULL}, NULL);
	b = build_text(open_conf(false, &err), text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(mt_conf_publish(b.conf, b.s, NOW, NULL, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "make stateDirectory writable"));
	CU_ASSERT_PTR_NULL(mt_conf_current(b.conf));
	unbuild(&b);
	remove_dir();
}

/* A full disk: what was begun goes away, and when there is room the same publish goes through. */
static void half_written(void)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;
	struct mt_err err = {""};
	struct built b;
	char text[1024], tmp[128];

	make_dir();
	snprintf(tmp, sizeof(tmp), "%s/.vips.json.new", state);
	services(text, sizeof(text), (const char *const[]){"a", NULL}, NULL);
	b = build_text(open_conf(false, &err), text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &none);
	CU_ASSERT(mt_conf_publish(b.conf, b.s, NOW, NULL, &err) < 0);
	setrlimit(RLIMIT_FSIZE, &before);
	CU_ASSERT_NOT_EQUAL(access(tmp, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(file, F_OK), 0);
	CU_ASSERT_EQUAL(mt_conf_publish(b.conf, b.s, NOW, NULL, &err), 0);
	CU_ASSERT_EQUAL(access(file, F_OK), 0);
	b.s = NULL;
	unbuild(&b);
	remove_dir();
}

/* 64,770 of them: 254 in each of 255 blocks, but for the one that begins with 0. */
static void exhausted(void)
{
	size_t size = 12 << 20, len = 0;
	char *text = malloc(size);
	struct built b;

	len += (size_t)snprintf(text, size, "%s",
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: "
		"z}\nspec:\n"
		"  hosts: [z]\n  ports: [{number: 1, name: tcp}]\n  resolution: STATIC\n"
		"  addresses:\n");
	for (int n = 1; n < 255 * 255; n++)
		if (n % 255 && n != 40000)
			len += (size_t)snprintf(
				text + len, size - len, "  - 240.240.%d.%d\n", n / 255, n % 255);
	for (int i = 0; i < 2; i++)
		len += (size_t)snprintf(text + len, size - len,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: s%d}\nspec:\n  hosts: [s%d]\n"
			"  ports: [{number: 1, name: tcp}]\n  resolution: STATIC\n",
			i, i);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(b.diags.items[0].message, "no address is left in 240.240.0.0/16"));
	unbuild(&b);
	free(text);
}

/* ---- used again --------------------------------------------------------------------------------- */

/*
 * A state directory in which every address is a host's, "h1" to "h64769" by number, and those named in `gone` (JSON, or
 * NULL: written by the first version, which did not note it) have left.
 */
static void fill(const char *gone)
{
	const char *sep = "";
	FILE *f;

	make_dir();
	CU_ASSERT_EQUAL(mkdir(state, 0700), 0);
	f = fopen(file, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs("{\"version\": 1, \"addresses\": {", f);
	for (int n = 1; n < 255 * 255; n++) {
		if (n % 255 == 0)
			continue;
		fprintf(f, "%s\"h%d\": \"240.240.%d.%d\"", sep, n, n / 255, n % 255);
		sep = ",\n";
	}
	fputs("\n}", f);
	if (gone)
		fprintf(f, ", \"gone\": [%s]", gone);
	fputs("}\n", f);
	fclose(f);
}

/* Compiles these hosts in `c`; publishes if told to. Where `host` is: "" refused. */
static void next(
	struct mt_conf *c, const char *const *hosts, bool publish, const char *host, char *out)
{
	char text[4096];
	struct mt_err err;
	struct built b;

	services(text, sizeof(text), hosts, NULL);
	b = build_text(c, text);
	out[0] = '\0';
	for (uint32_t i = 0; b.s && i < b.s->n_listeners; i++)
		if (strcmp(b.s->listeners[i].protos->services[0]->name, host) == 0)
			mt_addr_str(&b.s->listeners[i].addr, out);
	if (b.s && publish) {
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
		mt_conf_reap(c, NOW);
	} else if (b.s)
		mt_conf_discard(c, b.s, NOW);
	b.s = NULL;
	b.conf = NULL;
	unbuild(&b);
}

/* All are taken: who has gone longest loses its address first, also when the order comes from the file. */
static void longest_gone_first(void)
{
	char a[MT_ADDR_STRLEN];

	fill("\"h700\", \"h3\", \"h40000\"");
	where((const char *const[]){"x", NULL}, NULL, "x", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.2.190");
	where((const char *const[]){"y", "x", NULL}, NULL, "y", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.3");
	/* It comes back before its address is another's. */
	where((const char *const[]){"z", "x", "y", "h40000", NULL}, NULL, "h40000", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.156.220");
	/* Who has lost his is a new host; who went with the first load is the longest gone by now. */
	where((const char *const[]){"h700", "x", "y", "h40000", NULL}, NULL, "h700", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	where((const char *const[]){"x", NULL}, NULL, "x", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.2.190");
	remove_dir();
}

/* A file of the first version says nothing of who has gone: whoever is not among the documents. */
static void file_of_the_first_version(void)
{
	char a[MT_ADDR_STRLEN];

	fill(NULL);
	where((const char *const[]){"h1", "x", "h2", NULL}, NULL, "x", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.3");
	where((const char *const[]){"h1", "x", "h2", NULL}, NULL, "h2", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.2");
	remove_dir();
}

/* The order in which hosts go while the daemon runs, and after the next start. */
static void order_of_leaving(void)
{
	struct mt_err err;
	struct mt_conf *c;
	char a[MT_ADDR_STRLEN];

	fill(NULL);
	c = open_conf(false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	next(c, (const char *const[]){"h5", "h6", "h7", NULL}, true, "h5", a);
	next(c, (const char *const[]){"h5", NULL}, true, "h5", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.5");
	next(c, (const char *const[]){"h5", "h6", NULL}, true, "h6", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.6");
	next(c, (const char *const[]){"h6", NULL}, true, "h6", a);
	mt_conf_destroy(c);
	/* Nobody that is here loses anything; those that were never here went first, in the order of their numbers. */
	c = open_conf(false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	next(c, (const char *const[]){"new", "h6", NULL}, true, "new", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.1");
	next(c, (const char *const[]){"new", "h6", NULL}, true, "h6", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.6");
	mt_conf_destroy(c);
	remove_dir();
}

/* A compile that is not published takes nothing from anybody, however often it is tried. */
static void only_published_ones_count(void)
{
	struct mt_err err;
	struct mt_conf *c;
	char a[MT_ADDR_STRLEN];

	fill("\"h9\"");
	c = open_conf(false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (int i = 0; i < 3; i++) {
		next(c, (const char *const[]){"x", NULL}, false, "x", a);
		CU_ASSERT_STRING_EQUAL(a, "240.240.0.9");
	}
	next(c, (const char *const[]){"h9", NULL}, true, "h9", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.9");
	next(c, (const char *const[]){"h9", "x", NULL}, true, "x", a);
	CU_ASSERT_STRING_EQUAL(a, "240.240.0.1");
	mt_conf_destroy(c);
	remove_dir();
}

/* Ten new hosts in one load: one file, written once; no new host: none. */
static void written_once_per_load(void)
{
	static const char *const ten[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", NULL};
	struct stat before, after;
	struct mt_err err;
	struct mt_conf *c;
	char a[MT_ADDR_STRLEN], keep[128];

	make_dir();
	c = open_conf(false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	next(c, (const char *const[]){"first", NULL}, true, "first", a);
	/* A second name holds the old file's number back, so that a new file has another one. */
	snprintf(keep, sizeof(keep), "%s/keep", dir);
	CU_ASSERT_EQUAL(link(file, keep), 0);
	CU_ASSERT_EQUAL(stat(file, &before), 0);
	next(c, ten, true, "j", a);
	CU_ASSERT_EQUAL(stat(file, &after), 0);
	CU_ASSERT_NOT_EQUAL(before.st_ino, after.st_ino);
	before = after;
	next(c, ten, true, "j", a);
	CU_ASSERT_EQUAL(stat(file, &after), 0);
	CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
	CU_ASSERT_EQUAL(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	mt_conf_destroy(c);
	remove_dir();
}

/* That a host has gone cannot be written: the configuration goes on, and the next write has it. */
static void leaving_needs_no_disk(void)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct rlimit before;
	struct mt_err err;
	struct mt_conf *c;
	char a[MT_ADDR_STRLEN], *data;
	size_t len;

	make_dir();
	c = open_conf(false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	next(c, (const char *const[]){"a", "b", NULL}, true, "a", a);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &none);
	next(c, (const char *const[]){"a", NULL}, true, "a", a);
	setrlimit(RLIMIT_FSIZE, &before);
	next(c, (const char *const[]){"a", NULL}, true, "a", a);
	CU_ASSERT_EQUAL_FATAL(mt_file_read(file, 4096, 0, &data, &len, &err), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(data, "\"gone\": [\n  \"b\"\n ]"));
	free(data);
	mt_conf_destroy(c);
	remove_dir();
}

/* ---- written elsewhere -------------------------------------------------------------------------- */

static struct mt_snapshot *build_of(struct mt_conf *c, const char *const *hosts)
{
	struct mt_snapshot *s;
	char text[4096] = ""; /* nobody: nothing is written */
	struct built b;

	services(text, sizeof(text), hosts, NULL);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	s = b.s;
	b.s = NULL;
	b.conf = NULL;
	unbuild(&b);
	return s;
}

static bool file_has(const char *words)
{
	struct mt_err err;
	char *data;
	size_t len;
	bool has;

	if (mt_file_read(file, 64 << 20, 0, &data, &len, &err))
		return false;
	has = strstr(data, words) != NULL;
	free(data);
	return has;
}

/* A new address is published when it is in the file, and nobody waits for that here. */
static void published_when_written(void)
{
	struct mt_service *service;
	struct mt_err err;
	struct mt_snapshot *s;
	struct mt_conf *c;

	make_dir();
	c = open_conf(false, &err);
	service = mt_service_new("mt-test", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(service);
	mt_conf_serve(c, service);
	s = build_of(c, (const char *const[]){"a", NULL});
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	CU_ASSERT_PTR_NULL(mt_conf_current(c));
	mt_service_drain(service);
	CU_ASSERT(file_has("\"a\": \"240.240.0.1\""));
	CU_ASSERT_PTR_NULL(mt_conf_current(c));
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c), s);
	/* Who leaves is noted behind the publish. */
	s = build_of(c, (const char *const[]){NULL});
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	mt_service_drain(service);
	CU_ASSERT(file_has("\"gone\": [\n  \"a\"\n ]"));
	mt_service_free(service);
	mt_conf_destroy(c);
	remove_dir();
}

/*
 * All addresses are taken. One configuration gives a gone host's to another one, is written and given up; the next has the
 * host back: it may not be served there as long as a start would read that another one has it.
 */
static void given_up_behind_the_write(void)
{
	struct mt_service *service;
	struct mt_snapshot *s;
	struct mt_err err;
	struct mt_conf *c;

	fill("\"h700\"");
	c = open_conf(false, &err);
	service = mt_service_new("mt-test", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(service);
	mt_conf_serve(c, service);
	s = build_of(c, (const char *const[]){"x", NULL});
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	mt_service_drain(service);
	CU_ASSERT(file_has("\"x\": \"240.240.2.190\""));
	mt_conf_discard(c, s, NOW);
	s = build_of(c, (const char *const[]){"h700", NULL});
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	CU_ASSERT_PTR_NULL(mt_conf_current(c));
	mt_service_drain(service);
	CU_ASSERT(file_has("\"h700\": \"240.240.2.190\""));
	CU_ASSERT(!file_has("\"x\": "));
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	mt_service_free(service);
	mt_conf_destroy(c);
	remove_dir();
}

/* A disk that refuses is told at the next attempt, and the one behind that tries again. */
static void refused_elsewhere(void)
{
	const struct rlimit none = {0, RLIM_INFINITY};
	struct mt_service *service;
	struct rlimit before;
	struct mt_snapshot *s;
	struct mt_err err;
	struct mt_conf *c;

	make_dir();
	c = open_conf(false, &err);
	service = mt_service_new("mt-test", &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(service);
	mt_conf_serve(c, service);
	s = build_of(c, (const char *const[]){"a", NULL});
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &none);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	mt_service_drain(service);
	setrlimit(RLIMIT_FSIZE, &before);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EFBIG);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "make stateDirectory writable"));
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), -EINPROGRESS);
	mt_service_drain(service);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	mt_service_free(service);
	mt_conf_destroy(c);
	remove_dir();
}

/* Authors cannot compute the hash that decides whether the file is written. */
static void hash_with_a_key(void)
{
	struct mt_vips v = {0};
	struct mt_addr a;
	uint64_t hash, again;
	char *text, *same;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse("240.240.0.1", &a), 0);
	CU_ASSERT_EQUAL_FATAL(mt_vips_put(&v, "a.x", &a), 0);
	text = mt_vips_text(&v, &hash);
	same = mt_vips_text(&v, &again);
	CU_ASSERT_FATAL(text && same);
	CU_ASSERT_EQUAL(hash, again);
	CU_ASSERT_NOT_EQUAL(hash, mt_hash_bytes(text, strlen(text), 0) | 1);
	free(text);
	free(same);
	mt_vips_fini(&v);
}

const struct mt_test vips_tests[] = {
	{"kept_over_restarts", kept_over_restarts},
	{"written_and_given", written_and_given},
	{"damaged_file", damaged_file},
	{"capitals_of_earlier_versions", capitals_of_earlier_versions},
	{"check_writes_nothing", check_writes_nothing},
	{"unwritable_directory", unwritable_directory},
	{"half_written", half_written},
	{"exhausted", exhausted},
	{"longest_gone_first", longest_gone_first},
	{"file_of_the_first_version", file_of_the_first_version},
	{"order_of_leaving", order_of_leaving},
	{"only_published_ones_count", only_published_ones_count},
	{"written_once_per_load", written_once_per_load},
	{"leaving_needs_no_disk", leaving_needs_no_disk},
	{"published_when_written", published_when_written},
	{"given_up_behind_the_write", given_up_behind_the_write},
	{"refused_elsewhere", refused_elsewhere},
	{"hash_with_a_key", hash_with_a_key},
	{0},
};
