/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for a connection to an endpoint. For shared and serial connections each client is
 * served, whatever others send: clients are spread over buckets by their address, and the buckets
 * are served round robin by bytes (deficit round robin: Shreedhar and Varghese, IEEE/ACM
 * Transactions on Networking 4(3), 1996; buckets: McKenney, Stochastic Fairness Queueing, 1990). At
 * the limit of waiting calls, the bucket with the most calls gives way.
 */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"
#include "mt_strmap.h"

/* Maximum bytes of a cluster with a limit of its own, in multiples of pending_bytes. */
#define PENDING_MORE 8
/*
 * Bytes that each bucket may send in a round. They bound the wait of a new call for each other
 * bucket.
 */
#define QUANTUM 2048
/* Maximum number of waiting calls that are refused for one new call. */
#define GIVE_WAY 4

/* ---- turns ----------------------------------------------------------------------------------- */

uint8_t mt_fair_bucket(const struct mt_proxy *p, const struct mt_addr *a)
{
	return (uint8_t)(mt_hash_bytes(a, sizeof(*a), p->fair_salt) >> (64 - MT_FAIR_BITS));
}

static uint8_t bucket_of(struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_addr a = mt_lane_holder(p, ex);

	return mt_fair_bucket(p, &a);
}

/* The queues of an endpoint: those of mt_lanes.fair, and mt_lanes.bulk. */
enum queue { NARROW = MT_FAIR_NARROW, WIDE = MT_FAIR_WIDE, BULK = MT_FAIR_QUEUES, QUEUES };

static enum queue queue_of(const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	enum mt_up_role role = mt_lane_role(ln, ex);

	return role == MT_UP_BULK ? BULK : role == MT_UP_WIDE ? WIDE : NARROW;
}

static bool is_empty(const struct mt_lanes *ln, enum queue q)
{
	return q == BULK ? mt_list_empty(&ln->bulk) : !ln->fair[q];
}

static struct mt_fair *fair_of(struct mt_proxy *p, struct mt_lanes *ln, enum queue q)
{
	struct mt_fair *f = ln->fair[q];

	if (f)
		return f;
	f = ln->fair[q] = mt_slab_alloc(&p->fairs, NULL);
	if (mt_unlikely(!f))
		return NULL;
	for (uint32_t i = 0; i < MT_FAIR_BUCKETS; i++)
		mt_list_init(&f->bucket[i]);
	return f;
}

/* A call's cost in its bucket's round: its bytes, or a whole round on serial connections. */
static int32_t cost_of(const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	return mt_lane_role(ln, ex) == MT_UP_SERIAL ? QUANTUM : (int32_t)MT_MAX(ex->req.len, 64u);
}

static void fair_put(struct mt_fair *f, struct mt_attempt *a, bool first)
{
	struct mt_list *l = &f->bucket[a->bucket];

	if (first)
		mt_list_add(l, &a->node);
	else
		mt_list_add_tail(l, &a->node);
	f->n[a->bucket]++;
	f->busy |= 1ull << a->bucket;
}

/* Returns the next call; the queue must not be empty. */
static struct mt_attempt *fair_next(struct mt_fair *f)
{
	while (!(f->busy >> f->at & 1) || f->credit[f->at] <= 0) {
		uint64_t above = f->at == MT_FAIR_BUCKETS - 1 ? 0 : f->busy >> (f->at + 1);

		f->at = above ? f->at + 1 + (uint32_t)__builtin_ctzll(above)
			      : (uint32_t)__builtin_ctzll(f->busy);
		f->credit[f->at] += QUANTUM;
	}
	return mt_list_entry(mt_list_first(&f->bucket[f->at]), struct mt_attempt, node);
}

const struct mt_attempt *mt_queue_head(const struct mt_lanes *ln, uint32_t queue)
{
	struct mt_fair f;

	if (!ln->fair[queue] || !ln->fair[queue]->busy)
		return NULL;
	f = *ln->fair[queue];
	return fair_next(&f);
}

static void fair_del(struct mt_proxy *p, struct mt_lanes *ln, enum queue q, struct mt_attempt *a)
{
	struct mt_fair *f = ln->fair[q];

	mt_list_del(&a->node);
	if (--f->n[a->bucket])
		return;
	f->busy &= ~(1ull << a->bucket);
	f->credit[a->bucket] = MT_MIN(f->credit[a->bucket], 0);
	if (f->busy)
		return;
	mt_slab_free(&p->fairs, f);
	ln->fair[q] = NULL;
}

/*
 * Waiting calls of a bucket, for SHARED (or SERIAL) and WIDE together, because the limit is for
 * both together.
 */
static uint32_t waiting_of(const struct mt_lanes *ln, uint32_t bucket)
{
	uint32_t n = 0;

	for (enum queue q = NARROW; q < BULK; q++)
		n += ln->fair[q] ? ln->fair[q]->n[bucket] : 0;
	return n;
}

static uint32_t bucket_of_most(const struct mt_lanes *ln)
{
	uint32_t most = 0;

	for (uint32_t i = 1; i < MT_FAIR_BUCKETS; i++)
		if (waiting_of(ln, i) > waiting_of(ln, most))
			most = i;
	return most;
}

/* Returns the last call of the bucket, from the queue with more of its calls. There must be one. */
static struct mt_attempt *last_of(const struct mt_lanes *ln, uint32_t bucket)
{
	const struct mt_fair *narrow = ln->fair[NARROW], *wide = ln->fair[WIDE];
	bool w = !narrow || (wide && wide->n[bucket] > narrow->n[bucket]);

	return mt_list_entry((w ? wide : narrow)->bucket[bucket].prev, struct mt_attempt, node);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/*
 * True if this worker's n waiting calls for the cluster, with `more` bytes added, exceed the limit
 * of bytes. False for one call, so that it may wait, whatever its length.
 */
static bool too_large(
	const struct mt_proxy *p, const struct mt_exchange *ex, uint32_t n, uint32_t more)
{
	uint64_t all = (uint64_t)p->pending_size[ex->attempt.cluster_index] + more;
	uint64_t bytes = p->conf.pending_bytes, max = mt_pending_most(ex);

	/*
	 * A higher limit of calls raises the limit of bytes, but one cluster must not take all
	 * buffers.
	 */
	if (mt_unlikely(max > p->conf.pending_max))
		bytes = MT_MIN(bytes / p->conf.pending_max * max, PENDING_MORE * bytes);
	return n > 1 && all > bytes;
}

/*
 * True if more calls wait for the cluster than the node's limit allows, and this worker has more
 * than its even share. Then this worker has to refuse some calls.
 */
static bool is_over_node(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	uint32_t cluster = ex->attempt.cluster_index, max = mt_pending_most(ex);
	struct mt_units units = mt_pending_units(p, cluster);

	return max && p->pending[cluster] > mt_units_turn(units, max, p->now) &&
	       mt_units_over(units, max);
}

/*
 * True if this worker has to refuse a call that waits for the cluster, because too many bytes or
 * too many calls wait. A limit of the node applies to the calls of all workers (is_over_node()).
 */
static bool is_over(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	uint32_t cluster = ex->attempt.cluster_index;

	if (too_large(p, ex, p->pending[cluster], 0))
		return true;
	return mt_pending_most(ex) ? is_over_node(p, ex)
				   : p->pending[cluster] > p->conf.pending_max;
}

/*
 * True if one more call may wait. If the node has a limit, takes a unit for the call, which
 * mt_pending_add() uses or mt_pending_settle() returns. If no unit is left, the call may wait while
 * this worker has less than its even share, and mt_pending_add() forces a unit. A worker with more
 * than its share then refuses a call (mt_queue_yield()).
 */
static bool has_place(struct mt_proxy *p, const struct mt_exchange *ex)
{
	uint32_t cluster = ex->attempt.cluster_index, max = mt_pending_most(ex);
	struct mt_units units;

	if (too_large(p, ex, p->pending[cluster] + 1, ex->req.truesize))
		return false;
	if (mt_likely(!max))
		return p->pending[cluster] < p->conf.pending_max;
	units = mt_pending_units(p, cluster);
	mt_pending_settle(p, cluster, max);
	if (mt_units_take(units, max))
		return true;
	if (p->pending[cluster] >= mt_units_turn(units, max, p->now))
		return false;
	mt_units_want(units, p->now);
	return true;
}

/*
 * Call at the limits. True if the call itself is refused: it needs a bulk connection, or its
 * bucket, with the call, has at least as many waiting calls as each other bucket.
 */
static bool refused(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	if (queue_of(ln, ex) == BULK)
		return true;
	return waiting_of(ln, bucket_of_most(ln)) <= waiting_of(ln, bucket_of(p, ex)) + 1;
}

static void refuse(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_reply_ending(p, ex, MT_ENDING_breaker, "too many calls wait for this service");
}

/*
 * Refuses up to GIVE_WAY calls while the limits are exceeded, each of the bucket with the most
 * calls. Stops when that is the bucket of `a`.
 */
static void give_way(struct mt_proxy *p, struct mt_lanes *ln, const struct mt_attempt *a)
{
	struct mt_ref ref = ln->self;
	uint8_t bucket = a->bucket;
	struct mt_attempt *last;

	for (uint32_t n = 0; n < GIVE_WAY; n++) {
		uint32_t most;

		if (mt_slab_get(&p->lanes, ref) != ln || (!ln->fair[NARROW] && !ln->fair[WIDE]))
			return;
		most = bucket_of_most(ln);
		if (most == bucket)
			return;
		last = last_of(ln, most);
		if (!is_over(p, mt_attempt_exchange(last)))
			return;
		refuse(p, mt_attempt_exchange(last));
	}
}

/*
 * Returns the last waiting call of the bucket with the most calls. Without such calls: the last
 * call that waits for a bulk connection, or NULL.
 */
static struct mt_attempt *last_waiting(const struct mt_lanes *ln)
{
	if (ln->fair[NARROW] || ln->fair[WIDE])
		return last_of(ln, bucket_of_most(ln));
	return mt_list_empty(&ln->bulk) ? NULL
					: mt_list_entry(ln->bulk.prev, struct mt_attempt, node);
}

uint32_t mt_queue_yield(struct mt_proxy *p, struct mt_lanes *ln, uint32_t n)
{
	struct mt_ref ref = ln->self;

	for (uint32_t i = 0; i < n; i++) {
		struct mt_attempt *last = last_waiting(ln);

		if (!last || !is_over_node(p, mt_attempt_exchange(last)) ||
			!mt_units_wanted(mt_pending_units(p, ln->cluster_index), p->now))
			return i;
		refuse(p, mt_attempt_exchange(last));
		if (mt_slab_get(&p->lanes, ref) != ln)
			return i + 1;
	}
	return n;
}

bool mt_queue_add(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	enum queue q = queue_of(ln, ex);
	bool full;

	mt_compact_waiting(p, &ex->req);
	full = !has_place(p, ex);
	if ((mt_unlikely(full) && refused(p, ln, ex)) || (q != BULK && !fair_of(p, ln, q))) {
		mt_pending_settle(p, ex->attempt.cluster_index, mt_pending_most(ex));
		refuse(p, ex);
		return false;
	}
	mt_attempt_becomes(a, MT_ATTEMPT_QUEUED);
	mt_exchange_waits(p, ex);
	ex->attempt.queued_size = ex->req.truesize;
	mt_pending_add(p, ex);
	ln->n_queued++;
	if (q == BULK) {
		mt_list_add_tail(&ln->bulk, &a->node);
		ln->bulk_in_vain = false;
	} else {
		a->bucket = bucket_of(p, ex);
		fair_put(ln->fair[q], a, false);
	}
	mt_exchange_trace_queued(p, ex, "no connection takes it now");
	if (mt_unlikely(ln->conns_max || mt_pending_most(ex)))
		mt_lanes_look_later(p, ln);
	if (mt_unlikely(full) && q != BULK)
		give_way(p, ln, a);
	return true;
}

static void leave_queue(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a)
{
	enum queue q = queue_of(ln, mt_attempt_exchange(a));

	ln->n_queued--;
	if (q == BULK)
		mt_list_del(&a->node);
	else
		fair_del(p, ln, q, a);
}

void mt_queue_del(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a)
{
	mt_pending_sub(p, mt_attempt_exchange(a));
	leave_queue(p, ln, a);
}

/*
 * True if the call may overtake waiting calls:
 * - It shares its client's connection and takes no other one (oneway.c).
 * - It needs a bulk connection, and the group is not in mt_proxy.hungry. Then the clients of the
 *   waiting bulk calls have no free share of these connections, but the client of this call may
 *   have one.
 */
static bool passes_by(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	if (mt_oneway_conn(p, ln, ex))
		return true;
	return mt_lane_role(ln, ex) == MT_UP_BULK && !mt_list_linked(&ln->hungry_node);
}

enum mt_tried mt_lane_submit(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	int rc = -EAGAIN;

	a->lanes = ln->self;
	/*
	 * Queue the call after the waiting ones, and serve them soon: a connection may have become
	 * free in this iteration.
	 */
	if (mt_unlikely(ln->n_queued) && !is_empty(ln, queue_of(ln, ex)) && !passes_by(p, ln, ex))
		mt_lane_hungry(p, ln);
	else
		rc = mt_lane_assign(p, ln, a);
	if (mt_likely(rc == 0))
		return MT_TRIED_OUT;
	if (rc == -EAGAIN)
		return mt_queue_add(p, ln, a) ? MT_TRIED_OUT : MT_TRIED_ENDED;
	return rc == -ECANCELED ? MT_TRIED_ENDED : MT_TRIED_UNREACHED;
}

/*
 * Returns the first waiting call of a client that may have a bulk connection; the calls before it
 * go to the end. `of_others`: skips calls from the address that got the last bulk connection.
 */
static struct mt_attempt *next_bulk(struct mt_proxy *p, struct mt_lanes *ln, bool of_others)
{
	struct mt_list *queue = &ln->bulk, *first;

	/*
	 * Examine each call at least once: this list has at most as many calls as wait for the
	 * cluster.
	 */
	for (uint32_t n = p->pending[ln->cluster_index]; n; n--) {
		const struct mt_exchange *ex;
		struct mt_attempt *a;
		struct mt_addr from;

		first = mt_list_first(queue);
		a = mt_list_entry(first, struct mt_attempt, node);
		ex = mt_attempt_exchange(a);
		from = mt_lane_holder(p, ex);
		if (!(of_others && mt_addr_eq(&from, &ln->bulk_last)) &&
			mt_lane_has_share(p, ln, ex))
			return a;
		mt_list_del(first);
		mt_list_add_tail(queue, first);
	}
	return NULL;
}

/* Returns the next call; NULL: none can be sent now. Bulk connections are shared round robin. */
static struct mt_attempt *next_queued(struct mt_proxy *p, struct mt_lanes *ln, enum queue q)
{
	struct mt_attempt *a;

	if (q != BULK)
		return fair_next(ln->fair[q]);
	if (mt_likely(ln->bulk_in_vain))
		return NULL;
	a = next_bulk(p, ln, true);
	if (!a)
		a = next_bulk(p, ln, false);
	ln->bulk_in_vain = !a;
	return a;
}

/*
 * Puts back a call that found no connection, as the next one, also if it was its bucket's only
 * call.
 */
static void put_back(struct mt_proxy *p, struct mt_lanes *ln, enum queue q, struct mt_attempt *a)
{
	struct mt_fair *f;

	mt_pending_add(p, mt_attempt_exchange(a));
	ln->n_queued++;
	if (q == BULK) {
		mt_list_add(&ln->bulk, &a->node);
		return;
	}
	f = fair_of(p, ln, q); /* succeeds: it exists, or leave_queue() has just freed one */
	fair_put(f, a, true);
	f->at = a->bucket;
	if (f->credit[a->bucket] <= 0)
		f->credit[a->bucket] = QUANTUM;
}

static bool feed_one(struct mt_proxy *p, struct mt_lanes *ln, enum queue q)
{
	struct mt_ref ref = ln->self;
	struct mt_attempt *a = next_queued(p, ln, q);
	struct mt_exchange *ex;
	uint32_t cluster, max;
	uint8_t bucket;
	int32_t cost;
	int rc;

	if (!a)
		return false;
	ex = mt_attempt_exchange(a);
	cluster = ex->attempt.cluster_index;
	max = mt_pending_most(ex);
	bucket = a->bucket;
	cost = cost_of(ln, ex);
	/* Leave the queue before mt_lane_assign(), because the exchange may have ended after it. */
	mt_pending_leave(p, ex);
	leave_queue(p, ln, a);
	if (mt_mutant(MT_MUTANT_pending_not_returned))
		p->pending_size[ex->attempt.cluster_index] += ex->attempt.queued_size;
	rc = mt_lane_assign(p, ln, a);
	if (rc == -EAGAIN) {
		put_back(p, ln, q, a); /* the call kept its unit of the limit */
		return false;
	}
	mt_pending_settle(p, cluster, max);
	if (rc == -ECONNREFUSED)
		mt_pool_user.unreached(p, ex, MT_REPLY_NO_ENDPOINT);
	if (mt_slab_get(&p->lanes, ref) != ln)
		return true;
	if (q != BULK && ln->fair[q])
		ln->fair[q]->credit[bucket] -= cost;
	/* The group's last call may have left it without a connection. */
	mt_lanes_maybe_free(p, ln);
	return true;
}

void mt_lane_hungry(struct mt_proxy *p, struct mt_lanes *ln)
{
	if (mt_likely(ln->n_queued == 0))
		return;
	if (!mt_list_linked(&ln->hungry_node) && !mt_mutant(MT_MUTANT_queue_not_fed))
		mt_list_add_tail(&p->hungry, &ln->hungry_node);
}

/* True if calls wait in both queues, and at most one kind of connection takes calls. */
static bool wait_together(const struct mt_lanes *ln)
{
	return ln->fair[NARROW] && ln->fair[WIDE] &&
	       (mt_lanes_taking(ln, MT_UP_SHARED) == 0 || mt_lanes_taking(ln, MT_UP_WIDE) == 0);
}

/* Serves both queues while wait_together(), so that all their buckets send equally many bytes. */
static uint32_t feed_both(struct mt_proxy *p, struct mt_lanes *ln, uint32_t budget)
{
	struct mt_ref ref = ln->self;
	uint32_t n = 0;

	while (n < budget && mt_slab_get(&p->lanes, ref) && wait_together(ln)) {
		enum queue q = ln->narrow_ahead > 0 ? WIDE : NARROW;
		struct mt_fair *f = ln->fair[q];
		int32_t cost = cost_of(ln, mt_attempt_exchange(fair_next(f))) /
			       __builtin_popcountll(f->busy);

		if (!feed_one(p, ln, q))
			return n;
		n++;
		if (mt_slab_get(&p->lanes, ref))
			ln->narrow_ahead += q == NARROW ? cost : -cost;
	}
	return n;
}

static uint32_t feed(struct mt_proxy *p, struct mt_lanes *ln, uint32_t budget)
{
	struct mt_ref ref = ln->self;
	uint32_t n = 0;

	if (mt_unlikely(ln->fair[NARROW] && ln->fair[WIDE]))
		n = feed_both(p, ln, budget);
	else
		ln->narrow_ahead = 0;
	for (enum queue q = NARROW; q < QUEUES; q++) {
		while (mt_slab_get(&p->lanes, ref) && !is_empty(ln, q)) {
			if (n == budget) {
				mt_lane_hungry(p, ln);
				return n;
			}
			if (!feed_one(p, ln, q))
				break;
			n++;
		}
	}
	return n;
}

uint32_t mt_lanes_feed(struct mt_proxy *p, uint32_t budget)
{
	struct mt_list *node;
	uint32_t n = 0;

	while (n < budget && (node = mt_list_first(&p->hungry))) {
		mt_list_del(node);
		n += feed(p, mt_list_entry(node, struct mt_lanes, hungry_node), budget - n);
	}
	return n;
}
