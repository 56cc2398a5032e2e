/* SPDX-License-Identifier: Apache-2.0 */
/* docs/reference/configuration.md and the tables of fields that it is generated from. */
#include "source_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MARK  "<!-- from here on written by the field tables: the index -->\n"
#define TABLES_MARK "<!-- from here on written by the field tables -->\n"

/* Appends a part of the page, after its mark, to the file of MT_REFERENCE_OUT, if there is one. */
static void reference_out(const char *mark, const char *text)
{
	FILE *f = getenv("MT_REFERENCE_OUT") ? fopen(getenv("MT_REFERENCE_OUT"), "a") : NULL;

	if (!f)
		return;
	fprintf(f, "%s%s", mark, text);
	fclose(f);
}

/* True if the page has, from the mark on, the text that `write` writes. */
static bool has_part(const char *page, const char *mark, void (*write)(FILE *out))
{
	const char *at = strstr(page, mark);
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool has;

	write(out);
	fclose(out);
	has = at && strncmp(at + strlen(mark), text, len) == 0;
	reference_out(mark, text);
	free(text);
	return has;
}

/* The index of the reference page, and all of it from its last mark on, is as the tables have it. */
static void reference_page(void)
{
	static char page[256 * 1024];
	FILE *f = fopen(MT_SOURCE_ROOT "/docs/reference/configuration.md", "r");
	char *text = NULL, *at;
	size_t len = 0, n;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	fclose(f);
	CU_ASSERT_TRUE(has_part(page, INDEX_MARK, mt_source_index));
	CU_ASSERT_TRUE(has_part(page, TABLES_MARK, mt_source_reference));
	mt_source_reference(out);
	fclose(out);
	at = strstr(page, TABLES_MARK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT_STRING_EQUAL(at + strlen(TABLES_MARK), text);
	free(text);
}

/* Each row of the page has a meaning. */
static void every_row_has_a_meaning(void)
{
	char *text = NULL, *save = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	mt_source_reference(out);
	fclose(out);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "| `", 3) == 0 && strstr(l, "|  |"))
			fprintf(stderr, "no meaning: %s\n", l);
		CU_ASSERT_FALSE(strncmp(l, "| `", 3) == 0 && strstr(l, "|  |"));
	}
	free(text);
}

/* The third column of a row, and the fourth. */
static bool columns(char *line, char **status, char **help)
{
	char *end;

	for (int i = 0; i < 2; i++) {
		line = strstr(line + 1, " | ");
		if (!line)
			return false;
	}
	*status = line + 3;
	end = strstr(*status, " | ");
	if (!end)
		return false;
	*end = '\0';
	*help = end + 3;
	return true;
}

/*
 * The status of a row and its help agree: a field that is refused or not read is not called
 * enforced.
 */
static void rows_contradict_nothing(void)
{
	static const char *const words[] = {"refused where", "accepted, not", "accepted and not",
		"is not enforced", "not enforced:", "not read:", "not verified", "not evaluated"};
	char *text = NULL, *save = NULL, *status, *help;
	uint32_t enforced = 0;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	mt_source_reference(out);
	fclose(out);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		if (strncmp(l, "| `", 3) != 0 || !columns(l, &status, &help) ||
			strncmp(status, "enforced", 8) != 0)
			continue;
		enforced++;
		for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
			if (strstr(help, words[i]))
				fprintf(stderr, "%s: enforced, and %s\n", l, help);
			CU_ASSERT_PTR_NULL(strstr(help, words[i]));
		}
	}
	CU_ASSERT_TRUE(enforced > 500);
	free(text);
}

const struct mt_test reference_tests[] = {
	{"reference_page", reference_page},
	{"every_row_has_a_meaning", every_row_has_a_meaning},
	{"rows_contradict_nothing", rows_contradict_nothing},
	{0},
};
