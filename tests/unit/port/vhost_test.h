/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of guests in tests: one socket in a directory of its own, and what connects to it. */
#pragma once

#include "mt_port_vhost.h"

struct rte_rcu_qsbr;

#define VHOST_WORKERS 2

struct vhost_port {
	struct mt_port *port;
	char directory[32], socket[64];
	char runs[64]; /* a file that the guest makes when its driver runs */
};

/* The port is open; its hypervisor is not there yet. */
void vhost_port_open(struct vhost_port *v, uint16_t pairs, struct rte_rcu_qsbr *qsbr);
void vhost_port_close(struct vhost_port *v);
/* True if the port is, or becomes, up (or down) within some seconds. */
bool vhost_port_becomes(const struct vhost_port *v, bool up);
struct mt_vhost_counts vhost_port_counts(const struct vhost_port *v);

/* A process with DPDK's virtio_user as the guest, which sends each frame back from its queue. */
pid_t guest_start(const struct vhost_port *v, uint16_t pairs);
/*
 * True if its driver runs within some seconds. It drops frames that come before, although the port
 * is up.
 */
bool guest_runs(const struct vhost_port *v);
/* Ends it: SIGTERM lets it stop its driver. */
void guest_end(pid_t guest, int signal);
/* Truncates the memory of a stopped (SIGSTOP) guest. */
void guest_truncate(pid_t guest);
/* The program of that process. */
int guest_main(const char *socket, const char *pairs, const char *runs);
