/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: ports that are forwarded at layer 4 (forwarding.c, forward_*.c). */
#pragma once

#include "mt_conf_policy_priv.h"

/* Why a forwarded port fails closed. */
struct mt_forward_closing {
	struct mt_policy *by;
	const char *why; /* a clause without its subject, the policy; in b->tmp */
	bool evaluated;	 /* it denies all packets; else it cannot be evaluated */
};

/* forward_policy.c: true if a policy closes the port; *out: the first one. */
bool mt_b_forward_closed(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	struct mt_forward_closing *out);
/*
 * forward_direct.c: true if the endpoints of the cluster can have the port's mode, if that is one
 * in which they answer clients themselves. Otherwise the error is reported. `own`: those of
 * mt_b_forward_own(), which alone can refuse the port.
 */
bool mt_b_forward_direct(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const bool *own);
/* True if packets for the endpoint can reach it by the mode; others are not among the choices. */
bool mt_b_forward_reaches(
	const struct mt_build *b, enum mt_forwarding mode, const struct mt_addr *endpoint);
/* Ports of NAT addresses, if none are written: of spec.nat's addresses, and of ports' own. */
#define MT_NAT_FIRST	 1024
#define MT_NAT_LAST	 65535
#define MT_NAT_OWN_FIRST 40500 /* the upper half of MT_SOURCE_PORT_FIRST to MT_SOURCE_PORT_LAST */
#define MT_NAT_OWN_LAST	 MT_SOURCE_PORT_LAST

/* A destination of a forwarded port. */
struct mt_forward_dest {
	const struct mt_host *h;
	const struct mt_unit *u;	/* the port of that host */
	const struct mt_subset *subset; /* NULL: all its endpoints */
	uint32_t weight;		/* 0: it keeps its flows, and gets no new ones */
	uint32_t first, end;		/* its endpoints in mt_forward_route.members */
};

/* An endpoint of a destination. */
struct mt_forward_member {
	struct mt_addr addr;
	uint16_t port;
	uint32_t at; /* in the cluster; UINT32_MAX: it is not there */
};

/* The destinations of a forwarded port, from its host's VirtualService or the host itself. */
struct mt_forward_route {
	const struct mt_host *own; /* the host of the port */
	struct mt_forward_dest *v;
	uint32_t n;
	uint64_t total; /* of weights, with those of destinations that are not here */
	/* By destination; set with the cluster (document_cluster.c). */
	struct mt_forward_member *members;
	uint32_t n_members;
};

/*
 * forward_room.c: takes this much for a service in namespace `ns`, a text that outlives the build.
 * False: the namespace would have more than its share; then it takes nothing.
 */
bool mt_b_forward_take(struct mt_build *b, const char *ns, enum mt_forward_room room, uint64_t n);
/* forward_routes.c: sets mt_unit.route of all forwarded ports. */
void mt_b_forward_routes(struct mt_build *b);
/*
 * refs.c: sets host, port and subset of a destination in *to. False: it is not here, and is
 * reported.
 */
bool mt_b_forward_dest(struct mt_build *b, const struct mt_meta *meta, const char *path,
	const struct mt_dest *d, uint16_t default_port, struct mt_forward_dest *to);

/* The line of proxyProtocol for a destination; 0: none. */
uint32_t mt_b_forward_header(const struct mt_forward_dest *d);

/*
 * forward_claims.c: notes that the host's port has this endpoint, with these policies. `claims` is
 * by address and port, and empty at first; what it has is in b->tmp. 0 or -ENOMEM.
 */
int mt_b_forward_claim(struct mt_build *b, struct mt_strmap *claims, const struct mt_policed *to,
	const struct mt_authz *policies);

enum mt_forward_claimed {
	MT_FORWARD_ADDED,	   /* the cluster gets an endpoint with these policies */
	MT_FORWARD_JOINED,	   /* it has one */
	MT_FORWARD_LEFT_OUT,	   /* another host has it, with other policies */
	MT_FORWARD_LEFT_OUT_AGAIN, /* the same of another workload there */
};

/* After all are noted: whether packets for the host may go to the endpoint. */
enum mt_forward_claimed mt_b_forward_claimed(const struct mt_strmap *claims,
	const struct mt_policed *to, const struct mt_authz *policies);

#define MT_FORWARD_NOT UINT32_MAX

/* The share of an endpoint of a forwarded port. */
struct mt_forward_share {
	uint32_t weight;
	uint32_t dest; /* its destination; MT_FORWARD_NOT: none */
};

/*
 * forward_routes.c: for each endpoint of the cluster, true if it is one of the port's own host, and
 * not of another one to which routes lead. In b->tmp; NULL: no memory, which b->tmp has.
 */
const bool *mt_b_forward_own(
	struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c);
/*
 * forward_routes.c, after mt_b_forward_own(): sets the shares of the cluster's endpoints by their
 * weights (0: it drains, MT_FORWARD_NOT: it cannot be chosen). lost[is4]: the share of destinations
 * without an endpoint of that family.
 */
void mt_b_forward_shares(const struct mt_unit *u, const struct mt_cluster *c,
	const uint32_t *weights, struct mt_forward_share *out, uint32_t lost[2]);

struct mt_l4_check_conf;
struct mt_l4_conf;
struct mt_l4_service_conf;

/* Sets of clients that were found for endpoints of a service, the last ones of them. */
#define MT_FORWARD_LETS 16
struct mt_forward_let {
	const struct mt_authz *policies;
	uint16_t port, service_port; /* of the endpoint, and of its service */
	uint32_t clients;	     /* mt_l4_endpoint_conf.clients */
};

struct mt_forward_lets {
	const char *ns; /* of the service */
	struct mt_forward_let v[MT_FORWARD_LETS];
	uint32_t n; /* ever found */
};

/*
 * forward_clients.c: sets *clients, as mt_l4_endpoint_conf.clients, for endpoint i of the cluster.
 * `u` is the port of the service that has it. False: the policies have more addresses than there is
 * room for.
 */
bool mt_b_forward_clients(struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c,
	uint32_t i, struct mt_forward_lets *lets, struct mt_l4_service_conf *s, uint32_t *clients);

/*
 * forward_others.c: sets the weights of other hosts' endpoints that the port cannot have to
 * MT_FORWARD_NOT, and reports them.
 */
void mt_b_forward_leave_others(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, const struct mt_l4_conf *conf, const bool *own,
	uint32_t *weights);

/* A port's endpoints, each array by the endpoint's place in the cluster. */
struct mt_forward_side {
	const bool *own;
	uint32_t *weights;
	struct mt_forward_share *shares;
	uint32_t *clients; /* mt_l4_endpoint_conf.clients */
	struct mt_forward_lets *lets;
	bool is_own; /* the endpoints that are looked at */
};

/*
 * Sets the clients of each endpoint with a share, those of the own host first. Endpoints of other
 * hosts with too many addresses in their policies get the weight MT_FORWARD_NOT, and are reported.
 * False: an own endpoint has too many.
 */
bool mt_b_forward_find_clients(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_cluster *c, struct mt_forward_side *side, struct mt_l4_service_conf *s);

struct mt_forward_past;
/*
 * forward_past.c: sets the endpoints before the last changes of each service (mt_l4_service_conf),
 * as far as `was`, of the services now in force (NULL: none are), has them. The new past, which the
 * caller frees and which the services refer to, is in *out. 0 or -ENOMEM.
 */
int mt_forward_past_next(const struct mt_forward_past *was, struct mt_l4_service_conf *v,
	uint32_t n, uint64_t now, struct mt_forward_past **out);
/* NULL is allowed. */
void mt_forward_past_free(struct mt_forward_past *p);
/* forward_check.c: how the port's endpoints are checked. */
struct mt_l4_check_conf mt_b_health_check(struct mt_build *b, const struct mt_unit *u);
/* Ends ejections of endpoints that are no longer checked. When the snapshot is published. */
void mt_forward_unchecked(const struct mt_snapshot *s, uint64_t now);

/*
 * document_cluster.c: true if the endpoint would be called by TLS at the port, or is in the mesh
 * and no rule permits plaintext. It is not served there, because nothing of the node speaks TLS
 * for forwarded packets.
 */
bool mt_b_forward_by_tls(
	struct mt_build *b, const struct mt_forward_dest *d, const struct mt_workload *w);
/* True if the endpoint is one of the destination's that can be called. */
bool mt_b_forward_has(const struct mt_forward_dest *d, const struct mt_workload *w);
