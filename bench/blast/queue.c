/* SPDX-License-Identifier: Apache-2.0 */
#include "queue.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

void blast_queue_room(struct blast_queue *q, uint32_t len)
{
	if (q->size - q->tail >= len)
		return;
	if (q->head) {
		memmove(q->bytes, q->bytes + q->head, blast_queue_len(q));
		q->tail -= q->head;
		q->head = 0;
	}
	if (q->size - q->tail >= len)
		return;
	while (q->size - q->tail < len)
		q->size = q->size ? q->size * 2 : 1024;
	q->bytes = realloc(q->bytes, q->size);
	if (!q->bytes) {
		fputs("meltemi-blast: no memory left; use fewer connections or smaller messages\n",
			stderr);
		exit(4);
	}
}

void blast_queue_put(struct blast_queue *q, const void *bytes, uint32_t len)
{
	blast_queue_room(q, len);
	memcpy(q->bytes + q->tail, bytes, len);
	q->tail += len;
}

void blast_queue_fini(struct blast_queue *q)
{
	free(q->bytes);
	*q = (struct blast_queue){0};
}

uint64_t blast_open_files(uint64_t need)
{
	struct rlimit limit, more;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	more = (struct rlimit){need, need};
	if (limit.rlim_max < need && setrlimit(RLIMIT_NOFILE, &more) == 0)
		return need;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max;
}
