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
	struct mt_log_pending *pending; /* collectors.c */
	uint32_t n_pending;
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
/* access_log.c: the provider of this name, without regard to case; NULL: none. */
const struct mt_ext_provider *mt_b_ext_provider(const struct mt_build *b, const char *name);
/* access_log.c: true if the provider of this name is of an access log. Otherwise it warns. */
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
/* log_sieve.c: makes mt_snapshot.log_sieve, when the outputs are final. */
void mt_b_log_sieve(struct mt_build *b);
struct mt_alog_names;
/* tracing_tags.c: adds the metadata that tags of spans name, and reports what finds no room. */
void mt_b_span_tags_name(struct mt_build *b, struct mt_alog_names *names);

/* ---- outputs: access_log.c ------------------------------------------------------------------ */

/* Of an output in a document, for messages. */
struct mt_log_about {
	const struct mt_meta *meta;
	const char *document;		/* name of the output */
	const char *path_field, *field; /* paths of place and format */
	uint32_t path_line, line;
	bool general, unserved;
	bool spans; /* of spans, and no log */
	uint64_t key;
	const struct mt_log_use *use;	/* NULL: of a proxy, or of spans */
	const struct mt_chain_log *log; /* of a proxy; NULL: another one */
	const char *filter;		/* mt_b_log_may_be(): NULL: none */
};

/*
 * Sets the filter. False: there are too many outputs, or the filter cannot be used; it has been
 * reported.
 */
bool mt_b_log_may_be(struct mt_build *b, struct mt_log_about *a);
/* The format, or the last good one. False: there is none, and it has been reported. */
bool mt_b_log_format(struct mt_build *b, const struct mt_log_about *a, struct mt_alog_spec *spec);
/* Copies the output into the snapshot's memory, which remembers a failure. NULL: no memory. */
struct mt_access_output *mt_b_log_keep(struct mt_build *b, const struct mt_log_about *a,
	const struct mt_alog_place *place, const struct mt_alog_spec *spec);

/* ---- collectors: collectors.c --------------------------------------------------------------- */

/* The network log of a provider; NULL: none. */
static inline const struct mt_net_log *mt_log_net_of(const struct mt_ext_provider *p)
{
	return p->http_als ? p->http_als : p->tcp_als ? p->tcp_als : p->otel_als;
}

/* Makes the output of such a provider; mt_b_log_collectors() finds its target. */
void mt_b_log_collector(
	struct mt_build *b, struct mt_log_about *a, const struct mt_ext_provider *p);
/* Copies the collector into the output; the snapshot's memory remembers a failure. */
void mt_b_keep_collector(struct mt_build *b, struct mt_access_output *o,
	const struct mt_alog_collector *from, const struct mt_net_log *net);
/* A step of the build: finds the collectors, when the endpoints of services are known. */
void mt_b_log_collectors(struct mt_build *b);
/*
 * grpc_providers.c: where the collector is; the snapshot holds it. NULL: it cannot be used, with
 * *why for the operator, or no memory (*why NULL).
 */
struct mt_grpc_target *mt_b_log_target(
	struct mt_build *b, const struct mt_net_log *log, const char **why);
