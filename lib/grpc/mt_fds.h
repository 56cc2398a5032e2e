/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An epoll instance for the descriptors of several small state machines of one thread. The thread's
 * event loop watches only its descriptor.
 */
#pragma once

#include "mt_base.h"

#include <sys/epoll.h>

struct mt_fds {
	int epoll;
};

/*
 * A watched descriptor, member of its user's struct. `ready` gets EPOLLIN and so on, and may remove
 * any watch.
 */
struct mt_fd_watch {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*ready)(struct mt_fd_watch *w, uint32_t events);
};

/* 0 or -errno. */
int mt_fds_init(struct mt_fds *f);
void mt_fds_fini(struct mt_fds *f);

/*
 * Starts to watch w->fd for w->events, or changes the events. The caller fills *w before
 * mt_fds_add(), and must not move it until it is removed. Return 0 or -errno.
 */
int mt_fds_add(struct mt_fds *f, struct mt_fd_watch *w);
int mt_fds_change(struct mt_fds *f, struct mt_fd_watch *w, uint32_t events);
/*
 * Stops watching and sets w->fd to -1. Call before the descriptor is closed. Does nothing if w->fd
 * is -1.
 */
void mt_fds_remove(struct mt_fds *f, struct mt_fd_watch *w);

/*
 * Calls `ready` for at most `max` events. Waits up to `wait_ms` for the first one (0: no wait; -1:
 * no limit).
 */
void mt_fds_dispatch(struct mt_fds *f, unsigned int max, int wait_ms);
