/* SPDX-License-Identifier: Apache-2.0 */
/* Checks ports, the spread of packets over workers, hosts on the links, and name servers. */
#include "mt_health.h"

#include "mt_name_table.h"

#include <string.h>

#define SPREAD_PACKETS 100000 /* minimum for this check */
#define SPREAD_TIMES   2      /* warn above this multiple of an even share */
#define NAMES	       16     /* most names of endpoints in findings */

void mt_check_ports(struct mt_health *h)
{
	for (uint16_t i = 0; i < h->c->env.n_ports; i++) {
		const struct mt_port *p = h->c->env.ports[i];
		char why[MT_PORT_WAIT_LEN];

		if (p->gone)
			mt_found(h, MT_FOUND_FAULT, p->name, mt_port_gone_remedy(p->gone),
				"the %s was removed", mt_port_gone_str(p->gone));
		else if (p->wait)
			mt_found(h, MT_FOUND_FAULT, p->name, mt_port_wait_remedy(p->wait),
				"the link is down: %s", mt_port_wait_str(p, why));
		else if (!p->link_up)
			mt_found(h, MT_FOUND_FAULT, p->name,
				"look at cable, switch port, or the other end of the veth or "
				"socket",
				"the link is down");
	}
}

/* Checks ports with several queues only, because a device with one queue spreads nothing. */
void mt_check_spread(struct mt_health *h)
{
	for (uint16_t i = 0; i < h->c->env.n_ports; i++) {
		const struct mt_port *p = h->c->env.ports[i];
		uint64_t sum = 0, most = 0;
		uint16_t who = 0;

		if (!p->workers || p->n_rxq < 2)
			continue;
		for (uint16_t w = 0; w < p->n_workers; w++) {
			uint64_t n = mt_count_read(&p->workers[w].counters[MT_PORT_rx_packets]);

			sum += n;
			if (n > most) {
				most = n;
				who = w;
			}
		}
		if (sum >= SPREAD_PACKETS && most * p->n_rxq > sum * SPREAD_TIMES)
			mt_found(h, MT_FOUND_WARNING, p->name,
				"a few clients with much traffic each cannot be spread; else look "
				"at "
				"the device's RSS key and table, and at tunnels in front of it",
				"worker %u got %llu %% of the packets of %u queues", who,
				(unsigned long long)(most * 100 / sum), p->n_rxq);
	}
}

void mt_check_neighbours(struct mt_health *h)
{
	struct mt_net_neigh_info info;
	uint32_t idx = 0;

	while (h->c->env.net && mt_net_neigh_next(h->c->env.net, &idx, &info)) {
		char addr[MT_ADDR_STRLEN];
		const char *port =
			info.port < h->c->env.n_ports ? h->c->env.ports[info.port]->name : "?";

		if (strcmp(info.state, "failed") == 0)
			mt_found(h, MT_FOUND_FAULT, mt_addr_str(&info.addr, addr),
				"is the host up, on this link, and the address right? Connections "
				"that need it fail at once",
				"answers no %s on %s",
				mt_addr_is4(&info.addr) ? "ARP request" : "neighbour solicitation",
				port);
	}
}

/* Names of endpoints that do not resolve, or have more addresses than are used. */
static void check_resolved(struct mt_health *h)
{
	const struct mt_name_table *t = h->c->env.names;
	uint64_t wall = h->c->env.clock ? mt_clock_wall(h->c->env.clock, h->c->now) / MT_SEC : 0;
	struct mt_name_state s;
	uint32_t pos = 0, n = 0;
	const char *name;

	while (t && (name = mt_name_table_next(t, &pos, &s)) != NULL) {
		uint64_t at = (uint64_t)s.failed_at;

		if (n++ >= NAMES)
			continue;
		if (!s.failed_at)
			mt_found(h, MT_FOUND_NOTE, name, NULL,
				"has %u addresses, more than are used: %u of a family, in order",
				s.n + s.more, MT_NAME_FAMILY);
		else
			mt_found(h, s.n ? MT_FOUND_WARNING : MT_FOUND_FAULT, name,
				"is the name right, and does a server of /etc/resolv.conf know it?",
				"has not resolved for %llu s (%s): %s",
				(unsigned long long)(wall > at ? wall - at : 0), s.why,
				s.n ? "its last addresses are used" : "it has no address");
	}
	if (n > NAMES)
		mt_found(h, MT_FOUND_WARNING, "", "correct the others first: only some are listed",
			"%u more names of endpoints do not resolve, or have more addresses than "
			"are used",
			n - NAMES);
}

void mt_check_names(struct mt_health *h)
{
	struct mt_dns_upstream_info info;

	check_resolved(h);
	for (uint32_t i = 0; h->c->env.dns && mt_dns_server_upstream(h->c->env.dns, i, &info);
		i++) {
		char text[MT_ADDR_STRLEN];

		if (info.loops)
			mt_found(h, MT_FOUND_FAULT,
				mt_addr_port_str(&info.address.addr, info.address.port, text),
				"write other servers into spec.dns.upstream, or take this node out "
				"of that server's configuration",
				"sends this node's queries back to it, so it is not used");
		else if (info.aside)
			mt_found(h, MT_FOUND_WARNING,
				mt_addr_port_str(&info.address.addr, info.address.port, text),
				"is that name server up and reachable? `show dns`",
				"left %llu of %llu questions unanswered, is queried last now",
				(unsigned long long)info.silent, (unsigned long long)info.asked);
	}
}
