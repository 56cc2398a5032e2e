/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layers of the simulator: transports over another transport, between a host's TCP and what uses streams there. Two are toys of
 * what TLS and HTTP/2 will be, and hold lib/stream, lib/tcp and lib/proxy to what a layer needs of them; the third is TLS as it is built.
 */
#pragma once

#include "mt_tcp.h"
#include "sim.h"

struct layer;
struct mt_tls_context;
struct mt_tls_layer;

enum layer_kind { LAYER_NONE, LAYER_RECORDS, LAYER_MUX, LAYER_TLS };

struct layer_ops {
	/* Before a turn of its worker: looks after its timers. Calls no user. */
	void (*turn)(struct layer *l);
	/* When it wants a turn. */
	uint64_t (*next)(struct layer *l);
	/* After a turn: what is wrong, or NULL. */
	const char *(*check)(struct layer *l);
	/* Streams that are there. */
	uint32_t (*live)(const struct layer *l);
	void (*destroy)(struct layer *l);
};

/* One worker's. */
struct layer {
	const struct layer_ops *ops;
	struct sim *sim;
	const char *name; /* of the host */
	struct mt_pools *pools;
	struct mt_transport transport; /* what opens its streams */
	struct mt_transport *lower;
	const struct mt_listen_ops *lower_listen; /* the layer's, of what comes from below */
	const struct mt_listen_ops *listen;	  /* who takes those that others open */
	void *listen_arg;
};

/* A layer over the worker's TCP: what others connect to goes through it. It opens streams only for who is given its transport. */
struct layer *layer_new(enum layer_kind kind, struct sim *s, const char *name,
	struct mt_pools *pools, struct mt_tcp *tcp);
/* NULL is no layer, in these. */
void layer_check(struct layer *l);
uint64_t layer_next(struct layer *l);
/* Fails the seed when streams are left, and frees it. */
void layer_end(struct layer *l);
/* From here on, what others open to this worker goes through the layer. */
void layer_listen(struct layer *l, struct mt_tcp *tcp);

/* It happened once more. */
static inline void layer_saw(const struct layer *l, enum sim_layer_event e)
{
	l->sim->st.layer[e]++;
}

struct layer *layer_records_new(void);
struct layer *layer_mux_new(void);
struct layer *layer_tls_new(void);
/* When it has what layer_new() gives it. */
void layer_tls_begin(struct layer *l);
/* For who has it by his configuration, in contexts that are alike but for who they are. */
struct mt_tls_layer *layer_tls_of(struct layer *l);
struct mt_tls_context *layer_tls_context(uint32_t n);
