/* SPDX-License-Identifier: Apache-2.0 */
/* Errors, refusals and drops that were counted, each with its cause. */
#pragma once

#include "mt_ctl_priv.h"

struct mt_counted {
	struct mt_metric m;
	char name[96];		/* "proxy_up_reset" */
	uint64_t count, recent; /* since the start or `clear counters`; in the last minute */
	uint64_t last;		/* ns: when it counted last (mt_recent_last()) */
	/* Index of the row that it belongs to: its own, or that of its cause. */
	uint32_t cause;
};

struct mt_counted_list {
	struct mt_counted *v;
	uint32_t n;
};

/*
 * Lists the outcomes above MT_SEV_INFO that have counted, `recent`: in the last minute; in the
 * registry's order. 0, or -1 without memory. Call mt_counted_free() in any case.
 */
int mt_counted(const struct mt_ctl *c, bool recent, struct mt_counted_list *l);
void mt_counted_free(struct mt_counted_list *l);
/* Names and numbers of the others in row i, as "proxy_up_reset (3)"; NULL: it is alone. */
const char *mt_counted_also(
	const struct mt_counted_list *l, uint32_t i, bool recent, char *buf, size_t size);
#define MT_COUNTED_ALSO 2048
/* Severity of the worst outcome in row i, its own or that of one that it names. */
enum mt_severity mt_counted_severity(const struct mt_counted_list *l, uint32_t i);
