/* SPDX-License-Identifier: Apache-2.0 */
/* Each load logs what is new and what is gone, at its level and as one line of the log's format. */
#include "suites.h"

#include "daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGES 4

static const struct {
	enum mt_diag_severity severity;
	const char *words;
} said[MESSAGES] = {{MT_DIAG_ERROR, "an error"}, {MT_DIAG_WARNING, "a warning"},
	{MT_DIAG_NOTE, "a note"}, {MT_DIAG_MACHINE, "another"}};

static void fill(struct mt_diags *d, const char *which)
{
	mt_diags_init(d);
	for (uint32_t i = 0; i < MESSAGES; i++)
		if (strchr(which, '0' + (int)i))
			mt_diag_add(d, said[i].severity, (struct mt_origin){"f.yaml", i + 1}, NULL,
				NULL, "%s", said[i].words);
}

static char *words_of(struct mt_diags *d)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	mt_diags_print(d, f);
	fclose(f);
	return text;
}

/* What a load that finds `now` logs after one that found `before`; NULL: it is the first. */
static void logged(const char *before, const char *now, char *out, size_t size)
{
	int keep = dup(STDERR_FILENO);
	struct mt_diags old, new;
	char *were = NULL, *are;
	FILE *f = tmpfile();
	size_t n;

	fill(&new, now);
	are = words_of(&new);
	if (before) {
		fill(&old, before);
		were = words_of(&old);
		mt_diags_fini(&old);
	}
	fflush(stderr);
	dup2(fileno(f), STDERR_FILENO);
	tell_log(&new, were, are);
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
	rewind(f);
	n = fread(out, 1, size - 1, f);
	out[n] = '\0';
	fclose(f);
	free(were);
	free(are);
	mt_diags_fini(&new);
}

#define LINE(level, words) "level=" level " module=config msg=\"" words "\"\n"

static void a_load_logs_what_changed(void)
{
	static const struct {
		const char *before, *now, *lines;
	} rows[] = {
		{NULL, "012",
			LINE("error", "f.yaml:1: error: an error")
				LINE("warn", "f.yaml:2: warning: a warning")
					LINE("info", "f.yaml:3: note: a note")},
		{"012", "012", ""},
		{"", "", ""},
		{"02", "012", LINE("warn", "f.yaml:2: warning: a warning")},
		{"012", "02", LINE("info", "gone: f.yaml:2: warning: a warning")},
		{"01", "3",
			LINE("warn", "f.yaml:4: warning: another")
				LINE("info", "gone: f.yaml:1: error: an error")
					LINE("info", "gone: f.yaml:2: warning: a warning")},
	};
	char out[2048];

	mt_log_set_time(false);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		logged(rows[i].before, rows[i].now, out, sizeof(out));
		CU_ASSERT_STRING_EQUAL(out, rows[i].lines);
	}
}

/* Every line is one object, whatever the load found. */
static void lines_follow_the_format(void)
{
	char out[2048], *rest = NULL;
	uint32_t n = 0;

	mt_log_set_format(MT_LOG_JSON);
	logged("0", "123", out, sizeof(out));
	mt_log_set_format(MT_LOG_TEXT);
	for (char *at = strtok_r(out, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest), n++)
		CU_ASSERT(at[0] == '{' && at[strlen(at) - 1] == '}');
	CU_ASSERT_EQUAL(n, 4);
}

const struct mt_test tell_tests[] = {{"a_load_logs_what_changed", a_load_logs_what_changed},
	{"lines_follow_the_format", lines_follow_the_format}, {0}};
