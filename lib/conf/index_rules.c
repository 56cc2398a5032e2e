/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the DestinationRules of each host. The first namespace of client, service and root that
 * has a visible one precedes the others; in it the most specific host. Rules of one namespace and
 * host are joined: the subsets of all, and the first policy.
 *
 * Rules are grouped by host as written and namespace, and each host looks up the groups that cover
 * it, so the work grows with rules and hosts, not with their product.
 */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

/* Longest host of a service: "*." and a name. */
#define LONGEST 255
#define NO_HOST UINT32_MAX

/* A rule for this node. */
struct candidate {
	const struct mt_destination_rule *dr;
	struct word *word; /* of its host; NULL: of other nodes, or its host is not here */
	bool used;	   /* by some host */
	bool told;	   /* subsets without effect are reported, once for all hosts */
	const struct mt_meta *better; /* precedes it for host `at`; NULL: for no host */
	uint32_t at;
	struct choice **in; /* that use it, if it has settings for ports */
	uint32_t n_in;
};

/* The rules of one namespace with one host, in order. */
struct rules {
	struct candidate **v;
	uint32_t n;
	bool varies;		  /* not all apply to clients of every namespace */
	struct mt_strmap choices; /* struct choice, by namespace of clients; "": any */
};

/*
 * The rules of a struct rules that clients of one namespace see, and their effect. All hosts that
 * they cover share it, because rules times hosts would fill the memory of the build.
 */
struct choice {
	struct candidate **v;
	uint32_t n;
	struct candidate *best;
	const struct mt_destination_rule
		*joined;  /* of all that join `best`; NULL: of no host yet */
	uint32_t used_at; /* first host that uses it; or NO_HOST */
	uint32_t lost_at; /* first host that uses nearer rules; or NO_HOST */
	const struct mt_meta *lost_to;
	bool names_ports;
	struct mt_idmap ports;	   /* of hosts that use it, if some rule has settings for ports */
	struct candidate **listed; /* wildcards whose hosts are still listed */
	uint32_t n_listed;
	struct choice *next;
};

/* A host as rules have it: a full name, or a wildcard. */
struct word {
	struct mt_strmap of; /* struct rules, by namespace */
	bool here;	     /* it covers a host */
};

struct indexing {
	struct mt_build *b;
	struct mt_strmap words;	   /* struct word */
	bool lengths[LONGEST + 1]; /* of wildcards */
	struct choice *choices, **last;
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
	for (uint32_t i = 0; i < c->n_in; i++)
		if (mt_idmap_get(&c->in[i]->ports, port))
			return true;
	return false;
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
static void add_rule(struct mt_build *b, struct joined *j, struct candidate *c)
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

/* ---- choices --------------------------------------------------------------------------------- */

/* True if the rule joins others: it is for all clients. */
static bool joins(const struct candidate *c)
{
	return !c->dr->selector;
}

/* True if the choice gives hosts the rule: the best one, or one that joins it. */
static bool has_effect(const struct choice *x, const struct candidate *c)
{
	return c == x->best || (joins(x->best) && joins(c));
}

static void push(struct mt_build *b, struct candidate ***v, uint32_t *n, struct candidate *c)
{
	struct candidate **slot = mt_region_push(&b->tmp, (void **)v, n, sizeof(*slot));

	if (slot)
		*slot = c;
}

/* Adds the rules that clients of service `own` see. One for chosen clients precedes the others. */
static void fill(struct mt_build *b, struct choice *x, const struct rules *r, const char *own)
{
	const char *client = mt_b_client_ns(b, own);

	for (uint32_t i = 0; i < r->n; i++) {
		struct candidate *c = r->v[i];

		if (!mt_b_rule_visible(b, &c->dr->export_to, &c->dr->meta, true, own))
			continue;
		/* A selector chooses among the clients of its own namespace. */
		if (!joins(c) && strcmp(c->dr->meta.ns, client) != 0)
			continue;
		push(b, &x->v, &x->n, c);
		if (!x->best || (joins(x->best) && !joins(c)))
			x->best = c;
	}
}

/* Makes the rule of the hosts, and collects what is recorded for each of them. */
static void begin_use(struct mt_build *b, struct choice *x)
{
	struct joined j = {0};

	x->joined = x->best->dr;
	for (uint32_t i = 0; i < x->n; i++) {
		struct candidate *c = x->v[i];

		if (!has_effect(x, c))
			continue;
		x->names_ports |= names_ports(c->dr);
		if (c->dr->host.s[0] == '*')
			push(b, &x->listed, &x->n_listed, c);
		if (c == x->best)
			continue;
		if (!j.to && !begin_joined(b, &j, x->best->dr))
			break;
		add_rule(b, &j, c);
	}
	if (j.to)
		x->joined = j.to;
	mt_strmap_fini(&j.names);
}

/*
 * Lists the host for each wildcard that gives it a rule, because no other part of the program can
 * find it. Lists that are full are left out from then on.
 */
static void list_host(struct mt_build *b, struct choice *x, const struct mt_host *h)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n_listed; i++)
		if (mt_diag_host(b->diags, &x->listed[i]->dr->meta, h->se->hosts[0].s))
			x->listed[n++] = x->listed[i];
	x->n_listed = n;
}

static void use(struct mt_build *b, struct choice *x, uint32_t at)
{
	struct mt_host *h = &b->host_list[at];

	if (x->used_at == NO_HOST) {
		x->used_at = at;
		begin_use(b, x);
	}
	h->rule = x->joined;
	list_host(b, x, h);
	for (uint32_t i = 0; x->names_ports && i < h->se->n_ports; i++)
		if (mt_idmap_put(&x->ports, h->se->ports[i].number.v, x))
			b->tmp.failed = true;
}

/* The choice from the rules for clients of service `own`. NULL: no memory. */
static struct choice *choice_of(struct indexing *x, struct rules *r, const char *own)
{
	const char *key = r->varies ? mt_b_client_ns(x->b, own) : "";
	struct choice *c = mt_strmap_get(&r->choices, key);

	if (c)
		return c;
	c = mt_region_alloc(&x->b->tmp, sizeof(*c));
	if (!c || mt_strmap_put(&r->choices, key, c, NULL)) {
		x->b->tmp.failed = true;
		return NULL;
	}
	c->used_at = c->lost_at = NO_HOST;
	fill(x->b, c, r, own);
	*x->last = c;
	x->last = &c->next;
	return c;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

static struct word *find_word(struct indexing *x, const char *host)
{
	struct word *w = mt_strmap_get(&x->words, host);

	if (w)
		w->here = true;
	return w;
}

/* Finds the words that cover a host, from the nearest to the widest. Returns their number. */
static uint32_t words_of(struct indexing *x, const char *host, struct word *v[LONGEST + 1])
{
	char name[LONGEST + 1];
	size_t len = strlen(host);
	uint32_t n = 0;

	if (host[0] != '*') {
		v[n] = find_word(x, host);
		n += v[n] != NULL;
	}
	if (len > LONGEST)
		return n;
	memcpy(name, host, len + 1);
	/* The star is in place of the first bytes. */
	for (size_t at = 0; at < len; at++) {
		char was = name[at];

		if (!x->lengths[len - at])
			continue;
		name[at] = '*';
		v[n] = find_word(x, name + at);
		n += v[n] != NULL;
		name[at] = was;
	}
	return n;
}

/* Uses the nearest rules of one namespace, and notes for the others what precedes them. */
static const struct choice *decide_in(struct indexing *x, const char *ns, struct word *const *v,
	uint32_t n, uint32_t at, const struct choice *best)
{
	const char *own = x->b->host_list[at].se->meta.ns;

	for (uint32_t i = 0; i < n; i++) {
		struct rules *r = mt_strmap_get(&v[i]->of, ns);
		struct choice *c = r ? choice_of(x, r, own) : NULL;

		if (!c || !c->n)
			continue;
		if (!best) {
			best = c;
			use(x->b, c, at);
		} else if (c->lost_at == NO_HOST) {
			c->lost_at = at;
			c->lost_to = &best->best->dr->meta;
		}
	}
	return best;
}

/* The rules of the client's namespace precede those of the service's, and these the root's. */
static void decide(struct indexing *x, uint32_t at)
{
	const struct mt_host *h = &x->b->host_list[at];
	const char *own = h->se->meta.ns, *client = mt_b_client_ns(x->b, own),
		   *root = mt_model_root(x->b->model);
	struct word *v[LONGEST + 1];
	uint32_t n = words_of(x, h->se->hosts[0].s, v);
	const struct choice *best = n ? decide_in(x, client, v, n, at, NULL) : NULL;

	if (n && strcmp(own, client) != 0)
		best = decide_in(x, own, v, n, at, best);
	if (n && strcmp(root, client) != 0 && strcmp(root, own) != 0)
		(void)decide_in(x, root, v, n, at, best);
}

/* ---- what became of rules -------------------------------------------------------------------- */

static void lose(struct candidate *c, uint32_t at, const struct mt_meta *better)
{
	if (c->better && c->at <= at)
		return;
	c->better = better;
	c->at = at;
}

static void conclude_one(struct mt_build *b, struct choice *x, struct candidate *c)
{
	if (x->lost_at != NO_HOST)
		lose(c, x->lost_at, x->lost_to);
	if (x->used_at == NO_HOST)
		return;
	if (!has_effect(x, c)) {
		lose(c, x->used_at, &x->best->dr->meta);
		return;
	}
	c->used = true;
	if (names_ports(c->dr)) {
		struct choice **slot =
			mt_region_push(&b->tmp, (void **)&c->in, &c->n_in, sizeof(*slot));

		if (slot)
			*slot = x;
	}
}

static void conclude(struct indexing *x)
{
	for (struct choice *c = x->choices; c; c = c->next)
		for (uint32_t i = 0; i < c->n; i++)
			conclude_one(x->b, c, c->v[i]);
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
	if (!c->better) {
		tell_unwanted(b, dr);
		return;
	}
	mt_b_shadowed(b, &dr->meta, dr->host.line, "spec.host", NULL, "%s %s/%s comes before it",
		c->better->kind, c->better->ns, c->better->name);
	mt_b_warn(b, c->better, c->better->origin.line, "spec.host", NULL,
		"in place of %s %s/%s, which has the host as well", dr->meta.kind, dr->meta.ns,
		dr->meta.name);
}

/* ---- all rules ------------------------------------------------------------------------------- */

/* True if the rule applies to clients of every namespace, or of none. */
static bool is_for_all(const struct mt_build *b, const struct mt_destination_rule *dr)
{
	struct mt_exports to = mt_b_rule_exports(b, &dr->export_to, true);

	for (uint32_t i = 0; i < to.n; i++)
		if (strcmp(to.v[i].s, "*") == 0)
			return !dr->selector;
	return !to.n && !dr->selector;
}

static struct word *word_of(struct indexing *x, const char *host)
{
	struct word *w = mt_strmap_get(&x->words, host);
	size_t len = strlen(host);

	if (!w) {
		w = mt_region_alloc(&x->b->tmp, sizeof(*w));
		if (!w || mt_strmap_put(&x->words, host, w, NULL))
			x->b->tmp.failed = true;
	}
	if (host[0] == '*' && len <= LONGEST)
		x->lengths[len] = true;
	return w;
}

/* The rules of its namespace and host, to which it is added. `h`: the service of its host, or NULL. */
static struct rules *place(struct indexing *x, struct candidate *c, const struct mt_host *h)
{
	const struct mt_destination_rule *dr = c->dr;
	struct word *w = word_of(x, h ? h->se->hosts[0].s : dr->host.s);
	struct rules *r = w ? mt_strmap_get(&w->of, dr->meta.ns) : NULL;

	if (w && !r) {
		r = mt_region_alloc(&x->b->tmp, sizeof(*r));
		if (!r || mt_strmap_put(&w->of, dr->meta.ns, r, NULL))
			x->b->tmp.failed = true;
	}
	if (!r)
		return NULL;
	w->here |= h != NULL;
	r->varies |= !is_for_all(x->b, dr);
	push(x->b, &r->v, &r->n, c);
	c->word = w;
	return r;
}

static void place_all(struct indexing *x, struct candidate *all)
{
	const struct mt_objs *rules = &x->b->model->destination_rules;

	for (uint32_t i = 0; i < rules->n; i++) {
		const struct mt_destination_rule *dr = rules->v[i];
		struct mt_host *h;

		all[i].dr = dr;
		if (!is_for_this_node(x->b, dr))
			continue;
		h = mt_b_host(x->b, dr->host.s, dr->meta.ns);
		if (h || dr->host.s[0] == '*')
			place(x, &all[i], h);
	}
}

/* Reports rules of other nodes, and of hosts that are not here. */
static void tell_absent(struct mt_build *b, const struct candidate *c)
{
	const struct mt_destination_rule *dr = c->dr;

	if (!is_for_this_node(b, dr))
		mt_b_not_node(b, &dr->meta, dr->selector->origin.line, "spec.workloadSelector",
			&dr->selector->labels, "its clients are others than this node");
	else if (!c->word || !c->word->here)
		mt_b_unused(b, &dr->meta, dr->host.line, "spec.host",
			mt_b_host_remedy(b, dr->host.s), MT_B_NO_HOST, dr->host.s);
}

static void fini(struct indexing *x)
{
	struct word *w;
	struct rules *r;

	for (uint32_t i = 0; (w = mt_strmap_next(&x->words, &i, NULL)) != NULL;) {
		for (uint32_t k = 0; (r = mt_strmap_next(&w->of, &k, NULL)) != NULL;)
			mt_strmap_fini(&r->choices);
		mt_strmap_fini(&w->of);
	}
	for (struct choice *c = x->choices; c; c = c->next)
		mt_idmap_fini(&c->ports);
	mt_strmap_fini(&x->words);
}

void mt_b_index_rules(struct mt_build *b)
{
	uint32_t n = b->model->destination_rules.n;
	struct candidate *all = mt_region_alloc(&b->tmp, sizeof(*all) * n);
	struct indexing x = {.b = b};

	x.last = &x.choices;
	if (!all)
		return;
	place_all(&x, all);
	for (uint32_t i = 0; i < b->n_hosts; i++)
		decide(&x, i);
	conclude(&x);
	for (uint32_t i = 0; i < n; i++)
		tell_absent(b, &all[i]);
	for (uint32_t i = 0; i < n; i++)
		if (all[i].word && all[i].word->here)
			tell(b, &all[i]);
	fini(&x);
}
