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

enum mt_lb { MT_LB_ROUND_ROBIN, MT_LB_RANDOM, MT_LB_LEAST_REQUEST, MT_LB_MAGLEV };
enum mt_lb_hash { MT_LB_HASH_KEY, MT_LB_HASH_SOURCE };

/*
 * Run-time state of an endpoint, one per node, shared by workers. Fields are written rarely (a failure,
 * an ejection) with atomics; the per-worker outstanding counts are apart.
 */
struct mt_ep_state {
	uint64_t id;		/* hash of cluster name, address and port */
	uint32_t refs;		/* snapshots that name it; ctl only */
	uint32_t fails;		/* consecutive connect failures and resets; atomic */
	uint64_t first_fail;	/* now (ns) of the first of them; atomic */
	uint64_t ejected_until; /* ns, 0: in rotation; atomic */
	uint32_t ejections;	/* doubles the time aside; falls back after 60 s without failure */
	bool draining;		/* by the operator */
	uint32_t index;		/* stable small index, for per-worker arrays (lanes, outstanding) */
};

struct mt_endpoint {
	struct mt_addr addr;
	uint16_t port;
	uint32_t weight;
	const char *name; /* "192.0.2.1:20880" */
	const char *zone;
	struct mt_ep_state *state;
};

struct mt_cluster {
	const char *name; /* "outbound|20880|v1|host" */
	uint64_t id;	  /* hash of name */
	uint32_t index;	  /* stable small index over snapshots */
	enum mt_lb lb;
	enum mt_lb_hash hash_by;
	struct mt_key hash_keys[4];
	uint32_t n_hash_keys;
	struct mt_endpoint *eps;
	uint32_t n_eps;
	struct mt_maglev maglev;
	uint32_t connect_ms;			   /* 0: default */
	uint32_t max_outstanding, max_connections; /* 0: none */
	bool multiplexing;
};

/* What one worker remembers for balancing: counters by endpoint and cluster index. */
struct mt_lb_worker {
	uint32_t *outstanding; /* by mt_ep_state.index */
	uint32_t *rr;	       /* by mt_cluster.index */
	uint32_t n_eps, n_clusters;
	uint64_t counters[MT_UPSTREAM_N_OUTCOMES];
};

/*
 * Picks an endpoint for this exchange: by the cluster's balancer, skipping ejected and draining ones;
 * when all are ejected, the balancer's choice is taken all the same (never the last one). `tried` is a
 * bit set of endpoint positions already tried by this exchange (positions >= 64 are not remembered).
 * Index in c->eps, or -1 when the cluster has none (left).
 */
int mt_cluster_pick(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	uint64_t rnd, uint64_t now, uint64_t tried);

/* 3 consecutive failures within 10 s: aside for 5 s, doubling to 60 s. true when it was put aside. */
bool mt_ep_failed(struct mt_ep_state *e, uint64_t now);
void mt_ep_succeeded(struct mt_ep_state *e);

static inline bool mt_ep_ejected(const struct mt_ep_state *e, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	return until && now < until;
}
