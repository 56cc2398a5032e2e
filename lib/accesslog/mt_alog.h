/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/accesslog: lines of access logs. This header is the log of a node: a ring of bytes for each
 * worker, the thread `mt-log`, which renders each entry for each output, and the outputs, which are
 * a format and a sink (mt_alog_sink.h) or a collector (mt_alog_collector.h). Formats are in
 * mt_alog_format.h, entries in mt_alog_entry.h.
 *
 * Invariants:
 * - A worker never waits: its ring drops the newest entry if it is full, and counts it.
 * - Each entry that a worker wrote while an output was in use, and that the output's filter and
 *   draw admit, is written there or counted as lost: wanted = written + lost + lines in the buffers
 *   of ring and sink. An entry that is lost in a ring counts for each output, because mt-log
 *   cannot evaluate filters for it. A worker does not write entries that its filters
 *   (mt_alog_sieve.h) refuse for all outputs, so these are not lost.
 * - mt-log takes each ring at least every 10 ms, and never waits for a sink. Without outputs it
 *   takes and forgets entries once a second, so that snapshots can be freed.
 * - The control thread never waits for mt-log or a sink, except in mt_alog_stop(): it replaces the
 *   list of outputs, and ends old outputs when mt-log has taken the new list.
 * - mt_alog_set() keeps an output with the same place and format, so that a reload loses no line.
 *
 * All functions are for the control thread, except that a worker writes to its
 * mt_alog_ring().
 */
#pragma once

#include "mt_alog_collector.h"
#include "mt_alog_entry.h"
#include "mt_alog_filter.h"
#include "mt_alog_format.h"
#include "mt_alog_sieve.h"
#include "mt_alog_sink.h"
#include "mt_byte_ring.h"

#include <limits.h>

#define MT_ALOG_WORKERS 64 /* most workers */
#define MT_ALOG_PLACES	64 /* places with totals of their own; all further ones share the last */

struct mt_alog;

/*
 * Makes a log for so many workers. Memory of the rings becomes resident as it is used. The thread
 * starts with the first output. NULL with the reason in *e.
 */
struct mt_alog *mt_alog_new(uint32_t workers, struct mt_err *e);
/* After mt_alog_stop(); NULL is allowed. */
void mt_alog_free(struct mt_alog *l);

struct mt_export;
/*
 * Outputs to collectors use its thread, which must outlive the log. Without it they cannot be
 * set.
 */
void mt_alog_use_export(struct mt_alog *l, struct mt_export *x);

/* The ring to which the worker writes struct mt_alog_entry; it publishes each at once. */
struct mt_byte_ring *mt_alog_ring(struct mt_alog *l, uint32_t worker);

/* An output that is wanted. Texts are copied. */
struct mt_alog_want {
	const char *document;	    /* for people: the object and field that wants it */
	struct mt_alog_place place; /* stays the caller's */
	struct mt_alog_spec spec;
	uint64_t key;  /* calls of services with it in their scope leave a line */
	bool general;  /* calls of services without a scope leave a line */
	bool unserved; /* calls without a service leave a line */
	/* An expression in CEL (mt_alog_filter.h): only calls for which it is true leave a line. */
	const char *filter; /* NULL: none */
	/* In place of `place`; stays the caller's. ALS needs no format. NULL: none. */
	const struct mt_alog_collector *collector;
	struct mt_alog_draw draw;
};

/*
 * Replaces all outputs by these. Returns 0, or a negative errno with the reason in *e: -EINVAL if a
 * format or filter cannot be read, -ENOMEM; then the outputs are as before.
 */
int mt_alog_set(struct mt_alog *l, const struct mt_alog_want *wanted, uint32_t n, struct mt_err *e);
/* Ends outputs that were replaced, without waiting; call several times a second. */
void mt_alog_turn(struct mt_alog *l);
/* Opens all files again before their next lines. */
void mt_alog_reopen(struct mt_alog *l);

struct mt_alog_output_stats {
	uint64_t number;      /* of the output; each new one has the next higher */
	const char *document; /* valid until the next mt_alog_set() */
	char path[PATH_MAX];  /* of the file, /dev/stdout, /dev/stderr, or "provider NAME" */
	uint64_t wanted;      /* lines */
	uint64_t lost_ring;   /* lines of entries for which a worker's ring had no space */
	bool is_sent;	      /* to a collector */
	const char *what;     /* "lines", or "spans" */
	struct mt_alog_sink_stats sink;
};
/* The counters of output i. False: there is none. */
bool mt_alog_output(const struct mt_alog *l, uint32_t i, struct mt_alog_output_stats *to);

/* Name of the reason of lines that a sink lost in this state: "busy" for `ok`. */
const char *mt_alog_lost_name(enum mt_alog_state s);

/* Lines of all outputs of one place, also of those that ended, since mt_alog_new(). */
struct mt_alog_total {
	const char *path; /* as in mt_alog_output_stats; "other": of further places */
	uint64_t written, lost_ring, lost[MT_ALOG_STATES];
};
/* The total of place i, in the order in which the places came. False: there is none. */
bool mt_alog_total(const struct mt_alog *l, uint32_t i, struct mt_alog_total *to);

/*
 * When is a snapshot free of entries? Once no call holds it, mt_alog_marks() notes the positions of
 * all rings; when mt_alog_passed() is true for them, mt-log has read every entry that points to it.
 */
struct mt_alog_marks {
	bool set;
	uint64_t at[MT_ALOG_WORKERS];
};
void mt_alog_marks(const struct mt_alog *l, struct mt_alog_marks *m);
bool mt_alog_passed(const struct mt_alog *l, const struct mt_alog_marks *m);

/*
 * Call after the workers have ended: renders what is in the rings, writes the buffers
 * for at most `ns`, and ends all threads. The rest is counted as lost. The counters stay until
 * mt_alog_free().
 */
void mt_alog_stop(struct mt_alog *l, uint64_t ns);
