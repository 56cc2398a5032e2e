/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: addresses that are answered for and the filter chains behind them, whoever says them (listener.c). */
#pragma once

#include "mt_conf_service_priv.h"
#include "mt_tls.h"

/* What a filter chain of a listener is for, and what serves it. */
struct mt_listen_chain {
	const struct mt_res_match *match; /* NULL: everybody, or whoever is left */
	bool by_name; /* of documents: for TLS of the names of `match`, or of all names */
	const char *
		refuse; /* not NULL: whom it is for are refused, for this reason; nothing of what follows is set */
	const struct mt_codec *codec;
	uint8_t opts;
	uint32_t idle_s; /* 0: not said */
	struct mt_service_slot **services;
	uint32_t n_services; /* several: each has its own key */
	/* best claim of the first services to the address and port (mt_b_claim()) */
	unsigned int claim;
	uint32_t n_claims;
	/* It ends TLS, and refuses clear text that it gets; the snapshot holds it. NULL: TLS is bytes. */
	struct mt_tls_context *tls;
	const void *of; /* who says it, where several end TLS at one port */
};

/* Whether the mesh's mutual TLS of clients is ended; NOT_SAID: nothing is behind it that would say so. */
enum mt_listen_mtls { MT_LISTEN_NOT_SAID, MT_LISTEN_NEVER, MT_LISTEN_EITHER, MT_LISTEN_ALWAYS };

/* A listener while it is made. Who says it owns its texts until the snapshot is whole; `origin.file` lives as long as the snapshot. */
struct mt_listen {
	struct mt_addr addr; /* zero: any local address */
	uint16_t port;
	bool discovered;      /* by a discovery service */
	struct mt_num detect; /* ms, protocol detection time-out; not set: MeshConfig's */
	const struct mt_alog_scope *log_scope; /* as in struct mt_listener */
	const char *text;		       /* "address:port" */
	struct mt_origin origin;	       /* of what was first there */
	/* objects of the listener, if its address is any or one of the node itself (binds.c) */
	struct mt_bind **binds;
	uint32_t n_binds;
	struct mt_bind **spaces; /* the first one of each namespace */
	uint32_t n_spaces;
	bool serves; /* something for one of them */
	struct mt_listen_chain *chains;
	uint32_t n_chains;
	struct mt_listen_chain *last; /* behind them; NULL: none */
	bool fallback;		      /* `last` is for those that no other one is for */
	/* the last one for which no name was left; its further services get none at once */
	const struct mt_listen_end *nameless;
	enum mt_listen_mtls mtls; /* of its services */
	struct mt_held
		*shows; /* whose identity the mesh's mutual TLS is ended by; NULL: the node's own */
	const struct mt_meta *shows_by; /* the object of `shows`; NULL: none yet */
	const struct mt_host *shows_of; /* its host */
	bool shows_own; /* services with different identities share it, so it shows the node's own */
};

/* Without a chain, in b->tmp; `text` is its key, and lives as long. NULL: no memory. */
struct mt_listen *mt_b_listen_new(
	struct mt_build *b, const struct mt_addr *a, uint16_t port, const char *text);
/* Found, or new. */
struct mt_listen *mt_b_listen(struct mt_build *b, const struct mt_addr *a, uint16_t port);
/* Who has the address; NULL: nobody. */
const struct mt_listen *mt_b_listen_at(const struct mt_build *b, const char *text);
/* The name of a service there. */
const char *mt_b_listen_name(const struct mt_listen *l);
/* All of them, documents' first, into the snapshot. 0 or -ENOMEM. */
int mt_b_listeners_finish(struct mt_build *b);

/* ---- TLS that is ended (listener_tls.c) ------------------------------------------------------------ */

/*
 * Of equal rules and of one credential there is one context in a snapshot, and in the next one: a load costs nothing, and the
 * clients' tickets stay good. The snapshot holds it. NULL with *e: the rules are none, or no memory.
 */
struct mt_tls_context *mt_b_server_context(
	struct mt_build *b, const struct mt_tls_rules *r, struct mt_err *e);
/* By which its clients say that they speak the mesh's mutual TLS; lives for ever. */
const char **mt_b_alpn_of_mesh(uint32_t *n);
/* Of the mesh's mutual TLS, by the node's identity. NULL: it has none, or no memory. */
struct mt_tls_context *mt_b_mesh_context(struct mt_build *b);
/* By this one, of the mesh. NULL with *e. */
struct mt_tls_context *mt_b_mesh_end(
	struct mt_build *b, struct mt_credential *credential, struct mt_err *e);
/* held.c: by this one, which may have none: NULL. */
struct mt_tls_context *mt_b_held_context(struct mt_build *b, struct mt_held *held);
/* Sets mt_host.held of all hosts. */
void mt_b_held_hosts(struct mt_build *b);
/* Hosts whose clients are refused, as their identity cannot be had. */
void mt_b_tell_shown(struct mt_build *b);
/* Which domains' principals are the mesh's, into `v`, which has room for all of them; in b->tmp. */
#define MT_B_DOMAINS 64
uint32_t mt_b_trust_domains(struct mt_build *b, const char *v[MT_B_DOMAINS]);
/* What clients of a port of a host speak; also of what was there before. */
void mt_b_listen_mtls(
	struct mt_build *b, struct mt_listen *l, const struct mt_host *h, const struct mt_unit *u);
/* Chains for the mesh's mutual TLS, for other TLS and for clear text, where there was one for all of them. 0 or -ENOMEM. */
int mt_b_listen_split(struct mt_build *b, struct mt_listen *l);

/* ---- of documents (document_listener.c) ----------------------------------------------------------- */

/* TLS that asks for one of these names, passed through; no names: any TLS. */
struct mt_listen_tls {
	const char **names;
	uint32_t n_names;
	struct mt_service_slot *service;
	bool of_mesh; /* only of clients that offer the mesh's protocols */
};

/* Where a port answers, and who says it: whatever is wrong is told at that line of the object. */
struct mt_listen_port {
	const struct mt_addr *addr;
	uint16_t port;
	const struct mt_meta *meta;
	uint32_t line;
	const char *path;		 /* NULL: "spec.ports[I].number" */
	uint32_t at;			 /* with path NULL: I */
	uint32_t idle_s;		 /* 0: not said */
	const struct mt_listen_end *end; /* NULL: clear text, or TLS that is passed through */
	/*
	 * Document of another namespace whose routes are for a Gateway's port. In conflicts of
	 * routes it is refused in place of the Gateway. NULL: none.
	 */
	const struct mt_meta *guest;
};

/* TLS that a gateway's server ends: of clients that ask for one of these names; no names: of all. */
struct mt_listen_end {
	struct mt_tls_context *tls;
	const char **names;
	uint32_t n_names;
};

/* Everybody who comes there and is not led by his server name; with `end`, whoever that is for. False: no memory, or somebody else has it, which is told. */
bool mt_b_listen_add(struct mt_build *b, const struct mt_listen_port *at,
	const struct mt_codec *codec, uint8_t opts, struct mt_service_slot *s);
/*
 * Lets an object have a listener of documents that it cannot share. True if its claim is better
 * than those of all services there. Their objects are then refused. `name`, `line`: of the object's
 * service. False with *why: words for the error (mt_claim_reason()).
 */
bool mt_b_listen_win(struct mt_build *b, struct mt_listen *l, const struct mt_meta *meta,
	const char *name, uint32_t line, const char **why);
/* TLS by server names: of those that nobody has there yet. */
void mt_b_listen_tls(
	struct mt_build *b, const struct mt_listen_port *at, const struct mt_listen_tls *t);

/* A server of a Gateway that serves nothing now: its TLS cannot be terminated, or it has no routes. */
struct mt_listen_closed {
	struct mt_listen_port at;     /* `end`: its server names; NULL: plaintext */
	const struct mt_codec *codec; /* of plaintext */
	uint8_t opts;
};

/*
 * Notes the server. It keeps the address, port and names that its object or namespace has in the
 * configuration in force.
 */
void mt_b_listen_closed(struct mt_build *b, const struct mt_listen_closed *closed);
/*
 * Takes the names of closed servers from chains of other namespaces that got them now, and refuses
 * objects of other namespaces that got the address and port and with which they cannot share it.
 */
void mt_b_keep_closed(struct mt_build *b);

/* ---- narrow and wide listeners (binds.c) ----------------------------------------------------- */

/* An object that is to be served at an address and port. */
struct mt_bind {
	const struct mt_meta *meta;
	uint32_t line;
	const char *path; /* NULL: "spec.ports[AT].number" */
	uint32_t at;
	uint32_t order;	      /* among all of them */
	bool used;	      /* something is served there for it */
	struct mt_bind *same; /* another one of its namespace at the address and port; NULL: none */
	struct mt_bind *first; /* of its namespace there */
	struct mt_bind *last;  /* the first one's: the last of them */
	struct mt_bind *best;  /* the first one's: the one with the best claim to a wide listener */
	bool known;	       /* `best` was looked for */
	unsigned int claim;    /* to `place`, the last one that was asked for; 0: none */
	uint64_t place;
};

/*
 * Notes that an object is to be served at an address and port of TCP, unless the node answers for
 * the address only because of such objects. `used`: false for a server of a Gateway without routes.
 */
void mt_b_bind(struct mt_build *b, const struct mt_listen_port *at, bool used);
/*
 * Returns the listener that has the clients of an address and port without a listener of their own.
 * NULL: none, or the address is neither 0.0.0.0 nor one of the node itself.
 */
const struct mt_listen *mt_b_listen_wider(
	const struct mt_build *b, const struct mt_addr *a, uint16_t port);
/* Refuses objects that would take clients of another namespace's wider listener. */
void mt_b_binds(struct mt_build *b);

/* Services' own addresses. */
void mt_b_listeners(struct mt_build *b);

/* ---- of Gateways, and of Gateway API's (document_gateway.c) ---------------------------------------- */

void mt_b_gateways(struct mt_build *b);

/* passing.c: a server of AUTO_PASSTHROUGH. */
struct mt_passing {
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *server;
	const char *name, *path; /* NAMESPACE/NAME; of the port in it */
	const struct mt_gate_guard *gate;
	uint64_t gate_hash;
};
/* A chain for each port and subset of the services that it is for; how many. */
uint32_t mt_b_bind_passing(struct mt_build *b, const struct mt_passing *at);

/* gateway_tls.c: the names of the server's hosts. False: no memory. */
bool mt_b_gateway_names(
	struct mt_build *b, const struct mt_gateway_server *server, struct mt_listen_end *end);
/* gateway_tls.c: what the server's TLS is ended with, in b->tmp. NULL: it is not, which is told. */
const struct mt_listen_end *mt_b_gateway_end(struct mt_build *b, const struct mt_gateway *g,
	const struct mt_gateway_server *server, const char *path);

/* ---- rules of `tls` (document_tls.c) --------------------------------------------------------------- */

/* Whose clients they may be for. */
struct mt_tls_door {
	const struct mt_gateway *gateway; /* NULL: a service's own addresses */
	const struct mt_gateway_server *server;
	const struct mt_addr *addrs;
	uint32_t n_addrs;
	uint16_t port;
	const struct mt_gate_guard *gate; /* who may come in; NULL: everybody */
	uint64_t gate_hash;
	const char *ns;				/* of the service; NULL: a gateway's */
	const struct mt_client_target *clients; /* limits clients that enter; NULL: none */
};

/* gateway_join.c: several VirtualServices that lead from one server. */
struct mt_joining {
	struct mt_rule_list *to; /* zeroed at first; in b->tmp */
	uint16_t port;
	const char *gateway;	 /* NAMESPACE/NAME */
	struct mt_joined *parts; /* in b->tmp: of each VirtualService, in the order of `to` */
	uint32_t n_parts;
};

/*
 * True if both name the same host. `names`: the first one's, which the first call finds; empty
 * before it.
 */
bool mt_b_shares_host(struct mt_build *b, struct mt_idmap *names,
	const struct mt_virtual_service *first, const struct mt_virtual_service *vs);
/*
 * Returns the index of the first rule, from `from` on, that takes every call from this port and
 * gateway, so that no later one is reached; n_rules: none. `ns`: of the document that the rules are
 * written in.
 */
uint32_t mt_b_takes_all(const struct mt_rule_list *list, uint32_t from, uint16_t port,
	const char *ns, const char *gateway);
/* Appends those rules of the VirtualService's list that lead from this port and gateway. */
void mt_b_join_routes(struct mt_build *b, struct mt_joining *j, const struct mt_virtual_service *vs,
	const struct mt_rule_list *list);

/* MetaRouters with a limit alone that name the gateway, found once for a port; zeroed at first. */
struct mt_limiter;
struct mt_limiters {
	struct mt_limiter *v; /* in b->tmp */
	uint32_t n;
	struct mt_idmap by_host; /* struct mt_limiter, by address of the struct mt_host */
	bool found;
};
void mt_limiters_fini(struct mt_limiters *x);

/* Routes that lead from a port of a gateway. */
struct mt_gateway_limits {
	const struct mt_objs *routers; /* MetaRouters that name the gateway */
	struct mt_limiters *limiters;  /* of these and the port */
	const struct mt_gateway *gateway;
	const char *name; /* NAMESPACE/NAME */
	uint16_t port;
	bool messages;
	const struct mt_meta *meta;	     /* of the routes */
	const struct mt_virtual_service *vs; /* NULL: they are a MetaRouter's */
	const struct mt_rule_list *list;
};

/*
 * gateway_limits.c: the first MetaRouter without routes that names the gateway and is for these
 * routes; NULL: none. Warns about others that are for the same calls; for routes of MetaRouters
 * once about each.
 */
const struct mt_meta_router *mt_b_gateway_limiter(
	struct mt_build *b, const struct mt_gateway_limits *at);

/* The number of its rules of `tls`. */
uint32_t mt_b_tls_rules(const struct mt_virtual_service *vs);
/* false: it has none. */
bool mt_b_bind_tls(
	struct mt_build *b, const struct mt_tls_door *d, const struct mt_virtual_service *vs);
/* Those of all services' addresses. */
void mt_b_tls_names(struct mt_build *b);
