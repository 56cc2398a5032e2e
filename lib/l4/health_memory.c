/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of health checks: of each worker, and shared. Pages are touched as indexes are used.
 */
#include "mt_l4_priv.h"

#include <sys/mman.h>

#define HEARD_SIZE (sizeof(struct l4_heard) * MT_L4_INDEXES_MAX)

struct mt_l4_health *mt_l4_health_new(uint16_t workers, const uint8_t secret[16])
{
	struct mt_l4_health *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	MT_ASSERT(workers > 0 && workers <= MT_WORKERS_MAX);
	h->workers = workers;
	memcpy(h->secret, secret, sizeof(h->secret));
	for (uint16_t i = 0; i < workers; i++) {
		h->heard[i] = l4_reserve(HEARD_SIZE);
		if (!h->heard[i]) {
			mt_l4_health_free(h);
			return NULL;
		}
	}
	return h;
}

void mt_l4_health_free(struct mt_l4_health *h)
{
	for (uint16_t i = 0; h && i < h->workers; i++)
		if (h->heard[i])
			munmap(h->heard[i], HEARD_SIZE);
	free(h);
}

int l4_health_init(struct mt_l4 *l, const struct mt_l4_worker_conf *c)
{
	if (!c->health)
		return 0;
	MT_ASSERT(c->checks && c->worker < c->health->workers);
	l->health = c->health;
	l->check_ops = c->checks;
	l->check_arg = c->checks_arg;
	l->checked = l4_reserve(sizeof(*l->checked) * MT_L4_INDEXES_MAX);
	l->turns.queues = calloc(MT_L4_CHECK_QUEUES, sizeof(*l->turns.queues));
	return l->checked && l->turns.queues ? 0 : -1;
}

void l4_health_fini(struct mt_l4 *l)
{
	free(l->turns.queues);
	if (l->checked)
		munmap(l->checked, sizeof(*l->checked) * MT_L4_INDEXES_MAX);
}
