/* SPDX-License-Identifier: Apache-2.0 */
/* Loads one after the other: what is read again, what is shared, and files that are emptied or go. */
#include "mt_strmap.h"
#include "source_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE                                                                                    \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: %s}\nspec:\n"    \
	"  hosts: [%s.x]\n  ports: [{number: 80, name: tcp}]\n"
#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0}]\n  sources: [{directory: .}]\n"

static char dir[] = "/tmp/mt_cache_XXXXXX";
static struct mt_source_cache *cache;

static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void write_text(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void write_service(const char *file, const char *name)
{
	char text[512];

	snprintf(text, sizeof(text), SERVICE, name, name);
	write_text(file, text);
}

static void begin(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	cache = mt_source_cache_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(cache);
}

static void end(void)
{
	char cmd[128];

	mt_source_cache_free(cache);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static struct loaded load(const char *node_file)
{
	const char *const dirs[] = {dir};
	struct loaded l = {.m = mt_model_new()};

	mt_diags_init(&l.diags);
	CU_ASSERT_EQUAL(mt_source_load(cache, l.m, &l.diags, node_file, dirs, 1), 0);
	return l;
}

static const struct mt_service_entry *service(const struct loaded *l, uint32_t i)
{
	CU_ASSERT_FATAL(i < l->m->service_entries.n);
	return l->m->service_entries.v[i];
}

static void only_changed_files_are_read(void)
{
	struct loaded one, two;

	begin();
	write_service("a.yaml", "a");
	write_service("b.yaml", "b");
	one = load(NULL);
	/* In the same tick and of the same length: only the content tells. */
	write_service("b.yaml", "c");
	two = load(NULL);
	CU_ASSERT_EQUAL(one.diags.n + two.diags.n, 0);
	CU_ASSERT_PTR_EQUAL(service(&one, 0), service(&two, 0));
	CU_ASSERT_PTR_NOT_EQUAL(service(&one, 1), service(&two, 1));
	CU_ASSERT_STRING_EQUAL(service(&one, 1)->hosts[0].s, "b.x");
	CU_ASSERT_STRING_EQUAL(service(&two, 1)->hosts[0].s, "c.x");
	unload(&one);
	/* What a model lists lives as long as the model. */
	mt_source_cache_free(cache);
	cache = NULL;
	CU_ASSERT_STRING_EQUAL(service(&two, 0)->hosts[0].s, "a.x");
	CU_ASSERT_STRING_EQUAL(service(&two, 1)->hosts[0].s, "c.x");
	unload(&two);
	end();
}

/* The 64-bit hashes of both texts (mt_hash_bytes()) are equal, and so are their lengths. */
static void texts_of_one_hash(void)
{
	static const char old[] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
				  "#mdcfhkcdcmgljbog\n",
			  now[] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n"
				  "#glinggjpfbmkdfln\n";

	const struct mt_kube_namespace *ns;
	struct loaded l;

	CU_ASSERT_EQUAL(sizeof(old), sizeof(now));
	CU_ASSERT_EQUAL(mt_strhash(old, 0), mt_strhash(now, 0));
	begin();
	write_text("a.yaml", old);
	l = load(NULL);
	unload(&l);
	write_text("a.yaml", now);
	l = load(NULL);
	CU_ASSERT_EQUAL_FATAL(l.m->namespaces.n, 1);
	ns = l.m->namespaces.v[0];
	CU_ASSERT_STRING_EQUAL(ns->meta.name, "b");
	unload(&l);
	end();
}

/* `n` services in one file, by `---`; the second one called `second`, with `more` lines of comment behind it. */
static void write_three(const char *second, const char *more)
{
	char text[2048];
	int len = snprintf(text, sizeof(text), SERVICE "---\n", "a", "a");

	len += snprintf(
		text + len, sizeof(text) - (size_t)len, SERVICE "%s---\n", second, second, more);
	snprintf(text + len, sizeof(text) - (size_t)len, SERVICE "  nonsense: 1\n", "c", "c");
	write_text("all.yaml", text);
}

/*
 * Of a file with many documents only those are read that say something else, or stand somewhere else, or about which
 * something was said: that is said again.
 */
static void only_changed_documents_are_read(void)
{
	struct loaded one, two, three;

	begin();
	write_three("b", "");
	one = load(NULL);
	write_three("d", "");
	two = load(NULL);
	CU_ASSERT_PTR_EQUAL(service(&one, 0), service(&two, 0));
	CU_ASSERT_STRING_EQUAL(service(&two, 1)->hosts[0].s, "d.x");
	CU_ASSERT_EQUAL(two.m->service_entries.n, one.m->service_entries.n);
	CU_ASSERT_EQUAL_FATAL(one.diags.n, 1);
	CU_ASSERT_EQUAL_FATAL(two.diags.n, 1);
	CU_ASSERT_EQUAL(one.diags.items[0].origin.line, two.diags.items[0].origin.line);
	write_three("d", "# further down\n");
	three = load(NULL);
	CU_ASSERT_PTR_EQUAL(service(&one, 0), service(&three, 0));
	CU_ASSERT_EQUAL_FATAL(three.diags.n, 1);
	CU_ASSERT_EQUAL(three.diags.items[0].origin.line, two.diags.items[0].origin.line + 1);
	unload(&one);
	unload(&two);
	/* One of it goes. */
	write_service("all.yaml", "a");
	two = load(NULL);
	CU_ASSERT_EQUAL(two.m->service_entries.n, 1);
	unload(&two);
	CU_ASSERT_STRING_EQUAL(service(&three, 1)->hosts[0].s, "d.x");
	unload(&three);
	end();
}

/* A writer that empties first, or a full disk, takes nothing away; removing the file does. */
static void an_emptied_file_goes_on(void)
{
	struct loaded l;

	begin();
	write_service("a.yaml", "a");
	l = load(NULL);
	unload(&l);
	write_text("a.yaml", "");
	for (int i = 0; i < 2; i++) {
		l = load(NULL);
		CU_ASSERT_STRING_EQUAL(service(&l, 0)->hosts[0].s, "a.x");
		CU_ASSERT_EQUAL(l.diags.errors, 0);
		CU_ASSERT_EQUAL_FATAL(l.diags.warnings, 1);
		CU_ASSERT_STRING_EQUAL(l.diags.items[0].origin.file, in_dir("a.yaml"));
		CU_ASSERT_PTR_NOT_NULL(strstr(l.diags.items[0].message, "last content stays"));
		CU_ASSERT_PTR_NOT_NULL(strstr(l.diags.items[0].remedy, "delete the file"));
		unload(&l);
	}
	write_service("a.yaml", "b");
	l = load(NULL);
	CU_ASSERT_STRING_EQUAL(service(&l, 0)->hosts[0].s, "b.x");
	CU_ASSERT_EQUAL(l.diags.n, 0);
	unload(&l);
	write_text("a.yaml", "");
	unlink(in_dir("a.yaml"));
	l = load(NULL);
	CU_ASSERT_EQUAL(l.m->service_entries.n, 0);
	CU_ASSERT_EQUAL(l.diags.n, 0);
	unload(&l);
	/* A file that comes back empty has no past. --check fails for it, so it is an error. */
	write_text("a.yaml", "");
	l = load(NULL);
	CU_ASSERT_EQUAL(l.m->service_entries.n, 0);
	CU_ASSERT_EQUAL(l.diags.notes, 0);
	CU_ASSERT_EQUAL_FATAL(l.diags.errors, 1);
	CU_ASSERT_STRING_EQUAL(l.diags.items[0].message, "is empty");
	unload(&l);
	end();
}

/* Comments are something that was written: what they replace is gone, and that is told. */
static void only_comments(void)
{
	struct loaded l;

	begin();
	write_service("a.yaml", "a");
	l = load(NULL);
	unload(&l);
	write_text("a.yaml", "# apiVersion: networking.istio.io/v1\n");
	l = load(NULL);
	CU_ASSERT_EQUAL(l.m->service_entries.n, 0);
	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_EQUAL_FATAL(l.diags.notes, 1);
	CU_ASSERT_STRING_EQUAL(l.diags.items[0].message, "holds no document");
	unload(&l);
	end();
}

/* What is wrong with a file is told with each load, read or not. */
static void mistakes_are_told_again(void)
{
	struct loaded l;

	begin();
	write_text("a.yaml", "kind: VirtualService\n---\nkind: Gateway\n");
	for (int i = 0; i < 3; i++) {
		l = load(NULL);
		CU_ASSERT_EQUAL(l.diags.errors, 2);
		CU_ASSERT_EQUAL(l.diags.n, 2);
		unload(&l);
	}
	end();
}

/* An emptied Node keeps its directories; one that is broken does not make its services forgotten. */
static void the_node_file(void)
{
	char node[128];
	struct loaded l;

	begin();
	write_service("a.yaml", "a");
	write_text("node.conf", NODE);
	snprintf(node, sizeof(node), "%s", in_dir("node.conf"));
	l = load(node);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.m->node);
	CU_ASSERT_STRING_EQUAL(l.m->node->meta.name, "n");
	CU_ASSERT_EQUAL(l.m->service_entries.n, 1);
	unload(&l);
	write_text("node.conf", "");
	write_text("a.yaml", "");
	l = load(node);
	CU_ASSERT_PTR_NOT_NULL(l.m->node);
	CU_ASSERT_EQUAL(l.m->service_entries.n, 1);
	CU_ASSERT_EQUAL(l.diags.warnings, 2);
	unload(&l);
	write_text("node.conf", "kind: [\n");
	l = load(node);
	CU_ASSERT_PTR_NULL(l.m->node);
	CU_ASSERT(l.diags.warnings > 0);
	unload(&l);
	write_text("node.conf", NODE);
	l = load(node);
	CU_ASSERT_EQUAL(l.m->service_entries.n, 1);
	CU_ASSERT_EQUAL(l.diags.errors, 0);
	unload(&l);
	write_text("second.yaml", NODE);
	l = load(node);
	CU_ASSERT_EQUAL(l.diags.errors, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), "a second Node; the first is "));
	unload(&l);
	end();
}

static uint32_t count(void)
{
	struct loaded l = load(NULL);
	uint32_t n = l.m->service_entries.n;

	CU_ASSERT_EQUAL(l.diags.n, 0);
	unload(&l);
	return n;
}

static void sh(const char *cmd)
{
	char all[256];

	snprintf(all, sizeof(all), "cd %s && %s", dir, cmd);
	CU_ASSERT_EQUAL(system(all), 0);
}

/* A directory that has not changed for long is not listed again; every change of it is seen all the same. */
static void directories_that_have_settled(void)
{
	begin();
	sh("mkdir sub other && ln -s other link");
	write_service("a.yaml", "a");
	write_service("sub/b.yaml", "b");
	write_service("other/c.yaml", "c");
	CU_ASSERT_EQUAL(count(), 3);
	/* By then it is known of their times that nothing can have changed within one tick of them. */
	usleep(2100000);
	CU_ASSERT_EQUAL(count(), 3);
	CU_ASSERT_EQUAL(count(), 3);
	write_service("sub/d.yaml", "d");
	CU_ASSERT_EQUAL(count(), 4);
	sh("rm a.yaml");
	CU_ASSERT_EQUAL(count(), 3);
	sh("mkdir far && mv sub/b.yaml far/b.txt && rm link && ln -s far/b.txt link");
	CU_ASSERT_EQUAL(count(), 2);
	/* What a link leads to changes no directory here. */
	usleep(2100000);
	CU_ASSERT_EQUAL(count(), 2);
	sh("mkdir -p .far && rm link && ln -s .far link");
	CU_ASSERT_EQUAL(count(), 2);
	usleep(2100000);
	CU_ASSERT_EQUAL(count(), 2);
	sh("mv far/b.txt .far/b.yaml");
	CU_ASSERT_EQUAL(count(), 3);
	sh("mv sub gone && mv gone .sub");
	CU_ASSERT_EQUAL(count(), 2);
	sh("rm -r .far link");
	CU_ASSERT_EQUAL(count(), 1);
	end();
}

/* The directory with this inode keeps its times. */
static ino_t frozen;
/* Done once, after the state of the next regular file was read. */
static void (*after_stat)(void);

/* Replaces the C library's function. */
int fstat(int fd, struct stat *st)
{
	int rc = fstatat(fd, "", st, AT_EMPTY_PATH);
	void (*now)(void) = after_stat;

	if (now && rc == 0 && S_ISREG(st->st_mode)) {
		after_stat = NULL;
		now();
	}
	if (rc == 0 && frozen && st->st_ino == frozen)
		st->st_mtim = st->st_ctim = (struct timespec){1000000000, 0};
	return rc;
}

/* Some file systems change a directory and not its times; the operator's reload lists it again. */
static void a_directory_whose_times_stay(void)
{
	struct stat st;

	begin();
	write_service("a.yaml", "a");
	CU_ASSERT_EQUAL(stat(dir, &st), 0);
	frozen = st.st_ino;
	CU_ASSERT_EQUAL(count(), 1);
	write_service("b.yaml", "b");
	CU_ASSERT_EQUAL(count(), 1);
	mt_source_cache_doubt(cache);
	CU_ASSERT_EQUAL(count(), 2);
	sh("mv a.yaml c.yaml");
	CU_ASSERT_EQUAL(count(), 1);
	mt_source_cache_doubt(cache);
	CU_ASSERT_EQUAL(count(), 2);
	frozen = 0;
	end();
}

static void leave(void)
{
	sh("rm a.yaml b.yaml");
}

/* A file that is gone since it was listed is no mistake; the watch causes the next load. */
static void a_file_that_leaves(void)
{
	struct mt_source_reading r = {0};
	const char *const dirs[] = {dir};
	struct mt_diags diags;

	begin();
	mt_diags_init(&diags);
	write_service("a.yaml", "a");
	write_service("b.yaml", "b");
	usleep(20000); /* the file clock has moved on since */
	after_stat = leave;
	CU_ASSERT_EQUAL(mt_source_read(cache, &r, &diags, NULL, dirs, 1), 0);
	CU_ASSERT_PTR_NULL(after_stat);
	CU_ASSERT_EQUAL(diags.n, 0);
	CU_ASSERT_TRUE(mt_source_is_partial(&r, in_dir("a.yaml")));
	CU_ASSERT_EQUAL(r.n_changing, r.n_partial);
	mt_source_reading_fini(&r);
	mt_diags_fini(&diags);
	end();
}

static void names_that_are_nearly_documents(void)
{
	static const struct {
		const char *name;
		bool misnamed;
	} t[] = {{"a.yaml", false}, {"a.yaml.txt", true}, {"a.json.txt", true}, {"a.yml ", true},
		{"a.YAML", true}, {"a.Json", true}, {"a.yaml.1", true}, {"a.yaml.yaml.txt", true},
		{"a.ymal", true}, {"a.yalm", true}, {"a.b.YMAL", true}, {"a.ylm", true},
		{"a.josn", true}, {"a.jsno", true}, {"a.xml", false}, {"a.yam", false},
		{"a.yaaml", false}, {"a.lamy", false}, {".ymal", false}, {"ymal", false},
		{"a.yaml~", false}, {"a.yaml.~1~", false}, {"a.yaml.bak", false},
		{"a.yaml.orig", false}, {"a.yaml.swp", false}, {"a.yaml.rpmsave", false},
		{"a.yaml.dpkg-old", false}, {"a.yaml.dpkg-dist", false}, {"a.yaml.tmp", false},
		{"a.yaml.j2", false}, {"a.yaml.txt.bak", false}, {"a.jsonnet", false},
		{"a.yamllint", false}, {".a.yaml.txt", false}, {"#a.yaml#", false},
		{".yaml.txt", false}, {"notes.txt", false}, {"yaml", false}, {"", false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		if (mt_source_is_misnamed(t[i].name) != t[i].misnamed)
			printf("\n  %s", t[i].name);
		CU_ASSERT_EQUAL(mt_source_is_misnamed(t[i].name), t[i].misnamed);
	}
}

static bool warns(const struct loaded *l, const char *file, const char *words)
{
	for (uint32_t i = 0; i < l->diags.n; i++) {
		const struct mt_diag *d = &l->diags.items[i];

		if (d->severity == MT_DIAG_WARNING && strcmp(d->origin.file, in_dir(file)) == 0 &&
			strstr(d->message, words))
			return true;
	}
	return false;
}

/* One warning for each such file, also below the directory and behind a link; none for a directory. */
static void a_file_with_nearly_the_name_of_a_document(void)
{
	struct loaded l;

	begin();
	write_service("a.yaml", "a");
	write_service("b.yaml.txt", "b");
	write_service("c.yaml.bak", "c");
	sh("mkdir sub d.yaml.txt && cp a.yaml sub/e.YML && cp a.yaml .f.yaml.txt");
	sh("ln -s b.yaml.txt g.yaml.txt && ln -s sub z.yaml.txt");
	for (int i = 0; i < 2; i++) {
		l = load(NULL);
		CU_ASSERT_EQUAL(l.m->service_entries.n, 1);
		CU_ASSERT_EQUAL(l.diags.warnings, 3);
		CU_ASSERT(warns(&l, "b.yaml.txt", "is not read: only names that end in"));
		CU_ASSERT(warns(&l, "sub/e.YML", "is not read"));
		CU_ASSERT(warns(&l, "g.yaml.txt", "is not read"));
		unload(&l);
	}
	sh("mv b.yaml.txt b.yaml && rm g.yaml.txt sub/e.YML");
	l = load(NULL);
	CU_ASSERT(l.m->service_entries.n == 2 && l.diags.warnings == 0);
	unload(&l);
	end();
}

const struct mt_test cache_tests[] = {
	{"texts_of_one_hash", texts_of_one_hash},
	{"only_changed_files_are_read", only_changed_files_are_read},
	{"only_changed_documents_are_read", only_changed_documents_are_read},
	{"an_emptied_file_goes_on", an_emptied_file_goes_on},
	{"only_comments", only_comments},
	{"mistakes_are_told_again", mistakes_are_told_again},
	{"the_node_file", the_node_file},
	{"directories_that_have_settled", directories_that_have_settled},
	{"a_directory_whose_times_stay", a_directory_whose_times_stay},
	{"a_file_that_leaves", a_file_that_leaves},
	{"names_that_are_nearly_documents", names_that_are_nearly_documents},
	{"a_file_with_nearly_the_name_of_a_document", a_file_with_nearly_the_name_of_a_document},
	{0},
};
