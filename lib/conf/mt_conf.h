/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/conf: checks what the documents mean together, compiles them into a snapshot, publishes snapshots
 * and retires them. Called by the daemon on the control thread only; workers see nothing but the
 * current snapshot. A load is:
 *
 *	struct mt_model *m = mt_model_new();
 *	mt_source_load(m, diags, node_file, dirs, n);
 *	struct mt_snapshot *s = mt_conf_compile(conf, m, diags, now);   (NULL: diags say why)
 *	mt_conf_publish(conf, s, now, &change, &err);                   (or mt_conf_discard(): --check)
 *	mt_model_free(m);                                               (the snapshot keeps no part of it)
 */
#pragma once

#include "mt_diag.h"
#include "mt_filter_limit.h"
#include "mt_log.h"
#include "mt_model.h"
#include "mt_overrides.h"
#include "mt_snapshot.h"

struct rte_rcu_qsbr;
struct mt_credential;
struct mt_conf;

struct mt_conf_options {
	uint16_t workers;
	struct rte_rcu_qsbr
		*rcu; /* one thread per worker; NULL: no worker reads yet (tests, --check) */
	const char *state_dir; /* where allocated addresses are kept; NULL: not kept */
	bool asks; /* somebody asks the providers of policies of CUSTOM; else what their rules fit is closed */
	bool read_only; /* --check: the state directory is read if it can be, never written */
};

/*
 * Snapshots that may be alive at once. Each publish tells workers which ones are too old to be held
 * (mt_snapshot.keep_from); a publish that comes before they have let go answers -EBUSY.
 */
#define MT_CONF_ALIVE_MAX 8

/* NULL with the reason in err: no memory, or the state directory's file is damaged. */
struct mt_conf *mt_conf_create(const struct mt_conf_options *o, struct mt_err *err);
/* When no worker runs any more; frees every snapshot. */
void mt_conf_destroy(struct mt_conf *c);

struct mt_service;
/* Who writes the state directory from now on; NULL, as at first: written at once, while the caller waits. */
void mt_conf_serve(struct mt_conf *c, struct mt_service *s);

/*
 * Checks and compiles. Every error and warning goes to `diags`, with the object that it is about. NULL: one or more
 * objects (or the Node, or the memory) are refused, and nothing has changed. `now` is monotonic (ns).
 */
struct mt_snapshot *mt_conf_compile(
	struct mt_conf *c, const struct mt_model *m, struct mt_diags *diags, uint64_t now);

struct mt_audit;
/* Compiles tell it what instances are judged by (mt_audit.h), each from the beginning; NULL, as at first: nobody. */
void mt_conf_set_audit(struct mt_conf *c, struct mt_audit *a);

/* Frees a snapshot that was compiled and not published. */
void mt_conf_discard(struct mt_conf *c, struct mt_snapshot *s, uint64_t now);

/* What a publish changed, for the log and the shell. */
struct mt_conf_change {
	uint32_t listeners_added, listeners_removed, listeners_changed;
	uint32_t services_added, services_removed, services_changed;
	uint32_t clusters_added, clusters_removed, clusters_changed;
	uint32_t endpoints_added, endpoints_removed;
	uint32_t workloads_added, workloads_removed, workloads_changed; /* of ports of that side */
};

enum mt_conf_verb { MT_CONF_ADDED, MT_CONF_REMOVED, MT_CONF_CHANGED };

/* One thing that a publish changed. Texts are never NULL. */
struct mt_conf_item {
	const char *kind; /* "listener", "service", "cluster" */
	enum mt_conf_verb verb;
	const char *name;
	const char *origin; /* "FILE:LINE", "xds:mesh"; "": many documents */
	const char *
		fields; /* of a change, in words: "endpoints: -10.0.0.1:80; max pending: 10 to 20"; "": not known */
};

/* No more are named, `more` is the rest. */
#define MT_CONF_ITEMS_MAX 256u

struct mt_conf_items {
	struct mt_region region;
	struct mt_conf_item *v;
	uint32_t n, more;
};

/* What the last publish changed that had a `change`; until the next one. Who wants it longer copies it. */
const struct mt_conf_items *mt_conf_items(const struct mt_conf *c);

/* Nothing at all. */
bool mt_conf_change_none(const struct mt_conf_change *change);
/* "2 services changed, 1 endpoint added" or "no change"; returns buf. */
char *mt_conf_change_str(const struct mt_conf_change *change, char *buf, size_t size);

/*
 * Makes it the current snapshot; the one before retires when no worker can see or hold it. *change may
 * be NULL. 0; -EBUSY: too many alive, call mt_conf_reap() and try again; -errno: allocated addresses
 * could not be kept (err says why); -EINPROGRESS: they are being written (mt_conf_serve()), call again when something was. Then
 * nothing has changed and the snapshot is still the caller's.
 */
int mt_conf_publish(struct mt_conf *c, struct mt_snapshot *s, uint64_t now,
	struct mt_conf_change *change, struct mt_err *err);

/* The current snapshot, NULL before the first publish. Any thread; a worker once per loop turn. */
struct mt_snapshot *mt_conf_current(const struct mt_conf *c);
/* Where the current snapshot's pointer is: workers load it (acquire) at the head of a turn. */
struct mt_snapshot *const *mt_conf_slot(const struct mt_conf *c);

/* Frees what has retired; how many are still waiting. A few times a second. */
uint32_t mt_conf_reap(struct mt_conf *c, uint64_t now);

/* What compiling has cost so far: objects of discovery services that were made, and taken over. */
struct mt_conf_work {
	uint64_t clusters_made, clusters_shared, services_made, services_shared;
};
struct mt_conf_work mt_conf_work(const struct mt_conf *c);

/* The newest cluster of a discovery service of this name; NULL: none. Until the next compile or reap. */
const struct mt_cluster *mt_conf_cluster(const struct mt_conf *c, const char *name);

/*
 * Who this node is, from the next compile on: held. NULL, as at first: it has no identity, and neither speaks nor ends the mesh's
 * mutual TLS.
 */
void mt_conf_set_identity(struct mt_conf *c, struct mt_credential *credential);

/*
 * Identities that it holds beside its own, from the next compile on, in the order in which they count: copied, credentials held. Callers who
 * have shown one of them are connected by it, and clients of services that have one of them are shown it; without a credential they are
 * refused. n 0, as at first: none. At most MT_HELD_MAX. 1: they are others now; 0: the same; -ENOMEM: the ones before go on.
 */
struct mt_conf_held {
	const char *principal;		  /* "spiffe://cluster.local/ns/a/sa/b" */
	struct mt_credential *credential; /* NULL: it cannot be had */
};
int mt_conf_set_held(struct mt_conf *c, const struct mt_conf_held *v, uint32_t n);

/*
 * The Node with whose ports the daemon has started, from the next compile on; it outlives `c`. Addresses are bound to these by their
 * places (struct mt_bound). NULL, as at first: those of the document that is compiled.
 */
void mt_conf_set_ports(struct mt_conf *c, const struct mt_node *node);

/*
 * What an operator has overridden at run time. A new set (copied) counts from the next compile on, drains and report-only
 * limits from the next publish on. 0 or -ENOMEM: the old set goes on.
 */
int mt_conf_set_overrides(struct mt_conf *c, const struct mt_overrides *s);
const struct mt_overrides *mt_conf_overrides(const struct mt_conf *c);
/*
 * Whether the current snapshot has what the override is about; false: e says what it lacks. An override may well be set
 * while its target is away; it counts when the target comes.
 */
bool mt_conf_override_applies(
	const struct mt_conf *c, const struct mt_override *o, struct mt_err *e);
/*
 * Writes where an override that applies has no effect, which the operator may not expect. Call
 * before it is set. False, with buf empty: there is nothing to note.
 */
bool mt_conf_override_note(
	const struct mt_conf *c, const struct mt_override *o, char *buf, size_t size);

/* Hosts that had an address of ours when the last configuration was published, also by a daemon before this one. */
typedef void mt_conf_host_fn(void *arg, const char *host);
void mt_conf_kept_hosts(const struct mt_conf *c, mt_conf_host_fn *fn, void *arg);

/* What outlives snapshots, for the shell. */
struct mt_upstream_registry *mt_conf_upstreams(struct mt_conf *c);
/* Where keys of tokens are from: for who fetches them, and who tells of it. */
struct mt_jwks_store *mt_conf_jwks(struct mt_conf *c);
struct mt_limit_registry *mt_conf_limits(struct mt_conf *c);
