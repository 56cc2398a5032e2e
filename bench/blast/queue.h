/* SPDX-License-Identifier: Apache-2.0 */
/* A byte queue: contiguous, from head to tail, in memory that grows. All zero is empty. */
#pragma once

#include "mt_base.h"

struct blast_queue {
	uint8_t *bytes;
	uint32_t head, tail, size;
};

static inline uint32_t blast_queue_len(const struct blast_queue *q)
{
	return q->tail - q->head;
}

/* Makes room for `len` bytes at bytes + tail. Running out of memory ends the program. */
void blast_queue_room(struct blast_queue *q, uint32_t len);
void blast_queue_put(struct blast_queue *q, const void *bytes, uint32_t len);
void blast_queue_fini(struct blast_queue *q);

/*
 * Raises this process's limit of open files to the maximum, at least `need` if possible; returns
 * the limit.
 */
uint64_t blast_open_files(uint64_t need);
