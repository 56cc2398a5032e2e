/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unmatched.c, unmatched_ports.c, unmatched_keys.c, unmatched_routes.c, unnamed_calls.c: names in
 * documents that match nothing here, and calls that no document takes, probably by mistake.
 */
#pragma once

#include "mt_conf_policy_priv.h"

/* Why an object matches nothing, for the operator. */
struct mt_unmatched {
	const char *path; /* of the field; NULL: the object as a whole */
	uint32_t line;
	const char *words;
	char remedy[224]; /* empty: none */
};

/*
 * True if a policy that selects nothing is probably a mistake: its namespace has endpoints here and
 * none has its labels, a service that it targets is not here, or its namespace looks mistyped.
 */
bool mt_policy_is_unmatched(
	struct mt_build *b, const struct mt_policy *p, struct mt_unmatched *out);
/* The namespace of services here that `ns` is a mistyping of; NULL: none is near, or it is one. */
const char *mt_b_near_namespace(struct mt_build *b, const char *ns);
/*
 * Reports a document for nodes with the labels `want`, which this node lacks. It is for another
 * node, unless `want` is nearly what the Node has: that fails --strict.
 */
void mt_b_not_node(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const struct mt_labels *want, const char *words);

/*
 * Reports a document that is not exported to clients here. It is for others, unless a namespace in
 * `to` looks mistyped: that fails --strict.
 */
void mt_b_not_exported(struct mt_build *b, const struct mt_meta *meta, const struct mt_exports *to,
	uint32_t line, const char *path, const char *words);

/* Adds the ports of an endpoint that a policy with ports selects. */
void mt_policy_note_ports(struct mt_build *b, struct mt_policy *p, const struct mt_host *h,
	const struct mt_workload *w);
/* Warns of ports in a policy that no endpoint has which it selects. */
void mt_b_tell_policy_ports(struct mt_build *b, const struct mt_policy *p);
/*
 * Warns of matches for a port that none of the VirtualService's hosts has. Wildcards, and hosts
 * that are not here, may have any.
 */
void mt_b_tell_match_ports(struct mt_build *b, const struct mt_virtual_service *vs);
/* The list as its document has it, before it was joined with delegates. */
static inline const struct mt_rule_list *mt_written_list(const struct mt_rule_list *l)
{
	return l->written ? l->written : l;
}
/* Warns of rules that come after one that takes every call. */
void mt_b_tell_unreached(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *l, const char *prefix);
/*
 * Warns of matches for clients that are not here: labels that are nearly the Node's, a namespace
 * that is nearly one of services here.
 */
void mt_b_tell_sources(struct mt_build *b, const struct mt_virtual_service *vs);
/*
 * Warns of routes of services that leave some calls without a route, because each of their matches
 * has an exact value. A match by the name of the service itself takes all of its calls.
 */
void mt_b_tell_unrouted(struct mt_build *b, const struct mt_virtual_service *vs);
void mt_b_tell_unrouted_of_router(struct mt_build *b, const struct mt_meta_router *mr);
/* The label of the Node that `want` nearly has, as "key: value" in buf; NULL: none is near. */
const char *mt_b_near_label(
	const struct mt_build *b, const struct mt_labels *want, char *buf, size_t size);
/* Warns of services without ports, and of those without endpoints if documents alone have these. */
void mt_b_tell_no_endpoints(struct mt_build *b);
/* Warns of keys in matches that are nearly a well-known key of the hosts' protocols. */
void mt_b_tell_route_keys(struct mt_build *b, const struct mt_virtual_service *vs);
void mt_b_tell_router_keys(struct mt_build *b, const struct mt_meta_router *mr);
/*
 * Warns of services that share an address and port with earlier ones, if their calls may have no
 * service name and the documents do not specify one.
 */
void mt_b_tell_unnamed_calls(struct mt_build *b);
