/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each reference to a data buffer, on all hosts together, is charged to a connection or belongs to a packet that is under way:
 * in a queue of lib/net, handed to another worker, still held by the device, or lent along a wire to a port that takes the
 * sender's own buffers. The two sides are counted apart, one from the buffers and one from their holders, and are equal.
 */
#pragma once

#include "port_sim.h"

#include "mt_proxy.h"
#include "mt_tcp.h"

/* A seed begins, or another world of it: there are no stacks and no ports. */
void sim_refs_begin(void);
/* A worker of some host; takes the place of an earlier one with these pools. proxy NULL: it has none. */
void sim_refs_stack(struct mt_pools *pools, struct mt_tcp *tcp, struct mt_netw *net,
	const struct mt_proxy *proxy);
void sim_refs_port(const struct sim_port *port, const struct mt_steer *steer);
/* Behind a turn of all workers of a host; looks at some of them. Fails the seed when the sides differ. */
void sim_refs_check(struct sim *s);
/* Nothing is open there: nothing is charged. */
void sim_refs_none(struct sim *s, struct mt_tcp *tcp, const char *host);
