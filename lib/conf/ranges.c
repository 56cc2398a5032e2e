/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small networks among a service's addresses: all of their addresses are answered but those that are anybody else's. What they say of names
 * is nothing: the service has another address for that, as everywhere in the field.
 */
#include "mt_conf_priv.h"

#include <string.h>

#define RANGE_MAX 256u /* addresses of one: the last byte tells them apart */
/* Of all together, because each is a listener for each port; namespaces share them (fair.c). */
#define RANGES_MAX 4096u

struct mt_range {
	struct mt_host *host;
	const struct mt_text *text;
	uint32_t at; /* in spec.addresses */
	struct mt_addr net;
	uint32_t n; /* addresses of the network */
	struct mt_addr *addrs;
	uint32_t n_addrs; /* that are answered */
};

static uint32_t size_of(const struct mt_addr *a, uint8_t prefix)
{
	uint32_t bits = (mt_addr_is4(a) ? 32u : 128u) - prefix;

	return bits <= 8 ? 1u << bits : UINT32_MAX;
}

static struct mt_addr nth(const struct mt_range *r, uint32_t i)
{
	struct mt_addr a = r->net;

	a.b[15] = (uint8_t)(a.b[15] + i);
	return a;
}

/* Where hosts of others are: they would not be reached any more. */
static bool is_connected(const struct mt_build *b, const struct mt_addr *net, uint8_t prefix)
{
	const struct mt_node *n = b->model->node;

	for (uint32_t i = 0; n && i < n->n_ports; i++)
		for (uint32_t k = 0; k < n->ports[i].n_addresses; k++) {
			const struct mt_node_addr *own = &n->ports[i].addresses[k];

			if (mt_prefix_contains(&own->addr, own->prefix, net) ||
				mt_prefix_contains(net, prefix, &own->addr))
				return true;
		}
	return false;
}

static void tell(struct mt_build *b, const struct mt_host *h, uint32_t i, const char *why)
{
	const struct mt_text *t = &h->se->addresses[i];
	char path[MT_INDEX_PATH];

	mt_b_warn(b, &h->se->meta, t->line, mt_index_path(path, "spec.addresses", i, ""),
		"write single addresses", "\"%.64s\" is not answered: %s", t->s, why);
}

void mt_b_range(
	struct mt_build *b, struct mt_host *h, uint32_t i, const struct mt_addr *a, uint8_t prefix)
{
	const struct mt_text *t = &h->se->addresses[i];
	uint32_t n = size_of(a, prefix);
	struct mt_range *r;

	if (n > RANGE_MAX || is_connected(b, a, prefix)) {
		tell(b, h, i,
			n > RANGE_MAX ? "only networks of 256 addresses are"
				      : "the node is connected to it, and others are there");
		return;
	}
	r = mt_region_push(&b->tmp, (void **)&b->ranges, &b->n_ranges, sizeof(*r));
	if (!r)
		return;
	*r = (struct mt_range){.host = h, .text = t, .at = i, .net = *a, .n = n};
	r->net.b[15] &= (uint8_t) ~(n - 1);
	mt_fair_want(&b->range_shares, &b->tmp, h->se->meta.ns, n);
}

/* All instances' addresses: a client that calls one of them itself is not called to the service. */
static void index_instances(struct mt_build *b, struct mt_idmap *to)
{
	for (uint32_t i = 0; i < b->n_hosts; i++)
		for (uint32_t k = 0; k < b->host_list[i].n_workloads; k++)
			if (mt_idmap_put(
				    to, mt_id_of_addr(&b->host_list[i].workloads[k]->address), b))
				b->tmp.failed = true;
}

static bool is_free(struct mt_build *b, const struct mt_range *r, const struct mt_idmap *instances,
	const struct mt_addr *a)
{
	return !mt_idmap_get(instances, mt_id_of_addr(a)) && !mt_b_not_servable(b, a) &&
	       !mt_idmap_get(&b->explicit_addrs, mt_id_of_addr(a)) && !mt_b_is_held(b, r->host, a);
}

static void take(struct mt_build *b, struct mt_range *r, const struct mt_idmap *instances)
{
	char path[MT_INDEX_PATH];

	if (!mt_fair_take(&b->range_shares, r->host->se->meta.ns, r->n)) {
		tell(b, r->host, r->at,
			"of all networks 4,096 addresses are, and its namespace has its share");
		return;
	}
	r->addrs = mt_region_alloc(&b->tmp, sizeof(*r->addrs) * r->n);
	for (uint32_t i = 0; r->addrs && i < r->n; i++) {
		struct mt_addr a = nth(r, i);

		if (!is_free(b, r, instances, &a))
			continue;
		r->addrs[r->n_addrs++] = a;
		mt_b_note_written(b, r->host, &a);
	}
	if (r->n_addrs < r->n)
		mt_b_note(b, &r->host->se->meta, r->text->line,
			mt_index_path(path, "spec.addresses", r->at, ""), NULL,
			"%u of its %u addresses are not answered: they are endpoints', other "
			"services', the Node's or the host's",
			r->n - r->n_addrs, r->n);
}

void mt_b_ranges(struct mt_build *b)
{
	struct mt_idmap instances = {0};

	if (!b->n_ranges)
		return;
	mt_fair_settle(&b->range_shares, &b->tmp, RANGES_MAX);
	index_instances(b, &instances);
	for (uint32_t i = 0; i < b->n_ranges; i++)
		take(b, &b->ranges[i], &instances);
	mt_idmap_fini(&instances);
}

void mt_b_ranges_add(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_ranges; i++) {
		const struct mt_range *r = &b->ranges[i];
		struct mt_host *h = r->host;

		for (uint32_t k = 0; k < r->n_addrs; k++) {
			struct mt_addr *slot = mt_region_push(
				&b->tmp, (void **)&h->addrs, &h->n_addrs, sizeof(*slot));

			if (!slot)
				return;
			*slot = r->addrs[k];
			h->n_unnamed++;
		}
	}
}
