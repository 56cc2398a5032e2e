/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/observe: journeys (trace.c) and packets (trace_notes.c). */
#pragma once

#include "mt_trace.h"

/* A live journey of what is known in `v`; NULL: no place (counted). */
struct mt_trace_journey *mt_trace_make(struct mt_trace *t, const struct mt_expr_values *v);
/* It is the control thread's from here on, if there is still one to be kept. */
void mt_trace_keep(struct mt_trace *t, struct mt_trace_journey *j);
/* The next step, of what happened at `tsc`; NULL: no place (counted). */
struct mt_trace_step *mt_trace_add(
	struct mt_trace_journey *j, enum mt_trace_point point, uint64_t tsc, uint32_t cycles);
/* Its texts and numbers; s NULL is allowed. */
void mt_trace_fill(struct mt_trace_step *s, const char *const *texts, uint8_t n_texts,
	const uint64_t *numbers, uint8_t n_numbers);
/* The packets of this turn as journeys of their own. */
void mt_trace_packets(struct mt_trace *t);
/* What is known of a packet so far, and what became of it (the last room that decided; NULL: nothing yet). */
void mt_trace_know_packet(const struct mt_trace_note *n, uint16_t worker, struct mt_expr_values *v);
const struct mt_outcome *mt_trace_became(const struct mt_trace_note *n);
/* The bytes of this turn's packets: kept or not. */
void mt_trace_decide_packets(struct mt_trace *t);

/* ---- trace_conn.c: one connection */

/* Whether that is it. */
bool mt_trace_follows(const struct mt_trace *t, const struct mt_tuple *conn);
/* The packet is one of it, which may end by it. */
bool mt_trace_conn_packet(struct mt_trace *t, const struct mt_trace_note *n);
