/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/upstream: clusters, endpoints, load balancing and outlier detection. The compiled cluster is
 * immutable and part of a snapshot. Run-time state (struct mt_ep_state) outlives snapshots: a
 * publish finds it by its stable identity (cluster name and address:port).
 */
#pragma once

#include "mt_addr.h"
#include "mt_balance.h"
#include "mt_outcome.h"
#include "mt_retry_budget.h"
#include "mt_view.h"

enum mt_upstream_outcome {
#define MT_OUTCOME(n, s, w) MT_UPSTREAM_##n,
#include "upstream_outcomes.def"
#undef MT_OUTCOME
	MT_UPSTREAM_N_OUTCOMES
};

extern const struct mt_outcome_set mt_upstream_outcomes;

enum mt_lb {
	MT_LB_ROUND_ROBIN,
	MT_LB_RANDOM,
	MT_LB_LEAST_REQUEST,
	MT_LB_MAGLEV,
	MT_LB_RING_HASH,
};
enum mt_lb_hash { MT_LB_HASH_KEY, MT_LB_HASH_SOURCE };

/* "round robin", "random", "least request", "maglev", "ring hash". */
const char *mt_lb_str(enum mt_lb lb);

/* True if the balancer picks by a hash of the call, so that calls stay with their endpoint. */
static inline bool mt_lb_hashes(enum mt_lb lb)
{
	return lb == MT_LB_MAGLEV || lb == MT_LB_RING_HASH;
}

/*
 * Run-time state of an endpoint: one per node, shared by all workers, found by identity in the
 * registry. Its memory may serve another endpoint only after the last reference to it is gone (see
 * struct mt_upstream_registry). Fields change rarely (a failure, an ejection) and by atomics.
 * Counts of outstanding requests are kept per worker, in struct mt_lb_worker.
 */
struct mt_ep_state {
	uint64_t id;		/* secret hash of cluster name, address, port; ctl: w, worker: r */
	uint64_t recent;	/* recent failures (outlier.c), 0: none; atomic */
	uint64_t ejected_until; /* ns, 0: never ejected; atomic */
	uint64_t given_up;	/* calls that clients gave up (outlier.c), 0: none; atomic */
	uint32_t leaving_until; /* ms modulo 2^32, 0: it never announced its stop; atomic */
	uint32_t index;		/* stable small index, for per-worker arrays (lanes, outstanding) */
	uint32_t check;		/* 32 more bits of that hash; ctl only */
	uint32_t idle;		/* registry; ctl only */
	uint16_t idle_since;	/* s, registry; ctl only */
	uint16_t refs;		/* number of compiled clusters that name it; ctl only */
	uint16_t ejected_total; /* since start, at most 65,535; atomic */
	uint8_t ejections;	/* in a row: lengthens the ejection; atomic */
	uint8_t draining;	/* enum mt_ep_drain; ctl: w, worker: r (atomic) */
	/* Calls that timed out in a row, and the time of the first (outlier.c), 0: none; atomic */
	uint32_t timeouts;
	uint8_t back; /* enum mt_ep_back; atomic */
	bool beats;   /* it has answered one of our heartbeats; atomic */
	/* mt_endpoint_way() at the last publish; only its failures count; ctl: w, worker: r (atomic) */
	uint16_t way;
};

/* Small, for 100,000 endpoints. Rarely written. */
_Static_assert(sizeof(struct mt_ep_state) == 64, "64 bytes for each endpoint");

/* Why an endpoint drains: what it has goes on, and it gets no new calls, connections or flows. */
enum mt_ep_drain {
	MT_EP_DRAIN_NONE,
	MT_EP_DRAIN_OPERATOR,	 /* `drain endpoint` */
	MT_EP_DRAIN_LABEL,	 /* MT_DRAIN_LABEL */
	MT_EP_DRAIN_TERMINATING, /* its EndpointSlice, Pod or WorkloadEntry */
	MT_EP_DRAIN_NO_ROUTE,	 /* no port and no route of the node leads to it */
};

/* Label of a workload that drains while its value is "true". */
#define MT_DRAIN_LABEL "meltemi.io/drain"

/* How an ejected endpoint returns to rotation once its ejection time is over. */
enum mt_ep_back {
	MT_EP_BACK_NOW,	  /* it has returned, or was never ejected */
	MT_EP_BACK_ASKED, /* a worker checks its health and calls mt_ep_returned() on an answer */
	/* By a trial: the next call, when the time is over (mt_ep_try()). */
	MT_EP_BACK_TRIAL,
	/*
	 * A trial call was sent. Any reply returns the endpoint (mt_ep_trial_over()), because other
	 * calls go to it, too, while all endpoints are ejected; for a one-way trial call its
	 * acknowledgement does. Otherwise the next trial follows when its time is over.
	 */
	MT_EP_BACK_TRYING,
};

struct mt_endpoint {
	struct mt_addr addr;
	struct mt_ep_state *state;
	uint32_t weight;
	uint16_t port;
	uint8_t zone;	   /* index in mt_cluster.zones + 1; 0: unknown */
	bool guarded : 1;  /* its policy in mt_cluster.guards authorizes calls to it */
	bool meshed : 1;   /* its source marks it as having a sidecar */
	bool tls : 1;	   /* connections to it use TLS (mt_cluster_tls()) */
	uint8_t drain : 3; /* enum mt_ep_drain, by documents */
};

struct mt_authz;
struct mt_closer;
struct mt_lend;
struct mt_peer;
struct mt_tls_context;

#define MT_CLUSTER_ZONES 255

/* Workloads of a cluster's endpoints, for metrics. */
struct mt_workloads {
	uint32_t n;
	bool shared; /* there are too many: one stands for all, with the labels that they share */
	const struct mt_peer *peers; /* n, the first one unknown */
	const uint64_t *ids;	     /* mt_peer_id() of each */
	uint8_t *of;		     /* by endpoint: its place in both */
};

/* "192.0.2.1:20880"; returns buf. */
static inline char *mt_endpoint_name(const struct mt_endpoint *e, char buf[MT_ADDR_STRLEN])
{
	return mt_addr_port_str(&e->addr, e->port, buf);
}

/*
 * Outlier detection: when an endpoint is ejected, and for how long.
 * - Zero-filled: three failures within 10 s eject for 5 s; each ejection in a row doubles the time,
 *   up to 60 s.
 * - `failures` > 0: that many failures in a row eject, however far apart; time-outs are failures.
 *   The ejection lasts `base_ms` times the number of ejections in a row, at most `max_ms`.
 * - `errors` > 0 too: that many failures and replies that report a failure of the server
 *   (mt_status_blames_server()) in a row also eject. If `errors` is 0, those replies count as
 *   successes.
 */
struct mt_outlier_rule {
	uint32_t failures, base_ms, max_ms, errors;
	/*
	 * Largest percentage of the cluster's endpoints that may be ejected at once, although one
	 * always may be; 0: no limit. Set in mt_cluster.outlier only, because outlier.c counts the
	 * endpoints of the cluster that contains the rule.
	 */
	uint8_t most;
};

/* Defaults of a cluster's own rule, as in Envoy. */
#define MT_OUTLIER_FAILURES 5u
#define MT_OUTLIER_BASE_MS  30000u
#define MT_OUTLIER_MAX_MS   300000u

/*
 * State of on-demand discovery for a cluster of which only the name is known. A call that routes to
 * such a cluster makes the proxy request it, and waits. The registry keeps this state by name.
 */
struct mt_demand {
	uint64_t *
		serial; /* the registry's; each mt_upstream_absent(), for any name, changes it; atomic */
	uint64_t
		absent_until; /* ns: does not exist, not requested before; ctl: w, worker: r (atomic) */
	const char *why;      /* the reason, static; atomic */
};

#define MT_CLUSTER_HASH_KEYS 4

/*
 * Slow start: a new endpoint's share of calls grows within `ms` from `least` to all of its weight.
 * The growth is linear with an `aggression` of 1, faster at first above 1, slower at first below 1.
 * Applies to round robin and least request only, as in Envoy.
 */
struct mt_warmup_rule {
	uint32_t ms;
	uint32_t least;	     /* hundredths of a percent */
	uint32_t aggression; /* hundredths, > 0 */
};

struct mt_warmup {
	struct mt_warmup_rule rule;
	const struct mt_endpoint *eps; /* the whole cluster's, in its levels too */
	uint64_t oldest;	       /* the earliest of `since` */
	uint64_t since[];	       /* ns, by endpoint: when it was added; 0: long ago */
};

struct mt_cluster {
	const char *name; /* "outbound|20880|v1|host" */
	uint64_t id;	  /* mt_secret_hash_text() of name */
	uint32_t index;	  /* small, stable across snapshots */
	enum mt_lb lb;
	enum mt_lb_hash hash_by;
	bool drains; /* documents drain some of its endpoints */
	/* Some endpoints are reached: those with MT_EP_DRAIN_NO_ROUTE are never picked. */
	bool skips_unreached;
	uint32_t n_out; /* endpoints that the control plane takes out of rotation; not in eps */
	struct mt_key hash_keys[MT_CLUSTER_HASH_KEYS];
	uint32_t n_hash_keys;
	uint32_t connect_ms; /* 0: default */
	struct mt_endpoint *eps;
	uint32_t n_eps;
	uint32_t demand_ms; /* how long a call waits for discovery on demand */
	const char **zones; /* of its endpoints; see mt_endpoint.zone */
	/* For metrics: labels that all its endpoints' workloads share; NULL: none is known. */
	const struct mt_peer *peer;
	const struct mt_workloads *workloads; /* NULL: none is known */
	/* Some endpoint has a sidecar, which reports metrics, or is outside of the mesh. */
	bool not_bare;
	struct mt_warmup *warmup; /* NULL: none; mt_cluster_warm() */
	struct mt_maglev maglev;  /* by mt_cluster_build() */
	struct mt_ring ring;	  /* by mt_cluster_build() */
	struct mt_wseq wseq;	  /* by mt_cluster_build() */
	uint32_t ring_min, ring_max;
	/*
	 * Priorities, the preferred one first; none if all endpoints have the same priority. Each level
	 * is a cluster of its own, and its endpoints are a slice of eps. mt_cluster_build() makes these
	 * clusters from `first` and `load`.
	 */
	struct mt_lb_level *levels;
	uint32_t n_levels;
	struct mt_outlier_rule outlier;
	/*
	 * Limits for the whole node; 0: not set. max_pending limits calls that wait for a connection.
	 */
	uint32_t max_connections, max_pending;
	struct mt_retry_budget retry_budget;
	struct mt_budget_account *budget; /* of `retry_budget`; NULL: it has no bound */
	uint32_t max_outstanding;	  /* not enforced: calls are not counted by cluster */
	bool multiplexing;
	/*
	 * Panic threshold: while less than this percentage of endpoints is in rotation, ejected ones
	 * are picked like the others (see mt_cluster_panics()). 0: only when all are ejected.
	 */
	uint8_t min_health;
	/* By mt_cluster_build(): the cluster has levels, min_health or a warm-up. */
	bool careful;
	/*
	 * The object that makes the cluster fail closed: it protects the service but cannot be
	 * evaluated. The cluster has no endpoints, and calls that are routed to it are denied. NULL:
	 * none.
	 */
	const struct mt_closer *closed_by;
	/* For endpoints with `tls`: a hash of their TLS settings and identity, not 0. */
	uint16_t way;
	/*
	 * Context for endpoints with `tls`; the builder of the cluster holds the reference. NULL if
	 * there are no such endpoints, or if only contexts in `as` reach them.
	 */
	struct mt_tls_context *tls;
	/* Callers for whom the node's own identity is presented to them; NULL: all callers. */
	const struct mt_lend *lend;
	/*
	 * Contexts for callers whose own identity the node holds, in the order of lend->held; an entry
	 * is NULL if that identity is not available. NULL if the node holds none.
	 */
	struct mt_tls_context **as;
	/*
	 * For callers for whom no identity is presented: this cluster with only its endpoints without
	 * `tls`, under the same index and name. NULL: there are none.
	 */
	const struct mt_cluster *unlent;
	const struct mt_authz **guards; /* policies, by endpoint; NULL: no endpoint has any */
	/*
	 * guards_read: policies read names or metadata; guards_search: metadata after the arguments;
	 * guards_change: they may change metadata (mt_authz_changes()).
	 */
	bool guards_read, guards_search, guards_change;
	uint16_t port; /* the service's port, which clients call */
	/* Not NULL if only the name of the cluster is known; it has no endpoints then. */
	struct mt_demand *demand;
	/* Its source ("xds:NAME"), and the name of its ClusterLoadAssignment; NULL: documents. */
	const char *file, *endpoints_resource;
};

/*
 * The host in a name "outbound|PORT||HOST"; the whole name if it has another form. NULL if the
 * cluster is a subset, because its endpoints are a part of the host's.
 */
const char *mt_cluster_host(const struct mt_cluster *c);

/* Context for connections to endpoints with `tls`. `shows`: from mt_cluster_shows(), >= 0. */
static inline struct mt_tls_context *mt_cluster_tls(const struct mt_cluster *c, uint8_t shows)
{
	return shows && c->as ? c->as[shows - 1] : c->tls;
}

/* Identifies how connections to the endpoint are made: 0 for plaintext, else mt_cluster.way. */
static inline uint16_t mt_endpoint_way(const struct mt_cluster *c, const struct mt_endpoint *e)
{
	return mt_unlikely(e->tls) ? c->way : 0;
}

/* mt_peer_id() of the endpoint's workload; 0: unknown. */
static inline uint64_t mt_endpoint_workload(const struct mt_cluster *c, const struct mt_endpoint *e)
{
	return c->workloads ? c->workloads->ids[c->workloads->of[e - c->eps]] : 0;
}

/* NULL: unknown. */
static inline const char *mt_endpoint_zone(const struct mt_cluster *c, const struct mt_endpoint *e)
{
	return e->zone ? c->zones[e->zone - 1] : NULL;
}

struct mt_lb_level {
	uint32_t
		first; /* index of its first endpoint in the cluster's eps; the next level's is the end */
	uint32_t load; /* percent of the calls while its endpoints are usable; 100 in all levels */
	struct mt_cluster in; /* by mt_cluster_build() */
};

/*
 * Gives the cluster a warm-up; call before mt_cluster_build(). An endpoint that is in `old` (NULL:
 * no earlier version) keeps its age if `old` has a warm-up, and is warm otherwise. Other endpoints
 * start to warm up at `now`. 0 or -ENOMEM.
 */
int mt_cluster_warm(struct mt_cluster *c, const struct mt_warmup_rule *rule,
	const struct mt_cluster *old, uint64_t now);

/*
 * Builds the balancer's tables. Call once, on the control thread, when lb, hash keys and endpoints
 * are final. 0, -ENOMEM or -E2BIG. mt_cluster_release() frees only the tables and the warm-up.
 */
int mt_cluster_build(struct mt_cluster *c);
void mt_cluster_release(struct mt_cluster *c);

/* Load balancing state of one worker: counters by endpoint index and by cluster index. */
struct mt_lb_worker {
	uint32_t *outstanding; /* by mt_ep_state.index */
	uint32_t *rr; /* by mt_cluster.index; start at random values, so that workers differ */
	uint32_t n_eps, n_clusters;
	uint32_t
		warm_draws; /* how many more endpoints the current pick may still check for being warm */
	/* mt_cluster_panics() of this cluster or level, computed in this millisecond (careful.c) */
	const struct mt_cluster *panic_of;
	uint64_t panic_ms;
	bool panic;
	uint64_t counters[MT_UPSTREAM_N_OUTCOMES];
};

/*
 * Picks an endpoint for this exchange by the cluster's balancer. Skips endpoints that are ejected,
 * leaving or draining; if all are, picks one of them, preferably one that is not draining, and
 * never an endpoint without a route if another one has a route (skips_unreached). `tried`
 * is a bit set of endpoint positions that this exchange has tried (positions >= 64 are not
 * remembered). `v` may be NULL (opaque TCP that is not balanced by hash). Returns an index in
 * c->eps, or -1 if the cluster has no endpoint or all were tried. Counts the outcome in
 * w->counters.
 */
int mt_cluster_pick(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	uint64_t rnd, uint64_t now, uint64_t tried);

/*
 * mt_cluster_pick() with the route's hash policy `by`, which precedes the cluster's; NULL: none. If
 * neither has a hash policy, a hashing balancer picks at random.
 */
int mt_cluster_pick_by(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	const struct mt_hash_by *by, uint64_t rnd, uint64_t now, uint64_t tried);

/*
 * True if the cluster picks by a hash of metadata or client address, and not at random. `by`: the
 * route's hash policy (NULL: none).
 */
bool mt_cluster_hashes(const struct mt_cluster *c, const struct mt_hash_by *by);

/* True if endpoint i is in rotation at `now`: not ejected, leaving or drained by the operator. */
bool mt_cluster_usable(const struct mt_cluster *c, uint32_t i, uint64_t now);

/* Hash by the cluster's own hash policy: of the keys' values, or of the client's address. */
uint64_t mt_cluster_hash(const struct mt_cluster *c, struct mt_view *v);

/*
 * Counts a connect failure or a reset by the endpoint, and ejects the endpoint if the rule requires
 * it. With rule NULL, and in mt_ep_failed(), the zero-filled rule applies. Failures of an ejected
 * endpoint do not count. After 60 s in rotation the next ejection has the shortest time again.
 * Returns true if this call ejected the endpoint; the caller counts MT_UPSTREAM_ejected. The
 * endpoint then returns by MT_EP_BACK_TRIAL, unless that one caller calls mt_ep_ask(). Any worker,
 * any time; no locks.
 */
bool mt_ep_failed_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);
bool mt_ep_failed(struct mt_ep_state *e, uint64_t now);

/*
 * mt_ep_failed_by() for a reply that reports a failure of the server's framework. Counts as a
 * success if the rule has no `errors`.
 */
bool mt_ep_erred_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/*
 * mt_ep_failed_by() for a call that timed out. With the zero-filled rule, five or more in a row
 * eject the endpoint once at least 1 s has passed since the first. A success in between starts
 * over.
 */
bool mt_ep_timed_out(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/*
 * Counts a call that its client gave up, by closing its connection before the reply. `client`
 * identifies the client, equally on all workers. Calls given up are evidence once there are five of
 * at least two clients without any reply in between, and at least 1 s has passed since the first.
 * With the zero-filled rule they then eject the endpoint; otherwise each one from then on counts as
 * a failure. So no single client ejects an endpoint. Returns true if this call ejected it.
 */
bool mt_ep_given_up(
	struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint32_t client, uint64_t now);

/* Ejects at once an endpoint that did not answer a heartbeat. True if this call ejected it. */
bool mt_ep_silent(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/*
 * Ejects an endpoint of a forwarded port that has failed its health checks, until mt_ep_returned().
 * One thread checks an endpoint, and calls this only while it is not ejected.
 */
void mt_ep_unhealthy(struct mt_ep_state *e, uint64_t now);

/*
 * The caller has ejected the endpoint and checks its health once the ejection time is over. The
 * endpoint stays ejected until mt_ep_returned().
 */
void mt_ep_ask(struct mt_ep_state *e);

/* Ends the caller's health checks: the endpoint, if still ejected, returns by MT_EP_BACK_TRIAL. */
void mt_ep_ask_no_more(struct mt_ep_state *e);

/* Puts the endpoint back into rotation: it has answered the health check, or an operator asks. */
void mt_ep_returned(struct mt_ep_state *e, uint64_t now);

/* True if a trial call was sent, and the endpoint has not replied since. */
static inline bool mt_ep_on_trial(const struct mt_ep_state *e)
{
	return __atomic_load_n(&e->back, __ATOMIC_RELAXED) == MT_EP_BACK_TRYING;
}

/*
 * Call when an endpoint on trial has replied, to whatever call. True if this call put it back into
 * rotation; false: it was not on trial any more.
 */
bool mt_ep_trial_over(struct mt_ep_state *e, uint64_t now);

/*
 * Call before a call is sent to the endpoint. True if the ejection time is over and this is the one
 * trial call. Until the endpoint replies it stays ejected for its next, longer time, so that other
 * calls go elsewhere.
 */
bool mt_ep_claim(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);
static inline bool mt_ep_try(
	struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	return mt_unlikely(__atomic_load_n(&e->back, __ATOMIC_RELAXED) >= MT_EP_BACK_TRIAL) &&
	       mt_ep_claim(e, rule, now);
}

/*
 * The endpoint announced that it is about to stop (Dubbo READONLY). It is not picked for 5 s: by
 * then it has stopped, so that connecting to it fails, or it serves on. Does not count as a
 * failure. Any worker.
 */
void mt_ep_leaving(struct mt_ep_state *e, uint64_t now);

/* The endpoint accepts requests again (Dubbo WRITEABLE). Any worker. */
void mt_ep_stays(struct mt_ep_state *e, uint64_t now);

/*
 * Sets the way (mt_endpoint_way()) in which connections to the endpoint are made from now on. If it
 * changes, earlier failures do not count any more, and the endpoint is back in rotation. Control
 * thread, when a snapshot is published.
 */
void mt_ep_talk(struct mt_ep_state *e, uint16_t way);

/* True if connections to the endpoint are still made in this way, so that its failures count. */
static inline bool mt_ep_talks(const struct mt_ep_state *e, uint16_t way)
{
	return __atomic_load_n(&e->way, __ATOMIC_RELAXED) == way;
}

/* The endpoint sent a reply, to whatever call: ends a series of calls that were given up. */
static inline void mt_ep_replied(struct mt_ep_state *e)
{
	if (mt_unlikely(__atomic_load_n(&e->given_up, __ATOMIC_RELAXED)))
		__atomic_store_n(&e->given_up, 0, __ATOMIC_RELAXED);
}

/* The endpoint answered a heartbeat: ends a series of time-outs. */
static inline void mt_ep_heard(struct mt_ep_state *e)
{
	mt_ep_replied(e);
	if (mt_unlikely(__atomic_load_n(&e->timeouts, __ATOMIC_RELAXED)))
		__atomic_store_n(&e->timeouts, 0, __ATOMIC_RELAXED);
}

/* Counts a reply or a completed handshake. Cheap when nothing failed before. */
static inline void mt_ep_succeeded(struct mt_ep_state *e)
{
	if (mt_unlikely(__atomic_load_n(&e->recent, __ATOMIC_RELAXED)))
		__atomic_store_n(&e->recent, 0, __ATOMIC_RELAXED);
	mt_ep_heard(e);
}

static inline bool mt_ep_ejected(const struct mt_ep_state *e, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	if (mt_likely(!until))
		return false;
	return now < until || __atomic_load_n(&e->back, __ATOMIC_RELAXED) == MT_EP_BACK_ASKED;
}

/*
 * True if the endpoint was ejected and has not returned. Unlike mt_ep_ejected() also when its time
 * is over and no call has come that could be the trial.
 */
static inline bool mt_ep_is_out(const struct mt_ep_state *e)
{
	return __atomic_load_n(&e->back, __ATOMIC_RELAXED) != MT_EP_BACK_NOW;
}

#define MT_EP_LEAVING_MS 5000u

/* leaving_until wraps: it lies ahead only if it is at most MT_EP_LEAVING_MS away. */
static inline bool mt_ep_is_leaving(const struct mt_ep_state *e, uint64_t now)
{
	uint32_t until = __atomic_load_n(&e->leaving_until, __ATOMIC_RELAXED);

	return mt_unlikely(until) && until - (uint32_t)(now / MT_MSEC) - 1 < MT_EP_LEAVING_MS;
}

static inline void mt_ep_drain(struct mt_ep_state *e, enum mt_ep_drain why)
{
	__atomic_store_n(&e->draining, (uint8_t)why, __ATOMIC_RELAXED);
}

/* ---- registry: state that outlives snapshots; control thread only ---------------------------- */

/*
 * Endpoint states and cluster indexes by identity. A snapshot under construction takes a reference
 * to each entry that it names (_get finds or creates it). It drops them when it retires or is
 * rejected (_put). An entry without references stays findable for MT_UPSTREAM_LINGER, or less if
 * too many linger. So a document that is removed and added again keeps health and index. After that
 * its index and memory may serve another endpoint. Workers that keep per-endpoint state across
 * snapshots therefore compare mt_ep_state.id before they use it.
 */
struct mt_upstream_registry;

#define MT_UPSTREAM_LINGER (10 * 60 * MT_SEC)
/* The oldest lingering endpoints are reused early if more linger than this and than are in use. */
#define MT_UPSTREAM_LINGER_MIN 4096u
/* Endpoints of all clusters together, lingering ones included: bounds the workers' arrays. */
#define MT_UPSTREAM_EPS_MAX (1u << 18)

struct mt_upstream_registry *mt_upstream_registry_new(void);
/* Call when no worker runs any more. NULL is allowed. */
void mt_upstream_registry_free(struct mt_upstream_registry *r);

/* NULL: no memory, or MT_UPSTREAM_EPS_MAX are in use. */
struct mt_ep_state *mt_upstream_ep_get(struct mt_upstream_registry *r, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint64_t now);
void mt_upstream_ep_put(struct mt_upstream_registry *r, struct mt_ep_state *e, uint64_t now);
/*
 * The state at this index, for code that loads a worker's image; NULL if the index was never used.
 * The state may belong to another endpoint by now.
 */
struct mt_ep_state *mt_upstream_ep_at(const struct mt_upstream_registry *r, uint32_t index);

/* Cluster names, lingering ones included; at this limit the oldest unused one is reused early. */
#define MT_UPSTREAM_CLUSTERS_MAX (1u << 16)

/* The cluster's index, or -ENOMEM, also when MT_UPSTREAM_CLUSTERS_MAX are in use. */
int64_t mt_upstream_cluster_get(struct mt_upstream_registry *r, const char *name, uint64_t now);
void mt_upstream_cluster_put(struct mt_upstream_registry *r, uint32_t index, uint64_t now);

/* Name of the cluster; NULL if the index was never used. Valid while the cluster is referenced. */
const char *mt_upstream_cluster_name(const struct mt_upstream_registry *r, uint32_t index);

/*
 * The retry budget's account of the cluster at this index, which must be referenced. `workers`: of
 * the node. With `counts` it counts outstanding calls. NULL: no memory.
 */
struct mt_budget_account *mt_upstream_budget(
	struct mt_upstream_registry *r, uint32_t index, uint16_t workers, bool counts);
/* The account at this index, for code that loads a worker's image; NULL: there is none. */
struct mt_budget_account *mt_upstream_budget_at(
	const struct mt_upstream_registry *r, uint32_t index);

/* State of on-demand discovery of the cluster at this index, which must be referenced. */
struct mt_demand *mt_upstream_demand(struct mt_upstream_registry *r, uint32_t index);
/*
 * Records that the cluster does not exist and is not requested before `until`; 0 withdraws that.
 * `why` is a static string.
 */
void mt_upstream_absent(
	struct mt_upstream_registry *r, const char *name, uint64_t until, const char *why);

/* One past the largest index ever used: the size of per-worker arrays. Never shrinks. */
uint32_t mt_upstream_ep_indexes(const struct mt_upstream_registry *r);
uint32_t mt_upstream_cluster_indexes(const struct mt_upstream_registry *r);
