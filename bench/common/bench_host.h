/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An end host: lib/net and lib/tcp with an application that asks, or answers, the one request that it
 * knows. As a client it asks on its own (`outstanding` > 0: that many at a time on each connection, for
 * ever), or when it is told to (0). Clients' connections are named by their order, from 0.
 */
#pragma once

#include "bench_message.h"
#include "bench_stack.h"
#include "bench_tls.h"

/* A connection's life, client's side. */
enum bench_life {
	BENCH_STAYS,
	BENCH_ONCE, /* asks once, closes when it was answered, ends when the peer closed, too */
	BENCH_ONCE_LET_GO, /* the same, but is forgotten when it was answered */
};

struct bench_host_conf {
	enum bench_codec codec;
	uint32_t size;
	bool server;
	const struct mt_net_conf *net;
	struct mt_port *port;
	struct mt_pools *pools;
	const struct mt_steer *steer; /* its own, of one worker */
	/* Client: connections are opened so that this worker of this node owns them; NULL: no matter. */
	const struct mt_steer *node;
	uint16_t worker;
	const struct mt_tcp_conf *tcp; /* max_conns is stated */
	uint32_t outstanding;
	uint64_t now;
	const struct bench_tls_end
		*tls; /* all connections are TLS; NULL: none is. It outlives the host */
};

struct bench_host_counts {
	uint32_t connected, open;
	uint64_t replies, errors;
	uint64_t
		no_memory; /* of the errors: messages that were not sent, because buffers ran out */
};

struct bench_host;

/* NULL with the reason in `e`. */
struct bench_host *bench_host_create(const struct bench_host_conf *c, struct mt_err *e);
void bench_host_destroy(struct bench_host *h);
void bench_host_turn(struct bench_host *h, uint64_t now);
/* false: there are no more connections, or ports. Nothing is sent before the next turn. */
bool bench_host_open(
	struct bench_host *h, const struct mt_addr *vip, uint16_t port, enum bench_life life);
/* Sends a request on connection i, unless it waits for a reply. */
bool bench_host_ask(struct bench_host *h, uint32_t i);
const struct bench_host_counts *bench_host_counts(const struct bench_host *h);
struct mt_tcp *bench_host_tcp(struct bench_host *h);
/* Its own connections' objects. */
const struct mt_slab *bench_host_slab(const struct bench_host *h);
