/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of a set and how they are checked for health. */
#include "mt_l4_priv.h"

static bool is_checked(const struct mt_l4_service_conf *c, const struct mt_l4_endpoint_conf *e)
{
	return c->check.kind != MT_L4_CHECK_NONE && e->health.unhealthy;
}

struct mt_l4_endpoint l4_endpoint_of(
	const struct mt_l4_service_conf *c, const struct mt_l4_endpoint_conf *e)
{
	bool checked = is_checked(c, e);

	return (struct mt_l4_endpoint){.addr = e->addr,
		.port = e->port,
		.part = e->part,
		.index = checked ? e->health.index : UINT32_MAX,
		.unhealthy = checked ? e->health.unhealthy : NULL};
}

void l4_checks_list(struct mt_l4_set *s, const struct mt_l4_conf *c)
{
	for (uint32_t i = 0; i < c->n_services; i++) {
		const struct mt_l4_service_conf *v = &c->services[i];

		for (uint32_t k = 0; !v->closed && k < v->n_endpoints; k++) {
			const struct mt_l4_endpoint_conf *e = &v->endpoints[k];

			if (!is_checked(v, e))
				continue;
			MT_ASSERT(e->health.index < MT_L4_INDEXES_MAX && v->check.interval_ms &&
				  v->check.failures);
			s->checks[s->n_checks++] = (struct mt_l4_check){
				e->addr, e->port, v->check, e->health, v->cluster};
		}
	}
}
