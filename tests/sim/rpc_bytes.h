/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that grow, with a read position. All-zero is empty; free(b->b) ends it. */
#pragma once

#include "sock.h"

struct rpc_bytes {
	uint8_t *b;
	uint32_t off, len, cap;
};

/* Room for n bytes at the end; returned, and counted as there. */
uint8_t *rpc_room(struct rpc_bytes *b, uint32_t n);
void rpc_put(struct rpc_bytes *b, const void *p, uint32_t n);
void rpc_put8(struct rpc_bytes *b, uint8_t v);
void rpc_put16(struct rpc_bytes *b, uint16_t v);
void rpc_put32(struct rpc_bytes *b, uint32_t v);
void rpc_put64(struct rpc_bytes *b, uint64_t v);
void rpc_skip(struct rpc_bytes *b, uint32_t n);
/* Moves up to `max` bytes (0: all) to the socket; false: it takes no more now. */
bool rpc_flush(struct rpc_bytes *b, struct sim_sock *k, uint32_t max);

static inline void rpc_clear(struct rpc_bytes *b)
{
	b->off = b->len = 0;
}
