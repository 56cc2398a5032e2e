/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_order.c: hosts by the ends of their names. Those below a wildcard are next to each other, so
 * that they are found and counted without a look at each. Hosts that were taken are skipped.
 */
#pragma once

#include "mt_conf_priv.h"

#define MT_NO_PLACE UINT32_MAX

struct mt_host_place {
	const char *ns; /* "": the order is of all namespaces */
	const char *name;
	uint32_t len;
	uint32_t host; /* in mt_build.host_list */
};

struct mt_host_order {
	struct mt_host_place *v;
	uint32_t n;
	uint32_t *next; /* itself if free; otherwise a later place, up to n */
	uint32_t *at;	/* by host; or MT_NO_PLACE */
};

/* Places `from` to `to`, without the last. */
struct mt_host_span {
	uint32_t from, to;
};

/* Adds a host of a namespace; `ns` outlives the order. Without memory the build fails. */
void mt_host_order_add(struct mt_build *b, struct mt_host_order *o, uint32_t host, const char *ns);
/* Sorts the hosts after all were added; all are free. False: no memory. */
bool mt_host_order_sort(struct mt_build *b, struct mt_host_order *o);
/* The hosts of a namespace that a wildcard (with a star as first character) covers. */
struct mt_host_span mt_host_order_below(
	const struct mt_host_order *o, const char *ns, const char *wildcard);
/* The first free place at or after `at`; n: none. */
uint32_t mt_host_order_free(struct mt_host_order *o, uint32_t at);
/* Takes a host, if the order has it. */
void mt_host_order_take(struct mt_host_order *o, uint32_t host);
