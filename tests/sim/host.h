/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: addresses, and the verbs of applications whatever stack is below. */
#pragma once

#include "sock.h"

/* Host `number` is 10.0.0.number and fd00::number; its MAC ends in the number. */
void sim_host_addrs(uint8_t number, struct mt_addr *a4, struct mt_addr *a6);
void sim_host_mac(uint8_t number, uint8_t mac[6]);

static inline struct sim_sock *sim_connect(struct sim_host *h, const struct mt_addr *to,
	uint16_t port, const struct sim_app *app, void *ctx)
{
	h->sim->connects++;
	return h->ops->connect(h, to, port, app, ctx);
}

static inline void sim_listen(struct sim_host *h, uint16_t port,
	void (*on_accept)(void *ctx, struct sim_sock *k), void *ctx)
{
	h->ops->listen(h, port, on_accept, ctx);
}

static inline void sim_host_at(
	struct sim_host *h, uint64_t at, void (*fn)(void *ctx, uint64_t n), void *ctx, uint64_t n)
{
	h->ops->at(h, at, fn, ctx, n);
}
