/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model: a struct for each kind of document. Files, xDS and any later
 * source fill these structs on the control thread; lib/conf checks and compiles them, so that it
 * does not depend on the source. The model itself decides nothing.
 *
 * Invariants:
 * - Strings, arrays and objects live in the model's region and are freed with it (mt_model_free()).
 *   A snapshot keeps no part of a model.
 * - Each object starts with its struct mt_origin, so that errors have file and line. Documents
 *   start with a struct mt_meta, which starts with an origin.
 * - Values have their own line: struct mt_text (NULL: absent), struct mt_num (`set`: present). A
 *   zero-filled struct is a document without any field.
 * - Lists keep the order of the documents, and documents the order in which they were read, because
 *   routes depend on it.
 * - A model may list objects of other models (mt_model_share()). References keep them alive, and
 *   shared objects do not change.
 * - Only mt_model_add() fills lists: a model remembers which of its lists have entries (`kinds`),
 *   so that listing tens of thousands of parts reads no empty lists. For that, lists are adjacent.
 * - Resources of discovery services (mt_model_resource.h) have a meta.serial that is never 0 and
 *   changes with each version, so lib/conf reuses what it compiled for an unchanged serial.
 *
 * Diagnostics (mt_diag.h): a message is one clause about what is wrong with the value, a remedy is
 * what to write instead. Entries are copies, so the list outlives the model. Of consecutive entries
 * about one object the list keeps 40 of each severity, and 500,000 in all, with a share for each
 * namespace; it counts every entry, and knows of each object that is refused.
 * An invalid resource of a discovery service is MT_DIAG_LEFT_OUT or a warning, which refuse
 * nothing; MT_DIAG_NOT_SERVED is for a valid resource that cannot be served yet. struct mt_suggest
 * finds the word that a mistyped one most likely meant: at most a third of the letters may differ.
 *
 * A new kind needs a struct in a header of this library and a struct mt_objs in struct mt_model,
 * then a reader in lib/source.
 */
#pragma once

#include "mt_name_state.h"
#include "mt_region.h"
#include "mt_model_gateway_api.h"
#include "mt_model_kube.h"
#include "mt_model_resource.h"
#include "mt_model_node.h"
#include "mt_model_route.h"
#include "mt_model_security.h"
#include "mt_model_service.h"
#include "mt_model_types.h"

/* Endpoints to which a struct mt_closing applies, by what else protects them. */
enum mt_closing_of {
	MT_CLOSING_BARE = 1,	/* nothing */
	MT_CLOSING_OUTSIDE = 2, /* nothing: they are not part of the mesh */
	MT_CLOSING_MESHED = 4,	/* proxies of their own */
};

/* The proxies that a filter belongs to. */
enum mt_closing_context {
	MT_CONTEXT_INBOUND = 1,	 /* of endpoints, for calls to them */
	MT_CONTEXT_OUTBOUND = 2, /* of clients */
	MT_CONTEXT_GATEWAY = 4,
	MT_CONTEXT_ANY = 7,
};

/*
 * The filter chains that it belongs to: those of an HTTP port, or those that end in a TCP proxy,
 * also of Dubbo.
 */
enum mt_closing_chain { MT_CHAIN_ANY, MT_CHAIN_HTTP, MT_CHAIN_BYTES };

struct mt_closing_place {
	uint8_t contexts; /* enum mt_closing_context */
	uint8_t chain;	  /* enum mt_closing_chain */
	uint16_t port;	  /* of the service, the endpoint or the gateway; 0: any */
};

/*
 * An object that restricts access and cannot be evaluated, so it fails closed. Endpoints that it
 * may select keep their names, addresses and routes, and every call to one of them is denied.
 */
struct mt_closing {
	struct mt_meta about;		 /* kind, namespace, name, serial, origin */
	struct mt_policy_scope scope;	 /* empty: its namespace; in the root namespace: all */
	uint8_t of;			 /* enum mt_closing_of */
	bool messages_only;		 /* ports of opaque TCP stay open */
	bool harmless;			 /* it denies nothing; what it selects is only reported */
	struct mt_closing_place *places; /* of a filter; n_places 0: everywhere */
	uint32_t n_places;
	const char *why;
};

/*
 * Settings of the whole mesh: from the Node, else from MeshConfig, else the default. Lists NULL:
 * not set. Valid as long as the owner of the list of objects.
 */
struct mt_mesh_settings {
	const char *root_ns;		     /* NULL: not known yet, "istio-system" is used */
	const char *trust_domain;	     /* NULL: not set */
	const char *ns;			     /* the node's own; NULL: a client has its service's */
	const struct mt_mesh_config *config; /* NULL: none */
	bool no_auto_mtls;
};

/* Resolves host names of endpoints (mt_name_table_find()); `find` NULL: names are not resolved. */
struct mt_model_names {
	void (*find)(void *arg, const char *name, struct mt_name_state *out);
	void *arg;
};

/* Most memory of a model's parts. More would use up the machine's memory. */
#define MT_MODEL_LIMIT (1ull << 30)

/* All that the sources of one load contain. */
struct mt_model {
	struct mt_region region;
	uint32_t refs;		 /* reference count */
	uint32_t kinds;		 /* bit mask of the lists, in their order, that are not empty */
	struct mt_model **parts; /* models whose objects it lists; it has one reference to each */
	uint32_t n_parts;
	size_t parts_bytes; /* memory of all of them */
	/*
	 * From discovery services. The model of one resource ends after these
	 * (mt_model_new_resource()).
	 */
	struct mt_objs res_clusters, res_endpoints, res_listeners, res_routes, res_secrets,
		res_extensions, res_names;
	struct mt_objs service_entries, workload_entries, destination_rules, virtual_services,
		meta_routers, app_protocols, gateways, envoy_filters, authorization_policies,
		peer_authentications, request_authentications;
	/* From Kubernetes. */
	struct mt_objs services, slices, pods, namespaces, secrets, mesh_configs;
	struct mt_objs gwapi_gateways, gwapi_routes, gwapi_grants, gwapi_backend_tls;
	struct mt_objs proxy_settings;	   /* Telemetry and ProxyConfig */
	struct mt_node *node;		   /* NULL: no Node document */
	const struct mt_closing *closings; /* valid as long as the owner of the list of objects */
	uint32_t n_closings;
	struct mt_mesh_settings mesh;
	struct mt_model_names names;
};

/*
 * Creates a model for one resource of a discovery service, of which there are tens of thousands: it
 * has the lists of resources only.
 */
struct mt_model *mt_model_new_resource(void);
struct mt_model *mt_model_new(void);
/* Drops a reference; the last one frees the model with its objects. NULL is allowed. */
void mt_model_free(struct mt_model *m);
/* Takes a reference; returns m. */
struct mt_model *mt_model_hold(struct mt_model *m);

/*
 * Lists all objects of `part` after those of `m`, and takes a reference to it. Nothing may change
 * `part` from then on. Does not take the Node: the caller decides which source may have one.
 * Returns 0, -ENOMEM, or -E2BIG if all parts together exceed the limit of a configuration.
 */
int mt_model_share(struct mt_model *m, struct mt_model *part);
/*
 * As mt_model_share() for `n` parts, in order. There may be tens of thousands, none of them in a
 * cache.
 */
int mt_model_share_all(struct mt_model *m, struct mt_model *const *parts, uint32_t n);

/* Appends to a list of the model. 0 or -ENOMEM. */
int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj);

/* The value of a label; NULL: not there. */
const char *mt_labels_get(const struct mt_labels *l, const char *key);
/* True if `have` contains every label of `want` with its value. */
bool mt_labels_match(const struct mt_labels *want, const struct mt_labels *have);

/* The locality that labels specify, as "region/zone/subzone" in `r`; NULL: none. */
const char *mt_labels_locality(struct mt_region *r, const struct mt_labels *l);

/* The domain of Kubernetes' services; the root namespace, whose objects apply to all namespaces. */
const char *mt_model_domain(const struct mt_model *m);
const char *mt_model_root(const struct mt_model *m);
/*
 * Host names ignore case (RFC 4343), so every source stores them in lower case, and all other code
 * compares bytes. mt_host_fold() changes a name in place; in "NAMESPACE/HOST" only the host.
 */
void mt_host_fold(char *host);
/* Copies a host name in lower case to `r`; NULL: no memory, or `host` is NULL. */
char *mt_host_name(struct mt_region *r, const char *host);
/* The host of a Kubernetes Service, NAME.NAMESPACE.svc.DOMAIN, in `r`; NULL: no memory. */
char *mt_service_host(struct mt_region *r, const char *name, const char *ns, const char *domain);
/*
 * Expands the host NAME, NAME.NS and NAME.NS.svc to the full name. False if `word` has another
 * form, or if `buf` is too small.
 */
bool mt_long_name(const char *word, const char *ns, const char *domain, char *buf, size_t size);
/* True if a host as written in a rule ("*", "*.x", "a.x") matches `host`. */
bool mt_host_covers(const char *wildcard, const char *host);
/*
 * True if an object in namespace `ns` is visible in `client_ns`, by its exportTo, or, if that is
 * empty, by the default `unsaid` (empty: all namespaces).
 */
bool mt_is_exported(const struct mt_exports *to, const struct mt_exports *unsaid, const char *ns,
	const char *client_ns);
