/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual machines that WorkloadEntries name, and why some are refused. */
#include "mt_conf_guests.h"
#include "mt_ctl_priv.h"
#include "mt_guests.h"

#include <stdio.h>

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

json_t *mt_show_guests(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	const struct mt_conf_guests *all = s ? mt_conf_guests(s) : NULL;
	json_t *list = json_array();

	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct mt_conf_guest *g = &all->v[i];
		char mac[RTE_ETHER_ADDR_FMT_SIZE] = "", text[ADDRESSES_LEN];

		if (!g->refused)
			rte_ether_format_addr(
				mac, sizeof(mac), (const struct rte_ether_addr *)g->mac);
		mt_json_add(list, MT_M("guest", g->name),
			MT_M("state", g->refused ? "refused" : "not connected"),
			MT_M("addresses", mt_json_known(addresses_of(g, text))),
			MT_M("mac", mt_json_known(mac)), MT_M("socket", mt_json_known(g->socket)),
			MT_M("reason", g->refused ? g->refused : "no guest is connected yet"),
			MT_M("origin", mt_json_origin(g->file, g->line)));
	}
	return mt_json_object(MT_M("guests", list));
}
