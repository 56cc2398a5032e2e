/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /meltemi/... for dpdk-telemetry.py. A thread of DPDK writes a request and waits; the control
 * thread answers with a copy in its next loop iteration. DPDK's threads touch no worker and no data
 * of the control thread.
 */
#include "mt_ctl_priv.h"

#include <errno.h>
#include <pthread.h>
#include <rte_telemetry.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 2
#define ROWS   RTE_TEL_MAX_DICT_ENTRIES

/* DPDK keeps commands as long as the process lives, so this object has the same lifetime. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t answered;
	struct mt_ctl *c; /* NULL: requests fail */
	bool known;	  /* commands are registered with DPDK */
	enum { FREE, ASKED, ANSWERED } state;
	char room[32]; /* request */
	uint32_t n;    /* reply */
	struct {
		const char *name;
		uint64_t value;
	} rows[ROWS];
} tel = {.lock = PTHREAD_MUTEX_INITIALIZER, .answered = PTHREAD_COND_INITIALIZER};

/* ---- DPDK's threads ------------------------------------------------------------------------- */

/* Call with the lock held. 0, or -EBUSY, -ETIMEDOUT, -ENODEV, or -errno of write(). */
static int ask(const char *room)
{
	struct timespec until;
	uint64_t one = 1;
	int rc = 0;

	if (!tel.c)
		return -ENODEV;
	if (tel.state != FREE)
		return -EBUSY;
	snprintf(tel.room, sizeof(tel.room), "%s", room);
	tel.state = ASKED;
	if (write(tel.c->rte_fd, &one, sizeof(one)) < 0)
		rc = -errno;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	while (rc == 0 && tel.state == ASKED)
		rc = -pthread_cond_timedwait(&tel.answered, &tel.lock, &until);
	if (tel.state != ANSWERED && rc == 0)
		rc = -ENODEV;
	tel.state = FREE;
	return rc;
}

/* /meltemi/counters,ROOM */
static int on_counters(const char *cmd, const char *params, struct rte_tel_data *d)
{
	int rc;

	if (!params || !*params)
		return -EINVAL;
	rte_tel_data_start_dict(d);
	pthread_mutex_lock(&tel.lock);
	rc = ask(params);
	for (uint32_t i = 0; rc == 0 && i < tel.n; i++)
		rte_tel_data_add_dict_u64(d, tel.rows[i].name, tel.rows[i].value);
	pthread_mutex_unlock(&tel.lock);
	return rc;
}

/* /meltemi/rooms: constant names. */
static int on_rooms(const char *cmd, const char *params, struct rte_tel_data *d)
{
	rte_tel_data_start_array(d, RTE_TEL_STRING_VAL);
	for (size_t i = 0; i < mt_n_ctl_sets; i++)
		rte_tel_data_add_array_string(d, mt_ctl_sets[i]->room);
	return 0;
}

/* ---- control thread ------------------------------------------------------------------------- */

static void answer(struct mt_ctl *c)
{
	struct mt_metric m;
	uint64_t pos = 0;

	tel.n = 0;
	while (mt_metrics_next(c->metrics, &pos, &m) && tel.n < ROWS) {
		if (strcmp(m.room, tel.room) != 0)
			continue;
		tel.rows[tel.n].name = m.name;
		tel.rows[tel.n++].value = m.value;
	}
	tel.state = ANSWERED;
	pthread_cond_broadcast(&tel.answered);
}

void mt_ctl_rte_turn(struct mt_ctl *c)
{
	uint64_t n;

	if (c->rte_fd < 0 || read(c->rte_fd, &n, sizeof(n)) < 0)
		return;
	pthread_mutex_lock(&tel.lock);
	if (tel.state == ASKED)
		answer(c);
	pthread_mutex_unlock(&tel.lock);
}

int mt_ctl_rte_open(struct mt_ctl *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &c->rte_fd};

	c->rte_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (c->rte_fd < 0 || epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->rte_fd, &ev) != 0)
		return -errno;
	pthread_mutex_lock(&tel.lock);
	tel.c = c;
	if (!tel.known) {
		rte_telemetry_register_cmd("/meltemi/rooms", on_rooms,
			"Returns the rooms that count. Takes no parameters");
		rte_telemetry_register_cmd("/meltemi/counters", on_counters,
			"Returns the counters of a room, summed over workers. Parameters: room");
		tel.known = true;
	}
	pthread_mutex_unlock(&tel.lock);
	return 0;
}

void mt_ctl_rte_close(struct mt_ctl *c)
{
	pthread_mutex_lock(&tel.lock);
	if (tel.c == c) {
		tel.c = NULL;
		if (tel.state == ASKED)
			tel.state = FREE;
		pthread_cond_broadcast(&tel.answered);
	}
	pthread_mutex_unlock(&tel.lock);
	if (c->rte_fd >= 0)
		close(c->rte_fd);
	c->rte_fd = -1;
}
