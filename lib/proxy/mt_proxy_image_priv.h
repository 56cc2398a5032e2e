/* SPDX-License-Identifier: Apache-2.0 */
/* Saves and loads pointers to objects outside of the worker as names (image_names.c). */
#pragma once

#include "mt_proxy_image.h"
#include "mt_proxy_priv.h"

struct proxy_image {
	struct mt_proxy *p;
	const struct mt_proxy_names *names;
};

/*
 * Each saves or loads a pointer, which may be NULL. `in`, `of`: the snapshot, listener or service
 * to which the object belongs; load it first.
 */
void mt_name_codec(struct mt_image *im, const struct proxy_image *x, const struct mt_codec **codec);
void mt_name_endpoint(struct mt_image *im, const struct proxy_image *x, struct mt_ep_state **ep);
void mt_name_budget(
	struct mt_image *im, const struct proxy_image *x, struct mt_budget_account **budget);
void mt_name_cluster(
	struct mt_image *im, const struct mt_snapshot *in, const struct mt_cluster **cluster);
void mt_name_service(
	struct mt_image *im, const struct mt_snapshot *in, struct mt_service **service);
void mt_name_route(
	struct mt_image *im, const struct mt_service *of, const struct mt_route_action **route);
void mt_name_filters(
	struct mt_image *im, const struct mt_service *of, const struct mt_filters **filters);
void mt_name_listener(
	struct mt_image *im, const struct mt_snapshot *in, const struct mt_listener **listener);
void mt_name_filter_chain_proto(struct mt_image *im, const struct mt_snapshot *in,
	const struct mt_filter_chain_proto **proto);
void mt_name_filter_chain(
	struct mt_image *im, const struct mt_listener *of, const struct mt_filter_chain **chain);
