/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of forwarded ports, in parts. */
#pragma once

#define NODE(spec)                                                                                 \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                 \
	"  ports: [{name: p0, device: net_null0, addresses: [10.0.0.1/24, '2001:db8::1/64']}]\n"   \
	"  " spec "\n"
#define META(annotations)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: x, annotations: {" annotations "}}\nspec:\n"
#define SPEC(ports)   ENDPOINTS(ports, "")
#define MAPPED(ports) ENDPOINTS(ports, "ports: {udp-dns: 5353}, ")
#define ENDPOINTS(ports, more)                                                                     \
	"  hosts: [a.x]\n  addresses: [192.0.2.1, '2001:db8:1::1']\n"                              \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [" ports "]\n"                  \
	"  endpoints:\n"                                                                           \
	"  - {address: 198.51.100.1, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.2, labels: {app: b}, " more "weight: 3}\n"
/* Endpoints in the network of the Node's port, and one of them elsewhere. */
#define NEIGHBOURS(ports)                                                                          \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n  ports: [" ports         \
	"]\n  endpoints: [{address: 10.0.0.21}, {address: 10.0.0.22}]\n"
#define MIXED(ports)                                                                               \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n  ports: [" ports         \
	"]\n  endpoints: [{address: 10.0.0.21}, {address: 198.51.100.2}]\n"
#define DRAINED(ports)                                                                             \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  location: MESH_INTERNAL\n"                    \
	"  resolution: STATIC\n  ports: [" ports "]\n  endpoints:\n"                               \
	"  - {address: 198.51.100.1, labels: {meltemi.io/drain: 'true'}}\n"                        \
	"  - {address: 198.51.100.2, weight: 3}\n"
#define NAT	  "meltemi.io/forwarding: nat"
#define DNS	  "{number: 53, name: udp-dns}"
#define TCP	  "{number: 5432, name: tcp-sql}"
#define RPC	  "{number: 20880, name: tcp-metaprotocol-dubbo}"
#define FORWARDED META(NAT) MAPPED(DNS)
/* A VirtualService of the host with these rules of `tcp`. */
#define ROUTES(rules) ROUTES_OF("a.x", rules)
#define ROUTES_OF(host, rules)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: r, namespace: x}\nspec:\n  hosts: [" host "]\n  tcp: [" rules "]\n"
#define SUBSETS                                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: s, namespace: x}\nspec:\n  host: a.x\n  subsets:\n"                      \
	"  - {name: one, labels: {app: a}}\n  - {name: two, labels: {app: b}}\n"
#define POLICY_OF_HOST(policy)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: s, namespace: x}\nspec: {host: a.x, trafficPolicy: {" policy "}}\n"
#define SUBSETS_BY_TLS                                                                             \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: s, namespace: x}\nspec:\n  host: a.x\n  subsets:\n"                      \
	"  - {name: one, labels: {app: a}}\n"                                                      \
	"  - {name: two, labels: {app: b}, trafficPolicy: {tls: {mode: SIMPLE}}}\n"
#define DEST(of) "route: [{destination: {host: a.x" of "}}]"
#define CHECK(words)                                                                               \
	META(NAT ", meltemi.io/health-check: '" words "'")                                         \
	SPEC(DNS)
#define OTHER_PORT                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: c}\n"       \
	"spec: {hosts: [c.x], addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP            \
	"], endpoints: [{address: 198.51.100.4}]}\n"
#define FORWARDED_TOO                                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: c, annotations: {" NAT "}}\n"                                            \
	"spec: {hosts: [c.x], addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP            \
	"], endpoints: [{address: 198.51.100.4}]}\n"
#define OTHER                                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: b, namespace: x, annotations: {" NAT "}}\nspec:\n"                       \
	"  hosts: [b.x]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"                         \
	"  ports: [{number: 53, name: udp-dns}]\n  endpoints: [{address: 198.51.100.3}]\n"

/* A terminated service at the node's own address. */
#define AT_NODE(port)                                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: d}\n"       \
	"spec: {hosts: [d.x], addresses: [10.0.0.1], resolution: STATIC, ports: "                  \
	"[{number: " port ", name: tcp-d}], endpoints: [{address: 198.51.100.5}]}\n"
#define OTHER_TCP                                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\n"       \
	"spec: {hosts: [e.x], addresses: [192.0.2.1], resolution: STATIC, ports: [" TCP            \
	"], endpoints: [{address: 198.51.100.6}]}\n"

/* "53 nat, 54 nat-full": ports of the IPv4 address. */

#define SECURITY(kind, spec)                                                                       \
	"---\napiVersion: security.istio.io/v1\nkind: " kind "\n"                                  \
	"metadata: {name: p, namespace: x}\nspec: " spec "\n"
#define POLICY_HEAD                                                                                \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"                       \
	"metadata: {name: p, namespace: x}\nspec: "
#define AP(spec)    SECURITY("AuthorizationPolicy", spec)
#define FROM(x)	    "from: [{source: {" x "}}]"
#define TO(x)	    "to: [{operation: {" x "}}]"
#define ALLOW(rule) AP("{rules: [{" rule "}]}")
#define DENY(rule)  AP("{action: DENY, rules: [{" rule "}]}")
