/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matching server: answers each call with its token and the requested length, at once or after
 * a delay. Threads have sockets of their own and share the port by SO_REUSEPORT.
 */
#pragma once

#include "mt_slab.h"
#include "options.h"
#include "queue.h"

/* A reply that is due later. */
struct blast_later {
	uint64_t at, id;
	struct mt_ref peer;
	uint32_t size;
	uint8_t head[BLAST_HEAD];
};

/* A binary min-heap by time. All zero is empty. */
struct blast_heap {
	struct blast_later *items;
	uint32_t n, cap;
};

void blast_heap_push(struct blast_heap *h, const struct blast_later *l);
/* Removes the earliest item; the heap must not be empty. */
void blast_heap_pop(struct blast_heap *h, struct blast_later *l);

/*
 * Serves until SIGTERM or SIGINT; returns the exit status. Prints {"ready": true} when it is ready.
 */
int blast_server(const struct blast_options *o);

/*
 * The same in background threads. `ios`: one per thread; NULL: kernel sockets. Returns 0 or -errno.
 */
int blast_server_start(const struct blast_options *o, struct blast_io *const *ios);
/* Ends the threads of either kind. */
void blast_server_stop(const struct blast_options *o);
bool blast_server_stopped(void);
int blast_server_thread(uint32_t i, void *(*run)(void *arg), void *arg);

/*
 * stripped.c: runs stripped hosts on ports, one per thread. Returns 0 or -errno; the reason was
 * printed.
 */
int blast_stripped_start(const struct blast_options *o, struct blast_port *ports);
/* Call it after they ended: prints their counters and returns false if there were errors. */
bool blast_stripped_tell(void);
