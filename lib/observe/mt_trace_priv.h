/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/observe: traces (trace.c) and packets (trace_notes.c). */
#pragma once

#include "mt_trace.h"

/* Makes a live trace with the values in `v`; NULL: no space (counted). */
struct mt_trace_journey *mt_trace_make(struct mt_trace *t, const struct mt_expr_values *v);
/*
 * Passes the trace to the control thread, or its messages to the capture. Drops it if no more
 * traces are to be kept.
 */
void mt_trace_keep(struct mt_trace *t, struct mt_trace_journey *j);
/* Adds a step that happened at `tsc`; NULL: no space (counted). */
struct mt_trace_step *mt_trace_add(
	struct mt_trace_journey *j, enum mt_trace_point point, uint64_t tsc, uint32_t cycles);
/* Sets the texts and numbers of a step; s may be NULL. */
void mt_trace_fill(struct mt_trace_step *s, const char *const *texts, uint8_t n_texts,
	const uint64_t *numbers, uint8_t n_numbers);
/* Makes traces of this iteration's packets. */
void mt_trace_packets(struct mt_trace *t);
/*
 * Sets the values that are known of a packet. mt_trace_became(): the outcome from the last library
 * that decided; NULL: none yet.
 */
void mt_trace_know_packet(const struct mt_trace_note *n, uint16_t worker, struct mt_expr_values *v);
const struct mt_outcome *mt_trace_became(const struct mt_trace_note *n);
/* Decides which packets of this iteration the capture keeps. */
void mt_trace_decide_packets(struct mt_trace *t);

/* ---- trace_conn.c: one connection ----------------------------------------------------------- */

/* True if `conn` is the followed connection. */
bool mt_trace_follows(const struct mt_trace *t, const struct mt_tuple *conn);
/* True if the packet is of the followed connection, which may end with it. */
bool mt_trace_conn_packet(struct mt_trace *t, const struct mt_trace_note *n);
