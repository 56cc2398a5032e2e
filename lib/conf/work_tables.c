/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the tables of clusters' balancers before these are made (work_counts.c). Each cluster with
 * endpoints has one for each of its levels: a hash ring has the points that its policy names, and
 * more if weights differ; Maglev's table has one size for most clusters; an order of different
 * weights has as many turns as their reduced sum. The numbers are upper bounds, because a rule is
 * read once for all services and ports.
 */
#include "mt_conf_priv.h"

#include "mt_balance.h"

#include <string.h>

/* A point takes 16 bytes and up to 200 ns, a turn 20 bytes. */
#define POINTS_OF_STEP 2
#define TURNS_OF_STEP  3
/* A table takes 128 KiB and about 500 us; larger ones have up to 80 slots for each endpoint. */
#define STEPS_OF_MAGLEV 5000
#define STEPS_OF_SLOTS	20
/* Most levels of localities without failoverPriority. */
#define PLACES 6
/* Localities with parts of calls may have a hundredth of the weight that is written. */
#define PARTS 100

/* The policies of one rule. */
struct of_rule {
	uint64_t top;	      /* steps of a table of the host */
	uint64_t steps, most; /* of tables of all subsets; of the largest one */
	uint32_t n;	      /* subsets that hash */
	uint32_t n_labels;    /* of failoverPriority */
	bool outliers, distributes;
};

/* ---- rules ----------------------------------------------------------------------------------- */

static uint64_t steps_of_hash(const struct mt_lb_policy *lb)
{
	const struct mt_hash_policy *p = lb ? lb->hash : NULL;
	uint32_t points;

	if (!p || (!p->use_source_ip.v && !p->header.s))
		return 0;
	if (!p->ring && !p->ring_min.v)
		return STEPS_OF_MAGLEV;
	points = p->ring && p->ring->min.v ? p->ring->min.v : p->ring_min.v;
	points = points ? points : MT_RING_DEFAULT_MIN;
	return MT_MIN(points, MT_RING_MAX) / POINTS_OF_STEP;
}

static void note(struct of_rule *r, const struct mt_traffic_policy *p)
{
	const struct mt_locality_policy *l = p->lb ? p->lb->locality : NULL;

	r->outliers |= p->outlier != NULL;
	if (!l)
		return;
	r->distributes |= l->n_distribute > 0;
	r->n_labels = MT_MAX(r->n_labels, l->n_labels);
}

/* Steps of the largest table by a policy and those of its ports. */
static uint64_t look_at(struct of_rule *r, const struct mt_traffic_policy *p)
{
	uint64_t most = p ? steps_of_hash(p->lb) : 0;

	if (p)
		note(r, p);
	for (uint32_t i = 0; p && i < p->n_ports; i++) {
		const struct mt_traffic_policy *port = &p->ports[i].policy;
		uint64_t steps = steps_of_hash(port->lb);

		note(r, port);
		most = MT_MAX(most, steps);
	}
	return most;
}

/* A subset without a balancer of its own takes over the host's. */
static void look_at_subset(struct of_rule *r, const struct mt_traffic_policy *own)
{
	uint64_t steps = look_at(r, own);

	if (!own || !own->lb)
		steps = MT_MAX(steps, r->top);
	r->steps += steps;
	r->most = MT_MAX(r->most, steps);
	r->n += steps > 0;
}

/* Many services may share a rule. NULL: no memory. */
static const struct of_rule *find_rule(struct mt_build *b, const struct mt_destination_rule *dr)
{
	static const struct of_rule none;
	struct of_rule *r;

	if (!dr)
		return &none;
	r = mt_idmap_get(&b->work.tables, (uintptr_t)dr);
	if (r)
		return r;
	r = mt_region_alloc(&b->tmp, sizeof(*r));
	if (!r || mt_idmap_put(&b->work.tables, (uintptr_t)dr, r)) {
		b->tmp.failed = true;
		return NULL;
	}
	r->top = look_at(r, dr->policy);
	for (uint32_t i = 0; i < dr->n_subsets; i++)
		look_at_subset(r, dr->subsets[i].policy);
	return r;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

struct members {
	uint64_t n, sum;
	uint32_t divisor, least, most; /* of weights */
	const char *places[PLACES];
	uint32_t n_places;
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static void add_place(struct members *m, const char *place)
{
	uint32_t i = 0;

	place = place ? place : "";
	while (i < m->n_places && m->places[i] != place && strcmp(m->places[i], place) != 0)
		i++;
	if (i == m->n_places && i < PLACES)
		m->places[m->n_places++] = place;
}

static void add_member(struct members *m, const struct mt_workload *w)
{
	uint32_t weight = w->weight.v;

	if (!weight)
		return;
	m->least = m->n ? MT_MIN(m->least, weight) : weight;
	m->most = MT_MAX(m->most, weight);
	m->divisor = common_divisor(weight, m->divisor);
	m->sum += weight;
	m->n++;
	add_place(m, w->locality.s);
}

static struct members members_of(const struct mt_host *h)
{
	struct members m = {0};

	for (uint32_t i = 0; i < h->n_workloads; i++)
		add_member(&m, h->workloads[i]);
	for (uint32_t i = 0; h->se->resolution.v >= MT_RESOLUTION_DNS && i < h->se->n_endpoints;
		i++)
		add_member(&m, &h->se->endpoints[i]);
	return m;
}

/* Each level has a table of its own. */
static uint64_t levels_of(const struct of_rule *r, const struct members *m)
{
	return r->outliers ? MT_MIN(m->n, m->n_places * (1ull + r->n_labels)) : 1;
}

/* Steps of the order of one level. */
static uint64_t steps_of_order(const struct of_rule *r, const struct members *m)
{
	uint64_t most = MT_WSEQ_MAX + m->n;

	if (!r->distributes && m->least == m->most)
		return 0;
	return (r->distributes ? most : MT_MIN(m->sum / m->divisor, most)) / TURNS_OF_STEP;
}

/* Steps of what a ring has besides, because its lightest endpoint has a point. */
static uint64_t steps_of_weights(const struct of_rule *r, const struct members *m)
{
	uint64_t points = m->sum / m->least * (r->distributes ? PARTS : 1);

	return MT_MIN(points, MT_RING_MAX) / POINTS_OF_STEP;
}

struct mt_table_steps mt_b_steps_of_tables(
	struct mt_build *b, const struct mt_host *h, uint64_t n_chosen)
{
	const struct of_rule *r = find_rule(b, h->rule);
	const struct members m = members_of(h);
	struct mt_table_steps s = {0};
	uint64_t levels, order, weights, n;

	if (!r || !m.n)
		return s;
	levels = levels_of(r, &m);
	order = steps_of_order(r, &m);
	weights = steps_of_weights(r, &m);
	/* A Maglev table of one endpoint has one slot. */
	if (r->top && (m.n > 1 || r->top != STEPS_OF_MAGLEV))
		s.all = levels * (r->top + weights);
	else
		s.all = levels * order;
	/* Subsets without endpoints have no tables. */
	n = h->rule ? MT_MIN(h->rule->n_subsets, n_chosen) : 0;
	s.subsets = levels * (MT_MIN(r->steps, r->most * n) + MT_MIN(r->n, n) * weights +
				     (n ? MT_MIN(h->rule->n_subsets - r->n, n) * order : 0));
	if (m.n > MT_MAGLEV_USUAL) {
		s.all += r->top ? m.n * STEPS_OF_SLOTS : 0;
		s.subsets += r->n ? n_chosen * STEPS_OF_SLOTS : 0;
	}
	return s;
}
