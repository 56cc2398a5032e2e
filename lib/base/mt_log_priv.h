/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the log: lines (log_line.c), and what is held back (log_limit.c). */
#pragma once

#include "mt_log.h"

#define MT_LOG_LINE 4352 /* bytes of a line, with its end */

struct mt_log_line {
	enum mt_log_level level;
	const char *module, *words;
	enum mt_log_format format;
	bool journal;	  /* begins with <N> */
	const char *time; /* NULL: none */
};

/* With a line break; cut off within `words` when it does not fit. Returns its length. */
size_t mt_log_write_line(char out[MT_LOG_LINE], const struct mt_log_line *l);

#define MT_LOG_BURST	  100u
#define MT_LOG_PER_SECOND 10u
#define MT_LOG_SITES	  128u

/* A call site: its format is its name. */
struct mt_log_site {
	const char *fmt; /* NULL: free */
	enum mt_log_module module;
	enum mt_log_level level;
	uint32_t tokens, held;
	uint64_t at; /* ns: tokens were counted */
	char last[96];
};

/*
 * The site of `fmt` at one level among `sites`, made when it is new: many warnings by "%s" hold back no other's information.
 * One that is not used may lose its place.
 */
struct mt_log_site *mt_log_site_of(struct mt_log_site sites[MT_LOG_SITES], enum mt_log_level level,
	const char *fmt, uint64_t now);
/* Whether it may say something now; takes a token. */
bool mt_log_site_admit(struct mt_log_site *s, uint64_t now);
