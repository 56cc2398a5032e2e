/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/steer: which worker owns a tuple. owner(tuple) is the only truth: for RSS, for the software
 * distributor and for the choice of an upstream source port, so that replies come back to the worker
 * that asked. What arrives elsewhere goes to the owner by a bounded hand-off ring.
 */
#pragma once

#include "mt_addr.h"
#include "mt_buf.h"

#include <rte_ring.h>

#define MT_STEER_KEY_LEN  52 /* enough for IPv6 tuples; drivers take the first 40 */
#define MT_STEER_RETA_LEN 128

/* Read-only after boot; shared by all workers. */
struct mt_steer {
	uint16_t workers;
	uint8_t key[MT_STEER_KEY_LEN];
	uint8_t key_be[MT_STEER_KEY_LEN]; /* as rte_softrss_be() wants it */
	uint16_t reta[MT_STEER_RETA_LEN]; /* hash & 127 -> worker */
	struct rte_ring *rings[64][64];	  /* [from][to] hand-off; NULL on the diagonal */
	void *thash;			  /* rte_thash context for adjust_tuple */
};

/* Symmetric default key, round-robin RETA, rings of `ring_size`. 0 or -errno. Boot only. */
int mt_steer_init(struct mt_steer *s, uint16_t workers, uint32_t ring_size);
void mt_steer_fini(struct mt_steer *s);

/*
 * The Toeplitz hash of a received packet's tuple: remote address and port are the source. IPv4: 12
 * bytes, IPv6: 36 bytes (Microsoft RSS definition).
 */
uint32_t mt_steer_hash(const struct mt_steer *s, const struct mt_tuple *t);

static inline uint16_t mt_steer_owner_of_hash(const struct mt_steer *s, uint32_t hash)
{
	return s->reta[hash % MT_STEER_RETA_LEN];
}

/* 0 without hashing when there is one worker. */
static inline uint16_t mt_steer_owner(const struct mt_steer *s, const struct mt_tuple *t)
{
	return s->workers == 1 ? 0 : mt_steer_owner_of_hash(s, mt_steer_hash(s, t));
}

/*
 * A local port in [lo, hi] for which owner(tuple) is `worker`: tries t->lport and up to 32 followers
 * (wrapping), skipping those for which taken(arg, port) says true. 0 and t->lport set, or
 * -EADDRNOTAVAIL.
 */
int mt_steer_source_port(const struct mt_steer *s, uint16_t worker, struct mt_tuple *t, uint16_t lo,
	uint16_t hi, bool (*taken)(void *arg, const struct mt_tuple *t), void *arg);
