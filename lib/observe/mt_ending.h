/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response codes, flags and details: one table (endings.def) of all ways in which a call or a
 * connection ends, for access logs and metrics. Codes are those of HTTP, flags and details those of
 * Envoy, so that filters and dashboards of Istio work for RPC protocols. Endings that Envoy does
 * not have get details that start with "meltemi:". All of it is const and may be read by any
 * thread.
 */
#pragma once

#include "mt_base.h"

enum mt_ending {
#define MT_ENDING(name, code, flags, details, bracket) MT_ENDING_##name,
#include "endings.def"
#undef MT_ENDING
	MT_N_ENDINGS
};

/* Bits as in Envoy's response.flags. */
enum mt_response_flag {
#define MT_RESPONSE_FLAG(name, words, bit) MT_FLAG_##name = 1 << (bit),
#include "response_flags.def"
#undef MT_RESPONSE_FLAG
};

struct mt_ending_row {
	const char *name;
	uint16_t code;
	uint32_t flags;
	const char *details; /* NULL: none */
	const char *bracket; /* "", or the two characters around a reason */
};

/* By enum mt_ending. */
extern const struct mt_ending_row mt_endings[MT_N_ENDINGS];

/* Size of the text of all flags, in either form. */
#define MT_FLAGS_TEXT 512
/*
 * Writes the names of the flags with commas between them, "-" if there are none: "UC,URX", or with
 * `words` "UpstreamConnectionTermination,UpstreamRetryLimitExceeded". Returns the length.
 */
uint32_t mt_flags_text(uint32_t flags, bool words, char text[MT_FLAGS_TEXT]);
