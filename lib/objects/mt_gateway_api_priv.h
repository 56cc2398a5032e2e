/* SPDX-License-Identifier: Apache-2.0 */
/* Private to gateway_api.c and gateway_routes.c, which translate Gateway API objects. */
#pragma once

#include "mt_objects_priv.h"

#define MT_GWAPI_GROUP "gateway.networking.k8s.io"

/* A listener that this node serves, and the route that uses it. */
struct mt_gwapi_bound {
	const struct mt_gwapi_gateway *gateway;
	const struct mt_gwapi_listener *listener;
	const char *name; /* "NAMESPACE/GATEWAY~LISTENER" */
	/* the only route of a listener of opaque TCP; NULL: none yet */
	const struct mt_gwapi_route *route;
};

struct mt_gwapi {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_gwapi_bound *bound;
	uint32_t n_bound;
	bool *asked; /* by index of the ReferenceGrant: it permitted a reference */
	/* By "NAMESPACE/NAME": Kubernetes' Services, and those as backends (gateway_api.c). */
	struct mt_strmap services_here, backends;
	bool has_own; /* a Gateway has the name in the Node's label */
	struct mt_budget budget;
	/* State of the route that is being translated: */
	const struct mt_gwapi_route *route;
	/* an older route that uses one of this route's listeners; NULL: none */
	const struct mt_meta *before;
	struct mt_rule *rule;
	/* for a TLSRoute: the server names, one match for each listener */
	struct mt_rule_match *matches;
	struct mt_text *names; /* names of the route's listeners */
	uint32_t n_matches;
	const struct mt_gwapi_ref **services;
	uint32_t n_names, n_services, n_made;
	bool refused; /* a listener of this node does not admit the route */
};

/* gateway_api.c: adds a diagnostic about the object `meta`; line 0: the object's first line. */
void mt_gwapi_tell(struct mt_gwapi *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *words);
bool mt_gwapi_is(const struct mt_text *t, const char *word);
/*
 * True if `r` refers to a Service, in any spelling of the group. Without a kind the result is
 * `unsaid`.
 */
bool mt_gwapi_is_service(const struct mt_gwapi_ref *r, bool unsaid);
/* gateway_api.c: true if `p`, a parent of the current route, names this listener. */
bool mt_gwapi_is_parent(
	const struct mt_gwapi *x, const struct mt_gwapi_ref *p, const struct mt_gwapi_bound *b);
/* gateway_api.c: true if the listener admits the current route. */
bool mt_gwapi_admits(struct mt_gwapi *x, const struct mt_gwapi_bound *b);
/*
 * gateway_api.c: charges the search for ReferenceGrants of a namespace. False: the object may cost
 * no more.
 */
bool mt_gwapi_may_ask(struct mt_gwapi *x);
/*
 * gateway_api.c: charges the comparison of a ReferenceGrant's lists with a reference to `name`.
 * False: the object may cost no more.
 */
bool mt_gwapi_may_read(struct mt_gwapi *x, const struct mt_gwapi_grant *g, const char *name);
/* gateway_api.c: work to compare a name, which aliases may repeat. NULL: none. */
uint64_t mt_gwapi_work(const char *name);
/* gateway_api.c: true if the Service is here. */
bool mt_gwapi_has_service(const struct mt_gwapi *x, const char *ns, const char *name);

/* gateway_routes.c: translates one route. */
void mt_gwapi_route(struct mt_gwapi *x, const struct mt_gwapi_route *r);
