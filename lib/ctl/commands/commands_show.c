/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only commands: rows of the table, nothing else. show_*.c builds the answers. */
#include "mt_ctl_priv.h"

const struct mt_command mt_commands_show[] = {
	{.words = "show version",
		.args = "",
		.help = "version, node, state, uptime",
		.run = mt_show_version},
	{.words = "show ready",
		.args = "",
		.help = "readiness, and the sources and hosts that the node waits for",
		.more = "At the start a node is ready when each source has delivered completely "
			"once, or its stored copy is applied, and when the hosts that the node "
			"served in its last run are served again, except for those removed "
			"meanwhile. The content of `/ready`, line by line with the reason of each. "
			"`accept` ends the waiting.",
		.run = mt_show_ready},
	{.words = "show ports",
		.args = "[TEXT]",
		.help = "ports with link, packets and drops",
		.names = {MT_NAMES_PORT},
		.run = mt_show_ports},
	{.words = "show workers",
		.args = "",
		.help = "load, connections and time by stage of each worker",
		.run = mt_show_workers},
	{.words = "show connections",
		.args = "[EXPRESSION...]",
		.help = "TCP connections, both sides",
		.more = "show connections [EXPRESSION] [top FIELD]\n\nAt most 512 of the "
			"connections that match the expression (`side=client src=10.0.0.0/8 "
			"rtt>20ms rate>1m`); with `top "
			"age|bytes|rate|calls|queued|unacked|retransmits|zero_windows|rtt` those "
			"with the largest values. A single word without an operator selects the "
			"rows that contain it. Rates are bytes per second of the last `rate_ms`: "
			"since the last `show connections`, or since the connection started.",
		.offer = mt_offer_connections,
		.selects = true,
		.run = mt_show_connections},
	{.words = "show exchanges",
		.args = "[EXPRESSION...]",
		.help = "outstanding calls",
		.more = "show exchanges [EXPRESSION] [top age|bytes]\n\nAt most 512, the oldest "
			"first, of the calls that match the expression (`service=*.Demo state=sent "
			"age>100ms`), with the time spent so far: in Meltemi (filters, queue), "
			"connecting, at the server, on the reply to the client.",
		.offer = mt_offer_exchanges,
		.selects = true,
		.run = mt_show_exchanges},
	{.words = "show slow",
		.args = "[EXPRESSION...]",
		.help = "the slowest calls of the last minutes, with the time of each phase",
		.more = "The 16 slowest of each worker, of this minute and the one before it. An "
			"expression selects among them (`method=sayHello status!=ok`).",
		.offer = mt_offer_slow,
		.selects = true,
		.run = mt_show_slow},
	{.words = "show neighbours",
		.args = "[TEXT]",
		.help = "Ethernet addresses of hosts on the links",
		.run = mt_show_neighbours},
	{.words = "show workloads",
		.args = "[TEXT]",
		.help = "addresses on ports of `side: workloads`, and their principals",
		.run = mt_show_workloads},
	{.words = "show services",
		.args = "[TEXT]",
		.help = "services with requests, failures and latency",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_services},
	{.words = "show routes",
		.args = "[TEXT]",
		.help = "routes in order, with match and destinations",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_routes},
	{.words = "show clusters",
		.args = "[TEXT]",
		.help = "endpoints with health, requests and connections",
		.names = {MT_NAMES_CLUSTER},
		.run = mt_show_clusters},
	{.words = "show dns",
		.args = "[TEXT]",
		.help = "names of services, and the servers that other names are forwarded to",
		.run = mt_show_dns},
	{.words = "show limits",
		.args = "[TEXT]",
		.help = "rate limits with tokens left, admitted and refused",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_limits},
	{.words = "show memory",
		.args = "",
		.help = "pools: size, in use, minimum free; remaining budgets and their next mark; "
			"memory by class and holder",
		.more = "Budgets count whole buffers: one byte of payload uses a buffer. Each "
			"worker has its own data buffers; below 30, 20 and 10 % free it accepts "
			"less and less, so that overload ends in counted refusals. The memory of "
			"connections is charged to their peer's address by class; when a class has "
			"used its share, the largest connection of the largest holder is evicted.",
		.run = mt_show_memory},
	{.words = "show counters",
		.args = "[TEXT]",
		.help = "every counter, by name",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_counters},
	{.words = "show health",
		.args = "[TEXT]",
		.help = "health checks: problems, each with a remedy",
		.run = mt_show_health},
	{.words = "show errors",
		.args = "[TEXT]",
		.help = "errors, refusals and drops, with reason and remedy",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_errors},
	{.words = "show meaning",
		.args = "[TEXT]",
		.help = "meaning and remedy of each counter",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_meaning},
	{.words = "show config",
		.args = "",
		.help = "the active configuration and its diagnostics",
		.run = mt_show_config},
	{.words = "show objects",
		.args = "[TEXT]",
		.help = "what becomes of each document: in force, refused, fail-closed, "
			"ignored, and why",
		.more = "Each document, and each item of a List, stands here once. "
			"`show objects STATUS` has those of one status (in-force, "
			"in-force-with-notes, elsewhere, ignored, no-effect, shadowed, waiting, "
			"fail-closed, last-good, refused: docs/reference/objects.md); any other "
			"text those that contain it. A text that is neither a status nor in any "
			"row is an error (exit status 2). `meltemid --check --json` prints the "
			"same before a start.",
		.names = {MT_NAMES_STATUS},
		.run = mt_show_objects,
		.none = mt_none_objects},
	{.words = "show last-good",
		.args = "[TEXT]",
		.help = "documents in force in their last good version, because the current one "
			"cannot be used",
		.run = mt_show_last_good},
	{.words = "show config origin",
		.args = "[TEXT]",
		.help = "origin of each object of it: file and line, or resource and version",
		.run = mt_show_origin},
	{.words = "show mesh",
		.args = "",
		.help = "mesh identity, control planes, resource versions, last rejection",
		.run = mt_show_mesh},
	{.words = "show identity",
		.args = "",
		.help = "the node's certificates, and the roots that verify its peers",
		.more = "The certificate of the Node's `spec.identity`, else that of the first "
			"source that has one, then those of `spec.identities`, with number, end "
			"and where each is from; "
			"state `last-good`: the current one cannot be used, and why; the roots "
			"with their ends; handshakes of each worker.",
		.run = mt_show_identity},
	{.words = "show xds",
		.args = "[TEXT]",
		.help = "discovery servers: streams, types, versions, problems",
		.run = mt_show_xds},
	{.words = "show resources",
		.args = "[TEXT]",
		.help = "resources of discovery servers, each with its state and reason",
		.run = mt_show_resources},
	{0},
};
