/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbolic links in the directory of a source: none leads the reader or the watch out of it, on any
 * kernel. And the limits of a source.
 */
#include "mt_files.h"
#include "source_test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SERVICE(name)                                                                              \
	"apiVersion: networking.istio.io/v1\\nkind: ServiceEntry\\nmetadata: {name: " name "}\\n"  \
	"spec:\\n  hosts: [" name ".x]\\n  ports: [{number: 80, name: tcp}]\\n"

/* The errno of openat2() on this kernel; 0: it works. Replaces the C library's function. */
static int no_openat2;

void (*before_open)(const char *path);

long syscall(long number, ...)
{
	static long (*real)(long, long, long, long, long, long, long);
	va_list ap;
	long a[6];

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_openat2 && before_open)
		before_open((const char *)a[1]);
	if (number == SYS_openat2 && no_openat2) {
		errno = no_openat2;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* This kernel's, those before Linux 5.6, and a filter's that does not know the call. */
static const int kernels[] = {0, ENOSYS, EPERM};

/* A directory with the source s in it, and things outside of s. */
static char dir[] = "/tmp/mt_below_XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void sh(const char *fmt, ...)
{
	char cmd[2000];
	int at = snprintf(cmd, sizeof(cmd), "cd %s && ", dir);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + at, sizeof(cmd) - (size_t)at, fmt, ap);
	va_end(ap);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void begin(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	sh("mkdir -p s/a/b out && printf '" SERVICE(
		"in") "' > s/in.yaml && "
		      "printf '" SERVICE("deep") "' > s/a/b/deep.yaml && "
						 "printf '" SERVICE("out") "' > out/out.yaml");
}

static void end(void)
{
	no_openat2 = 0;
	sh("cd / && rm -r %s", dir);
}

/* ---- one path -------------------------------------------------------------------------------- */

/* Names that roots may resolve on paths with links; reset by each test that uses them. */
static uint32_t steps = UINT32_MAX;

static int result_of(const struct mt_root *r, const char *name)
{
	char path[700];
	struct stat st;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/%s", r->path, name);
	rc = mt_root_stat(r, path, &st);
	fd = mt_root_openat(r, path, O_RDONLY | O_NONBLOCK);
	CU_ASSERT_EQUAL(rc, fd < 0 ? fd : 0);
	if (fd >= 0) {
		struct stat opened;

		CU_ASSERT_EQUAL(fstat(fd, &opened), 0);
		CU_ASSERT_EQUAL(opened.st_ino, st.st_ino);
		close(fd);
	}
	return rc;
}

/* `rc`: of the path; `links`: its `ln -s` below s. */
static const struct {
	const char *to, *path;
	int rc;
} paths[] = {
	{NULL, "in.yaml", 0},
	{NULL, "a/b/deep.yaml", 0},
	{NULL, ".", 0},
	{NULL, "a//b/", 0},
	{NULL, "a/../in.yaml", 0},
	{NULL, "nothing", -ENOENT},
	{NULL, "in.yaml/x", -ENOTDIR},
	{NULL, "..", -EXDEV},
	{NULL, "../out/out.yaml", -EXDEV},
	{NULL, "a/../../s/in.yaml", -EXDEV},
	/* Links that stay below it. */
	{"in.yaml", "l", 0},
	{"a", "l/b/deep.yaml", 0},
	{"./a/./b/..//b", "l/deep.yaml", 0},
	{"a/b/../../in.yaml", "l", 0},
	{".", "l/l/l/in.yaml", 0},
	{"$PWD/in.yaml", "l", 0},
	{"$PWD/a/", "l/b/deep.yaml", 0},
	{"$PWD", "l/in.yaml", 0},
	/* Links that do not. */
	{"/", "l", -EXDEV},
	{"/", "l/etc/passwd", -EXDEV},
	{"/etc/passwd", "l", -EXDEV},
	{"/proc/self/root", "l/etc", -EXDEV},
	{"/dev/zero", "l", -EXDEV},
	{"..", "l", -EXDEV},
	{"../out", "l/out.yaml", -EXDEV},
	{"a/../../out/out.yaml", "l", -EXDEV},
	{"../s/in.yaml", "l", -EXDEV},
	{"$PWD/../out/out.yaml", "l", -EXDEV},
	{"$PWD/a/../../out/out.yaml", "l", -EXDEV},
	{"${PWD}x/out.yaml", "l", -EXDEV},
	{"/nowhere/i.yaml", "l", -EXDEV},
	/* Links that lead nowhere. */
	{"nowhere", "l", -ENOENT},
	{"$PWD/nowhere", "l", -ENOENT},
	{"l", "l", -ELOOP},
	{"$PWD/l", "l", -ELOOP},
	{"l/l", "l/x", -ELOOP},
};

static void every_path(void)
{
	begin();
	for (size_t i = 0; i < MT_ARRAY_LEN(paths); i++) {
		if (paths[i].to)
			sh("cd s && ln -sfn \"%s\" l", paths[i].to);
		for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
			struct mt_root r;
			struct stat st;
			int rc;

			no_openat2 = kernels[k];
			CU_ASSERT_EQUAL_FATAL(mt_root_open(&r, in_dir("s"), &steps), 0);
			rc = result_of(&r, paths[i].path);
			if (rc != paths[i].rc)
				fprintf(stderr, "%s, l -> %s, kernel %d: %d\n", paths[i].path,
					paths[i].to ? paths[i].to : "-", kernels[k], rc);
			CU_ASSERT_EQUAL(rc, paths[i].rc);
			if (paths[i].to) {
				CU_ASSERT_EQUAL(mt_root_lstat(&r, in_dir("s/l"), &st), 0);
				CU_ASSERT_TRUE(S_ISLNK(st.st_mode));
			}
			mt_root_close(&r);
			no_openat2 = 0;
		}
	}
	end();
}

/* The root's own path may have links, and absolute links below it the one path or the other. */
static void a_root_that_is_a_link(void)
{
	begin();
	sh("ln -s s by && ln -s $PWD/by/a s/by_link && ln -s $PWD/s/a s/by_name && ln -s $PWD/by "
	   "s/all");
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		struct mt_root r;

		no_openat2 = kernels[k];
		CU_ASSERT_EQUAL_FATAL(mt_root_open(&r, in_dir("by"), &steps), 0);
		CU_ASSERT_EQUAL(result_of(&r, "by_link/b/deep.yaml"), 0);
		CU_ASSERT_EQUAL(result_of(&r, "by_name/b/deep.yaml"), 0);
		CU_ASSERT_EQUAL(result_of(&r, "all/all/in.yaml"), 0);
		CU_ASSERT_EQUAL(result_of(&r, "../out"), -EXDEV);
		mt_root_close(&r);
		no_openat2 = 0;
	}
	end();
}

/* Long ways end, with an error and without a descriptor left over. */
static void long_ways(void)
{
	char path[3 * MT_SOURCE_DEPTH * 2 + 16] = "";
	int before, after;

	begin();
	for (int i = 0; i < 41; i++)
		sh("ln -s l%d s/l%d", i + 1, i);
	sh("ln -s in.yaml s/l41");
	for (int i = 0; i < 3 * MT_SOURCE_DEPTH; i++)
		strcat(path, "d/");
	sh("mkdir -p s/%s", path);
	before = dup(0);
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		struct mt_root r;
		char name[400];

		no_openat2 = kernels[k];
		CU_ASSERT_EQUAL_FATAL(mt_root_open(&r, in_dir("s"), &steps), 0);
		CU_ASSERT_EQUAL(result_of(&r, "l0"), -ELOOP);
		CU_ASSERT_EQUAL(result_of(&r, "l2"), 0);
		snprintf(name, sizeof(name), "%300d.yaml", 1);
		CU_ASSERT_EQUAL(result_of(&r, name), -ENAMETOOLONG);
		if (kernels[k])
			CU_ASSERT_EQUAL(result_of(&r, path), -ELOOP);
		mt_root_close(&r);
		no_openat2 = 0;
	}
	after = dup(0);
	CU_ASSERT_EQUAL(after, before + 1);
	close(before);
	close(after);
	end();
}

/*
 * A chain of links whose texts have many names costs little, and less than the kernel would need:
 * 39 links of 780 times "d/../" are 60,000 names.
 */
static void chains_of_links(void)
{
	char text[4000] = "";

	begin();
	for (int i = 0; i < 780; i++)
		strcat(text, "d/../");
	sh("mkdir s/d && ln -s in.yaml s/l39");
	for (int i = 0; i < 39; i++) {
		char to[4020], at[16];

		snprintf(to, sizeof(to), "%sl%d", text, i + 1);
		snprintf(at, sizeof(at), "s/l%d", i);
		CU_ASSERT_EQUAL(symlink(to, in_dir(at)), 0);
	}
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		struct mt_root r;
		struct stat st;

		no_openat2 = kernels[k];
		CU_ASSERT_EQUAL_FATAL(mt_root_open(&r, in_dir("s"), &steps), 0);
		steps = UINT32_MAX;
		CU_ASSERT_EQUAL(mt_root_stat(&r, in_dir("s/l0"), &st), -ELOOP);
		CU_ASSERT(UINT32_MAX - steps <= 4096);
		/* Two of them are 3,124 names. */
		steps = 3124;
		CU_ASSERT_EQUAL(mt_root_stat(&r, in_dir("s/l37"), &st), 0);
		CU_ASSERT_EQUAL(steps, 0);
		/* No link more, but what is no link. */
		CU_ASSERT_EQUAL(mt_root_stat(&r, in_dir("s/l39"), &st), -EDQUOT);
		CU_ASSERT_EQUAL(mt_root_openat(&r, in_dir("s/l39"), O_RDONLY), -EDQUOT);
		CU_ASSERT_EQUAL(mt_root_stat(&r, in_dir("s/a/b/deep.yaml"), &st), 0);
		CU_ASSERT_EQUAL(mt_root_lstat(&r, in_dir("s/l0"), &st), 0);
		steps = 3123;
		CU_ASSERT_EQUAL(mt_root_stat(&r, in_dir("s/l37"), &st), -EDQUOT);
		steps = UINT32_MAX;
		mt_root_close(&r);
		no_openat2 = 0;
	}
	end();
}

/* ---- a whole source -------------------------------------------------------------------------- */

struct got {
	struct mt_source_reading r;
	struct mt_diags diags;
};

static struct got get(const char *root)
{
	const char *const dirs[] = {root};
	struct got g = {0};

	mt_diags_init(&g.diags);
	CU_ASSERT_EQUAL(mt_source_read(NULL, &g.r, &g.diags, NULL, dirs, 1), 0);
	return g;
}

static void drop(struct got *g)
{
	mt_source_reading_fini(&g->r);
	mt_diags_fini(&g->diags);
}

static bool is_read(const struct got *g, const char *name)
{
	for (uint32_t i = 0; i < g->r.objects.n; i++)
		if (strcmp(g->r.objects.v[i]->name, name) == 0)
			return true;
	return false;
}

/* The first message about a file; "": none. */
static const char *told(const struct got *g, const char *name)
{
	for (uint32_t i = 0; i < g->diags.n; i++)
		if (strcmp(g->diags.items[i].origin.file, in_dir(name)) == 0)
			return g->diags.items[i].message;
	return "";
}

#define LEADS_OUT "cannot be read: it is a symbolic link that leads out of its source's directory"

static void links_out_of_a_source(void)
{
	static const char *const names[] = {
		"s/all", "s/beside", "s/file.yaml", "s/up.yaml", "s/a/b/far.yaml", "s/gone.yaml"};

	begin();
	sh("ln -s / s/all && ln -s $PWD/out s/beside && ln -s $PWD/out/out.yaml s/file.yaml && "
	   "ln -s ../out/out.yaml s/up.yaml && ln -s ../../../out/out.yaml s/a/b/far.yaml && "
	   "ln -s /nowhere/gone.yaml s/gone.yaml && ln -s ../out/out.yaml s/.hidden.yaml");
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		struct got g;

		no_openat2 = kernels[k];
		g = get(in_dir("s"));
		CU_ASSERT_EQUAL(g.r.objects.n, 2);
		CU_ASSERT_TRUE(is_read(&g, "in") && is_read(&g, "deep"));
		CU_ASSERT_EQUAL(g.diags.errors, MT_ARRAY_LEN(names));
		for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
			CU_ASSERT_STRING_EQUAL(told(&g, names[i]), LEADS_OUT);
			/* What was read through it before stays in force. */
			CU_ASSERT_TRUE(mt_source_is_partial(&g.r, in_dir(names[i])));
		}
		CU_ASSERT_TRUE(mt_source_is_partial(&g.r, in_dir("s/beside/out.yaml")));
		CU_ASSERT_FALSE(mt_source_is_partial(&g.r, in_dir("s/in.yaml")));
		drop(&g);
		no_openat2 = 0;
	}
	end();
}

static void links_within_a_source(void)
{
	begin();
	/* As Kubernetes mounts a ConfigMap; a release that is switched; absolute ones. */
	sh("mkdir s/..1 .r && printf '" SERVICE(
		"volume") "' > s/..1/v.yaml && ln -s ..1 s/..data && "
			  "ln -s ..data/v.yaml s/v.yaml && mkdir s/.old && printf '" SERVICE(
				  "release") "' > "
					     "s/.old/r.yaml && ln -s .old s/current && mkdir "
					     "s/.abs && printf '" SERVICE(
						     "absolute") "' "
								 "> s/.abs/x && ln -s "
								 "$PWD/s/.abs/x s/x.yaml && ln -s "
								 ". s/self && ln -s .. s/a/up");
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		struct got g;

		no_openat2 = kernels[k];
		g = get(in_dir("s"));
		CU_ASSERT_EQUAL(g.r.objects.n, 5);
		CU_ASSERT_EQUAL(g.diags.errors + g.diags.warnings, 0);
		CU_ASSERT_TRUE(is_read(&g, "volume") && is_read(&g, "release") &&
			       is_read(&g, "absolute") && is_read(&g, "in") && is_read(&g, "deep"));
		drop(&g);
		no_openat2 = 0;
	}
	end();
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Reads the source with these limits; true if it has exceeded one, which the words name. */
static bool exceeds(struct mt_source_limits limits, const char *words)
{
	const struct mt_source_limits usual = mt_source_limits;
	struct got g;
	bool told_of, partial;

	mt_source_limits = limits;
	g = get(in_dir("s"));
	mt_source_limits = usual;
	told_of = strstr(told(&g, "s"), "not all of it is read: it has more than") != NULL;
	partial = mt_source_is_partial(&g.r, in_dir("s/anything.yaml"));
	CU_ASSERT_EQUAL(told_of, partial);
	CU_ASSERT_EQUAL(g.diags.errors, told_of);
	if (told_of) {
		CU_ASSERT_PTR_NOT_NULL(strstr(told(&g, "s"), words));
		CU_ASSERT_PTR_NOT_NULL(strstr(g.diags.items[0].remedy, "spec.sources"));
	}
	drop(&g);
	return told_of;
}

static void limits_of_a_source(void)
{
	const struct mt_source_limits usual = mt_source_limits;

	CU_ASSERT_EQUAL(usual.names, 131072);
	CU_ASSERT_EQUAL(usual.directories, 8192);
	CU_ASSERT_EQUAL(usual.bytes, 256u << 20);
	CU_ASSERT_EQUAL(usual.steps, 2097152);
	CU_ASSERT_EQUAL(usual.memory, 1u << 30);
	begin();
	/* s has a, a/b, a/b/deep.yaml and in.yaml: 4 names, 3 directories, 2 files of 130 bytes. */
	CU_ASSERT_FALSE(exceeds(usual, ""));
	CU_ASSERT_FALSE(exceeds((struct mt_source_limits){4, 3, UINT64_MAX, 1 << 20, 0}, ""));
	CU_ASSERT_TRUE(
		exceeds((struct mt_source_limits){3, 3, UINT64_MAX, 1 << 20, 0}, "131,072 names"));
	CU_ASSERT_TRUE(exceeds(
		(struct mt_source_limits){4, 2, UINT64_MAX, 1 << 20, 0}, "8,192 directories"));
	CU_ASSERT_TRUE(
		exceeds((struct mt_source_limits){4, 3, 150, 1 << 20, 0}, "256 MiB of documents"));
	/* Names count, whatever they are. */
	sh("touch s/.hidden s/notes.txt");
	CU_ASSERT_TRUE(
		exceeds((struct mt_source_limits){5, 3, UINT64_MAX, 1 << 20, 0}, "131,072 names"));
	CU_ASSERT_FALSE(exceeds((struct mt_source_limits){6, 3, UINT64_MAX, 1 << 20, 0}, ""));
	end();
}

/*
 * Links count each time that they are followed: a document's when its state is looked at and when
 * it is read, and a directory's also when it is listed and looked at again at the end.
 */
static void limit_of_links(void)
{
	const struct mt_source_limits usual = mt_source_limits;
	struct mt_source_limits few = usual;

	begin();
	sh("mkdir s/.o && cp s/in.yaml s/.o/x && ln -s .o/x s/l.yaml");
	for (few.steps = 0; few.steps < 6; few.steps++)
		CU_ASSERT_TRUE(exceeds(few, "2,097,152 names on paths with symbolic links"));
	CU_ASSERT_FALSE(exceeds(few, ""));
	sh("rm s/l.yaml && mkdir s/.e && ln -s .e s/e");
	for (few.steps = 0; few.steps < 4; few.steps++)
		CU_ASSERT_TRUE(exceeds(few, "2,097,152 names on paths with symbolic links"));
	few.steps = 6;
	CU_ASSERT_FALSE(exceeds(few, ""));
	mt_source_limits = usual;
	end();
}

static uint32_t errors_of(const struct got *g, const char *name, uint32_t line, const char *words)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < g->diags.n; i++)
		n += g->diags.items[i].severity == MT_DIAG_ERROR &&
		     strcmp(g->diags.items[i].origin.file, in_dir(name)) == 0 &&
		     g->diags.items[i].origin.line == line &&
		     strstr(g->diags.items[i].message, words) != NULL;
	return n;
}

/*
 * Values that aliases repeat take their memory each time, in the file that exceeds the limit and
 * in those that did not change. What is read before it is used.
 */
static void memory_of_a_source(void)
{
	const struct mt_source_limits usual = mt_source_limits;
	struct got g;

	begin();
	mt_source_limits.memory = 4 << 20;
	sh("for d in 1 2 3 4 5 6 7 8; do"
	   "  printf 'l: &l ['; for i in $(seq 200); do printf 'v, '; done; printf ']\\n';"
	   "  printf 'all: ['; for i in $(seq 400); do printf '*l, '; done; printf ']\\n---\\n';"
	   "done > s/many.yaml; printf '" SERVICE("late") "' > s/z.yaml");
	g = get(in_dir("s"));
	/* Each document has 80,000 values of 32 bytes, and there are 8 MiB: three fit. */
	CU_ASSERT_EQUAL(errors_of(&g, "s/many.yaml", 9, "takes more memory than is left"), 1);
	CU_ASSERT_EQUAL(errors_of(&g, "s", 0, "it has more than 2 GiB of objects"), 1);
	CU_ASSERT_TRUE(mt_source_is_partial(&g.r, in_dir("s/z.yaml")));
	CU_ASSERT_TRUE(is_read(&g, "in"));
	CU_ASSERT_FALSE(is_read(&g, "late"));
	drop(&g);
	mt_source_limits.memory = 16 << 20;
	g = get(in_dir("s"));
	CU_ASSERT_EQUAL(g.diags.errors, 0);
	CU_ASSERT_TRUE(is_read(&g, "late"));
	drop(&g);
	mt_source_limits = usual;
	/* Long texts, too, although an alias of one is a single value. */
	sh("{ printf '" SERVICE(
		"x") "a: &a \"%%01048576d\"\\nb: [' 1; for i in $(seq 300); do printf '*a, '; done;"
		     " printf ']\\n'; } > s/many.yaml");
	g = get(in_dir("s"));
	CU_ASSERT_EQUAL(errors_of(&g, "s/many.yaml", 8, "aliases expand to too many values"), 1);
	CU_ASSERT_TRUE(is_read(&g, "late"));
	drop(&g);
	end();
}

/* The texts of such a load, as they are read again to return to it, have the same limit. */
static void memory_of_texts(void)
{
	const struct mt_source_limits usual = mt_source_limits;
	struct mt_source_cache *cache = mt_source_cache_new();
	struct mt_source_reading r = {0};
	struct mt_source_texts *texts;
	struct mt_diags diags;
	char file[700];

	begin();
	mt_source_limits.memory = 4 << 20;
	sh("printf 'apiVersion: meltemi.io/v1\\nkind: Node\\nmetadata: {name: n}\\nspec:\\n"
	   "  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\\n"
	   "  sources: [{directory: s, namespaces: [default, x]}]\\n' > node.yaml && {"
	   "  printf 'l: &l ['; for i in $(seq 200); do printf 'v, '; done; printf ']\\n';"
	   "  printf 'all: ['; for i in $(seq 800); do printf '*l, '; done; printf ']\\n';"
	   "} > s/many.yaml");
	snprintf(file, sizeof(file), "%s", in_dir("node.yaml"));
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_read(cache, &r, &diags, file, NULL, 0), 0);
	CU_ASSERT_TRUE(mt_source_is_partial(&r, in_dir("s/many.yaml")));
	CU_ASSERT_EQUAL(r.objects.n, 3);
	CU_ASSERT_EQUAL(diags.errors, 2);
	mt_source_reading_fini(&r);
	texts = mt_source_texts_new(cache);
	CU_ASSERT_EQUAL(mt_source_texts_read(texts, NULL, &r, &diags), 0);
	CU_ASSERT_TRUE(mt_source_is_partial(&r, in_dir("s/many.yaml")));
	CU_ASSERT_FALSE(mt_source_is_partial(&r, in_dir("s/in.yaml")));
	CU_ASSERT_EQUAL(r.objects.n, 3);
	mt_source_reading_fini(&r);
	mt_source_texts_free(texts);
	mt_diags_fini(&diags);
	mt_source_cache_free(cache);
	mt_source_limits = usual;
	end();
}

/* The limits as they are, of one directory after the other. */
static void too_many_directories(void)
{
	struct got g;

	begin();
	sh("mkdir -p s/many && cd s/many && seq 8190 | xargs mkdir");
	g = get(in_dir("s"));
	CU_ASSERT_PTR_NOT_NULL(strstr(told(&g, "s"), "8,192 directories"));
	CU_ASSERT_TRUE(is_read(&g, "deep") && is_read(&g, "in"));
	drop(&g);
	end();
}

/* ---- the watch ------------------------------------------------------------------------------- */

/* Steps of 20 ms, for 2 s; true if the watch reported a change. */
static bool reports(struct mt_watch *w, uint64_t *t)
{
	bool reported = false;

	for (int i = 0; i < 100; i++, *t += 20 * MT_MSEC)
		reported |= mt_watch_on_event(w, *t);
	return reported;
}

static void the_watch_stays_below(void)
{
	for (size_t k = 0; k < MT_ARRAY_LEN(kernels); k++) {
		uint64_t t = 1000 * MT_SEC;
		const char *roots[1];
		struct mt_watch *w;
		int err;

		begin();
		sh("ln -s ../out s/out && ln -s $PWD/out/out.yaml s/out.yaml && ln -s a s/l");
		no_openat2 = kernels[k];
		roots[0] = in_dir("s");
		w = mt_watch_new(&(struct mt_watch_what){.directories = roots, .n = 1}, &err);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w);
		CU_ASSERT_FALSE(reports(w, &t));
		/* Neither by events nor by polling. */
		sh("echo more >> out/out.yaml && echo x > out/x.yaml");
		CU_ASSERT_FALSE(reports(w, &t));
		sh("echo x > s/l/b/x.yaml");
		CU_ASSERT_TRUE(reports(w, &t));
		/* A link that is set right. */
		sh("mkdir s/.in && echo x > s/.in/x.yaml");
		CU_ASSERT_FALSE(reports(w, &t));
		sh("ln -s .in s/.l && mv -T s/.l s/out");
		CU_ASSERT_TRUE(reports(w, &t));
		sh("echo y > s/.in/x.yaml");
		CU_ASSERT_TRUE(reports(w, &t));
		mt_watch_free(w);
		end();
	}
}

/* Time until the watch reports a change; 2 s: never. *t: the time of the report. */
static uint64_t reported_after(struct mt_watch *w, uint64_t *t)
{
	const uint64_t from = *t;

	for (; *t < from + 2 * MT_SEC; *t += 10 * MT_MSEC)
		if (mt_watch_on_event(w, *t))
			break;
	return *t - from;
}

/*
 * A report comes with a walk, unless the pause after the last walk has not passed. Then the report
 * is not late, and what only the walk would have seen is reported after it.
 */
static void pause_between_walks_for_reports(void)
{
	uint64_t t = 1000 * MT_SEC;
	const char *roots[1];
	struct mt_watch *w;
	int err;

	begin();
	/* 200 links with 301 names each: a pause of 240 ms, and polls that take 400 ms. */
	sh("mkdir s/d && echo x > s/.x && p=$(yes d/.. | head -150 | tr '\\n' /).x && "
	   "for i in $(seq 200); do ln -s $p s/l$i.yaml; done");
	roots[0] = in_dir("s");
	w = mt_watch_new(&(struct mt_watch_what){.directories = roots, .n = 1}, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	(void)reports(w, &t);
	sh("echo a > s/a.yaml && echo long > s/.x");
	CU_ASSERT(reported_after(w, &t) < 200 * MT_MSEC);
	sh("echo b > s/a.yaml && echo longer > s/.x");
	CU_ASSERT(reported_after(w, &t) < 200 * MT_MSEC);
	CU_ASSERT_TRUE(reports(w, &t));
	CU_ASSERT_FALSE(reports(w, &t));
	mt_watch_free(w);
	end();
}

const struct mt_test beneath_tests[] = {
	{"every_path", every_path},
	{"a_root_that_is_a_link", a_root_that_is_a_link},
	{"long_ways", long_ways},
	{"chains_of_links", chains_of_links},
	{"links_out_of_a_source", links_out_of_a_source},
	{"links_within_a_source", links_within_a_source},
	{"limits_of_a_source", limits_of_a_source},
	{"limit_of_links", limit_of_links},
	{"memory_of_a_source", memory_of_a_source},
	{"memory_of_texts", memory_of_texts},
	{"too_many_directories", too_many_directories},
	{"the_watch_stays_below", the_watch_stays_below},
	{"pause_between_walks_for_reports", pause_between_walks_for_reports},
	{0},
};
