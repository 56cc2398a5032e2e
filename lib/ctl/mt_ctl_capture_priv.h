/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: captures. */
#pragma once

#include "mt_ctl_trace_priv.h"

/*
 * The current capture, or the last one. After its end it stays until the next one starts, so that
 * its remaining records can be read.
 */
struct mt_ctl_capture {
	/* read_out: it has ended and nothing is left to read. */
	bool on, read_out;
	uint32_t id;
	struct mt_ctl_capture_asked {
		uint32_t what; /* MT_CAPTURE_BIT */
		uint32_t snap; /* bytes kept of each */
		uint64_t count, seconds;
		char expr[MT_CTL_LINE + 1];
		struct mt_expr x;
	} asked;
	char by[MT_WHO_LEN];
	uint64_t since, read, look_at; /* ns: start, last read, next check */
	/* Both of one moment: Unix time in ns, and the time stamp counter. */
	uint64_t wall, tsc;
	const char *ended_by;	     /* NULL: it goes on */
	uint64_t n_read, bytes_read; /* given to the reader */
	uint64_t lost, missed;	     /* of rings and tracers that were freed */
	struct mt_trace *traces[MT_WORKERS_MAX];
	struct mt_capture *rings[MT_WORKERS_MAX];
};

/* Name of what is captured: "packets", "messages", "messages client" or "messages endpoint". */
const char *mt_ctl_capture_of(const struct mt_ctl_capture *p);
/* Takes the tracers from the workers; records that they have written can still be read. */
void mt_ctl_capture_end(struct mt_ctl *c, const char *why);
/* Number of records for which a ring had no space, and of exchanges that could not be traced. */
uint64_t mt_ctl_capture_lost(const struct mt_ctl_capture *p);
uint64_t mt_ctl_capture_missed(const struct mt_ctl_capture *p);

/*
 * capture_ask.c: takes "WORD N", with N from 1 to max, off the end of the first *n words. Returns
 * 0; 1: it is not there; -EINVAL.
 */
int mt_ctl_take_number(const struct mt_request *r, uint32_t *n, const char *word, uint64_t max,
	uint64_t *value, struct mt_err *e);
/* Parses the arguments of `capture start`. 0, or -EINVAL with the remedy in e. */
int mt_ctl_capture_ask(
	struct mt_ctl_capture_asked *a, const struct mt_request *r, struct mt_err *e);
/*
 * capture_read.c: the next records as rows in order of time, up to a bound of bytes; *more: further
 * records are ready.
 */
json_t *mt_ctl_capture_rows(struct mt_ctl_capture *p, bool *more);

/* Commands. */
mt_run_fn mt_capture_start;
mt_offer_fn mt_capture_offer;
mt_run_fn mt_capture_read, mt_capture_stop, mt_capture_show;
