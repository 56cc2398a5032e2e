/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy under test: the real workers of lib/worker, turned by hand in an order that the seed
 * chooses, over a simulated port.
 */
#pragma once

#include "config.h"
#include "layer.h"
#include "pool_sim.h"
#include "port_sim.h"

#include "mt_worker.h"

struct mesh {
	struct sim_host host; /* addresses and name; no applications run here */
	struct sim *sim;
	struct sim_port port;
	struct mt_port *ports[1];
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_worker *w[SIM_MAX_WORKERS];
	struct mt_pools *pools[SIM_MAX_WORKERS];
	struct mt_worker_conf conf[SIM_MAX_WORKERS];
	struct mt_proxy_conf proxy;
	uint32_t shared_out[SIM_MAX_WORKERS]; /* mesh_share_out() */
	struct layer *layer[SIM_MAX_WORKERS]; /* between tcp and the proxy; or NULL */
	uint32_t workers;
	struct config_store store;
	uint64_t turn_at;
	/* A reload at every n-th turn of a worker; 0: none. */
	uint32_t reload_every, turns, idle_turns;
	uint32_t look_every; /* at all connections and calls, behind each n-th turn; 0: each */
	uint64_t stalled_until[SIM_MAX_WORKERS]; /* the worker has no CPU so long */
	/* Turns take time, by their steps (steps.h); 0: none. The longest turn so far, and all of them. */
	uint32_t ns_of_1000_steps;
	uint64_t longest_ns, busy_ns;
	void (*reload)(void *arg);
	void *reload_arg;
	struct asked *asked;	 /* who answers questions about calls (asked.h); NULL: nobody */
	struct limiter *limiter; /* the same, about limits (limiter.h) */
	/* transplant.c */
	struct mt_rand transplant_rand;
	bool transplants;
	uint32_t transplant_every, transplant_turns;
	/* entries.c: entries of the access log (NULL: no log), and what was read of them */
	struct mt_byte_ring *log[SIM_MAX_WORKERS];
	uint64_t log_entries, log_bytes;
	struct entry_heard *heard;
	uint32_t n_heard, heard_room;
	/* Iterations in a row that left something in the worker's inbox. */
	uint32_t rung[SIM_MAX_WORKERS];
};

void mesh_init(struct mesh *m, struct sim *s, uint8_t number, uint32_t workers, uint32_t slot,
	const struct mt_tcp_conf *tcp, const struct mt_proxy_conf *proxy, const struct config *c);
/* Before anything runs: streams of clients (`down`), of servers (`up`), are a layer's. */
void mesh_layer(struct mesh *m, enum layer_kind kind, bool down, bool up);
void mesh_kick(struct mesh *m, uint64_t at);
/* Workers stand still now and then, for 10 ms to a second. */
void mesh_stalls(struct mesh *m);
/* One of them does. */
bool mesh_stands_still(const struct mesh *m);
/* No connection of either side, no exchange. */
bool mesh_idle(const struct mesh *m);
/* Every worker drains. */
void mesh_drain(struct mesh *m);
void mesh_fini(struct mesh *m);
/* Adds what workers have counted to the trace's hash (outcomes.c). */
void mesh_outcomes(const struct mesh *m);
void mesh_check_pools(struct mesh *m);
/* Classes of the worker's memory are bounded by their shares of so many buffers; 0: they are not. */
void mesh_share_out(struct mesh *m, uint32_t worker, uint32_t buffers);
/* Calls under way. */
uint32_t mesh_exchanges(const struct mesh *m);
uint64_t mesh_counter(const struct mesh *m, uint32_t proxy_outcome);
uint64_t mesh_tcp_counter(const struct mesh *m, uint32_t tcp_outcome);
/* More connections came from SYN cookies than cookies were sent. */
bool mesh_cookie_replayed(void *mesh);
