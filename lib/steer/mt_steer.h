/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/steer: which worker owns a tuple. owner(tuple) is the only authority for RSS, for the
 * software distributor and for the choice of an upstream source port. So replies come back to the
 * worker that sent the request. Packets that arrive at another worker go to the owner through a
 * bounded hand-off ring.
 *
 * Called by lib/port (key and RETA of devices that have RSS), lib/net (hash of received packets,
 * ICMP errors by their inner tuple), lib/tcp (source ports) and lib/worker (hand-off, once per loop
 * iteration).
 *
 * Invariants:
 * - owner(tuple) is a pure function of the tuple, because source ports depend on it. The hash is
 *   that of the arriving packet, with the remote side as source, so the owner of an upstream
 *   connection is known before its first packet is sent.
 * - struct mt_steer is read-only after boot, except for rings and poll times. With one worker
 *   nothing is hashed.
 * - Packets of one flow pass through one ring only, so they keep their order.
 * - If a push does not fit, the caller keeps, drops and counts the packet. mt_steer_pop()
 *   alternates between senders.
 * - A distributing worker records each poll of its queues (mt_steer_looked()), so that owners do
 *   not take its pauses for silent peers (mt_steer_is_fed()).
 *
 * Source ports: Toeplitz is linear over XOR. The hash of a tuple with port 0 is computed once, and
 * two tables of 256 words give a port's part, so one attempt costs two loads. This works with any
 * key that a device requires. rte_thash_adjust_tuple is not used, because it rewrites the key.
 *
 * Boot self-test, 256 tuples: mt_steer_check() compares owner, source port tables, RETA and rings
 * with each other. mt_steer_check_device() computes where a device delivers, by an independent hash
 * implementation, from the key and table read back (mt_port_rss_read()). If they differ, the daemon
 * does not start, and the message names a remedy. Later wrong deliveries are counted
 * (worker_rss_misdelivered).
 */
#pragma once

#include "mt_addr.h"
#include "mt_buf.h"
#include "mt_log.h"

#include <rte_ring.h>

#define MT_STEER_KEY_LEN  52 /* i40e and ice need 52; other drivers take the first 40 */
#define MT_STEER_RETA_LEN 128
#define MT_STEER_WORKERS  64
/* ports tried for one source port, multiplied by the number of workers */
#define MT_STEER_PROBES 32

/* Contribution of the local port to a tuple's hash, by byte: Toeplitz is linear over XOR. */
struct mt_steer_port_hash {
	uint32_t hi[256], lo[256];
};

/* Shared by all workers; read-only after boot, except for the rings' contents and `looked`. */
struct mt_steer {
	uint16_t workers;
	uint8_t key[MT_STEER_KEY_LEN] __attribute__((aligned(4)));
	uint8_t key_be[MT_STEER_KEY_LEN]
		__attribute__((aligned(4))); /* in the form that rte_softrss_be() needs */
	uint16_t reta[MT_STEER_RETA_LEN];    /* hash & 127 -> worker */
	struct mt_steer_port_hash port4, port6;
	/* [from][to] hand-off, single producer and consumer; NULL on the diagonal */
	struct rte_ring *rings[MT_STEER_WORKERS][MT_STEER_WORKERS];
	/* time of mt_steer_looked(), by worker; a cache line each */
	uint64_t looked[MT_STEER_WORKERS][8];
};

/*
 * Sets the default key and a round-robin RETA, and makes rings of `ring_size` packets (a power of
 * two). Returns 0; -EINVAL for no or too many workers or a bad ring size; -ENOMEM. Boot only; needs
 * no EAL.
 */
int mt_steer_init(struct mt_steer *s, uint16_t workers, uint32_t ring_size);
/* Frees the rings and the packets still in them. */
void mt_steer_fini(struct mt_steer *s);

/*
 * Adopts the key (`len` bytes, 40 or 52) of a device that keeps its own key or RETA length. Boot
 * only, before any worker runs. Returns 0 or -EINVAL.
 */
int mt_steer_set_key(struct mt_steer *s, const uint8_t *key, uint32_t len);

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
 * Finds a local port in [lo, hi] for which owner(tuple) is `worker`. Tries t->lport and the ports
 * after it (wrapping), at most MT_STEER_PROBES * workers of them, and skips those for which
 * taken(arg, tuple) returns true (`taken` may be NULL). If t->lport is outside of [lo, hi] it
 * starts at lo. Returns 0 and sets t->lport, or -EADDRNOTAVAIL (t unchanged). The caller passes a
 * random t->lport (RFC 6056 §3.3.1).
 */
int mt_steer_source_port(const struct mt_steer *s, uint16_t worker, struct mt_tuple *t, uint16_t lo,
	uint16_t hi, bool (*taken)(void *arg, const struct mt_tuple *t), void *arg);

/*
 * Worker `from` hands packets to worker `to`; returns how many the ring took, the caller keeps the
 * rest. The packet's fields describe it to the receiver: mt_net_input() set l2_len, l3_len and
 * packet_type.
 */
static inline uint16_t mt_steer_push(
	const struct mt_steer *s, uint16_t from, uint16_t to, struct rte_mbuf **pkts, uint16_t n)
{
	return (uint16_t)rte_ring_sp_enqueue_burst(s->rings[from][to], (void **)pkts, n, NULL);
}

/*
 * Takes packets that other workers handed to worker `to`, at most n. *next (initially 0, kept by
 * the worker) selects whose ring comes first, so that a full one cannot starve the others.
 */
uint16_t mt_steer_pop(
	const struct mt_steer *s, uint16_t to, uint16_t *next, struct rte_mbuf **pkts, uint16_t n);

/*
 * Worker `from` polls, at `now`, the receive queues from which it hands packets over. A worker
 * without such queues, because its devices deliver to owners, never calls it.
 */
static inline void mt_steer_looked(struct mt_steer *s, uint16_t from, uint64_t now)
{
	__atomic_store_n(&s->looked[from][0], now, __ATOMIC_RELAXED);
}

/*
 * True if each worker that hands packets to `to` has polled its queues since that time. Otherwise
 * packets for `to` may still lie in those queues, so a peer that seems silent may have answered.
 * Reads other workers' cache lines: not for each loop iteration.
 */
bool mt_steer_is_fed(const struct mt_steer *s, uint16_t to, uint64_t since);

/* ---- boot self-test ------------------------------------------------------------------------- */

/*
 * Checks that owner(), the tables of source ports, the RETA and the rings agree. Returns 0, or
 * -EINVAL with the disagreement in `e`.
 */
int mt_steer_check(const struct mt_steer *s, struct mt_err *e);

/* RSS settings that a device reports. */
struct mt_steer_device {
	const uint8_t *key;
	uint16_t key_len;
	const uint16_t *reta; /* hash % reta_len -> queue; queue q belongs to worker q */
	uint16_t reta_len;
};

/* Checks that the device would deliver a set of tuples to their owners; -EINVAL with the remedy. */
int mt_steer_check_device(const struct mt_steer *s, const struct mt_steer_device *d,
	const char *name, struct mt_err *e);
