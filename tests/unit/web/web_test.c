/* SPDX-License-Identifier: Apache-2.0 */
/* The page as the program carries it, beside the files of the tree (PAGE: their folder). */
#include "../mt_test.h"

#include "mt_base.h"
#include "mt_web.h"

#include <ctype.h>

#define FILE_MAX 65536

static const struct {
	const char *name, *type;
} page[] = {
	{"index.html", "text/html; charset=utf-8"},
	{"style.css", "text/css; charset=utf-8"},
	{"icon.svg", "image/svg+xml"},
	{"main.js", "text/javascript; charset=utf-8"},
	{"model.js", "text/javascript; charset=utf-8"},
	{"graph.js", "text/javascript; charset=utf-8"},
	{"parts.js", "text/javascript; charset=utf-8"},
	{"detail.js", "text/javascript; charset=utf-8"},
};

static size_t read_file(const char *name, char *bytes)
{
	char path[512];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), PAGE "%s", name);
	f = fopen(path, "rb");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(bytes, 1, FILE_MAX, f);
	fclose(f);
	return n;
}

static void test_same_bytes(void)
{
	static char bytes[FILE_MAX];

	for (size_t i = 0; i < MT_ARRAY_LEN(page); i++) {
		const struct mt_web_file *f = mt_web_find(page[i].name);

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		CU_ASSERT_STRING_EQUAL(f->name, page[i].name);
		CU_ASSERT_STRING_EQUAL(f->type, page[i].type);
		CU_ASSERT_EQUAL_FATAL(f->len, read_file(page[i].name, bytes));
		CU_ASSERT_EQUAL(memcmp(f->body, bytes, f->len), 0);
	}
}

/* Names are names, not paths. */
static void test_others(void)
{
	static const char *const names[] = {"", "/", "index", "INDEX.html", "index.html/",
		"./index.html", "../web/index.html", "style.css ", "embed.py", "web.c",
		"meson.build"};

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		CU_ASSERT_PTR_NULL(mt_web_find(names[i]));
}

/* As If-None-Match will have them: in quotes, and no two files' the same. */
static void test_tags(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(page); i++) {
		const char *tag = mt_web_find(page[i].name)->etag;
		size_t n = strlen(tag);

		CU_ASSERT_EQUAL_FATAL(n, 18);
		CU_ASSERT(tag[0] == '"' && tag[n - 1] == '"');
		for (size_t k = 1; k + 1 < n; k++)
			CU_ASSERT(isxdigit((unsigned char)tag[k]));
		for (size_t k = 0; k < i; k++)
			CU_ASSERT_STRING_NOT_EQUAL(tag, mt_web_find(page[k].name)->etag);
	}
}

/*
 * What stands between `before` and the next quote, each time, is a file that is there; how many. Places in the page, and
 * what others than it answer, are none.
 */
static uint32_t names_behind(const struct mt_web_file *f, const char *before)
{
	uint32_t n = 0;
	char name[64];

	for (const char *at = f->body; (at = strstr(at, before));) {
		size_t len;

		at += strlen(before);
		if (*at == '#' || *at == '/')
			continue;
		n++;
		len = strcspn(at, "\"'");
		CU_ASSERT_FATAL(len < sizeof(name));
		memcpy(name, at, len);
		name[len] = '\0';
		if (!mt_web_find(name))
			fprintf(stderr, "%s asks for %s\n", f->name, name);
		CU_ASSERT_PTR_NOT_NULL(mt_web_find(name));
	}
	return n;
}

/* A module that nobody carries would leave the page without numbers. */
static void test_all_it_asks_for(void)
{
	CU_ASSERT(names_behind(mt_web_find("index.html"), "src=\"") >= 1);
	CU_ASSERT(names_behind(mt_web_find("index.html"), "href=\"") >= 2);
	CU_ASSERT(names_behind(mt_web_find("main.js"), "from \"./") >= 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(page); i++)
		names_behind(mt_web_find(page[i].name), "from \"./");
}

static const struct mt_test tests[] = {
	{"the bytes of the tree", test_same_bytes},
	{"other names", test_others},
	{"entity tags", test_tags},
	{"all that the page asks for", test_all_it_asks_for},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"web", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
