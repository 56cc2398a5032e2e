/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/accesslog: the log of a node. log.c has the control thread's part, log_thread.c is
 * mt-log.
 */
#pragma once

#include "mt_alog.h"
#include "mt_alog_filter.h"
#include "mt_alog_net_priv.h"
#include "mt_alog_sink_priv.h"

#include <pthread.h>

/* A place, and the lines of its outputs that ended. */
struct mt_alog_place_total {
	char *path;
	struct mt_alog_total ended;
};

struct mt_alog_output {
	uint64_t number;
	uint32_t total; /* index of its place in mt_alog.totals */
	char *document;
	struct mt_alog_place place; /* a copy, to compare with */
	char *text;		    /* of the format; NULL: the default one */
	char *filter_text;	    /* NULL: no filter */
	size_t len;
	enum mt_alog_encoding encoding;
	bool omit_empty;
	struct mt_alog_sink *sink;
	struct mt_alog_net *net;       /* of a collector, in place of `sink` */
	struct mt_alog_format *format; /* mt-log's while the output is in its list, as the next */
	struct mt_alog_filter *filter; /* NULL: none */
	uint64_t filter_id;
	struct mt_alog_draw draw;
	uint64_t lost_before; /* entries lost in rings before the output began */
	/* Of a replaced output: */
	struct mt_alog_output *next;
	uint64_t until; /* version of the first list without it */
	bool stopping;
	uint64_t lost_ring; /* when it was stopping */
};

/* Immutable once it is published. */
struct mt_alog_list {
	uint64_t version;
	uint32_t n;
	struct mt_alog_output *v[MT_ALOG_OUTPUTS];
	/* Of each output, as in struct mt_alog_want. */
	uint64_t keys[MT_ALOG_OUTPUTS];
	bool general[MT_ALOG_OUTPUTS], unserved[MT_ALOG_OUTPUTS];
};

struct mt_alog {
	uint32_t workers;
	struct mt_byte_ring *rings;
	uint8_t **memory; /* of each ring */
	int event;	  /* wakes mt-log */
	bool running, stopped;
	pthread_t thread;
	/* Control thread. */
	struct mt_export *export; /* NULL: no output is to a collector */
	struct mt_alog_list now;  /* the wanted outputs */
	uint64_t outputs;	  /* that were made */
	struct mt_alog_place_total totals[MT_ALOG_PLACES];
	uint32_t n_totals;
	struct mt_alog_output *past;
	/* From the control thread to mt-log, which takes it and sets NULL. */
	struct mt_alog_list *next;
	/* From mt-log: version of its list; entries that it did not render before it ended. */
	uint64_t adopted, unrendered;
	bool stop;	   /* to mt-log */
	uint64_t deadline; /* monotonic ns; written before `stop` */
	/* mt-log. */
	struct mt_alog_list *list; /* NULL: no outputs yet */
	struct mt_alog_line line;
	struct mt_alog_trial *trial; /* memory of filters */
};

/* total.c: index of the total for a path. Negative: no memory. */
int mt_alog_total_of(struct mt_alog *l, const char *path);
/* Adds the lines of an output to the total of its place, after its sink has ended. */
void mt_alog_total_add(struct mt_alog *l, const struct mt_alog_output *o);
void mt_alog_totals_fini(struct mt_alog *l);
/* log.c: lines of entries that the output lost in rings. */
uint64_t mt_alog_lost_ring(const struct mt_alog *l, const struct mt_alog_output *o);

/* ---- output.c: as the functions of a sink --------------------------------------------------- */

/* Only mt-log, as the next. */
void mt_alog_output_put(
	struct mt_alog *l, struct mt_alog_output *o, const struct mt_alog_record *r, uint64_t now);
void mt_alog_output_flush(struct mt_alog_output *o);
void mt_alog_output_reopen(struct mt_alog_output *o);
void mt_alog_output_stop(struct mt_alog_output *o, uint64_t ns);
bool mt_alog_output_may_join(struct mt_alog_output *o);
void mt_alog_output_join(struct mt_alog_output *o);
void mt_alog_output_stats_of(const struct mt_alog_output *o, struct mt_alog_sink_stats *to);

/* Starts mt-log. 0 or -errno. */
int mt_alog_thread_start(struct mt_alog *l);
void mt_alog_wake(const struct mt_alog *l);
