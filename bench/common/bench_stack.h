/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/common: code shared by the benches and the load generator. This header: one host's lib/net
 * and lib/tcp on one port, without a worker. The caller provides the application (the events of its
 * streams), the clock and the loop. One thread owns all of it.
 */
#pragma once

#include "mt_net.h"
#include "mt_tcp.h"

struct bench_stack {
	struct mt_port *port;
	struct mt_pools *pools;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
};

struct bench_stack_conf {
	struct mt_port *port; /* only queue 0 is used */
	struct mt_pools *pools;
	const struct mt_steer *steer; /* with one worker */
	const struct mt_net_conf *net;
	const struct mt_tcp_conf *tcp;
	const struct mt_listen_ops *listen;
	void *listen_arg;
	const uint8_t *secret; /* 32 bytes; NULL: a fixed one for tests and benches */
	uint64_t net_seed, tcp_seed, now;
};

/* Returns 0, or -errno with the reason in `e`, and then there is nothing to close. Boot only. */
int bench_stack_open(struct bench_stack *s, const struct bench_stack_conf *c, struct mt_err *e);
/* An all-zero stack is allowed. */
void bench_stack_close(struct bench_stack *s);

/*
 * Runs one loop iteration of the host: received packets, timers, events, packets to send. True if
 * packets were received.
 */
bool bench_stack_turn(struct bench_stack *s, uint64_t now);

/*
 * A network with one address and, if `gateway` is not NULL, a route to `beyond` ("0.0.0.0/0")
 * through it.
 */
struct bench_net {
	struct mt_net_addr_conf addr;
	struct mt_net_route_conf route;
	struct mt_net_conf conf; /* has pointers into this struct */
};
/* Returns 0, or -EINVAL with the invalid word in `e`. */
int bench_net_make(struct bench_net *n, const char *address, const char *beyond,
	const char *gateway, struct mt_err *e);
