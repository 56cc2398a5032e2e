/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where bytes go: kernel sockets, or Meltemi's own stack behind sockets of the same kind. Non-blocking
 * and edge-triggered as epoll(7) has it; errors are negative errno. One thread owns an io.
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
	/* The thread that is going to use it; before any other call, and for its end. */
	int (*attach)(struct blast_io *io);
	void (*detach)(struct blast_io *io);
	/* Begins to connect, from `from` if not NULL; events carry `arg`. The socket or -errno. */
	int (*open)(struct blast_io *io, const struct mt_addr *from, const struct mt_addr *to,
		uint16_t port, void *arg);
	/* How connecting ended: 0 or -errno. */
	int (*outcome)(struct blast_io *io, int sock);
	/* Events with a NULL arg say that somebody can be accepted. 0 or -errno. */
	int (*listen)(struct blast_io *io, const struct mt_addr *at, uint16_t port);
	/* A socket, whose events carry `arg`; -EAGAIN: nobody is there. */
	int (*accept)(struct blast_io *io, void *arg);
	/*
	 * At most `len` bytes to the tail. > 0: bytes; 0: nothing there; -EPIPE: the peer closed; other
	 * -errno: the connection is dead.
	 */
	int (*read)(struct blast_io *io, int sock, struct blast_queue *q, uint32_t len);
	/* What can be sent from the head. 0, or -errno when the connection is dead. */
	int (*write)(struct blast_io *io, int sock, struct blast_queue *q);
	void (*close)(struct blast_io *io, int sock, bool reset);
	/* Waits for events until the time `until`; adds to *idle how long there was nothing to do. */
	int (*wait)(struct blast_io *io, struct epoll_event *events, int n, uint64_t until,
		uint64_t *idle);
	void (*destroy)(struct blast_io *io);
};

/* Kernel sockets; NULL: the kernel lets us have none. */
struct blast_io *blast_io_kernel(void);

/* Meltemi's own, one host on a port; see link.h. NULL with the reason in `e`. */
struct blast_port;
struct blast_io *blast_io_stack(struct blast_port *port, struct mt_err *e);

uint64_t blast_now(void);
