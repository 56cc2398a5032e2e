/* SPDX-License-Identifier: Apache-2.0 */
/* Between policies.c and policy_*.c. */
#pragma once

#include "mt_audit.h"
#include "mt_authz.h"
#include "mt_by_label.h"
#include "mt_conf_listener_priv.h"

enum mt_policy_kind {
	MT_POLICY_OF_AUTHORIZATION,
	MT_POLICY_OF_PEERS,
	MT_POLICY_OF_TOKENS,
	MT_POLICY_OF_CLOSING,
};

/* Sizes of policies, for counts of their work. Parts of rules are compared in a step. */
#define MT_PARTS_OF_STEP 4
struct mt_policy_sum {
	uint64_t n;	   /* policies */
	uint64_t twins;	   /* of these: others have their names, so that there are more sets */
	uint64_t rules;	   /* in all of them */
	uint64_t parts;	   /* conditions of the rules, and ports in them */
	uint64_t values;   /* in fields that an index may have */
	uint64_t keys;	   /* conditions on metadata */
	uint8_t fields;	   /* other fields that an index may have: bits */
	uint64_t at_ports; /* steps for each port, of those that depend on ports */
	uint64_t closings; /* rules without conditions: of closings, STRICT, and without rules */
	uint64_t varies;   /* of `n`: at some ports other rules */
	uint64_t compiled; /* steps to compile them for a codec */
	uint64_t networks; /* of `values` */
	uint64_t looks;	 /* steps to compare them with an endpoint, in addition to those for `n` */
	uint64_t tokens; /* steps to copy the rules for tokens */
	uint64_t places; /* metadata keys in these rules */
};

/* A policy while it is compiled, and what it was found to be about. */
struct mt_policy {
	enum mt_policy_kind kind;
	struct mt_policy_sum size; /* of this one */
	bool by_port;		   /* a rule depends on ports */
	const struct mt_meta *meta;
	const struct mt_policy_scope *scope;
	union {
		const struct mt_authorization_policy *authorization;
		const struct mt_peer_authentication *peers;
		const struct mt_request_authentication *tokens;
		const struct mt_closing *closing;
	} of;
	uint32_t selected[MT_INSTANCE_CLASSES]; /* instances that it decides about */
	uint32_t n_unsure;			/* of these: by labels that nobody knows */
	uint32_t n_unsure_told;			/* of these: of a discovery service */
	/* of these: a ServiceEntry without `location` that has some; NULL: there is none */
	const struct mt_service_entry *unplaced;
	bool of_mesh;			 /* a discovery service names instances of its namespace */
	bool of_documents;		 /* some document's instances are selected */
	bool drifts;			 /* see mt_policies.drifting */
	const struct mt_host *last_host; /* told as touched already */
	const struct mt_host *last_closed;
	uint32_t n_hosts, n_closed_hosts; /* that it is about; of a closing: that it closes */
	/* Of authorization: what compiling it for ports has told. */
	const char *dropped, *dropped_by, *vanished, *vanished_by, *other, *other_by;
	/*
	 * Of tokens: a protocol that cannot remove them from messages, and metadata that a claim is
	 * for, with a protocol that lets servers take them from elsewhere.
	 */
	const char *keeps_token, *claimed, *claimed_by;
	bool enforced, closes;
	/* Why it closes a forwarded port, as mt_forward_closing.why, and the first such port. */
	const char *closes_forward;
	const struct mt_unit *closed_port;
	const char *unasked;		  /* of CUSTOM: why nobody is asked; NULL: somebody is */
	const struct mt_gateway *gateway; /* that it is about; NULL: none */
	bool at_gateways;		  /* and about a port of it */
	/* Of peers: another one counts where it would. */
	const struct mt_policy *winner;
	/*
	 * Of one with ports: those of what it selects, by number + 1 of the endpoints and of the
	 * services, which lead to the endpoints' number + 1; unknown: not all of them.
	 */
	struct mt_idmap server_ports, service_ports;
	bool ports_unknown;
};

#define MT_POLICY_PORTS 65536

struct mt_policies {
	struct mt_policy *v;
	uint32_t n;
	struct mt_strmap by_ns; /* struct mt_policy_bag */
	struct mt_strmap guards, compiled;
	struct mt_strmap rules;	 /* struct mt_authz_rules, by policy and codec */
	struct mt_idmap touched; /* hosts of Gateways, by policy */
	/*
	 * Of policy_shared.c: endpoints, what it has looked at, and objects that it has warned of,
	 * by serial number; what one set of policies has and another one lacks.
	 */
	struct mt_idmap listed, looked, warned, pairs;
	bool told;	  /* a discovery service's instances are examined */
	uint32_t n_alike; /* how many instances are looked at as one */
	/*
	 * Those that protect, and select nothing in their namespace, while there are instances whose namespace nobody has
	 * written: it may be theirs.
	 */
	struct mt_policy **drifting;
	uint32_t n_drifting;
	uint32_t n_outbound;	/* filters in the proxies of clients, in all bags */
	struct mt_idmap groups; /* struct mt_policy_group (policy_groups.c) */
	struct mt_idmap names;	/* of AuthorizationPolicies, to find twins */
	/* Bits of ports: of services and their endpoints; of gateways. NULL: there are no filters. */
	uint64_t *ports, *gateway_ports;
	/* Who may call at all. */
	struct mt_authz_callers callers;
	const char *domains[MT_B_DOMAINS]; /* of members of the mesh */
	uint64_t callers_hash;		   /* 0: nobody has a principal */
	bool vouched; /* a port is one of workloads, who come by no other: it satisfies what asks for mTLS */
	bool mtls; /* the node has an identity, or somebody's, so that callers can bring the mesh's TLS */
};

/* Policies of one namespace, the oldest first, and their index (policy_find.c). */
struct mt_policy_list {
	struct mt_policy **v;
	uint32_t n;
	/* Those with targets, by kind and name; by the rarest label of their selector; all others. */
	struct mt_by_label targets, selectors;
	struct mt_policy **whole;
	uint32_t n_whole;
	struct mt_policy **found, **more; /* room for results */
	struct mt_policy_sum all_sum, whole_sum;
	struct mt_idmap sums;	/* struct mt_policy_sum of what one label finds, by struct mt_bag */
	struct mt_idmap labels; /* of selectors: hashes of key and value */
};

/* Of one namespace. */
struct mt_policy_bag {
	struct mt_policy_list all, peers; /* peers: PeerAuthentications alone */
};

/* Some policies of one namespace, the oldest first. */
struct mt_policy_group {
	struct mt_policy **v;
	uint32_t n;
	struct mt_policy_sum sum;
};

/* Visits the policies of some groups, those of each namespace by age. */
#define MT_POLICY_BAGS	 3
#define MT_POLICY_GROUPS 3
struct mt_policy_walk {
	const struct mt_policy_group *of[MT_POLICY_BAGS][MT_POLICY_GROUPS];
	uint32_t at[MT_POLICY_BAGS][MT_POLICY_GROUPS];
	uint32_t bag;
};

/* policy_find.c: those that may be about an instance, the oldest first. */
struct mt_policies_found {
	struct mt_policy **v;
	uint32_t n;
};

/* Indexes a list that is complete. */
void mt_b_policy_index(struct mt_build *b, struct mt_policy_list *list);
void mt_policy_index_fini(struct mt_policy_list *list);
/*
 * Returns what policies of a namespace (NULL: none) contain that may be about an instance because
 * of its labels. *id: different for instances that may be selected by different policies. It looks
 * for each label.
 */
struct mt_policy_sum mt_policy_by_labels(
	const struct mt_policy_bag *bag, const struct mt_workload *w, uint64_t *id);
/* The same of those that may be about all instances of the service, whatever their labels. */
struct mt_policy_sum mt_policy_by_host(
	const struct mt_policy_bag *bag, const struct mt_host *h, const struct mt_workload *w);
/*
 * inbound.c: the limit in an endpoint's own proxy, if this node enforces it there; NULL: none.
 * *meta: of the document with it.
 */
const struct mt_limit_conf *mt_b_inbound_limit(
	struct mt_build *b, const struct mt_policed *to, const struct mt_meta **meta);

void mt_policy_sum_add(struct mt_policy_sum *to, const struct mt_policy_sum *more);
/* policy_size.c: sets p->size. `domains`: principals are compiled for so many trust domains. */
void mt_policy_measure(struct mt_policy *p, uint32_t domains);
/*
 * Returns the policies of a list (NULL: none) that may be about an instance; the caller compares
 * each of them. Valid until the next call for this list.
 */
struct mt_policies_found mt_policy_find(
	struct mt_policy_list *list, const struct mt_host *h, const struct mt_workload *w);

/* policies.c: what an instance of a discovery service's host is to each of them; `n`: so many are alike. */
void mt_b_policies_look(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint32_t n);
/* And what its clients' filters are to it. */
void mt_b_policies_look_at_clients(struct mt_build *b, const struct mt_host *h);
/* policy_callers.c: whether callers can show certificates, and what principals of ours are called. */
void mt_b_policy_callers(struct mt_build *b);
/* policy_mesh.c: which of them are about namespaces of discovery services' instances. */
void mt_b_policies_of_mesh(struct mt_build *b);
const char *mt_b_root_namespace(const struct mt_build *b);
struct mt_policy_bag *mt_b_policies_of(const struct mt_build *b, const char *ns);

enum mt_instance_class mt_instance_class(const struct mt_host *h, const struct mt_workload *w);
/* Of the document that it stands in. */
const struct mt_meta *mt_instance_meta(const struct mt_host *h, const struct mt_workload *w);

/* Whether this node is who enforces it in front of instances of that class. */
bool mt_policy_is_ours(const struct mt_policy *p, enum mt_instance_class class);
bool mt_policy_selects(
	const struct mt_policy *p, const struct mt_host *h, const struct mt_workload *w);
/* It protects, and whether it selects the instance hangs on labels that nobody knows: it closes; tokens are asked for. */
bool mt_policy_may_select(const struct mt_build *b, const struct mt_policy *p,
	const struct mt_host *h, const struct mt_workload *w);
/* Either of these: where its namespace is nobody's word. */
bool mt_policy_may_fit(const struct mt_build *b, const struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w);
/* Of one name, with other content. */
bool mt_policy_is_twin(const struct mt_policy *a, const struct mt_policy *b);
/* Aeraki's, of Dubbo. */
bool mt_policy_is_dubbo(const struct mt_policy *p);
/*
 * policy_filters.c: what is a filter stands in some chains only. In front of that port of the instance (any port; of whoever is
 * no filter: always, but Aeraki's, which are Dubbo's), in front of calls of the service's clients, at that port of a gateway (0: at any).
 */
bool mt_policy_stands_before(
	const struct mt_policy *p, const struct mt_workload *w, const struct mt_unit *u);
bool mt_policy_stands_before_any(
	const struct mt_policy *p, const struct mt_host *h, const struct mt_workload *w);
bool mt_policy_is_outbound(const struct mt_policy *p);
bool mt_policy_is_in_chain(const struct mt_closing_place *at, enum mt_port_web web);
/* policy_groups.c: after the policies are known by namespace. */
void mt_b_policy_groups(struct mt_build *b);
/* Filters in the proxies of a service's clients that are about the port, also harmless ones. */
struct mt_policy_walk mt_b_policies_behind(
	const struct mt_build *b, const struct mt_host *h, const struct mt_unit *u);
/* Those of them that deny calls. */
struct mt_policy_walk mt_b_policies_closing(
	const struct mt_build *b, const struct mt_host *h, const struct mt_unit *u);
/* Policies that are about a Gateway of this node. */
struct mt_policy_walk mt_b_policies_at(const struct mt_build *b, const struct mt_gateway *g);
/* The next policy; NULL: there is none. */
struct mt_policy *mt_policy_next(struct mt_policy_walk *w);
/* Their sums, or more if a policy is in several groups. */
struct mt_policy_group mt_policy_walk_sum(const struct mt_policy_walk *w);
bool mt_policy_stands_at(
	const struct mt_build *b, const struct mt_policy *p, uint16_t port, enum mt_port_web web);
bool mt_policy_is_of_gateways(const struct mt_policy *p);
/*
 * policy_guards.c: all that an instance's calls are judged by, also where everybody passes, and by its own proxy where it has
 * one; NULL: nothing is about it.
 */
const struct mt_authz *mt_b_guard_whole(struct mt_build *b, const struct mt_policed *to);
/* policy_guards.c: what calls at a gateway's port are judged by; NULL: nothing. */
const struct mt_authz *mt_b_guard_gate(
	struct mt_build *b, const struct mt_gate *at, uint64_t *hash);
/* policy_guards.c: what calls of the service's clients are judged by, wherever they are led; NULL: nothing. */
const struct mt_authz *mt_b_guard_clients(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint64_t *hash);
/* The namespace of the node at a gateway. */
const char *mt_gateway_ns(const struct mt_build *b, const struct mt_gateway *g);
/* policy_gateways.c: it is about that port of a gateway. */
void mt_policy_touch_gate(struct mt_build *b, struct mt_policy *p, const struct mt_gate *at);
/* policy_filters.c: finds all ports of services and gateways, for filters that name a port. */
void mt_b_policy_ports(struct mt_build *b);
/* policy_gateways.c: finds those that are about a gateway which this node is. */
void mt_b_policies_at_gateways(struct mt_build *b);
/*
 * policy_shared.c: notes the policies of an endpoint, and warns if an object of another namespace
 * lists it without them.
 */
void mt_b_policy_shared(
	struct mt_build *b, const struct mt_policed *to, const struct mt_authz *rules);
/* Whether some call could be refused because of it. */
bool mt_policy_protects(const struct mt_policy *p);
/* NULL: all of its namespace, or it has targets. */
const struct mt_labels *mt_policy_selector(const struct mt_policy *p);
bool mt_policy_has_targets(const struct mt_policy *p);
/* Neither AUDIT nor a dry run. */
bool mt_policy_is_real(const struct mt_policy *p);

/*
 * policy_tokens.c: what calls' tokens are verified by where these are in front, in their order; the snapshot holds it. NULL: no memory.
 * They have MT_TOKEN_RULES rules at most.
 */
struct mt_token_rules *mt_b_tokens(struct mt_build *b, struct mt_policy *const *v, uint32_t n);
uint32_t mt_b_tokens_count(struct mt_policy *const *v, uint32_t n);

struct mt_callout_conf;
struct mt_callout_provider;

/* Where a service is that calls wait for. */
struct mt_callout_place {
	const char *kind; /* those of different kinds are different objects */
	const char *host;
	const char *ns; /* whose names the host is one of; NULL: no memory */
	uint32_t port;
	/*
	 * Of the author of a namespace: an unknown host is not looked up, there are few, and the
	 * services, addresses and identity are those that the author may use.
	 */
	bool known_only;
};

/* Why a service cannot be queried. */
struct mt_callout_no {
	const char *why;    /* NULL: no memory */
	const char *remedy; /* not NULL: its author may not have it queried */
};

/*
 * grpc_providers.c: the provider with these settings, without a reference for the caller, in this build. `conf` has no servers
 * and no TLS. NULL: *no.
 */
struct mt_callout_provider *mt_b_callout(struct mt_build *b, const struct mt_callout_place *at,
	const struct mt_callout_conf *conf, struct mt_callout_no *no);

/*
 * The same of a discovery service's cluster, as far as its endpoints are known. `no` has no remedy.
 */
struct mt_callout_provider *mt_b_callout_of_cluster(struct mt_build *b, const char *cluster,
	const struct mt_callout_conf *conf, struct mt_callout_no *no);

/*
 * grpc_providers.c: who is asked by policies that name it; the snapshot holds it. NULL: nobody can be asked, with *why for the operator,
 * or no memory (*why NULL).
 */
struct mt_extauthz_provider *mt_b_provider(
	struct mt_build *b, const struct mt_text *name, const char **why);
/* Warns about the MeshConfig's providers of policies whose hosts objects of others have. */
void mt_b_providers_tell(struct mt_build *b);

/* policy_peers.c: of PeerAuthentication, one of a workload, or of a namespace or the mesh. */
bool mt_policy_is_level(const struct mt_build *b, const struct mt_policy *p, bool workload);
/* Which mode holds at the instance's port, and whose word it is; NULL: nobody's. */
enum mt_mtls_mode mt_b_peer_mode(struct mt_build *b, const struct mt_host *h,
	const struct mt_workload *w, uint16_t port, struct mt_policy **whose);
/* That of the innermost scope, whatever it says; NULL: none is about it. */
struct mt_policy *mt_b_peer_policy(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w);
