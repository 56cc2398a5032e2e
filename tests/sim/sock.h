/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an application of the simulator sees of a TCP connection, whoever made it: the independent peer
 * or our own stack. Applications copy bytes in and out; they never see an mbuf.
 */
#pragma once

#include "sim.h"

enum sim_end {
	SIM_END_OK,	/* both directions ended in order */
	SIM_END_RESET,	/* the other side reset it */
	SIM_END_FAILED, /* connect refused, time-out, unreachable, no memory, ... */
};

struct sim_sock;

struct sim_app {
	void (*connected)(struct sim_sock *k); /* also on the accepting side */
	void (*readable)(struct sim_sock *k);
	void (*eof)(struct sim_sock *k);
	void (*writable)(struct sim_sock *k);
	void (*wake)(struct sim_sock *k); /* asked for by sim_sock_wake() */
	/* The socket is gone on return. */
	void (*closed)(struct sim_sock *k, enum sim_end how);
};

struct sim_sock_ops {
	uint32_t (*send)(struct sim_sock *k, const void *p, uint32_t n); /* returns bytes taken */
	uint32_t (*recv)(struct sim_sock *k, void *p, uint32_t n);
	void (*shutdown)(struct sim_sock *k);
	/* RST; the socket is gone on return, nobody is told. */
	void (*abort)(struct sim_sock *k);
	/* Lets go: what was sent is delivered, what comes is not read. Gone on return as well. */
	void (*close)(struct sim_sock *k);
	void (*wake)(struct sim_sock *k, uint64_t at);
	/* Of the bytes that were sent, those that the other side's machine has acknowledged. Also inside closed(). */
	uint64_t (*acked)(const struct sim_sock *k);
};

struct sim_sock {
	const struct sim_sock_ops *ops;
	const struct sim_app *app;
	struct sim *sim;
	void *ctx;    /* the application's */
	uint32_t uid; /* never used twice in a seed */
	bool eof;     /* the peer's FIN was delivered */
};

/* A host that applications run on. */
struct sim_host_ops {
	/* NULL: it could not even start. */
	struct sim_sock *(*connect)(void *host, const struct mt_addr *to, uint16_t port,
		const struct sim_app *app, void *ctx);
	/* on_accept sets sock->app and ctx. */
	void (*listen)(void *host, uint16_t port, void (*on_accept)(void *ctx, struct sim_sock *k),
		void *ctx);
	/* Runs fn(ctx, n) at `at` where sockets of this host may be used. */
	void (*at)(
		void *host, uint64_t at, void (*fn)(void *ctx, uint64_t n), void *ctx, uint64_t n);
};

struct sim_host {
	const struct sim_host_ops *ops;
	struct sim *sim;
	const char *name;
	struct mt_addr addr4, addr6;
	void *impl;
};

static inline uint32_t sim_sock_send(struct sim_sock *k, const void *p, uint32_t n)
{
	return k->ops->send(k, p, n);
}

static inline uint32_t sim_sock_recv(struct sim_sock *k, void *p, uint32_t n)
{
	return k->ops->recv(k, p, n);
}

static inline void sim_sock_shutdown(struct sim_sock *k)
{
	k->ops->shutdown(k);
}

static inline void sim_sock_abort(struct sim_sock *k)
{
	k->ops->abort(k);
}

static inline void sim_sock_close(struct sim_sock *k)
{
	k->ops->close(k);
}

static inline void sim_sock_wake(struct sim_sock *k, uint64_t at)
{
	k->ops->wake(k, at);
}
