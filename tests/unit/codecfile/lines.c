/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tests/codecfiles, the installed files of codecs/, and those of the tutorial. */
#include "codecfile_test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

/* Folders of files, from tests/codecfiles on. */
static const char *const folders[] = {"files", "../../codecs", "../../docs/tutorials/codecs"};

char *file_slurp(const char *name, size_t *len)
{
	static char text[1u << 20];
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", MT_CODECFILES, name);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	*len = fread(text, 1, sizeof(text) - 1, f);
	text[*len] = '\0';
	fclose(f);
	return text;
}

/* Hex digits, or a text in quotes with \r, \n, \t and \xNN. */
static uint32_t bytes(const char *s, uint8_t *to)
{
	uint32_t n = 0;
	unsigned int b;
	int used;

	if (*s != '"') {
		for (; n < FRAME_MAX && sscanf(s, "%2x%n", &b, &used) == 1; s += used)
			to[n++] = (uint8_t)b;
		return n;
	}
	for (s++; *s && *s != '"' && n < FRAME_MAX; s++) {
		if (*s != '\\') {
			to[n++] = (uint8_t)*s;
			continue;
		}
		s++;
		if (*s == 'x' && sscanf(s + 1, "%2x", &b) == 1) {
			to[n++] = (uint8_t)b;
			s += 2;
		} else {
			to[n++] = *s == 'r'   ? '\r'
				  : *s == 'n' ? '\n'
				  : *s == 't' ? '\t'
					      : (uint8_t)*s;
		}
	}
	return n;
}

bool line_parse(char *text, struct line *l)
{
	char *field[FIELDS];

	for (uint32_t i = 0; i < FIELDS; i++) {
		field[i] = strsep(&text, "\t");
		if (!field[i])
			return false;
	}
	l->name = field[0];
	l->dir = strcmp(field[1], "server") == 0 ? MT_DIR_UP : MT_DIR_DOWN;
	l->kind = field[2];
	l->id = strtoull(field[3], NULL, 10);
	l->meta = field[4];
	l->n = bytes(field[5], l->bytes);
	return l->n > 0;
}

char *file_text(const char *name, char path[128], size_t *len)
{
	char *text = NULL;

	for (size_t i = 0; i < MT_ARRAY_LEN(folders) && !text; i++) {
		snprintf(path, 128, "%s/%s.yaml", folders[i], name);
		text = file_slurp(path, len);
	}
	return text;
}

const struct mt_codec_table *file_compile(struct mt_region *region, const char *file)
{
	const struct mt_codec_table *t;
	struct mt_diags diags;
	char path[128] = "document";
	const char *text = file;
	size_t n = strlen(file);

	if (!strchr(file, '\n')) {
		text = file_text(file, path, &n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	}
	mt_diags_init(&diags);
	t = mt_codecfile_text(region, &diags, path, text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

uint32_t lines_each(const char *name,
	void (*fn)(const struct mt_codec_table *t, const struct line *l, void *arg),
	const struct mt_codec_table *t, void *arg)
{
	static struct line l;
	char path[128], *text, *next;
	uint32_t n = 0;
	size_t len;

	snprintf(path, sizeof(path), "messages/%s.tsv", name);
	text = file_slurp(path, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	while ((next = strsep(&text, "\n"))) {
		if (!*next || *next == '#')
			continue;
		CU_ASSERT_FATAL(line_parse(next, &l));
		fn(t, &l, arg);
		n++;
	}
	return n;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define NAMES 64

/* Adds the names of a folder's files. Returns how many there are then. */
static uint32_t add_names(const char *folder, char name[NAMES][NAMES], uint32_t n)
{
	char path[512];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%s", MT_CODECFILES, folder);
	dir = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while ((e = readdir(dir)) && n < NAMES) {
		char *dot = strstr(e->d_name, ".yaml");

		if (!dot || (size_t)(dot - e->d_name) >= NAMES)
			continue;
		snprintf(name[n++], NAMES, "%.*s", (int)(dot - e->d_name), e->d_name);
	}
	closedir(dir);
	return n;
}

const char *const *file_names(void)
{
	static char name[NAMES][NAMES];
	static const char *names[NAMES + 1];
	uint32_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(folders); i++)
		n = add_names(folders[i], name, n);
	for (uint32_t i = 0; i < n; i++)
		names[i] = name[i];
	qsort(names, n, sizeof(names[0]), by_name);
	names[n] = NULL;
	return names;
}
