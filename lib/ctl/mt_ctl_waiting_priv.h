/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: calls and opaque streams that wait for an answer of an endpoint (waiting.c). */
#pragma once

#include "mt_ctl_priv.h"

/* Calls that wait for an answer of an endpoint, at most about a second ago. Ages in ns. */
struct mt_ctl_waiting {
	uint64_t calls;
	uint64_t oldest; /* since the oldest of them was sent */
	/*
	 * Calls have waited for so long, with pauses of MT_WAITING_PAUSE at most, and the endpoint has
	 * sent nothing. May be set without calls, during a pause.
	 */
	uint64_t silent;
	uint64_t streams; /* opaque streams with bytes for the server, which has sent none since */
	uint64_t streams_silent; /* the same of streams */
	/*
	 * Most opaque streams of the endpoint got an answer: it does not only receive. If none has
	 * ended or was answered yet, those of its cluster's other endpoints count.
	 */
	bool answers;
	uint64_t unheard; /* since its last bytes; 0: it has never sent any */
};

/* The sum of the last cluster. mt_ctl_create() allocates it. */
struct mt_answering {
	uint32_t at;		     /* index of the cluster that was looked up last */
	const struct mt_cluster *of; /* compared only; `most` is of it, in the turn `asked` */
	uint64_t asked;
	bool most; /* its endpoints have answered more streams than not */
};

struct mt_ctl_waiting mt_ctl_ep_waiting(
	const struct mt_ctl *c, const char *cluster, uint32_t index, uint64_t id);

/* Age of the oldest call, or silence of a server that usually answers its opaque streams; ns. */
uint64_t mt_ctl_oldest(const struct mt_ctl_waiting *n);

/* A call of the endpoint that has waited for so long, ns, waits unusually long. */
uint64_t mt_ctl_long_for(const struct mt_ctl *c, const struct mt_ep_state *ep);
#define MT_HANG_NS (10 * MT_SEC)
/* True if the endpoint does not respond; a server hangs, or its process is stopped. */
static inline bool mt_ctl_hangs(const struct mt_ctl_waiting *n)
{
	return n->silent >= MT_HANG_NS || (n->answers && n->streams_silent >= MT_HANG_NS);
}

/*
 * For how long the endpoint has sent nothing although it should have, ns; 0: it should not. It
 * should if
 * - calls have waited for 2 s and 4 times its p99, or for 10 s, but at least 4 times its median, so
 *   that long polls do not count;
 * - streams of opaque TCP have waited for 2 s, and the server usually answers them;
 * - it was ejected because it does not answer.
 */
uint64_t mt_ctl_silent(const struct mt_ctl *c, const struct mt_ep_state *ep, const char *cluster,
	const char *endpoint, const struct mt_ctl_waiting *n);
