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
	return r;
}

/* IPv4 before IPv6; a network before those that it contains. */
static int by_range(const void *a, const void *b)
{
	const struct mt_addr_range *x = a, *y = b;
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
	struct mt_addr_range *v = calloc(MT_MAX(n, 1u), sizeof(*v));

	l->v = v;
	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		v[i] = range_of(&nets[i]);
	qsort(v, n, sizeof(*v), by_range);
	for (uint32_t i = 0; i < n; i++) {
		if (l->n && contains(&v[l->n - 1], &v[i]))
			continue;
		l->n4 += mt_addr_is4(&v[i].hi);
		v[l->n++] = v[i];
	}
	return 0;
}

void l4_sources_free(struct mt_l4_sources *s)
{
	if (!s)
		return;
	free(s->allow.v);
	free(s->deny.v);
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
