/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two snapshots share is kept by a reload while its serial is the same, so a field that the
 * serial lacks would have no effect until something else changes. Rows change each field of a kind
 * of document alone: the reload must make what a start makes, and report the change. The fields
 * come from lib/source's tables, and a field without a row fails.
 */
#pragma once

#include "conf_test.h"
#include "mt_fields.h"

/* What the change of a field does. */
enum field_effect {
	CHANGES,    /* clusters, services or listeners, and is reported */
	REPORTED,   /* the same, of what is not in the words of a snapshot here */
	UNREPORTED, /* clusters, services or listeners, and need not be reported */
	ELSEWHERE,  /* nothing of these, or only in some configurations */
};

/* Two texts that differ in that field. */
struct field_row {
	const char *field, *from, *to;
	enum field_effect effect;
};

/*
 * Documents of every load, beside a Node in r/z, and Secrets "one" and "two"; they are read once, so
 * their serials stay. Files for TLS are in a directory.
 */
void fields_begin(const char *documents);
void fields_end(void);

/* Loads the document `with`, in which %s stands for each of the texts; "@" in a text is the directory. */
void fields_change(const char *with, const struct field_row *r);
/* What a start makes of it: the cluster of that name; free(). */
char *fields_words(const char *with, const char *what, const char *cluster);
/* Both are alike; `what` is printed if they are not. */
void fields_compare(const char *what, const char *got, const char *want);

/* Each field of the section and of those below it has a row; but not of these names, NULL at the end. */
void fields_have_rows(
	const struct mt_section *s, const char *const *but, const struct field_row *rows, size_t n);
/* The section of a field. */
const struct mt_section *fields_section(const struct mt_section *s, const char *field);
