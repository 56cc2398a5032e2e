/* SPDX-License-Identifier: Apache-2.0 */
/* docs/reference/configuration.md and the tables of fields that it is generated from. */
#include "source_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MARK  "<!-- from here on written by the field tables: the index -->\n"
#define END_MARK    "<!-- to here -->\n"
#define TABLES_MARK "<!-- from here on written by the field tables -->\n"

/* Appends `from` up to and with the first `mark` in it; returns the rest. NULL: it is not there. */
static const char *copy_up_to(FILE *out, const char *from, const char *mark)
{
	const char *at = from ? strstr(from, mark) : NULL;

	if (at)
		fwrite(from, 1, (size_t)(at - from) + strlen(mark), out);
	return at ? at + strlen(mark) : NULL;
}

/* The page with its two generated parts as the tables have them; NULL: a mark is missing. */
static char *page_of_tables(const char *page)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	const char *rest = copy_up_to(out, page, INDEX_MARK);

	mt_source_index(out);
	rest = rest ? strstr(rest, END_MARK) : NULL;
	rest = copy_up_to(out, rest, TABLES_MARK);
	mt_source_reference(out);
	fclose(out);
	if (rest)
		return text;
	free(text);
	return NULL;
}

/* The generated parts of the page are as the tables have them; MT_REFERENCE_OUT gets such a page. */
static void reference_page(void)
{
	static char page[256 * 1024];
	FILE *f = fopen(MT_SOURCE_ROOT "/docs/reference/configuration.md", "r");
	char *made;
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	fclose(f);
	made = page_of_tables(page);
	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	CU_ASSERT_STRING_EQUAL(page, made);
	f = getenv("MT_REFERENCE_OUT") ? fopen(getenv("MT_REFERENCE_OUT"), "w") : NULL;
	if (f) {
		fputs(made, f);
		fclose(f);
	}
	free(made);
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
