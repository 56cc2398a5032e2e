/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/upstream: clusters, endpoints, their health and outlier state. The compiled cluster is immutable
 * and part of a snapshot; what changes at run time (struct mt_ep_state) is keyed by stable identity
 * (cluster name and address:port), found again at publish and outlives snapshots.
 */
#pragma once

#include "mt_addr.h"
#include "mt_balance.h"
#include "mt_outcome.h"
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

/*
 * Run-time state of an endpoint, one per node, shared by workers and found by identity in the
 * registry. Its memory is never given back to anybody else while a worker may look at it (see
 * mt_upstream_ep_put()). Fields are written rarely (a failure, an ejection), with atomics; the
 * per-worker outstanding counts are apart.
 */
struct mt_ep_state {
	uint64_t id;		/* hash of cluster name, address and port; ctl: w, worker: r */
	uint64_t recent;	/* what failed of late (outlier.c), 0: nothing; atomic */
	uint64_t ejected_until; /* ns, 0: never put aside; atomic */
	uint32_t leaving_until; /* ms of 32 bits, 0: it never said that it leaves; atomic */
	uint32_t index;		/* stable small index, for per-worker arrays (lanes, outstanding) */
	uint32_t check;		/* more of that hash; ctl only */
	uint32_t idle;		/* registry; ctl only */
	uint16_t idle_since;	/* s, registry; ctl only */
	uint16_t refs;		/* compiled clusters that name it; ctl only */
	uint16_t ejected_total; /* since start, 65,535 at most; atomic */
	uint8_t ejections;	/* in a row: lengthens the time aside; atomic */
	bool draining;		/* by the operator; ctl: w, worker: r (atomic) */
	/* Calls that timed out in a row, and when the first did (outlier.c), 0: none; atomic */
	uint32_t timeouts;
	uint8_t back; /* enum mt_ep_back; atomic */
	bool beats;   /* it has answered a heartbeat of ours; atomic */
	/* mt_endpoint_way() of the last publish, which failures belong to; ctl: w, worker: r (atomic) */
	uint16_t way;
};

/* A hundred thousand of them fit a budget. Neighbours share a cache line, which is written rarely. */
_Static_assert(sizeof(struct mt_ep_state) == 56, "56 bytes for each endpoint");

/* How an endpoint that was put aside comes back, once its time is over. */
enum mt_ep_back {
	MT_EP_BACK_NOW,	  /* it is back, or was never away */
	MT_EP_BACK_TRIAL, /* one call goes there, and its reply, or the acknowledgement of a one-way call, brings it back (mt_ep_try()) */
	MT_EP_BACK_ASKED, /* a worker asks it, and says when it has answered (mt_ep_returned()) */
};

struct mt_endpoint {
	struct mt_addr addr;
	struct mt_ep_state *state;
	uint32_t weight;
	uint16_t port;
	uint8_t zone;	  /* place in the cluster's zones + 1; 0: not said */
	bool guarded : 1; /* calls to it are judged by mt_cluster.guards first */
	bool meshed : 1;  /* who told of it says that a proxy of its own is there */
	bool tls : 1;	  /* connections to it are made by mt_cluster.tls */
};

struct mt_authz;
struct mt_closer;
struct mt_lend;
struct mt_tls_context;

#define MT_CLUSTER_ZONES 255

/* "192.0.2.1:20880"; returns buf. */
static inline char *mt_endpoint_name(const struct mt_endpoint *e, char buf[MT_ADDR_STRLEN])
{
	return mt_addr_port_str(&e->addr, e->port, buf);
}

/*
 * When an endpoint is put aside. Zero-filled: three failures within 10 s, then 5 s, doubling up to 60 s.
 * With `failures`: so many in a row however long it takes, time-outs too, then `base_ms` times how often that
 * came of late, `max_ms` at most. With `errors` besides: so many failures and replies of which the status is
 * MT_STATUS_PROTO_ERROR in a row; 0: those are replies like others.
 */
struct mt_outlier_rule {
	uint32_t failures, base_ms, max_ms, errors;
	/*
	 * Percent of the cluster's endpoints that are aside at once at most, but one always may be; 0: any number. Only the rule that
	 * is in a cluster (mt_cluster.outlier) says it, as its endpoints are counted.
	 */
	uint8_t most;
};

/* What a rule of a cluster's own leaves unsaid: as Envoy. */
#define MT_OUTLIER_FAILURES 5u
#define MT_OUTLIER_BASE_MS  30000u
#define MT_OUTLIER_MAX_MS   300000u

/*
 * A cluster of which only the name is there: a call that leads to it asks for it, and waits. What is known about
 * asking, found by name in the registry like an endpoint's state.
 */
struct mt_demand {
	uint64_t *
		serial; /* of the registry: another one whenever something is said of any name; atomic */
	uint64_t
		absent_until; /* ns: it is not there, nobody is asked before; ctl: w, worker: r (atomic) */
	const char *why; /* the words of that, static; atomic */
};

#define MT_CLUSTER_HASH_KEYS 4

/*
 * A new endpoint's share grows from `least` of its weight to all of it within a time, in proportion; with an `aggression` over 1
 * sooner, under 1 later. By round robin and least request only, as in Envoy.
 */
struct mt_warmup_rule {
	uint32_t ms;
	uint32_t least;	     /* hundredths of a percent */
	uint32_t aggression; /* hundredths; > 0 */
};

struct mt_warmup {
	struct mt_warmup_rule rule;
	const struct mt_endpoint *eps; /* the cluster's, also in its levels */
	uint64_t oldest;	       /* of `since` */
	uint64_t since[];	       /* ns, by endpoint: when it came */
};

struct mt_cluster {
	const char *name; /* "outbound|20880|v1|host" */
	uint64_t id;	  /* hash of name */
	uint32_t index;	  /* stable small index over snapshots */
	enum mt_lb lb;
	enum mt_lb_hash hash_by;
	uint32_t n_out; /* endpoints that the control plane has out of rotation; not in eps */
	struct mt_key hash_keys[MT_CLUSTER_HASH_KEYS];
	uint32_t n_hash_keys;
	uint32_t connect_ms; /* 0: default */
	struct mt_endpoint *eps;
	uint32_t n_eps;
	uint32_t demand_ms;	  /* how long a call waits for more */
	const char **zones;	  /* of its endpoints */
	struct mt_warmup *warmup; /* NULL: none; mt_cluster_warm() */
	struct mt_maglev maglev;  /* by mt_cluster_build() */
	struct mt_ring ring;	  /* by mt_cluster_build() */
	struct mt_wseq wseq;	  /* by mt_cluster_build() */
	uint32_t ring_min, ring_max;
	/*
	 * Priorities, the preferred one first; none: all endpoints are alike. Each is a cluster of its own
	 * whose endpoints are a part of eps, in order; made by mt_cluster_build() of `first` and `load`.
	 */
	struct mt_lb_level *levels;
	uint32_t n_levels;
	struct mt_outlier_rule outlier;
	/* Of the whole node; 0: not said. max_pending: calls that wait for a connection. */
	uint32_t max_connections, max_pending;
	uint32_t max_outstanding; /* not enforced: calls are not counted by cluster */
	bool multiplexing;
	/* Percent of the endpoints in rotation below which those that are aside are used like the others; 0: when all are aside. */
	uint8_t min_health;
	bool careful; /* by mt_cluster_build(): choosing takes more than its balancer: levels, min_health, warm-up */
	/* What protects its service and cannot be evaluated: it has no endpoints, and who is led to it is denied. */
	const struct mt_closer *closed_by;
	/* For endpoints with `tls`: a hash of their TLS settings and identity, not 0. */
	uint16_t way;
	/* To endpoints with `tls`; held by who made the cluster. NULL: there are none, or `as` has those by which they are reached. */
	struct mt_tls_context *tls;
	/* For whom the node's own identity is shown to them; NULL: for everybody. */
	const struct mt_lend *lend;
	/* For callers that `lend` holds an identity of, by that, in its order; NULL in it: that one cannot be had. NULL: it holds none. */
	struct mt_tls_context **as;
	/* Who is not among those has the other endpoints; NULL: there are none. Its index and name are the same. */
	const struct mt_cluster *unlent;
	const struct mt_authz **guards;	 /* by endpoint; NULL: none of them has any */
	bool guards_read, guards_search; /* names of a call; what does not lead it */
	uint16_t port;			 /* the service's, that clients call */
	struct mt_demand *demand; /* not NULL: only the name is there, and it has no endpoints */
	/* Where it was said: "xds:NAME", and the name of its ClusterLoadAssignment; NULL: by documents. */
	const char *file, *endpoints_resource;
};

/*
 * The host of "outbound|PORT||HOST"; of a name of another form the name itself. NULL: a subset's cluster, which is a part of
 * the host's.
 */
const char *mt_cluster_host(const struct mt_cluster *c);

/* What connections to its endpoints with `tls` are made by, for who shows the identity that mt_cluster_shows() has said. */
static inline struct mt_tls_context *mt_cluster_tls(const struct mt_cluster *c, uint8_t shows)
{
	return shows && c->as ? c->as[shows - 1] : c->tls;
}

/* How connections to the endpoint are made; 0: in plaintext. */
static inline uint16_t mt_endpoint_way(const struct mt_cluster *c, const struct mt_endpoint *e)
{
	return mt_unlikely(e->tls) ? c->way : 0;
}

/* NULL: not said. */
static inline const char *mt_endpoint_zone(const struct mt_cluster *c, const struct mt_endpoint *e)
{
	return e->zone ? c->zones[e->zone - 1] : NULL;
}

struct mt_lb_level {
	uint32_t
		first; /* of its endpoints in the cluster's; they end where the next level begins */
	uint32_t load; /* percent of the calls while its endpoints are usable; all of them: 100 */
	struct mt_cluster in; /* by mt_cluster_build() */
};

/*
 * Its endpoints warm up, before mt_cluster_build(): those that `old` has (NULL: none) are as old as they are there, if it has a
 * warm-up as well, else they are warm; others begin now. 0 or -ENOMEM.
 */
int mt_cluster_warm(struct mt_cluster *c, const struct mt_warmup_rule *rule,
	const struct mt_cluster *old, uint64_t now);

/*
 * Builds the balancer's table when lb, hash keys and endpoints are final; on the control thread, once.
 * 0 or -ENOMEM, -E2BIG. mt_cluster_release() frees the tables only.
 */
int mt_cluster_build(struct mt_cluster *c);
void mt_cluster_release(struct mt_cluster *c);

/* What one worker remembers for balancing: counters by endpoint and cluster index. */
struct mt_lb_worker {
	uint32_t *outstanding; /* by mt_ep_state.index */
	uint32_t *rr; /* by mt_cluster.index; start at random values, so that workers differ */
	uint32_t n_eps, n_clusters;
	uint32_t
		warm_draws; /* of the pick under way: so many endpoints may still be asked how warm they are */
	/* Whether too few of this cluster or level are in rotation, as it was counted in this millisecond (careful.c). */
	const struct mt_cluster *panic_of;
	uint64_t panic_ms;
	bool panic;
	uint64_t counters[MT_UPSTREAM_N_OUTCOMES];
};

/*
 * Picks an endpoint for this exchange: by the cluster's balancer, skipping ejected and draining ones;
 * when all are, the balancer's choice is taken all the same (never the last one). `tried` is a bit set
 * of endpoint positions already tried by this exchange (positions >= 64 are not remembered). `v` may be
 * NULL (opaque connections that are not balanced by hash). Index in c->eps, or -1 when the cluster has
 * none (left); counted.
 */
int mt_cluster_pick(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	uint64_t rnd, uint64_t now, uint64_t tried);

/*
 * The same with what the route hashes by, which comes before what the cluster says; NULL: nothing. When
 * neither says anything a hashing balancer draws at random.
 */
int mt_cluster_pick_by(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	const struct mt_hash_by *by, uint64_t rnd, uint64_t now, uint64_t tried);

/*
 * Whether something of the message, and not chance, says which endpoint of this cluster it gets, given what the route
 * hashes by (NULL: nothing).
 */
bool mt_cluster_hashes(const struct mt_cluster *c, const struct mt_hash_by *by);

/* Which endpoint may be chosen at `now`: neither aside, nor leaving, nor drained by the operator. */
bool mt_cluster_usable(const struct mt_cluster *c, uint32_t i, uint64_t now);

/* The hash that a hashing cluster picks by (the keys' values, or the client's address). */
uint64_t mt_cluster_hash(const struct mt_cluster *c, struct mt_view *v);

/*
 * A connect failure or a reset by the endpoint: when the rule says so, it is put aside; 60 s in rotation
 * without being put aside again start over with the shortest time. true when this call put it aside (the
 * caller counts MT_UPSTREAM_ejected). Any worker, any time; no locks. Failures while it is aside do not
 * count. rule NULL, and mt_ep_failed(): by the zero-filled one. It comes back by MT_EP_BACK_TRIAL, unless the caller, whose
 * alone that is, says otherwise by mt_ep_ask().
 */
bool mt_ep_failed_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);
bool mt_ep_failed(struct mt_ep_state *e, uint64_t now);

/* The same for a reply that says that the framework at the server failed; a good reply where the rule does not count them. */
bool mt_ep_erred_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/*
 * The same for a call that timed out. By the zero-filled rule five in a row put the endpoint aside, if nothing came between
 * them and they were not all of one second.
 */
bool mt_ep_timed_out(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/* It was asked and is silent: put aside at once. true: by this call. */
bool mt_ep_silent(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);

/* The caller put it aside and asks it from when its time is over; it stays aside until mt_ep_returned(). */
void mt_ep_ask(struct mt_ep_state *e);

/* The caller does not ask any more: an endpoint that is still asked returns by MT_EP_BACK_TRIAL. */
void mt_ep_ask_no_more(struct mt_ep_state *e);

/* It has answered who asked it, or the call on trial. */
void mt_ep_returned(struct mt_ep_state *e, uint64_t now);

/*
 * A call is about to be sent to it. true: its time aside is over, and this is the one call on trial: the reply brings it
 * back. Until then others go elsewhere: it is aside for its next, longer time.
 */
bool mt_ep_claim(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now);
static inline bool mt_ep_try(
	struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	return mt_unlikely(__atomic_load_n(&e->back, __ATOMIC_RELAXED) == MT_EP_BACK_TRIAL) &&
	       mt_ep_claim(e, rule, now);
}

/*
 * The endpoint said that it is about to stop (Dubbo READONLY): it is not picked for 5 s, in which it
 * either ends, so that connecting to it fails, or comes back. No failure of its own. Any worker.
 */
void mt_ep_leaving(struct mt_ep_state *e, uint64_t now);

/* It takes requests again (Dubbo WRITEABLE). */
void mt_ep_stays(struct mt_ep_state *e, uint64_t now);

/*
 * Sets the way in which connections to the endpoint are made from now on. Failures belong to the
 * way in which they came about: if it changes, those so far are forgotten and the endpoint is in
 * rotation again. Control thread, when a snapshot is published.
 */
void mt_ep_talk(struct mt_ep_state *e, uint16_t way);

/* True if connections to the endpoint are still made in this way, so that its failures count. */
static inline bool mt_ep_talks(const struct mt_ep_state *e, uint16_t way)
{
	return __atomic_load_n(&e->way, __ATOMIC_RELAXED) == way;
}

/* It lives: an answer to a heartbeat. */
static inline void mt_ep_heard(struct mt_ep_state *e)
{
	if (mt_unlikely(__atomic_load_n(&e->timeouts, __ATOMIC_RELAXED)))
		__atomic_store_n(&e->timeouts, 0, __ATOMIC_RELAXED);
}

/* A reply or a completed handshake. Cheap when nothing failed before. */
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

#define MT_EP_LEAVING_MS 5000u

/* A time that is long past is told from one to come by its distance. */
static inline bool mt_ep_is_leaving(const struct mt_ep_state *e, uint64_t now)
{
	uint32_t until = __atomic_load_n(&e->leaving_until, __ATOMIC_RELAXED);

	return mt_unlikely(until) && until - (uint32_t)(now / MT_MSEC) - 1 < MT_EP_LEAVING_MS;
}

static inline void mt_ep_drain(struct mt_ep_state *e, bool on)
{
	__atomic_store_n(&e->draining, on, __ATOMIC_RELAXED);
}

/* ---- registry: what outlives snapshots; control thread only --------------------------------- */

/*
 * Endpoint states and cluster indexes by identity. A snapshot under construction takes what it names
 * (_get: found or created, one more reference) and gives it back when it retires, or when it was
 * refused (_put). After the last reference the entry stays findable for MT_UPSTREAM_LINGER, so a
 * document that goes and comes back keeps health and index; only then may its index and memory serve
 * another endpoint. Workers that keep per-endpoint state compare mt_ep_state.id before they use it.
 */
struct mt_upstream_registry;

#define MT_UPSTREAM_LINGER (10 * 60 * MT_SEC)
/* Where endpoints come and go by the thousand, so many may linger, and no fewer than are in use. */
#define MT_UPSTREAM_LINGER_MIN 4096u
/* Endpoints of all clusters together, lingering ones too: the size of workers' arrays. */
#define MT_UPSTREAM_EPS_MAX (1u << 18)

struct mt_upstream_registry *mt_upstream_registry_new(void);
/* When no worker runs any more. */
void mt_upstream_registry_free(struct mt_upstream_registry *r);

/* NULL: no memory, or MT_UPSTREAM_EPS_MAX are in use. */
struct mt_ep_state *mt_upstream_ep_get(struct mt_upstream_registry *r, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint64_t now);
void mt_upstream_ep_put(struct mt_upstream_registry *r, struct mt_ep_state *e, uint64_t now);
/* The state of this index, for who loads a worker's image; its identity may have changed meanwhile. NULL: it was never given. */
struct mt_ep_state *mt_upstream_ep_at(const struct mt_upstream_registry *r, uint32_t index);

/* Names of clusters, lingering ones too; with as many the oldest that nobody uses is given up early. */
#define MT_UPSTREAM_CLUSTERS_MAX (1u << 16)

/* The cluster's index, or -ENOMEM, also when MT_UPSTREAM_CLUSTERS_MAX are in use. */
int64_t mt_upstream_cluster_get(struct mt_upstream_registry *r, const char *name, uint64_t now);
void mt_upstream_cluster_put(struct mt_upstream_registry *r, uint32_t index, uint64_t now);

/* Its name; NULL: nobody has this index. Lives as long as somebody names the cluster. */
const char *mt_upstream_cluster_name(const struct mt_upstream_registry *r, uint32_t index);

/* What is known about asking for the cluster of this index, which is named. */
struct mt_demand *mt_upstream_demand(struct mt_upstream_registry *r, uint32_t index);
/* The cluster is not there and nobody is asked before `until` (0: that does not hold any more); `why` is static. */
void mt_upstream_absent(
	struct mt_upstream_registry *r, const char *name, uint64_t until, const char *why);

/* One past the largest index ever given: sizes of per-worker arrays. Never shrinks. */
uint32_t mt_upstream_ep_indexes(const struct mt_upstream_registry *r);
uint32_t mt_upstream_cluster_indexes(const struct mt_upstream_registry *r);
