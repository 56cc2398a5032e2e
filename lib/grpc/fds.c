/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fds.h"

#include <errno.h>
#include <unistd.h>

int mt_fds_init(struct mt_fds *f)
{
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	return f->epoll < 0 ? -errno : 0;
}

void mt_fds_fini(struct mt_fds *f)
{
	if (f->epoll >= 0)
		close(f->epoll);
	f->epoll = -1;
}

static int control(struct mt_fds *f, struct mt_fd_watch *w, int how)
{
	struct epoll_event ev = {.events = w->events, .data.ptr = w};

	return epoll_ctl(f->epoll, how, w->fd, &ev) == 0 ? 0 : -errno;
}

int mt_fds_add(struct mt_fds *f, struct mt_fd_watch *w)
{
	return control(f, w, EPOLL_CTL_ADD);
}

int mt_fds_change(struct mt_fds *f, struct mt_fd_watch *w, uint32_t events)
{
	if (w->events == events)
		return 0;
	w->events = events;
	return control(f, w, EPOLL_CTL_MOD);
}

void mt_fds_remove(struct mt_fds *f, struct mt_fd_watch *w)
{
	if (w->fd >= 0)
		(void)control(f, w, EPOLL_CTL_DEL);
	w->fd = -1;
}

/* One event per epoll_wait(), because ready() may remove the watch of a second event. */
void mt_fds_dispatch(struct mt_fds *f, unsigned int max, int wait_ms)
{
	struct epoll_event ev;

	for (unsigned int i = 0; i < max; i++) {
		struct mt_fd_watch *w;

		if (epoll_wait(f->epoll, &ev, 1, i ? 0 : wait_ms) != 1)
			return;
		w = ev.data.ptr;
		w->ready(w, ev.events);
	}
}
