/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/conf: access logs. telemetry.c finds which providers the calls of a namespace or
 * gateway use, and access_log.c makes an output for each.
 */
#pragma once

#include "mt_conf_priv.h"

/* A provider of the MeshConfig that gets lines of some calls. */
struct mt_log_use {
	const char *provider;	    /* its name in lower case; "": accessLogFile */
	const char *filter;	    /* an expression in CEL; NULL: none */
	const struct mt_meta *meta; /* MeshConfig or Telemetry that names it, at `line` */
	uint32_t line, filter_line;
	uint64_t key; /* of its output in scopes of services */
};

/* The providers of a call. */
struct mt_log_set {
	struct mt_log_use *v;
	uint32_t n;
	uint64_t hash;
};

/* The sets of a build. */
struct mt_log_sets {
	const struct mt_log_set *defaults; /* of the MeshConfig, without Telemetry */
	const struct mt_log_set *general;  /* of calls without a service */
	const struct mt_log_set *services; /* of services without a place of their own */
	const struct mt_log_set **v;	   /* all but the general one */
	uint32_t n;
	struct mt_strmap by_place; /* sets by "NAMESPACE", or "NAMESPACE GATEWAY" */
};

/*
 * Merges Telemetry with the default providers, which are in b->tmp, as all sets are. NULL: no
 * memory. Free by mt_b_log_sets_fini().
 */
struct mt_log_sets *mt_b_log_sets(struct mt_build *b, const struct mt_log_set *defaults);
void mt_b_log_sets_fini(struct mt_log_sets *s);

/* Adds a use to a set, with its key. NULL: no memory. */
struct mt_log_use *mt_log_set_add(
	struct mt_build *b, struct mt_log_set *set, const struct mt_log_use *use);
/* access_log.c: true if the provider of this name writes a file. Otherwise it warns about it. */
bool mt_b_log_provider(struct mt_build *b, const struct mt_meta *meta, const struct mt_text *name,
	const char *field);

/*
 * The outputs of the calls of a service, in `r`, which remembers a failure. `ns`: of the service;
 * `g`: the gateway that its clients come to; NULL: none. NULL: the general outputs. *hash: of
 * the set; 0: the general one.
 */
const struct mt_alog_scope *mt_b_log_scope(struct mt_build *b, struct mt_region *r, const char *ns,
	const struct mt_gateway *g, uint64_t *hash);

/* log_keys.c: fills mt_snapshot.log_keys, when the listeners are final. */
void mt_b_log_keys(struct mt_build *b);
