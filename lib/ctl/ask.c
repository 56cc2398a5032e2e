/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_ctl_priv.h"

#include <errno.h>

#define ASK_MS 1000

/* Runs on the worker. */
static void copy_connections(struct mt_worker *w, void *arg)
{
	struct mt_ask *a = arg;
	uint32_t idx = 0;

	a->n = 0;
	while (a->n < MT_ASK_ROWS && mt_tcp_info_next(mt_worker_tcp(w), &idx, &a->rows[a->n]))
		a->n++;
	__atomic_store_n(&a->under_way, false, __ATOMIC_RELEASE);
}

const struct mt_ask *mt_ask_connections(struct mt_ctl *c, uint16_t worker)
{
	struct mt_ask **a = &c->asks[worker];
	int rc;

	if (!*a)
		*a = calloc(1, sizeof(**a));
	/* An earlier question that was given up may still be written to. */
	if (!*a || __atomic_load_n(&(*a)->under_way, __ATOMIC_ACQUIRE))
		return NULL;
	(*a)->under_way = true;
	rc = mt_worker_call(c->env.workers[worker], copy_connections, *a, ASK_MS);
	/* Its mailbox is full: the question was not even put. */
	if (rc == -EAGAIN)
		(*a)->under_way = false;
	return rc == 0 ? *a : NULL;
}
