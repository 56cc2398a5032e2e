/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that wait: contiguous, head to tail, in memory that grows. All zero is empty. */
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

/* Room for `len` bytes at bytes + tail. A generator without memory cannot go on: it ends the program. */
void blast_queue_room(struct blast_queue *q, uint32_t len);
void blast_queue_put(struct blast_queue *q, const void *bytes, uint32_t len);
void blast_queue_fini(struct blast_queue *q);

/* Lets this process have as many open files as it may, at least `need` if that can be; how many. */
uint64_t blast_open_files(uint64_t need);
