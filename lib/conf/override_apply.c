/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator has overridden at run time, in what is compiled and published. */
#include "mt_conf_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* ---- filters ------------------------------------------------------------------------------------ */

#define FILTERS_MAX 5 /* gate, fault, limits: by key, local, global */

struct mt_filter_inst *mt_b_filter(struct mt_build *b, struct mt_service *s)
{
	if (!s->filter_insts)
		s->filter_insts = mt_region_alloc(b->keep, FILTERS_MAX * sizeof(*s->filter_insts));
	MT_ASSERT(s->n_filter_insts < FILTERS_MAX);
	return s->filter_insts ? &s->filter_insts[s->n_filter_insts] : NULL;
}

int mt_b_fault(struct mt_build *b, struct mt_service *s, uint64_t *hash)
{
	const struct mt_override *o = mt_overrides_fault(&b->conf->overrides, s->name);
	struct mt_filter_inst *f;

	if (!o)
		return 0;
	f = mt_b_filter(b, s);
	if (!f)
		return -ENOMEM;
	f->type = mt_filter_find("fault");
	f->file = "run-time override";
	f->conf = mt_fault_compile(&o->fault);
	if (!f->conf)
		return -ENOMEM;
	s->n_filter_insts++;
	*hash = mt_hash_bytes(&o->fault, sizeof(o->fault), *hash);
	return 0;
}

int mt_b_chain(struct mt_build *b, const struct mt_meta *meta, struct mt_service *s)
{
	char err[256] = "";
	void *mem;

	if (s->n_filter_insts == 0)
		return 0;
	mem = mt_region_alloc(b->keep, mt_filters_size(s->n_filter_insts));
	if (!mem)
		return -ENOMEM;
	s->filters = mt_filters_compile(mem, s->filter_insts, s->n_filter_insts, err, sizeof(err));
	if (!s->filters) {
		mt_b_error(b, meta, s->line, "spec", NULL, "%s", err);
		return -EINVAL;
	}
	return 0;
}

/* ---- shares of a route --------------------------------------------------------------------------- */

/* "outbound|PORT|SUBSET|HOST" */
static bool is_subset(const char *cluster, const char *subset)
{
	const char *port = strchr(cluster, '|'), *from = port ? strchr(port + 1, '|') : NULL;
	size_t len = strlen(subset);

	return from && strncmp(from + 1, subset, len) == 0 && from[1 + len] == '|';
}

bool mt_conf_share_names(const char *share, const char *cluster)
{
	return mt_override_names(share, cluster) || is_subset(cluster, share);
}

/* One that is not named gets nothing, because the shares are the whole split. */
uint32_t mt_conf_share_of(const struct mt_override *o, const char *cluster)
{
	for (uint32_t i = 0; i < o->n_shares; i++)
		if (mt_conf_share_names(o->shares[i].cluster, cluster))
			return o->shares[i].weight;
	return 0;
}

uint32_t mt_b_overridden_share(
	const struct mt_build *b, const struct mt_override *o, uint32_t cluster, uint32_t weight)
{
	return cluster == MT_NO_CLUSTER ? weight : mt_conf_share_of(o, b->clusters_v[cluster].name);
}

/* ---- the set ------------------------------------------------------------------------------------- */

static struct mt_limit_rule *limit_rules(const struct mt_overrides *s, uint32_t *n)
{
	struct mt_limit_rule *r = calloc(s->n + 1, sizeof(*r));

	*n = 0;
	for (uint32_t i = 0; r && i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_LIMIT)
			r[(*n)++] =
				(struct mt_limit_rule){s->v[i].target, s->v[i].part, s->v[i].limit};
	return r;
}

int mt_conf_set_overrides(struct mt_conf *c, const struct mt_overrides *s)
{
	struct mt_overrides copy;
	struct mt_limit_rule *rules;
	uint32_t n;

	if (mt_overrides_copy(&copy, s))
		return -ENOMEM;
	rules = limit_rules(&copy, &n);
	if (!rules) {
		mt_overrides_fini(&copy);
		return -ENOMEM;
	}
	mt_limit_set_rules(c->limits, rules, n);
	free(c->limit_rules);
	mt_overrides_fini(&c->overrides);
	c->limit_rules = rules;
	c->overrides = copy;
	return 0;
}

const struct mt_overrides *mt_conf_overrides(const struct mt_conf *c)
{
	return &c->overrides;
}

/* ---- draining ------------------------------------------------------------------------------------ */

static bool has_drains(const struct mt_overrides *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].kind == MT_OVERRIDE_DRAIN)
			return true;
	return false;
}

bool mt_conf_listener_has_only(
	const struct mt_overrides *s, const struct mt_listener *l, const char *service)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++, n++)
			if (strcasecmp(l->protos[i].services[k]->name, service) != 0 &&
				!mt_overrides_drains_service(s, l->protos[i].services[k]->name))
				return false;
	return n > 0;
}

/* The least of the drains of its services. */
static enum mt_listener_drain drain_of_services(
	const struct mt_overrides *s, const struct mt_listener *l)
{
	enum mt_listener_drain least = MT_LISTENER_REFUSES;
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++, n++)
			least = MT_MIN(least,
				mt_overrides_drains_service(s, l->protos[i].services[k]->name));
	return n ? least : MT_LISTENER_SERVES;
}

void mt_b_drained_listeners(struct mt_build *b)
{
	const struct mt_overrides *s = &b->conf->overrides;
	const struct mt_node *node = b->model->node;
	uint32_t ms = node && node->drain.time.v ? (uint32_t)node->drain.time.v : MT_NODE_DRAIN_MS;

	for (uint32_t i = 0; s->n && i < b->snap->pub.n_listeners; i++) {
		struct mt_listener *l = &b->snap->pub.listeners[i];

		l->drain = MT_MAX(mt_overrides_drains_listener(s, &l->addr, l->port),
			drain_of_services(s, l));
		l->drain_ms = ms;
	}
}

/* An operator's drain counts first, so that `return endpoint` ends what `drain endpoint` began. */
static enum mt_ep_drain drain_of(
	const struct mt_conf *c, const struct mt_cluster *cl, const struct mt_endpoint *ep)
{
	return mt_overrides_drains(&c->overrides, cl->name, &ep->addr, ep->port)
		       ? MT_EP_DRAIN_OPERATOR
		       : ep->drain;
}

/* All endpoints of a cluster are visited only while one is drained, and once more afterwards. */
void mt_conf_apply_drains(struct mt_conf *c, struct mt_snapshot *s)
{
	bool by_operator = has_drains(&c->overrides), drains = by_operator;

	for (uint32_t i = 0; i < s->n_clusters; i++) {
		const struct mt_cluster *cl = &s->clusters[i];

		drains |= cl->drains;
		for (uint32_t k = 0; (by_operator || c->drains || cl->drains) && k < cl->n_eps; k++)
			mt_ep_drain(cl->eps[k].state, drain_of(c, cl, &cl->eps[k]));
	}
	c->drains = drains;
}
