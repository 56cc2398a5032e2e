/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host with our own stack: lib/net, lib/tcp and lib/steer over a simulated port, one or more workers
 * whose turns are interleaved by the seed, and applications on streams. The turn is that of lib/worker
 * without a proxy.
 */
#pragma once

#include "host.h"
#include "layer.h"
#include "pool_sim.h"
#include "port_sim.h"

#include "mt_tcp.h"

#define OWN_SOCKS     128
#define OWN_LISTENERS 8

struct own;

struct own_sock {
	struct sim_sock sock; /* first */
	struct own *own;
	struct mt_stream *st; /* NULL: over, but the application has bytes to read */
	uint16_t worker;
	bool used, connected_told, eof_told, lingering;
	enum sim_end end_how;
	uint64_t wake_gen;
	uint64_t acked; /* of a stream that has ended */
	uint8_t *left;	/* bytes that the application had not read when the stream ended */
	uint32_t left_len, left_off;
};

struct own_worker {
	struct own *own;
	uint16_t index;
	struct mt_pools *pools;
	struct mt_netw *net;
	struct mt_tcp *tcp;
	struct layer *layer; /* between its applications and tcp; or NULL */
	uint16_t pop_next;
};

struct own_listener {
	uint16_t port;
	void (*on_accept)(void *ctx, struct sim_sock *k);
	void *ctx;
};

struct own {
	struct sim_host host;
	struct sim *sim;
	struct sim_port port;
	struct mt_steer steer;
	struct mt_net *net;
	struct own_worker w[SIM_MAX_WORKERS];
	uint32_t workers;
	struct own_listener listen[OWN_LISTENERS];
	uint32_t n_listen;
	struct own_sock socks[OWN_SOCKS];
	uint64_t turn_at; /* the turn that is queued; MT_NEVER: none */
	bool dead;
	bool raw; /* what it opens does not go through its layer */
};

/* `slot`: of the pools, one per worker from there on. */
void own_init(struct own *o, struct sim *s, const char *name, uint8_t number, uint32_t workers,
	uint32_t slot, const struct mt_tcp_conf *conf);
/* Before anything runs on it: its applications' streams are the layer's. */
void own_layer(struct own *o, enum layer_kind kind);
/* All connections, half-open and TIME-WAIT records. */
uint32_t own_live(const struct own *o);
/* Ends the stack; fails the seed when something is left behind. */
void own_fini(struct own *o);
/* When all hosts have ended: every mbuf must be back. */
void own_check_pools(struct own *o);
/* A turn is wanted at `at`. */
void own_kick(struct own *o, uint64_t at);
/* Random limits for this seed. */
void own_conf_draw(struct mt_tcp_conf *c, struct mt_rand *r);

/* own_sock.c */
extern const struct sim_host_ops own_host_ops;
extern const struct mt_listen_ops own_listen_ops;
