/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of the simulator: the two calls of struct mt_port_ops over the simulated network, behaving as
 * its capability sheet says and as real devices do at their worst.
 */
#pragma once

#include "link.h"

#include "mt_port.h"
#include "mt_steer.h"

#define SIM_RX_QUEUE 1024
#define SIM_HOLD_MAX 256

enum sim_spread {
	SIM_SPREAD_OWNER,  /* RSS as it should be */
	SIM_SPREAD_ONE,	   /* all to queue 0: the distributor's work */
	SIM_SPREAD_RANDOM, /* RSS that disagrees with owner(tuple) */
};

struct sim_held {
	struct rte_mbuf *m;
	uint64_t hash; /* of its bytes when it was sent */
};

struct sim_port {
	struct mt_port port; /* first */
	struct sim_nic nic;
	struct sim *sim;
	struct mt_pools *pools[SIM_MAX_WORKERS];
	const struct mt_steer *steer;
	void (*kick)(void *arg); /* there is something to receive */
	void *kick_arg;
	/* A segment with a wrong checksum is handed to the stack; or NULL. */
	void (*bad_sum)(void *arg, const struct sim_pkt *k);
	enum sim_spread spread;
	uint32_t partial, segments; /* per million: short transmit bursts, split receive buffers */
	struct sim_frame *rxq[SIM_MAX_WORKERS][SIM_RX_QUEUE];
	uint32_t rx_head[SIM_MAX_WORKERS], rx_n[SIM_MAX_WORKERS];
	struct sim_held held[SIM_HOLD_MAX];
	uint32_t n_held, hold; /* hold: how many sent mbufs stay */
	/* What a turn sends leaves when the turn is over: sim_port_turn_begins(), _ends(). */
	bool in_turn;
	struct sim_frame *later, **later_end;
};

void sim_port_init(struct sim_port *p, struct sim *s, const char *name, uint8_t number,
	uint32_t workers, const struct mt_steer *steer);
/* How this seed's device behaves. */
void sim_port_draw(struct sim_port *p, uint32_t severity);
/* The next frame that the owner of its tuple will see, in front of all that wait; it is taken. */
void sim_port_inject(struct sim_port *p, const struct mt_tuple *t, struct sim_frame *f);
bool sim_port_rx_pending(const struct sim_port *p);
/* Between the two nothing leaves; what was sent does at `at`. */
void sim_port_turn_begins(struct sim_port *p);
void sim_port_turn_ends(struct sim_port *p, uint64_t at);
/* For this queue. */
bool sim_port_rx_pending_of(const struct sim_port *p, uint32_t q);
/* Frees what the device still holds. */
void sim_port_fini(struct sim_port *p);
