/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machines that WorkloadEntries name, and why some are not connected. */
#include "mt_conf_guests.h"
#include "mt_ctl_priv.h"
#include "mt_guests.h"
#include "mt_port_guest_list.h"
#include "mt_worker_guests.h"

#include <stdio.h>
#include <string.h>

#define ADDRESSES_LEN (MT_GUEST_ADDRESSES_MAX * (MT_ADDR_STRLEN + 1))

/* Writes the addresses with commas between them. */
static const char *addresses_of(const struct mt_conf_guest *g, char text[ADDRESSES_LEN])
{
	char one[MT_ADDR_STRLEN];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < g->n_addresses; i++)
		len += (size_t)snprintf(text + len, ADDRESSES_LEN - len, "%s%s", i ? "," : "",
			mt_addr_str(&g->addresses[i], one));
	return text;
}

/* Finds the attached guest of this name. False: there is none. */
static bool find_attached(const struct mt_ctl *c, const char *name, struct mt_guest_attached *a)
{
	uint32_t at = 0;

	while (c->env.guests && mt_guest_list_next(c->env.guests, &at, a))
		if (strcmp(a->name, name) == 0)
			return true;
	return false;
}

#define REASON_LEN (MT_PORT_WAIT_LEN + 160)

/* Why the guest is not connected; "": it is. */
static const char *reason_of(const struct mt_ctl *c, const struct mt_conf_guest *g,
	const struct mt_guest_attached *a, char text[REASON_LEN])
{
	char why[MT_PORT_WAIT_LEN];

	if (g->refused)
		return g->refused;
	if (!a)
		return c->env.guests ? "it is attached in the next second"
				     : "the node was started without spec.guests";
	if (!a->port)
		return a->why;
	if (a->port->link_up)
		return "";
	snprintf(text, REASON_LEN, "%s (%s)", mt_socket_wait_str(a->port->wait, a->socket, why),
		mt_port_wait_remedy(a->port->wait));
	return text;
}

#define DROPPED_LEN 256

/* Frames of the guest that were dropped, by reason: "mac 3, ip4 1". */
static const char *dropped_of(
	const struct mt_ctl *c, const struct mt_guest_attached *a, char text[DROPPED_LEN])
{
	size_t len = 0;

	text[0] = '\0';
	for (uint16_t v = MT_GUEST_PASS + 1; a && v < MT_GUEST_VERDICTS; v++) {
		uint64_t n = mt_guest_hub_count(c->env.guest_hub, a->number, v);

		if (n && len < DROPPED_LEN)
			len += (size_t)snprintf(text + len, DROPPED_LEN - len, "%s%s %llu",
				len ? ", " : "", mt_guest_verdict_str(v), (unsigned long long)n);
	}
	return text;
}

static void add_guest(struct mt_ctl *c, json_t *list, const struct mt_conf_guest *g)
{
	char mac[RTE_ETHER_ADDR_FMT_SIZE] = "", text[ADDRESSES_LEN], reason[REASON_LEN];
	struct mt_guest_attached found, *a = find_attached(c, g->name, &found) ? &found : NULL;
	bool up = !g->refused && a && a->port && a->port->link_up;
	char dropped[DROPPED_LEN];

	if (!g->refused)
		rte_ether_format_addr(mac, sizeof(mac), (const struct rte_ether_addr *)g->mac);
	mt_json_add(list, MT_M("guest", g->name),
		MT_M("state", g->refused ? "refused"
			      : up	 ? "connected"
					 : "not connected"),
		MT_M("addresses", mt_json_known(addresses_of(g, text))),
		MT_M("mac", mt_json_known(mac)), MT_M("socket", mt_json_known(g->socket)),
		MT_M("dropped", mt_json_known(dropped_of(c, g->refused ? NULL : a, dropped))),
		MT_M("reason", mt_json_known(reason_of(c, g, a, reason))),
		MT_M("origin", mt_json_origin(g->file, g->line)));
}

json_t *mt_show_guests(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_conf_guests *all = s ? mt_conf_guests(s) : NULL;
	json_t *list = json_array();

	for (uint32_t i = 0; all && i < all->n; i++)
		add_guest(c, list, &all->v[i]);
	return mt_json_object(MT_M("guests", list));
}
