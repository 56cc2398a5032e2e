/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remedies for outcomes. The row of an outcome describes what happened, and this table what helps.
 * Errors and refusals must have a row here (a test checks that); others have one if something
 * helps.
 */
#include "mt_telemetry.h"

#include <string.h>

#define MEMORY                                                                                     \
	"raise spec.memory.mb in the Node and restart; `show memory` shows which pool runs empty"
#define CLOSED "`show objects` names the object that fails closed, and the reason"
#define UNLENT                                                                                     \
	"the endpoints have proxies that require a mesh identity, and these callers may not use "  \
	"this node's: list them in the Node's spec.mesh.nodeIdentityUse if they should"
#define DENIED                                                                                     \
	"no action if the policy is intended; otherwise `explain` of such a call, or a trace, "    \
	"names the policy, and `show objects` shows what it selects"
#define SERVER                                                                                     \
	"look at the server and the path to it: `show endpoints`, `show neighbours`, its own log"
#define PATH "damage or an old copy on the path; if it grows, look at its links and switches"
#define HOSTILE                                                                                    \
	"one is chance, many are a scan or an attack: find the sender with `tcpdump` on the link"
/* A server in plaintext may take the ClientHello for the length of a message and wait for more. */
#define SLOW_HANDSHAKE                                                                             \
	"of a server: `show outliers` names it; does its port use TLS? Many servers in plaintext " \
	"do not respond to a handshake. Of clients " HOSTILE
#define LIMITED(field)                                                                             \
	"is it traffic that should pass? raise limits." field " in the Node's spec.forwarding"
#define OFFLOAD "on the sending side run `ethtool -K IFACE tx off gso off tso off`"
#define WORKERS "the workers are overloaded: raise spec.workers, or spread the load over more nodes"
#define SOURCES                                                                                    \
	"add addresses to spec.sourceAddresses; each gives 41,000 ports for a server's address "   \
	"and port"
#define NAT_PORTS                                                                                  \
	"with mode nat-full add addresses to the Node's nat.addresses, or endpoints; with mode "   \
	"nat, where one client address uses all ports towards an endpoint, add endpoints"
#define CLIENT "look at the client: its log, its version of the protocol, its limits"

#define CERTIFICATE                                                                                \
	"one SPIFFE ID, no authority, for clients and servers both (`openssl x509 -text`)"

#define TOKEN                                                                                      \
	"look at the caller: which token it sends, and where it got the token; many are an attack"

struct remedy {
	const char *room, *name, *text;
};

static const struct remedy remedies[] = {
	{"jwks", "fetch_failed",
		"`show health` shows which one and why: is its server reachable, and is its "
		"certificate signed by an authority of this machine or of the Node's "
		"spec.jwks.roots?"},
	{"jwt", "malformed", TOKEN},
	{"jwt", "too_long", "have the issuer issue shorter tokens"},
	{"jwt", "several", "have the caller send one token"},
	{"jwt", "algorithm",
		"RS, PS and ES with 256, 384 or 512, and EdDSA are supported: have the issuer sign "
		"with one of these"},
	{"jwt", "issuer",
		"compare `iss` of the token, letter by letter, with `issuer` of the "
		"RequestAuthentications, and its place with their fromHeaders"},
	{"jwt", "not_yet", "compare the clocks of the issuer and of this machine"},
	{"jwt", "expired", "have the caller renew its token, and compare the clocks"},
	{"jwt", "audience", "compare `aud` of the token with `audiences`"},
	{"jwt", "no_keys", "`show health` shows why they could not be fetched"},
	{"jwt", "no_key",
		"has the issuer changed its keys? The set at jwksUri must have the new ones; "
		"inline `jwks` must be replaced"},
	{"jwt", "signature", TOKEN},
	{"jwt", "internal", MEMORY},
	{"tls", "timed_out", SLOW_HANDSHAKE},
	{"tls", "no_tls",
		"clients: they send plaintext where mutual TLS is required (a PeerAuthentication "
		"of mode STRICT); servers: their port does not use TLS, although `show endpoints` "
		"has TLS for it"},
	{"tls", "bad_hello", HOSTILE},
	{"tls", "unrecognized_name",
		"is the server name (SNI) of the client a host of a Gateway's server, or of the "
		"service? `show services`"},
	{"tls", "refused",
		"the server rejects this node's certificate: its log has the reason; `show "
		"identity` shows the principal and the expiry"},
	{"tls", "no_close_notify", "look at the peer: it ends connections without close_notify"},
	{"tls_failed", "bad_certificate", "look at the peer's certificate: " CERTIFICATE},
	{"tls_failed", "expired",
		"renew the peer's certificate, and compare both machines' clocks"},
	{"tls_failed", "unknown_ca",
		"is the peer in another mesh, or has its authority changed and this node has the "
		"old roots? `show identity` lists them"},
	{"tls_failed", "wrong_san",
		"the server has another name than expected: `show outliers` names it; compare its "
		"certificate with subjectAltNames of the DestinationRule or ServiceEntry, or with "
		"its service account"},
	{"tls_failed", "wrong_trust_domain",
		"the peer has another trust domain: add it to the MeshConfig's trustDomainAliases "
		"if it is to be trusted"},
	{"tls_failed", "revoked", "give the peer another certificate"},
	{"tls_failed", "no_crl", "bring the authority's list of revocations up to date"},
	{"tls_failed", "no_certificate",
		"the client sends none where mutual TLS is required: is it in the mesh?"},
	{"tls_failed", "no_shared_cipher",
		"AES-GCM and ChaCha20-Poly1305 with X25519 or P-256 are supported: what does the "
		"peer offer?"},
	{"tls_failed", "no_shared_version",
		"TLS 1.2 and 1.3 are supported: raise the peer's version"},
	{"tls_failed", "protocol_error", HOSTILE},
	{"tls_failed", "too_long", HOSTILE},
	{"tls_failed", "peer_alert",
		"the peer rejects this node's certificate or offer: its log has the reason; `show "
		"identity`"},
	{"tls_failed", "peer_closed",
		"a peer that rejects this node's certificate may close without an alert: its log "
		"has the reason; `show identity`"},
	{"tls_failed", "timed_out", SLOW_HANDSHAKE},
	{"tls_failed", "internal", MEMORY},

	{"buf", "data_pool_empty", MEMORY},
	{"buf", "ctrl_pool_empty", MEMORY},

	{"port", "tx_linearised", "a defect: report it with `show ports` and the port's profile"},
	{"port", "tx_no_memory", MEMORY},
	{"port", "tx_too_long",
		"give all ports of the node the MTU of their link (spec.ports[].mtu)"},
	{"port", "tx_stranded", WORKERS},
	{"port", "rx_superframe", OFFLOAD ", on this interface `ethtool -K IFACE gro off lro off`"},
	{"port", "rx_missed",
		"a worker was late: raise spec.workers if `show workers` shows a busy one, "
		"otherwise give workers cores of their own. Bursts overflow a short queue: raise "
		"`framecnt` of an af_packet device, or `descriptors.rx` of the profile"},
	{"port", "rx_no_buffer", MEMORY},

	{"net", "rx_no_memory", MEMORY},
	{"net", "frame_short", PATH},
	{"net", "not_our_mac",
		"a switch floods, or a neighbour kept an old address; it ends by itself"},
	{"net", "vlan_unknown",
		"set spec.ports[].vlan to the link's tag, or take the tag off at the switch"},
	{"net", "ethertype_unknown",
		"nothing, other protocols of the link; give the port an `exception` TAP if the "
		"host needs them"},
	{"net", "truncated", OFFLOAD},
	{"net", "ip_header_bad", HOSTILE},
	{"net", "ip_checksum_bad", PATH},
	{"net", "ip_options_refused", HOSTILE},
	{"net", "ip_fragment_refused",
		"lower the sender's MTU or let it discover the path's; TCP does so by itself"},
	{"net", "martian_source", HOSTILE},
	{"net", "source_unbound",
		"`show workloads` shows the addresses of the port: give the workload a "
		"WorkloadEntry, or list it under the port's `workloads`"},
	{"net", "source_other_mac",
		"another station uses the address: find it, or correct the `mac` under the port's "
		"`workloads`"},
	{"net", "source_elsewhere",
		"a station on another network uses the address of a workload: filter it at its "
		"switch port; if the workload has moved, correct its port's `workloads`"},
	{"net", "not_local",
		"a route of some host leads here by mistake, or a service's address is missing: "
		"`show services`"},
	{"net", "multicast_ignored", "nothing; no part of Meltemi listens to it"},
	{"net", "tcp_header_bad", HOSTILE},
	{"net", "tcp_checksum_bad",
		"on the sending side run `ethtool -K IFACE tx off`; else " PATH},
	{"net", "arp_bad", HOSTILE},
	{"net", "nd_bad", HOSTILE},
	{"net", "address_conflict",
		"find the other station (`arping -D`, its switch port) and take the address from "
		"one of the two"},
	{"net", "neigh_failed",
		"is the host up and on this link? `show neighbours`; does a firewall drop ARP or "
		"ND?"},
	{"net", "neigh_still_failed", "is the host, or the router to it, up? `show neighbours`"},
	{"net", "neigh_full",
		"thousands of hosts on the links: put a router between, and a route "
		"in spec.routes"},
	{"net", "neigh_limited",
		"are there so many clients on the link? else their addresses are forged"},
	{"net", "neigh_learn_lost", "nothing; they are learnt from a later packet"},
	{"net", "icmp_bad", HOSTILE},
	{"net", "icmp_ignored",
		"nothing; errors about our segments and echo requests are what counts"},
	{"net", "icmp_error_foreign", HOSTILE},
	{"net", "icmp_limited", HOSTILE},
	{"net", "udp_bad", "on the sending side run `ethtool -K IFACE tx off`; else " PATH},
	{"net", "proto_unserved",
		"nothing, unless a service is missing: only TCP, ICMP of the address itself, and "
		"DNS with spec.dns are served"},
	{"net", "handoff_full", WORKERS},
	{"net", "no_route", "add a route for that network to spec.routes"},
	{"net", "tx_full", "the link is saturated: compare `show ports` with its speed"},
	{"net", "tx_stuck",
		"the device sends nothing: look at the link (`show ports`) and the device's "
		"driver"},
	{"net", "tx_no_memory", MEMORY},
	{"net", "forward_full", "the link is saturated: compare `show ports` with its speed"},

	{"l4", "flows_evicted",
		"a flood from forged addresses, or endpoints that do not answer: look at "
		"their replies"},
	{"l4", "flows_over_share",
		"one client or service makes flows faster than the table has places for them: "
		"raise spec.flows"},
	{"l4", "ports_taken_over",
		"a flood from forged addresses: limit it by service.newConnections; "
		"otherwise " NAT_PORTS},
	{"l4", "table_full", "raise spec.flows"},
	{"l4", "fragments_evicted",
		"a flood of fragments: filter it upstream, or let clients send datagrams that fit "
		"into packets"},
	{"l4", "fragment_tiny", HOSTILE},
	{"l4", "fragment_ring_full", WORKERS},
	{"l4", "closed_by_policy",
		"`show forwarding` names the policy: write it so that it does not match the port"},
	{"l4", "policy_denied",
		"is it a client that should be served? look for the `ipBlocks` of the "
		"AuthorizationPolicies that `show policies` lists"},
	{"l4", "source_denied",
		"is it a client that should be served? `allow` and `deny` of the Node's "
		"spec.forwarding"},
	{"l4", "limit_source_new_connections", LIMITED("perSource.newConnections")},
	{"l4", "limit_source_packets", LIMITED("perSource.packets")},
	{"l4", "limit_source_bytes", LIMITED("perSource.bytes")},
	{"l4", "limit_service_new_connections", LIMITED("service.newConnections")},
	{"l4", "limit_service_packets", LIMITED("service.packets")},
	{"l4", "limit_service_bytes", LIMITED("service.bytes")},
	{"l4", "limit_service_connections", LIMITED("service.connections")},
	{"l4", "limit_sources_displaced", HOSTILE},
	{"l4", "flows_unhealthy",
		"look at the servers: `show outliers` has the reasons; if they accept only "
		"clients, "
		"write meltemi.io/health-check: none"},
	{"l4", "checks_void",
		"add addresses to spec.sourceAddresses; if `show memory` has pools that run empty, "
		"raise "
		"spec.memory.mb"},
	{"l4", "echo_unexpected", HOSTILE},
	{"l4", "no_nat_port", "see `show forwarding wide`: " NAT_PORTS},
	{"l4", "no_connection",
		"clients connect again; if it goes on, replies or packets of a connection take a "
		"path past this node"},
	{"l4", "no_endpoint", "give the service an endpoint of the address's family"},
	{"l4", "no_route", "add a route for that network to spec.routes"},
	{"l4", "neighbour_unknown",
		"is the endpoint, the client, or the router to it, up and on this link? `show "
		"neighbours`"},
	{"l4", "too_big",
		"of tunnels: raise `mtu` of the Node's ports, or have the servers announce a "
		"smaller MSS; ICMP errors must reach the clients"},

	{"tcp", "cookies_sent",
		"normal for a burst of new clients; if it lasts it is a SYN flood: filter it "
		"upstream"},
	{"tcp", "cookies_bad", HOSTILE},
	{"tcp", "connect_timeouts", SERVER},
	{"tcp", "connect_unreachable", SERVER "; is there a route (spec.routes)?"},
	{"tcp", "icmp_unreachable", SERVER "; a router or firewall on the way refuses"},
	{"tcp", "open_no_route",
		"net_no_route counts too: add a route for the server's network to spec.routes; "
		"net_neigh_still_failed does: is the server, or the router to it, up?"},
	{"tcp", "no_source_port", SOURCES},
	{"tcp", "open_no_memory",
		"too many connections for one node: `show workers`; raise spec.connections, "
		"spec.workers or add nodes"},
	{"tcp", "conns_full",
		"too many connections for one node: `show workers`; raise spec.connections, "
		"spec.workers or add nodes"},
	{"tcp", "accept_refused",
		"look at the counters with the reasons: proxy_down_full, proxy_down_draining, "
		"proxy_up_limited, proxy_up_full, proxy_opaque_no_endpoint, buf_*"},
	{"tcp", "gave_up",
		"a peer disappeared without FIN or RST, or the path broke: `show connections`, "
		"`show neighbours`"},
	{"tcp", "path_silent",
		"a server disappeared without FIN or RST, or the path to it broke: `show "
		"outliers`, `show neighbours`; with tcp_path_probes high, the path loses packets"},
	{"tcp", "resets_withheld", HOSTILE},
	{"tcp", "challenges_withheld", HOSTILE},
	{"tcp", "no_connection",
		"some are normal after a restart; many: clients of an address that no service has "
		"any more"},
	{"tcp", "header_bad", HOSTILE},
	{"tcp", "options_bad", HOSTILE},
	{"tcp", "flags_illegal", HOSTILE},
	{"tcp", "out_of_window", PATH},
	{"tcp", "rst_out_of_window", HOSTILE},
	{"tcp", "syn_in_window", "some are normal when a client restarts; " HOSTILE},
	{"tcp", "rst_not_exact", "some are normal while a peer resets under load; " HOSTILE},
	{"tcp", "ack_too_old", HOSTILE},
	{"tcp", "ack_unsent", HOSTILE},
	{"tcp", "timestamp_missing",
		"a firewall on the way strips TCP options: let it leave them, or strip SYNs, too"},
	{"tcp", "after_fin", "the sender's TCP breaks the protocol: " CLIENT},
	{"tcp", "sent_after_end", "nothing; the peer had gone before its answer was ready"},
	{"tcp", "time_wait_rst", "nothing; they end by themselves"},
	{"tcp", "icmp_ignored", HOSTILE},
	{"tcp", "paws", PATH},
	{"tcp", "ooo_full", "heavy loss on the path to Meltemi: look at the links of the senders"},
	{"tcp", "ooo_given_up", MEMORY},
	{"tcp", "evicted",
		"proxy_evicted_… counts the same by class; `show memory` shows the largest "
		"holders"},
	{"tcp", "rx_over_budget",
		"the sender sends very small segments: let it write larger pieces (Nagle on)"},
	{"tcp", "rx_no_memory", MEMORY},
	{"tcp", "rx_admission_limited",
		"many networks start messages and stop, until the message timeout: `show memory` "
		"names them; else raise spec.memory.mb in the Node and restart"},
	{"tcp", "tx_no_memory", MEMORY},
	{"tcp", "tx_no_route",
		"a route or a neighbour went away under live connections: `show neighbours`, "
		"spec.routes"},

	{"upstream", "all_ejected", SERVER},
	{"upstream", "panic", SERVER},
	{"upstream", "no_endpoint",
		"add endpoints to the ServiceEntry or check the subset's labels: `show clusters`"},
	{"upstream", "ejected", SERVER},

	{"filter", "rate_limited",
		"no action if the limit is intended; otherwise raise it: `show limits` names "
		"service and match"},
	{"filter", "global_limited",
		"no action if the limit is intended; otherwise raise it in the configuration of "
		"the rate limit service"},
	{"filter", "global_unread",
		"look at the client: the metadata under a limit must be UTF-8, together at most "
		"about 6 KiB; exempt ports that forward TLS from the limit"},
	{"filter", "global_crowded",
		"look at the rate limit service: is it slow? then shorten the limit's timeout; "
		"otherwise look at the client"},
	{"filter", "global_failed",
		"look at the rate limit service and the path to it: its log, its own counters; "
		"raise the limit's timeout if it is slow"},
	{"filter", "fault_aborted",
		"an operator's test: `show overrides` shows its author, `tune drop ID` ends it"},
	{"filter", "completions_full",
		"let the filter's thread try again a little later; raise the number of workers if "
		"it continues"},
	{"filter", "waits_late",
		"is the delay of an injected fault longer than the timeout (`show overrides`)? "
		"otherwise look at the filter in a shared object: its log, and what its thread "
		"waits for"},
	{"filter", "verdicts_wrong",
		"remove the filter's shared object, or contact its author: "
		"lib/filter/mt_filter_abi.h lists the verdicts"},
	{"filter", "mutations_full", "use fewer header changes in the VirtualService's routes"},

	{"proxy", "down_full",
		"too many clients for one node: `show workers`; raise spec.connections (memory: "
		"`show memory`), spec.workers, or add nodes"},
	{"proxy", "down_closed_by_policy", CLOSED},
	{"proxy", "down_revoked",
		"no action if access was revoked on purpose; otherwise give the client a "
		"certificate of the current roots"},
	{"proxy", "down_draining",
		"intended: the node drains, or a listener (`show overrides`); let the load "
		"balancer in front check /ready"},
	{"proxy", "chain_timeout",
		"the listener has chains for TLS or several protocols, and waits for the client's "
		"first bytes: give a protocol in which the server sends first an address of its "
		"own, or look at the client"},
	{"proxy", "hello_too_long", HOSTILE},
	{"proxy", "hello_late",
		"the client or its network needs longer than protocolDetectionTimeout of the "
		"MeshConfig (default 1s) to send its ClientHello: raise it"},
	{"proxy", "hello_malformed", HOSTILE},
	{"proxy", "hello_truncated", HOSTILE},
	{"proxy", "chain_unmatched",
		"which server name, application protocol or address does the client use? Add a "
		"filter chain for it, or a default one; plaintext matches none where mutual TLS is "
		"required (a PeerAuthentication of mode STRICT)"},
	{"proxy", "chain_refused",
		"the filter chain that matches these clients cannot be served; they are refused "
		"rather than given another one"},
	{"proxy", "protocol_unknown",
		CLIENT "; does the service's port name its protocol rightly?"},
	{"proxy", "message_stalled", CLIENT},
	{"proxy", "message_truncated", CLIENT},
	{"proxy", "malformed", CLIENT "; does the service's port name its protocol rightly?"},
	{"proxy", "oversized", CLIENT "; does the service's port name its protocol rightly?"},
	{"proxy", "unexpected_kind", CLIENT},
	{"proxy", "slow_reader",
		"the client sends requests faster than it reads replies: give it more memory or "
		"time, or smaller replies"},
	{"proxy", "evicted_receiving",
		"one client started more requests than its share of memory holds: `show memory` "
		"names the largest holders; raise spec.memory.mb if it is not an attack"},
	{"proxy", "evicted_waiting",
		"calls arrive faster than their servers accept them: limit that client (`show "
		"memory` names the largest holders), or add endpoints"},
	{"proxy", "evicted_replying",
		"one client requested more than it reads: `show memory` names the largest holders; "
		"raise spec.memory.mb if it is not an attack"},
	{"proxy", "evicted_streaming",
		"one client's connections are stalled with many bytes in flight: `show memory` "
		"names the largest holders; raise spec.memory.mb if it is not an attack"},
	{"proxy", "up_evicted", SERVER},
	{"proxy", "reply_truncated", SERVER},
	{"proxy", "up_connect_failed", SERVER},
	{"proxy", "up_reset", SERVER},
	{"proxy", "up_no_source_port", SOURCES},
	{"proxy", "up_full",
		"too many upstream connections: raise spec.connections, or fewer endpoints a "
		"worker, or more nodes"},
	{"proxy", "up_limited",
		"no action if connectionPool.tcp.maxConnections is intended; otherwise raise it: "
		"`show endpoints`"},
	{"proxy", "up_stalled", SERVER},
	{"proxy", "up_silent",
		"the server process hangs or is stopped while its machine runs: look at its log "
		"and threads; `show outliers` shows which"},
	{"proxy", "up_malformed", SERVER "; does the service's port name its protocol rightly?"},
	{"proxy", "up_unknown_reply", SERVER "; it sends replies that match no request"},
	{"proxy", "up_request",
		"servers that call back need a connection of their own to the client"},
	{"proxy", "up_request_dropped",
		"servers that call back need a connection of their own to the client"},
	{"proxy", "up_heartbeat_dropped",
		"few are normal with long requests; if it grows, the server sends and does not "
		"read: look at its log and threads"},
	{"proxy", "exchange_reset",
		"look at the counters with the reasons: proxy_slow_reader, proxy_evicted_replying, "
		"proxy_reply_truncated, proxy_reply_unsendable, proxy_message_stalled"},
	{"proxy", "exchange_oneway_lost", SERVER},
	{"proxy", "exchange_closed", CLOSED},
	{"proxy", "exchange_denied", DENIED},
	{"proxy", "exchange_unauthenticated",
		"the jwt counters, or `explain` of such a call, show why"},
	{"proxy", "exchange_extauthz_failed",
		"look at the authorization service: `doctor` shows if it is reachable, the "
		"extauthz counters show its decisions"},
	{"proxy", "extauthz_full",
		"the authorization service is slow, or there is a flood of calls: `show talkers`"},
	{"proxy", "extauthz_late", "the authorization service is slower than the calls' timeout"},
	{"extauthz", "denied",
		"look at the service's own log, which has the call's path and metadata"},
	{"extauthz", "unreachable",
		"does it run at the address in MeshConfig's extensionProviders? `doctor` shows "
		"what failed"},
	{"extauthz", "late", "look at the service; or give its provider a longer `timeout`"},
	{"extauthz", "refused", "look at the service's own log: it answered with an error"},
	{"extauthz", "bad_answer",
		"its answer is not a CheckResponse, or has changes that cannot be made "
		"(docs/how-to/authorization.md)"},
	{"extauthz", "no_memory", "look at the machine's memory"},
	{"proxy", "token_full",
		"a flood of calls with new tokens: find the caller with `show talkers`"},
	{"proxy", "token_late", WORKERS},
	{"proxy", "exchange_no_node_identity", UNLENT},
	{"proxy", "exchange_unreadable",
		"look at the client: its serialization, its attachments' size and depth; "
		"docs/how-to/authorization.md lists what can be read"},
	{"proxy", "reply_no_route",
		"add a route, or one without match as the last: `show routes`; if services share "
		"an address, let calls name one, or give each its own"},
	{"proxy", "reply_no_cluster",
		"correct the route's host or subset: `show routes`, `show config`"},
	{"proxy", "reply_no_endpoint", SERVER},
	{"proxy", "reply_over_limit",
		"no action if the limit is intended; otherwise raise it: `show limits` names "
		"service and match"},
	{"proxy", "endpoint_overloaded",
		"the server gets more calls than it can answer in time: add endpoints, or limit "
		"its callers (localRateLimit); `show endpoints` names it"},
	{"proxy", "retry_over_budget",
		"many calls fail at once: `show endpoints`, `show outliers`; if servers can take "
		"more, raise maxRetries or retryBudget of the DestinationRule (max_retries, "
		"retry_budget of the xDS cluster)"},
	{"proxy", "reply_overload",
		"servers are slower than their clients: `show endpoints`; add endpoints, or "
		"memory; "
		"where a DestinationRule limits them raise connectionPool.tcp.maxConnections "
		"(proxy_up_limited grows too) or connectionPool.http.http1MaxPendingRequests"},
	{"proxy", "reply_timeout", SERVER "; or raise the route's timeout"},
	{"proxy", "reply_conn_lost", SERVER},
	{"proxy", "reply_bad_request", CLIENT},
	{"proxy", "reply_bad_reply", SERVER},
	{"proxy", "reply_unsupported", CLIENT "; docs/protocols lists what can be proxied"},
	{"proxy", "reply_denied",
		"no action if the policy is intended; otherwise correct it: `show services`"},
	{"proxy", "reply_too_large",
		"look at the client, which sends more than 128 attachments or 32 KiB of them; or "
		"let routes, limits and hashes use leading keys only"},
	{"proxy", "reply_unsendable",
		"if proxy_no_memory or buf_* grow as well: " MEMORY
		"; else the protocol has no errors"},
	{"proxy", "mutation_failed",
		"use shorter or fewer metadata values; the protocol has no space for more"},
	{"proxy", "mutation_old_client",
		"upgrade the clients: Dubbo reads attachments in replies since 2.6.3"},
	{"proxy", "opaque_half_closed_timeout",
		"let the side that is done close its connection within five minutes"},
	{"proxy", "opaque_rest_lost",
		"clients or servers that do not read what they are sent: look at their load"},
	{"proxy", "opaque_transparent_retry",
		"nothing, if servers restart; if it grows steadily, they refuse connections: look "
		"at their limits and logs"},
	{"proxy", "mirror_failed",
		"look at the mirror's servers: `show endpoints`; the calls themselves are not "
		"affected"},
	{"proxy", "mirror_full",
		"the mirror is too slow for its share: lower the route's mirrorPercentage, or add "
		"servers; if memory is short, `show memory`"},
	{"proxy", "mirror_too_long", "nothing; longer calls than 64 KiB are not copied"},
	{"proxy", "mirror_denied",
		"a copy is authorized as the call's own client: allow it to call the mirror as "
		"well, or remove the mirror; a trace of such a call shows it"},
	{"proxy", "mirror_no_endpoint",
		"look at the mirror's cluster: `show endpoints`, `show outliers`"},
	{"proxy", "opaque_closed", CLOSED},
	{"proxy", "opaque_denied", DENIED},
	{"proxy", "opaque_over_limit",
		"no action if the limit is intended; otherwise raise it: `show limits`, or in the "
		"configuration of the rate limit service. If it has conditions, remove them, or "
		"terminate the clients' TLS on the node"},
	{"proxy", "opaque_no_node_identity", UNLENT},
	{"proxy", "opaque_no_endpoint", SERVER},
	{"proxy", "demand_absent",
		"routes name a cluster that does not exist: `show resources` has its name and the "
		"reason"},
	{"proxy", "demand_late",
		"is the control plane up: `show xds`; if it is slow, raise onDemand.timeout"},
	{"proxy", "demand_full",
		"many calls for clusters without earlier calls, or a control plane that does not "
		"answer: `show xds`"},
	{"proxy", "no_memory", MEMORY},

	{"dns", "bad_query", HOSTILE},
	{"dns", "bad_version", "nothing; the client retries without the new version"},
	{"dns", "not_implemented",
		"send updates and transfers to the servers of the zone, not to Meltemi"},
	{"dns", "refused",
		"name other servers in spec.dns.upstream if clients query names outside the mesh"},
	{"dns", "not_allowed",
		"add the network of these clients to spec.dns.allow if they are yours (`show dns` "
		"shows the allowed networks, `tcpdump -n port 53` the clients)"},
	{"dns", "rate_cut",
		"a flood of questions with forged addresses of a network, or a client that sends "
		"too many: find it with `tcpdump -n port 53`"},
	{"dns", "rate_dropped",
		"a flood of questions with forged addresses of a network, or a client that sends "
		"too many: find it with `tcpdump -n port 53`"},
	{"dns", "no_table", "nothing; it ends with the first configuration"},
	{"dns", "no_server_answered",
		"look at the servers of spec.dns.upstream and the path to them: `show dns`"},
	{"dns", "loops",
		"the servers send queries to this node: write other servers into "
		"spec.dns.upstream (`show dns`)"},
	{"dns", "too_many",
		"the servers of spec.dns.upstream are slow (`show dns`), or a client sends too "
		"many questions"},
	{"dns", "too_fast",
		"let clients keep answers (a local cache), or query another server for names "
		"outside the mesh"},
	{"dns", "no_socket", "raise the daemon's limit of open files (LimitNOFILE=)"},
	{"dns", "client_too_fast",
		"one client queries very many names outside the mesh: look at it, or give it a "
		"name server of its own"},
	{"dns", "query_too_long", HOSTILE},
	{"dns", "tcp_full", HOSTILE},
	{"worker", "handoff_full", WORKERS},
	{"otlp", "unreachable",
		"check that the collector of `otlp` in the Node runs and is reachable from this "
		"host; the log has the reason"},
	{"otlp", "late",
		"give the collector more capacity, or raise `otlp.interval` in the Node; nothing "
		"is lost, the next export has the sums"},
	{"otlp", "refused",
		"look at the reason in the log: the endpoint, its headers, or a limit of the "
		"collector"},
	{"otlp", "points_rejected", "look at the collector's reason in the log"},
	{"otlp", "bad_answer", "check that the endpoint of `otlp` is an OTLP/gRPC collector"},
	{"otlp", "no_memory", "give the host more memory"},
	{"worker", "rss_misdelivered",
		"restart; if it grows again set `queues: {model: single, max: 1}` in the device's "
		"profile"},
	{"worker", "reset_at_stop",
		"stop with one SIGTERM and wait: clients then have 30 s to finish"},
};

const char *mt_remedy(const char *room, const char *name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(remedies); i++)
		if (strcmp(remedies[i].name, name) == 0 && strcmp(remedies[i].room, room) == 0)
			return remedies[i].text;
	return NULL;
}

const char *mt_remedy_row(uint32_t i, const char **room, const char **name)
{
	if (i >= MT_ARRAY_LEN(remedies))
		return NULL;
	*room = remedies[i].room;
	*name = remedies[i].name;
	return remedies[i].text;
}

const char *mt_unit(const char *name)
{
	size_t len = strlen(name);

	return len >= 6 && strcmp(name + len - 6, "_bytes") == 0 ? "bytes" : "events";
}
