/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that objects of several namespaces list. The policies of an endpoint are those of the
 * namespace of the object that lists it, so that calls to another object's service at the same
 * address and port do not pass them. Reports this at the object whose service is more open.
 *
 * Of the objects of a namespace that list an endpoint one is kept for each set of policies, and
 * compared with those of all other namespaces. The comparisons would grow with the product of the
 * namespaces' sets, so a namespace keeps few, and objects with further ones are reported.
 */
#include "mt_conf_hash_priv.h"
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

/* Namespaces of an endpoint, and sets of policies of each, that are kept. */
#define SPACES 64
#define SETS   16

/* An object that lists the endpoint, the first one of its namespace with these policies. */
struct listed {
	const struct mt_meta *of;
	const char *host;
	const struct mt_authz *rules;
	struct listed *next;
};

struct space {
	const char *ns;
	struct listed *first; /* that are compared */
	struct listed *more;  /* beyond SETS */
	uint32_t n;
	struct space *next;
};

struct place {
	struct mt_addr addr;
	uint16_t port;
	uint32_t n;
	struct space *first;
};

/* True if the object has no warning yet; it has one now. */
static bool may_warn(struct mt_build *b, const struct mt_meta *of)
{
	if (mt_idmap_get(&b->policies->warned, of->serial))
		return false;
	if (mt_idmap_put(&b->policies->warned, of->serial, b))
		b->tmp.failed = true;
	return true;
}

static uint64_t id_of(uint64_t value, uint64_t seed)
{
	uint64_t h = mt_hash_u64(value, seed);

	return h ? h : 1;
}

static void put(struct mt_build *b, struct mt_idmap *m, uint64_t id, void *value)
{
	if (!value || mt_idmap_put(m, id, value))
		b->tmp.failed = true;
}

/* As mt_authz_bypassed(). Equal sets are shared, so each pair of sets is compared once. */
static const struct mt_authz_policy *bypassed(
	struct mt_build *b, const struct mt_authz *guarded, const struct mt_authz *open)
{
	static const struct mt_authz_policy none;
	uint64_t id = id_of((uintptr_t)guarded, mt_hash_u64((uintptr_t)open, 0));
	const struct mt_authz_policy *p = mt_idmap_get(&b->policies->pairs, id);

	if (p)
		return p == &none ? NULL : p;
	p = mt_authz_bypassed(guarded, open, false);
	put(b, &b->policies->pairs, id, (void *)(p ? p : &none));
	return p;
}

/* Reports a policy of `guarded` that calls to `open` do not pass, once for each object. */
static void compare(struct mt_build *b, const struct place *at, const struct listed *guarded,
	const struct listed *open)
{
	const struct mt_authz_policy *p;
	char text[MT_ADDR_STRLEN];

	if (mt_idmap_get(&b->policies->warned, open->of->serial))
		return;
	p = bypassed(b, guarded->rules, open->rules);
	if (!p || !may_warn(b, open->of))
		return;
	mt_b_warn(b, open->of, open->of->origin.line, NULL,
		"write the policy in this namespace, too, or remove the endpoint",
		"calls to %.128s bypass %.200s: its endpoint %s:%u is also one of %.128s in "
		"namespace %.64s, which has that policy",
		open->host, p->by, mt_addr_str(&at->addr, text), at->port, guarded->host,
		guarded->of->ns);
}

/* `many`: what the endpoint is one of, with the number `n`. */
static void warn_of_many(struct mt_build *b, const struct place *at, const struct listed *now,
	const char *many, unsigned int n)
{
	char text[MT_ADDR_STRLEN];

	if (may_warn(b, now->of))
		mt_b_warn(b, now->of, now->of->origin.line, NULL,
			"list the endpoint in fewer objects",
			"calls to %.128s may bypass policies of other namespaces: its endpoint "
			"%s:%u is one of more than %u %s",
			now->host, mt_addr_str(&at->addr, text), at->port, n, many);
}

/* Objects of one namespace alone bypass nobody's policies. */
static void warn_of_sets(struct mt_build *b, const struct place *at)
{
	if (at->n < 2)
		return;
	for (struct space *s = at->first; s; s = s->next)
		for (; s->more; s->more = s->more->next)
			warn_of_many(b, at, s->more,
				"objects of its namespace with different policies", SETS);
}

static void compare_all(
	struct mt_build *b, const struct place *at, const struct space *s, const struct listed *now)
{
	for (const struct listed *l = s->first; l; l = l->next) {
		compare(b, at, l, now);
		compare(b, at, now, l);
	}
}

/* ---- what is known of an endpoint ------------------------------------------------------------ */

/* True if this is the first call with the id. */
static bool is_first(struct mt_build *b, uint64_t id)
{
	if (mt_idmap_get(&b->policies->looked, id))
		return false;
	put(b, &b->policies->looked, id, b);
	return true;
}

static struct place *place_of(
	struct mt_build *b, uint64_t id, const struct mt_addr *a, uint16_t port)
{
	struct place *at = mt_idmap_get(&b->policies->listed, id);

	if (at)
		return mt_addr_eq(&at->addr, a) && at->port == port ? at : NULL;
	at = mt_region_alloc(&b->tmp, sizeof(*at));
	put(b, &b->policies->listed, id, at);
	if (at)
		*at = (struct place){.addr = *a, .port = port};
	return at;
}

/* NULL: the namespace is not kept. */
static struct space *space_of(struct mt_build *b, struct place *at, const char *ns)
{
	struct space *s = at->first;

	while (s && strcmp(s->ns, ns) != 0)
		s = s->next;
	if (s || at->n == SPACES)
		return s;
	s = mt_region_alloc(&b->tmp, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct space){.ns = ns, .next = at->first};
	at->first = s;
	at->n++;
	return s;
}

static void add(struct mt_build *b, struct place *at, const struct listed *now)
{
	struct space *s = space_of(b, at, now->of->ns);
	struct listed *to, **list;

	if (!s) {
		warn_of_many(b, at, now, "namespaces with it", SPACES);
		return;
	}
	to = mt_region_alloc(&b->tmp, sizeof(*to));
	if (!to)
		return;
	list = s->n < SETS ? &s->first : &s->more;
	*to = *now;
	to->next = *list;
	*list = to;
	s->n++;
	warn_of_sets(b, at);
}

static void look(
	struct mt_build *b, const struct mt_addr *a, uint16_t port, const struct listed *now)
{
	uint64_t id = id_of(port, mt_id_of_addr(a));
	uint64_t rules = (uintptr_t)now->rules;
	struct place *at;

	/* Each subset of a service has its endpoints again. */
	if (!is_first(b, id_of(rules, mt_hash_u64(now->of->serial, id))))
		return;
	at = place_of(b, id, a, port);
	if (!at)
		return;
	for (const struct space *s = at->first; s; s = s->next)
		if (strcmp(s->ns, now->of->ns) != 0)
			compare_all(b, at, s, now);
	if (is_first(b, id_of(rules, mt_secret_hash_text(now->of->ns, id))))
		add(b, at, now);
}

void mt_b_policy_shared(
	struct mt_build *b, const struct mt_policed *to, const struct mt_authz *rules)
{
	const struct mt_workload *w = to->w;

	if (b->policies && !mt_addr_is_zero(&w->address))
		look(b, &w->address, to->port,
			&(const struct listed){.of = mt_instance_meta(to->h, w),
				.host = to->h->se->hosts[0].s,
				.rules = rules});
}
