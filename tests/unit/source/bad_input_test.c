/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in any state beside a good one: what is wrong is said, with file and line, it costs a bounded amount of memory, and
 * whatever is good is read.
 */
#include "source_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SERVICE(name)                                                                              \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name "}\n"     \
	"spec:\n  hosts: [" name ".x]\n  ports: [{number: 80, name: tcp}]\n"

/* Done once, in the middle of the reading of the next file: in front of the C library's read(). */
static void (*meanwhile)(void);

ssize_t read(int fd, void *buf, size_t n)
{
	void (*now)(void) = meanwhile;

	if (now) {
		meanwhile = NULL;
		now();
	}
	return syscall(SYS_read, fd, buf, n);
}

static char dir[] = "/tmp/mt_bad_XXXXXX";

struct got {
	struct mt_source_reading r;
	struct mt_diags diags;
};

static const char *in_dir(const char *name)
{
	static char path[2][512];
	static int turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void put(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(in_dir(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fwrite(data, 1, len, f), len);
	fclose(f);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void sh(const char *command)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "cd %s && %s", dir, command);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void begin(void)
{
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	put_text("good.yaml", SERVICE("good"));
}

static void end(void)
{
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static struct got get(struct mt_source_cache *cache)
{
	const char *const dirs[] = {dir};
	struct got g = {0};

	mt_diags_init(&g.diags);
	CU_ASSERT_EQUAL(mt_source_read(cache, &g.r, &g.diags, NULL, dirs, 1), 0);
	return g;
}

static void drop(struct got *g)
{
	mt_source_reading_fini(&g->r);
	mt_diags_fini(&g->diags);
}

static const struct mt_object *find(const struct got *g, const char *name)
{
	for (uint32_t i = 0; i < g->r.objects.n; i++)
		if (strcmp(g->r.objects.v[i]->name, name) == 0)
			return g->r.objects.v[i];
	return NULL;
}

/* It was read, without a mistake. */
static bool is_read(const struct got *g, const char *name)
{
	const struct mt_object *o = find(g, name);

	return o && o->status == MT_OBJECT_IN_FORCE;
}

/* "LINE: MESSAGE" of the first thing that was said of a file; "": nothing. */
static const char *said(const struct got *g, const char *name)
{
	static char words[512];

	words[0] = '\0';
	for (uint32_t i = 0; i < g->diags.n && !words[0]; i++)
		if (strcmp(g->diags.items[i].origin.file, in_dir(name)) == 0)
			snprintf(words, sizeof(words), "%u: %s", g->diags.items[i].origin.line,
				g->diags.items[i].message);
	return words;
}

static bool is_partial(const struct got *g, const char *name)
{
	return mt_source_is_partial(&g->r, in_dir(name));
}

/* What a sanitizer keeps of what is freed is none of ours. */
#ifdef __SANITIZE_ADDRESS__
#define KEPT_MIB 4096
#else
#define KEPT_MIB 0
#endif

static long rss_mib(void)
{
	long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(fscanf(f, "%ld %ld", &all, &pages), 2);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE) >> 20;
}

/* ---- texts ------------------------------------------------------------------------------------------ */

struct text {
	const char *text;
	size_t len; /* 0: up to its NUL */
	const char *said;
	const char *read[2];  /* these were */
	const char *known[2]; /* these were refused by name */
	bool partial;	      /* something in it may be anybody */
};

#define POLICY                                                                                     \
	"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, "         \
	"namespace: x}\n"
#define BOM "\xef\xbb\xbf"

static const struct text texts[] = {
	/* no text at all */
	{"\x7f"
	 "ELF\x02\x01\x01\0\0\0\xf3\xff\n---\n",
		16, "1: control characters are not allowed (0x7f)", .partial = true},
	{"[[[[", 0, "2: did not find expected node content", .partial = true},
	/* a mark in front, as editors of other systems put it */
	{BOM SERVICE("a"), 0, "", .read = {"a"}},
	{BOM POLICY "spec: {{\n", 0, "4: a key must be a text", .known = {"p"}},
	{SERVICE("a") "---\n" BOM POLICY "spec: {{\n", 0, NULL, .read = {"a"}, .known = {"p"}},
	/* lines of other systems */
	{"apiVersion: networking.istio.io/v1\rkind: ServiceEntry\rmetadata: {name: a}\rspec:\r"
	 "  hosts: [a.x]\r  ports: [{number: 80, name: tcp}]\r---\r" SERVICE("b"),
		0, "", .read = {"a", "b"}},
	{"apiVersion: security.istio.io/v1\rkind: PeerAuthentication\rmetadata: {name: p, "
	 "namespace: x}\r"
	 "spec: {{\r---\r" SERVICE("b"),
		0, "4: a key must be a text", .read = {"b"}, .known = {"p"}},
	{"apiVersion: security.istio.io/v1\r\nkind: PeerAuthentication\r\nmetadata:\r\n  name: "
	 "p\r\nspec: {{\r\n"
	 "---\r\n" SERVICE("b"),
		0, "5: a key must be a text", .read = {"b"}, .known = {"p"}},
	/* directives, ends of documents, and nothing between dashes */
	{"%YAML 1.1\n# hello\n---\n" SERVICE("a") "...\n" SERVICE("b"), 0, "", .read = {"a", "b"}},
	{"%TAG !e! tag:x:\n# hello\n---\n" SERVICE("a") "status: !e!x 1\n---\n" SERVICE("b"), 0, "",
		.read = {"a", "b"}},
	{"kind: List\napiVersion: v1\nitems: []\n---\n" SERVICE("a") "---\n" SERVICE("b"), 0, "",
		.read = {"a", "b"}},
	{"---\n---\n# nothing\n--- # here\n...\n---\n" SERVICE("a"), 0, "", .read = {"a"}},
	{SERVICE("a") "...\n" POLICY "x: [\n", 0, "12: did not find expected node content",
		.read = {"a"}, .known = {"p"}},
	/* a line end that only YAML knows (U+2028) */
	{SERVICE("a") "\xe2\x80\xa8---\xe2\x80\xa8" SERVICE("b"), 0, "1: a second document",
		.read = {"a"}, .partial = true},
	{SERVICE("a") "\xe2\x80\xa8---\xe2\x80\xa8" POLICY "x: [\n", 0, NULL, .read = {"a"},
		.partial = true},
	/* braces, behind dashes too, with and without quotes */
	{"---\n{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"PeerAuthentication\", "
	 "\"metadata\": {\"name\": \"p\"}, ",
		0, NULL, .known = {"p"}},
	{"# x\n--- \n{ apiVersion: security.istio.io/v1, kind: PeerAuthentication, metadata: "
	 "{name: p}, x: [",
		0, NULL, .known = {"p"}},
	/* what is written twice */
	{SERVICE("a") "spec: {hosts: [z]}\n", 0, "7: written twice, first on line 4",
		.known = {"a"}},
	{SERVICE("a") "kind: Gateway\n", 0, "7: written twice, first on line 2", .known = {"a"}},
	{"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, name: b}\n"
	 "spec: {hosts: [a.x], ports: [{number: 80, name: tcp}]}\n",
		0, "3: written twice, first on line 3", .known = {"a"}},
	/* Latin-1 */
	{SERVICE("a") "# caf\xe9 x\n---\n" SERVICE("b"), 0,
		"7: invalid trailing UTF-8 octet (0x20)", .read = {"b"}, .known = {"a"}},
	{"# caf\xe9", 0, "0: holds no document", .partial = false},
	/* no map, which is ignored: with a warning where it was probably meant to be read */
	{"# x\n- name: x\n- apiVersion: v1\n  kind: Service\n---\n" SERVICE("a"), 0,
		"2: a list of objects is not read", .read = {"a"}},
	{"[{\"apiVersion\": \"v1\", \"kind\": \"Service\"}]", 0, "1: a list of objects is not read",
		.partial = false},
	{"- op: replace\n  path: /spec/hosts\n  value: {kind: x}\n", 0, "", .partial = false},
	{"- [kind, apiVersion]\n- kind\n", 0, "", .partial = false},
	{SERVICE("a") "---\nhello\n", 0, "8: a document of a single value is not read",
		.read = {"a"}},
	{"apiVersion; v1\n", 0, "1: a document of a single value is not read", .partial = false},
	{"--- ~\n---\nnull\n", 0, "", .partial = false},
	/* anchors within themselves, and more of them than anybody has */
	{"a: &a [*a]\n---\n" SERVICE("b"), 0, "1: unknown alias", .read = {"b"}, .partial = true},
	{"x0: &x0 [y,y,y,y,y,y,y,y]\nx1: &x1 [*x0,*x0,*x0,*x0,*x0,*x0,*x0,*x0]\n"
	 "x2: &x2 [*x1,*x1,*x1,*x1,*x1,*x1,*x1,*x1]\nx3: &x3 [*x2,*x2,*x2,*x2,*x2,*x2,*x2,*x2]\n"
	 "x4: &x4 [*x3,*x3,*x3,*x3,*x3,*x3,*x3,*x3]\nx5: &x5 [*x4,*x4,*x4,*x4,*x4,*x4,*x4,*x4]\n"
	 "x6: &x6 [*x5,*x5,*x5,*x5,*x5,*x5,*x5,*x5]\nx7: &x7 [*x6,*x6,*x6,*x6,*x6,*x6,*x6,*x6]\n",
		0, "8: aliases expand to too many values", .partial = true},
	/* NUL */
	{"apiVersion: v1\0kind: x\n", 23, "1: control characters are not allowed (0x00)",
		.partial = true},
	{"a: \"\\0\"\n", 0, "1: a text holds a NUL byte", .partial = true},
};

static void check_text(const struct text *t)
{
	struct got g;
	bool partial;

	put("bad.yaml", t->text, t->len ? t->len : strlen(t->text));
	g = get(NULL);
	CU_ASSERT_TRUE(is_read(&g, "good"));
	if (t->said && !*t->said)
		CU_ASSERT_STRING_EQUAL(said(&g, "bad.yaml"), "");
	if (t->said && strncmp(said(&g, "bad.yaml"), t->said, strlen(t->said)) != 0) {
		CU_FAIL("other words");
		fprintf(stderr, "%s: %s\n", t->text, said(&g, "bad.yaml"));
	}
	for (int i = 0; i < 2; i++) {
		const struct mt_object *o = t->known[i] ? find(&g, t->known[i]) : NULL;

		if (t->read[i])
			CU_ASSERT_TRUE(is_read(&g, t->read[i]));
		if (t->known[i])
			CU_ASSERT_TRUE(o && o->status == MT_OBJECT_REFUSED);
	}
	partial = is_partial(&g, "bad.yaml");
	CU_ASSERT_EQUAL(partial, t->partial);
	if (partial != t->partial)
		fprintf(stderr, "%s: partial %d\n", t->text, partial);
	drop(&g);
}

static void texts_in_any_state(void)
{
	begin();
	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++)
		check_text(&texts[i]);
	end();
}

/* As some editors write: with a mark, or without one; both orders of bytes; characters beyond the first 65,536. */
static void utf16(void)
{
	static const char text[] = SERVICE("a") "---\n" POLICY "spec: {x: \"";
	static const uint16_t more[] = {0xd83d, 0xde00, 0xe9, '"', ',', '{', '{', '\n'};
	uint8_t out[2048];

	begin();
	for (int way = 0; way < 4; way++) {
		int low = way & 1;
		struct got g;
		size_t n = 0;

		if (way < 2) {
			out[n + (size_t)low] = 0xff;
			out[n + (size_t)!low] = 0xfe;
			n += 2;
		}
		for (size_t i = 0; i < strlen(text) + MT_ARRAY_LEN(more); i++, n += 2) {
			uint16_t c = i < strlen(text) ? (uint8_t)text[i] : more[i - strlen(text)];

			out[n + (size_t)low] = (uint8_t)c;
			out[n + (size_t)!low] = (uint8_t)(c >> 8);
		}
		put("bad.yaml", out, n);
		g = get(NULL);
		CU_ASSERT_TRUE(is_read(&g, "good") && is_read(&g, "a"));
		CU_ASSERT_PTR_NOT_NULL(find(&g, "p"));
		CU_ASSERT_STRING_EQUAL(said(&g, "bad.yaml"), "11: a key must be a text");
		drop(&g);
		/* Half a pair is no character. */
		out[n - 13 - (size_t)!low] = 0xd8;
		put("bad.yaml", out, n);
		g = get(NULL);
		CU_ASSERT_TRUE(is_read(&g, "good"));
		CU_ASSERT_NOT_EQUAL(g.diags.n, 0);
		drop(&g);
	}
	end();
}

/* ---- many and large --------------------------------------------------------------------------------- */

static char *repeat(const char *what, size_t times, const char *before, size_t *len)
{
	size_t n = strlen(what), at = strlen(before);
	char *text = malloc(at + n * times + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memcpy(text, before, at);
	for (size_t i = 0; i < times; i++, at += n)
		memcpy(text + at, what, n);
	*len = at;
	return text;
}

/* Texts of up to 16 MiB: how many objects and lines of diagnostics they may make, and that the file stands for none of them. */
static const struct {
	const char *before, *what;
	size_t times;
	uint32_t objects, diags;
	const char *said;
} large[] = {
	{"", "---\na\n", 2700000, 0, 1, ": more than 100000 objects in one file"},
	{"", "---\n{{\n", 2300000, 0, 1, ": more than 100000 objects in one file"},
	{"kind: List\napiVersion: v1\nitems:\n", "- {}\n", 1500000, 0, 1,
		": more than 100000 objects"},
	{"", "---\n# x\n", 2000000, 0, 1, "holds no document"},
	{"", "[", 16000000, 1, 1, "nested too deeply"},
	{"", "{a: ", 4000000, 1, 1, "nested too deeply"},
	{"", "x", 16000000, 1, 1, "a document of a single value is not read"},
	{"\"", "x", 16000000, 1, 1, "unexpected end of stream"},
	{SERVICE("l") "  addresses: [", "1,", 1000000, 1, 1, "did not find expected node content"},
	{SERVICE("l") "  ", "x", 16000000, 1, 1, "could not find expected ':'"},
	{SERVICE("l") "  ? \"", "x\\n", 5000000, 1, 1, "unexpected end of stream"},
	{"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: l}\nspec: {? x",
		"y", 16000000, 1, 1, "did not find expected ',' or '}'"},
	{SERVICE("l") "  endpoints:\n", "  - {addres: x}\n", 900000, 1, 40, "unknown field"},
};

static void large_texts(void)
{
	long most = rss_mib() + 600 + KEPT_MIB;

	begin();
	for (size_t i = 0; i < MT_ARRAY_LEN(large); i++) {
		size_t len;
		char *text = repeat(large[i].what, large[i].times, large[i].before, &len);
		struct got g;

		CU_ASSERT(len <= MT_SOURCE_FILE_MAX);
		put("bad.yaml", text, len);
		free(text);
		g = get(NULL);
		CU_ASSERT_TRUE(is_read(&g, "good"));
		CU_ASSERT_EQUAL(g.r.objects.n, 1 + large[i].objects);
		CU_ASSERT_EQUAL(g.diags.n, large[i].diags);
		CU_ASSERT_PTR_NOT_NULL(strstr(said(&g, "bad.yaml"), large[i].said));
		CU_ASSERT(rss_mib() <= most);
		if (g.diags.n != large[i].diags || g.r.objects.n != 1 + large[i].objects ||
			!strstr(said(&g, "bad.yaml"), large[i].said) || rss_mib() > most)
			fprintf(stderr, "%.20s%.20s: %u objects, %u diags, %.200s, %ld MiB\n",
				large[i].before, large[i].what, g.r.objects.n, g.diags.n,
				said(&g, "bad.yaml"), rss_mib());
		drop(&g);
	}
	end();
}

/* Once it is read, nothing is left of what could not be used. */
static void nothing_is_left(void)
{
	struct got g;
	size_t len;
	char *text = repeat("a,", 7 << 20, "x: {", &len);

	begin();
	put("bad.yaml", text, len);
	free(text);
	g = get(NULL);
	CU_ASSERT_EQUAL_FATAL(g.r.objects.n, 2);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT(g.r.objects.v[i]->part->region.used < 100000);
	CU_ASSERT_STRING_EQUAL(said(&g, "bad.yaml"), "1: the document has too many values");
	drop(&g);
	end();
}

/* 10,000 are nothing out of the ordinary, in one file or each in its own. */
static void ten_thousand(void)
{
	char text[512], name[32];
	struct got g;
	FILE *f;

	begin();
	f = fopen(in_dir("all.yaml"), "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (int i = 0; i < 10000; i++) {
		snprintf(text, sizeof(text), "---\n" SERVICE("s%d"), i, i);
		fputs(text, f);
		snprintf(text, sizeof(text), SERVICE("f%d"), i, i);
		snprintf(name, sizeof(name), "%d.yaml", i);
		put_text(name, text);
	}
	fclose(f);
	g = get(NULL);
	CU_ASSERT_EQUAL(g.r.objects.n, 20001);
	CU_ASSERT_EQUAL(g.diags.n, 0);
	CU_ASSERT_TRUE(is_read(&g, "s9999") && is_read(&g, "f9999"));
	drop(&g);
	end();
}

/* Refused by its size, before any of it is read. */
static void a_huge_file(void)
{
	long before;
	struct got g;
	int fd;

	begin();
	fd = open(in_dir("bad.yaml"), O_WRONLY | O_CREAT, 0600);
	CU_ASSERT_EQUAL(ftruncate(fd, 100 << 20), 0);
	close(fd);
	before = rss_mib();
	g = get(NULL);
	CU_ASSERT(rss_mib() - before < 16);
	CU_ASSERT_TRUE(is_read(&g, "good"));
	CU_ASSERT_STRING_EQUAL(said(&g, "bad.yaml"), "0: cannot be read: File too large");
	CU_ASSERT_TRUE(is_partial(&g, "bad.yaml"));
	drop(&g);
	end();
}

static void long_names(void)
{
	char text[1024], name[260];
	struct got g;

	begin();
	memset(name, 'n', 254);
	name[254] = '\0';
	snprintf(text, sizeof(text), SERVICE("%s"), name, "a");
	put_text("bad.yaml", text);
	snprintf(text, sizeof(text), SERVICE("%s"), name + 1, "b");
	put_text("fits.yaml", text);
	g = get(NULL);
	CU_ASSERT_TRUE(is_read(&g, name + 1));
	CU_ASSERT_FALSE(is_read(&g, name));
	CU_ASSERT_STRING_EQUAL(
		said(&g, "bad.yaml"), "3: metadata.name is longer than 253 characters");
	drop(&g);
	end();
}

/* ---- files ------------------------------------------------------------------------------------------ */

static void odd_files(void)
{
	char name[256];
	struct got g;

	begin();
	memset(name, 'y', 250);
	strcpy(name + 250, ".yaml");
	put_text(name, "x: [");
	put_text("\x1b[31m\n\a.yaml", "x: [");
	sh("mkfifo pipe.yaml && ln -s self.yaml self.yaml && ln -s b a && ln -s a b && ln -s . "
	   "round "
	   "&& "
	   "ln -s nowhere gone.yaml && ln -s nowhere other && ln -s /dev/zero zero.yaml");
	g = get(NULL);
	CU_ASSERT_TRUE(is_read(&g, "good"));
	CU_ASSERT_STRING_EQUAL(
		said(&g, "pipe.yaml"), "0: cannot be read: it is a pipe and not a file");
	CU_ASSERT_STRING_EQUAL(said(&g, "zero.yaml"),
		"0: cannot be read: it is a symbolic link that leads out of "
		"its source's directory");
	CU_ASSERT_STRING_EQUAL(
		said(&g, "self.yaml"), "0: cannot be read: Too many levels of symbolic links");
	CU_ASSERT_STRING_EQUAL(
		said(&g, "gone.yaml"), "0: cannot be read: No such file or directory");
	CU_ASSERT_NOT_EQUAL(*said(&g, name), '\0');
	CU_ASSERT_EQUAL(g.diags.n, 6);
	/* As it can be printed. */
	for (uint32_t i = 0; i < g.diags.n; i++) {
		char line[2048];

		(void)mt_diag_format(&g.diags.items[i], line, sizeof(line));
		CU_ASSERT_PTR_NULL(strpbrk(line, "\x1b\n\a"));
	}
	drop(&g);
	end();
}

/* ---- what changes while it is read ------------------------------------------------------------------ */

static void grow(void)
{
	sh("echo '# more' >> bad.yaml");
}

static void cut(void)
{
	sh("truncate -s 20 bad.yaml");
}

/* Some file clocks tick only so often. */
static void move(void)
{
	sh("sleep 0.02 && mv b/bad.yaml a/moved.yaml");
}

static void go(void)
{
	sh("sleep 0.02 && mv b gone && rm -r gone");
}

/* Not all of it was read: what is missing from it is not deleted. The next load reads it again. */
static void a_file_that_changes(void)
{
	static void (*const ways[])(void) = {grow, cut};

	for (size_t i = 0; i < MT_ARRAY_LEN(ways); i++) {
		struct mt_source_cache *cache = mt_source_cache_new();
		struct got g;

		begin();
		/* The first one that is read. */
		put_text("bad.yaml", SERVICE("a"));
		g = get(cache);
		CU_ASSERT_TRUE(is_read(&g, "a") && !is_partial(&g, "bad.yaml"));
		drop(&g);
		put_text("bad.yaml", SERVICE("a") "# changed\n");
		meanwhile = ways[i];
		g = get(cache);
		CU_ASSERT_PTR_NULL(meanwhile);
		CU_ASSERT_TRUE(is_partial(&g, "bad.yaml"));
		CU_ASSERT_FALSE(is_partial(&g, "good.yaml"));
		/* The watch causes the next load, so no operator has to look. */
		CU_ASSERT_EQUAL(g.r.n_partial, 1);
		CU_ASSERT_EQUAL(g.r.n_changing, 1);
		drop(&g);
		put_text("bad.yaml", SERVICE("b"));
		g = get(cache);
		CU_ASSERT_TRUE(is_read(&g, "b"));
		CU_ASSERT_FALSE(is_partial(&g, "bad.yaml"));
		drop(&g);
		mt_source_cache_free(cache);
		end();
	}
}

/* It was in neither list; both directories changed, so nobody says that it is gone. */
static void a_directory_that_changes(void)
{
	static void (*const ways[])(void) = {move, go};

	for (size_t i = 0; i < MT_ARRAY_LEN(ways); i++) {
		struct got g;

		begin();
		sh("mkdir a b c");
		put_text("a/first.yaml", SERVICE("first"));
		put_text("b/bad.yaml", SERVICE("a"));
		put_text("c/last.yaml", SERVICE("last"));
		usleep(20000); /* the file clock has moved on since */
		meanwhile = ways[i];
		g = get(NULL);
		CU_ASSERT_PTR_NULL(meanwhile);
		CU_ASSERT_TRUE(is_read(&g, "first") && is_read(&g, "last") && is_read(&g, "good"));
		CU_ASSERT_FALSE(is_read(&g, "a"));
		CU_ASSERT_TRUE(is_partial(&g, "b/bad.yaml"));
		CU_ASSERT_FALSE(is_partial(&g, "c/last.yaml") && ways[i] == move);
		CU_ASSERT_EQUAL(g.diags.n, 0);
		CU_ASSERT_EQUAL(g.r.n_changing, g.r.n_partial);
		drop(&g);
		g = get(NULL);
		CU_ASSERT_EQUAL(g.r.n_partial, 0);
		CU_ASSERT_EQUAL(is_read(&g, "a"), ways[i] == move);
		drop(&g);
		end();
	}
}

static void partial_paths(void)
{
	static const char *const partial[] = {"/s/a", "/s/b/", "rel/c.yaml", "/s/long"};
	static const struct {
		const char *file;
		bool is;
	} cases[] = {{"/s/a", true}, {"/s/a/x.yaml", true}, {"/s/a/b/c/x.yaml", true},
		{"/s/a.yaml", false}, {"/s/b/x.yaml", true}, {"/s/b", false}, {"/s", false},
		{"/", false}, {"", false}, {"rel/c.yaml", true}, {"rel/c", false},
		{"/s/longer/x", false}, {"/s//a", false}};
	struct mt_source_reading r = {0};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++)
		CU_ASSERT_FALSE(mt_source_is_partial(&r, cases[i].file));
	for (size_t i = 0; i < MT_ARRAY_LEN(partial); i++)
		CU_ASSERT_EQUAL(mt_reading_partial(&r, partial[i]), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(mt_source_is_partial(&r, cases[i].file), cases[i].is);
	mt_source_reading_fini(&r);
	CU_ASSERT_EQUAL(mt_reading_partial(&r, "/"), 0);
	CU_ASSERT_TRUE(mt_source_is_partial(&r, "/s"));
	CU_ASSERT_FALSE(mt_source_is_partial(&r, "s"));
	mt_source_reading_fini(&r);
}

/* CPU time of searches with so many partial paths. */
static uint64_t time_of_searches(uint32_t n)
{
	struct mt_source_reading r = {0};
	struct timespec from, to;
	uint32_t found = 0;
	char path[64];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/srv/documents/team/partial%u.yaml", i);
		CU_ASSERT_EQUAL(mt_reading_partial(&r, path), 0);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (uint32_t i = 0; i < 4000; i++) {
		snprintf(path, sizeof(path), "/srv/documents/team/absent%u.yaml", i);
		found += mt_source_is_partial(&r, path);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	CU_ASSERT_EQUAL(found, 0);
	mt_source_reading_fini(&r);
	return (uint64_t)(to.tv_sec - from.tv_sec) * MT_SEC + (uint64_t)to.tv_nsec -
	       (uint64_t)from.tv_nsec;
}

/* A search costs the same with 1,000 times as many partial paths. */
static void many_partial_paths(void)
{
	uint64_t few = time_of_searches(32), many = time_of_searches(32000);

	CU_ASSERT(many < 50 * few);
}

const struct mt_test bad_input_tests[] = {
	{"partial_paths", partial_paths},
	{"many_partial_paths", many_partial_paths},
	{"texts_in_any_state", texts_in_any_state},
	{"utf16", utf16},
	{"large_texts", large_texts},
	{"nothing_is_left", nothing_is_left},
	{"ten_thousand", ten_thousand},
	{"a_huge_file", a_huge_file},
	{"long_names", long_names},
	{"odd_files", odd_files},
	{"a_file_that_changes", a_file_that_changes},
	{"a_directory_that_changes", a_directory_that_changes},
	{0},
};
