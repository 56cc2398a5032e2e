/* SPDX-License-Identifier: Apache-2.0 */
/* State of the node's drain (drain.c). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* ns after the signal; MT_NEVER: no limit. Once it has closed, the drain lasts drain.ms at most. */
struct drain_times {
	uint64_t close; /* when it stops to accept clients if all calls are short */
	uint64_t calls; /* if some take long: their replies then have the rest of `end` */
	uint64_t most;	/* at the latest: opaque connections have no moment between two calls */
	uint64_t end;	/* when connections that are left are reset */
};

struct drain {
	uint64_t from;	    /* ns: when a signal or the command began it; 0: none did */
	uint64_t signal_at; /* ns: when the signal came */
	uint64_t close_at;  /* ns: when it stopped to accept clients; 0: it has not */
	uint64_t idle_at;   /* ns: when workers_drained() found all workers idle; 0: they are not */
	struct drain_times times;
	uint32_t ms;	/* time of the Node when it began */
	uint32_t leave; /* ms for mt_proxy_leave(); workers read it */
	bool logged;	/* the end of the command's drain, or of the time, is logged */
};
