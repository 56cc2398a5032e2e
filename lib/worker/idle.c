/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a worker sleeps, and on what. Spinning for a while after the last packet keeps busy flows at
 * full speed. If all queues have a descriptor, the worker sleeps until one is readable, which costs
 * almost nothing and wakes it faster than polling. Otherwise it polls in short steps, because no
 * packet should wait longer than 150 us and a sleep ends 10 to 50 us late. The first steps are
 * shorter, because another packet is more likely then. Several workers hand packets over by rings,
 * which have no descriptor, so they poll. Threads of filters end a sleep by a descriptor of their
 * own; a worker that polls finds their results soon.
 */
#include "mt_worker_priv.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS	 (100 * MT_USEC)
#define STEP_NS	 (50 * MT_USEC)
#define LATER_NS (2 * MT_MSEC) /* steps are longer after this idle time */
#define LONG_NS	 (100 * MT_USEC)
#define SHORT_NS (5 * MT_USEC) /* a shorter sleep is not worth the system call */
/*
 * Longest sleep on descriptors. A packet ends it; commands and snapshots of the control thread may
 * wait for its end.
 */
#define WAIT_NS (5 * MT_MSEC)
/* Step after a wake-up that found nothing, for the first ALARMS such wake-ups in a row. */
#define ALARM_NS (10 * MT_USEC)
#define ALARMS	 4
/* Marks an epoll event of mt_idle.wake. */
#define WAKE 1

void mt_idle_init(struct mt_idle *i, enum mt_worker_idle profile, uint64_t now)
{
	i->profile = profile;
	i->epoll = -1;
	i->wake = -1;
	i->busy_at = now;
}

/*
 * False without descriptors, and after a wake-up that found no packet, so that a step comes before
 * the next wait and the worker does not spin. A step is short at first. Causes: the TAP driver
 * polls only after a signal of its own, about 20 us later; a buffer is missing; the interface went
 * down.
 */
static bool can_wait(const struct mt_idle *i)
{
	return i->epoll >= 0 && !i->woken;
}

static uint64_t step_of(const struct mt_idle *i, uint64_t idle)
{
	if (can_wait(i))
		return WAIT_NS;
	if (i->woken && i->alarms <= ALARMS)
		return ALARM_NS;
	return idle < LATER_NS ? STEP_NS : LONG_NS;
}

uint64_t mt_idle_step(const struct mt_idle *i, uint64_t now, uint64_t next)
{
	uint64_t idle = now - i->busy_at;
	uint64_t step = step_of(i, idle);

	if (i->profile == MT_WORKER_POLL || idle < SPIN_NS || next <= now)
		return 0;
	step = MT_MIN(step, next - now);
	return step < SHORT_NS ? 0 : step;
}

void mt_idle_busy(struct mt_idle *i, uint64_t now)
{
	i->busy_at = now;
	i->woken = false;
	i->alarms = 0;
}

/* True if another thread has something for the worker, which finds it at once, unlike a packet. */
static bool is_wake(const struct mt_idle *i, const struct epoll_event *ev)
{
	uint64_t n;

	if (ev->data.u32 != WAKE)
		return false;
	(void)!read(i->wake, &n, sizeof(n));
	return true;
}

static void others_awake(struct mt_idle *i)
{
	if (i->inbox)
		mt_filter_inbox_awake(i->inbox);
	if (i->lane)
		mt_tls_lane_awake(i->lane);
}

/* Makes other threads end the sleep from now on. false: there is something from them already. */
static bool others_sleep(struct mt_idle *i)
{
	if (i->inbox && !mt_filter_inbox_sleep(i->inbox))
		return false;
	if (!i->lane || mt_tls_lane_sleep(i->lane))
		return true;
	others_awake(i);
	return false;
}

void mt_idle_sleep(struct mt_idle *i, uint64_t ns)
{
	const struct timespec ts = {.tv_nsec = (long)ns};
	struct epoll_event ev;
	int n;

	if (!can_wait(i)) {
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
		i->woken = false;
		return;
	}
	if (!others_sleep(i))
		return;
	/* Level-triggered: a packet that came since the last poll ends it at once. */
	n = epoll_pwait2(i->epoll, &ev, 1, &ts, NULL);
	others_awake(i);
	i->woken = n > 0 && !is_wake(i, &ev);
	if (i->woken && i->alarms <= ALARMS)
		i->alarms++;
	/* Linux before 5.11 lacks this call: poll from now on. */
	if (n < 0 && errno != EINTR)
		mt_idle_close(i);
}

static bool watch(int epoll, const struct mt_polled *p)
{
	struct epoll_event ev = {.events = EPOLLIN};

	return p->port->rx_fds && p->port->rx_fds[p->queue] >= 0 &&
	       epoll_ctl(epoll, EPOLL_CTL_ADD, p->port->rx_fds[p->queue], &ev) == 0;
}

static bool watch_wake(struct mt_idle *i)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = WAKE};

	if (!i->inbox && !i->lane)
		return true;
	if (i->wake < 0)
		i->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (i->inbox)
		i->inbox->wake_fd = i->wake;
	if (i->lane)
		i->lane->wake_fd = i->wake;
	return i->wake >= 0 && epoll_ctl(i->epoll, EPOLL_CTL_ADD, i->wake, &ev) == 0;
}

void mt_idle_open(struct mt_worker *w)
{
	/* Queues of guests have no descriptor. */
	bool all = w->workers == 1 && w->n_polled > 0 && !w->guests;

	if (!all || w->idle.profile == MT_WORKER_POLL)
		return;
	w->idle.epoll = epoll_create1(EPOLL_CLOEXEC);
	for (uint16_t i = 0; w->idle.epoll >= 0 && i < w->n_polled; i++)
		if (!watch(w->idle.epoll, &w->polled[i]))
			mt_idle_close(&w->idle);
	if (w->idle.epoll >= 0 && !watch_wake(&w->idle))
		mt_idle_close(&w->idle);
}

void mt_idle_close(struct mt_idle *i)
{
	if (i->epoll >= 0)
		close(i->epoll);
	i->epoll = -1;
}

void mt_idle_fini(struct mt_idle *i)
{
	mt_idle_close(i);
	if (i->wake >= 0)
		close(i->wake);
	i->wake = -1;
}
