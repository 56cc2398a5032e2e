/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "../codec/codec_test.h"
#include "mt_codecfile.h"

#define FRAME_MAX 16384
#define FIELDS	  6

/* A line of tests/codecfiles/messages. */
struct line {
	const char *name;
	enum mt_dir dir;
	const char *kind; /* "reply", "request!" if it is refused, "reply:server", "bad" */
	uint64_t id;
	char *meta; /* "key=value ...", or "-" */
	uint8_t bytes[FRAME_MAX];
	uint32_t n;
};

/* Reads a file of tests/codecfiles into a static buffer. NULL: it is missing. */
char *file_slurp(const char *name, size_t *len);

/* Reads a line; changes the text. False: it is none. */
bool line_parse(char *text, struct line *l);

/* A file of tests/codecfiles/files, codecs/ or the tutorial by its name, and its path. */
char *file_text(const char *name, char path[128], size_t *len);

/* Compiles such a file, or a whole document. Fails the test. */
const struct mt_codec_table *file_compile(struct mt_region *region, const char *file);

/* Calls fn for each line of messages of a file. Returns how many. */
uint32_t lines_each(const char *name,
	void (*fn)(const struct mt_codec_table *t, const struct line *l, void *arg),
	const struct mt_codec_table *t, void *arg);

/* The names of all such files, sorted; NULL-terminated. */
const char *const *file_names(void);

extern const struct mt_test frames_tests[], tiny_tests[], mistakes_tests[], id_tests[],
	edge_tests[], mutate_tests[], template_tests[], page_tests[], given_tests[], view_tests[],
	store_tests[], sum_tests[], condition_tests[], format_tests[], number_tests[],
	value_tests[], cost_tests[];
