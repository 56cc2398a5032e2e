/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: which object has a place that several objects claim (holders.c). */
#pragma once

#include "mt_conf_priv.h"

/* A place (mt_place_id(), mt_id_of_addr()) and keyed hashes of the object that is served there. */
struct mt_held_place {
	uint64_t at, object, ns;
};

/*
 * Identifies "address:port" of TCP, terminated or forwarded, or "address:port of UDP".
 * `key`: a service key there; NULL: all of it. Never 0.
 */
uint64_t mt_place_id(const char *text, const char *key);
/* Identifies a server name of TLS at "address:port"; "*": all names without a chain. Never 0. */
uint64_t mt_place_of_tls(const char *text, const char *name);
/* Identifies an identity that clients of the mesh are shown at "address:port". Never 0. */
uint64_t mt_place_of_identity(const char *text, const char *principal);
/*
 * Identifies an identity of the Node that is the account of an object's endpoints, whether clients
 * at "address:port" are shown it or not. Never 0.
 */
uint64_t mt_place_of_account(const char *text, const char *principal);
/* Identifies "address:port" among those of narrow and wide listeners (binds.c). Never 0. */
uint64_t mt_place_of_bind(const char *text);
/*
 * Identifies "address:port" of a wide listener among those of objects that something is or was
 * served for (binds.c). Never 0.
 */
uint64_t mt_place_of_clients(const char *text);
/* Identifies the address of a workload that a WorkloadEntry gives a principal. Never 0. */
uint64_t mt_place_of_workload(const char *text);
/* Identifies a host of services by its name in lower case. Never 0. */
uint64_t mt_place_of_host(const char *name);
/* Identifies a host with the form of a short name among those that DNS answers for. Never 0. */
uint64_t mt_place_of_name(const char *name);
/* Identifies what only one guest may have (mt_guest_claim()). Never 0. */
uint64_t mt_place_of_guest(const char *claim);
/*
 * How good the claim of an object is to a place, which may also be an address (mt_id_of_addr()): of
 * two objects the one with the lower number has it, and of equal ones the first in order of age.
 */
unsigned int mt_b_claim(struct mt_build *b, uint64_t place, const struct mt_meta *meta);
/* A claim from here on is of an object and a namespace that are not served there. */
#define MT_CLAIM_NOT_HELD 32u
/* Of routes at a Gateway of another namespace, against those of its own. Worse than all others. */
#define MT_CLAIM_GUEST 64u
/* enum mt_standing of the object's version, also if it has the place; 0: it has no standing. */
unsigned int mt_b_standing(const struct mt_build *b, const struct mt_meta *meta);
/* True if this version of the object was applied last, by this process or the one before. */
bool mt_b_was_applied(const struct mt_build *b, const struct mt_meta *meta);
/*
 * True if no configuration is in force yet, and the versions of both objects were applied by the
 * process before.
 */
bool mt_b_were_applied(
	const struct mt_build *b, const struct mt_meta *one, const struct mt_meta *other);
/*
 * Of an object at a listener whose identity its documents have changed, against one that is there
 * with the identity that it had. Worse than all other claims.
 */
#define MT_CLAIM_CHANGED 128u
/* Words to append to the name of the object with the better claim; "" if both are equal. */
const char *mt_claim_reason(unsigned int winner, unsigned int loser);
struct mt_listen;
struct mt_listen_port;
/*
 * document_listener.c: mt_b_listen_win() for a listener that shows one identity. True if the claim
 * of `at` is better: services of other namespaces there are then refused. Otherwise `at` is.
 * `own`, `other`: MT_CLAIM_CHANGED or 0, of `at` and of l->shows_by; it counts if both are there.
 */
bool mt_b_listen_win_identity(struct mt_build *b, const struct mt_listen *l,
	const struct mt_listen_port *at, const char *name, unsigned int own, unsigned int other);
/* held.c: sets the identity that clients of the mesh are shown at the listener of a host's port. */
void mt_b_listen_shows(struct mt_build *b, const struct mt_listen_port *at, const struct mt_host *h,
	const char *name);
/* Adds a place and the object that has it. */
typedef void mt_b_place_fn(struct mt_build *b, uint64_t place, const struct mt_meta *meta);
/* forward_rows.c: adds the places of forwarded ports and their objects. */
void mt_b_forward_places(struct mt_build *b, mt_b_place_fn *fn);
/* binds.c: adds the places of narrow and wide listeners, and their objects. */
void mt_b_bind_places(struct mt_build *b, mt_b_place_fn *fn);
/* bound.c: adds the addresses of workloads, with the objects that give them principals. */
void mt_b_bound_places(struct mt_build *b, mt_b_place_fn *fn);
/* node_guests.c: adds what guests that are not refused have, and their WorkloadEntries. */
void mt_b_guest_places(struct mt_build *b, mt_b_place_fn *fn);
/* dns.c: adds hosts that have the form of short names, with the objects that DNS answers with. */
void mt_b_dns_places(struct mt_build *b, mt_b_place_fn *fn);
/*
 * Of the address of a workload (mt_place_of_workload()): true if an entry of another namespace gave
 * it a principal in the configuration in force, or entries of several namespaces disputed it.
 */
bool mt_b_is_reserved(struct mt_build *b, uint64_t place, const struct mt_meta *meta);
/* Notes in the snapshot that several namespaces dispute the place, so that none has it. */
void mt_b_add_disputed(struct mt_build *b, uint64_t place);
/*
 * Keeps the holders of places that nothing of this configuration has (`of`: by place, any values)
 * for the next one, and that places were disputed, except for those that are now (`disputed`).
 */
void mt_b_carry_places(
	struct mt_build *b, const struct mt_idmap *of, const struct mt_idmap *disputed);
/* Adds a place to the snapshot. */
void mt_b_add_place(struct mt_build *b, uint64_t place, const struct mt_meta *meta);
/* Notes in the snapshot which objects are served where. Documents only. */
void mt_b_places(struct mt_build *b);

/* ---- hosts that several namespaces have (host_claims.c) --------------------------------------- */

/* Number of ranks: objects of the clients' namespace, Services of Kubernetes, others. */
#define MT_HOST_RANKS 3u
/* An object with hosts, in order of rank and age. `visible`: clients of this node see it. */
struct mt_host_claimant {
	const struct mt_service_entry *se;
	bool visible;
};
struct mt_host_claims {
	struct mt_idmap names; /* of hosts that several namespaces have, by mt_place_of_host() */
};
/* index_hosts.c: the rank of an object among those with one host; the lowest has it. */
unsigned int mt_b_host_rank(const struct mt_build *b, const struct mt_service_entry *se);
/* True for a host's name, also "*.example.com". */
bool mt_b_is_host_name(const char *name);
/* Decides which namespace has each host that several have. The caller frees claims->names. */
void mt_b_host_claims(struct mt_build *b, const struct mt_host_claimant *v, uint32_t n,
	struct mt_host_claims *claims);
/* The object whose namespace has the host; NULL: objects of one namespace at most have it. */
const struct mt_service_entry *mt_b_host_winner(
	const struct mt_host_claims *claims, const char *host);
/* Why `has` and not `loser` has the i-th host of the latter: words to append to its name, or "". */
const char *mt_b_host_reason(struct mt_build *b, const struct mt_host_claims *claims,
	const struct mt_service_entry *has, const struct mt_service_entry *loser, uint32_t i);
/*
 * mesh_places.c: the resource of the control plane that has the object's i-th host, or its i-th
 * address with one of its ports, if the object's source is limited to some namespaces and the host
 * is not one of its namespace; otherwise NULL.
 */
const struct mt_meta *mt_b_mesh_has_host(
	struct mt_build *b, const struct mt_service_entry *se, uint32_t i);
const struct mt_meta *mt_b_mesh_has_address(
	struct mt_build *b, const struct mt_service_entry *se, uint32_t i);
