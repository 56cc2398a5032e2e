/* SPDX-License-Identifier: Apache-2.0 */
/* Types of waiting.c. Included by mt_proxy_types.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Calls that wait for an answer of an endpoint, as one pass found them. Times in ns. */
struct mt_waiting_ep {
	/* Number of the pass; 0: none, or being written. Worker: w, ctl: r, as are all fields. */
	uint32_t pass;
	uint32_t calls;
	uint64_t id;	 /* mt_ep_state.id */
	uint64_t oldest; /* when the oldest call was sent */
};

/* Since when an endpoint leaves calls or opaque streams without an answer. Worker: w, ctl: r. */
struct mt_waiting_since {
	uint64_t first; /* ns: when the first was sent; 0: none */
	uint64_t last;	/* ns: when one was last found waiting */
};

/* What is kept of an endpoint from one pass to the next. Worker: w, ctl: r. */
struct mt_waiting_kept {
	/* mt_ep_state.id to which all but `n` belongs; `n` is of whichever endpoint has the index. */
	uint64_t id;
	struct mt_waiting_since calls;
	struct mt_waiting_since streams; /* `last`: when n became 0; of no use while n > 0 */
	uint32_t n; /* streams that wait: the server got bytes, and has sent none since */
	/* Streams that got an answer; those that the server ended without one, though it got bytes. */
	uint32_t answered, unanswered;
};

/* Passes over all exchanges, which find the calls that wait for an answer (waiting.c). */
struct mt_waiting {
	/*
	 * By endpoint index: results of passes with even and odd numbers. ctl reads those of `done`,
	 * while the worker writes the others.
	 */
	struct mt_waiting_ep *of[2];
	struct mt_waiting_kept *kept; /* by endpoint index */
	uint32_t done;	/* number of the last complete pass; 0: none. Worker: w, ctl: r */
	uint32_t pass;	/* number of the pass under way; 0: none */
	uint32_t at;	/* exchange at which it continues */
	bool found;	/* the last complete pass found a call */
	bool finding;	/* the pass under way has found one */
	uint64_t began; /* ns: start of the pass under way, or of the last one */
	uint64_t due;	/* ns: next step */
};
