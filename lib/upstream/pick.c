/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Picks an endpoint. The balancer draws one; if that is not in rotation or was tried, draws again,
 * then walks the list of endpoints. Clusters with levels, a panic threshold or a warm-up take a
 * slower path.
 */
#include "mt_mutant.h"
#include "mt_upstream_priv.h"

#include <string.h>

#define REDRAW_MAX  8
#define REDRAW_SEED 0x9e3779b97f4a7c15ull

static bool tried_before(uint64_t tried, uint32_t i)
{
	return i < 64 && (tried >> i & 1);
}

static bool usable(const struct mt_cluster *c, uint32_t i, uint64_t now, uint64_t tried)
{
	const struct mt_ep_state *e = c->eps[i].state;

	return !tried_before(tried, i) && !mt_ep_ejected(e, now) && !mt_ep_is_leaving(e, now) &&
	       !__atomic_load_n(&e->draining, __ATOMIC_RELAXED);
}

static uint64_t hash_keys(const struct mt_key *keys, uint32_t n, struct mt_view *v)
{
	struct mt_slice values[MT_CLUSTER_HASH_KEYS];
	uint8_t kept[MT_CLUSTER_HASH_KEYS - 1][MT_META_SCRATCH];

	n = MT_MIN(n, (uint32_t)MT_CLUSTER_HASH_KEYS);
	for (uint32_t i = 0; i < n; i++) {
		struct mt_slice *s = &values[i];

		if (!mt_view_get(v, &keys[i], s))
			*s = (struct mt_slice){NULL, 0};
		/* The next read overwrites a value in the view's scratch. */
		if (i + 1 < n && s->len && s->p >= v->scratch &&
			s->p < v->scratch + sizeof(v->scratch)) {
			memcpy(kept[i], s->p, s->len);
			s->p = kept[i];
		}
	}
	return mt_balance_hash_values(values, n);
}

/* Hashes the address as text, so that other proxies of the mesh pick the same endpoint. */
static uint64_t hash_peer(const struct mt_view *v, uint64_t seed)
{
	char text[MT_ADDR_STRLEN];

	return mt_balance_hash(text, strlen(mt_addr_str(&v->peer, text)), seed);
}

uint64_t mt_cluster_hash(const struct mt_cluster *c, struct mt_view *v)
{
	if (c->hash_by == MT_LB_HASH_SOURCE)
		return hash_peer(v, 0);
	return hash_keys(c->hash_keys, c->n_hash_keys, v);
}

static uint32_t outstanding(const struct mt_cluster *c, const struct mt_lb_worker *w, uint32_t i)
{
	uint32_t idx = c->eps[i].state->index;

	return idx < w->n_eps ? w->outstanding[idx] : 0;
}

/* Draws two endpoints and takes the usable one; if both are alike, the one with fewer requests. */
static uint32_t least_request(const struct mt_cluster *c, const struct mt_lb_worker *w,
	uint64_t rnd, uint64_t now, uint64_t tried)
{
	uint32_t places = c->wseq.n ? c->wseq.n : c->n_eps;
	uint32_t a, b;
	bool a_ok;

	mt_balance_two(rnd, places, &a, &b);
	a = mt_wseq_at(&c->wseq, a, c->n_eps);
	b = mt_wseq_at(&c->wseq, b, c->n_eps);
	a_ok = usable(c, a, now, tried);
	if (a_ok != usable(c, b, now, tried))
		return a_ok ? a : b;
	return outstanding(c, w, b) < outstanding(c, w, a) ? b : a;
}

static uint32_t round_robin(const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t rnd)
{
	uint32_t x = c->index < w->n_clusters ? w->rr[c->index]++ : (uint32_t)rnd;

	return mt_wseq_at(&c->wseq, x, c->n_eps);
}

/*
 * The first usable endpoint from `first` on. Otherwise, if `any`, the first untried one that is not
 * skipped, preferably not draining. Otherwise -1.
 */
static int walk(const struct mt_cluster *c, struct mt_lb_worker *w, uint32_t first, uint64_t now,
	uint64_t tried, bool any)
{
	int fallback = -1, last_resort = -1;

	for (uint32_t k = 0, i = first; k < c->n_eps; k++, i = i + 1 < c->n_eps ? i + 1 : 0) {
		if (tried_before(tried, i) || mt_cluster_skips(c, i))
			continue;
		if (usable(c, i, now, tried)) {
			mt_count(w->counters, MT_UPSTREAM_rerouted);
			return (int)i;
		}
		if (last_resort < 0)
			last_resort = (int)i;
		if (fallback < 0 && !__atomic_load_n(&c->eps[i].state->draining, __ATOMIC_RELAXED))
			fallback = (int)i;
	}
	if (!any)
		return -1;
	if (last_resort >= 0)
		mt_count(w->counters, MT_UPSTREAM_all_ejected);
	return fallback >= 0 ? fallback : last_resort;
}

static uint32_t at_random(const struct mt_cluster *c, uint64_t x)
{
	uint32_t places = c->wseq.n ? c->wseq.n : c->n_eps;

	return mt_wseq_at(&c->wseq, mt_balance_random(x, places), c->n_eps);
}

/* The balancer's choice. `x` is random, or the hash of the exchange. */
static uint32_t draw(const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t x, uint64_t now,
	uint64_t tried)
{
	if (c->n_eps == 1)
		return 0;
	switch (c->lb) {
	case MT_LB_ROUND_ROBIN:
		return round_robin(c, w, x);
	case MT_LB_LEAST_REQUEST:
		return least_request(c, w, x, now, tried);
	case MT_LB_MAGLEV:
		return mt_maglev_pick(&c->maglev, x);
	case MT_LB_RING_HASH:
		return mt_ring_pick(&c->ring, x);
	case MT_LB_RANDOM:
		break;
	}
	return at_random(c, x);
}

static uint32_t by_hash(const struct mt_cluster *c, uint64_t x)
{
	if (c->lb == MT_LB_MAGLEV)
		return mt_maglev_pick(&c->maglev, x);
	return c->lb == MT_LB_RING_HASH ? mt_ring_pick(&c->ring, x) : at_random(c, x);
}

/*
 * Replaces an unusable first choice. Draws by further hashes of `x`, so that the share of the
 * unusable endpoint spreads over all others. Then walks the list from the first choice on.
 */
static mt_noinline int reroute(const struct mt_cluster *c, struct mt_lb_worker *w, uint32_t first,
	uint64_t x, uint64_t now, uint64_t tried, bool any)
{
	for (uint32_t k = 0; k < REDRAW_MAX; k++) {
		uint32_t i;

		x = mt_balance_hash(&x, sizeof(x), REDRAW_SEED);
		i = by_hash(c, x);
		if (usable(c, i, now, tried)) {
			mt_count(w->counters, MT_UPSTREAM_rerouted);
			return (int)i;
		}
	}
	return walk(c, w, first, now, tried, any);
}

/* For clusters that are not careful (mt_cluster.careful). */
static inline int choose(const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t x,
	uint64_t now, uint64_t tried, bool any)
{
	uint32_t i = draw(c, w, x, now, tried);

	if (mt_likely(usable(c, i, now, tried)))
		return (int)i;
	return reroute(c, w, i, x, now, tried, any);
}

/* ---- warm-up and panic ----------------------------------------------------------------------- */

/*
 * Most draws to find an endpoint that is warm enough, and most in one pick with all its redraws.
 * Many draws are needed only if hardly any endpoint is warm.
 */
#define WARM_DRAWS     32
#define WARM_DRAWS_ALL 64

static uint64_t next_of(uint64_t *x)
{
	return *x = mt_balance_hash(x, sizeof(*x), REDRAW_SEED);
}

/*
 * Draws by weight and accepts an endpoint with a probability that grows with its warmth. Returns
 * the last one drawn if all were too cold, or if the pick used up its draws. `in_turn`: the first
 * draw takes the next round robin turn; redraws are random, so that they do not shift the turns of
 * other calls.
 */
static uint32_t draw_warm(
	const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t *x, uint64_t now, bool in_turn)
{
	uint32_t i = 0;

	for (uint32_t k = 0; k < WARM_DRAWS; k++) {
		i = in_turn && k == 0 ? round_robin(c, w, next_of(x)) : at_random(c, next_of(x));
		if (!c->warmup || w->warm_draws == 0)
			break;
		w->warm_draws--;
		if (mt_endpoint_warm(c, i, next_of(x), now))
			break;
	}
	return i;
}

/* Draws from all endpoints, including ejected ones; the caller checks the result. */
static uint32_t draw_with_care(
	const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t *x, uint64_t now)
{
	uint32_t a, b;

	if (c->n_eps == 1)
		return 0;
	if (c->lb == MT_LB_ROUND_ROBIN)
		return draw_warm(c, w, x, now, true);
	if (c->lb != MT_LB_LEAST_REQUEST)
		return draw(c, w, *x, now, 0);
	if (!c->warmup) {
		uint32_t places = c->wseq.n ? c->wseq.n : c->n_eps;

		mt_balance_two(next_of(x), places, &a, &b);
		a = mt_wseq_at(&c->wseq, a, c->n_eps);
		b = mt_wseq_at(&c->wseq, b, c->n_eps);
		return outstanding(c, w, b) < outstanding(c, w, a) ? b : a;
	}
	/*
	 * Both draws may give the same endpoint. If they had to differ, a cold one would be in more
	 * pairs, and get more calls, than its share.
	 */
	a = draw_warm(c, w, x, now, false);
	b = draw_warm(c, w, x, now, false);
	return outstanding(c, w, b) < outstanding(c, w, a) ? b : a;
}

/* True if ejection is the only reason not to use the endpoint. */
static bool is_only_aside(const struct mt_cluster *c, uint32_t i, uint64_t now, uint64_t tried)
{
	const struct mt_ep_state *e = c->eps[i].state;

	return !tried_before(tried, i) && mt_ep_ejected(e, now) && !mt_ep_is_leaving(e, now) &&
	       !__atomic_load_n(&e->draining, __ATOMIC_RELAXED);
}

/* True if the endpoint gets the call although it is ejected, because too few are in rotation. */
static bool takes_ejected(const struct mt_cluster *c, const struct mt_cluster *top,
	struct mt_lb_worker *w, uint32_t i, uint64_t now, uint64_t tried)
{
	if (!c->min_health || !is_only_aside(c, i, now, tried) ||
		!mt_cluster_panics(c, top, w, now))
		return false;
	mt_count(w->counters, MT_UPSTREAM_panic);
	return true;
}

/*
 * choose() for clusters with a warm-up or a panic threshold. `top` is the cluster itself, or the
 * one that it is a level of.
 */
static int choose_with_care(const struct mt_cluster *c, const struct mt_cluster *top,
	struct mt_lb_worker *w, uint64_t x, uint64_t now, uint64_t tried, bool any)
{
	uint32_t first = draw_with_care(c, w, &x, now), i = first;

	if (usable(c, i, now, tried) || takes_ejected(c, top, w, i, now, tried))
		return (int)i;
	for (uint32_t k = 0; k < REDRAW_MAX; k++) {
		next_of(&x);
		i = mt_lb_hashes(c->lb) ? by_hash(c, x) : draw_with_care(c, w, &x, now);
		if (usable(c, i, now, tried)) {
			mt_count(w->counters, MT_UPSTREAM_rerouted);
			return (int)i;
		}
		if (takes_ejected(c, top, w, i, now, tried))
			return (int)i;
	}
	return walk(c, w, first, now, tried, any);
}

/* ---- levels ---------------------------------------------------------------------------------- */

/*
 * Picks a level as other proxies of the mesh do, so that a key has the same level in all of them.
 * The balancers' next choice is independent of it, because they use the high bits.
 */
static uint32_t first_level(const struct mt_cluster *c, uint64_t x)
{
	uint32_t at = (uint32_t)(x % 100), i = 0;

	while (i + 1 < c->n_levels && at >= c->levels[i].load)
		at -= c->levels[i++].load;
	return i;
}

static int choose_in(const struct mt_cluster *c, uint32_t level, struct mt_lb_worker *w, uint64_t x,
	uint64_t now, uint64_t tried, bool any)
{
	const struct mt_lb_level *l = &c->levels[level];
	int i;

	tried = l->first < 64 ? tried >> l->first : 0;
	i = l->in.careful ? choose_with_care(&l->in, c, w, x, now, tried, any)
			  : choose(&l->in, w, x, now, tried, any);
	return i < 0 ? -1 : i + (int)l->first;
}

/*
 * Picks a level by its share of the load; if it has no usable endpoint, the other levels in order
 * of preference. Only if no level has one, picks an endpoint that is not in rotation.
 */
static int choose_level(const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t x,
	uint64_t now, uint64_t tried)
{
	uint32_t first = first_level(c, x);
	int i = choose_in(c, first, w, x, now, tried, false);

	for (uint32_t k = 0; i < 0 && k < c->n_levels; k++)
		if (k != first)
			i = choose_in(c, k, w, x, now, tried, false);
	if (i < 0)
		i = choose_in(c, first, w, x, now, tried, true);
	for (uint32_t k = 0; i < 0 && k < c->n_levels; k++)
		i = choose_in(c, k, w, x, now, tried, true);
	return i;
}

static mt_noinline int choose_among(const struct mt_cluster *c, struct mt_lb_worker *w, uint64_t x,
	uint64_t now, uint64_t tried)
{
	w->warm_draws = WARM_DRAWS_ALL;
	return c->n_levels ? choose_level(c, w, x, now, tried)
			   : choose_with_care(c, c, w, x, now, tried, true);
}

static bool route_hashes(const struct mt_hash_by *by)
{
	return by && (by->n_keys || by->source);
}

static bool cluster_hashes(const struct mt_cluster *c)
{
	return c->n_hash_keys || c->hash_by == MT_LB_HASH_SOURCE;
}

/* Hash by the policy of the route, otherwise of the cluster; `rnd` if neither has one. */
static uint64_t hash_of(
	const struct mt_cluster *c, struct mt_view *v, const struct mt_hash_by *by, uint64_t rnd)
{
	uint64_t h;

	if (route_hashes(by)) {
		h = by->n_keys ? hash_keys(by->keys, by->n_keys, v) : 0;
		return by->source ? hash_peer(v, h) : h;
	}
	if (cluster_hashes(c))
		return mt_cluster_hash(c, v);
	return rnd;
}

bool mt_cluster_hashes(const struct mt_cluster *c, const struct mt_hash_by *by)
{
	return mt_lb_hashes(c->lb) && (route_hashes(by) || cluster_hashes(c));
}

bool mt_cluster_usable(const struct mt_cluster *c, uint32_t i, uint64_t now)
{
	return usable(c, i, now, 0);
}

int mt_cluster_pick_by(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	const struct mt_hash_by *by, uint64_t rnd, uint64_t now, uint64_t tried)
{
	bool hashes = v && mt_lb_hashes(c->lb) && !mt_mutant(MT_MUTANT_hash_ignored);
	uint64_t x = mt_unlikely(hashes) ? hash_of(c, v, by, rnd) : rnd;
	int i = -1;

	if (mt_likely(c->n_eps > 0))
		i = mt_likely(!c->careful) ? choose(c, w, x, now, tried, true)
					   : choose_among(c, w, x, now, tried);
	mt_count(w->counters, i >= 0 ? MT_UPSTREAM_picked : MT_UPSTREAM_no_endpoint);
	return i;
}

int mt_cluster_pick(const struct mt_cluster *c, struct mt_lb_worker *w, struct mt_view *v,
	uint64_t rnd, uint64_t now, uint64_t tried)
{
	return mt_cluster_pick_by(c, w, v, NULL, rnd, now, tried);
}
