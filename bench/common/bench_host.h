/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An end host: lib/net and lib/tcp with an application that sends, or answers, one fixed request.
 * With `outstanding` > 0 a client keeps that many requests in flight on each connection, for ever;
 * with 0 it sends only on bench_host_ask(). Client connections are numbered from 0 in the order of
 * opening.
 */
#pragma once

#include "bench_message.h"
#include "bench_stack.h"
#include "bench_tls.h"

/* Life of a client's connection. */
enum bench_life {
	BENCH_STAYS,
	/* sends one request, closes after the reply, ends when the peer has closed, too */
	BENCH_ONCE,
	BENCH_ONCE_LET_GO, /* the same, but is detached after the reply */
};

struct bench_host_conf {
	enum bench_codec codec;
	uint32_t size;
	bool server;
	const struct mt_net_conf *net;
	struct mt_port *port;
	struct mt_pools *pools;
	const struct mt_steer *steer; /* of this host, with one worker */
	/*
	 * Client: opens connections so that this worker of this node owns them; NULL: no
	 * restriction.
	 */
	const struct mt_steer *node;
	uint16_t worker;
	const struct mt_tcp_conf *tcp; /* max_conns must be set */
	uint32_t outstanding;
	uint64_t now;
	const struct bench_tls_end
		*tls; /* if not NULL, all connections use TLS. It must outlive the host */
};

struct bench_host_counts {
	uint32_t connected, open;
	uint64_t replies, errors;
	uint64_t
		no_memory; /* of the errors: messages that were not sent for lack of free buffers */
};

struct bench_host;

/* Returns NULL with the reason in `e`. */
struct bench_host *bench_host_create(const struct bench_host_conf *c, struct mt_err *e);
void bench_host_destroy(struct bench_host *h);
void bench_host_turn(struct bench_host *h, uint64_t now);
/* False: no more connections or ports are available. The SYN is sent in the next loop iteration. */
bool bench_host_open(
	struct bench_host *h, const struct mt_addr *vip, uint16_t port, enum bench_life life);
/* Sends a request on connection i, unless a reply is outstanding. */
bool bench_host_ask(struct bench_host *h, uint32_t i);
const struct bench_host_counts *bench_host_counts(const struct bench_host *h);
struct mt_tcp *bench_host_tcp(struct bench_host *h);
/* Slab of this host's connections. */
const struct mt_slab *bench_host_slab(const struct bench_host *h);
