/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/accesslog: outputs to collectors. */
#pragma once

#include "mt_alog_collector.h"
#include "mt_alog_entry.h"
#include "mt_alog_format.h"
#include "mt_alog_sink.h"
#include "mt_export.h"

/* Formats of attributes, and their texts while a record is made. */
struct mt_alog_labels {
	uint32_t n;
	char *keys[MT_ALOG_LABELS];
	struct mt_alog_format *formats[MT_ALOG_LABELS];
	struct mt_alog_label now[MT_ALOG_LABELS];
	char *texts; /* MT_ALOG_LINE for each */
};

/* Renders all labels into `now`. `line` is for work. */
void mt_alog_labels_render(struct mt_alog_labels *l, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_line *line);
/* The text of a line without its newline. */
struct mt_slice mt_alog_line_text(const struct mt_alog_line *line);

struct mt_alog_net {
	/* A copy, to compare with; its texts are this struct's. */
	struct mt_alog_collector collector;
	struct mt_alog_labels *labels; /* NULL: none */
	struct mt_export_queue *queue;
	uint8_t record[MT_ALOG_WIRE];
};

/* Starts a queue. NULL with the reason in *e; *rc is -EINVAL for bad labels, or -ENOMEM. */
struct mt_alog_net *mt_alog_net_new(
	struct mt_export *x, const struct mt_alog_collector *c, int *rc, struct mt_err *e);
/* After the queue has ended; NULL is allowed. */
void mt_alog_net_free(struct mt_alog_net *n);
/* True if the output is this one, perhaps with another target. */
bool mt_alog_net_is(const struct mt_alog_net *n, const struct mt_alog_collector *c);
/* Sends to this target from now on. Control thread. */
void mt_alog_net_move(struct mt_alog_net *n, struct mt_grpc_target *target);
/* True if the collector gets records of this type. */
bool mt_alog_net_takes(const struct mt_alog_net *n, enum mt_alog_type type);
/* Only mt-log. `format` and `line` are of the output and for work. */
void mt_alog_net_put(struct mt_alog_net *n, struct mt_alog_format *format,
	const struct mt_alog_record *r, uint64_t now, struct mt_alog_line *line);
/* Only mt-log. Puts the spans of an entry with some, if they are for an output with this key. */
void mt_alog_net_put_spans(struct mt_alog_net *n, uint64_t key, const struct mt_alog_entry *e,
	const struct mt_alog_record *r);
/* The counters of the queue as those of a sink. */
void mt_alog_net_stats(const struct mt_alog_net *n, struct mt_alog_sink_stats *to);
