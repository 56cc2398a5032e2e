/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xDS client: the discovery servers of a mesh as a source of configuration. It subscribes to
 * resources and stores them by type and name. Valid and complete resources become parts of the
 * model. A lost connection removes nothing, and the last resources are restored from a state file
 * after a restart.
 *
 *	struct mt_xds *x = mt_xds_new(&conf, now);	(reads the state file)
 *	mt_xds_share(x, model);				(with every load of the configuration)
 *	mt_xds_start(x, ...);				(connects from here on)
 *	if (mt_xds_turn(x, now)) load again;		(call often: drives all timers)
 *
 * Control thread only. No call blocks, except to read the state file (mt_xds_new()) or to write it
 * (mt_xds_free(); any call if env.service is NULL).
 */
#pragma once

#include "mt_diag.h"
#include "mt_log.h"
#include "mt_model.h"
#include "mt_rand.h"
#include "mt_fds.h"
#include "mt_resolve.h"
#include "mt_xds_boot.h"

struct mt_xds;
struct mt_secrets;

/*
 * On-demand discovery: a cluster is requested by name when the first call is routed to it. If
 * `names` is 0, on-demand discovery is off and all clusters are subscribed to.
 */
struct mt_xds_demand_conf {
	uint64_t timeout_ns; /* maximum wait for an answer */
	uint64_t idle_ns;    /* a cluster unused for so long is removed */
	uint64_t absent_ns;  /* how long a missing cluster is remembered */
	uint32_t names;	     /* maximum number of names, missing ones included */
	uint32_t per_second; /* maximum rate of new names */
	bool routes;	     /* route tables are requested on demand as well */
};

struct mt_xds_conf {
	const char *name;		    /* "mesh"; copied */
	const char *state_dir;		    /* directory of the state file; NULL: no file; copied */
	struct mt_xds_bootstrap *bootstrap; /* owned by the source from now on */
	struct mt_xds_demand_conf demand;
};

/* What the source uses after mt_xds_start(). All of it must outlive the source. */
struct mt_xds_env {
	struct mt_fds *fds;
	struct mt_resolver *names;
	/* Resolves host names of endpoints; NULL: they get no addresses. */
	struct mt_name_table *looked_up;
	/* True if the node has a way to the address of a name; NULL: to all. */
	bool (*reaches)(void *arg, const struct mt_addr *a);
	struct mt_rand *rng;
	struct mt_service *service; /* writes the state file; NULL: the caller does */
	struct mt_secrets *secrets; /* the node's certificates, from SDS or files */
	/*
	 * Reports the result of mt_xds_demand(). The cluster is unavailable and is not requested
	 * again before `until`; `until` 0 withdraws an earlier report. `why` is a static text. May
	 * be NULL.
	 */
	void (*answered)(void *arg, const char *name, uint64_t until, const char *why);
	void *arg;
};

/*
 * Creates a source and reads its state file, so that mt_xds_share() has the restored resources at
 * once. `now` is monotonic time. Returns NULL if there is no memory; the bootstrap is freed then.
 */
struct mt_xds *mt_xds_new(const struct mt_xds_conf *conf, uint64_t now);
/*
 * Closes all connections, writes unsaved changes to the state file if the source was started, and
 * frees it. NULL is allowed.
 */
void mt_xds_free(struct mt_xds *x);

/* Starts to connect to the servers. Returns 0 or -errno. */
int mt_xds_start(struct mt_xds *x, const struct mt_xds_env *env, uint64_t now);
/*
 * Replaces the bootstrap: takes ownership of `b` and reopens all connections. Resources stay until
 * the new servers replace or remove them, or do not confirm them in time.
 */
void mt_xds_rebootstrap(struct mt_xds *x, struct mt_xds_bootstrap *b, uint64_t now);
const struct mt_xds_bootstrap *mt_xds_bootstrap_of(const struct mt_xds *x);
/*
 * Returns a string member of the bootstrap's node metadata (such as "NAMESPACE", as an Istio agent
 * writes it), or a label from its LABELS. NULL if there is none. Valid until mt_xds_rebootstrap().
 */
const char *mt_xds_self(const struct mt_xds *x, const char *name);
const char *mt_xds_self_label(const struct mt_xds *x, const char *name);

/*
 * Runs timers and activates resources. Call before and after mt_fds_dispatch(), and ten times a
 * second. Returns true if the result of mt_xds_share() has changed. Changes are batched until 20 ms
 * after the last one (2 ms if there was none for 200 ms before), at most 200 ms after the first.
 */
bool mt_xds_turn(struct mt_xds *x, uint64_t now);

/* Adds all active resources to the model, by reference. Returns 0, -ENOMEM or -E2BIG. */
int mt_xds_share(struct mt_xds *x, struct mt_model *m);

/*
 * mt_xds_load_begin() starts a load: it activates what was received so far; then call
 * mt_xds_share(). mt_xds_told() reports a diagnostic of the load about a resource of this source.
 * The resource was left out (MT_DIAG_LEFT_OUT), is not served (MT_DIAG_NOT_SERVED) or is served
 * with a warning (MT_DIAG_WARNING). `words` is the reason; it is copied.
 */
void mt_xds_load_begin(struct mt_xds *x, uint64_t now);
void mt_xds_told(struct mt_xds *x, const char *kind, const char *name,
	enum mt_diag_severity severity, const char *words);
/*
 * Ends a load. `failed` is the reason if the whole load failed, else NULL. Returns true if rejected
 * bodies were rolled back to the previous ones, so that the caller must compile again; never true
 * if `last`. Otherwise returns false, and the pending responses are answered (ACK or NACK).
 */
bool mt_xds_load_end(struct mt_xds *x, const char *failed, bool last);
/*
 * The load failed for a reason outside this source: new resources stay on trial until the next
 * load.
 */
void mt_xds_load_abandon(struct mt_xds *x);

/*
 * True if every subscribed type was answered once since the start, and all resources that the
 * answers reference have arrived or timed out.
 */
bool mt_xds_delivered(struct mt_xds *x);
/*
 * True if mt_xds_delivered(), or if the state file was restored. Otherwise *why is the reason.
 */
bool mt_xds_whole(struct mt_xds *x, const char **why);

/* ---- clusters on demand ---------------------------------------------------------------------- */

/*
 * Requests a cluster of which only the name is known, because a call was routed to it. Returns
 * false if the name is not one of this source's. The cluster arrives like any other change
 * (mt_xds_turn()); env.answered reports a failure.
 */
bool mt_xds_demand(struct mt_xds *x, const char *name, uint64_t now);

struct mt_xds_use {
	uint64_t calls; /* changes with each call */
	bool busy;	/* calls are in progress */
};

/* Reports the use of a cluster. Returns false if no cluster of that name is in use. */
typedef bool mt_xds_use_fn(void *arg, const char *name, struct mt_xds_use *use);
/*
 * Calls `use` for each active on-demand cluster and records which are in use. Call once a second.
 */
void mt_xds_use(struct mt_xds *x, mt_xds_use_fn *use, void *arg, uint64_t now);

/* ---- for the shell: texts are valid until the next call of any function here ----------------- */

/* Counters of on-demand discovery, since the start. */
struct mt_xds_demand_stats {
	uint64_t asked;	     /* names requested because of a call */
	uint64_t told;	     /* became active */
	uint64_t absent;     /* the server reported that the resource does not exist */
	uint64_t unanswered; /* no answer in time */
	uint64_t full;	     /* not requested: the limit on names was reached */
	uint64_t left;	     /* removed because no call used them */
};

struct mt_xds_info {
	const char *name, *bootstrap;
	const char *state; /* "synced", "waiting for answers", "not connected", ... */
	uint32_t n_known, n_live, n_waiting, n_refused, n_restored, n_left_out, n_not_served;
	size_t bytes;		   /* of the resources as received */
	uint64_t pushes;	   /* times that the active set changed */
	const char *kept;	   /* last event of the state file */
	bool kept_troubled;	   /* ... and the operator should look at it */
	const char *kept_path;	   /* NULL: none */
	const char *const *unused; /* bootstrap fields without effect */
	uint32_t n_unused;
	/*
	 * On-demand discovery. n_named: names that no call has requested; n_asked: names that calls
	 * have.
	 */
	bool on_demand;
	uint32_t n_named, n_asked;
	struct mt_xds_demand_stats demand;
};

void mt_xds_info(struct mt_xds *x, struct mt_xds_info *out);

/* State of a stream to a server. */
struct mt_xds_stream_info {
	const char *server, *cluster; /* address, name */
	const char *stream;	      /* "ADS", "RDS", ... */
	bool delta, tls;
	const char *state;	       /* "up", "connecting", "waiting" */
	const char *why;	       /* the last error; "": none */
	uint64_t since_ns, trouble_ns; /* times; 0: never */
	uint32_t connects;
	uint64_t unreadable;
};

/* Iterates over all streams: *pos starts at 0. Returns false at the end. */
bool mt_xds_stream_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_stream_info *out);

/* State of a resource type on a stream. */
struct mt_xds_type_info {
	const char *cluster, *stream, *type; /* "CDS" */
	const char *version, *error;
	bool wildcard, refusing;
	uint32_t wanted;
	uint64_t responses, acks, nacks, bytes;
	uint64_t acked_ns, nacked_ns; /* times; 0: never */
};

bool mt_xds_type_next(struct mt_xds *x, uint32_t *pos, struct mt_xds_type_info *out);

struct mt_xds_resource_info {
	const char *type, *name, *version, *server;
	const char *state;   /* "active", "waiting", "refused", "gone", "requested", "kept", ... */
	const char *reason;  /* "" */
	uint64_t updated_ns; /* time; 0: never */
	size_t bytes;
	uint32_t n_ignored;
	bool troubled; /* the operator should look at it */
	bool restored; /* from the state file, and not confirmed yet */
	bool out;      /* the last load left it out or does not serve it */
	/*
	 * The cause of `troubled` is not an error: the resource uses a feature that is not, or not
	 * fully, supported.
	 */
	bool beyond;
	/* When a call requested and last used an on-demand resource; 0: no call requested it. */
	uint64_t asked_ns, used_ns;
};

/*
 * Iterates over all resources: *pos starts as NULL. The source must not change during the
 * iteration.
 */
bool mt_xds_resource_next(struct mt_xds *x, const void **pos, struct mt_xds_resource_info *out);

/* Finds a resource by type ("CDS") and name. Returns false if there is none. */
bool mt_xds_resource_find(
	struct mt_xds *x, const char *type, const char *name, struct mt_xds_resource_info *out);

/*
 * Returns the path of the i-th ignored field of active resources, each path once; NULL after the
 * last. *resources is how many resources have it. The list is built when i is 0.
 */
const char *mt_xds_ignored(struct mt_xds *x, uint32_t i, const char **why, uint32_t *resources);
