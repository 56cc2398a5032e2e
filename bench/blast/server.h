/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matching server: answers each call with its token and the length it asks for, at once or after a
 * delay. Threads have sockets of their own and share the port by
 * SO_REUSEPORT.
 */
#pragma once

#include "mt_slab.h"
#include "options.h"
#include "queue.h"

/* A reply that waits for its time. */
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
/* Takes the earliest; the heap is not empty. */
void blast_heap_pop(struct blast_heap *h, struct blast_later *l);

/* Serves until SIGTERM or SIGINT; the exit status. Says {"ready": true} when it does. */
int blast_server(const struct blast_options *o);
