/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: captures. */
#pragma once

#include "mt_ctl_trace_priv.h"

/* One at a time; it stays behind its end until the next one, so that what is left of it can be read. */
struct mt_ctl_capture {
	bool on, read_out; /* read_out: it has ended and nothing is left */
	uint32_t id;
	struct mt_ctl_capture_asked {
		uint32_t what; /* MT_CAPTURE_BIT */
		uint32_t snap; /* bytes of each */
		uint64_t count, seconds;
		char expr[MT_CTL_LINE + 1];
		struct mt_expr x;
	} asked;
	char by[MT_WHO_LEN];
	uint64_t since, read, look_at; /* ns: begun, read last, looked at next */
	uint64_t wall, tsc;   /* both of one moment: Unix time in ns, and the time stamp counter */
	const char *ended_by; /* NULL: it goes on */
	uint64_t n_read, bytes_read; /* records that were given to the reader */
	uint64_t lost, missed;	     /* of rings and traces that are gone */
	struct mt_trace *traces[MT_WORKERS_MAX];
	struct mt_capture *rings[MT_WORKERS_MAX];
};

/* "packets", "messages", "messages client", "messages endpoint" */
const char *mt_ctl_capture_of(const struct mt_ctl_capture *p);
/* Takes it from the workers; what they had written can still be read. */
void mt_ctl_capture_end(struct mt_ctl *c, const char *why);
/* Records that no ring had room for, and exchanges that could not be followed. */
uint64_t mt_ctl_capture_lost(const struct mt_ctl_capture *p);
uint64_t mt_ctl_capture_missed(const struct mt_ctl_capture *p);

/* capture_ask.c: what the words behind `capture start` ask for. 0 or -EINVAL with the remedy in e. */
int mt_ctl_capture_ask(
	struct mt_ctl_capture_asked *a, const struct mt_request *r, struct mt_err *e);
/* capture_read.c: up to so many bytes of records, in the order of their time, as rows; *more: there are further ones. */
json_t *mt_ctl_capture_rows(struct mt_ctl_capture *p, bool *more);

/* Commands. */
json_t *mt_capture_start(struct mt_ctl *c, const struct mt_request *r);
void mt_capture_offer(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
json_t *mt_capture_read(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_capture_stop(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_capture_show(struct mt_ctl *c, const struct mt_request *r);
