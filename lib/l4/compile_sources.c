/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clients may use a service: sorted ranges of addresses, IPv4 and IPv6 apart, because the
 * network ::/0 does not contain IPv4 addresses. Networks either contain each other or are disjoint,
 * so a sorted list without contained ones needs no further merging.
 */
#include "mt_l4_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A network as a range. */
struct ranged {
	struct mt_addr_range r;
	uint32_t rule;
};

/* The first and the last address of a network. */
static struct mt_addr_range range_of(const struct mt_l4_network *net)
{
	bool is4 = mt_addr_is4(&net->addr);
	uint32_t from = net->prefix + (is4 ? 96u : 0u);
	struct mt_addr_range r = {net->addr, net->addr};

	for (uint32_t bit = from; bit < 128; bit++) {
		uint8_t mask = (uint8_t)(0x80u >> bit % 8);

		r.lo.b[bit / 8] &= (uint8_t)~mask;
		r.hi.b[bit / 8] |= mask;
	}
	/* An IPv6 network has no IPv4 address. ::/80 and parts of it end with those. */
	if (!is4 && mt_addr_is4(&r.hi))
		r.hi.b[11] = 0xfe;
	return r;
}

/* IPv4 before IPv6; a network before those that it contains. */
static int by_range(const void *a, const void *b)
{
	const struct mt_addr_range *x = &((const struct ranged *)a)->r;
	const struct mt_addr_range *y = &((const struct ranged *)b)->r;
	int way = (int)mt_addr_is4(&y->hi) - (int)mt_addr_is4(&x->hi);

	if (!way)
		way = memcmp(&x->lo, &y->lo, sizeof(x->lo));
	return way ? way : memcmp(&y->hi, &x->hi, sizeof(x->hi));
}

static bool contains(const struct mt_addr_range *r, const struct mt_addr_range *inner)
{
	return mt_addr_is4(&r->hi) == mt_addr_is4(&inner->hi) &&
	       memcmp(&inner->hi, &r->hi, sizeof(r->hi)) <= 0;
}

static int fill(struct l4_ranges *l, const struct mt_l4_network *nets, uint32_t n)
{
	struct ranged *v = calloc(MT_MAX(n, 1u), sizeof(*v));

	l->v = calloc(MT_MAX(n, 1u), sizeof(*l->v));
	l->rules = calloc(MT_MAX(n, 1u), sizeof(*l->rules));
	if (!v || !l->v || !l->rules) {
		free(v);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct ranged){range_of(&nets[i]), nets[i].rule};
	qsort(v, n, sizeof(*v), by_range);
	for (uint32_t i = 0; i < n; i++) {
		if (l->n && contains(&l->v[l->n - 1], &v[i].r))
			continue;
		l->n4 += mt_addr_is4(&v[i].r.hi);
		l->rules[l->n] = v[i].rule;
		l->v[l->n++] = v[i].r;
	}
	free(v);
	return 0;
}

void l4_sources_free(struct mt_l4_sources *s)
{
	if (!s)
		return;
	free(s->allow.v);
	free(s->allow.rules);
	free(s->deny.v);
	free(s->deny.rules);
	free(s);
}

int l4_sources_make(const struct mt_l4_service_conf *c, struct mt_l4_sources **out)
{
	struct mt_l4_sources *s;
	int rc;

	if (!c->n_allow && !c->n_deny)
		return 0;
	s = *out = calloc(1, sizeof(*s));
	rc = s ? fill(&s->allow, c->allow, c->n_allow) : -ENOMEM;
	return rc ? rc : fill(&s->deny, c->deny, c->n_deny);
}

static uint64_t owner_of(
	const struct mt_l4_service_conf *c, const struct mt_l4_network *n, bool deny)
{
	const char *key = c->key ? c->key : c->name;
	uint64_t seed = mt_balance_hash(key, strlen(key), (uint64_t)n->prefix << 1 | deny);

	return mt_balance_hash(&n->addr, sizeof(n->addr), seed) | 1;
}

/* `listed`: by number; a list may have a network twice. */
static void add_rules(
	struct mt_l4_set *s, bool *listed, const struct mt_l4_service_conf *c, bool deny)
{
	const struct mt_l4_network *v = deny ? c->deny : c->allow;
	uint32_t n = deny ? c->n_deny : c->n_allow;

	for (uint32_t i = 0; i < n; i++) {
		MT_ASSERT(v[i].rule <= MT_L4_RULES_MAX);
		if (!v[i].rule || listed[v[i].rule - 1])
			continue;
		listed[v[i].rule - 1] = true;
		s->rules[s->n_rules++] =
			(struct mt_l4_rule){v[i], c->id, deny, owner_of(c, &v[i], deny)};
	}
}

int l4_rules_list(struct mt_l4_set *s, const struct mt_l4_conf *c)
{
	bool listed[MT_L4_RULES_MAX] = {false};
	size_t n = 1;

	for (uint32_t i = 0; i < c->n_services; i++)
		n += (size_t)c->services[i].n_allow + c->services[i].n_deny;
	s->rules = calloc(MT_MIN(n, (size_t)MT_L4_RULES_MAX), sizeof(*s->rules));
	for (uint32_t i = 0; s->rules && i < c->n_services; i++) {
		add_rules(s, listed, &c->services[i], false);
		add_rules(s, listed, &c->services[i], true);
	}
	return s->rules ? 0 : -ENOMEM;
}

int l4_clients_copy(const struct mt_l4_service_conf *c, struct mt_l4_service *to)
{
	to->clients = c->n_clients ? calloc(c->n_clients, sizeof(*to->clients)) : NULL;
	if (c->n_clients && !to->clients)
		return -ENOMEM;
	for (; to->n_clients < c->n_clients; to->n_clients++) {
		const struct mt_addr_ranges *from = &c->clients[to->n_clients];
		struct mt_addr_range *v = calloc(from->n + 1u, sizeof(*v));

		if (!v)
			return -ENOMEM;
		if (from->n)
			memcpy(v, from->v, sizeof(*v) * from->n);
		to->clients[to->n_clients] = (struct mt_addr_ranges){v, from->n};
	}
	return 0;
}

void l4_clients_free(struct mt_l4_service *s)
{
	for (uint32_t i = 0; i < s->n_clients; i++)
		free(s->clients[i].v);
	free(s->clients);
}
