/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/conf: snapshots, and what is kept from one to the next. */
#pragma once

#include "mt_alog.h"
#include "mt_codec_registry.h"
#include "mt_conf_callers_priv.h"
#include "mt_conf_guests.h"
#include "mt_conf_numbers_priv.h"
#include "mt_conf_override_priv.h"
#include "mt_conf_work_priv.h"
#include "mt_heap.h"
#include "mt_jwks_store.h"

#define MT_CONF_PATH 256

/* By place in the model's list, what the last build made of it or took over; NULL: nothing that is still there. */
struct mt_shared_last {
	void **v;
	uint32_t n;
};

/* Objects of discovery services that others name. */
enum mt_res_named {
	MT_RES_NAMED_ENDPOINTS,
	MT_RES_NAMED_ROUTES,
	MT_RES_NAMED_EXTENSIONS,
	MT_RES_NAMED,
};

/*
 * Clusters, whoever says them, and services of discovery services, compiled: each is made once, and shared by all
 * snapshots in which it would come out the same. The maps lead to the newest of each name and hold no
 * reference.
 */
struct mt_shared {
	struct mt_strmap clusters; /* struct mt_shared_cluster, by name */
	struct mt_strmap services; /* struct mt_shared_service, by the listener's name */
	struct mt_shared_last last_clusters, last_services;
	bool twice[MT_RES_NAMED]; /* the last index found two of one name */
	uint64_t builds, stamps;
	uint32_t *seen; /* [n_seen], by endpoint index: place + 1 in the cluster that is made */
	uint32_t n_seen;
	struct mt_conf_work work;
};

struct mt_shared_cluster;
struct mt_shared_service;
struct mt_forward_set; /* forward_set.c */
struct mt_held_place;  /* mt_conf_holders_priv.h */

/* What ends clients' TLS: held, and by what it is found again. */
struct mt_snap_end {
	struct mt_tls_context *context;
	const char *
		rules; /* all of them, and the credential's address, which the context keeps alive */
};

/* A snapshot with what lib/conf must know to compare and to free it. */
struct mt_snap {
	struct mt_snapshot pub; /* first */
	struct mt_region region;
	/* Of documents: the first ones of each list. Behind them is what discovery services say. */
	uint32_t n_doc_clusters, n_doc_services, n_doc_listeners;
	struct mt_shared_cluster **clusters; /* as in pub.clusters */
	struct mt_shared_service *
		*services; /* as in pub.services, and those that are served nowhere */
	uint32_t n_clusters, n_services;
	struct mt_filter_inst **limits; /* of instances, in pub.clusters' guards */
	uint32_t n_limits;
	struct mt_index **closers; /* those of pub.closers that have a place of their own */
	uint32_t n_closers;
	struct mt_snap_end *ends;
	uint32_t n_ends;
	struct mt_token_rules **tokens; /* held, by the guards */
	uint32_t n_tokens;
	struct mt_extauthz_provider **providers; /* held */
	struct mt_grpc_target **targets;	 /* held, of access logs */
	uint32_t n_providers, n_targets;
	struct mt_forward_set *forward_set; /* owns pub.l4; NULL: nothing is forwarded */
	struct mt_vips_build *vips;	    /* NULL: no host needs an address */
	struct mt_codec_registry *codecs;   /* held */
	struct mt_held_place *places;	    /* of documents (holders.c) */
	uint32_t n_places;
	struct mt_held_work *work; /* of documents, by namespace (work.c) */
	uint32_t n_work;
	struct mt_caller_rows *callers; /* of documents, until its publish; NULL: none */
	struct mt_conf_guests guests;
	uint64_t credentials;	    /* mt_conf_credentials.turn of its build */
	uint64_t identity_serial;   /* mt_conf.identity_serial of its build */
	struct mt_snap *next;	    /* retired list */
	uint64_t token;		    /* RCU: quiescent when it has passed */
	struct mt_alog_marks marks; /* set when nothing holds it any more */
};

/* What TLS is spoken with, by names of secrets (mt_conf_credentials_priv.h). */
struct mt_conf_credential;
struct mt_conf_lend;
struct mt_held;
struct mt_conf_credentials {
	struct mt_strmap all;
	struct mt_strmap files, shares; /* watched.c: by path, by namespace */
	uint32_t files_most;		/* no namespace has more of a full list; 0: unknown */
	bool files_full;		/* and that was logged */
	struct mt_conf_credential *own; /* the node's own, during a build; NULL: not asked for */
	struct mt_conf_lend *lend[2];	/* to nobody, and to whom the Node says; the last ones */
	uint64_t turn;			/* grows with each build */
};
/* Drops those that no build since this snapshot's has needed. */
void mt_credentials_published(struct mt_conf *c, const struct mt_snap *s);

/* Rules for tokens that snapshots share, and where their keys are from (policy_tokens.c). */
struct mt_conf_tokens {
	struct mt_jwks_store *store;
	struct mt_strmap all; /* struct mt_conf_tokens_entry, by what they are made of */
	uint64_t turn;	      /* grows with each build */
};
int mt_conf_tokens_init(struct mt_conf_tokens *t);
void mt_conf_tokens_fini(struct mt_conf_tokens *t);
/* A build, and its end: what it did not use is forgotten, or if it failed, what it made. */
void mt_conf_tokens_begin(struct mt_conf_tokens *t);
void mt_conf_tokens_end(struct mt_conf_tokens *t, bool failed);

/* Providers that are called by gRPC, shared by snapshots (grpc_providers.c). */
struct mt_conf_providers {
	struct mt_strmap all; /* by what is said of them */
	uint64_t turn;	      /* grows with each build */
};
void mt_conf_providers_fini(struct mt_conf_providers *t);
/* A build, and its end: what it did not use is forgotten, or if it failed, what it made. */
void mt_conf_providers_begin(struct mt_conf_providers *t);
void mt_conf_providers_end(struct mt_conf_providers *t, bool failed);

struct mt_conf {
	struct mt_conf_options o;
	struct mt_audit *audit; /* NULL: nobody asks */
	struct mt_upstream_registry *upstreams;
	struct mt_limit_registry *limits;
	struct mt_tally_registry *tallies;
	struct mt_heap clusters; /* struct mt_shared_cluster: a sync may replace all of them */
	struct mt_indexes services, closers;
	struct mt_indexes forwards;	 /* by clusters of forwarded ports */
	struct mt_indexes forward_rules; /* by networks of clients of these */
	struct mt_route_indexes routes;
	struct mt_vips vips;
	struct mt_snapshot *current; /* ctl: w, workers: r */
	struct mt_snap *retired;
	uint32_t alive;
	/* Workers may still check endpoints that `current` does not check; until this token passes. */
	bool old_checks;
	uint64_t old_checks_token;
	uint64_t version;
	/* Documents whose references were found good where names led as `topology` says. */
	uint64_t topology, *checked; /* sorted ids (share.c) */
	uint32_t n_checked;
	struct mt_shared shared;
	struct mt_callers callers;
	struct mt_conf_items items; /* of the last publish */
	struct mt_overrides overrides;
	struct mt_limit_rule *limit_rules; /* of the overrides, as lib/filter has them */
	const struct mt_node *started_as;  /* whose ports it has; NULL: those of the document */
	struct mt_kernel_addr *kernel;	   /* sorted; mt_conf_set_kernel() */
	uint32_t n_kernel;
	struct mt_credential *identity; /* NULL: none; mt_conf_set_identity() */
	struct mt_held *held;		/* beside it; mt_conf_set_held() */
	uint32_t n_held;
	struct mt_own_path *own_paths;	  /* mt_conf_own_file() */
	uint64_t identity_serial;	  /* grows with each change of these */
	struct mt_codec_registry *codecs; /* mt_conf_set_codecs(); held */
	struct mt_conf_credentials credentials;
	struct mt_conf_tokens tokens;
	struct mt_conf_providers providers;
	struct mt_memory_verdicts memory;
	bool drains;		   /* some endpoint was drained by the last publish */
	const struct mt_alog *log; /* mt_conf_set_log() */
	char state_dir[MT_CONF_PATH];
};

void mt_snap_free(struct mt_conf *c, struct mt_snap *s, uint64_t now);
void mt_snap_diff(struct mt_conf *conf, const struct mt_snap *old, const struct mt_snap *new_,
	struct mt_conf_change *change);

/* items.c: `old` or `new_` NULL: it was not there, or is not any more. */
void mt_items_reset(struct mt_conf_items *l);
/* `said_otherwise`: it is different, even if no field is that has a name here. */
void mt_items_cluster(struct mt_conf_items *l, const struct mt_cluster *old,
	const struct mt_cluster *new_, const char *origin, bool said_otherwise);
void mt_items_service(
	struct mt_conf_items *l, const struct mt_service *old, const struct mt_service *new_);
void mt_items_listener(
	struct mt_conf_items *l, const struct mt_listener *old, const struct mt_listener *new_);
void mt_items_forward(
	struct mt_conf_items *l, const struct mt_forward *old, const struct mt_forward *new_);

/* shared_diff.c: adds clusters and services. */
void mt_snap_diff_shared(struct mt_conf *c, const struct mt_snap *old, const struct mt_snap *new_,
	struct mt_conf_change *change);
