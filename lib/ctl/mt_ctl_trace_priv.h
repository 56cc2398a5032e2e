/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: traces. */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_trace.h"

/* Fields by which expressions may select exchanges, packets and connections. */
#define MT_TRACE_EXCHANGE_FIELDS                                                                   \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(proto) | MT_EXPR_BIT(service) |                   \
		MT_EXPR_BIT(method) | MT_EXPR_BIT(route) | MT_EXPR_BIT(cluster) |                  \
		MT_EXPR_BIT(endpoint) | MT_EXPR_BIT(status) | MT_EXPR_BIT(exchange) |              \
		MT_EXPR_BIT(worker) | MT_EXPR_BIT(took) | MT_EXPR_BIT(bytes) | MT_EXPR_BIT(meta0))
#define MT_TRACE_PACKET_FIELDS                                                                     \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(proto) | MT_EXPR_BIT(port) | MT_EXPR_BIT(len) |   \
		MT_EXPR_BIT(direction) | MT_EXPR_BIT(outcome) | MT_EXPR_BIT(worker))

#define MT_TRACE_CONNECTION_FIELDS                                                                 \
	(MT_EXPR_BIT(src) | MT_EXPR_BIT(dst) | MT_EXPR_BIT(host) | MT_EXPR_BIT(sport) |            \
		MT_EXPR_BIT(dport) | MT_EXPR_BIT(port) | MT_EXPR_BIT(direction) |                  \
		MT_EXPR_BIT(worker))

/*
 * Hands a tracer to worker w, or takes its tracer away (t NULL). False: the worker does not answer.
 */
bool mt_ctl_trace_hand(struct mt_ctl *c, uint16_t w, struct mt_trace *t);
bool mt_ctl_trace_on(const struct mt_ctl *c);

/* Commands. */
mt_run_fn mt_trace_start;
mt_offer_fn mt_trace_offer;
mt_run_fn mt_trace_show, mt_trace_stop;

/*
 * trace_render.c: appends a row for each step of a trace, which is number `number`; with_fields:
 * values by name, too.
 */
void mt_trace_render(
	json_t *rows, const struct mt_trace_journey *j, uint32_t number, bool with_fields);
