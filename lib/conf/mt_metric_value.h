/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of labels of Istio's metrics by Telemetry's tagOverrides: expressions in CEL over what is
 * known of a whole series, its workloads. Values of single calls are not known where series are
 * written.
 */
#pragma once

#include "mt_cel.h"
#include "mt_peer.h"

#define MT_METRIC_VALUE 256 /* bytes; longer ones are cut */
/*
 * Most instructions of CEL in an expression, which each scrape evaluates for each series. With 32
 * long ones, an author of one namespace could hold the control thread for a second.
 */
#define MT_METRIC_STEPS 128u

/* The workloads of a series, as its labels destination_* and source_* show them. */
struct mt_metric_peers {
	const struct mt_peer *upstream, *downstream;
};

/* Compiles an expression. Control thread only. NULL with the reason in e. */
struct mt_cel *mt_metric_value_new(const char *text, struct mt_err *e);
/* The value of a series, with a NUL; "unknown" if a part of it is unknown. */
void mt_metric_value(const struct mt_cel *cel, struct mt_cel_frame *frame,
	const struct mt_metric_peers *peers, char to[MT_METRIC_VALUE + 1]);
