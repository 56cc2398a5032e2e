/* SPDX-License-Identifier: Apache-2.0 */
/* Internal to the log: lines (log_line.c) and the rate limit (log_limit.c). */
#pragma once

#include "mt_log.h"

/* Maximum bytes of a line, with its end: PIPE_BUF, what a pipe takes at once (pipe(7)). */
#define MT_LOG_LINE 4096

struct mt_log_line {
	enum mt_log_level level;
	const char *module, *words;
	enum mt_log_format format;
	bool journal;	  /* starts with <N> */
	const char *time; /* NULL: none */
};

/*
 * Writes a line with a line break; `words` is cut off if the line is too long. Returns its length.
 */
size_t mt_log_write_line(char out[MT_LOG_LINE], const struct mt_log_line *l);

#define MT_LOG_BURST	  100u
#define MT_LOG_PER_SECOND 10u
#define MT_LOG_SITES	  128u

/* A call site, identified by its format. */
struct mt_log_site {
	const char *fmt; /* NULL: free */
	enum mt_log_module module;
	enum mt_log_level level;
	uint32_t tokens, held;
	uint64_t at; /* ns: when tokens were last added */
	char last[96];
};

/*
 * The site of `fmt` at one level among `sites`, created if it is new. Each level has its own, so
 * that many warnings by "%s" do not suppress information by "%s". A site that is not used may be
 * replaced.
 */
struct mt_log_site *mt_log_site_of(struct mt_log_site sites[MT_LOG_SITES], enum mt_log_level level,
	const char *fmt, uint64_t now);
/* True if the site may log now; takes a token. */
bool mt_log_site_admit(struct mt_log_site *s, uint64_t now);
