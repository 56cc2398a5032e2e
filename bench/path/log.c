/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the access log: the worker's part of a line. Rendering is that of bench/micro. */
#include "path.h"

#include "mt_byte_ring.h"

#include <stdlib.h>

/* Records that nothing reads, until there is no place for an empty one. */
static void fill(struct mt_byte_ring *r)
{
	for (uint32_t len = 1024; len; len /= 2)
		while (mt_byte_ring_reserve(r, len))
			continue;
	while (mt_byte_ring_reserve(r, 0))
		continue;
	mt_byte_ring_publish(r);
	r->lost = 0;
}

struct mt_byte_ring *path_log_new(bool full)
{
	struct mt_byte_ring *r = aligned_alloc(64, sizeof(*r));
	void *bytes = calloc(1, MT_BYTE_RING_SIZE);

	if (!r || !bytes)
		bench_die("access log: no memory", NULL);
	mt_byte_ring_init(r, bytes, MT_BYTE_RING_SIZE);
	if (full)
		fill(r);
	return r;
}

void path_log_free(struct mt_byte_ring *r)
{
	if (r)
		free(r->bytes);
	free(r);
}

void path_log_turn(struct path_lane *l)
{
	uint32_t len;

	while (!l->o->log_full && mt_byte_ring_peek(l->log, &len)) {
		mt_byte_ring_pop(l->log);
		l->logged++;
	}
}
