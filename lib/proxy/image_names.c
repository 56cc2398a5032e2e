/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that an image names and does not contain: codecs, endpoints, and parts of snapshots by
 * their positions.
 */
#include "mt_proxy_image_priv.h"

static const char gone[] = "the configuration that the image names is not here";
static const char astray[] = "an object is not part of its configuration";

void mt_proxy_image_snapshot(
	struct mt_image *im, const struct mt_proxy_names *names, struct mt_snapshot **s)
{
	uint64_t version = !im->loading && *s ? (*s)->version : 0;

	MT_IMAGE(im, version);
	if (!im->loading)
		return;
	*s = version && !im->error ? names->snapshot(names->arg, version) : NULL;
	if (version && !*s)
		mt_image_fail(im, -ENOENT, gone);
}

void mt_name_codec(struct mt_image *im, const struct proxy_image *x, const struct mt_codec **codec)
{
	uint64_t identity = !im->loading && *codec ? mt_codec_identity(*codec) : 0;

	MT_IMAGE(im, identity);
	if (!im->loading)
		return;
	*codec = identity && !im->error ? x->names->codec(x->names->arg, identity) : NULL;
	if (identity && !*codec)
		mt_image_fail(im, -ENOENT, "a codec of the image is not here");
}

void mt_name_endpoint(struct mt_image *im, const struct proxy_image *x, struct mt_ep_state **ep)
{
	uint32_t n = !im->loading && *ep ? (*ep)->index + 1 : 0;

	MT_IMAGE(im, n);
	if (!im->loading)
		return;
	*ep = n && !im->error ? x->names->endpoint(x->names->arg, n - 1) : NULL;
	if (n && !*ep)
		mt_image_fail(im, -ENOENT, "an endpoint of the image is not here");
}

void mt_name_budget(
	struct mt_image *im, const struct proxy_image *x, struct mt_budget_account **budget)
{
	uint32_t n = !im->loading && *budget ? (*budget)->index + 1 : 0;

	MT_IMAGE(im, n);
	if (!im->loading)
		return;
	*budget = n && !im->error ? x->names->budget(x->names->arg, n - 1) : NULL;
	if (n && !*budget)
		mt_image_fail(im, -ENOENT, "a retry budget of the image is not here");
}

/*
 * Saves or loads the position of `part` in an array of n parts of `size` bytes, plus 1; NULL: 0.
 * Returns this number. If `part` or the position is outside of the array, the image fails and 0 is
 * returned.
 */
static uint32_t place_in(
	struct mt_image *im, const void *base, uint32_t n, size_t size, const void *part)
{
	size_t off = part ? (size_t)((const char *)part - (const char *)base) : 0;
	uint32_t place = part && !im->loading ? (uint32_t)(off / size) + 1 : 0;

	if (!im->loading && part && (off % size || off / size >= n))
		mt_image_fail(im, -ENOTSUP, astray);
	MT_IMAGE(im, place);
	if (im->loading && place > n)
		mt_image_fail(im, -ENOENT, gone);
	return im->error ? 0 : place;
}

void mt_name_cluster(
	struct mt_image *im, const struct mt_snapshot *in, const struct mt_cluster **cluster)
{
	uint32_t place = place_in(
		im, in ? in->clusters : NULL, in ? in->n_clusters : 0, sizeof(**cluster), *cluster);

	if (im->loading)
		*cluster = place ? &in->clusters[place - 1] : NULL;
}

/* Binary search: services are in the order of their indexes. */
static struct mt_service *service_of(const struct mt_snapshot *in, uint32_t index)
{
	uint32_t lo = 0, hi = in ? in->n_services : 0;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (in->services[mid]->index == index)
			return in->services[mid];
		if (in->services[mid]->index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

void mt_name_service(struct mt_image *im, const struct mt_snapshot *in, struct mt_service **service)
{
	uint32_t n = !im->loading && *service ? (*service)->index + 1 : 0;

	if (n && service_of(in, n - 1) != *service)
		mt_image_fail(im, -ENOTSUP, astray);
	MT_IMAGE(im, n);
	if (!im->loading)
		return;
	*service = n && !im->error ? service_of(in, n - 1) : NULL;
	if (n && !*service)
		mt_image_fail(im, -ENOENT, gone);
}

void mt_name_route(
	struct mt_image *im, const struct mt_service *of, const struct mt_route_action **route)
{
	uint32_t n = of && of->routes ? mt_route_count(of->routes) : 0, i = 0, place;

	while (!im->loading && *route && i < n && mt_route_at(of->routes, i) != *route)
		i++;
	if (!im->loading && *route && i == n)
		mt_image_fail(im, -ENOTSUP, astray);
	place = !im->loading && *route ? i + 1 : 0;
	MT_IMAGE(im, place);
	if (!im->loading)
		return;
	if (place > n)
		mt_image_fail(im, -ENOENT, gone);
	*route = place && !im->error ? mt_route_at(of->routes, place - 1) : NULL;
}

void mt_name_filters(
	struct mt_image *im, const struct mt_service *of, const struct mt_filters **filters)
{
	uint8_t some = !im->loading && *filters;

	if (some && (!of || of->filters != *filters))
		mt_image_fail(im, -ENOTSUP, astray);
	MT_IMAGE(im, some);
	if (!im->loading)
		return;
	*filters = some && of && !im->error ? of->filters : NULL;
	if (some && !*filters)
		mt_image_fail(im, -ENOENT, gone);
}

void mt_name_listener(
	struct mt_image *im, const struct mt_snapshot *in, const struct mt_listener **listener)
{
	uint32_t place = place_in(im, in ? in->listeners : NULL, in ? in->n_listeners : 0,
		sizeof(**listener), *listener);

	if (im->loading)
		*listener = place ? &in->listeners[place - 1] : NULL;
}

void mt_name_filter_chain(
	struct mt_image *im, const struct mt_listener *of, const struct mt_filter_chain **chain)
{
	uint32_t place = place_in(
		im, of ? of->chains : NULL, of ? of->n_chains : 0, sizeof(**chain), *chain);

	if (im->loading)
		*chain = place ? &of->chains[place - 1] : NULL;
}

void mt_name_filter_chain_proto(struct mt_image *im, const struct mt_snapshot *in,
	const struct mt_filter_chain_proto **proto)
{
	const struct mt_listener *l = !im->loading && *proto ? (*proto)->chain->listener : NULL;
	uint32_t place;

	mt_name_listener(im, in, &l);
	place = place_in(im, l ? l->protos : NULL, l ? l->n_protos : 0, sizeof(**proto), *proto);
	if (im->loading)
		*proto = place ? &l->protos[place - 1] : NULL;
}
