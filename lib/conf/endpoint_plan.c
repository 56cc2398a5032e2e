/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a cluster's endpoints are used, and how much each: health, priorities and locality
 * weights, as Envoy computes them (tests/interop/xds/test_oracle_weights.py compares). Everything
 * is known when the cluster is described, so it is computed here once and workers see only weights.
 * Ejections, which workers decide, come on top: if no endpoint of a priority is in rotation, the
 * next priorities are tried in order.
 * - Unhealthy endpoints are not used. Draining ones count as absent.
 * - Priorities: the healthy share of a priority times the overprovisioning factor (140 %), at most
 *   100, is the percentage of calls that it can take. The first priority takes its share, the next
 *   one its share of the rest. Degraded endpoints, counted likewise, take what the healthy ones of
 *   all priorities leave. If all together reach less than 100, the shares are scaled up.
 * - Panic: a priority below the panic threshold (50 %) uses all of its endpoints, including
 *   draining and unhealthy ones. If all priorities are below it, they share by number of endpoints.
 * - Localities: each takes its weight, less what its endpoints cannot take (by the same factor),
 *   divided by the weights inside. Panic ignores localities. For hash balancers (ring, Maglev)
 *   localities keep their full weight, also in panic.
 */
#include "mt_conf_cluster_priv.h"

#include <errno.h>
#include <string.h>

#define PRIORITIES_MAX 128u /* Envoy's bound */
#define OVERPROVISION  140u
#define PANIC_PERCENT  50u
/* When exact shares do not fit: turns of a level, about 0.02 % each. */
#define SHARES 4096u

/* Those of a priority that share its load: healthy ones, and degraded ones when these are too few. */
enum group { GROUP_HEALTHY, GROUP_DEGRADED, GROUPS };

struct level {
	uint32_t priority;
	uint32_t all, total; /* total: without draining ones, which count only where all are used */
	uint32_t n[GROUPS];
	uint32_t available[GROUPS], load[GROUPS]; /* percent */
	bool panic;				  /* health is not looked at */
};

struct plan {
	const struct mt_overrides *overrides; /* by an operator, at run time */
	const struct mt_res_cluster *mc;
	const struct mt_res_endpoints *e;
	uint32_t overprovision;
	struct level levels[PRIORITIES_MAX];
	uint32_t n;
};

static bool is_in(const struct mt_res_endpoint *ep, enum group g)
{
	return ep->health == (g == GROUP_HEALTHY ? MT_RES_HEALTHY : MT_RES_DEGRADED);
}

/* What is said, unless an operator says otherwise. */
static uint32_t weight_of(const struct plan *p, const struct mt_res_endpoint *ep)
{
	return mt_overrides_weight(p->overrides, p->mc->meta.name, &ep->addr, ep->port, ep->weight);
}

static bool is_used(
	const struct plan *p, const struct level *l, enum group g, const struct mt_res_endpoint *ep)
{
	return (l->panic || is_in(ep, g)) && weight_of(p, ep);
}

/* Priorities in ascending order; localities are few. */
static struct level *level_of(struct plan *p, uint32_t priority)
{
	uint32_t i = p->n;

	for (uint32_t k = 0; k < p->n; k++)
		if (p->levels[k].priority == priority)
			return &p->levels[k];
	if (p->n == PRIORITIES_MAX)
		return NULL;
	for (; i > 0 && p->levels[i - 1].priority > priority; i--)
		p->levels[i] = p->levels[i - 1];
	p->levels[i] = (struct level){.priority = priority};
	p->n++;
	return &p->levels[i];
}

static void count(struct plan *p)
{
	for (uint32_t i = 0; i < p->e->n_localities; i++) {
		const struct mt_res_locality *lo = &p->e->localities[i];
		struct level *l = lo->n_eps ? level_of(p, lo->priority) : NULL;

		for (uint32_t k = 0; l && k < lo->n_eps; k++) {
			l->all++;
			l->total += lo->eps[k].health != MT_RES_DRAINING;
			for (enum group g = GROUP_HEALTHY; g < GROUPS; g++)
				l->n[g] += is_in(&lo->eps[k], g);
		}
	}
}

/* The part of `n` in all, times the overprovisioning factor. */
static uint32_t percent(const struct plan *p, uint32_t n, uint32_t all)
{
	return all ? (uint32_t)MT_MIN((uint64_t)n * p->overprovision / all, 100u) : 0;
}

/* Priorities take in their order what is available of them, of `sum`, as long as something is left; what then is. */
static uint32_t share_out(struct plan *p, enum group g, uint32_t sum, uint32_t left)
{
	for (uint32_t i = 0; i < p->n; i++) {
		struct level *l = &p->levels[i];

		l->load[g] = MT_MIN(left, l->available[g] * 100 / sum);
		left -= l->load[g];
	}
	return left;
}

/* What rounding leaves is for the first that has anybody. */
static void share_rest(struct plan *p, uint32_t left)
{
	for (enum group g = GROUP_HEALTHY; g < GROUPS; g++)
		for (uint32_t i = 0; i < p->n; i++)
			if (p->levels[i].available[g]) {
				p->levels[i].load[g] += left;
				return;
			}
}

/* Whether a priority has so few that all of it are used; never when all of them together can take the load. */
static bool in_panic(const struct plan *p, const struct level *l, uint32_t sum)
{
	uint32_t panic = p->mc->panic_percent.set ? p->mc->panic_percent.v : PANIC_PERCENT;
	uint32_t n = l->n[GROUP_HEALTHY] + l->n[GROUP_DEGRADED];

	return panic && sum < 100 && (!l->total || n * 100ull < (uint64_t)panic * l->total);
}

/* Nobody knows better than to use everybody: by numbers. */
static void share_in_panic(struct plan *p)
{
	uint64_t all = 0;
	uint32_t left = 100;

	for (uint32_t i = 0; i < p->n; i++)
		all += p->levels[i].all;
	for (uint32_t i = 0; i < p->n; i++) {
		struct level *l = &p->levels[i];

		l->load[GROUP_HEALTHY] = (uint32_t)(100ull * l->all / all);
		l->load[GROUP_DEGRADED] = 0;
		left -= l->load[GROUP_HEALTHY];
	}
	p->levels[0].load[GROUP_HEALTHY] += left;
}

/*
 * Of a priority's endpoints the healthy part, times the overprovisioning factor, is what it can take in percent of the
 * calls; the first takes its own, the next its own of what is left, and degraded ones what the healthy ones of
 * all leave. When all of them together do not reach 100, each takes its part of the sum; then one below the panic
 * threshold uses all it has, and when all are, they share by numbers.
 */
static void share_load(struct plan *p)
{
	uint32_t sum = 0, left = 100, panics = 0;

	for (uint32_t i = 0; i < p->n; i++)
		for (enum group g = GROUP_HEALTHY; g < GROUPS; g++) {
			struct level *l = &p->levels[i];

			l->available[g] = percent(p, l->n[g], l->total);
			sum = MT_MIN(sum + l->available[g], 100u);
		}
	for (uint32_t i = 0; i < p->n; i++)
		panics += p->levels[i].panic = in_panic(p, &p->levels[i], sum);
	if (panics && panics == p->n) {
		share_in_panic(p);
	} else if (sum) {
		for (enum group g = GROUP_HEALTHY; g < GROUPS; g++)
			left = share_out(p, g, sum, left);
		share_rest(p, left);
	}
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
	while (b) {
		uint64_t t = a % b;

		a = b;
		b = t;
	}
	return a;
}

struct sums {
	uint64_t weight;    /* of the locality's endpoints that are used */
	uint32_t effective; /* of the locality */
};

static bool is_hashing(const struct plan *p)
{
	return p->mc->lb == MT_RES_RING_HASH || p->mc->lb == MT_RES_MAGLEV;
}

/* A locality's weight, less what its endpoints cannot take unless a key says where to go; 0: it gets nothing. */
static struct sums sums_of(
	const struct plan *p, const struct level *l, enum group g, const struct mt_res_locality *lo)
{
	struct sums s = {0};
	uint32_t n = 0, total = 0;

	for (uint32_t k = 0; k < lo->n_eps; k++) {
		s.weight += is_used(p, l, g, &lo->eps[k]) ? weight_of(p, &lo->eps[k]) : 0;
		n += is_in(&lo->eps[k], g);
		total += lo->eps[k].health != MT_RES_DRAINING;
	}
	if (s.weight)
		s.effective = l->panic || is_hashing(p) ? 100 : percent(p, n, total);
	return s;
}

/* The least number that makes all shares of the level whole; 0: there is none that fits. */
static uint64_t common(const struct plan *p, const struct level *l, enum group g)
{
	uint64_t m = 1, most = 1;

	for (uint32_t i = 0; i < p->e->n_localities; i++) {
		const struct mt_res_locality *lo = &p->e->localities[i];
		struct sums s;

		if (lo->priority != l->priority || !lo->weight)
			continue;
		s = sums_of(p, l, g, lo);
		if (!s.effective)
			continue;
		m = m / gcd(m, s.weight) * s.weight;
		most = MT_MAX(most, (uint64_t)lo->weight * s.effective);
		if (m > UINT32_MAX || m > UINT32_MAX / most)
			return 0;
	}
	return m;
}

/*
 * Whether localities share by weights of their own; where none has any, endpoints share alone, and in panic unless a key
 * says where to go.
 */
static bool by_locality(const struct plan *p, const struct level *l)
{
	if (!p->mc->locality_weighted || (l->panic && !is_hashing(p)))
		return false;
	for (uint32_t i = 0; i < p->e->n_localities; i++)
		if (p->e->localities[i].priority == l->priority && p->e->localities[i].weight)
			return true;
	return false;
}

static uint64_t total_weight(const struct plan *p, const struct level *l, enum group g)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->e->n_localities; i++)
		if (p->e->localities[i].priority == l->priority)
			sum += (uint64_t)p->e->localities[i].weight *
			       sums_of(p, l, g, &p->e->localities[i]).effective;
	return MT_MAX(sum, 1u);
}

static void add_locality(const struct plan *p, const struct level *l, enum group g,
	const struct mt_res_locality *lo, uint64_t unit, uint64_t total,
	struct mt_endpoint_plan *out)
{
	struct sums s = sums_of(p, l, g, lo);
	uint64_t own = (uint64_t)lo->weight * s.effective;
	bool weighted = by_locality(p, l);

	for (uint32_t k = 0; k < lo->n_eps; k++) {
		const struct mt_res_endpoint *ep = &lo->eps[k];
		uint32_t said = weight_of(p, ep);
		uint64_t w = said;

		if (!is_used(p, l, g, ep) || (weighted && !own))
			continue;
		if (weighted && unit)
			w = own * (unit / s.weight) * said;
		else if (weighted)
			w = (uint64_t)((double)own / (double)total * said / (double)s.weight *
				       SHARES);
		w = MT_MAX(MT_MIN(w, (uint64_t)UINT32_MAX), 1u);
		out->use[out->n++] = (struct mt_endpoint_use){ep, lo, (uint32_t)w};
	}
}

/* Equal weights are easier to read, and to share by, when they are small. */
static void reduce(struct mt_endpoint_use *use, uint32_t n)
{
	uint64_t g = 0;

	for (uint32_t i = 0; i < n && g != 1; i++)
		g = gcd(use[i].weight, g);
	for (uint32_t i = 0; i < n && g > 1; i++)
		use[i].weight = (uint32_t)(use[i].weight / g);
}

static int by_place(const void *a, const void *b)
{
	const struct mt_endpoint_use *x = a, *y = b;
	int cmp = memcmp(&x->ep->addr, &y->ep->addr, sizeof(x->ep->addr));

	if (cmp == 0)
		cmp = (x->ep->port > y->ep->port) - (x->ep->port < y->ep->port);
	return cmp ? cmp : (x->weight > y->weight) - (x->weight < y->weight);
}

static void add_group(
	const struct plan *p, const struct level *l, enum group g, struct mt_endpoint_plan *out)
{
	uint32_t first = out->n;
	uint64_t unit = 0, total = 1;

	if (by_locality(p, l)) {
		unit = common(p, l, g);
		total = total_weight(p, l, g);
	}
	for (uint32_t i = 0; i < p->e->n_localities; i++)
		if (p->e->localities[i].priority == l->priority)
			add_locality(p, l, g, &p->e->localities[i], unit, total, out);
	if (out->n == first)
		return;
	/* As they are written, unless they had to be worked out. */
	if (by_locality(p, l))
		reduce(out->use + first, out->n - first);
	/* So that clusters with the same endpoints share a table, whatever the order of documents. */
	if (p->mc->lb == MT_RES_MAGLEV)
		qsort(out->use + first, out->n - first, sizeof(*out->use), by_place);
	out->levels[out->n_levels].first = first;
	out->levels[out->n_levels++].load = l->load[g] + (l->panic ? l->load[GROUP_DEGRADED] : 0);
}

int mt_b_endpoint_plan(struct mt_build *b, const struct mt_res_cluster *mc,
	const struct mt_res_endpoints *e, struct mt_endpoint_plan *out)
{
	struct plan p = {.overrides = &b->conf->overrides, .mc = mc, .e = e};
	uint32_t all = 0;

	*out = (struct mt_endpoint_plan){0};
	p.overprovision = e->overprovisioning ? e->overprovisioning : OVERPROVISION;
	for (uint32_t i = 0; i < e->n_localities; i++)
		all += e->localities[i].n_eps;
	count(&p);
	share_load(&p);
	out->use = mt_region_alloc(&b->tmp, sizeof(*out->use) * all);
	out->levels = mt_region_alloc(&b->tmp, sizeof(*out->levels) * p.n * GROUPS);
	if (!out->use || !out->levels)
		return -ENOMEM;
	/* In panic the healthy group is everybody. */
	for (enum group g = GROUP_HEALTHY; g < GROUPS; g++)
		for (uint32_t i = 0; i < p.n; i++)
			if (g == GROUP_HEALTHY || !p.levels[i].panic)
				add_group(&p, &p.levels[i], g, out);
	out->n_out = all - out->n;
	return 0;
}
