/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that several destinations of a forwarded port have. lib/l4 has one set of clients for
 * an address and port. Workloads of one host at the address share it, and packets must pass the
 * policies of each. Packets for another host would meet the policies of the first one instead of
 * their own, so they go there only if both hosts have the same policies there.
 */
#include "mt_conf_forward_priv.h"

#include <errno.h>

/* Policies that are compared; a host with more at one address shares it with no other host. */
#define COMPARED 16

/* Policies of an address, in the order of the workloads that have them. */
struct policies {
	const struct mt_authz *a; /* NULL: none */
	struct policies *next;
};

/* An address and port as an endpoint of one host's port. */
struct mt_forward_claim {
	const struct mt_host *h;
	const struct mt_unit *u;
	struct policies first, *last;
	uint32_t n;		       /* of them */
	uint32_t added;		       /* of them that the cluster has */
	bool left_out;		       /* it is reported */
	struct mt_forward_claim *next; /* of another host or port */
};

/* The place of the policies in the list; UINT32_MAX: they are not among the compared ones. */
static uint32_t place_of(const struct mt_forward_claim *c, const struct mt_authz *a)
{
	const struct policies *p = &c->first;

	for (uint32_t i = 0; p && i < COMPARED; i++, p = p->next)
		if (p->a == a)
			return i;
	return UINT32_MAX;
}

static const char *key_of(const struct mt_policed *to, char text[MT_ADDR_STRLEN])
{
	return mt_addr_port_str(&to->w->address, to->port, text);
}

static struct mt_forward_claim *find(struct mt_forward_claim *c, const struct mt_policed *to)
{
	while (c && (c->h != to->h || c->u != to->u))
		c = c->next;
	return c;
}

static int append(struct mt_build *b, struct mt_forward_claim *c, const struct mt_authz *a)
{
	struct policies *p = mt_region_alloc(&b->tmp, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->a = a;
	c->last->next = p;
	c->last = p;
	c->n++;
	return 0;
}

/* Adds a claim after those of `first`, or as the first one of the address. */
static int add(struct mt_build *b, struct mt_strmap *claims, struct mt_forward_claim *first,
	const char *key, const struct mt_forward_claim *claim)
{
	struct mt_forward_claim *c = mt_region_alloc(&b->tmp, sizeof(*c));
	char *copy;

	if (!c)
		return -ENOMEM;
	*c = *claim;
	c->last = &c->first;
	if (first) {
		c->next = first->next;
		first->next = c;
		return 0;
	}
	copy = mt_region_strdup(&b->tmp, key);
	return !copy || mt_strmap_put(claims, copy, c, NULL) ? -ENOMEM : 0;
}

int mt_b_forward_claim(struct mt_build *b, struct mt_strmap *claims, const struct mt_policed *to,
	const struct mt_authz *policies)
{
	char text[MT_ADDR_STRLEN];
	struct mt_forward_claim *first = mt_strmap_get(claims, key_of(to, text));
	struct mt_forward_claim *c = find(first, to);

	if (!c)
		return add(b, claims, first, text,
			&(struct mt_forward_claim){
				.h = to->h, .u = to->u, .first = {policies, NULL}, .n = 1});
	return place_of(c, policies) == UINT32_MAX ? append(b, c, policies) : 0;
}

/* Without "none", which is among them if a workload has no policies and lets all packets pass. */
static uint32_t n_policies(const struct mt_forward_claim *c)
{
	return c->n - (place_of(c, NULL) != UINT32_MAX);
}

/* True if both have the same policies, which are compiled for a number of the service's port. */
static bool are_equal(const struct mt_forward_claim *a, const struct mt_forward_claim *b)
{
	if (a->n > COMPARED || b->n > COMPARED || n_policies(a) != n_policies(b))
		return false;
	for (const struct policies *p = &a->first; p; p = p->next)
		if (p->a && place_of(b, p->a) == UINT32_MAX)
			return false;
	return true;
}

enum mt_forward_claimed mt_b_forward_claimed(const struct mt_strmap *claims,
	const struct mt_policed *to, const struct mt_authz *policies)
{
	char text[MT_ADDR_STRLEN];
	struct mt_forward_claim *first = mt_strmap_get(claims, key_of(to, text));
	struct mt_forward_claim *c = find(first, to);
	uint32_t place;

	if (c != first) {
		if (are_equal(first, c))
			return MT_FORWARD_JOINED;
		if (c->left_out)
			return MT_FORWARD_LEFT_OUT_AGAIN;
		c->left_out = true;
		return MT_FORWARD_LEFT_OUT;
	}
	place = place_of(c, policies);
	if (place != UINT32_MAX && place < c->added)
		return MT_FORWARD_JOINED;
	c->added++;
	return MT_FORWARD_ADDED;
}
