/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of sinks share. */
#pragma once

#include "mt_alog_sink.h"

#define LINE_LEN 32 /* of numbered lines, with the newline */

/* A directory of this test program, without files; made at the first call. */
const char *sinks_directory(void);
/* Path of a file in it, in a static buffer. */
const char *sinks_path(const char *name);

struct mt_alog_sink *sinks_file(const char *path_below);
struct mt_alog_sink *sinks_descriptor(int fd);

/* Puts lines with the numbers from `first` on, and flushes. Returns how many were accepted. */
uint32_t sinks_put(struct mt_alog_sink *s, uint32_t first, uint32_t n);
/* Waits until `written` lines are written, at most 10 s. */
bool sinks_wrote(struct mt_alog_sink *s, uint64_t written);
bool sinks_became(struct mt_alog_sink *s, enum mt_alog_state state);

/* Checks that wanted lines are written or lost, ends the sink, and frees it. */
void sinks_end(struct mt_alog_sink *s, uint64_t ns, struct mt_alog_sink_stats *last);
uint64_t sinks_lost(const struct mt_alog_sink_stats *st);

/*
 * Number of lines in a text if all are numbered lines and whole, in order, with any numbers missing;
 * -1 otherwise.
 */
int64_t sinks_lines(const char *text, size_t len);
/* The same of a file; -2: it cannot be read. */
int64_t sinks_lines_of(const char *path);
/*
 * Number of lines of a file, in any order, and marks their numbers in seen[n]. -1: a line is torn,
 * has another number, or was marked before. 0: there is no file.
 */
int64_t sinks_new_lines(const char *path, bool *seen, long n);
