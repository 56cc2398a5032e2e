/* SPDX-License-Identifier: Apache-2.0 */
/* Policies that select an instance, as one object that its calls are judged by. Instances with the same ones share it. */
#include "mt_conf_policy_priv.h"

#include "mt_extauthz.h"

#include <stdio.h>
#include <string.h>

/* For one port of one instance. */
struct gathered {
	struct mt_build *b;
	const struct mt_policed *to;
	enum mt_instance_class class;
	struct mt_authz_policy **v;
	struct mt_policy **whose, **tokens; /* of v; that tokens are verified by */
	uint32_t n, n_tokens;
	bool failed;
};

static void gather(struct gathered *g, struct mt_policy *whose, struct mt_authz_policy *p)
{
	struct mt_authz_policy **slot;
	struct mt_policy **by;
	uint32_t n = g->n;

	if (!p)
		return;
	by = mt_region_push(&g->b->tmp, (void **)&g->whose, &n, sizeof(*by));
	slot = mt_region_push(&g->b->tmp, (void **)&g->v, &g->n, sizeof(*slot));
	if (!slot || !by) {
		g->failed = true;
		return;
	}
	*slot = p;
	*by = whose;
}

/* From somewhere that calls have. */
static bool takes_tokens(const struct mt_request_authentication *t)
{
	for (uint32_t i = 0; i < t->n_rules; i++)
		if (t->rules[i].n_headers || (!t->rules[i].params.n && !t->rules[i].cookies.n))
			return true;
	return false;
}

static void note_claimed(struct mt_policy *p, const struct mt_codec *codec, const char *name)
{
	struct mt_key key;

	if (!name || p->claimed)
		return;
	key = mt_key_make_icase(codec, name);
	if (!mt_authz_is_elsewhere(codec, &key))
		return;
	p->claimed = name;
	p->claimed_by = codec->name;
}

/* Its rules, and who enforces it. false: it takes no token from such messages. */
static bool gather_tokens(struct gathered *g, struct mt_policy *p)
{
	struct mt_policy **slot;

	if (!takes_tokens(p->of.tokens) || !mt_authz_carries(g->to->u->codec))
		return false;
	slot = mt_region_push(&g->b->tmp, (void **)&g->tokens, &g->n_tokens, sizeof(*slot));
	if (!slot) {
		g->failed = true;
		return false;
	}
	*slot = p;
	p->enforced = true;
	for (uint32_t i = 0; !g->to->u->codec->rewrite.mutate && i < p->of.tokens->n_rules; i++)
		if (!p->of.tokens->rules[i].forward.v)
			p->keeps_token = g->to->u->codec->name;
	for (uint32_t i = 0; i < p->of.tokens->n_rules; i++) {
		const struct mt_jwt_rule *r = &p->of.tokens->rules[i];

		note_claimed(p, g->to->u->codec, r->payload_to.s);
		for (uint32_t k = 0; k < r->n_outputs; k++)
			note_claimed(p, g->to->u->codec, r->outputs[k].header.s);
	}
	return true;
}

/* ---- compiled policies ----------------------------------------------------------------------- */

/* Conditions are compiled once for each codec, for all ports. */
static struct mt_authz_policy *compile_at(
	struct mt_build *b, const struct mt_policy *p, const struct mt_policed *to)
{
	const struct mt_authz_ports at = {to->port, (uint16_t)to->u->port->number.v};
	const struct mt_codec *codec = to->u->codec;
	struct mt_region *r = &b->snap->region;
	struct mt_authz_rules *rules;
	char key[128]; /* a codec has a name of at most 63 bytes */

	snprintf(key, sizeof(key), "%u %s", (uint32_t)(p - b->policies->v), codec->name);
	rules = mt_strmap_get(&b->policies->rules, key);
	if (!rules) {
		rules = mt_authz_rules_of(r, p->of.authorization, codec, &b->policies->callers);
		if (!rules)
			return NULL;
		if (mt_strmap_put(&b->policies->rules, mt_region_strdup(&b->tmp, key), rules, NULL))
			b->tmp.failed = true;
	}
	return mt_authz_at_ports(r, rules, &at);
}

static struct mt_authz_policy *compile(
	struct mt_build *b, const struct mt_policy *p, const struct mt_policed *to, bool closing)
{
	const struct mt_codec *codec = to->u->codec;
	struct mt_region *r = &b->snap->region;
	char by[512];

	if (!closing && p->kind == MT_POLICY_OF_AUTHORIZATION)
		return compile_at(b, p, to);
	if (!closing && p->kind == MT_POLICY_OF_TOKENS)
		return mt_authz_compile_tokens(r, p->of.tokens, codec);
	snprintf(by, sizeof(by), "%s %s/%s", p->meta->kind, p->meta->ns, p->meta->name);
	if (!closing && p->kind == MT_POLICY_OF_PEERS)
		return mt_authz_compile_strict(r, by);
	return mt_authz_compile_closing(r, by);
}

/* By whom calls are judged that one of CUSTOM is about; nobody: it is closed to them. */
static void find_asked(struct mt_build *b, struct mt_policy *p, struct mt_authz_policy *c,
	const struct mt_codec *codec)
{
	const char *why = b->conf->o.asks ? "no provider is queried for opaque TCP"
					  : "this node queries no provider";

	if (p->kind != MT_POLICY_OF_AUTHORIZATION ||
		p->of.authorization->action.v != MT_POLICY_CUSTOM)
		return;
	if (!codec->opaque && b->conf->o.asks)
		c->asks = mt_b_provider(b, &p->of.authorization->provider.name, &why);
	if (!c->asks) {
		p->unasked = p->unasked ? p->unasked : why;
		return;
	}
	c->asks_id = mt_extauthz_id(c->asks);
	c->closes = false;
}

static void note_told(struct mt_policy *p, const struct mt_authz_policy *c, const char *codec)
{
	if (c->dropped && !p->dropped) {
		p->dropped = c->dropped;
		p->dropped_by = codec;
	}
	if (c->vanished && !p->vanished) {
		p->vanished = c->vanished;
		p->vanished_by = codec;
	}
	if (c->other && !p->other) {
		p->other = c->other;
		p->other_by = codec;
	}
}

/*
 * Makes each policy once for each codec, and one with conditions on ports once for each port. NULL:
 * no caller has a token there, or there is no memory.
 */
static struct mt_authz_policy *compiled(
	struct mt_build *b, struct mt_policy *p, const struct mt_policed *to, bool closing)
{
	const char *codec = to->u->codec->name;
	bool by_port = !closing && p->by_port;
	struct mt_authz_policy *c;
	/* A codec has a name of at most 63 bytes, which is not "-". */
	char key[128];

	snprintf(key, sizeof(key), "%u %s %u %u", (uint32_t)(p - b->policies->v),
		closing ? "-" : codec, by_port ? to->port : 0, by_port ? to->u->port->number.v : 0);
	c = mt_strmap_get(&b->policies->compiled, key);
	if (!c) {
		c = compile(b, p, to, closing);
		if (!c)
			return NULL;
		if (!closing)
			find_asked(b, p, c, to->u->codec);
		c->serial = p->meta->serial;
		c->closer = c->closes ? mt_b_closer(b, p->meta) : NULL;
		if (mt_strmap_put(&b->policies->compiled, mt_region_strdup(&b->tmp, key), c, NULL))
			b->tmp.failed = true;
	}
	note_told(p, c, codec);
	return c;
}

/* ---- which ones -------------------------------------------------------------------------------------- */

/* What is about whom it does nothing for is no guard. */
static bool guards(const struct gathered *g, const struct mt_policy *p)
{
	if (p->kind == MT_POLICY_OF_CLOSING && p->of.closing->harmless)
		return false;
	return mt_policy_is_ours(p, g->class) && mt_policy_is_real(p) &&
	       mt_policy_stands_before(p, g->to->w, g->to->u);
}

static void consider(struct gathered *g, struct mt_policy *p)
{
	const struct mt_codec *codec = g->to->u->codec;
	bool selects = mt_policy_selects(p, g->to->h, g->to->w);
	bool unsure = mt_policy_may_select(g->b, p, g->to->h, g->to->w);
	bool closing = p->kind == MT_POLICY_OF_CLOSING;
	struct mt_authz_policy *c;

	if (!unsure && (p->kind == MT_POLICY_OF_PEERS || !selects))
		return;
	if (!guards(g, p))
		return;
	if (closing && p->of.closing->messages_only && codec->opaque)
		return;
	closing |= unsure && p->kind != MT_POLICY_OF_TOKENS;
	/* Where it is not known to be in front, a valid token opens nothing: any is denied. */
	if (p->kind == MT_POLICY_OF_TOKENS && !unsure && !g->to->any_codec) {
		(void)gather_tokens(g, p);
		return;
	}
	closing |= g->to->any_codec && (p->kind == MT_POLICY_OF_TOKENS || mt_policy_protects(p));
	c = compiled(g->b, p, g->to, closing);
	if (!c)
		return;
	gather(g, p, c);
	p->enforced = true;
	p->closes |= c->closes;
}

static void consider_all(struct gathered *g, struct mt_policy_bag *bag)
{
	const struct mt_policies_found may =
		mt_policy_find(bag ? &bag->all : NULL, g->to->h, g->to->w);

	for (uint32_t i = 0; i < may.n; i++)
		consider(g, may.v[i]);
}

/*
 * Who brings no certificate is denied, nor comes by a port of workloads; where nobody can, as the node has neither an identity nor
 * such a port, it is closed.
 */
static void consider_peers(struct gathered *g)
{
	bool closing = !g->b->policies->mtls && !g->b->policies->vouched;
	struct mt_policy *p;

	if (g->class != MT_INSTANCE_BARE ||
		mt_b_peer_mode(g->b, g->to->h, g->to->w, g->to->port, &p) != MT_MTLS_STRICT)
		return;
	gather(g, p, compiled(g->b, p, g->to, closing));
	p->enforced = true;
	p->closes |= closing;
}

static void consider_drifting(struct gathered *g)
{
	const struct mt_policies *all = g->b->policies;

	if (!mt_instance_meta(g->to->h, g->to->w)->ns_unwritten || g->class != MT_INSTANCE_BARE)
		return;
	for (uint32_t i = 0; i < all->n_drifting; i++) {
		struct mt_policy *p = all->drifting[i];

		if (mt_policy_may_fit(g->b, p, g->to->h, g->to->w) &&
			mt_policy_stands_before(p, g->to->w, g->to->u))
			gather(g, p, compiled(g->b, p, g->to, true));
	}
}

/* Filters in the proxies of clients, in whose place this node stands. */
static void consider_clients(struct gathered *g)
{
	struct mt_policy_walk walk = mt_b_policies_closing(g->b, g->to->h, g->to->u);

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;)
		gather(g, p, compiled(g->b, p, g->to, true));
}

/* ---- the object -------------------------------------------------------------------------------------- */

static bool same_identity(const struct mt_policy *a, const struct mt_policy *b)
{
	return a->kind == MT_POLICY_OF_AUTHORIZATION && b->kind == a->kind &&
	       mt_policy_is_dubbo(a) == mt_policy_is_dubbo(b) &&
	       strcmp(a->meta->ns, b->meta->ns) == 0 && strcmp(a->meta->name, b->meta->name) == 0;
}

/* Finds for each policy the first one that has its name, which may be itself. NULL: no memory. */
static uint32_t *find_twins(const struct gathered *g)
{
	uint32_t *twins = mt_region_alloc(&g->b->tmp, sizeof(*twins) * g->n);
	struct mt_idmap first = {0}; /* place + 1, by namespace, name and kind */

	for (uint32_t i = 0; twins && i < g->n; i++) {
		const struct mt_policy *p = g->whose[i];
		uint64_t id = mt_id_of_name(p->meta) ^ (uint64_t)mt_policy_is_dubbo(p);
		uintptr_t k = (uintptr_t)mt_idmap_get(&first, id ? id : 1);

		twins[i] = k && same_identity(g->whose[k - 1], p) ? (uint32_t)k - 1 : i;
		if (!k && mt_idmap_put(&first, id ? id : 1, (void *)((uintptr_t)i + 1)))
			g->b->tmp.failed = true;
	}
	mt_idmap_fini(&first);
	return twins;
}

/*
 * Istio's, or Aeraki's. Two of one name that say different things are two opinions: who calls has to pass with either. What
 * allows would else allow what only one of them does.
 */
static struct mt_authz *make(struct gathered *g, bool dubbo, struct mt_authz *also)
{
	struct mt_authz_policy **first = mt_region_alloc(&g->b->tmp, sizeof(*first) * g->n);
	const uint32_t *twins = find_twins(g);
	struct mt_region *r = &g->b->snap->region;
	uint32_t n = 0;

	if (!first || !twins)
		return NULL;
	for (uint32_t i = 0; i < g->n; i++)
		if (mt_policy_is_dubbo(g->whose[i]) == dubbo && twins[i] == i)
			first[n++] = g->v[i];
	if (n == 0)
		return also;
	for (uint32_t i = 0; i < g->n; i++) {
		struct mt_authz_policy *twin = g->v[twins[i]];

		if (mt_policy_is_dubbo(g->whose[i]) != dubbo || twin == g->v[i])
			continue;
		for (uint32_t k = 0; k < n; k++)
			if (first[k] == twin)
				first[k] = g->v[i];
		also = mt_authz_set(r, first, n, also);
		for (uint32_t k = 0; k < n; k++)
			if (first[k] == g->v[i])
				first[k] = twin;
	}
	return mt_authz_set(r, first, n, also);
}

static bool any_dubbo(const struct gathered *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (mt_policy_is_dubbo(g->whose[i]))
			return true;
	return false;
}

/* Compiled policies are found by what they are of, so their addresses are a name. */
static char *name_of(const struct gathered *g, const struct mt_authz_tokens *tokens)
{
	size_t size = 24 * ((size_t)g->n + 1) + 1, len = 0;
	char *name = mt_region_alloc(&g->b->tmp, size);

	if (name)
		len = (size_t)snprintf(name, size, "%p ", (const void *)tokens);
	for (uint32_t i = 0; name && i < g->n; i++)
		len += (size_t)snprintf(name + len, size - len, "%p ", (void *)g->v[i]);
	return name;
}

/* By rules and codec, as guards are. */
static const struct mt_authz_tokens *tokens_of(struct gathered *g)
{
	const struct mt_codec *codec = g->to->u->codec;
	struct mt_strmap *guards = &g->b->policies->guards;
	struct mt_token_rules *rules = mt_b_tokens(g->b, g->tokens, g->n_tokens);
	char *name =
		rules ? mt_region_printf(&g->b->tmp, "tokens %p %s", (void *)rules, codec->name)
		      : NULL;
	struct mt_authz_tokens *t = name ? mt_strmap_get(guards, name) : NULL;

	if (t || !name)
		return t;
	t = (struct mt_authz_tokens *)mt_authz_tokens_for(&g->b->snap->region, rules, codec);
	if (t)
		mt_strmap_put(guards, name, t, NULL);
	return t;
}

/* Calls have to be whole, with all of their metadata. */
static struct mt_authz *with_tokens(
	struct gathered *g, struct mt_authz *a, const struct mt_authz_tokens *t)
{
	if (!a)
		a = mt_authz_set(&g->b->snap->region, NULL, 0, NULL);
	if (a) {
		a->tokens = t;
		a->reads = a->searches = true;
	}
	return a;
}

static struct mt_authz *shared(struct gathered *g)
{
	struct mt_strmap *guards = &g->b->policies->guards;
	const struct mt_authz_tokens *tokens = g->n_tokens ? tokens_of(g) : NULL;
	char *name = !g->n_tokens || tokens ? name_of(g, tokens) : NULL;
	struct mt_authz *a = name ? mt_strmap_get(guards, name) : NULL;

	if (a || !name)
		return a;
	/* In the mesh they are two filters of one chain: a call has to pass both. */
	a = any_dubbo(g) ? make(g, true, NULL) : NULL;
	if (g->n && (a || !any_dubbo(g)))
		a = make(g, false, a);
	if (tokens)
		a = with_tokens(g, a, tokens);
	if (a)
		mt_strmap_put(guards, name, a, NULL);
	return a;
}

static bool has_two_providers(const struct gathered *g)
{
	uint32_t id = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		if (id && g->v[i]->asks_id && g->v[i]->asks_id != id)
			return true;
		id = g->v[i]->asks_id ? g->v[i]->asks_id : id;
	}
	return false;
}

/* As in Istio, where one workload has one provider: none of them is asked. */
static void close_asked(struct gathered *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct mt_policy *p = g->whose[i];

		if (!g->v[i]->asks_id)
			continue;
		g->v[i] = compiled(g->b, p, g->to, true);
		if (!g->v[i]) {
			g->failed = true;
			return;
		}
		p->closes = true;
		p->unasked = "another policy of the same endpoints names another one";
	}
}

static const struct mt_authz *finish(struct gathered *g, uint64_t *hash)
{
	struct mt_authz *a;

	if (has_two_providers(g))
		close_asked(g);
	if (g->failed) {
		g->b->tmp.failed = true;
		return NULL;
	}
	if (!g->n && !g->n_tokens)
		return NULL;
	/* More than are told apart. */
	if (mt_b_tokens_count(g->tokens, g->n_tokens) > MT_TOKEN_RULES) {
		gather(g, g->tokens[0], compiled(g->b, g->tokens[0], g->to, true));
		g->tokens[0]->closes = true;
		g->n_tokens = 0;
	}
	a = shared(g);
	if (!a || g->failed) {
		g->b->tmp.failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < g->n; i++)
		*hash = mt_hash_u64(g->whose[i]->meta->serial + g->v[i]->asks_id, *hash);
	for (uint32_t i = 0; i < g->n_tokens; i++)
		*hash = mt_hash_u64(g->tokens[i]->meta->serial, *hash + 1);
	if (g->b->policies->callers.certified)
		*hash = mt_hash_u64(g->b->policies->callers_hash, *hash);
	return a;
}

/* Where everybody passes nobody is asked. */
static const struct mt_authz *unless_idle(const struct mt_authz *a)
{
	return a && !mt_authz_is_idle(a) ? a : NULL;
}

static const struct mt_authz *guard(struct mt_build *b, const struct mt_policed *to,
	enum mt_instance_class class, uint64_t *hash)
{
	const char *ns = mt_instance_meta(to->h, to->w)->ns, *root = mt_b_root_namespace(b);
	struct gathered g = {.b = b, .to = to, .class = class};

	consider_peers(&g);
	if (strcmp(ns, root) != 0)
		consider_all(&g, mt_b_policies_of(b, root));
	consider_all(&g, mt_b_policies_of(b, ns));
	consider_drifting(&g);
	consider_clients(&g);
	return finish(&g, hash);
}

const struct mt_authz *mt_b_guard(struct mt_build *b, const struct mt_policed *to, uint64_t *hash)
{
	if (!b->policies)
		return NULL;
	return unless_idle(guard(b, to, mt_instance_class(to->h, to->w), hash));
}

/* ---- endpoints of several workloads -------------------------------------------------------- */

#define BOTH_MAX 16 /* sets that a call must pass */

/* 0: none. */
static uint32_t provider_of(const struct mt_authz *a)
{
	for (; a; a = a->also)
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->asks_id)
				return a->deny[i]->asks_id;
	return 0;
}

/* One call has tokens by one list of rules, and asks one provider. */
static bool can_join(const struct mt_authz *a, const struct mt_authz *other)
{
	uint32_t mine = provider_of(a), theirs = provider_of(other), n = 0;

	if ((mine && theirs && mine != theirs) ||
		(a->tokens && other->tokens && a->tokens != other->tokens))
		return false;
	for (const struct mt_authz *v = a; v; v = v->also)
		n++;
	for (const struct mt_authz *v = other; v; v = v->also)
		n++;
	return n <= BOTH_MAX;
}

/* Copies of the sets of `a`, and after them those of `other`. NULL: no memory. */
static struct mt_authz *join(
	struct mt_region *r, const struct mt_authz *a, const struct mt_authz *other)
{
	struct mt_authz *first = NULL, **end = &first, *copy;

	for (const struct mt_authz *v = a; v; v = v->also) {
		copy = mt_region_alloc(r, sizeof(*copy));
		if (!copy)
			return NULL;
		*copy = *v;
		copy->also = other;
		copy->reads |= other->reads;
		copy->searches |= other->searches;
		*end = copy;
		end = (struct mt_authz **)&copy->also;
	}
	first->tokens = first->tokens ? first->tokens : other->tokens;
	return first;
}

static struct mt_authz *close_both(struct mt_region *r)
{
	struct mt_authz_policy *p = mt_authz_compile_closing(
		r, "policies of several workloads with one address that cannot be joined");

	return p ? mt_authz_set(r, &p, 1, NULL) : NULL;
}

/* Of rules, without limits. NULL: no memory, which b->tmp has. */
static const struct mt_authz *both_rules(
	struct mt_build *b, const struct mt_authz *a, const struct mt_authz *other)
{
	struct mt_strmap *guards = &b->policies->guards;
	struct mt_region *r = &b->snap->region;
	struct mt_authz *both;
	char *name = mt_region_printf(&b->tmp, "both %p %p", (const void *)a, (const void *)other);

	both = name ? mt_strmap_get(guards, name) : NULL;
	if (both || !name)
		return both;
	both = can_join(a, other) ? join(r, a, other) : close_both(r);
	if (!both || mt_strmap_put(guards, name, both, NULL))
		b->tmp.failed = true;
	return both;
}

/* mt_b_limited() puts a set without rules before them. */
static const struct mt_authz *rules_of(const struct mt_authz *a)
{
	return a && a->limit ? a->also : a;
}

const struct mt_authz *mt_b_guard_both(
	struct mt_build *b, const struct mt_authz *a, const struct mt_authz *other)
{
	const struct mt_authz *mine = rules_of(a), *theirs = rules_of(other);
	const struct mt_authz *rules = mine ? mine : theirs, *limited = a;
	struct mt_authz *copy;

	if (!a || !other)
		return a ? a : other;
	if (mine && theirs && mine != theirs)
		rules = both_rules(b, mine, theirs);
	if (!a->limit)
		limited = other->limit ? other : NULL;
	if (!limited || limited->also == rules)
		return limited ? limited : rules;
	copy = mt_region_alloc(&b->snap->region, sizeof(*copy));
	if (!copy || !rules) {
		b->tmp.failed = true;
		return NULL;
	}
	*copy = *limited;
	copy->also = rules;
	copy->tokens = rules->tokens;
	copy->reads |= rules->reads;
	copy->searches |= rules->searches;
	return copy;
}

const struct mt_authz *mt_b_guard_whole(struct mt_build *b, const struct mt_policed *to)
{
	enum mt_instance_class class = mt_instance_class(to->h, to->w);
	uint64_t ignored = 0;

	if (class == MT_INSTANCE_MESHED)
		class = MT_INSTANCE_BARE;
	return b->policies ? guard(b, to, class, &ignored) : NULL;
}

const struct mt_authz *mt_b_guard_clients(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u, uint64_t *hash)
{
	const struct mt_policed to = {.h = h, .u = u, .port = (uint16_t)u->port->number.v};
	struct gathered g = {.b = b, .to = &to};

	consider_clients(&g);
	return unless_idle(finish(&g, hash));
}

/* ---- gateways ---------------------------------------------------------------------------------------- */

static void consider_at(struct gathered *g, struct mt_policy *p, const struct mt_gate *at)
{
	bool closing = p->kind == MT_POLICY_OF_CLOSING;
	struct mt_authz_policy *c = NULL;

	if (!mt_policy_stands_at(g->b, p, g->to->port, at->web) ||
		(closing && p->of.closing->messages_only && at->codec->opaque))
		return;
	if (p->kind == MT_POLICY_OF_TOKENS) {
		if (gather_tokens(g, p))
			mt_policy_touch_gate(g->b, p, at);
		return;
	}
	if (mt_policy_is_real(p) && !(closing && p->of.closing->harmless))
		c = compiled(g->b, p, g->to, closing);
	mt_policy_touch_gate(g->b, p, at);
	if (!c)
		return;
	gather(g, p, c);
	p->enforced = true;
	p->closes |= c->closes;
}

const struct mt_authz *mt_b_guard_gate(struct mt_build *b, const struct mt_gate *at, uint64_t *hash)
{
	const struct mt_se_port port = {.number = at->server->port.number};
	const struct mt_unit u = {.port = &port, .codec = at->codec};
	const struct mt_policed to = {.u = &u, .port = (uint16_t)port.number.v};
	struct mt_policy_walk walk = mt_b_policies_at(b, at->gateway);
	struct gathered g = {.b = b, .to = &to};

	for (struct mt_policy *p; (p = mt_policy_next(&walk)) != NULL;)
		consider_at(&g, p, at);
	return unless_idle(finish(&g, hash));
}

const struct mt_closer *mt_b_guard_closes(const struct mt_authz *a)
{
	const struct mt_authz_policy *by = mt_authz_closes_all(a);

	return by ? by->closer : NULL;
}
