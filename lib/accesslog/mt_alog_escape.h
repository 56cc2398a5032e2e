/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of any content for lines of text and for JSON, and numbers as digits. */
#pragma once

#include "mt_base.h"

struct mt_alog_out {
	char *p;
	uint32_t len, end;
	bool cut; /* some bytes did not fit before `end` */
};

/* Appends bytes of any content, escaped for text or JSON; cut between characters at `end`. */
void mt_alog_escape(struct mt_alog_out *o, struct mt_slice s, bool json);
/* Decimal digits of n; `to` has 20 bytes. Returns their number. */
uint32_t mt_alog_digits(char *to, uint64_t n);
