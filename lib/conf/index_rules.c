/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DestinationRules by host: the first namespace of client, service and root that has a visible one wins whole; in it the most
 * specific host; of one host twice the subsets are joined and the first policy counts.
 */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

struct candidate {
	const struct mt_destination_rule *dr;
	const char *host;  /* in full */
	bool used, wanted; /* by some host; wanted by some host that has a better one */
	bool told;	   /* parts without effect are reported, once for all hosts */
	const struct mt_meta *better;
	uint32_t *ports; /* of the hosts that use it, if it has settings for ports */
	uint32_t n_ports;
};

static bool names_ports(const struct mt_destination_rule *dr)
{
	bool names = dr->policy && dr->policy->n_ports;

	for (uint32_t i = 0; i < dr->n_subsets && !names; i++)
		names = dr->subsets[i].policy && dr->subsets[i].policy->n_ports;
	return names;
}

static bool has_port(const struct candidate *c, uint32_t port)
{
	for (uint32_t i = 0; i < c->n_ports; i++)
		if (c->ports[i] == port)
			return true;
	return false;
}

static void note_ports(struct mt_build *b, const struct mt_host *h, struct candidate *c)
{
	for (uint32_t i = 0; i < h->se->n_ports && names_ports(c->dr); i++) {
		uint32_t port = h->se->ports[i].number.v;
		uint32_t *slot = has_port(c, port) ? NULL
						   : mt_region_push(&b->tmp, (void **)&c->ports,
							     &c->n_ports, sizeof(*slot));

		if (slot)
			*slot = port;
	}
}

static void tell_ports(struct mt_build *b, const struct candidate *c,
	const struct mt_traffic_policy *p, const char *prefix)
{
	char path[96];

	for (uint32_t i = 0; p && i < p->n_ports; i++) {
		const struct mt_port_number *port = &p->ports[i].port;

		if (has_port(c, port->v.v))
			continue;
		snprintf(path, sizeof(path), "%s.portLevelSettings[%u].port.number", prefix, i);
		mt_b_warn(b, &c->dr->meta, port->v.line ? port->v.line : port->origin.line, path,
			"write a port of the service, not of its endpoints",
			"%.128s has no port %u: these settings apply to nothing", c->dr->host.s,
			port->v.v);
	}
}

/* Settings for ports that none of the hosts has which use the rule. */
static void tell_unknown_ports(struct mt_build *b, const struct candidate *c)
{
	const struct mt_destination_rule *dr = c->dr;
	char prefix[64];

	tell_ports(b, c, dr->policy, "spec.trafficPolicy");
	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		snprintf(prefix, sizeof(prefix), "spec.subsets[%u].trafficPolicy", i);
		tell_ports(b, c, dr->subsets[i].policy, prefix);
	}
}

static bool is_for_this_node(const struct mt_build *b, const struct mt_destination_rule *dr)
{
	return !dr->selector || mt_b_selects_node(b, &dr->selector->labels);
}

/* 0, 1, 2: the client's namespace, the service's, the root; -1: no other counts, or it is not visible. */
static int layer(struct mt_build *b, const struct candidate *c, const struct mt_host *h)
{
	const char *own = h->se->meta.ns, *client = mt_b_client_ns(b, own);
	const struct mt_meta *meta = &c->dr->meta;

	if (!mt_b_rule_visible(b, &c->dr->export_to, meta, true, own))
		return -1;
	/* A selector chooses among the clients of its own namespace. */
	if (c->dr->selector && strcmp(meta->ns, client) != 0)
		return -1;
	if (strcmp(meta->ns, client) == 0)
		return 0;
	if (strcmp(meta->ns, own) == 0)
		return 1;
	return strcmp(meta->ns, mt_model_root(b->model)) == 0 ? 2 : -1;
}

/* Whether `a` comes before `c` for the host; both are about it. One for chosen clients is nearer than one for all. */
static bool is_nearer(
	int layer_a, const struct candidate *a, int layer_c, const struct candidate *c)
{
	if (layer_a != layer_c)
		return layer_a < layer_c;
	if ((a->host[0] == '*') != (c->host[0] == '*'))
		return a->host[0] != '*';
	if (strlen(a->host) != strlen(c->host))
		return strlen(a->host) > strlen(c->host);
	return a->dr->selector && !c->dr->selector;
}

/* Reports what a rule has that an older one of the same host has as well: it has no effect. */
static void tell_unused_subset(struct mt_build *b, const struct mt_destination_rule *dr, uint32_t i)
{
	char path[64];

	snprintf(path, sizeof(path), "spec.subsets[%u]", i);
	mt_b_warn(b, &dr->meta, dr->subsets[i].origin.line, path, NULL,
		"not used: an older DestinationRule of the host has a subset \"%.64s\"",
		dr->subsets[i].name.s);
}

static void tell_unused_policy(struct mt_build *b, const struct mt_destination_rule *dr)
{
	mt_b_warn(b, &dr->meta, dr->policy->origin.line, "spec.trafficPolicy", NULL,
		"not used: an older DestinationRule of the host has one");
}

/* A rule in the making, of those of one host, and the names of its subsets. */
struct joined {
	struct mt_destination_rule *to; /* NULL: there is only one yet */
	struct mt_strmap names;
};

/* Adds a subset. False: the rule has one of this name. */
static bool add_subset(struct mt_build *b, struct joined *j, const struct mt_subset *s)
{
	struct mt_subset *slot;

	if (mt_strmap_get(&j->names, s->name.s))
		return false;
	slot = mt_region_push(&b->tmp, (void **)&j->to->subsets, &j->to->n_subsets, sizeof(*slot));
	if (slot)
		*slot = *s;
	if (!slot || mt_strmap_put(&j->names, s->name.s, j, NULL))
		b->tmp.failed = true;
	return true;
}

/* Begins with a copy of the first rule. False: no memory. */
static bool begin_joined(struct mt_build *b, struct joined *j, const struct mt_destination_rule *dr)
{
	j->to = mt_region_alloc(&b->tmp, sizeof(*j->to));
	if (!j->to)
		return false;
	*j->to = *dr;
	j->to->subsets = NULL;
	j->to->n_subsets = 0;
	for (uint32_t i = 0; i < dr->n_subsets; i++)
		(void)add_subset(b, j, &dr->subsets[i]);
	return true;
}

/* Subsets of both; a name that both have is the first's, and so is the policy. */
static void join(struct mt_build *b, struct joined *j, struct candidate *c)
{
	const struct mt_destination_rule *dr = c->dr;
	bool tell = !c->told;

	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		struct mt_subset s = dr->subsets[i];

		s.by = &dr->meta;
		s.at = i;
		if (!add_subset(b, j, &s) && tell)
			tell_unused_subset(b, dr, i);
	}
	if (!j->to->policy)
		j->to->policy = dr->policy;
	else if (dr->policy && tell)
		tell_unused_policy(b, dr);
	c->told = true;
}

/* One for chosen clients is joined by nothing. */
static bool is_joined(const struct candidate *a, const struct candidate *c)
{
	return strcmp(a->dr->meta.ns, c->dr->meta.ns) == 0 && strcmp(a->host, c->host) == 0 &&
	       !a->dr->selector && !c->dr->selector;
}

/* Of a wildcard nobody else can tell which hosts it is left with. */
static void use(struct mt_build *b, const struct mt_host *h, struct candidate *c)
{
	c->used = true;
	note_ports(b, h, c);
	if (c->dr->host.s[0] == '*')
		mt_diag_host(b->diags, &c->dr->meta, h->se->hosts[0].s);
}

/* The nearest rule of the host; NULL: none is for it. */
static struct candidate *best_of(struct mt_build *b, const struct mt_host *h)
{
	struct candidate *best = NULL;
	int of_best = -1;

	for (uint32_t i = 0; i < h->n_rules; i++) {
		int l = layer(b, h->rules[i], h);

		if (l < 0 || (best && !is_nearer(l, h->rules[i], of_best, best)))
			continue;
		best = h->rules[i];
		of_best = l;
	}
	return best;
}

static void decide(struct mt_build *b, struct mt_host *h)
{
	struct candidate *best = best_of(b, h);
	struct joined joined = {0};

	if (!best)
		return;
	h->rule = best->dr;
	for (uint32_t i = 0; i < h->n_rules; i++) {
		struct candidate *c = h->rules[i];

		if (c == best) {
			use(b, h, c);
		} else if (layer(b, c, h) < 0) {
			continue;
		} else if (!is_joined(c, best)) {
			c->wanted = true;
			c->better = c->better ? c->better : &best->dr->meta;
		} else {
			use(b, h, c);
			if (!joined.to && !begin_joined(b, &joined, best->dr))
				break;
			h->rule = joined.to;
			join(b, &joined, c);
		}
	}
	mt_strmap_fini(&joined.names);
}

static void add(struct mt_build *b, struct mt_host *h, struct candidate *c)
{
	struct candidate **slot =
		mt_region_push(&b->tmp, (void **)&h->rules, &h->n_rules, sizeof(*slot));

	if (slot)
		*slot = c;
}

/* The hosts that it is about; false: there is none. */
static bool find_hosts(struct mt_build *b, struct candidate *c)
{
	const struct mt_destination_rule *dr = c->dr;
	struct mt_host *h = mt_b_host(b, dr->host.s, dr->meta.ns);
	bool found = h != NULL;

	c->host = h ? h->se->hosts[0].s : dr->host.s;
	if (h)
		add(b, h, c);
	for (uint32_t i = 0; c->host[0] == '*' && i < b->n_hosts; i++) {
		struct mt_host *below = &b->host_list[i];

		if (below == h || !mt_host_covers(c->host, below->se->hosts[0].s))
			continue;
		add(b, below, c);
		found = true;
	}
	return found;
}

/*
 * Reports a rule of a namespace without clients here. It may be for clients of another node, unless
 * the namespace looks mistyped.
 */
static void tell_unwanted(struct mt_build *b, const struct mt_destination_rule *dr)
{
	const char *near = mt_b_near_namespace(b, dr->meta.ns);
	char remedy[96];

	if (near) {
		snprintf(remedy, sizeof(remedy), "did you mean %.64s?", near);
		mt_b_unused(b, &dr->meta, dr->meta.origin.line, "metadata.namespace", remedy,
			"nothing here is in this namespace");
		return;
	}
	mt_b_not_exported(b, &dr->meta, &dr->export_to, dr->host.line, "spec.host",
		"no client here has it: it is of none of the namespaces of the client, "
		"the service and the mesh, or not exported");
}

static void tell(struct mt_build *b, const struct candidate *c)
{
	const struct mt_destination_rule *dr = c->dr;

	if (c->used) {
		tell_unknown_ports(b, c);
		return;
	}
	if (!c->wanted) {
		tell_unwanted(b, dr);
		return;
	}
	mt_b_shadowed(b, &dr->meta, dr->host.line, "spec.host", NULL, "%s %s/%s comes before it",
		c->better->kind, c->better->ns, c->better->name);
	mt_b_warn(b, c->better, c->better->origin.line, "spec.host", NULL,
		"in place of %s %s/%s, which has the host as well", dr->meta.kind, dr->meta.ns,
		dr->meta.name);
}

void mt_b_index_rules(struct mt_build *b)
{
	uint32_t n = b->model->destination_rules.n, found = 0;
	struct candidate *all = mt_region_alloc(&b->tmp, sizeof(*all) * n);

	for (uint32_t i = 0; all && i < n; i++) {
		const struct mt_destination_rule *dr = b->model->destination_rules.v[i];
		struct candidate *c = &all[found];

		c->dr = dr;
		if (!is_for_this_node(b, dr))
			mt_b_not_node(b, &dr->meta, dr->selector->origin.line,
				"spec.workloadSelector", &dr->selector->labels,
				"its clients are others than this node");
		else if (find_hosts(b, c))
			found++;
		else
			mt_b_unused(b, &dr->meta, dr->host.line, "spec.host",
				mt_b_host_remedy(b, dr->host.s), MT_B_NO_HOST, dr->host.s);
	}
	for (uint32_t i = 0; i < b->n_hosts; i++)
		decide(b, &b->host_list[i]);
	for (uint32_t i = 0; i < found; i++)
		tell(b, &all[i]);
}
