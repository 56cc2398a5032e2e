/* SPDX-License-Identifier: Apache-2.0 */
/* `show health`: runs all checks. A check without findings gets one row that reports success. */
#include "mt_health.h"

#include <stdarg.h>
#include <net/if.h>
#include <stdio.h>

#include <rte_ethdev.h>

#define FINDINGS_MAX 20 /* per check: a cluster of 10,000 dead endpoints is one problem */

static const struct {
	const char *name;
	mt_check_fn *run;
	const char *fine; /* text if there are no findings */
} checks[] = {
	{"state", mt_check_state, "serving"},
	{"configuration", mt_check_configuration, "the newest documents are in use"},
	{"state directory", mt_check_state_directory, "it can be written"},
	{"ports", mt_check_ports, "all links are up"},
	{"spread", mt_check_spread, "no worker gets much more packets than the others"},
	{"neighbours", mt_check_neighbours, "every host that is spoken to answers"},
	{"workers", mt_check_workers, "none is near its limit"},
	{"memory", mt_check_memory, "all pools have room"},
	{"endpoints", mt_check_endpoints, "every cluster has its servers"},
	{"answers", mt_check_answers, "no call or connection waits unusually long for its server"},
	{"limits", mt_check_limits, "no limit that has refused requests is used up now"},
	{"names", mt_check_names, "names of endpoints resolve, and the name servers answer"},
	{"control planes", mt_check_control_planes, "all are connected, nothing is refused"},
	{"certificates", mt_check_certificates, "none ends soon"},
	{"identity", mt_check_identity, "the node's identity is usable, or none is configured"},
	{"authorization services", mt_check_asks, "all are reachable, or none is used"},
	{"rate limit services", mt_check_limit_services, "all are reachable, or none is used"},
	{"keys of tokens", mt_check_jwks, "all were fetched, or none is needed"},
	{"access log", mt_check_access_log, "no output of an access log fails"},
	{"errors", mt_check_errors, "nothing was refused or lost in the last minute"},
};

void mt_found(struct mt_health *h, enum mt_finding_state s, const char *about, const char *remedy,
	const char *fmt, ...)
{
	static const char *const words[] = {"ok", "note", "warning", "fault"};
	char text[512];
	va_list ap;

	h->n += s != MT_FOUND_OK;
	if (h->n > FINDINGS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mt_json_add(h->list, MT_M("check", h->check), MT_M("state", words[s]), MT_M("about", about),
		MT_M("words", text), MT_M("also_counted", mt_json_known(h->also)),
		MT_M("remedy", mt_json_known(remedy)));
}

const char *mt_first_of(
	char words[MT_FIRST_OF], uint32_t n, const char *things, const char *command)
{
	if (n < 2)
		return "";
	snprintf(words, MT_FIRST_OF, "%u %s (`%s`), first: ", n, things, command);
	return words;
}

/* Cores and devices of this node, for tools that inspect the host. */
static json_t *node_of(const struct mt_ctl *c)
{
	json_t *cores = json_array(), *ports = json_array();

	for (uint16_t i = 0; c->env.cores && i < c->env.n_workers; i++)
		json_array_append_new(cores, json_integer(c->env.cores[i]));
	for (uint16_t i = 0; i < c->env.n_ports; i++) {
		const struct mt_port *p = c->env.ports[i];
		char device[RTE_ETH_NAME_MAX_LEN] = "", interface[IF_NAMESIZE] = "";
		struct rte_eth_dev_info info;

		if (!p->workers)
			continue;
		if (rte_eth_dev_is_valid_port(p->dpdk_id) &&
			rte_eth_dev_get_name_by_port(p->dpdk_id, device) == 0 &&
			rte_eth_dev_info_get(p->dpdk_id, &info) == 0 && info.if_index)
			(void)if_indextoname(info.if_index, interface);
		mt_json_add(ports, MT_M("name", p->name), MT_M("device", device),
			MT_M("interface", interface));
	}
	return mt_json_object(MT_M("cores", cores), MT_M("ports", ports));
}

json_t *mt_show_health(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_health h = {.c = c, .list = json_array()};

	for (size_t i = 0; i < MT_ARRAY_LEN(checks); i++) {
		uint32_t found;

		h.check = checks[i].name;
		h.n = 0;
		checks[i].run(&h);
		found = h.n;
		if (found == 0)
			mt_found(&h, MT_FOUND_OK, "", NULL, "%s", checks[i].fine);
		if (found > FINDINGS_MAX) {
			h.n = 0;
			mt_found(&h, MT_FOUND_NOTE, "", NULL, "and %u more of this kind",
				found - FINDINGS_MAX);
		}
	}
	return mt_json_object(MT_M("health", h.list), MT_M("node", node_of(c)));
}
