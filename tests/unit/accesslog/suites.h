/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites share: a record of a call, and formats rendered from it. */
#pragma once

#include "mt_alog_format.h"
#include "mt_test.h"

extern const struct mt_test format_tests[], json_tests[], render_tests[], sink_tests[],
	sink_file_tests[], log_tests[], output_tests[], filter_tests[], kept_tests[], wire_tests[],
	net_tests[], endings_tests[];

extern const struct mt_test sieve_tests[];

/* The call of docs/internals/accesslog.md: a Dubbo call that the server answered. */
void record_of_call(struct mt_alog_record *r);

struct mt_alog_format *compiled(const char *text, enum mt_alog_encoding encoding, bool omit_empty);
/* The line of a format for a record, in a static buffer; "" if it cannot be compiled. */
const char *line_of(const char *text, enum mt_alog_encoding encoding, bool omit_empty,
	const struct mt_alog_record *r);
/* The same for text, of record_of_call(). */
const char *shown(const char *text);
/* The reason why a format is refused; "" if it is not. */
const char *refused(const char *text, enum mt_alog_encoding encoding);
