/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the access log: the worker's part of a line. Rendering is that of bench/micro. */
#include "path.h"

#include "mt_byte_ring.h"

#include <stdlib.h>

struct mt_byte_ring *path_log_new(void)
{
	struct mt_byte_ring *r = aligned_alloc(64, sizeof(*r));
	void *bytes = calloc(1, MT_BYTE_RING_SIZE);

	if (!r || !bytes)
		bench_die("access log: no memory", NULL);
	mt_byte_ring_init(r, bytes, MT_BYTE_RING_SIZE);
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

	while (mt_byte_ring_peek(l->log, &len)) {
		mt_byte_ring_pop(l->log);
		l->logged++;
	}
}
