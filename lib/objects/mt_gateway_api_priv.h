/* SPDX-License-Identifier: Apache-2.0 */
/* Private to gateway_api.c and gateway_routes.c, which translate Gateway API objects. */
#pragma once

#include "mt_objects_priv.h"

#define MT_GWAPI_GROUP "gateway.networking.k8s.io"

/* A listener that this node serves, and the route that uses it. */
struct mt_gwapi_bound {
	const struct mt_gwapi_gateway *gateway;
	const struct mt_gwapi_listener *listener;
	const char *name;		    /* "NAMESPACE/GATEWAY~LISTENER" */
	const struct mt_gwapi_route *route; /* opaque TCP: its only route, NULL: none yet */
};

struct mt_gwapi {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_gwapi_bound *bound;
	uint32_t n_bound;
	bool *asked; /* by index of the ReferenceGrant: it permitted a reference */
	/* State of the route that is being translated: */
	const struct mt_gwapi_route *route;
	const struct mt_meta *before; /* older route that uses one of its listeners; NULL: none */
	struct mt_rule *rule;
	struct mt_rule_match *matches; /* of a TLSRoute: server names, one match a listener */
	struct mt_text *names;	       /* of its listeners */
	uint32_t n_matches;
	const struct mt_gwapi_ref **services;
	uint32_t n_names, n_services, n_made;
	bool refused; /* a listener of this node does not admit the route */
};

/* gateway_api.c: adds a diagnostic about the object `meta`; line 0: the line where it starts. */
void mt_gwapi_tell(struct mt_gwapi *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *words);
bool mt_gwapi_is(const struct mt_text *t, const char *word);
/*
 * True if `r` refers to a Service, in any spelling of its group; `unsaid`: result without a kind.
 */
bool mt_gwapi_is_service(const struct mt_gwapi_ref *r, bool unsaid);
/* gateway_api.c: true if `p`, a parent of the current route, names this listener. */
bool mt_gwapi_is_parent(
	const struct mt_gwapi *x, const struct mt_gwapi_ref *p, const struct mt_gwapi_bound *b);
/* gateway_api.c: true if the listener admits the current route. */
bool mt_gwapi_admits(const struct mt_gwapi *x, const struct mt_gwapi_bound *b);

/* gateway_routes.c: translates one route. */
void mt_gwapi_route(struct mt_gwapi *x, const struct mt_gwapi_route *r);
