/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model, types only. Sources (files, later xDS and registries) fill it on
 * the control thread; lib/conf checks and compiles it. Strings and arrays live in the model's region and
 * die with it. Every object remembers where it was written, so that errors name file and line.
 */
#pragma once

#include "mt_region.h"
#include "mt_model_gateway_api.h"
#include "mt_model_kube.h"
#include "mt_model_resource.h"
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

/* In whose proxies a filter stands. */
enum mt_closing_context {
	MT_CONTEXT_INBOUND = 1,	 /* of instances, in front of their calls */
	MT_CONTEXT_OUTBOUND = 2, /* of clients */
	MT_CONTEXT_GATEWAY = 4,
	MT_CONTEXT_ANY = 7,
};

/* In which chains of filters: those of a port of HTTP, or those that end in a proxy of bytes, Dubbo's as well. */
enum mt_closing_chain { MT_CHAIN_ANY, MT_CHAIN_HTTP, MT_CHAIN_BYTES };

struct mt_closing_place {
	uint8_t contexts; /* enum mt_closing_context */
	uint8_t chain;	  /* enum mt_closing_chain */
	uint16_t port;	  /* the service's, the instance's or the gateway's; 0: any */
};

/*
 * An object that protects and cannot be evaluated: instances that it may be about keep their names, addresses and places in
 * routes, and every call that leads to one is denied.
 */
struct mt_closing {
	struct mt_meta about;		 /* kind, namespace, name, serial, origin */
	struct mt_policy_scope scope;	 /* nothing: its namespace; of the root namespace: all */
	uint8_t of;			 /* enum mt_closing_of */
	bool messages_only;		 /* ports of bytes stay open */
	bool harmless;			 /* it closes nothing: whom it is about is told */
	struct mt_closing_place *places; /* of a filter; none: everywhere */
	uint32_t n_places;
	const char *why;
};

/*
 * What holds for the whole mesh: the Node's word, then MeshConfig's, then the default. Lists NULL: not said. It lives as long as who
 * lists the objects.
 */
struct mt_mesh_settings {
	const char *root_ns;		     /* NULL: nobody has asked; "istio-system" then */
	const char *trust_domain;	     /* NULL: not said */
	const char *ns;			     /* the node's own; NULL: a client's is the service's */
	const struct mt_mesh_config *config; /* NULL: none */
	bool no_auto_mtls;
};

/* What names of instances lead to (mt_name_table_find()); `find` NULL: nobody looks them up. */
struct mt_model_names {
	const struct mt_addr *(*find)(void *arg, const char *name, uint32_t *n, const char **why);
	void *arg;
};

/* Everything that the sources of one load said. */
struct mt_model {
	struct mt_region region;
	uint32_t refs;		 /* who would free it */
	uint32_t kinds;		 /* bits by list, in their order: those that hold something */
	struct mt_model **parts; /* models whose objects it lists; it holds one reference of each */
	uint32_t n_parts;
	size_t parts_bytes; /* what they take together */
	/* Of discovery services. What one resource says is a model that ends behind these (mt_model_new_resource()). */
	struct mt_objs res_clusters, res_endpoints, res_listeners, res_routes, res_secrets,
		res_extensions, res_names;
	struct mt_objs service_entries, workload_entries, destination_rules, virtual_services,
		meta_routers, app_protocols, gateways, envoy_filters, authorization_policies,
		peer_authentications, request_authentications;
	/* of Kubernetes */
	struct mt_objs services, slices, pods, namespaces, secrets, mesh_configs;
	struct mt_objs gwapi_gateways, gwapi_routes, gwapi_grants, gwapi_backend_tls;
	struct mt_objs proxy_settings;	   /* Telemetry and ProxyConfig */
	struct mt_node *node;		   /* NULL: no Node document */
	const struct mt_closing *closings; /* live as long as who lists the objects */
	uint32_t n_closings;
	struct mt_mesh_settings mesh;
	struct mt_model_names names;
};

/* One of tens of thousands that hold a discovery service's resource each: it has the lists of those, and nothing else. */
struct mt_model *mt_model_new_resource(void);
struct mt_model *mt_model_new(void);
/* Gives back one reference; with the last one its objects die. NULL is allowed. */
void mt_model_free(struct mt_model *m);
/* One reference more; returns m. */
struct mt_model *mt_model_hold(struct mt_model *m);

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

/* What labels say of where somebody stands, as "region/zone/subzone" in `r`; NULL: nothing. */
const char *mt_labels_locality(struct mt_region *r, const struct mt_labels *l);

/* The domain of Kubernetes' services, and the namespace that is for all. */
const char *mt_model_domain(const struct mt_model *m);
const char *mt_model_root(const struct mt_model *m);
/* NAME, NAME.NS and NAME.NS.svc in full; false: it is not short, or too long. */
bool mt_long_name(const char *word, const char *ns, const char *domain, char *buf, size_t size);
/* Whether a host as a rule writes it ("*", "*.x", "a.x") is about that one. */
bool mt_host_covers(const char *wildcard, const char *host);
/*
 * Whether what is said in namespace `ns` is visible in another one: by its exportTo, or by what holds for those that say none
 * (empty: all namespaces).
 */
bool mt_is_exported(const struct mt_exports *to, const struct mt_exports *unsaid, const char *ns,
	const char *client_ns);
