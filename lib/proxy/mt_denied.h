/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Denied callers of a worker, by policy, client, service and reason: the most frequent ones. If the
 * table is full, the row with the fewest denials gives way (Space-Saving), so that a caller that is
 * denied often has a row whatever the number of others. Only the worker accesses it.
 */
#pragma once

#include "mt_addr.h"

#define MT_DENIED_ROWS	  32
#define MT_DENIED_BY	  160
#define MT_DENIED_SERVICE 128
#define MT_DENIED_REASON  64

struct mt_denied_row {
	struct mt_addr client;
	uint64_t count; /* denials since the start, with those of rows that gave way */
	uint64_t over;	/* how many of them, at most, belong to such rows */
	uint64_t last;	/* wall clock, ns */
	/* Texts may be cut off. `by`: the policy; "": no policy denied the call, see `reason`. */
	char by[MT_DENIED_BY];
	char service[MT_DENIED_SERVICE];
	char reason[MT_DENIED_REASON];
};

struct mt_denied {
	struct mt_denied_row v[MT_DENIED_ROWS];
	uint32_t n;
	const char *by; /* policy of the call that is being denied; NULL: none */
};

/* Counts a denial by the policy d->by, and sets d->by to NULL. `wall`: ns. Worker only. */
void mt_denied_note(struct mt_denied *d, const struct mt_addr *client, const char *service,
	const char *reason, uint64_t wall);
/* True if two rows have the same policy, client, service and reason. */
bool mt_denied_same(const struct mt_denied_row *a, const struct mt_denied_row *b);
