/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters on workers. A sieve has the outputs of a snapshot as workers see them. A worker copies an
 * entry into its ring only if an output wants it, with the results of the filters (struct
 * mt_alog_verdict). mt-log evaluates filters that workers may not evaluate
 * (mt_alog_filter_is_for_workers()), and those that the worker has left out. A sieve is constant
 * and belongs to its snapshot, like the names in entries.
 */
#pragma once

#include "mt_alog_entry.h"
#include "mt_alog_filter.h"

#define MT_ALOG_OUTPUTS 16 /* most outputs at a time */

struct mt_alog_sieve;

/* An output of a snapshot; the fields are as in struct mt_alog_want. */
struct mt_alog_sift {
	uint64_t key;
	bool general, unserved;
	bool calls, streams; /* it gets lines of calls; of opaque streams and refused connections */
	const char *filter;
	struct mt_alog_draw draw;
};

/*
 * Makes the sieve of n outputs. *to is NULL if it would refuse nothing. False: no memory, because
 * outputs with bad filters are refused before. Control thread.
 */
bool mt_alog_sieve_new(const struct mt_alog_sift *outputs, uint32_t n, struct mt_alog_sieve **to);
void mt_alog_sieve_free(struct mt_alog_sieve *s);

/*
 * True if an output wants the entry, which gets *to. Filters are evaluated only if no output
 * without one for workers wants it. It neither allocates, locks nor waits.
 */
bool mt_alog_sieve_takes(const struct mt_alog_sieve *s, struct mt_alog_trial *t,
	const struct mt_alog_parts *parts, struct mt_alog_verdict *to);

/* ---- the same on mt-log --------------------------------------------------------------------- */

/* The number of a filter's text in verdicts. */
uint64_t mt_alog_filter_id(const char *text);
/* 1: the filter passes the entry; 0: it does not; negative: the worker did not evaluate it. */
int mt_alog_verdict_of(const struct mt_alog_verdict *v, uint64_t filter_id);

/* True if entries with this scope and host are for the output. */
bool mt_alog_reaches(
	const struct mt_alog_entry *e, uint64_t key, bool is_general, bool is_unserved);
/* True if the output's draw leaves the call without a line. */
bool mt_alog_draw_skips(
	const struct mt_alog_draw *draw, uint64_t key, const struct mt_alog_entry *e);
