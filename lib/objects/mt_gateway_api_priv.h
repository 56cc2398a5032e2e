/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files that translate Gateway API. */
#pragma once

#include "mt_objects_priv.h"

#define MT_GWAPI_GROUP "gateway.networking.k8s.io"

/* One listener that is served here, and who has it. */
struct mt_gwapi_bound {
	const struct mt_gwapi_gateway *gateway;
	const struct mt_gwapi_listener *listener;
	const char *name;		    /* "NAMESPACE/GATEWAY~LISTENER" */
	const struct mt_gwapi_route *route; /* of bytes one can have it; NULL: none yet */
};

struct mt_gwapi {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_gwapi_bound *bound;
	uint32_t n_bound;
	bool *asked; /* grants, by place */
	/* of the route that is under way */
	const struct mt_gwapi_route *route;
	const struct mt_meta *before; /* an older one has a listener that it asks for */
	struct mt_rule *rule;
	struct mt_rule_match *matches; /* of TLS: server names, for each listener */
	struct mt_text *names;	       /* of listeners */
	uint32_t n_matches;
	const struct mt_gwapi_ref **services;
	uint32_t n_names, n_services, n_made;
	bool refused; /* a listener is here, and does not admit it */
};

/* gateway_api.c: of the object `meta`; line 0: its own. */
void mt_gwapi_tell(struct mt_gwapi *x, enum mt_diag_severity severity, const struct mt_meta *meta,
	uint32_t line, const char *path, const char *words);
bool mt_gwapi_is(const struct mt_text *t, const char *word);
/* A Service, however its group is written; `unsaid`: what a reference without a kind means. */
bool mt_gwapi_is_service(const struct mt_gwapi_ref *r, bool unsaid);
/* gateway_api.c: whether the parent of the route under way is this listener, and whether that takes it. */
bool mt_gwapi_is_parent(
	const struct mt_gwapi *x, const struct mt_gwapi_ref *p, const struct mt_gwapi_bound *b);
bool mt_gwapi_admits(const struct mt_gwapi *x, const struct mt_gwapi_bound *b);

/* gateway_routes.c: a route, and what becomes of it. */
void mt_gwapi_route(struct mt_gwapi *x, const struct mt_gwapi_route *r);
