/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Localities of documents become priorities and weights, as istiod sends them to a proxy at the
 * Node's place (spec.locality). A Node or endpoint without a locality is nowhere; those without one
 * are near each other. The setting is the DestinationRule's localityLbSetting, else MeshConfig's,
 * else `enabled: true`.
 * - With `distribute` localities have weights, and unnamed localities have no endpoints. It is left
 *   out if it would remove endpoints of an unknown region.
 * - Without it, but with outlierDetection, the order is: same subzone, same zone, same region, a
 *   region that `failover` names, others. `failoverPriority` sorts by labels before that.
 * - An EndpointSlice has only a zone; the Node's own zone is taken to be in the Node's region.
 */
#include "mt_conf_cluster_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Same subzone, same zone, same region, another that may take over, any other. */
#define PLACES 5u

enum part { REGION, ZONE, SUBZONE, PARTS };

/* Not closed by 0; len 0: not said. */
struct span {
	const char *s;
	size_t len;
};

static struct span span_of(const char *s)
{
	return (struct span){s, s ? strlen(s) : 0};
}

static bool same(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static bool is(struct span a, const char *s)
{
	return same(a, span_of(s));
}

struct place {
	struct span part[PARTS];
};

/* "region/zone/subzone" */
static struct place place_of(const char *text)
{
	struct place p = {0};

	for (enum part i = REGION; i < PARTS && text; i++) {
		p.part[i] = (struct span){text, strcspn(text, "/")};
		text += p.part[i].len;
		text = *text ? text + 1 : NULL;
	}
	return p;
}

static struct place place_of_node(const struct mt_build *b)
{
	const struct mt_node *n = b->model->node;

	if (!n)
		return (struct place){0};
	return (struct place){{span_of(n->locality.region.s), span_of(n->locality.zone.s),
		span_of(n->locality.subzone.s)}};
}

/* Of some only the zone is known: the node's own is in its region. */
static struct place beside(struct place p, const struct place *node)
{
	if (!p.part[REGION].len && p.part[ZONE].len && same(p.part[ZONE], node->part[ZONE]))
		p.part[REGION] = node->part[REGION];
	return p;
}

static struct place place_of_locality(const struct mt_res_locality *l, const struct place *node)
{
	const struct place p = {{span_of(l->region), span_of(l->zone), span_of(l->subzone)}};

	return beside(p, node);
}

const struct mt_locality_policy *mt_b_locality_policy(
	const struct mt_build *b, const struct mt_lb_policy *lb, bool outliers)
{
	static const struct mt_locality_policy otherwise;
	const struct mt_mesh_config *config = b->model->mesh.config;
	const struct mt_locality_policy *p = lb ? lb->locality : NULL;

	if (!p && config)
		p = config->locality;
	if (!p)
		p = &otherwise;
	if ((p->enabled.set && !p->enabled.v) || (!outliers && !p->n_distribute))
		return NULL;
	return p;
}

/* ---- ranks by labels -------------------------------------------------------------------------------- */

/* What a label says of who stands there: where it stands comes before what is written. */
static struct span label_of(const struct mt_labels *labels, const struct place *at,
	const char *network, const char *name)
{
	static const char *const topology[PARTS] = {"topology.kubernetes.io/region",
		"topology.kubernetes.io/zone", "topology.istio.io/subzone"};
	struct span said = span_of(mt_labels_get(labels, name));

	for (enum part i = REGION; i < PARTS; i++)
		if (at->part[i].len && strcmp(name, topology[i]) == 0)
			return at->part[i];
	if (!said.len && strcmp(name, "topology.istio.io/network") == 0)
		return span_of(network);
	return said;
}

/* One of failoverPriority. */
struct wanted {
	const char *name;
	struct span value;
};

/* What is wanted of instances; NULL with *n 0: nothing. */
static struct wanted *wanted_of(struct mt_build *b, const struct mt_locality_policy *p, uint32_t *n)
{
	const struct mt_node *node = b->model->node;
	const struct place at = place_of_node(b);
	struct wanted *v;

	*n = 0;
	/* Of a node of which nothing is known nothing can be alike. */
	if (p->n_distribute || !p->n_labels || !node ||
		(!node->meta.labels.n_kv && !at.part[REGION].len && !at.part[ZONE].len &&
			!at.part[SUBZONE].len))
		return NULL;
	v = mt_region_alloc(&b->tmp, sizeof(*v) * p->n_labels);
	for (uint32_t i = 0; i < p->n_labels && v; i++) {
		const char *text = p->labels[i].s, *value = strchr(text, '=');
		size_t len = value ? (size_t)(value - text) : strlen(text);

		v[i].name = mt_region_strndup(&b->tmp, text, len);
		if (!v[i].name)
			return NULL;
		v[i].value = value ? span_of(value + 1)
				   : label_of(&node->meta.labels, &at, NULL, v[i].name);
		*n = i + 1;
	}
	return v;
}

/* How many labels are left where the first one differs; of networks, if they come first, only after all others. */
static uint32_t rank_of(
	const struct mt_workload *w, const struct place *node, const struct wanted *v, uint32_t n)
{
	const struct place at = beside(place_of(w->locality.s), node);
	uint32_t away = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (same(label_of(&w->labels, &at, w->network.s, v[i].name), v[i].value))
			continue;
		if (i || strcmp(v[i].name, "topology.istio.io/network") != 0)
			return away + n - i;
		away = n;
	}
	return away;
}

static int by_place(const void *a, const void *b)
{
	const struct mt_near *x = a, *y = b;
	const char *at = x->w->locality.s, *other = y->w->locality.s;
	int order = strcmp(at ? at : "", other ? other : "");

	return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

struct mt_near *mt_b_near(
	struct mt_build *b, const struct mt_locality_policy *p, const struct mt_host *h)
{
	struct mt_near *v = mt_region_alloc(&b->tmp, sizeof(*v) * h->n_workloads);
	const struct place node = place_of_node(b);
	uint32_t n;
	struct wanted *wanted = wanted_of(b, p, &n);

	if (!v || b->tmp.failed)
		return NULL;
	for (uint32_t i = 0; i < h->n_workloads; i++)
		v[i] = (struct mt_near){
			h->workloads[i], rank_of(h->workloads[i], &node, wanted, n), i};
	qsort(v, h->n_workloads, sizeof(*v), by_place);
	return v;
}

/* ---- priorities ------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* 0, 1, 2 and so on, without gaps. */
static int close_gaps(struct mt_build *b, struct mt_res_endpoints *e)
{
	uint32_t *v = mt_region_alloc(&b->tmp, sizeof(*v) * e->n_localities), n = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->n_localities; i++)
		v[i] = e->localities[i].priority;
	qsort(v, e->n_localities, sizeof(*v), by_number);
	for (uint32_t i = 0; i < e->n_localities; i++)
		if (i == 0 || v[i] != v[n - 1])
			v[n++] = v[i];
	for (uint32_t i = 0; i < e->n_localities; i++) {
		uint32_t *l = &e->localities[i].priority,
			 *at = bsearch(l, v, n, sizeof(*v), by_number);

		*l = (uint32_t)(at - v);
	}
	return 0;
}

static uint32_t away(
	const struct mt_locality_policy *p, const struct place *node, const struct place *at)
{
	uint32_t alike = 0;

	while (alike < PARTS && same(node->part[alike], at->part[alike]))
		alike++;
	if (alike)
		return PARTS - alike;
	for (uint32_t i = 0; i < p->n_failover; i++)
		if (is(node->part[REGION], p->failover[i].from.s))
			return is(at->part[REGION], p->failover[i].to.s) ? PARTS : PARTS + 1;
	return PARTS;
}

static int order(struct mt_build *b, const struct mt_locality_policy *p, const struct place *node,
	struct mt_res_endpoints *e)
{
	if (p->n_labels && close_gaps(b, e))
		return -ENOMEM;
	if (p->n_labels && !p->n_failover)
		return 0;
	for (uint32_t i = 0; i < e->n_localities; i++) {
		struct mt_res_locality *l = &e->localities[i];
		const struct place at = place_of_locality(l, node);

		l->priority = l->priority * PLACES + away(p, node, &at);
	}
	return close_gaps(b, e);
}

/* ---- shares ----------------------------------------------------------------------------------------- */

static bool fits(struct span said, struct span rule, enum part i)
{
	return is(rule, "*") || (i != REGION && !rule.len) || same(said, rule);
}

static bool matches(const struct place *at, const char *rule)
{
	const struct place r = place_of(rule);

	/* Zones have names of their own. */
	if (!at->part[REGION].len && at->part[ZONE].len && same(at->part[ZONE], r.part[ZONE]))
		return fits(at->part[SUBZONE], r.part[SUBZONE], SUBZONE);
	for (enum part i = REGION; i < PARTS; i++)
		if (!fits(at->part[i], r.part[i], i))
			return false;
	return true;
}

/* The first entry for the Node's place; NULL: none. */
static const struct mt_locality_distribute *entry_of(
	const struct mt_locality_policy *p, const struct place *node)
{
	for (uint32_t i = 0; i < p->n_distribute; i++)
		if (matches(node, p->distribute[i].from.s))
			return &p->distribute[i];
	return NULL;
}

/* The first that is about the locality; NULL: none, it gets nothing. */
static const struct mt_locality_to *to_of(const struct mt_locality_distribute *d,
	const struct place *node, const struct mt_res_locality *l)
{
	const struct place at = place_of_locality(l, node);

	for (uint32_t i = 0; i < d->n_to; i++)
		if (matches(&at, d->to[i].where.s))
			return &d->to[i];
	return NULL;
}

/* Whether a locality would be left out only since nobody knows its region. */
static bool is_unknown(const struct mt_locality_distribute *d, const struct place *node,
	const struct mt_res_endpoints *e)
{
	for (uint32_t i = 0; i < e->n_localities; i++) {
		const struct mt_res_locality *l = &e->localities[i];

		if (!l->region && l->zone && !to_of(d, node, l))
			return true;
	}
	return false;
}

/* Removes the endpoints of a locality, which then gets no calls. */
static void leave_out(struct mt_document_cluster *out, struct mt_res_locality *l)
{
	out->left_out += l->n_eps;
	if (!l->region && !l->zone && !l->subzone)
		out->nowhere += l->n_eps;
	out->endpoints.n_eps -= l->n_eps;
	l->n_eps = 0;
}

/* Localities that one entry is about share its percents by their weights, in whole numbers upwards. */
static int share(struct mt_build *b, const struct mt_locality_distribute *d,
	const struct place *node, struct mt_document_cluster *out)
{
	struct mt_res_endpoints *e = &out->endpoints;
	uint64_t *sums = mt_region_alloc(&b->tmp, sizeof(*sums) * d->n_to);

	if (!sums)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->n_localities; i++) {
		const struct mt_locality_to *to = to_of(d, node, &e->localities[i]);

		if (to)
			sums[to - d->to] += e->localities[i].weight;
	}
	for (uint32_t i = 0; i < e->n_localities; i++) {
		struct mt_res_locality *l = &e->localities[i];
		const struct mt_locality_to *to = to_of(d, node, l);
		uint64_t sum = to ? sums[to - d->to] : 0;

		if (to)
			l->weight =
				(uint32_t)(((uint64_t)l->weight * to->percent.v + sum - 1) / sum);
		else
			leave_out(out, l);
	}
	return 0;
}

static int distribute(struct mt_build *b, const struct place *node, struct mt_document_cluster *out)
{
	const struct mt_locality_distribute *d = entry_of(out->locality, node);

	return !d || is_unknown(d, node, &out->endpoints) ? 0 : share(b, d, node, out);
}

static void weigh(struct mt_res_endpoints *e)
{
	for (uint32_t i = 0; i < e->n_localities; i++) {
		struct mt_res_locality *l = &e->localities[i];
		uint64_t sum = 0;

		for (uint32_t k = 0; k < l->n_eps; k++)
			sum += l->eps[k].weight;
		l->weight = (uint32_t)MT_MIN(sum, (uint64_t)UINT32_MAX);
	}
}

int mt_b_place_localities(struct mt_build *b, struct mt_document_cluster *out)
{
	const struct mt_locality_policy *p = out->locality;
	const struct place node = place_of_node(b);

	out->cluster.locality_weighted = p->n_distribute || p->n_failover || p->n_labels;
	weigh(&out->endpoints);
	return p->n_distribute ? distribute(b, &node, out) : order(b, p, &node, &out->endpoints);
}

/* ---- endpoints that `distribute` leaves without calls ---------------------------------------- */

/* True if the policy contains the setting, in its portLevelSettings if `port` is not empty then. */
static bool contains(const struct mt_traffic_policy *t, const struct mt_locality_policy *p,
	char port[MT_INDEX_PATH])
{
	*port = '\0';
	if (t && t->lb && t->lb->locality == p)
		return true;
	for (uint32_t i = 0; t && i < t->n_ports; i++) {
		const struct mt_lb_policy *lb = t->ports[i].policy.lb;

		if (!lb || lb->locality != p)
			continue;
		mt_index_path(port, "portLevelSettings", i, ".");
		return true;
	}
	return false;
}

/* The object of the setting, and its path there. */
static const struct mt_meta *setting_of(const struct mt_build *b, const struct mt_host *h,
	const struct mt_subset *s, const struct mt_locality_policy *p, char path[MT_CONF_PATH])
{
	const struct mt_mesh_config *config = b->model->mesh.config;
	char subset[MT_INDEX_PATH] = "", port[MT_INDEX_PATH];
	const struct mt_meta *by;

	if (config && p == config->locality) {
		snprintf(path, MT_CONF_PATH, "localityLbSetting");
		return &config->meta;
	}
	by = &h->rule->meta;
	if (s && contains(s->policy, p, port)) {
		mt_index_path(
			subset, "subsets", s->by ? s->at : (uint32_t)(s - h->rule->subsets), ".");
		by = s->by ? s->by : by;
	} else {
		(void)contains(h->rule->policy, p, port);
	}
	snprintf(path, MT_CONF_PATH, "spec.%strafficPolicy.%sloadBalancer.localityLbSetting",
		subset, port);
	return by;
}

void mt_b_tell_distribute(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *s, const struct mt_document_cluster *d)
{
	const struct place node = place_of_node(b);
	const struct mt_locality_distribute *rule = entry_of(d->locality, &node);
	char path[MT_CONF_PATH], full[MT_CONF_PATH + MT_INDEX_PATH];
	const struct mt_meta *by = setting_of(b, h, s, d->locality, path);

	snprintf(full, sizeof(full), "%s.distribute[%u]", path,
		(uint32_t)(rule - d->locality->distribute));
	if (!d->endpoints.n_eps)
		mt_b_warn(b, by, rule->origin.line, full, "write the localities of its endpoints",
			"it leaves none of the endpoints of %.128s%s%.64s: every call fails",
			u->host, s ? ", subset " : "", s ? s->name.s : "");
	else if (d->nowhere)
		mt_b_note(b, by, rule->origin.line, full, "write the localities of its endpoints",
			"%u endpoints of %.128s have no locality, and get no calls", d->nowhere,
			u->host);
}
