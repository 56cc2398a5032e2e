/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs what a load found. The first load logs all of it, a later one what is new or gone: most
 * documents are unchanged, and `show config` and `show objects` have all of it at any time.
 */
#include "daemon.h"

#include <stdlib.h>
#include <string.h>

/* Most lines of one load in the log; `show objects` has the rest. */
#define LOG_LINES 200

/* The lines of a text, sorted; none if there is no memory. */
struct lines {
	char *text, **v;
	uint32_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void split(struct lines *l, const char *text)
{
	uint32_t n = 1;
	char *at, *rest;

	*l = (struct lines){.text = strdup(text ? text : "")};
	if (!l->text)
		return;
	for (at = l->text; *at; at++)
		n += *at == '\n';
	l->v = malloc(n * sizeof(*l->v));
	if (!l->v)
		return;
	for (at = strtok_r(l->text, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest))
		l->v[l->n++] = at;
	qsort(l->v, l->n, sizeof(*l->v), by_text);
}

static bool has(const struct lines *l, const char *line)
{
	return l->n && bsearch(&line, l->v, l->n, sizeof(*l->v), by_text);
}

static void drop(struct lines *l)
{
	free(l->v);
	free(l->text);
}

static enum mt_log_level level_of(enum mt_diag_severity severity)
{
	switch (severity) {
	case MT_DIAG_ERROR:
	case MT_DIAG_CLOSED:
	case MT_DIAG_UNREADABLE:
		return MT_LOG_ERROR;
	case MT_DIAG_NOTE:
	case MT_DIAG_FIELDS:
		return MT_LOG_INFO;
	default:
		return MT_LOG_WARN;
	}
}

static uint32_t log_new(const struct mt_diags *diags, const struct lines *before, bool *error)
{
	uint32_t n = 0;
	char line[2048];

	for (uint32_t i = 0; i < diags->n; i++) {
		(void)mt_diag_format(&diags->items[i], line, sizeof(line));
		if (has(before, line) || n++ >= LOG_LINES)
			continue;
		mt_log(level_of(diags->items[i].severity), "config", "%s", line);
		*error |= level_of(diags->items[i].severity) == MT_LOG_ERROR;
	}
	return n > LOG_LINES ? n - LOG_LINES : 0;
}

static void log_gone(const struct lines *before, const struct lines *now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < before->n; i++)
		if (!has(now, before->v[i]) && n++ < LOG_LINES)
			mt_log(MT_LOG_INFO, "config", "gone: %s", before->v[i]);
	if (n > LOG_LINES)
		mt_log(MT_LOG_INFO, "config", "gone: %u more", n - LOG_LINES);
}

bool tell_log(const struct mt_diags *diags, const char *before, const char *now)
{
	struct lines old, all;
	bool error = false;
	uint32_t more;

	split(&old, before);
	split(&all, now);
	more = log_new(diags, &old, &error);
	/* Entries beyond the limit of the list have no words to compare. */
	if (!before)
		more += mt_diags_count(diags) - diags->n;
	if (more)
		mt_log(MT_LOG_WARN, "config", "and %u more: `meltemi show objects` has them", more);
	if (before && now)
		log_gone(&old, &all);
	drop(&old);
	drop(&all);
	return error;
}
