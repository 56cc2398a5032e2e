/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors that several small state machines of one thread wait for, behind one descriptor that the
 * daemon's own event loop watches. Control thread only.
 */
#pragma once

#include "mt_base.h"

#include <sys/epoll.h>

struct mt_fds {
	int epoll;
};

/* Part of what waits; `ready` gets EPOLLIN, EPOLLOUT and their like, and may remove any watch, also its own. */
struct mt_fd_watch {
	int fd; /* -1: not watched */
	uint32_t events;
	void (*ready)(struct mt_fd_watch *w, uint32_t events);
};

/* 0 or -errno. */
int mt_fds_init(struct mt_fds *f);
void mt_fds_fini(struct mt_fds *f);

/*
 * Watches w->fd for w->events, which the caller has set, or changes what is waited for. The watch must stay
 * where it is until it is removed. 0 or -errno.
 */
int mt_fds_add(struct mt_fds *f, struct mt_fd_watch *w);
int mt_fds_change(struct mt_fds *f, struct mt_fd_watch *w, uint32_t events);
/* Before the descriptor is closed; w->fd becomes -1. Nothing happens for a watch that is not there. */
void mt_fds_remove(struct mt_fds *f, struct mt_fd_watch *w);

/* Calls who is ready, `max` of them at most, waiting for the first one `wait_ms` (0: not at all; -1: for good). */
void mt_fds_dispatch(struct mt_fds *f, unsigned int max, int wait_ms);
