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
		.help = "whether the node is ready, and what it waits for",
		.more = "At the start a node is ready when each source has delivered whole once, "
			"or "
			"what was kept of it is in force, and when what was served when the node "
			"last ran is served again, but for what was taken away meanwhile. What "
			"`/ready` says, line by line with the reason of each. `accept` ends the "
			"waiting.",
		.run = mt_show_ready},
	{.words = "show ports",
		.args = "[TEXT]",
		.help = "ports with link, packets and what is wrong with them",
		.names = {MT_NAMES_PORT},
		.run = mt_show_ports},
	{.words = "show workers",
		.args = "",
		.help = "load, connections and time by stage of each worker",
		.run = mt_show_workers},
	{.words = "show connections",
		.args = "[EXPRESSION...]",
		.help = "TCP connections, both sides",
		.more = "show connections [EXPRESSION] [top FIELD]\n"
			"\n"
			"At most 512, of those that the expression chooses (`side=client "
			"src=10.0.0.0/8 rtt>20ms rate>1m`); with `top age|bytes|rate|calls|queued|"
			"unacked|retransmits|zero_windows|rtt` those that have the most of it. A "
			"single word without a sign chooses the rows that hold it. Rates are bytes "
			"per second of the last `rate_ms`: since somebody looked, or since the "
			"connection began.",
		.offer = mt_offer_connections,
		.run = mt_show_connections},
	{.words = "show exchanges",
		.args = "[EXPRESSION...]",
		.help = "calls that are under way",
		.more = "show exchanges [EXPRESSION] [top age|bytes]\n"
			"\n"
			"At most 512, the oldest first, of those that the expression chooses "
			"(`service=*.Demo state=sent age>100ms`), with where their time went so "
			"far: with "
			"Meltemi (filters, queue), connecting, at the server, back to the client.",
		.offer = mt_offer_exchanges,
		.run = mt_show_exchanges},
	{.words = "show slow",
		.args = "[EXPRESSION...]",
		.help = "the slowest calls of the last minutes, and where their time went",
		.more = "The 16 slowest of each worker, of this minute and the one before it. An "
			"expression "
			"chooses among them (`method=sayHello status!=ok`).",
		.offer = mt_offer_slow,
		.run = mt_show_slow},
	{.words = "show neighbours",
		.args = "[TEXT]",
		.help = "Ethernet addresses of hosts on the links",
		.run = mt_show_neighbours},
	{.words = "show workloads",
		.args = "[TEXT]",
		.help = "addresses that live on ports of `side: workloads`, and their principals",
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
		.help = "names of services, and the servers that are asked about others",
		.run = mt_show_dns},
	{.words = "show limits",
		.args = "[TEXT]",
		.help = "rate limits with tokens left, admitted and refused",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_limits},
	{.words = "show memory",
		.args = "",
		.help = "pools: size, in use, fewest free; what is left of budgets, and what "
			"happens next; who holds how much",
		.more = "Budgets count buffers whole: a byte of payload in a buffer holds all of "
			"it. A "
			"worker has its data buffers to itself; below 30, 20 and 10 % of them free "
			"it takes "
			"less and less, so that overload ends in refusals that are counted. What "
			"connections hold is charged to their peer's address by class; when a "
			"class "
			"is at its share, the largest connection of the largest holder gives way.",
		.run = mt_show_memory},
	{.words = "show counters",
		.args = "[TEXT]",
		.help = "every counter, by name",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_counters},
	{.words = "show health",
		.args = "[TEXT]",
		.help = "what is not as it should be, each with a remedy",
		.run = mt_show_health},
	{.words = "show errors",
		.args = "[TEXT]",
		.help = "what was refused, dropped or went wrong, why, and what helps",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_errors},
	{.words = "show meaning",
		.args = "[TEXT]",
		.help = "what each counter counts, and what to do about it",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_meaning},
	{.words = "show config",
		.args = "",
		.help = "the configuration in use, and what was said about it",
		.run = mt_show_config},
	{.words = "show objects",
		.args = "[TEXT]",
		.help = "what becomes of each document: in force, refused, fail-closed, "
			"ignored, and why",
		.more = "Each document, and each item of a List, stands here once. "
			"`show objects STATUS` has those of one status (in-force, "
			"in-force-with-notes, elsewhere, ignored, no-effect, shadowed, waiting, "
			"fail-closed, last-good, refused: docs/reference/objects.md); any other "
			"text those that hold it. `meltemid --check --json` prints the same "
			"before a start.",
		.names = {MT_NAMES_STATUS},
		.run = mt_show_objects},
	{.words = "show last-good",
		.args = "[TEXT]",
		.help = "documents in force in their last good version, because the current one "
			"cannot be used",
		.run = mt_show_last_good},
	{.words = "show config origin",
		.args = "[TEXT]",
		.help = "where each object of it was said: file and line, or resource and version",
		.run = mt_show_origin},
	{.words = "show mesh",
		.args = "",
		.help = "who the node is in its mesh, who tells it, versions, and the last refusal",
		.run = mt_show_mesh},
	{.words = "show identity",
		.args = "",
		.help = "whose certificate the node shows to its peers, and by which roots it "
			"believes them",
		.more = "The certificate of the Node's `spec.identity`, else that of the first "
			"source that has one, then those of `spec.identities`, with number, end "
			"and where each is from; "
			"state `last-good`: the current one cannot be used, and why; the roots "
			"with their ends; handshakes of each worker.",
		.run = mt_show_identity},
	{.words = "show xds",
		.args = "[TEXT]",
		.help = "discovery servers: streams, types, versions, and what is wrong",
		.run = mt_show_xds},
	{.words = "show resources",
		.args = "[TEXT]",
		.help = "what discovery servers said, each with its state and why",
		.run = mt_show_resources},
	{0},
};
