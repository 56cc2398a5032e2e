/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/model: the configuration model, a struct for each kind of document. Files, xDS and any later
 * source fill these structs on the control thread. lib/conf checks and compiles the structs, so the
 * compiler does not depend on the source. The model itself decides nothing.
 *
 * Invariants:
 * - Strings, arrays and objects live in the model's region and are freed with it (mt_model_free()).
 *   A snapshot keeps no part of a model.
 * - Each object starts with a struct mt_origin, so that errors have file and line. Documents start
 *   with a struct mt_meta, whose first member is the origin.
 * - Each value has its own line, in a struct mt_text (s NULL: absent) or struct mt_num (`set`:
 *   present). A zero-filled struct is a document without any field.
 * - Lists and documents keep the order in which they were read, because routes depend on this
 *   order.
 * - A model may list objects of other models (mt_model_share()). References keep the other models
 *   alive, and shared objects do not change.
 * - Only mt_model_add() fills lists, because it also marks in `kinds` the lists that are not empty.
 *   So the lists of tens of thousands of parts are joined without a read of the empty ones. A bit
 *   of `kinds` is a list's index, so the lists are adjacent in the struct.
 * - Resources of discovery services (mt_model_resource.h) have a meta.serial that is never 0 and
 *   changes with each version. lib/conf reuses compiled objects while the serial is unchanged.
 *
 * Diagnostics (mt_diag.h): a message is one clause that describes the mistake in the value, and a
 * remedy is the text to write instead. Entries are copies, so the list outlives the model. The list
 * keeps 40 consecutive entries of each severity about one object, and 500,000 in all, with a share
 * for each namespace. It counts every entry and keeps the serial of every refused object. An
 * invalid resource of a discovery service is MT_DIAG_LEFT_OUT or a warning, which refuse nothing.
 * MT_DIAG_NOT_SERVED is for a valid resource that cannot be served yet. struct mt_suggest proposes
 * a word in place of a mistyped one; at most a third of the letters may differ.
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
#include "mt_model_traffic.h"
#include "mt_model_types.h"

/* The endpoints to which a struct mt_closing applies, by the other proxies that protect them. */
enum mt_closing_of {
	MT_CLOSING_BARE = 1,	/* no other proxy */
	MT_CLOSING_OUTSIDE = 2, /* none, because the endpoint is not part of the mesh */
	MT_CLOSING_MESHED = 4,	/* the endpoint has a proxy of its own */
};

/* The proxies for which a filter is configured. */
enum mt_closing_context {
	MT_CONTEXT_INBOUND = 1,	 /* of endpoints, for calls to them */
	MT_CONTEXT_OUTBOUND = 2, /* of clients */
	MT_CONTEXT_GATEWAY = 4,
	MT_CONTEXT_ANY = 7,
};

/*
 * The filter chains for which a filter is configured: of HTTP ports, or with a TCP proxy at the
 * end, which includes Dubbo.
 */
enum mt_closing_chain { MT_CHAIN_ANY, MT_CHAIN_HTTP, MT_CHAIN_BYTES };

struct mt_closing_place {
	uint8_t contexts; /* enum mt_closing_context */
	uint8_t chain;	  /* enum mt_closing_chain */
	uint16_t port;	  /* port of the service, the endpoint or the gateway; 0: any */
};

/*
 * An object that restricts access and cannot be evaluated, so it fails closed. Every call to an
 * endpoint that the object may select is denied; names, addresses and routes of the endpoint
 * remain.
 */
struct mt_closing {
	struct mt_meta about; /* kind, namespace, name, serial, origin */
	/* empty: the object's namespace, or every namespace if that is the root namespace */
	struct mt_policy_scope scope;
	uint8_t of;	    /* enum mt_closing_of */
	bool messages_only; /* ports of opaque TCP stay open */
	/* denies nothing, only reports the endpoints that it selects */
	bool harmless;
	struct mt_closing_place *places; /* places of a filter; n_places 0: everywhere */
	uint32_t n_places;
	const char *why;
};

/*
 * Settings of the whole mesh, from the Node, else from MeshConfig, else the default. Valid as long
 * as the table of objects (lib/objects) that made them.
 */
struct mt_mesh_settings {
	const char *root_ns;	  /* NULL: not known yet, so "istio-system" is used */
	const char *trust_domain; /* NULL: not set */
	/* the node's namespace; NULL: clients count as in the namespace of the service they call */
	const char *ns;
	const struct mt_mesh_config *config; /* NULL: none */
	bool no_auto_mtls;
};

/* Resolves host names of endpoints (mt_name_table_find()); `find` NULL: names are not resolved. */
struct mt_model_names {
	void (*find)(void *arg, const char *name, struct mt_name_state *out);
	void *arg;
};

/*
 * Limit of the memory of a model's parts, so that a configuration cannot use up the machine's
 * memory.
 */
#define MT_MODEL_LIMIT (1ull << 30)

/* The content of all sources of one load. */
/*
 * Disadvantages of an object among those that claim the same address, unless one of them is served
 * there now. An object with a lower sum precedes; among equal sums the oldest does.
 */
enum mt_standing {
	MT_STANDING_UNDATED = 1, /* no creationTimestamp, which each object of an API server has */
	MT_STANDING_LIMITED = 2, /* its source is limited to some namespaces */
	MT_STANDING_NEW = 4,	 /* another version of the object was applied last, or none */
	/* no version of the object was applied before; counts only while nothing is in force */
	MT_STANDING_NEVER = 8
};

struct mt_model {
	struct mt_region region;
	uint32_t refs;		 /* reference count */
	uint32_t kinds;		 /* bit i: the i-th of the lists below is not empty */
	struct mt_model **parts; /* models with listed objects; one reference to each */
	uint32_t n_parts;
	size_t parts_bytes; /* memory of all parts */
	/*
	 * Lists from discovery services. The model of one resource has only these
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
	struct mt_objs proxy_settings;	/* Telemetry and ProxyConfig */
	struct mt_objs codecs;		/* struct mt_codec_document */
	struct mt_objs client_policies; /* TrafficPolicy */
	struct mt_node *node;		/* NULL: no Node document */
	/* valid as long as the table of objects that made them */
	const struct mt_closing *closings;
	uint32_t n_closings;
	/* by serial of an object, enum mt_standing + 1; valid as long as closings. NULL: unknown */
	const struct mt_idmap *standings;
	/*
	 * by serial, versions with a last good one that takes their place if they are refused;
	 * valid as long as closings. NULL: unknown
	 */
	const struct mt_idmap *replacing;
	/* index of spec.sources[].owns; valid as long as closings. NULL: no source owns any */
	const struct mt_owned *owned;
	struct mt_mesh_settings mesh;
	struct mt_model_names names;
};

/*
 * Creates a model for one resource of a discovery service. The model has only the lists of
 * resources, because there are tens of thousands of such models.
 */
struct mt_model *mt_model_new_resource(void);
struct mt_model *mt_model_new(void);
/* Drops a reference; the last one frees the model with its objects. NULL is allowed. */
void mt_model_free(struct mt_model *m);
/* Takes a reference; returns m. */
struct mt_model *mt_model_hold(struct mt_model *m);

/*
 * Appends all objects of `part` to the lists of `m`, and takes a reference to `part`, which nothing
 * may change from then on. Does not take the Node, because the caller decides which source may have
 * one. Returns 0, -ENOMEM, or -E2BIG if all parts together exceed MT_MODEL_LIMIT.
 */
int mt_model_share(struct mt_model *m, struct mt_model *part);
/*
 * As mt_model_share() for `n` parts, in order. Prefetches the parts, because tens of thousands of
 * them are in no cache.
 */
int mt_model_share_all(struct mt_model *m, struct mt_model *const *parts, uint32_t n);

/* Appends `obj` to a list of the model. Returns 0 or -ENOMEM. */
int mt_model_add(struct mt_model *m, struct mt_objs *list, void *obj);

/* Returns the value of a label; NULL if there is none with this key. */
const char *mt_labels_get(const struct mt_labels *l, const char *key);
/* True if `have` contains every label of `want` with its value. */
bool mt_labels_match(const struct mt_labels *want, const struct mt_labels *have);

/* Returns the locality that labels specify, as "region/zone/subzone" in `r`; NULL: none. */
const char *mt_labels_locality(struct mt_region *r, const struct mt_labels *l);

/*
 * Return the domain of Kubernetes' services, and the root namespace, whose objects apply to all
 * namespaces.
 */
const char *mt_node_domain(const struct mt_node *n); /* NULL: the default */
const char *mt_model_domain(const struct mt_model *m);
const char *mt_model_root(const struct mt_model *m);
/*
 * Changes a host name to lower case in place; in "NAMESPACE/HOST" only the host. Host names ignore
 * case (RFC 4343), so every source stores them in lower case, and all other code compares bytes.
 */
void mt_host_fold(char *host);
/* Copies a host name in lower case to `r`. Returns NULL if out of memory, or if `host` is NULL. */
char *mt_host_name(struct mt_region *r, const char *host);
/* Returns the host of a Kubernetes Service, NAME.NAMESPACE.svc.DOMAIN, in `r`; NULL: no memory. */
char *mt_service_host(struct mt_region *r, const char *name, const char *ns, const char *domain);
/*
 * Expands the host NAME, NAME.NS or NAME.NS.svc to the full name. Returns false if `word` has
 * another form, or if `buf` is too small.
 */
bool mt_long_name(const char *word, const char *ns, const char *domain, char *buf, size_t size);
/* True if a host as written in a rule ("*", "*.x", "a.x") matches `host`. */
bool mt_host_covers(const char *wildcard, const char *host);
/*
 * True if an object in namespace `ns` is visible in `client_ns`. The object's exportTo `to`
 * decides; if it is empty, the default `unsaid`; if both are empty, the object is visible in all
 * namespaces.
 */
bool mt_is_exported(const struct mt_exports *to, const struct mt_exports *unsaid, const char *ns,
	const char *client_ns);
