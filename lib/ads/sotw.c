/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of the world protocol: a request contains all subscriptions of a type. A response contains
 * all resources of wildcard types (LDS, CDS), or some of others.
 */
#include "mt_ads_priv.h"

#include "discovery.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define WRAPPED "type.googleapis.com/envoy.service.discovery.v3.Resource"

/*
 * Sends a request with the subscribed names. Without `again` it omits names that were unsubscribed
 * and subscribed again. A request without names is a wildcard.
 */
static void post_names(
	struct mt_ads *a, struct mt_ads_type *t, Xds__DiscoveryRequest *r, bool again)
{
	const struct mt_ads_name *n;
	uint32_t pos = 0;

	r->n_resource_names = 0;
	/* Names in addition to a wildcard have no effect. */
	while (!t->wildcard && (n = mt_strmap_next(&t->names, &pos, NULL)) != NULL)
		if (n->wants && (again || !n->again))
			r->resource_names[r->n_resource_names++] = (char *)n->name;
	mt_ads_post(a, &r->base);
}

void mt_sotw_request(struct mt_ads *a, enum mt_xds_type type, const char *error)
{
	struct mt_ads_type *t = &a->types[type];
	Xds__DiscoveryRequest r = XDS__DISCOVERY_REQUEST__INIT;
	Xds__Status status = XDS__STATUS__INIT;

	r.node = mt_ads_node(a);
	r.type_url = (char *)mt_xds_url(type);
	r.version_info = t->version ? t->version : (char *)protobuf_c_empty_string;
	r.response_nonce = t->nonce ? t->nonce : (char *)protobuf_c_empty_string;
	if (error) {
		status.code = 3; /* INVALID_ARGUMENT */
		status.message = (char *)error;
		r.error_detail = &status;
	}
	r.resource_names = calloc(t->n_wanted + 1, sizeof(char *));
	if (!r.resource_names)
		return;
	/*
	 * Resources that were unsubscribed and subscribed again must be sent again, but a server
	 * does not answer a request with unchanged names. So send one without them first.
	 */
	if (t->n_again && !t->wildcard)
		post_names(a, t, &r, false);
	post_names(a, t, &r, true);
	if (t->changed)
		mt_ads_mark_told(t);
	free(r.resource_names);
}

/*
 * Unpacks a Resource wrapper with name, version and TTL. A resource without a wrapper is used as it
 * is.
 */
static bool unwrap(struct mt_pb_arena *arena, const Xds__Any *in, struct mt_ads_resource *out,
	struct mt_err *e)
{
	const char *why;
	Xds__Resource *r;

	*out = (struct mt_ads_resource){.version = "", .body = in};
	if (strcmp(in->type_url, WRAPPED) != 0)
		return true;
	r = mt_pb_unpack(arena, &xds__resource__descriptor, in->value.data, in->value.len, &why);
	/* With a name and without a body only the TTL is renewed. */
	if (!r || (!r->resource && !*r->name)) {
		mt_err(e, 0, "a resource's envelope: %s", r ? "it is empty" : why);
		return false;
	}
	out->name = *r->name ? r->name : NULL;
	out->version = r->version;
	out->body = r->resource;
	if (r->ttl && r->ttl->seconds > 0)
		out->ttl_ns = (uint64_t)MT_MIN(r->ttl->seconds, INT64_C(1) << 30) * MT_SEC;
	return true;
}

void mt_sotw_message(
	struct mt_ads *a, struct mt_pb_arena *arena, const uint8_t *data, size_t len, uint64_t now)
{
	struct mt_ads_update u = {0};
	struct mt_ads_resource *items;
	Xds__DiscoveryResponse *r;
	const char *why = NULL;
	struct mt_err broken = {""};
	int type;

	r = mt_pb_unpack(arena, &xds__discovery_response__descriptor, data, len, &why);
	type = r ? mt_ads_type_of(r->type_url) : -1;
	arena->region.wipe = type == MT_XDS_SDS;
	/* A type that was not requested gets no NACK, because it has no subscription. */
	if (type < 0 || !a->types[type].asked) {
		mt_ads_unreadable(a, r ? "a response of a type that was not requested" : why);
		return;
	}
	items = mt_region_alloc(&arena->region, sizeof(*items) * (r->n_resources + 1));
	if (!items)
		return;
	for (size_t i = 0; i < r->n_resources; i++)
		if (unwrap(arena, r->resources[i], &items[u.n], &broken))
			u.n++;
	u.type = (enum mt_xds_type)type;
	u.version = r->version_info;
	u.items = items;
	/* If a wrapper could not be unpacked, its resource is not known: remove none. */
	u.complete = mt_xds_is_whole(u.type) && u.n == r->n_resources;
	mt_ads_judge(a, &u, r->nonce, broken.text[0] ? broken.text : NULL, len, now);
}
