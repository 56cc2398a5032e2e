/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket interface of the generator: kernel sockets, or Meltemi's own stack with the same
 * semantics. Non-blocking and edge-triggered like epoll(7); errors are negative errno. One thread
 * owns an io.
 */
#pragma once

#include "mt_addr.h"
#include "mt_log.h"
#include "queue.h"

#include <sys/epoll.h>

struct blast_io {
	const struct blast_io_ops *ops;
};

struct blast_io_ops {
	/*
	 * Called by the thread that uses it: attach() before any other call, detach() at its end.
	 */
	int (*attach)(struct blast_io *io);
	void (*detach)(struct blast_io *io);
	/*
	 * Starts to connect, from `from` if not NULL; events carry `arg`. Returns the socket or
	 * -errno.
	 */
	int (*open)(struct blast_io *io, const struct mt_addr *from, const struct mt_addr *to,
		uint16_t port, void *arg);
	/* Result of connecting: 0 or -errno. */
	int (*outcome)(struct blast_io *io, int sock);
	/*
	 * Starts to listen; events with a NULL arg mean that a connection can be accepted. Returns
	 * 0 or -errno.
	 */
	int (*listen)(struct blast_io *io, const struct mt_addr *at, uint16_t port);
	/* Returns a socket, whose events carry `arg`; -EAGAIN: none waits. */
	int (*accept)(struct blast_io *io, void *arg);
	/*
	 * Reads at most `len` bytes to the queue's tail. > 0: bytes; 0: none available; -EPIPE: the
	 * peer closed; other -errno: the connection failed.
	 */
	int (*read)(struct blast_io *io, int sock, struct blast_queue *q, uint32_t len);
	/*
	 * Sends as much as possible from the queue's head. Returns 0, or -errno if the connection
	 * failed.
	 */
	int (*write)(struct blast_io *io, int sock, struct blast_queue *q);
	void (*close)(struct blast_io *io, int sock, bool reset);
	/* Waits for events until the time `until`; adds the time without work to *idle. */
	int (*wait)(struct blast_io *io, struct epoll_event *events, int n, uint64_t until,
		uint64_t *idle);
	void (*destroy)(struct blast_io *io);
};

/* Kernel sockets; NULL if none can be opened. */
struct blast_io *blast_io_kernel(void);

/* Meltemi's own stack, one host on a port; see link.h. NULL with the reason in `e`. */
struct blast_port;
struct blast_io *blast_io_stack(struct blast_port *port, struct mt_err *e);

uint64_t blast_now(void);
