/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of VirtualServices for forwarded ports of TCP. They have no effect there, because a port
 * has one set of endpoints, so the rule that clients of the port would follow gets a warning.
 */
#include "mt_conf_forward_priv.h"

#include <netinet/in.h>
#include <stdio.h>

/* True if the rule leads to all endpoints of the port, as layer 4 does without it. */
static bool leads_home(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_rule *r, const struct mt_meta *by)
{
	const struct mt_dest *d = &r->dests[0].dest;

	return r->n_dests == 1 && !d->subset.s && mt_b_host(b, d->host.s, by->ns) == h &&
	       (!d->port.number.set || d->port.number.v == u->port->number.v);
}

static void tell(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_rule_list *list)
{
	const struct mt_virtual_service *vs = h->bytes.vs;
	const struct mt_route_for f = {.meta = &vs->meta,
		.list = list,
		.ns = h->se->meta.ns,
		.codec = u->codec,
		.port = (uint16_t)u->port->number.v};
	uint32_t i;
	const struct mt_rule *r = mt_b_tcp_rule(b, &f, &i);
	const struct mt_meta *by = r && r->by ? r->by : &vs->meta;
	char path[MT_INDEX_PATH];

	if (!r || leads_home(b, h, u, r, by))
		return;
	mt_b_warn(b, by, r->origin.line,
		mt_index_path(path, "spec.tcp", list->made_of ? r->at : i, ""),
		"terminate the port: remove it from " MT_FORWARDING_ANNOTATION
		" and the Node's spec.forwarding",
		"no effect on port %u of %.128s, which is forwarded: all its endpoints get "
		"connections",
		u->port->number.v, u->host);
}

void mt_b_forward_routes_tell(struct mt_build *b, struct mt_host *h)
{
	const struct mt_rule_list *list = h->bytes.vs ? mt_b_rule_list(h->bytes.vs, NULL) : NULL;

	if (!list || !list->n_rules)
		return;
	for (const struct mt_unit *u = h->forwards; u; u = u->next)
		if (u->transport == IPPROTO_TCP) {
			h->bytes.used = true;
			tell(b, h, u, list);
		}
}
