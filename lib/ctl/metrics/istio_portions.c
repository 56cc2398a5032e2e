/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Portions of services' calls (mt_portion.h) with the service and the workloads that the present
 * configuration has for them. Portions of others are left out: their names are not known any more.
 */
#include "mt_callers.h"
#include "mt_ctl_metrics_priv.h"
#include "mt_x509.h"

/* Reads the identities of used portions, at most `room`. NULL: only counts them. */
static uint32_t used(const struct mt_ctl *c, struct mt_istio_portion *to, uint32_t room)
{
	const struct mt_portion *table;
	uint32_t n = 0;

	for (uint16_t w = 0; (table = mt_ctl_portions(c, w)) != NULL; w++)
		for (uint32_t i = 0; i < MT_PORTIONS && (!to || n < room); i++) {
			uint64_t key = __atomic_load_n(&table[i].key, __ATOMIC_ACQUIRE);

			if (key && to)
				to[n] = (struct mt_istio_portion){.key = key,
					.service = mt_count_read(&table[i].service),
					.workload = mt_count_read(&table[i].workload),
					.caller = mt_count_read(&table[i].caller),
					.worker = w,
					.at = (uint16_t)i,
					.of = MT_NO_SERVICE};
			__atomic_thread_fence(__ATOMIC_ACQUIRE);
			n += key && __atomic_load_n(&table[i].key, __ATOMIC_RELAXED) == key;
		}
	return n;
}

static int by_service(const void *a, const void *b)
{
	const struct mt_istio_portion *x = a, *y = b;

	return (x->service > y->service) - (x->service < y->service);
}

static int by_workload(const void *a, const void *b)
{
	const struct mt_istio_portion *x = a, *y = b;

	return (x->workload > y->workload) - (x->workload < y->workload);
}

/* The first of the sorted portions that is not before `key`. */
static uint32_t first_of(const struct mt_istio_portion *v, uint32_t n,
	const struct mt_istio_portion *key, int (*compare)(const void *, const void *))
{
	uint32_t low = 0;

	while (low < n) {
		uint32_t middle = low + (n - low) / 2;

		if (compare(&v[middle], key) < 0)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

static void find_services(struct mt_istio_portion *v, uint32_t n, const struct mt_snapshot *snap)
{
	qsort(v, n, sizeof(*v), by_service);
	for (uint32_t i = 0; i < snap->n_services; i++) {
		const struct mt_istio_portion key = {.service = snap->services[i]->id};

		for (uint32_t k = first_of(v, n, &key, by_service);
			k < n && v[k].service == key.service; k++)
			v[k].of = i;
	}
}

static void find_workloads(
	struct mt_istio_portion *v, uint32_t n, const struct mt_workloads *workloads)
{
	for (uint32_t i = 1; workloads && i < workloads->n; i++) {
		const struct mt_istio_portion key = {.workload = workloads->ids[i]};

		for (uint32_t k = first_of(v, n, &key, by_workload);
			key.workload && k < n && v[k].workload == key.workload && !v[k].peer; k++)
			v[k].peer = &workloads->peers[i];
	}
}

/* NULL: the configuration does not have it. */
static const struct mt_peer *caller_of(const struct mt_ctl *c, uint64_t caller)
{
	static const struct mt_peer unknown;

	if (!caller || caller == MT_CALLER_NOBODY)
		return &unknown;
	return mt_conf_caller(c->env.conf, caller | MT_CALLER_CLEAR);
}

/*
 * Labels of a namespace alone have no account, so their principal is unknown. The account of a
 * client without a certificate is not shown, so it makes no difference.
 */
struct mt_istio_caller mt_istio_caller_of(
	struct mt_region *r, const struct mt_snapshot *snap, const struct mt_istio_portion *p)
{
	struct mt_istio_caller to = {
		.peer = *p->by, .tls = p->caller && !(p->caller & MT_CALLER_CLEAR)};
	const char *ns = to.peer.label[MT_PEER_NAMESPACE];
	const char *account = to.peer.label[MT_PEER_ACCOUNT];

	if (to.tls && ns && account && snap->trust_domain)
		to.principal = mt_region_printf(
			r, MT_SPIFFE "%s/ns/%s/sa/%s", snap->trust_domain, ns, account);
	if (!to.principal)
		to.peer.label[MT_PEER_ACCOUNT] = NULL;
	to.id = p->caller == MT_CALLER_NOBODY ? MT_CALLER_NOBODY : mt_peer_id(&to.peer);
	return to;
}

struct mt_istio_portion *mt_istio_portions(
	const struct mt_ctl *c, const struct mt_snapshot *snap, uint32_t *n)
{
	static const struct mt_peer unknown;
	uint32_t room = used(c, NULL, 0), kept = 0;
	struct mt_istio_portion *v = calloc(room + 1, sizeof(*v));

	*n = 0;
	if (!v)
		return NULL;
	room = used(c, v, room);
	find_services(v, room, snap);
	qsort(v, room, sizeof(*v), by_workload);
	for (uint32_t i = 0; i < snap->n_clusters; i++)
		find_workloads(v, room, snap->clusters[i].workloads);
	for (uint32_t i = 0; i < room; i++) {
		if (!v[i].workload)
			v[i].peer = &unknown;
		v[i].by = caller_of(c, v[i].caller);
		if (v[i].peer && v[i].by && v[i].of != MT_NO_SERVICE)
			v[kept++] = v[i];
	}
	*n = kept;
	return v;
}
