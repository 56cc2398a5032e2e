/* SPDX-License-Identifier: Apache-2.0 */
/* Host names that the node resolves, and the servers that it queries for other names. */
#include "mt_ctl_priv.h"
#include "mt_dns_server.h"

#include <stdio.h>
#include <string.h>

static uint64_t counted(struct mt_ctl *c, enum mt_dns_outcome o)
{
	uint64_t sum = mt_count_read(&mt_dns_server_counters(c->env.dns)[o]);

	for (uint16_t w = 0; w < c->env.n_workers; w++)
		sum += mt_count_read(&mt_worker_names_counters(c->env.workers[w])[o]);
	return sum;
}

static json_t *servers(struct mt_ctl *c)
{
	struct mt_dns_upstream_info info;
	json_t *list = json_array();

	for (uint32_t i = 0; mt_dns_server_upstream(c->env.dns, i, &info); i++) {
		char text[MT_ADDR_STRLEN];

		mt_addr_port_str(&info.address.addr, info.address.port, text);
		mt_json_add(list, MT_M("server", text), MT_M("queries", info.asked),
			MT_M("answered", info.answered), MT_M("silent", info.silent),
			MT_M("state", info.loops   ? "sends queries back, not used"
				      : info.aside ? "silent, queried last"
						   : "in use"));
	}
	return list;
}

static json_t *names(struct mt_ctl *c)
{
	static const char *const origins[MT_DNS_N_ORIGINS] = {[MT_DNS_OF_DOCUMENTS] = "documents",
		[MT_DNS_OF_NAME_TABLE] = "name table",
		[MT_DNS_OF_LISTENERS] = "listeners"};
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	struct mt_dns_name_info info;
	json_t *list = json_array();
	uint32_t idx = 0;

	while (s && mt_dns_table_next(s->dns, &idx, &info)) {
		char text[MT_ADDR_STRLEN];
		struct mt_text_buf all = {0};

		for (uint32_t i = 0; i < info.n_addrs; i++)
			mt_text_add(&all, "%s%s", i ? " " : "", mt_addr_str(&info.addrs[i], text));
		mt_json_add(list, MT_M("name", info.host), MT_M("addresses", all.p ? all.p : ""),
			MT_M("origin", origins[info.origin]),
			MT_M("note", info.differs ? "another source has other addresses" : ""));
		mt_text_fini(&all);
	}
	return list;
}

/* Addresses at which clients can query. */
static json_t *asked_at(struct mt_ctl *c)
{
	struct mt_dns_address at = mt_dns_server_listens(c->env.dns);
	char text[MT_ADDR_STRLEN];
	json_t *list = json_array();

	if (at.port)
		json_array_append_new(list, json_string(mt_addr_port_str(&at.addr, at.port, text)));
	for (uint32_t i = 0; i < c->env.n_dns_addrs; i++)
		json_array_append_new(
			list, json_string(mt_addr_port_str(&c->env.dns_addrs[i], 53, text)));
	return list;
}

/* Networks whose clients are answered; empty: all clients are answered. */
static json_t *allowed(struct mt_ctl *c)
{
	const struct mt_dns_allow *a = c->env.dns_allow;
	json_t *list = json_array();

	for (uint32_t i = 0; a && i < a->n; i++) {
		char text[MT_ADDR_STRLEN], net[MT_ADDR_STRLEN + 8];

		snprintf(net, sizeof(net), "%s/%u", mt_addr_str(&a->nets[i].addr, text),
			a->nets[i].bits);
		json_array_append_new(list, json_string(net));
	}
	return list;
}

json_t *mt_show_dns(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);

	if (!c->env.dns)
		return mt_json_object(
			MT_M("dns", "names are not answered for; `dns: {}` in the Node does"));
	return mt_json_object(MT_M("names", mt_dns_table_names(s ? s->dns : NULL)),
		MT_M("queries", counted(c, MT_DNS_queries)),
		MT_M("answered", counted(c, MT_DNS_answered)),
		MT_M("no_such_name", counted(c, MT_DNS_no_such_name)),
		MT_M("forwarded", counted(c, MT_DNS_forwarded)),
		MT_M("not_allowed", counted(c, MT_DNS_not_allowed)),
		MT_M("forwarded_answers", counted(c, MT_DNS_forwarded_answers)),
		MT_M("waiting", mt_dns_server_waiting(c->env.dns)), MT_M("addresses", asked_at(c)),
		MT_M("allowed", allowed(c)), MT_M("servers", servers(c)), MT_M("table", names(c)));
}
