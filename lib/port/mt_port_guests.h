/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ports of guests that a node has now: the order in which its workers receive from them, and
 * which worker sends to them.
 *
 * The control thread attaches and detaches ports while workers run. Each receive queue has one
 * worker (mt_vhost_owner()). A worker keeps two lists of its queues: busy ones, which had packets
 * at the last visit, and idle ones. Both are visited in rotation:
 * - Idle queues come first, because busy ones might take the whole budget. Each is visited every
 *   MT_GUESTS_IDLE_NS, unless that needs more than MT_GUESTS_IDLE visits a turn.
 * - Busy queues share what is left of MT_GUESTS_TURN packets. The next turn continues with the
 *   queue after the last one, so that a flood of one guest does not delay the next ones.
 *
 * Each queue towards a guest has one worker, too, because the library makes others wait while one
 * fills it. A worker sends by the pair of queues that it receives from, if the guest uses that
 * pair. Otherwise it hands its frames to the worker of the first pair, by a ring.
 *
 * A detached port is not used after mt_guests_detach(), which waits until each worker has reported
 * quiescence. Workers see the change at the start of their next turn, and then collect their queues
 * again.
 */
#pragma once

#include "mt_port_vhost.h"

#define MT_GUESTS_BURST	     32u  /* packets from a busy queue in a turn */
#define MT_GUESTS_IDLE_BURST 8u	  /* from an idle one */
#define MT_GUESTS_TURN	     256u /* from all */
#define MT_GUESTS_IDLE	     8u	  /* visits of idle queues in a turn */
#define MT_GUESTS_IDLE_NS    200000u

struct mt_guests;
struct mt_guests_worker;

/*
 * Returns the pairs of queues that a guest uses; 0: no frame can be moved. Workers. It is
 * mt_vhost_active() but in tests.
 */
typedef uint16_t mt_guests_pairs(const struct mt_port *p);

/* NULL: no memory. Boot only. */
struct mt_guests *mt_guests_create(uint16_t workers, mt_guests_pairs *pairs);
/* Frees the frames in rings, too. No worker runs any more. */
void mt_guests_destroy(struct mt_guests *g);
/* The part of one worker; mt_guests_destroy() frees it. */
struct mt_guests_worker *mt_guests_worker(struct mt_guests *g, uint16_t worker);

/*
 * Shows a port to the workers, as that of the guest with this number, below MT_VHOST_MAX. Returns
 * 0 or -EEXIST. Control thread.
 */
int mt_guests_attach(struct mt_guests *g, uint16_t number, struct mt_port *p);
/*
 * Hides the port from the workers and waits until none uses it. Returns it; NULL: there was none.
 * Control thread. `qsbr` NULL: no worker runs, or the caller waits itself.
 */
struct mt_port *mt_guests_detach(struct mt_guests *g, uint16_t number, struct rte_rcu_qsbr *qsbr);

/* Takes packets of the guest with this number. */
typedef void mt_guests_take(void *arg, uint16_t number, struct rte_mbuf **pkts, uint16_t n);

/*
 * Sends what other workers have handed over, at most MT_GUESTS_TURN frames, then receives from the
 * worker's queues. Returns the number of packets of both. The worker, once a turn.
 */
uint32_t mt_guests_receive(
	struct mt_guests_worker *w, uint64_t now, mt_guests_take *take, void *arg);

/*
 * Sends frames to the guest with this number, below MT_VHOST_MAX. Takes the first ones, and returns
 * how many; the others stay the caller's, because the guest's queue, or the ring to its worker, is
 * full, or because the guest's driver does not run. If no guest has the number, all are dropped and
 * counted. Frames that were handed over, and that the guest's queue does not take, are dropped and
 * counted as tx_stranded. The worker.
 */
uint16_t mt_guests_send(
	struct mt_guests_worker *w, uint16_t number, struct rte_mbuf **pkts, uint16_t n);
/* Frames that were dropped because no guest had their number any more. Any thread. */
uint64_t mt_guests_gone(const struct mt_guests *g);
