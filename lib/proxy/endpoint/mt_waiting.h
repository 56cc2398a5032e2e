/* SPDX-License-Identifier: Apache-2.0 */
/* Types of waiting.c. Included by mt_proxy_types.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Calls that wait for an answer of an endpoint, as one pass found them. Times in ns. */
struct mt_waiting_ep {
	/* Number of the pass; 0: none, or being written. All fields: worker: w, ctl: r. */
	uint32_t pass;
	uint32_t calls;
	uint64_t id;	 /* mt_ep_state.id */
	uint64_t oldest; /* when the oldest call was sent */
};

/* Silence of an endpoint towards waiting calls or opaque streams. Worker: w, ctl: r. */
struct mt_waiting_since {
	uint64_t first; /* ns: when the first waiting call or bytes were sent; 0: none */
	uint64_t last;	/* ns: when a call or stream was last found waiting */
};

/* Data of an endpoint that is kept from one pass to the next. Worker: w, ctl: r. */
struct mt_waiting_kept {
	/*
	 * mt_ep_state.id of the endpoint to which all fields but `n` belong. `n` counts the streams
	 * of every endpoint that has had the index.
	 */
	uint64_t id;
	struct mt_waiting_since calls;
	struct mt_waiting_since streams; /* `last`: when a wait last ended; not used while n > 0 */
	uint32_t n; /* streams that wait: the server got bytes, and has sent none since */
	/*
	 * Streams that got an answer; streams that the server ended after it got bytes and sent
	 * none.
	 */
	uint32_t answered, unanswered;
};

/* Passes over all exchanges, which find the calls that wait for an answer (waiting.c). */
struct mt_waiting {
	/*
	 * By endpoint index: results of passes with even and odd numbers. ctl reads those of
	 * `done`, while the worker writes the others.
	 */
	struct mt_waiting_ep *of[2];
	struct mt_waiting_kept *kept; /* by endpoint index */
	uint32_t done;	/* number of the last complete pass; 0: none. Worker: w, ctl: r */
	uint32_t pass;	/* number of the pass under way; 0: none */
	uint32_t at;	/* index of the exchange at which the pass continues */
	bool found;	/* the last complete pass found a call */
	bool finding;	/* the pass under way has found one */
	uint64_t began; /* ns: start of the pass under way, or of the last one */
	uint64_t due;	/* ns: when the next step is due */
};
