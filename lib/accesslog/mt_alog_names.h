/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The metadata that outputs name in formats and filters. Workers keep the values of these, and of
 * no others (mt_alog_kept.h).
 */
#pragma once

#include "mt_alog_filter.h"

#define MT_ALOG_NAMES 32  /* most names of requests, and of replies */
#define MT_ALOG_NAME  256 /* most bytes of a name */

/* All zero: no names. */
struct mt_alog_names {
	/* By MT_ALOG_REQUEST, MT_ALOG_RESPONSE. Each name is there once, in lower case. */
	uint32_t n[2];
	char of[2][MT_ALOG_NAMES][MT_ALOG_NAME + 1];
};

/* Adds what a format and a filter name; NULL: none. False: some names found no room. */
bool mt_alog_name(struct mt_alog_names *to, const struct mt_alog_format *format,
	const struct mt_alog_filter *filter);
/* Adds a key of requests. False: it finds no room. */
bool mt_alog_name_request(struct mt_alog_names *to, const char *key);
