/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: numbers of services that are forwarded at layer 4 (show/show_forwarding.c). */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_l4.h"

/* Statistics of a service, by its number in the set; sum over workers. */
struct mt_l4_stats mt_ctl_forwarded(const struct mt_ctl *c, uint32_t service);
/* Packets of clients that a limit of it refused. */
uint64_t mt_ctl_forwarded_limited(const struct mt_ctl *c, uint32_t service, enum mt_l4_limit limit);
/* Packets without a flow that a network of a list of clients decided; sum over workers. */
uint64_t mt_ctl_forwarded_matched(const struct mt_ctl *c, const struct mt_l4_rule *r);
/* The network as text; `text` has room for MT_ADDR_STRLEN + 4 bytes. */
const char *mt_ctl_forwarded_network(const struct mt_l4_rule *r, char *text);
/* The row of a forwarded port; NULL: it has none. */
const struct mt_l4_row *mt_ctl_forwarded_row(
	const struct mt_snapshot *s, const struct mt_forward *f);
/* "forwarded", "no endpoints" or "closed". */
const char *mt_ctl_forwarded_state(const struct mt_snapshot *s, const struct mt_forward *f);
/* A reason to refuse or drop packets that struct mt_l4_stats counts. */
struct mt_ctl_forward_reason {
	const char *name; /* label of the metric */
	size_t off;	  /* of the number in mt_l4_stats */
};
#define MT_CTL_FORWARD_REASONS 9
extern const struct mt_ctl_forward_reason mt_ctl_forward_reasons[MT_CTL_FORWARD_REASONS];
uint64_t mt_ctl_forward_count(
	const struct mt_l4_stats *stats, const struct mt_ctl_forward_reason *r);
/* Packets of the service that were refused or dropped: for each of these reasons, or a limit. */
uint64_t mt_ctl_forwarded_refused(
	const struct mt_ctl *c, const struct mt_l4_row *r, const struct mt_l4_stats *stats);
