/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only commands: rows of the table, nothing else. show_*.c builds the answers. */
#include "mt_ctl_priv.h"

const struct mt_command mt_commands_show[] = {
	{.words = "show version", .help = "version, node, state, uptime", .run = mt_show_version},
	{.words = "show ready",
		.help = "readiness, and what the node waits for",
		.more = "At the start a node is ready when each source has delivered completely "
			"once, or its stored copy is applied, and when the hosts that the node "
			"served in its last run are served again, except for those removed "
			"meanwhile. The content of `/ready`, line by line with the reason of each. "
			"`accept` ends the waiting.",
		.run = mt_show_ready},
	{.words = "show ports",
		.args = "[PORT]",
		.key = "name",
		.columns = "name link mac mtu rx_queues rx_packets rx_bytes tx_packets "
			   "tx_bytes dropped",
		.help = "ports with link, packets and drops",
		.names = {MT_NAMES_PORT},
		.run = mt_show_ports},
	{.words = "show workers",
		.columns = "worker core idle_percent wake_p99_us connections half_open "
			   "receive_percent handoff_percent events_percent send_percent",
		.help = "load, connections and time by stage of each worker",
		.run = mt_show_workers},
	{.words = "show connections",
		.args = "[EXPRESSION...]",
		.columns = "id side local remote state of tls calls age_ms rate",
		.help = "TCP connections, both sides",
		.more = "show connections [EXPRESSION] [top FIELD]\n\nAt most 512 of the "
			"connections that match the expression (`side=client src=10.0.0.0/8 "
			"rtt>20ms rate>1m`); with `top "
			"age|bytes|rate|calls|queued|unacked|retransmits|zero_windows|rtt` those "
			"with the largest values. Rates are bytes per second of the last "
			"`rate_ms`: since the last `show connections`, or since the connection "
			"started.",
		.offer = mt_offer_connections,
		.selects = true,
		.run = mt_show_connections},
	{.words = "show exchanges",
		.args = "[EXPRESSION...]",
		.columns = "client service method endpoint state age_us queue_us "
			   "connect_us server_us reply_us",
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
		.columns = "service method endpoint status took_us queue_us connect_us "
			   "server_us reply_us ended",
		.help = "the slowest calls of the last minutes, with the time of each phase",
		.more = "The 16 slowest of each worker, of this minute and the one before it. An "
			"expression selects among them (`method=sayHello status!=ok`). `wide` adds "
			"the client, and `trace`: the trace id of a traced call.",
		.offer = mt_offer_slow,
		.selects = true,
		.run = mt_show_slow},
	{.words = "show denied",
		.help = "callers that were denied, by policy, client, service and reason",
		.more = "The 16 with the most denials since the start; `more`: others. Each "
			"worker keeps 32: if callers are more, `denied` may contain denials of "
			"other ones, and `at_least` does not. A null policy: the reason names "
			"no policy.",
		.run = mt_show_denied},
	{.words = "show neighbours",
		.help = "Ethernet addresses of hosts on the links",
		.run = mt_show_neighbours},
	{.words = "show workloads",
		.help = "addresses on ports of `side: workloads`, and their principals",
		.run = mt_show_workloads},
	{.words = "show guests",
		.help = "virtual machines that WorkloadEntries name, and why one is refused",
		.run = mt_show_guests},
	{.words = "show listeners",
		.args = "[ADDRESS:PORT]",
		.key = "address",
		.columns = "address port server_names protocols detection tls min_version "
			   "client_certificate service origin",
		.help = "addresses and ports, each filter chain with its protocols and TLS",
		.more = "A row for each filter chain. `first bytes` in detection: the client's "
			"first bytes select the chain or the protocol; a client that sends none "
			"within detect_ms counts as plaintext (0: never). A chain with a reason "
			"refuses its clients.",
		.names = {MT_NAMES_LISTENER},
		.run = mt_show_listeners},
	{.words = "show forwarding",
		.args = "[ADDRESS:PORT]",
		.key = "address addresses",
		.columns = "address port protocol mode service endpoints unhealthy refused state "
			   "reason",
		.help = "ports that are forwarded at layer 4, and why one is closed",
		.more = "`refused`: packets of the service that were refused or dropped; `wide` "
			"has them by reason. `rules`: networks of `allow` and `deny`.",
		.names = {MT_NAMES_FORWARD},
		.run = mt_show_forwarding},
	{.words = "show flows",
		.columns = "worker flows capacity kept made expired closed evicted "
			   "over_share table_full",
		.help = "flow tables of layer 4 of each worker: use, and flows made and ended",
		.run = mt_show_flows},
	{.words = "show flows list",
		.args = "[EXPRESSION...]",
		.columns = "worker client vip endpoint service state packets_in "
			   "packets_out idle_ms expires_ms",
		.help = "flows that are forwarded at layer 4",
		.more = "show flows list [EXPRESSION] [top packets|idle]\n\nAt most 512 of the "
			"flows that match the expression (`src=10.0.0.0/8 state=kept "
			"idle_ms>1000`); with `top` those with the largest values. The state of "
			"UDP is `unanswered`, `answered` (it gives way to a new flow when it is "
			"silent for longest) or `kept`, with `dsr` and tunnels `not_kept` or "
			"`kept`, that of TCP `syn_sent`, `syn_received`, "
			"`established`, `half_closed`, `closing`, `time_wait` or `reset`. Packets "
			"of the endpoint are counted while the flow is kept.",
		.offer = mt_offer_flows,
		.selects = true,
		.run = mt_show_flow_list},
	{.words = "show services",
		.args = "[SERVICE]",
		.key = "service",
		.columns = "service listener protocol requests ok app_errors "
			   "local_replies timeouts p50_us p99_us",
		.help = "services with requests, failures and latency",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_services},
	{.words = "show routes",
		.args = "[SERVICE]",
		.key = "service",
		.help = "routes in order, with match and destinations",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_routes},
	{.words = "show clusters",
		.args = "[CLUSTER]",
		.key = "cluster",
		.columns = "cluster state endpoints healthy requests failures connections "
			   "outstanding waiting oldest_call_ms",
		.help = "clusters with the sums of their endpoints",
		.names = {MT_NAMES_CLUSTER},
		.run = mt_show_clusters},
	{.words = "show endpoints",
		.args = "[CLUSTER]",
		.key = "cluster",
		.columns = "cluster endpoint health requests failures outstanding waiting "
			   "oldest_call_ms silent_ms ejected_until",
		.help = "endpoints of each cluster with health, requests and connections",
		.names = {MT_NAMES_CLUSTER},
		.run = mt_show_endpoints},
	{.words = "show dns",
		.help = "names of services, and the servers that other names are forwarded to",
		.run = mt_show_dns},
	{.words = "show limits",
		.args = "[SERVICE]",
		.key = "service rule",
		.columns = "service match tokens max per_fill fill_ms admitted refused "
			   "would_refuse mode",
		.help = "rate limits with tokens left, admitted and refused",
		.names = {MT_NAMES_SERVICE},
		.run = mt_show_limits},
	{.words = "show limits top",
		.columns = "rule key refused error last_ms",
		.help = "the clients, or other keys, that TrafficPolicies refuse most often",
		.more = "The keys that were refused in the last minute, at most 100. `refused` is "
			"halved every 10 s, and at most `error` too high. Keys that may be secrets "
			"are shown by a digest. Other limits have no keys: `trace start "
			"status=over_limit` shows the clients that they refuse.",
		.run = mt_show_limits_top},
	{.words = "show memory",
		.help = "pools: size, in use, minimum free; remaining budgets and their next mark; "
			"memory by class and holder",
		.more = "Budgets count whole buffers: one byte of payload uses a buffer. Each "
			"worker has its own data buffers; below 30, 20 and 10 % free it accepts "
			"less and less, so that overload ends in counted refusals. The memory of "
			"connections is charged to their peer's address by class; when a class has "
			"used its share, the largest connection of the largest holder is evicted.",
		.run = mt_show_memory},
	{.words = "show counters",
		.args = "[COUNTER]",
		.key = "",
		.help = "every counter, by name",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_counters},
	{.words = "show health",
		.help = "health checks: problems, each with a remedy",
		.run = mt_show_health},
	{.words = "show errors",
		.args = "[COUNTER]",
		.key = "name",
		.help = "errors, refusals and drops, with reason and remedy",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_errors},
	{.words = "show meaning",
		.args = "[COUNTER]",
		.key = "name",
		.help = "meaning and remedy of each counter",
		.names = {MT_NAMES_COUNTER},
		.run = mt_show_meaning},
	{.words = "show config",
		.help = "the active configuration and its diagnostics",
		.run = mt_show_config},
	{.words = "show objects",
		.args = "[STATUS]",
		.key = "status",
		.columns = "kind namespace name status severity file line touches reason "
			   "notes",
		.help = "what becomes of each document: in force, refused, fail-closed, "
			"ignored, and why",
		.more = "Each document, and each item of a List, stands here once. "
			"`show objects STATUS` has those of one status (in-force, "
			"in-force-with-notes, elsewhere, ignored, no-effect, shadowed, waiting, "
			"fail-closed, last-good, refused: docs/reference/objects.md), `show "
			"objects where name=NAME` those of that name. An unknown status is an "
			"error (exit status 2). `meltemid --check --json` prints the same before a "
			"start.",
		.names = {MT_NAMES_STATUS},
		.run = mt_show_objects,
		.none = mt_none_objects},
	{.words = "show policies",
		.args = "[POLICY]",
		.key = "name",
		.help = "access policies in force: selection, action, endpoints",
		.more = "AuthorizationPolicy, DubboAuthorizationPolicy, PeerAuthentication and "
			"RequestAuthentication. `endpoints` counts those at which this node "
			"evaluates the policy for each call, `services` the hosts that it "
			"affects, or the services of a gateway that evaluates it. The mode is "
			"`enforced`, `report only` (AUDIT, dry run), `by other proxies`, `fails "
			"closed` or `exempt` (spec.unenforced).",
		.names = {MT_NAMES_POLICY},
		.run = mt_show_policies},
	{.words = "show last-good",
		.columns = "kind namespace name status severity file line touches reason "
			   "notes",
		.help = "documents in force in their last good version, because the current one "
			"cannot be used",
		.run = mt_show_last_good},
	{.words = "show config origin",
		.help = "origin of each object of it: file and line, or resource and version",
		.run = mt_show_origin},
	{.words = "show mesh",
		.columns = "name state identity certificate_left_s cluster servers active waiting "
			   "refused last_nack",
		.help = "mesh identity, control planes, resource versions, last rejection",
		.run = mt_show_mesh},
	{.words = "show identity",
		.columns = "for state principal serial issuer valid_until left_s source "
			   "reason note",
		.help = "the node's certificates, and the roots that verify its peers",
		.more = "The certificate of the Node's `spec.identity`, else that of the first "
			"source that has one, then those of `spec.identities`, with number, end "
			"and where each is from; "
			"state `last-good`: the current one cannot be used, and why; the roots "
			"with their ends; handshakes of each worker.",
		.run = mt_show_identity},
	{.words = "show xds",
		.columns = "name state resources active waiting refused left_out not_served "
			   "changes identity source server cluster stream kind transport "
			   "for_s connects type version wanted responses acks nacks age_s "
			   "not_used reason",
		.help = "discovery servers: streams, types, versions, problems",
		.run = mt_show_xds},
	{.words = "show resources",
		.columns = "source type name state version age_s bytes not_used server "
			   "reason",
		.help = "resources of discovery servers, each with its state and reason",
		.run = mt_show_resources},
	{0},
};
