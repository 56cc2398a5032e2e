/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of boot and of the control thread: one line for each event, `level=info module=xds
 * msg="..."` or the same as JSON, to standard error. Each module has its own level. Each call site
 * has a rate limit; suppressed lines are counted. Never called per packet: workers do not log, they
 * count.
 */
#pragma once

#include "mt_base.h"

#include <stdarg.h>

enum mt_log_level { MT_LOG_ERROR, MT_LOG_WARN, MT_LOG_INFO, MT_LOG_DEBUG };
#define MT_LOG_LEVELS 4

enum mt_log_format { MT_LOG_TEXT, MT_LOG_JSON };

/* log_modules.def */
enum mt_log_module {
#define MT_LOG_MODULE(name, words) MT_LOGS_##name,
#include "log_modules.def"
#undef MT_LOG_MODULE
	MT_LOG_MODULES
};

/* For all modules. */
void mt_log_set_level(enum mt_log_level level);
void mt_log_set_module(enum mt_log_module m, enum mt_log_level level);
enum mt_log_level mt_log_level_of(enum mt_log_module m);
/* Switches the time in each line on or off. */
void mt_log_set_time(bool on);
void mt_log_set_format(enum mt_log_format f);
/*
 * Switches the rate limit of call sites on or off: 100 lines at once, 10 a second from then on. On
 * at first; off for programs whose output is bounded in itself.
 */
void mt_log_set_limit(bool on);
/*
 * False: a line is lost if standard error is a pipe or socket that is full, because its reader has
 * stopped; the next line that can be written reports how many. True at first: mt_log() waits.
 */
void mt_log_set_waiting(bool on);
/*
 * If standard error is the journal (sd-daemon(3): JOURNAL_STREAM), lines start with its priorities:
 * <4>.
 */
void mt_log_detect_journal(void);

/* "error", "warn", "info", "debug"; -1 when the word is none of these. */
int mt_log_level_parse(const char *word);
const char *mt_log_level_str(enum mt_log_level level);
/* "text", "json"; -1. */
int mt_log_format_parse(const char *word);
/* Finds a module by name; -1: there is none. */
int mt_log_module_find(const char *name);
const char *mt_log_module_str(enum mt_log_module m);
const char *mt_log_module_words(enum mt_log_module m);

/* Lines of a module since the start, by level, and suppressed lines. */
struct mt_log_counts {
	uint64_t lines[MT_LOG_LEVELS];
	uint64_t held_back;
};
const struct mt_log_counts *mt_log_counts(enum mt_log_module m);

/* `module` is a name of log_modules.def. */
void mt_log(enum mt_log_level level, const char *module, const char *fmt, ...) mt_printf(3, 4);
/* Call once a second: logs how many lines were suppressed, for call sites that may log again. */
void mt_log_turn(void);

/*
 * Length of the UTF-8 character at `text`, which has `len` > 0 bytes (RFC 3629 §3, multi-byte
 * forms); 0: no such character starts there. U+0080-U+009F do not count, because terminals
 * interpret them as control characters.
 */
size_t mt_utf8_len(const char *text, size_t len);

/*
 * Escapes text for a terminal or a log line. Control characters (also U+0080-U+009F) and invalid
 * UTF-8 are written as \n, \t or, byte by byte, \xNN, because names from files and from peers may
 * contain any of them. Always terminated; what does not fit is cut off. Returns the length.
 */
size_t mt_escape(char *out, size_t size, const char *text);

/*
 * An error as text for an operator, built where it happens and returned in the caller's buffer. It
 * names what, where and the remedy.
 */
struct mt_err {
	char text[512];
};

/*
 * Formats into `e` and returns `code` (a negative errno), so that it can be in a return statement.
 */
int mt_err(struct mt_err *e, int code, const char *fmt, ...) mt_printf(3, 4);
