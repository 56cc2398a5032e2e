/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats of access logs: Envoy's format strings, as text or as a JSON object, compiled once and
 * rendered for each record. Operators and their values are in operators.def.
 *
 * Invariants:
 * - A line has at most MT_ALOG_LINE bytes and ends with a newline. Values contain no other newline,
 *   whatever a client sent: text shows control characters, quotes, backslashes and bytes that are
 *   not UTF-8 as \xNN, and JSON is valid.
 * - If a line would be longer, its values are cut between characters, the first ones least.
 * - A format is compiled on the control thread, and then used by one thread, because it caches the
 *   text of the current second.
 */
#pragma once

#include "mt_alog_record.h"
#include "mt_log.h"

#define MT_ALOG_LINE	    8192  /* bytes, with the newline */
#define MT_ALOG_FORMAT_TEXT 32768 /* most bytes of a format string */

enum mt_alog_encoding { MT_ALOG_TEXT, MT_ALOG_JSON };

extern const char mt_alog_envoy_format[]; /* text, of loggers without a format */

struct mt_alog_spec {
	const char *text; /* NULL: Istio's default format of the encoding */
	size_t len;
	enum mt_alog_encoding encoding;
	/*
	 * Values that are not set: text "" in place of "-"; JSON leaves out the member in place of
	 * null.
	 */
	bool omit_empty;
};

struct mt_alog_format;

/*
 * Compiles a format. NULL: it cannot be read, and *e names the operator, the column and the reason.
 * A newline is added to text that does not end with one.
 */
struct mt_alog_format *mt_alog_compile(const struct mt_alog_spec *spec, struct mt_err *e);
void mt_alog_format_free(struct mt_alog_format *f);

/*
 * Note i about operators that Envoy has and that never have a value here, for the operator; NULL
 * after the last one.
 */
const char *mt_alog_note(const struct mt_alog_format *f, uint32_t i);

/* A named value that a format reads. */
struct mt_alog_key {
	enum mt_alog_from from;
	struct mt_slice space, name;
};
/* Key i; NULL after the last one. */
const struct mt_alog_key *mt_alog_key(const struct mt_alog_format *f, uint32_t i);

struct mt_alog_line {
	char text[MT_ALOG_LINE + 16]; /* short texts are copied as 16 bytes */
	uint32_t len;
	bool cut; /* a value was shortened */
};

/* Renders a record. `now`: ns since 1970, for EMIT_TIME. */
void mt_alog_render(struct mt_alog_format *f, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_line *line);
