/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines of WorkloadEntries: their ports follow the snapshot in force. Before a number
 * gets another guest, workers do not know the one before any more (mt_port_guest_hub.h).
 */
#include "daemon.h"

#include "mt_conf_guests.h"
#include "mt_strmap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MTU 1500

/* ---- start ----------------------------------------------------------------------------------- */

/*
 * The Ethernet address towards guests. Without spec.guests.mac it follows from the node's name,
 * because guests keep their gateway's over a restart of the node.
 */
static void choose_mac(const struct mt_node *n, struct rte_ether_addr *mac)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	if (n->guests->mac_text.s) {
		memcpy(mac, n->guests->mac, sizeof(*mac));
		return;
	}
	for (const char *p = n->meta.name ? n->meta.name : ""; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	memcpy(mac, &h, sizeof(*mac));
	mac->addr_bytes[0] = 2; /* administered locally, of one station */
}

static void fill_worker(struct daemon *d)
{
	const struct mt_node_guests *n = d->node->guests;
	const struct mt_node_dns *dns = d->node->dns;
	struct guests *g = &d->guests;

	g->worker.ports = g->ports;
	g->worker.hub = g->hub;
	for (uint32_t i = 0; i < n->n_networks && i < MT_ARRAY_LEN(g->worker.networks); i++)
		g->worker.networks[g->worker.n_networks++] = (struct mt_worker_guest_network){
			n->networks[i].address.addr, n->networks[i].address.prefix};
	snprintf(g->domain, sizeof(g->domain), "svc.%.200s",
		dns && dns->domain.s ? dns->domain.s : "cluster.local");
	g->worker.domain = g->domain;
}

int guests_start(struct daemon *d, struct mt_err *e)
{
	struct mt_guest_hub_conf hub = {.index = d->n_ports,
		.mtu = MTU,
		.n_workers = d->n_workers,
		.n_counters = MT_WORKER_GUEST_COUNTS};
	struct mt_guest_list_conf list = {
		.pairs = (uint16_t)MT_MIN(d->n_workers, MT_VHOST_PAIRS_MAX),
		.mtu = MTU,
		.n_workers = d->n_workers,
		.pools = d->guests.pools,
		.qsbr = d->rcu};
	struct guests *g = &d->guests;

	if (!d->node->guests)
		return 0;
	choose_mac(d->node, &hub.mac);
	list.mac = hub.mac;
	for (uint16_t w = 0; w < d->n_workers; w++)
		g->pools[w] = &d->pools[w];
	g->ports = hub.guests = list.guests = mt_guests_create(d->n_workers, mt_vhost_active);
	g->hub = g->ports ? mt_guest_hub_create(&hub) : NULL;
	g->list = g->hub ? mt_guest_list_create(&list) : NULL;
	if (!g->list)
		return mt_err(e, -ENOMEM, "no memory for the ports of guests");
	d->ports[d->n_ports] = mt_guest_hub_port(g->hub);
	fill_worker(d);
	return 0;
}

void guests_stop(struct daemon *d)
{
	struct guests *g = &d->guests;

	mt_guest_list_destroy(g->list);
	mt_guest_hub_destroy(g->hub);
	mt_guests_destroy(g->ports);
	memset(g, 0, sizeof(*g));
}

/* ---- follow ---------------------------------------------------------------------------------- */

static bool is_same(const struct mt_guest_station *s, const struct mt_guest_attached *a,
	const struct mt_conf_guest *c)
{
	return s && strcmp(s->name, c->name) == 0 && strcmp(a->socket, c->socket) == 0 &&
	       memcmp(s->mac, c->mac, sizeof(s->mac)) == 0 && s->n_addresses == c->n_addresses &&
	       memcmp(s->addresses, c->addresses, c->n_addresses * sizeof(*c->addresses)) == 0;
}

/*
 * Writes the attached guests of the snapshot; `known`: only those that workers know already, and as
 * they are now. Returns their number.
 */
static uint32_t stations(const struct guests *g, const struct mt_strmap *by_name, bool known,
	struct mt_guest_station v[MT_VHOST_MAX])
{
	struct mt_guest_attached a;
	uint32_t at = 0, n = 0;

	while (mt_guest_list_next(g->list, &at, &a)) {
		const struct mt_conf_guest *c = mt_strmap_get(by_name, a.name);

		if (!c || (known && !is_same(mt_guest_hub_find(g->hub, a.number), &a, c)))
			continue;
		v[n] = (struct mt_guest_station){.name = c->name,
			.number = a.number,
			.addresses = c->addresses,
			.n_addresses = c->n_addresses};
		memcpy(v[n++].mac, c->mac, sizeof(c->mac));
	}
	return n;
}

static uint32_t known_now(const struct guests *g)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < MT_VHOST_MAX; i++)
		n += mt_guest_hub_find(g->hub, i) != NULL;
	return n;
}

/* Returns 0 or -ENOMEM; the next second tries again. */
static int follow(struct daemon *d, const struct mt_strmap *by_name,
	const struct mt_guest_wanted *wanted, uint32_t n_wanted)
{
	static struct mt_guest_station v[MT_VHOST_MAX];
	struct guests *g = &d->guests;
	uint32_t kept = stations(g, by_name, true, v), all;
	int rc = 0, set = 0;

	if (kept != known_now(g))
		rc = mt_guest_hub_set(g->hub, v, kept, d->rcu);
	if (rc)
		return rc;
	rc = mt_guest_list_follow(g->list, wanted, n_wanted);
	all = stations(g, by_name, false, v);
	if (all != kept)
		set = mt_guest_hub_set(g->hub, v, all, d->rcu);
	return rc ? rc : set;
}

static void follow_snapshot(struct daemon *d, const struct mt_snapshot *s)
{
	static struct mt_guest_wanted wanted[MT_VHOST_MAX];
	const struct mt_conf_guests *all = mt_conf_guests(s);
	struct mt_strmap by_name = {0};
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; !rc && i < all->n && n < MT_VHOST_MAX; i++) {
		const struct mt_conf_guest *c = &all->v[i];

		if (c->refused)
			continue;
		rc = mt_strmap_put(&by_name, c->name, (void *)c, NULL);
		wanted[n++] = (struct mt_guest_wanted){c->name, c->socket};
	}
	if (!rc)
		rc = follow(d, &by_name, wanted, n);
	if (rc)
		mt_log(MT_LOG_ERROR, "guest", "not all guests are attached: %s", strerror(-rc));
	mt_strmap_fini(&by_name);
}

static void tell_links(struct guests *g)
{
	bool up[MT_VHOST_MAX] = {0};
	struct mt_guest_attached a;
	uint32_t at = 0;

	while (mt_guest_list_next(g->list, &at, &a)) {
		up[a.number] = a.port && a.port->link_up;
		if (up[a.number] != g->up[a.number])
			mt_log(MT_LOG_INFO, "guest", "%s: %s", a.name,
				up[a.number] ? "connected" : "not connected");
	}
	memcpy(g->up, up, sizeof(g->up));
}

void guests_turn(struct daemon *d, uint64_t now)
{
	const struct mt_snapshot *s = mt_conf_current(d->conf);
	struct guests *g = &d->guests;

	if (!g->list || !s || (s == g->seen && now < g->second))
		return;
	follow_snapshot(d, s);
	g->seen = s;
	if (now < g->second)
		return;
	g->second = now + MT_SEC;
	mt_guest_list_watch(g->list);
	tell_links(g);
}
