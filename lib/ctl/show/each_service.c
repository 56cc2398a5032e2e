/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visits services by listener. A listener may have several filter chains for one service: with TLS,
 * with the mesh's TLS, and plaintext if clients may use either. They share the service's counters,
 * so that the service is visited once per listener.
 */
#include "mt_ctl_priv.h"

#include "mt_idmap.h"

static bool is_new(struct mt_idmap *seen, const struct mt_listener *l, const struct mt_service *s)
{
	uint64_t id = (uint64_t)(uintptr_t)s;

	if (l->n_protos == 1)
		return true;
	if (mt_idmap_get(seen, id))
		return false;
	/* If memory is short the service is visited again. */
	(void)mt_idmap_put(seen, id, (void *)(uintptr_t)s);
	return true;
}

void mt_ctl_each_service(const struct mt_snapshot *snap, mt_ctl_service_fn *fn, void *arg)
{
	struct mt_idmap seen = {0};

	for (uint32_t i = 0; snap && i < snap->n_listeners; i++) {
		const struct mt_listener *l = &snap->listeners[i];

		mt_idmap_clear(&seen);
		for (uint32_t k = 0; k < l->n_protos; k++)
			for (uint32_t n = 0; n < l->protos[k].n_services; n++)
				if (is_new(&seen, l, l->protos[k].services[n]))
					fn(arg, &l->protos[k], l->protos[k].services[n]);
	}
	mt_idmap_fini(&seen);
}

const struct mt_service *mt_ctl_only_service(const struct mt_listener *l)
{
	const struct mt_service *only = NULL;

	for (uint32_t k = 0; k < l->n_protos; k++) {
		const struct mt_filter_chain_proto *p = &l->protos[k];

		if (p->n_services != 1 || (only && p->services[0] != only))
			return NULL;
		only = p->services[0];
	}
	return only;
}
