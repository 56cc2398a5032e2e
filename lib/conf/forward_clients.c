/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients that AuthorizationPolicies let through to endpoints of forwarded ports, as sets of
 * addresses. Endpoints with the same policies share a set. A namespace has room for so many ranges;
 * a service beyond that is refused, so that its policies are not passed over.
 */
#include "mt_conf_forward_priv.h"

#include "mt_l4.h"

/* Values of addresses in the policies: the work and the memory of a set. */
static uint64_t size_of_conds(const struct mt_authz_conds *l, uint32_t n)
{
	uint64_t sum = n;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < l[i].n; k++)
			sum += 1 + (uint64_t)l[i].v[k].n_values + l[i].v[k].n_nots;
	return sum;
}

static uint64_t size_of_policies(const struct mt_authz_policy *const *v, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < v[i]->n_rules; k++) {
			const struct mt_authz_rule *r = &v[i]->rules[k];

			sum += size_of_conds(r->from, r->n_from) + size_of_conds(r->to, r->n_to) +
			       size_of_conds(&r->when, 1);
		}
	return sum;
}

static uint64_t size_of(const struct mt_authz *a)
{
	uint64_t sum = 1;

	for (; a; a = a->also)
		sum += size_of_policies(a->deny, a->n_deny) +
		       size_of_policies(a->allow, a->n_allow);
	return sum;
}

/* True if a condition of the policies is on the server's address. */
static bool is_by_server(const struct mt_authz_policy *const *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < v[i]->n_rules; k++)
			for (uint32_t w = 0; w < v[i]->rules[k].when.n; w++)
				if (v[i]->rules[k].when.v[w].field == MT_AUTHZ_SERVER)
					return true;
	return false;
}

/* True if the set of clients is the same for each server at the same port. */
static bool is_for_any_server(const struct mt_authz *a)
{
	for (; a; a = a->also)
		if (is_by_server(a->deny, a->n_deny) || is_by_server(a->allow, a->n_allow))
			return false;
	return true;
}

/* The result for an endpoint with these policies and ports; NULL: none yet. */
static const struct mt_forward_let *find(
	const struct mt_forward_lets *l, const struct mt_authz *a, uint16_t port, uint16_t of)
{
	for (uint32_t i = 0; i < MT_MIN(l->n, MT_FORWARD_LETS); i++)
		if (l->v[i].policies == a && l->v[i].port == port && l->v[i].service_port == of)
			return &l->v[i];
	return NULL;
}

/* Appends the set to the service's. Returns its index + 1; 0: all clients. */
static uint32_t add(
	struct mt_build *b, struct mt_l4_service_conf *s, const struct mt_addr_ranges *set)
{
	struct mt_addr_ranges copy = {NULL, 0}, *slot;

	if (mt_ranges_are_all(set))
		return 0;
	mt_ranges_append(&b->tmp, &copy, set);
	slot = mt_region_push(&b->tmp, (void **)&s->clients, &s->n_clients, sizeof(*slot));
	if (slot)
		*slot = copy;
	return s->n_clients;
}

/* Bytes that the sets of an endpoint may take meanwhile: conditions times addresses. */
#define MEMORY_MAX (64u << 20)

/* False: the policies have too many addresses. */
static bool make(struct mt_build *b, const struct mt_authz *a, const struct mt_endpoint *ep,
	const struct mt_authz_ports *at, struct mt_l4_service_conf *s, uint32_t *clients)
{
	struct mt_addr_ranges set;
	struct mt_region r;
	bool fits;

	mt_region_init(&r, MEMORY_MAX);
	set = mt_authz_clients(&r, a, &ep->addr, at);
	fits = !r.failed;
	if (fits)
		*clients = add(b, s, &set);
	mt_region_fini(&r);
	return fits;
}

bool mt_b_forward_clients(struct mt_build *b, const struct mt_unit *u, const struct mt_cluster *c,
	uint32_t i, struct mt_forward_lets *lets, struct mt_l4_service_conf *s, uint32_t *clients)
{
	const struct mt_authz *a = c->guards ? c->guards[i] : NULL;
	uint16_t port = (uint16_t)u->port->number.v;
	const struct mt_authz_ports at = {c->eps[i].port, port};
	const struct mt_forward_let *known = a ? find(lets, a, c->eps[i].port, port) : NULL;

	*clients = known ? known->clients : 0;
	if (!a || known)
		return true;
	if (!mt_b_forward_take(b, lets->ns, MT_FORWARD_RANGES, size_of(a)) ||
		!make(b, a, &c->eps[i], &at, s, clients))
		return false;
	if (is_for_any_server(a))
		lets->v[lets->n++ % MT_FORWARD_LETS] =
			(struct mt_forward_let){a, c->eps[i].port, port, *clients};
	return true;
}
