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
	uint64_t since;	 /* in each pass since then a call waited */
};

/* Opaque streams of an endpoint that wait for its bytes. Worker: w, ctl: r. */
struct mt_waiting_streams {
	/* mt_ep_state.id to which all but `n` belongs; `n` is of whichever endpoint has the index. */
	uint64_t id;
	uint64_t since; /* ns: when n was last 0 */
	uint32_t n;	/* streams that wait: the server got bytes, and has sent none since */
	/* Streams that got an answer; those that the server ended without one, though it got bytes. */
	uint32_t answered, unanswered;
};

/* Passes over all attempts, which find the calls that wait for an answer (waiting.c). */
struct mt_waiting {
	/*
	 * By endpoint index: results of passes with even and odd numbers. ctl reads those of `done`,
	 * while the worker writes the others.
	 */
	struct mt_waiting_ep *of[2];
	struct mt_waiting_streams *streams; /* by endpoint index */
	uint32_t done;	/* number of the last complete pass; 0: none. Worker: w, ctl: r */
	uint32_t pass;	/* number of the pass under way; 0: none */
	uint32_t at;	/* attempt at which it continues */
	bool found;	/* the last complete pass found a call */
	bool finding;	/* the pass under way has found one */
	uint64_t began; /* ns: start of the pass under way, or of the last one */
	uint64_t due;	/* ns: next step */
};
