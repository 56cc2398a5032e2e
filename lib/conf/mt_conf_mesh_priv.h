/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: what discovery services say, while it is compiled and as it is shared. */
#pragma once

#include "mt_conf_cluster_priv.h"
#include "mt_conf_service_priv.h"

/* ---- services (mesh_service.c) ------------------------------------------------------------------ */

/* A chain of a listener that is to be served. */
struct mt_mesh_serve {
	const struct mt_res_listener *listener;
	const char *unique; /* the listener's name: its addresses are this one's, too */
	const struct mt_res_chain *body; /* its filters: its own, or those of its extension */
	uint32_t at;			 /* among the listener's; n_chains: the default one */
	uint64_t extension;		 /* its serial; 0: none */
};

/* `old` (NULL: none) if it would come out the same, or a new one; one reference is the caller's. NULL: it is told, or no memory. */
struct mt_shared_service *mt_mesh_service_get(
	struct mt_build *b, const struct mt_mesh_serve *what, struct mt_shared_service *old);

/* ---- one build (mesh.c) ------------------------------------------------------------------------- */

/* Place + 1 in the model's list, by name, when somebody has asked. */
struct mt_mesh_places {
	struct mt_strmap map;
	bool indexed;
};

struct mt_mesh_build {
	uint64_t id;
	uint32_t services_room; /* of the snapshot's list */
	uint64_t protocols;	/* hash of what names of codecs depend on */
	struct mt_mesh_places names[MT_RES_NAMED];
	struct mt_strmap original; /* clusters that lead to where the client wanted to go */
	uint32_t n_passing;	   /* objects that only pass on what was redirected, */
	const char *passing;	   /* and the name of the first, */
	const char *passing_file;
	uint32_t n_lend;       /* clusters with endpoints that need lend */
	const char *lend_file; /* of the last one */
};

/* The namespace of its instances; NULL: nobody says one. */
const char *mt_mesh_ns(const struct mt_build *b, const struct mt_shared_cluster *sc);
/*
 * The mesh's cluster of that name that is in this build, with its endpoints in *eps (NULL: none
 * are known). NULL: there is none.
 */
const struct mt_res_cluster *mt_mesh_said(
	const struct mt_build *b, const char *name, const struct mt_res_endpoints **eps);
/* The place of a mesh's cluster that is in this build, by name; MT_NO_CLUSTER: none. */
uint32_t mt_mesh_place(const struct mt_build *b, const char *name);
/* mesh_find.c */
void mt_mesh_names_begin(struct mt_build *b);
void mt_mesh_names_end(struct mt_build *b);
/* The object of that name; NULL: there is none. *at is where it was last, and becomes where it is. */
const void *mt_mesh_find(
	struct mt_build *b, enum mt_res_named kind, const char *name, uint32_t *at);
/* False: no memory, and it is as it was. */
bool mt_shared_last_resize(struct mt_shared_last *l, uint32_t n);
/* It will be freed. */
void mt_shared_last_forget(struct mt_shared_last *l, uint32_t at, const void *what);

/* Notes an object that has no use where nothing is redirected. */
void mt_mesh_passing(struct mt_build *b, const struct mt_meta *meta);

/* 0.0.0.0 and :: are both any local address. */
static inline struct mt_addr mt_mesh_any_or_same(const struct mt_addr *a)
{
	return mt_addr_is4(a) && mt_addr_v4(a) == 0 ? (struct mt_addr){0} : *a;
}

/* mesh_listener.c */
int mt_mesh_listeners(struct mt_build *b);
/* mesh_tls.c: what a chain's TLS is ended with; the snapshot holds it. NULL with *e: it cannot be ended. */
struct mt_tls_context *mt_mesh_end(
	struct mt_build *b, const struct mt_res_tls *tls, struct mt_err *e);
