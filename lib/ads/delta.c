/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delta protocol: requests contain changes of subscriptions, responses contain changes of
 * resources.
 */
#include "mt_ads_priv.h"

#include "mt_mutant.h"

#include "discovery.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* ---- requests -------------------------------------------------------------------------------- */

/* A request while it is built; all memory is in the region. */
struct draft {
	struct mt_region region;
	Xds__DeltaDiscoveryRequest r;
};

static void push(struct draft *d, char ***list, size_t *n, const char *name)
{
	uint32_t count = (uint32_t)*n;
	char **slot = mt_region_push(&d->region, (void **)list, &count, sizeof(char *));

	*n = count;
	if (slot)
		*slot = (char *)name;
}

static void add_version(struct draft *d, const struct mt_ads_name *n)
{
	Xds__DeltaDiscoveryRequest__InitialResourceVersionsEntry *entry, **slot;
	uint32_t count = (uint32_t)d->r.n_initial_resource_versions;

	entry = mt_region_alloc(&d->region, sizeof(*entry));
	slot = mt_region_push(
		&d->region, (void **)&d->r.initial_resource_versions, &count, sizeof(*slot));
	if (!entry || !slot)
		return;
	xds__delta_discovery_request__initial_resource_versions_entry__init(entry);
	entry->key = (char *)n->name;
	entry->value = n->version;
	*slot = entry;
	d->r.n_initial_resource_versions = count;
}

/* Adds changed subscriptions, and the known versions if this is the first request of the stream. */
static void add_names(struct draft *d, struct mt_ads_type *t, bool begins)
{
	struct mt_ads_name *n;
	uint32_t pos = 0;

	while ((n = mt_strmap_next(&t->names, &pos, NULL)) != NULL) {
		if (begins && n->version)
			add_version(d, n);
		/*
		 * Subscribe again after an unsubscription, so that the server sends the resource
		 * again.
		 */
		if (n->wants && (!n->told || n->again))
			push(d, &d->r.resource_names_subscribe, &d->r.n_resource_names_subscribe,
				n->name);
		if (!n->wants && n->told)
			push(d, &d->r.resource_names_unsubscribe,
				&d->r.n_resource_names_unsubscribe, n->name);
	}
}

/*
 * A first request without names is a wildcard subscription. Later, or together with names, it must
 * contain "*".
 */
static void add_wildcard(struct draft *d, struct mt_ads_type *t, bool begins)
{
	if (t->wildcard && !t->wildcard_told && (!begins || d->r.n_resource_names_subscribe))
		push(d, &d->r.resource_names_subscribe, &d->r.n_resource_names_subscribe, "*");
	if (!t->wildcard && t->wildcard_told)
		push(d, &d->r.resource_names_unsubscribe, &d->r.n_resource_names_unsubscribe, "*");
	t->wildcard_told = t->wildcard;
}

void mt_delta_request(struct mt_ads *a, enum mt_xds_type type, bool ack, const char *error)
{
	struct mt_ads_type *t = &a->types[type];
	struct draft d;
	Xds__Status status = XDS__STATUS__INIT;
	bool begins = !t->asked;

	mt_region_init(&d.region, 0);
	xds__delta_discovery_request__init(&d.r);
	d.r.node = mt_ads_node(a);
	d.r.type_url = (char *)mt_xds_url(type);
	if (t->nonce && (ack || error))
		d.r.response_nonce = t->nonce;
	if (error) {
		status.code = 3; /* INVALID_ARGUMENT */
		status.message = (char *)error;
		d.r.error_detail = &status;
	}
	if (t->changed) {
		add_names(&d, t, begins);
		add_wildcard(&d, t, begins);
	}
	if (!d.region.failed)
		mt_ads_post(a, &d.r.base);
	if (t->changed)
		mt_ads_mark_told(t);
	mt_region_fini(&d.region);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* Records the versions of accepted resources, also if others of the response were rejected. */
static void remember(struct mt_ads_type *t, const struct mt_ads_update *u)
{
	for (uint32_t i = 0; i < u->n; i++) {
		struct mt_ads_name *n;

		/*
		 * Rejected: its name is not recorded either, because there may be any number of
		 * them.
		 */
		if (u->items[i].refused && !mt_mutant(MT_MUTANT_xds_refused_is_had))
			continue;
		/*
		 * Without a subscription it was not accepted, so a later one must not announce it.
		 */
		n = t->wildcard ? mt_ads_name_get(t, u->items[i].name)
				: mt_strmap_get(&t->names, u->items[i].name);
		if (n && (t->wildcard || n->wants))
			(void)mt_ads_set(&n->version, u->items[i].version);
	}
	for (uint32_t i = 0; i < u->n_gone; i++) {
		struct mt_ads_name *n = mt_strmap_get(&t->names, u->gone[i]);

		if (!n)
			continue;
		(void)mt_ads_set(&n->version, NULL);
		mt_ads_name_put(t, n);
	}
}

void mt_delta_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now)
{
	struct mt_ads_update u = {0};
	struct mt_ads_resource *items;
	Xds__DeltaDiscoveryResponse *r;
	const char *why = NULL;
	int type;

	r = mt_pb_unpack(arena, &xds__delta_discovery_response__descriptor, data, len, &why);
	type = r ? mt_ads_type_of(r->type_url) : -1;
	arena->region.wipe = type == MT_XDS_SDS;
	if (type < 0 || !a->types[type].asked) {
		mt_ads_unreadable(a, r ? "a response of a type that was not requested" : why);
		return;
	}
	items = mt_region_alloc(&arena->region, sizeof(*items) * (r->n_resources + 1));
	if (!items)
		return;
	for (size_t i = 0; i < r->n_resources; i++) {
		const Xds__Resource *from = r->resources[i];

		/* Without a body only the TTL is renewed. */
		items[u.n++] = (struct mt_ads_resource){.name = from->name,
			.version = from->version,
			.body = from->resource,
			.ttl_ns = from->ttl && from->ttl->seconds > 0
					  ? (uint64_t)MT_MIN(from->ttl->seconds, INT64_C(1) << 30) *
						    MT_SEC
					  : 0};
	}
	u.type = (enum mt_xds_type)type;
	u.version = r->system_version_info;
	u.items = items;
	u.gone = r->removed_resources;
	u.n_gone = (uint32_t)r->n_removed_resources;
	mt_ads_judge(a, &u, r->nonce, NULL, len, now);
	remember(&a->types[type], &u);
}
