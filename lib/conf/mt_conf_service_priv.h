/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: services, whoever says them, as snapshots share them (service.c). */
#pragma once

#include "mt_conf_priv.h"

/*
 * Where a name led that a service's routes hold. What was written is read again only while the service's serial says that it is
 * the same reading of the same document.
 */
enum mt_service_dep_kind {
	MT_DEP_UNKNOWN, /* a discovery service's name of a cluster that is not there; the service keeps the text */
	MT_DEP_PLACE,	    /* one that was there, by name */
	MT_DEP_DESTINATION, /* of a document */
	MT_DEP_JOINED,	/* of documents that were joined for one load: it cannot be read again */
	MT_DEP_CLUSTER, /* a cluster's name in a document */
};

struct mt_service_dep {
	union {
		char *name;
		const struct mt_dest *destination;
		const char *cluster;
	} of;
	const struct mt_codec *codec; /* of a destination's port; a warning depends on it */
	uint64_t id;		      /* of the cluster */
	uint64_t hash; /* of what decides when forwarding begins: its hash keys and its policies' */
	uint32_t at;   /* in the snapshot's clusters; MT_NO_CLUSTER: not known */
	uint16_t port; /* that a destination without one means */
	uint8_t kind;  /* enum mt_service_dep_kind */
};

struct mt_service_deps {
	struct mt_service_dep *v;
	uint32_t n;
	bool joined; /* destinations are MT_DEP_JOINED */
	struct mt_region *region;
};

/* Of the service that is compiled; NULL: none is, or no memory. */
struct mt_service_dep *mt_b_note_dep(
	struct mt_build *b, enum mt_service_dep_kind kind, uint32_t at);

struct mt_shared_service {
	uint32_t refs;	/* snapshots */
	uint64_t build; /* the last one that uses it as a discovery service's; 0: none */
	uint64_t serial, routes_serial, protocols; /* of what it was made from */
	uint64_t extension_serial;
	uint64_t tracing; /* hash of the settings, of a discovery service's proxy; 0: none */
	uint32_t limiter; /* id of the rate limit service of its listener's limit; 0: none */
	uint64_t
		topology; /* of documents: where all names led when it was made, or looked at last */
	uint64_t override_stamp; /* mt_overrides_service_stamp() */
	uint64_t hash, stamp;
	struct mt_region region; /* the service and all of it but routes and filters */
	struct mt_service *s;
	struct mt_index *index;
	const struct mt_codec *codec;
	uint8_t opts;
	uint32_t idle_s;
	struct mt_service_deps deps;
	uint32_t at, routes_at; /* in the model's lists, as it was last */
	uint32_t chain;		/* the filter chain that serves; n_chains: the default one */
	uint32_t n_served;	/* addresses of the last build */
	char **texts; /* "address:port" of the listener's addresses, as listeners are found by */
	uint32_t n_texts;
	char name[];
};

/* What a service is called, before its routes are known. */
struct mt_service_said {
	const char *unique;	    /* "documents HOST:PORT", or its listener's name */
	const char *name, *key;	    /* struct mt_service */
	const struct mt_meta *meta; /* that is refused if there is no room for it */
	const char *ns;		    /* NULL: not known */
	struct mt_origin origin;
	uint16_t port;
	const struct mt_codec *codec;
	uint8_t opts;
};

/*
 * One that mt_b_service_end() is to be called for, whatever comes of it; until then what the compiler keeps is the service's, and
 * where names lead is noted. NULL: with `b->tmp.failed`, no memory; without, told that there is no room.
 */
struct mt_shared_service *mt_b_service_begin(
	struct mt_build *b, const struct mt_service_said *said);
/* By mt_b_route_service(). 0, -EINVAL or -ENOMEM. */
int mt_b_service_route(
	struct mt_build *b, struct mt_shared_service *sv, const struct mt_route_for *f);
/* The limits of a service's calls. */
struct mt_service_limits {
	const struct mt_meta *meta;	   /* of the document that limits; NULL: none is about it */
	const struct mt_limit_conf *local; /* NULL: none */
	const struct mt_meta *global_meta; /* of the document with the next one */
	const struct mt_global_conf *global;	/* NULL: none */
	bool global_first;			/* before `local` */
	const struct mt_client_target *clients; /* limits them; NULL: none */
};
/* Filters by limits, and early_ok. */
int mt_b_finish_service(struct mt_build *b, const struct mt_service_limits *l,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash);
/* rc not 0: it is given back. The service, found by its name from now on, with one reference; NULL: it was given back. */
struct mt_shared_service *mt_b_service_end(
	struct mt_build *b, struct mt_shared_service *sv, int rc);
/* Whether the clusters that its routes name are where they were. `ns`: of the document that routes; NULL: none. */
bool mt_b_service_leads(struct mt_build *b, struct mt_shared_service *sv, const char *ns);
void mt_shared_service_put(struct mt_conf *c, struct mt_shared_service *sv);
/* All are known: the snapshot's list. 0 or -ENOMEM. */
int mt_b_services_finish(struct mt_build *b);

/*
 * document_service.c: the rules that clients of a port follow: a patch's own, then those of a
 * MetaRouter that has some, then the VirtualService's. NULL: none, they go to the host itself.
 * *meta: of the document with the rules, otherwise the service.
 */
const struct mt_rule_list *mt_b_unit_rules(
	const struct mt_host *h, const struct mt_unit *u, const struct mt_meta **meta);
/*
 * The limit of calls to a port: a patch's own, else the MetaRouter's. NULL: none, or the service is
 * closed, so that there are no calls. *meta: of the document with the limit.
 */
const struct mt_limit_conf *mt_b_unit_limit(
	const struct mt_host *h, const struct mt_unit *u, const struct mt_meta **meta);
/* The MetaRouter's global limit, in the same way. */
const struct mt_global_conf *mt_b_unit_global(const struct mt_host *h, const struct mt_unit *u);
/* ---- of documents (document_service.c) ------------------------------------------------------------ */

/* Rules of a joined list that are of one VirtualService. */
struct mt_joined {
	const struct mt_meta *meta;
	uint32_t end; /* index after its last rule, which is also that of the next one's first */
};

struct mt_document_service {
	struct mt_service_slot *slot;
	struct mt_route_for route;
	struct mt_service_limits limits;
	uint8_t opts;
	/* Of a gateway: who may come in, which is the snapshot's; NULL: everybody. */
	const struct mt_gate_guard *gate;
	uint64_t gate_hash;
	const struct mt_meta *gate_meta;
	const struct mt_gateway *gateway; /* at which its calls enter; NULL: none */
	/* Of joined VirtualServices, in b->tmp; none: all rules are of route.meta. */
	const struct mt_joined *parts;
	uint32_t n_parts;
};

/* Found or compiled, into its slot. 0, -EINVAL after an error, or -ENOMEM. */
int mt_b_document_service(struct mt_build *b, const struct mt_document_service *d);
/* All of them, after whatever they lead to. */
int mt_b_document_services(struct mt_build *b);

/* ---- Gateways by name ------------------------------------------------------------------------ */

/* Longest "NAMESPACE/NAME" of a Gateway; of a longer one there is none. */
#define MT_GATEWAY_KEY 512
/*
 * clients.c: returns the full name of the Gateway that a document in `ns` names: `name` itself, or
 * a text in `key`.
 */
const char *mt_b_gateway_key(const char *name, const char *ns, char key[MT_GATEWAY_KEY]);

/* ---- limits and proxies --------------------------------------------------------------------------- */

/*
 * limits.c: a filter's configuration; `name` is its buckets' identity. NULL after an error, or
 * without memory.
 */
void *mt_b_limit_conf(struct mt_build *b, const struct mt_meta *meta, const struct mt_limit_conf *l,
	const struct mt_codec *codec, const char *name, uint64_t *hash);
int mt_b_limit(struct mt_build *b, const struct mt_meta *meta, const struct mt_limit_conf *l,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash);
/* rules.c: `m` may be NULL. */
uint64_t mt_b_hash_match(const struct mt_rule_match *m, uint64_t h);
/* global_limits.c: adds the filter. 0, -EINVAL after an error, or -ENOMEM. */
int mt_b_global(struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash);
/*
 * Returns the id of the service that a limit of a listener (`meta`) queries in this build. 0: none;
 * it warns.
 */
uint32_t mt_b_mesh_limiter(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_global_conf *g);
/* client_limits.c: the policy of a service's clients, or of those that enter by a Gateway. */
struct mt_client_target *mt_b_host_clients(const struct mt_host *h);
struct mt_client_target *mt_b_gateway_clients(struct mt_build *b, const struct mt_gateway *g);
const struct mt_meta *mt_b_clients_meta(const struct mt_client_target *t);
/* Follows all that the filter is made from. */
uint64_t mt_b_clients_hash(const struct mt_client_target *t, uint64_t h);
uint64_t mt_b_steps_of_clients(const struct mt_client_target *t);
/* True if all metadata keys that the policy reads satisfy fn. */
bool mt_b_clients_keys(const struct mt_client_target *t,
	bool (*fn)(const struct mt_codec *codec, const char *key), const struct mt_codec *codec);
/* Adds the filter. 0, -EINVAL after an error, or -ENOMEM. */
int mt_b_client_limit(struct mt_build *b, const struct mt_client_target *t,
	const struct mt_codec *codec, struct mt_service *s, uint64_t *hash);
/* Warns if the MetaRouter's rate limit service cannot be queried. */
void mt_b_tell_global(struct mt_build *b, const struct mt_meta_router *mr);
/* patches.c: the codec of a proxy, by its own name, else by the protocol's; false after an error. */
bool mt_b_proxy_codec(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_proxy_patch *p, const char *path, struct mt_proto *out);
/* The same without an error. */
bool mt_b_proxy_reads(struct mt_build *b, const struct mt_proxy_patch *p, struct mt_proto *out);
