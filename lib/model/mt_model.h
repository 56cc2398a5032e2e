/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model, types only. Sources (files, later xDS and registries) fill it on
 * the control thread; lib/conf checks and compiles it. Strings and arrays live in the model's region and
 * die with it. Every object remembers where it was written, so that errors name file and line.
 */
#pragma once

#include "mt_region.h"
#include "mt_model_mesh.h"
#include "mt_model_node.h"
#include "mt_model_route.h"
#include "mt_model_security.h"
#include "mt_model_service.h"
#include "mt_model_types.h"

/* Which instances a closing is about, by who protects them otherwise. */
enum mt_closing_of {
	MT_CLOSING_BARE = 1,	/* nobody */
	MT_CLOSING_OUTSIDE = 2, /* nobody: they are no part of the mesh */
	MT_CLOSING_MESHED = 4,	/* proxies of their own */
};

/*
 * An object that protects and cannot be evaluated: instances that it may be about keep their names, addresses and places in
 * routes, and every call that leads to one is denied.
 */
struct mt_closing {
	struct mt_meta about; /* kind, namespace, name, serial, origin */
	const struct mt_labels
		*selector;  /* NULL: all of its namespace; of the root namespace: of all */
	uint8_t of;	    /* enum mt_closing_of */
	bool messages_only; /* ports of bytes stay open */
	const char *why;
};

/* Everything that the sources of one load said. */
struct mt_model {
	struct mt_region region;
	uint32_t refs;		 /* who would free it */
	uint32_t kinds;		 /* bits by list, in their order: those that hold something */
	struct mt_model **parts; /* models whose objects it lists; it holds one reference of each */
	uint32_t n_parts;
	size_t parts_bytes;		   /* what they take together */
	struct mt_node *node;		   /* NULL: no Node document */
	const struct mt_closing *closings; /* live as long as who lists the objects */
	uint32_t n_closings;
	const char *root_namespace; /* whose policies are everybody's; NULL: istio-system */
	struct mt_objs service_entries, workload_entries, destination_rules, virtual_services,
		meta_routers, app_protocols, gateways, envoy_filters, authorization_policies,
		peer_authentications, request_authentications;
	/* of discovery services */
	struct mt_objs mesh_clusters, mesh_endpoints, mesh_listeners, mesh_routes, mesh_secrets,
		mesh_extensions, mesh_names;
};

struct mt_model *mt_model_new(void);
/* Gives back one reference; with the last one its objects die. NULL is allowed. */
void mt_model_free(struct mt_model *m);

/*
 * Lists all objects of `part`, which nobody changes from then on, behind those of `m`, and keeps it alive
 * as long. The Node is not taken: who may have one is the caller's to say. 0, -ENOMEM, or -E2BIG: all
 * parts together are larger than a configuration may be.
 */
int mt_model_share(struct mt_model *m, struct mt_model *part);
/* The same for `n` of them, in order: there may be tens of thousands, none of them in a cache. */
int mt_model_share_all(struct mt_model *m, struct mt_model *const *parts, uint32_t n);

/* Appends to a list of the model. 0 or -ENOMEM. */
int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj);

/* The value of a label; NULL: not there. */
const char *mt_labels_get(const struct mt_labels *l, const char *key);
/* Whether `have` holds every label of `want` with its value. */
bool mt_labels_match(const struct mt_labels *want, const struct mt_labels *have);
