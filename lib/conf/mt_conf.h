/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/conf: checks the documents in relation to each other, compiles them into a snapshot,
 * publishes snapshots and retires them. The daemon calls it on the control thread only, except for
 * mt_conf_current(); workers see nothing but the current snapshot. To load a configuration:
 *
 *	struct mt_model *m = mt_model_new();
 *	mt_source_load(m, diags, node_file, dirs, n);
 *	struct mt_snapshot *s = mt_conf_compile(conf, m, diags, now); (NULL: the errors are in diags)
 *	mt_conf_publish(conf, s, now, &change, &err);                 (mt_conf_discard() for --check)
 *	mt_model_free(m);                                             (the snapshot uses no part of it)
 */
#pragma once

#include "mt_alog.h"
#include "mt_diag.h"
#include "mt_filter_limit.h"
#include "mt_filter_tally.h"
#include "mt_log.h"
#include "mt_model.h"
#include "mt_overrides.h"
#include "mt_snapshot.h"

struct rte_rcu_qsbr;
struct mt_alog;
struct mt_credential;
struct mt_conf;

struct mt_conf_options {
	uint16_t workers;
	/* One RCU thread for each worker; NULL: no worker reads snapshots (tests, --check). */
	struct rte_rcu_qsbr *rcu;
	const char *state_dir; /* directory for allocated addresses; NULL: they are not kept */
	/*
	 * External authorization is available. If not, calls that match the rules of CUSTOM policies
	 * are denied.
	 */
	bool asks;
	bool read_only; /* --check: the state directory is read if possible and never written */
};

/*
 * Most snapshots that may exist at once after their publish. Workers release the oldest ones after
 * each publish (mt_snapshot.keep_from); a publish before that returns -EBUSY.
 */
#define MT_CONF_ALIVE_MAX 8

/*
 * Copies *o. NULL with the reason in err: no memory, a path that is too long, or a file in the
 * state directory that is damaged or cannot be read.
 */
struct mt_conf *mt_conf_create(const struct mt_conf_options *o, struct mt_err *err);
/* Frees `c` and every published snapshot; call after the workers have ended. NULL is allowed. */
void mt_conf_destroy(struct mt_conf *c);

struct mt_service;
/*
 * Sets the service thread that writes the state directory from now on. NULL, the initial state: the
 * caller writes, and blocks meanwhile. `s` must outlive `c` or the next call.
 */
void mt_conf_serve(struct mt_conf *c, struct mt_service *s);

/*
 * Sets the log (mt_alog.h) to which workers write entries with names of snapshots: a snapshot is
 * freed only when the log has read them. NULL, the initial state: none. `log` must outlive the next
 * call; set NULL when mt_alog_stop() has returned.
 */
void mt_conf_set_log(struct mt_conf *c, const struct mt_alog *log);

/*
 * Most instances of all services; the last quarter is for namespaces with less than a quarter.
 * Lower in tests.
 */
extern uint32_t mt_conf_instances;
/* Most labels and port names that are compared for them, by the same shares. Lower in tests. */
extern uint64_t mt_conf_compared;
/* Most rules of TrafficPolicies, with the same shares. Lower in tests. */
extern uint32_t mt_conf_client_rules;
/* Most work for wildcards of VirtualServices, with the same shares. Lower in tests. */
extern uint32_t mt_conf_wildcards;
/* Most memory of a compilation, in bytes. Lower in tests. */
extern uint64_t mt_conf_memory;
/* Limits of the steps of work and of the clusters that documents need (work.c); lower in tests. */
extern uint64_t mt_conf_steps, mt_conf_clusters, mt_conf_services, mt_conf_endpoints;

/*
 * Checks the model and compiles it. Adds errors and warnings to `diags`, each with its object.
 * NULL: `diags` has a new error, or memory is short; nothing has changed. Otherwise the caller owns
 * the snapshot until mt_conf_publish() or mt_conf_discard(). `now` is monotonic ns.
 */
struct mt_snapshot *mt_conf_compile(
	struct mt_conf *c, const struct mt_model *m, struct mt_diags *diags, uint64_t now);

struct mt_audit;
/*
 * Lets each later compile fill *a (mt_audit.h), from the start; NULL, the initial state: none. The
 * caller owns `a`, which must exist during compiles.
 */
void mt_conf_set_audit(struct mt_conf *c, struct mt_audit *a);

/* An output of an access log: a place and a format. */
struct mt_access_output {
	struct mt_alog_place place;
	struct mt_alog_spec spec;
	const char *document; /* "MeshConfig NAME: accessLogFile" */
	const char *field;    /* with the path of the place */
	uint64_t key;	      /* in scopes of services */
	bool general;	      /* for services without a scope */
	bool unserved;	      /* for calls without a service */
	const char *filter;   /* an expression in CEL; NULL: none */
	struct mt_alog_draw draw;
	/* In place of `place`; NULL: none. The snapshot holds its target. */
	const struct mt_alog_collector *collector;
	struct mt_origin origin;
};

/* The access log of a snapshot (mt_snapshot.log). It has at least one output. */
struct mt_access_log {
	struct mt_access_output *outputs; /* at most MT_ALOG_OUTPUTS */
	uint32_t n_outputs;
};

/* Frees a snapshot that was compiled and not published. `now` is monotonic ns, here and below. */
void mt_conf_discard(struct mt_conf *c, struct mt_snapshot *s, uint64_t now);

/* Numbers of changed objects of a publish, for the log and the shell. */
struct mt_conf_change {
	uint32_t listeners_added, listeners_removed, listeners_changed;
	uint32_t services_added, services_removed, services_changed;
	uint32_t clusters_added, clusters_removed, clusters_changed;
	uint32_t endpoints_added, endpoints_removed;
	uint32_t workloads_added, workloads_removed, workloads_changed; /* at workload ports */
	uint32_t forwards_added, forwards_removed, forwards_changed;	/* forwarded ports */
};

enum mt_conf_verb { MT_CONF_ADDED, MT_CONF_REMOVED, MT_CONF_CHANGED };

/* An object that a publish changed. No text is NULL. */
struct mt_conf_item {
	const char *kind; /* "listener", "service", "cluster", "forwarded port" */
	enum mt_conf_verb verb;
	const char *name;
	const char *origin; /* "FILE:LINE", "xds:mesh"; "": several documents */
	/* CHANGED: the fields, "endpoints: -10.0.0.1:80; max pending: 10 to 20"; "": unknown */
	const char *fields;
};

/* Most objects that a list names; mt_conf_items.more counts the others. */
#define MT_CONF_ITEMS_MAX 256u

struct mt_conf_items {
	struct mt_region region;
	struct mt_conf_item *v;
	uint32_t n, more;
};

/*
 * The objects that the last publish with a `change` argument changed. Valid until the next such
 * publish.
 */
const struct mt_conf_items *mt_conf_items(const struct mt_conf *c);

/* True if all numbers are 0. */
bool mt_conf_change_none(const struct mt_conf_change *change);
/* Writes "2 services changed, 1 endpoint added" or "no change"; returns buf. */
char *mt_conf_change_str(const struct mt_conf_change *change, char *buf, size_t size);

/*
 * Makes `s` the current snapshot. The one before retires when no worker can see or hold it.
 * `change` may be NULL. Returns 0; -EBUSY if MT_CONF_ALIVE_MAX snapshots exist (call mt_conf_reap()
 * and try again); -EINPROGRESS while allocated addresses are being written (call again after the
 * service thread of mt_conf_serve() has written something); another -errno, with the reason in err,
 * if they could not be kept. After an error nothing has changed and the caller still owns `s`.
 */
int mt_conf_publish(struct mt_conf *c, struct mt_snapshot *s, uint64_t now,
	struct mt_conf_change *change, struct mt_err *err);

/*
 * The current snapshot; NULL before the first publish. Any thread; workers once per loop iteration.
 */
struct mt_snapshot *mt_conf_current(const struct mt_conf *c);
/*
 * Address of the pointer to the current snapshot. Workers load the pointer (acquire) at the start
 * of a loop iteration.
 */
struct mt_snapshot *const *mt_conf_slot(const struct mt_conf *c);

/*
 * Frees the snapshots that no worker can see or hold any more; returns how many are left to retire.
 * Call a few times a second.
 */
uint32_t mt_conf_reap(struct mt_conf *c, uint64_t now);

/*
 * The labels of a caller (mt_caller.id), as long as the current snapshot has them; NULL: unknown.
 * Valid until the next compile, publish or discard.
 */
const struct mt_peer *mt_conf_caller(const struct mt_conf *c, uint64_t id);
/* Number of addresses of workloads for which mt_snapshot.callers had no room. */
uint32_t mt_conf_callers_unplaced(const struct mt_conf *c);

/* Work of all compiles: objects of discovery services that were made, or reused unchanged. */
struct mt_conf_work {
	uint64_t clusters_made, clusters_shared, services_made, services_shared;
};
struct mt_conf_work mt_conf_work(const struct mt_conf *c);

/*
 * The newest cluster with this name from a discovery service; NULL: none. Valid until the next
 * compile or reap.
 */
const struct mt_cluster *mt_conf_cluster(const struct mt_conf *c, const char *name);

struct mt_codec_registry;
/*
 * Sets the codecs that documents and resources can name, from the next compile on, and holds a
 * reference. Initially they are those of this build. Objects that are alike are shared by snapshots
 * with the codec of the first, so its codecs must outlive `c`.
 */
void mt_conf_set_codecs(struct mt_conf *c, struct mt_codec_registry *r);
/*
 * The codecs of the current snapshot, valid until the next reap; before the first publish those of
 * this build.
 */
const struct mt_codec_registry *mt_conf_codecs(const struct mt_conf *c);

/*
 * Sets the node's own identity, from the next compile on, and holds a reference to it. NULL, the
 * initial state: the node has no identity and neither starts nor terminates mutual TLS of the mesh.
 */
void mt_conf_set_identity(struct mt_conf *c, struct mt_credential *credential);

/* An identity that the node holds besides its own. */
struct mt_conf_held {
	const char *principal;		  /* "spiffe://cluster.local/ns/a/sa/b" */
	struct mt_credential *credential; /* NULL: not available */
};
/*
 * Sets further identities that the node holds, from the next compile on, in order of precedence; at
 * most MT_HELD_MAX. Copies the texts and holds references to the credentials. For a caller with one
 * of these identities the node presents that identity to servers; for a service with one it
 * presents that identity to the service's clients. Where the credential is missing, such
 * connections are refused. n 0 is the initial state. Returns 1 if the identities have changed, 0 if
 * they are the same, -ENOMEM if the former ones stay.
 */
int mt_conf_set_held(struct mt_conf *c, const struct mt_conf_held *v, uint32_t n);

/*
 * Adds a certificate or key of the node that a bootstrap file of a discovery server names, from the
 * next compile on: documents cannot use it. 0 or -ENOMEM.
 */
int mt_conf_own_file(struct mt_conf *c, const char *path);

/*
 * Sets the Node with the ports that the daemon started with, from the next compile on. `node` must
 * outlive `c`. struct mt_bound contains indexes of these ports. NULL, the initial state: the ports
 * of the document that is compiled.
 */
void mt_conf_set_ports(struct mt_conf *c, const struct mt_node *node);

/* An address that the host's kernel answers. */
struct mt_conf_kernel {
	struct mt_addr addr;
	char interface[16];
};
/*
 * Sets the addresses of the host's kernel, from the next compile on, if it receives the packets of
 * some port: an object that is to be served at one of them is refused. Copies the list. n 0, the
 * initial state: none are known. Returns 1 if the list has changed, 0 if it is the same, -ENOMEM if
 * the former one stays.
 */
int mt_conf_set_kernel(struct mt_conf *c, const struct mt_conf_kernel *v, uint32_t n);
/* True if the address is in that list. */
bool mt_conf_is_kernel(const struct mt_conf *c, const struct mt_addr *a);

/* Ports from which the node connects, without forwarded flows at the same addresses. */
#define MT_SOURCE_PORT_FIRST 20000
#define MT_SOURCE_PORT_LAST  60999
/*
 * Sets the ports from which a node that has started with `n` connects. Where forwarded flows use
 * ports' own addresses as well, these are the ports that spec.nat leaves: by default the lower
 * half. False: too few are left, so TCP is not forwarded from these addresses; all are the node's.
 */
bool mt_conf_source_ports(const struct mt_node *n, uint16_t *first, uint16_t *last);

/*
 * Sets the operator's run-time overrides; copies the set. It takes effect at the next compile,
 * drains and report-only limits at the next publish. Returns 0, or -ENOMEM if the former set stays.
 */
int mt_conf_set_overrides(struct mt_conf *c, const struct mt_overrides *s);
const struct mt_overrides *mt_conf_overrides(const struct mt_conf *c);
/*
 * True if the current snapshot contains the override's target; otherwise e names what is missing.
 * An override may be set while its target is missing; it takes effect when the target appears.
 */
bool mt_conf_override_applies(
	const struct mt_conf *c, const struct mt_override *o, struct mt_err *e);
/*
 * True if an override that applies would change something. Otherwise e has the reason: things are
 * so already, or calls would get no endpoint.
 */
bool mt_conf_override_changes(
	const struct mt_conf *c, const struct mt_override *o, struct mt_err *e);
/*
 * Writes where an override that applies has no effect, which the operator may not expect. Call
 * before it is set. False, with buf empty: there is nothing to note.
 */
bool mt_conf_override_note(
	const struct mt_conf *c, const struct mt_override *o, char *buf, size_t size);

typedef void mt_conf_host_fn(void *arg, const char *host);
/*
 * Calls fn for each host that had an allocated address when the last configuration was published,
 * also by an earlier daemon.
 */
void mt_conf_kept_hosts(const struct mt_conf *c, mt_conf_host_fn *fn, void *arg);

/* State of clusters and endpoints, which outlives snapshots. `c` owns it. */
struct mt_upstream_registry *mt_conf_upstreams(struct mt_conf *c);
/* Keys that verify tokens, and how they are fetched. `c` owns it. */
struct mt_jwks_store *mt_conf_jwks(struct mt_conf *c);
/* State of rate limits, which outlives snapshots. `c` owns it. */
struct mt_limit_registry *mt_conf_limits(struct mt_conf *c);
/* Refusals of global rate limits, by rule. `c` owns it. */
struct mt_tally_registry *mt_conf_tallies(struct mt_conf *c);
