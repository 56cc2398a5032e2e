/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of boot and the control thread: one line an event, `level room: words`, to standard error
 * (journald adds the time; --log-time adds it for terminals). Never called per packet; workers do not
 * log, they count.
 */
#pragma once

#include "mt_base.h"

#include <stdarg.h>

enum mt_log_level { MT_LOG_ERROR, MT_LOG_WARN, MT_LOG_INFO, MT_LOG_DEBUG };

void mt_log_set_level(enum mt_log_level level);
void mt_log_set_time(bool on);
/* "error", "warn", "info", "debug"; -1 when the word is none of these. */
int mt_log_level_parse(const char *word);

void mt_log(enum mt_log_level level, const char *room, const char *fmt, ...) mt_printf(3, 4);

/*
 * Bytes of the UTF-8 character at `text`, which has `len` > 0 bytes (RFC 3629 §3, multi-byte forms);
 * 0: none begins there. U+0080-U+009F, which terminals obey like control characters, count as none.
 */
size_t mt_utf8_len(const char *text, size_t len);

/*
 * Text for a terminal or a log line: what either would obey (control characters, those of U+0080-U+009F
 * too) and what is no UTF-8 is written as \n, \t or, byte by byte, \xNN. Names from files and from peers
 * may hold any of them. Always terminated; what does not fit is cut off. Returns the length.
 */
size_t mt_escape(char *out, size_t size, const char *text);

/*
 * An error as text for an operator, built where it happens and passed up by the caller's buffer. It
 * names what, where and the remedy.
 */
struct mt_err {
	char text[512];
};

/* Formats into `e` and returns `code` (negative errno), so that it can stand in a return statement. */
int mt_err(struct mt_err *e, int code, const char *fmt, ...) mt_printf(3, 4);
