/* SPDX-License-Identifier: Apache-2.0 */
/* The world of the proxy scenarios: clients, the mesh node, servers. */
#pragma once

#include "app_rpc.h"
#include "app_stream.h"
#include "mesh.h"
#include "mt_codec_table.h"
#include "own.h"
#include "peer.h"

#define WORLD_CLIENTS 2
#define WORLD_SERVERS 3
#define WORLD_HOSTS   (WORLD_CLIENTS + WORLD_SERVERS)
#define WORLD_PORT    7000 /* of listener 0; listener i: + i */
#define SERVER_PORT   9000

/* A host of either kind. */
struct world_host {
	bool is_peer;
	struct own own;
	struct peer peer;
	struct sim_host *host;
};

struct world {
	struct sim *sim;
	struct sim_net net;
	struct mesh mesh;
	struct world_host h[WORLD_HOSTS]; /* clients first */
	uint32_t severity;
	struct config config;
	struct mt_proxy_conf proxy;
	struct mt_tcp_conf tcp;
	struct rpc_set rpc;
	struct stream_set streams;
	uint32_t reloads, reloads_blocked;
	bool large_pools, huge_pools; /* of the node */
	bool peers;		      /* all hosts but the node */
	struct world_layer {
		enum layer_kind kind;
		bool down, up; /* between clients and the node, between the node and servers */
	} layer;
	enum mt_proxy_outcome
		must_count; /* the node counts this once at least; 0: no matter what */
	/* another client comes when all have ended and too few calls were exchanged (world_run_calls()) */
	bool latecomer;
	/* world_few_ids(): the codec, but for its range of ids; others are tables of codec files */
	struct mt_codec_table few_ids;
};

/*
 * Hosts, wires, the node; byte streams are served on WORLD_PORT. w->config may be changed before
 * world_go().
 */
struct world *world_new(struct sim *s, uint32_t max_severity);
/* The next world's hosts are independent peers, which have as many connections as they are asked for. */
void world_peers(void);
/* The next world's streams are a layer's. */
void world_layer(struct world_layer layer);
/* The same for calls, in a protocol that the seed chooses. */
struct world *world_new_rpc(struct sim *s, uint32_t max_severity, enum protocol_want want);
/* So few ids that they come round within a seed. */
void world_few_ids(struct world *w);
/* Creates the node from w->config, w->tcp and w->proxy. */
void world_go(struct world *w);
/* The same, with up to three services, any balancers, weights and outlier rules, and workers that stand still. */
void world_go_varied(struct world *w);
/* Calls time out, for which a cluster's rule may put servers aside: a hash leads elsewhere then. After world_go_varied(). */
void world_late(struct world *w);
static inline struct sim_host *world_client(struct world *w, uint32_t i)
{
	return w->h[i % WORLD_CLIENTS].host;
}
static inline struct sim_host *world_server(struct world *w, uint32_t i)
{
	return w->h[WORLD_CLIENTS + i % WORLD_SERVERS].host;
}
/* Nobody's windows, delayed ACKs or wires take seconds: what is slow is said by the scenario. After world_go(). */
void world_brisk(struct world *w);
/* The same, all wires alike and without faults, and the node's turns take the time of their steps. After world_go(). */
void world_even(struct world *w);
/* A server on each of their hosts, in the listener's protocol. */
void world_servers(struct world *w);
/* Starts servers and clients, runs until all calls have ended, and checks. */
void world_run_calls(struct world *w);
/* The same, and ends the world. */
void world_calls(struct world *w);
/*
 * Goes with ten byte streams of at most so many bytes each through the proxy, checks them, and ends the world. In every second
 * seed the node has `buffers` to share out.
 */
void world_streams_by_proxy(struct world *w, uint32_t most, uint32_t buffers);
/* Runs until nothing lives any more, checks that, and frees. */
void world_end(struct world *w);
