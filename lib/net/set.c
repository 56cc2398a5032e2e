/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of addresses: built once by the control thread, read by workers. */
#include "mt_net_priv.h"

#include <errno.h>

int net_set_init(struct net_set *s, uint32_t cap)
{
	uint32_t slots = rte_align32pow2(MT_MAX(2 * cap, 8u));

	mt_addr_hash_ready();
	s->n = 0;
	s->mask = slots - 1;
	s->slots = calloc(slots, sizeof(*s->slots));
	s->list = calloc(MT_MAX(cap, 1u), sizeof(*s->list));
	if (s->slots && s->list)
		return 0;
	net_set_fini(s);
	return -ENOMEM;
}

void net_set_fini(struct net_set *s)
{
	free(s->slots);
	free(s->list);
	s->slots = NULL;
	s->list = NULL;
}

void net_set_add(struct net_set *s, const struct net_addr *a)
{
	uint32_t i = mt_addr_hash(&a->addr) & s->mask;

	if (net_set_find(s, &a->addr))
		return;
	while (s->slots[i])
		i = (i + 1) & s->mask;
	s->list[s->n++] = *a;
	s->slots[i] = s->n;
}

/* ---- sets of (address, port, protocol) ------------------------------------------------------ */

bool net_rows_has(const struct net_rows *r, const struct mt_addr *a, uint16_t port, uint8_t proto)
{
	for (uint32_t i = mt_addr_port_hash(a, port, proto) & r->mask; r->slots[i].port;
		i = (i + 1) & r->mask) {
		const struct mt_net_row *row = &r->slots[i];

		if (row->port == port && row->proto == proto && mt_addr_eq(&row->addr, a))
			return true;
	}
	return false;
}

int net_rows_init(struct net_rows *r, const struct mt_net_row *rows, uint32_t n)
{
	uint32_t slots = rte_align32pow2(MT_MAX(2 * n, 2u));

	mt_addr_hash_ready();
	r->n = 0;
	r->mask = slots - 1;
	r->slots = calloc(slots, sizeof(*r->slots));
	if (!r->slots)
		return -ENOMEM;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t i =
			mt_addr_port_hash(&rows[k].addr, rows[k].port, rows[k].proto) & r->mask;

		if (rows[k].port == 0 ||
			net_rows_has(r, &rows[k].addr, rows[k].port, rows[k].proto))
			continue;
		while (r->slots[i].port)
			i = (i + 1) & r->mask;
		r->slots[i] = rows[k];
		r->n++;
	}
	return 0;
}
