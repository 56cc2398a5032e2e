/* SPDX-License-Identifier: Apache-2.0 */
#include "source_test.h"

#include <stdio.h>

/* A ServiceEntry whose spec is the row's text, from line 5 on. */
#define SE "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec:\n"
#define VS "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n"
#define MR                                                                                         \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: "         \
	"a}\nspec:\n"
#define DR "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n"
#define EF                                                                                         \
	"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: "           \
	"a}\nspec:\n"
#define SEC(kind) "apiVersion: security.istio.io/v1\nkind: " kind "\nmetadata: {name: a}\nspec:\n"
#define AP	  SEC("AuthorizationPolicy")
#define AP_RULE	  AP "  rules:\n  - "
#define NODE	  "apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: a}\nspec:\n"

struct bad_document {
	const char *text, *expect;
};

static const struct bad_document bad_documents[] = {
	{AP "  action: REJECT\n", "5: error: spec.action: \"REJECT\""},
	{AP "  selector: {labels: {a: b}}\n", "5: error: spec.selector.labels: unknown field"},
	{AP "  selector: {matchLabels: [a]}\n", "5: error: spec.selector.matchLabels: "},
	{AP "  selector: {}\n  targetRefs: [{kind: Service, name: a}]\n",
		"6: error: spec: selector and targetRefs exclude each other"},
	{AP "  targetRef: {kind: Service, name: a}\n  targetRefs: [{kind: Service, name: a}]\n",
		"6: error: spec: targetRef and targetRefs exclude each other"},
	{AP_RULE "from: [{source: {ipBlocks: [10.0.0.0/33]}}]\n",
		"6: error: spec.rules[0].from[0].source.ipBlocks: \"10.0.0.0/33\" is neither an "
		"address"},
	{AP_RULE "from: [{source: {notRemoteIpBlocks: [all]}}]\n",
		"6: error: spec.rules[0].from[0].source.notRemoteIpBlocks: \"all\" is neither an "
		"address"},
	{AP_RULE "from: [{source: {serviceAccounts: [a], namespaces: [b]}}]\n",
		"6: error: spec.rules[0].from[0].source: serviceAccounts excludes"},
	{AP_RULE "to: [{operation: {ports: [http]}}]\n",
		"6: error: spec.rules[0].to[0].operation.ports: \"http\" is not a port"},
	{AP_RULE "to: [{operation: {notPorts: ['65536']}}]\n",
		"6: error: spec.rules[0].to[0].operation.notPorts: \"65536\" is not a port"},
	{AP_RULE "to: [{operation: {methods: ['']}}]\n",
		"6: error: spec.rules[0].to[0].operation.methods[0]: is empty"},
	{AP_RULE "when: [{key: source.ip}]\n",
		"6: error: spec.rules[0].when[0]: a condition without values"},
	{AP_RULE "when: [{key: source.ip, values: [a]}]\n",
		"6: error: spec.rules[0].when[0]: \"a\" is neither an address"},
	{AP_RULE "when: [{key: destination.port, notValues: [a]}]\n",
		"6: error: spec.rules[0].when[0]: \"a\" is not a port"},
	{SEC("PeerAuthentication") "  mtls: {mode: ALWAYS}\n",
		"5: error: spec.mtls.mode: \"ALWAYS\""},
	{SEC("PeerAuthentication") "  portLevelMtls: {'0': {mode: STRICT}}\n",
		"5: error: spec.portLevelMtls.0: \"0\" is not a port"},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: i, fromHeaders: [{prefix: a}]}]\n",
		"5: error: spec.jwtRules[0].fromHeaders[0]: "},
	{SEC("RequestAuthentication") "  jwtRules: [{jwksUri: 'http://a'}]\n",
		"5: error: spec.jwtRules[0]: "},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: ''}]\n",
		"5: error: spec.jwtRules[0].issuer: is empty"},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: i, jwksUri: 'ftp://a'}]\n",
		"5: error: spec.jwtRules[0]: \"ftp://a\" is not fetched"},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: i, jwks: '{}'}]\n",
		"5: error: spec.jwtRules[0]: these are not keys: it has no list"},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: i, jwks: a, jwksUri: 'http://a'}]\n",
		"5: error: spec.jwtRules[0]: jwks and jwksUri exclude each other"},
	{SEC("RequestAuthentication") "  jwtRules: [{issuer: i, timeout: 2m}]\n",
		"5: error: spec.jwtRules[0].timeout: "},
	{"apiVersion: security.istio.io/v1\nkind: Policy\n",
		"2: error: kind: unknown kind \"Policy\""},
	{"kind: VirtualServices\n",
		"1: error: kind: unknown kind \"VirtualServices\" (did you mean "
		"VirtualService?)"},
	{"apiVersion: v1\nkind: ServiceEntry\n",
		"1: error: apiVersion: \"v1\" is not an API version "
		"of ServiceEntry (write apiVersion: "
		"networking.istio.io/v1)"},
	{"kind: Node\n", "1: error: apiVersion: the document has no apiVersion"},
	{NODE "  mesh: {namespace: Edge}\n", "5: error: spec.mesh: \"Edge\" cannot be a namespace"},
	{NODE "  mesh: {trustDomain: 'spiffe://x'}\n",
		"5: error: spec.mesh: \"spiffe://x\" cannot be a trust domain"},
	{NODE "  mesh: {nodeIdentityUse: {to: [a]}}\n",
		"5: error: spec.mesh.nodeIdentityUse: the use of the node's identity is missing "
		"its clients"},
	{NODE "  mesh: {nodeIdentityUse: {clients: [everybody]}}\n",
		"5: error: spec.mesh.nodeIdentityUse: \"everybody\" is neither a network nor a "
		"principal"},
	{NODE "  mesh: {nodeIdentityUse: {clients: ['spiffe://']}}\n",
		"5: error: spec.mesh.nodeIdentityUse: \"spiffe://\" cannot be a principal (write "
		"it like "},
	{NODE "  mesh: {nodeIdentityUse: {clients: ['spiffe://*/sa/b']}}\n",
		"5: error: spec.mesh.nodeIdentityUse: \"spiffe://*/sa/b\" has an asterisk within"},
	{NODE "  mesh: {nodeIdentityUse: {clients: [10.0.0.0/33]}}\n",
		"5: error: spec.mesh.nodeIdentityUse: \"10.0.0.0/33\" is neither a network nor a "
		"principal"},
	{NODE "  forwarding: [{host: a.x}]\n",
		"5: error: spec.forwarding[0]: the forwarded port is missing its port"},
	{NODE "  forwarding: [{port: 53}]\n",
		"5: error: spec.forwarding[0]: the forwarded port is missing its host"},
	{NODE "  forwarding: [{host: a.x, port: 53, mode: snat}]\n",
		"5: error: spec.forwarding[0].mode: \"snat\" is not a mode (write nat, "
		"nat-full, dsr, tunnel-ipip or tunnel-gue)"},
	{NODE "  forwarding: [{host: a.x, port: 53, allow: []}]\n",
		"5: error: spec.forwarding[0].allow: 0 networks (leave it out"},
	{NODE "  forwarding: [{host: a.x, port: 53, deny: [10.0.0.0/40]}]\n",
		"5: error: spec.forwarding[0].deny[0]: \"10.0.0.0/40\" is not an address with"},
	{NODE "  forwarding: [{host: a.x, port: 53, limits: {}}]\n",
		"5: error: spec.forwarding[0].limits: it limits nothing (leave it out"},
	{NODE "  forwarding:\n  - {host: a.x, port: 53}\n  - {host: A.x., port: 53}\n",
		"7: error: spec.forwarding[1]: port 53 of a.x is already on line 6"},
	{NODE "  nat: {ports: 1000-9000}\n",
		"5: error: spec.nat.ports: \"1000-9000\" is not a range of ports from 1024"},
	{NODE "  nat: {ports: 2000-3022}\n", "5: error: spec.nat.ports: \"2000-3022\" is not"},
	{NODE "  nat: {ports: 1024-65536}\n", "5: error: spec.nat.ports: "},
	{NODE "  nat: {ports: '9000'}\n", "5: error: spec.nat.ports: "},
	{NODE "  nat: {ports: 9000-2000}\n", "5: error: spec.nat.ports: "},
	{NODE "  nat: {ports: 2000-9000x}\n", "5: error: spec.nat.ports: "},
	{NODE "  nat: {addresses: [192.0.2.0/24]}\n",
		"5: error: spec.nat.addresses[0]: \"192.0.2.0/24\" is a network"},
	{NODE "  nat: {addresses: [a]}\n", "5: error: spec.nat.addresses[0]: \"a\" is not an"},
	{NODE "  sourceAddresses: [192.0.2.7]\n  nat: {addresses: [192.0.2.8, 192.0.2.7]}\n",
		"6: error: spec.nat.addresses[1]: 192.0.2.7 is in spec.sourceAddresses, too"},
	{NODE "  identity: {}\n",
		"5: error: spec.identity: an identity is in a directory, or is served by an agent"},
	{NODE "  identity: {directory: d,\n    sds: /run/sds}\n",
		"5: error: spec.identity: an identity is in a directory, or is served by an agent"},
	{NODE "  identity: /etc/certs\n", "5: error: spec.identity: "},
	{NODE "  identities: [{directory: d}]\n", "5: error: spec.identities[0]: the identity in "
						  "addition to the node's own is missing its "
						  "principal"},
	{NODE "  identities: [{principal: 'spiffe://a/b'}]\n",
		"5: error: spec.identities[0]: an identity is in a directory, is served by an "
		"agent, or is a source's"},
	{NODE "  identities: [{principal: 'spiffe://a/b', directory: d, sds: s}]\n",
		"5: error: spec.identities[0]: an identity is in a directory, is served by"},
	{NODE "  identities: [{principal: 'spiffe://a/b', directory: d, secret: s}]\n",
		"5: error: spec.identities[0]: only an agent's (sds) secrets have names"},
	{NODE "  identities: [{principal: 'spiffe://a/*', directory: d}]\n",
		"5: error: spec.identities[0]: \"spiffe://a/*\" cannot be one principal"},
	{NODE "  identities: [{principal: 'spiffe://a', directory: d}]\n",
		"5: error: spec.identities[0]: \"spiffe://a\" cannot be one principal"},
	{NODE "  identities: [{principal: a/b, directory: d}]\n",
		"5: error: spec.identities[0]: \"a/b\" cannot be one principal"},
	{NODE "  identities: [{principal: 'spiffe:///b', directory: d}]\n",
		"5: error: spec.identities[0]: \"spiffe:///b\" cannot be one principal"},
	{NODE "  identities:\n  - {principal: 'spiffe://a/b', directory: d}\n"
	      "  - {principal: 'spiffe://a/b', sds: s}\n",
		"7: error: spec: \"spiffe://a/b\" is already on line 6"},
	{NODE "  identities: [{principal: 'spiffe://a/b', xds: mesh}]\n",
		"5: error: spec: \"mesh\" is not a source with an identity of its own"},
	{NODE "  tlsFiles: [{directory: tls}]\n",
		"5: error: spec.tlsFiles[0]: \"tls\" is not an absolute path"},
	{NODE "  tlsFiles: [{namespaces: [a]}]\n", "5: error: spec.tlsFiles[0]: "},
	{NODE "  tlsFiles: [{directory: /d, namespaces: [-x]}]\n",
		"5: error: spec.tlsFiles[0]: \"-x\" cannot be a namespace"},
	{NODE "  tlsFiles: [/d]\n", "5: error: spec.tlsFiles[0]: "},
	{NODE "  sources: [{directory: d, namespace: -x}]\n",
		"5: error: spec.sources[0]: \"-x\" cannot be a namespace"},
	{NODE "  sources: [{xds: {bootstrap: b}, namespace: x}]\n",
		"5: error: spec.sources[0]: name, namespace and namespaces are a directory's"},
	{NODE "  sources: [{xds: {bootstrap: b}, namespaces: [x]}]\n",
		"5: error: spec.sources[0]: name, namespace and namespaces are a directory's"},
	{NODE "  sources: [{directory: d, namespaces: []}]\n",
		"5: error: spec.sources[0].namespaces: lists no namespace"},
	{NODE "  sources: [{directory: d, namespaces: }]\n",
		"5: error: spec.sources[0].namespaces: lists no namespace"},
	{NODE "  sources: [{directory: d, namespaces: [a, -x]}]\n",
		"5: error: spec.sources[0].namespaces: \"-x\" cannot be a namespace"},
	{NODE "  sources: [{directory: d, namespace: b, namespaces: [a]}]\n",
		"5: error: spec.sources[0].namespace: \"b\" is not among the namespaces of the "
		"source"},
	{NODE "  ports: [{name: p0, device: d, side: guests}]\n",
		"5: error: spec.ports[0].side: \"guests\" is not known here"},
	{NODE "  unenforced: [{kind: EnvoyFilter, namespace: a, name: b, hash: 0123456789abcdef, "
	      "until: \"2030-01-31\"}]\n",
		"5: error: spec.unenforced[0]: the object that is not enforced is missing its "
		"because"},
	{NODE "  unenforced: [{kind: EnvoyFilter, namespace: a, name: b, hash: 0123, until: "
	      "\"2030-01-31\", because: x}]\n",
		"5: error: spec.unenforced[0].hash: \"0123\" is not a hash: 64 digits"},
	{NODE "  unenforced: [{kind: EnvoyFilter, namespace: a, name: b, hash: 0123456789abcdef, "
	      "until: \"2030-02-31\", because: x}]\n",
		"5: error: spec.unenforced[0].until: \"2030-02-31\" is not a day"},
	{NODE "  unenforced: [{kind: EnvoyFilter, namespace: a, name: \"b*\", hash: "
	      "0123456789abcdef, until: \"2030-01-31\", because: x}]\n",
		"5: error: spec.unenforced[0]: no wildcard stands here"},
	{NODE "  unenforced: [{kind: ServiceEntry, namespace: a, name: b, hash: 0123456789abcdef, "
	      "until: \"2030-01-31\", because: x}]\n",
		"5: error: spec.unenforced[0]: \"ServiceEntry\" is not a kind that can close"},
	{NODE "  unenforced:\n  - &a {kind: EnvoyFilter, namespace: a, name: b, hash: "
	      "0123456789abcdef, until: \"2030-01-31\", because: x}\n  - *a\n",
		"6: error: spec: the object is already on line 6"},
	{NODE "  otlp: {endpoint: 'collector:4317'}\n",
		"5: error: spec.otlp: \"collector:4317\" is not an endpoint"},
	{NODE "  otlp: {endpoint: 'http://c:0'}\n",
		"5: error: spec.otlp: \"http://c:0\" is not an endpoint"},
	{NODE "  otlp: {endpoint: 'http://c:4317/v1'}\n",
		"5: error: spec.otlp: \"http://c:4317/v1\" is not an endpoint"},
	{NODE "  otlp: {endpoint: 'https://c:4317'}\n",
		"5: error: spec.otlp: the collector could not be verified"},
	{NODE "  otlp: {endpoint: 'http://c:4317', roots: a}\n",
		"5: error: spec.otlp: certificates are of use with TLS only"},
	{NODE "  otlp: {endpoint: 'https://c:1', roots: a, key: k}\n",
		"5: error: spec.otlp: a certificate and its key belong together"},
	{NODE "  otlp: {endpoint: 'http://c:1', headers: {X-Tenant: a}}\n",
		"5: error: spec.otlp: \"X-Tenant\" cannot be a header"},
	{NODE "  otlp: {endpoint: 'http://c:1', headers: {grpc-timeout: a}}\n",
		"5: error: spec.otlp: \"grpc-timeout\" cannot be a header"},
	{NODE "  otlp: {interval: 1s}\n",
		"5: error: spec.otlp: the exporter setting is missing its endpoint"},
	{NODE "  otlp: {endpoint: 'http://c:1', interval: 10ms}\n",
		"5: error: spec.otlp.interval: 10ms is too short"},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmeta: {}\n", "3: error: meta: unknown field"},
	{"apiVersion: meltemi.io/v1\nkind: Node\nspec: {}\n",
		"1: error: the document has no metadata"},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: a}\n",
		"1: error: the document has no spec"},
	{SE "  hosts: [a]\n  ports:\n  - numbr: 80\n    name: tcp\n    number: 80\n",
		"7: error: spec.ports[0].numbr: unknown field (did you mean number?)"},
	{SE "  hosts: [a]\n  ports:\n  - name: tcp\n",
		"7: error: spec.ports[0]: the service port is missing its number"},
	{SE "  hosts: [a]\n  ports: [{number: 70000, name: tcp}]\n",
		"6: error: spec.ports[0].number: 70000 is out of range (write a whole number from "
		"1 to "
		"65535)"},
	{SE "  hosts: [a]\n  ports: [{number: 80.5, name: tcp}]\n",
		"6: error: spec.ports[0].number: \"80.5\" is not a number"},
	{SE "  hosts: [a]\n  ports: {number: 80}\n",
		"6: error: spec.ports: must be a list, is a map"},
	{SE "  hosts:\n  ports: []\n", "5: error: spec.hosts: is empty"},
	{SE "  hosts: [~]\n  ports: []\n", "5: error: spec.hosts[0]: is empty"},
	{VS "  hosts: [a]\n  http: [{route: [{destination: {host: }}]}]\n",
		"6: error: spec.http[0].route[0].destination.host: is empty"},
	{SE "  hosts: []\n  ports: [{number: 80, name: tcp}]\n", "5: error: spec: no host"},
	{SE "  hosts: [a]\n  hosts: [b]\n  ports: []\n",
		"6: error: spec.hosts: written twice, first on line 5"},
	{SE "  hosts: [a]\n  ports: []\n  resolution: static\n",
		"7: error: spec.resolution: \"static\" is not known here (did you mean STATIC?)"},
	{SE "  hosts: [a]\n  ports: []\n  endpoints:\n  - address: 192.0.2.300\n",
		"8: error: spec.endpoints[0].address: \"192.0.2.300\" is not an address"},
	{SE "  hosts: [a]\n  ports: []\n  endpoints:\n  - address: 192.0.2.3\n    ports: {tcp: "
	    "x}\n",
		"9: error: spec.endpoints[0].ports.tcp: \"x\" is not a number"},
	{SE "  hosts: [a]\n  ports: []\n  endpoints: [{address: 192.0.2.3}]\n"
	    "  workloadSelector: {labels: {a: b}}\n",
		"7: error: spec: endpoints and workloadSelector exclude each other"},
	{MR "  hosts: [a]\n  routes:\n  - route:\n    - destination: {host: a}\n      weight: 20\n"
	    "    - destination: {host: b}\n      weight: 90\n",
		"11: error: spec.routes[0]: weights total 110 (the weights of one route must total "
		"100)"},
	{MR "  hosts: [a]\n  routes:\n  - route:\n    - destination: {host: a}\n      weight: 20\n"
	    "    - destination: {host: b}\n",
		"10: error: spec.routes[0]: a destination has no weight"},
	{VS "  hosts: [a]\n  http:\n  - route:\n    - destination: {host: a}\n      weight: 0\n"
	    "    - destination: {host: b}\n",
		"7: error: spec.http[0]: all weights are 0"},
	{VS "  hosts: [a]\n  http:\n  - route:\n    - destination: {host: a, weight: -1}\n",
		"8: error: spec.http[0].route[0].destination.weight: \"-1\" is not a number"},
	{VS "  hosts: [a]\n  http:\n  - route:\n    - destination: {host: a, weight: 30}\n"
	    "      weight: 20\n",
		"9: error: spec.http[0].route[0]: weight 20 here, 30 inside destination"},
	{VS "  hosts: [a]\n  http:\n  - name: x\n",
		"7: error: spec.http[0]: the route leads nowhere"},
	{VS "  hosts: [a]\n  http:\n  - match: [{headers: {user: {exakt: Jason}}}]\n",
		"7: error: spec.http[0].match[0].headers.user.exakt: unknown field (did you mean "
		"exact?)"},
	{VS "  hosts: [a]\n  htp: {}\n", "6: error: spec.htp: unknown field (did you mean http?)"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    timeout: 10\n",
		"8: error: spec.http[0].timeout: \"10\" is not a duration"},
	{MR "  hosts: [a, b]\n", "5: error: spec: a MetaRouter is for exactly one host, not 2"},
	{MR "  hosts: [a]\n  localRateLimit: {}\n",
		"6: error: spec.localRateLimit: the limit limits nothing"},
	{MR "  hosts: [a]\n  localRateLimit:\n    tokenBucket: {maxTokens: 5, fillInterval: "
	    "10ms}\n",
		"7: error: spec.localRateLimit.tokenBucket.fillInterval: 10ms is too short"},
	{MR "  hosts: [a]\n  localRateLimit:\n    tokenBucket: {maxTokens: 0, fillInterval: 1s}\n",
		"7: error: spec.localRateLimit.tokenBucket.maxTokens: 0 is out of range"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    mirror: {host: b}\n"
	    "    mirrors: [{destination: {host: b}}]\n",
		"9: error: spec.http[0]: both mirror and mirrors are written"},
	{MR "  hosts: [a]\n  routes:\n  - route: [{destination: {host: a}}]\n"
	    "    mirrorPercentage: {value: 10}\n",
		"8: error: spec.routes[0]: a mirror's share without a mirror"},
	{MR "  hosts: [a]\n  routes:\n  - route: [{destination: {host: a}}]\n"
	    "    mirror: {host: b}\n    mirrorPercentage: {value: 101}\n",
		"9: error: spec.routes[0].mirrorPercentage.value: \"101\" is not a percentage"},
	{DR "  host: a\n  trafficPolicy: {loadBalancer: {simple: ROUND_ROBN}}\n",
		"6: error: spec.trafficPolicy.loadBalancer.simple: \"ROUND_ROBN\" is not known "
		"here "
		"(did you mean ROUND_ROBIN?)"},
	{DR "  host: a\n  trafficPolicy: {connectionPool: {tcp: {connectTimeout: soon}}}\n",
		"6: error: spec.trafficPolicy.connectionPool.tcp.connectTimeout: \"soon\" is not a "
		"duration"},
	{NODE "  workers: 0\n", "5: error: spec.workers: 0 is out of range"},
	{NODE "  idle: busy\n", "5: error: spec.idle: \"busy\" is not known here (one of adaptive, "
				"poll)"},
	{NODE "  ports:\n  - {name: p, device: d, addresses: [192.0.2.1/33]}\n",
		"6: error: spec.ports[0].addresses[0]: \"192.0.2.1/33\" is not an address with its "
		"prefix"},
	{NODE "  ports:\n  - {name: p, device: d}\n  - {name: p, device: e}\n",
		"7: error: spec.ports[1].name: \"p\" is already the port on line 6"},
	{NODE "  routes:\n  - {to: 0.0.0.0/0, via: 2001:db8::1}\n",
		"6: error: spec.routes[0]: IPv4 and IPv6 are mixed"},
	{NODE "  admin: {http: 127.0.0.1}\n",
		"5: error: spec.admin.http: \"127.0.0.1\" is not an address with a port"},
	{NODE "  sources: [{}]\n",
		"5: error: spec.sources[0]: the source names nothing (write directory: PATH, or "
		"xds: {bootstrap: FILE})"},
	{NODE "  sources: [{directory: d, xds: {bootstrap: f}}]\n",
		"5: error: spec.sources[0]: a source is a directory or a discovery server, not "
		"both"},
	{NODE "  sources: [{xds: {name: m}}]\n",
		"5: error: spec.sources[0].xds: no server is named"},
	{NODE "  sources: [{xds: {bootstrap: f, servers: [a:1]}}]\n",
		"5: error: spec.sources[0].xds: the bootstrap names the servers"},
	{NODE "  sources: [{xds: {servers: [a:1]}}]\n",
		"5: error: spec.sources[0].xds: the server cannot identify this node"},
	{NODE "  sources: [{xds: {servers: [a:1], nodeId: x, key: k}}]\n",
		"5: error: spec.sources[0].xds: a certificate and its key belong together"},
	{NODE "  sources: [{xds: {bootstrap: f, name: ../x}}]\n",
		"5: error: spec.sources[0].xds: \"../x\" cannot be the name of a source"},
	{NODE "  sources: [{directory: d, name: codecs}]\n",
		"5: error: spec.sources[0]: \"codecs\" is the source of codec files (choose "
		"another name)"},
	{NODE "  sources: [{directory: d, name: installed}]\n",
		"5: error: spec.sources[0]: \"installed\" is the source of codec files (choose "
		"another name)"},
	{NODE "  sources:\n  - {xds: {bootstrap: f}}\n  - {xds: {bootstrap: g}}\n",
		"7: error: spec.sources[1].xds.name: \"mesh\" is already the source on line 6"},
};

static void bad_documents_table(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(bad_documents); i++) {
		struct loaded l = load_text(bad_documents[i].text);
		size_t len = strlen(bad_documents[i].expect);
		bool same = strncmp(first_diag(&l), bad_documents[i].expect, len) == 0;

		CU_ASSERT(same);
		if (!same)
			fprintf(stderr, "row %zu: %s\n", i, first_diag(&l));
		CU_ASSERT(l.diags.errors >= 1);
		CU_ASSERT_EQUAL(l.m->service_entries.n + l.m->virtual_services.n +
					l.m->meta_routers.n + l.m->destination_rules.n +
					l.m->envoy_filters.n,
			0);
		unload(&l);
	}
}

/* What is known but not done says so, and the document is used. */
static const struct bad_document warned_documents[] = {
	{AP "  targetRef: {kind: Service, name: a, namespace: b}\n",
		"5: warning: spec.targetRef.namespace: not enforced: targets are in the namespace "
		"of the "
		"policy, default; nothing in b is selected"},
	{SEC("RequestAuthentication") "  targetRefs:\n  - {kind: Service, name: a, namespace: "
				      "default}\n  - {kind: Service, name: a, namespace: b}\n",
		"7: warning: spec.targetRefs[1].namespace: not enforced: targets are in the "
		"namespace"},
	{EF "  configPatches: []\n  targetRefs: [{kind: Service, name: a, namespace: b}]\n",
		"6: warning: spec.targetRefs[0].namespace: not enforced: targets are in the "
		"namespace"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    fault: {abort: "
	    "{httpStatus: 500}}\n",
		"8: warning: spec.http[0].fault: accepted, not enforced"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    retries: {attempts: "
	    "3, retryOn: '5xx,409,retriable-4xx'}\n",
		"8: warning: spec.http[0].retries.retryOn: 409 has no effect: replies of RPC "
		"protocols do not have this status"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    timeout: 1s\n"
	    "    retries: {attempts: 3, perTryTimeout: 1s}\n",
		"9: warning: spec.http[0]: retries.perTryTimeout has no effect: timeout is not "
		"longer"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n"
	    "    retries: {attempts: 0, perTryTimeout: 1s}\n",
		"8: warning: spec.http[0].retries: perTryTimeout has no effect: attempts is 0"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    mirror: {host: b, "
	    "weight: 5}\n",
		"8: note: spec.http[0].mirror.weight: accepted, not enforced: "
		"`mirrorPercentage`, or `percentage` in `mirrors`, sets the share of copies"},
	{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n"
	    "    mirrors: [{destination: {host: b, weight: 5}}]\n",
		"8: note: spec.http[0].mirrors[0].destination.weight: accepted, not enforced"},
	{MR "  hosts: [a]\n  routes:\n  - route: [{destination: {host: a}}]\n    mirror: {host: b, "
	    "weight: 5}\n",
		"8: note: spec.routes[0].mirror.weight: accepted, not enforced"},
	{VS "  hosts: [a]\n  awesomeRPC:\n  - match:\n    - headers:\n      user:\n"
	    "        exact: Jason\n    route: [{destination: {host: a}}]\n",
		"9: warning: spec.awesomeRPC[0].match[0].user: is next to headers, used as one "
		"of "
		"its keys (indent it by two more)"},
};

static void warned_documents_table(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(warned_documents); i++) {
		struct loaded l = load_text(warned_documents[i].text);
		size_t len = strlen(warned_documents[i].expect);

		CU_ASSERT_EQUAL(l.diags.errors, 0);
		CU_ASSERT_EQUAL(l.diags.warnings + l.diags.notes, 1);
		CU_ASSERT_NSTRING_EQUAL(first_diag(&l), warned_documents[i].expect, len);
		unload(&l);
	}
}

/* Fields without effect are in one note, in the order of the document; metadata are none of them. */
static void ignored_fields(void)
{
	static const struct bad_document rows[] = {
		{DR "  host: a\n  trafficPolicy: {outlierDetection: {interval: 1s}}\n",
			"6: note: spec.trafficPolicy.outlierDetection.interval: without effect: "
			"not "
			"used"},
		{DR "  host: a\n  trafficPolicy: {outlierDetection: {interval: 1s}, "
		    "connectionPool: {tcp: {tcpKeepalive: {time: 1s}}}}\n",
			"6: note: fields without effect: spec.trafficPolicy.outlierDetection."
			"interval, spec.trafficPolicy.connectionPool.tcp.tcpKeepalive (docs/"},
		{VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n    match: "
		    "[{name: "
		    "n}]\n    corsPolicy: {}\n    fault: {abort: {httpStatus: 500}}\n",
			"9: note: spec.http[0].corsPolicy: accepted, not enforced: HTTP only"},
	};
	static char text[8192];
	struct loaded l;
	size_t len;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		l = load_text(rows[i].text);
		CU_ASSERT_EQUAL(l.diags.errors, 0);
		CU_ASSERT_EQUAL(l.diags.notes, 1);
		CU_ASSERT_NSTRING_EQUAL(first_diag(&l), rows[i].expect, strlen(rows[i].expect));
		unload(&l);
	}
	/* More than a note has room for are counted. */
	len = (size_t)snprintf(text, sizeof(text), VS "  hosts: [a]\n  http:\n");
	for (int i = 0; i < 60; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"  - {route: [{destination: {host: a}}], corsPolicy: {}}\n");
	l = load_text(text);
	CU_ASSERT_EQUAL(l.diags.n, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), ", and "));
	CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), " more (docs/"));
	unload(&l);
}

/* New fields and words of Istio's API, 1.31 and 1.32, do not cost the document that has them. */
static void newest_fields(void)
{
#define NAMED(kind, group) "apiVersion: " group "\nkind: " kind "\nmetadata: {name: a}\nspec:\n"
	static const char *const texts[] = {
		DR "  host: a\n  trafficPolicy: {retryBudget: {percent: 20, minRetryConcurrency: "
		   "3, budgetInterval: 1s}}\n",
		DR
		"  host: a\n  trafficPolicy: {connectionPool: {http: {http2KeepAlive: {interval: "
		"1s, timeout: 1s}}}}\n",
		DR "  host: a\n  trafficPolicy: {outlierDetection: "
		   "{outlierDetectionHttpErrorCodes: [503]}}\n",
		DR "  host: a\n  trafficPolicy: {portLevelSettings: [{port: {number: 1}, "
		   "outlierDetection: {outlierDetectionHttpErrorCodes: [503]}}]}\n",
		DR "  host: a\n  subsets: [{name: s, trafficPolicy: {retryBudget: {}}}]\n",
		NAMED("Gateway", "networking.istio.io/v1") "  servers: [{port: {number: 1, name: "
							   "tls, protocol: TLS}, tls: {mode: "
							   "MUTUAL, insecureSkipVerify: true}}]\n",
		NAMED("ServiceEntry",
			"networking.istio.io/v1") "  hosts: ['*.a.x']\n  resolution: DYNAMIC_DNS\n"
						  "  ports: [{number: 1, name: tls}]\n",
		NAMED("Telemetry",
			"telemetry.istio.io/v1") "  tracing: [{disableContextPropagation: true}]\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct loaded l = load_text(texts[i]);

		CU_ASSERT_EQUAL(l.diags.errors, 0);
		if (l.diags.errors)
			fprintf(stderr, "row %zu: %s\n", i, first_diag(&l));
		unload(&l);
	}
}

/* A renamed key is read by its old name, with a warning that has the new one; not by both. */
static void renamed_key(void)
{
#define OLD_KEY "  mesh: {lend: {clients: [10.0.0.0/8]}}\n"
	struct loaded l = load_text(NODE OLD_KEY);
	const struct mt_node_lend *use;

	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_EQUAL(l.diags.notes, 1);
	CU_ASSERT_STRING_EQUAL(first_diag(&l),
		"5: note: spec.mesh.lend: renamed; the next version will reject the old name "
		"(write nodeIdentityUse)");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.m->node);
	use = l.m->node->mesh->lend;
	CU_ASSERT_PTR_NOT_NULL_FATAL(use);
	CU_ASSERT_EQUAL(use->n_clients, 1);
	unload(&l);

	l = load_text(NODE "  mesh:\n    nodeIdentityUse: {clients: [10.0.0.0/8]}\n    lend: "
			   "{clients: [10.0.0.0/8]}\n");
	CU_ASSERT_EQUAL(l.diags.errors, 1);
	unload(&l);
}

/* How a mirror is turned off. */
static void mirrors_of_nothing(void)
{
#define HTTP VS "  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n"
	static const char *const texts[] = {
		HTTP "    mirror: {host: b}\n    mirrorPercentage: {value: 0}\n",
		HTTP "    mirror: {host: b}\n    mirrorPercentage: {value: 0.0}\n",
		HTTP "    mirror: {host: b}\n    mirrorPercentage: {}\n",
		HTTP "    mirror: {host: b}\n    mirrorPercent: 0\n",
		HTTP "    mirrors: [{destination: {host: b}, percentage: {value: 0}}]\n",
		MR "  hosts: [a]\n  routes:\n  - route: [{destination: {host: a}}]\n"
		   "    mirror: {host: b}\n    mirrorPercentage: {value: 0}\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct loaded l = load_text(texts[i]);
		const struct mt_rule_percent *share;
		const struct mt_rule *r;

		CU_ASSERT_EQUAL(l.diags.errors + l.diags.warnings, 0);
		CU_ASSERT_EQUAL_FATAL(l.m->virtual_services.n + l.m->meta_routers.n, 1);
		r = l.m->meta_routers.n
			    ? ((struct mt_meta_router *)l.m->meta_routers.v[0])->routes.rules
			    : ((struct mt_virtual_service *)l.m->virtual_services.v[0])
				      ->lists->rules;
		share = r->n_mirrors ? r->mirrors->percent : r->mirror_percent;
		CU_ASSERT_PTR_NOT_NULL_FATAL(share);
		CU_ASSERT_EQUAL(share->ppm.v, 0);
		unload(&l);
	}
}

static void slide_form_means_a_condition(void)
{
	struct loaded l = load_text(warned_documents[MT_ARRAY_LEN(warned_documents) - 1].text);
	const struct mt_virtual_service *vs;
	const struct mt_rule_match *m;

	CU_ASSERT_EQUAL_FATAL(l.m->virtual_services.n, 1);
	vs = l.m->virtual_services.v[0];
	CU_ASSERT_STRING_EQUAL(vs->lists[0].name, "awesomeRPC");
	CU_ASSERT_EQUAL_FATAL(vs->lists[0].rules[0].n_matches, 1);
	m = &vs->lists[0].rules[0].matches[0];
	CU_ASSERT_EQUAL_FATAL(m->n_conds, 1);
	CU_ASSERT_STRING_EQUAL(m->conds[0].key.s, "user");
	CU_ASSERT_STRING_EQUAL(m->conds[0].value.s, "Jason");
	CU_ASSERT_EQUAL(m->conds[0].op, MT_COND_EXACT);
	unload(&l);
}

/* One bad document does not hide the others. */
static void others_are_read(void)
{
	struct loaded l =
		load_text(MR "  hosts: [a]\n---\n" MR "  hots: [b]\n---\n" MR "  hosts: [c]\n");

	CU_ASSERT_EQUAL(l.m->meta_routers.n, 2);
	CU_ASSERT_EQUAL(l.diags.errors, 2); /* unknown hots, missing hosts */
	CU_ASSERT_EQUAL(l.diags.items[0].origin.line, 11);
	unload(&l);
}

static void node_document(void)
{
	struct loaded l = load_text(
		"apiVersion: meltemi.io/v1\n"
		"kind: Node\n"
		"metadata: {name: edge-1, labels: {zone: foo}}\n"
		"spec:\n"
		"  workers: 2\n"
		"  idle: poll\n"
		"  unread: strict\n"
		"  memory: {hugepages: off, mb: 256}\n"
		"  locality: {region: r1, zone: z1}\n"
		"  ports:\n"
		"  - name: p0\n"
		"    device: net_af_packet0,iface=veth-p0\n"
		"    profile: af_packet\n"
		"    addresses: [192.0.2.1/24, \"2001:db8::1/64\"]\n"
		"  routes: [{to: 0.0.0.0/0, via: 192.0.2.254}]\n"
		"  sources: [{directory: /etc/meltemi/services}]\n"
		"  stateDirectory: /var/lib/meltemi\n"
		"  admin: {socket: /run/meltemi/admin.sock, http: \"127.0.0.1:15000\"}\n");
	const struct mt_node *n = l.m->node;

	CU_ASSERT_EQUAL(l.diags.errors + l.diags.warnings, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(n);
	CU_ASSERT_EQUAL(n->workers.v, 2);
	CU_ASSERT_EQUAL(n->idle.v, MT_IDLE_POLL);
	CU_ASSERT_EQUAL(n->unread.v, MT_UNREAD_STRICT);
	CU_ASSERT_EQUAL(n->memory.hugepages.v, MT_HUGEPAGES_OFF);
	CU_ASSERT_EQUAL(n->memory.mb.v, 256);
	CU_ASSERT_STRING_EQUAL(n->locality.zone.s, "z1");
	CU_ASSERT_EQUAL_FATAL(n->n_ports, 1);
	CU_ASSERT_EQUAL_FATAL(n->ports[0].n_addresses, 2);
	CU_ASSERT_EQUAL(n->ports[0].addresses[1].prefix, 64);
	CU_ASSERT_EQUAL(n->routes[0].to.prefix, 0);
	CU_ASSERT_STRING_EQUAL(n->sources[0].directory.s, "/etc/meltemi/services");
	CU_ASSERT_EQUAL(n->admin.http_port, 15000);
	CU_ASSERT_STRING_EQUAL(n->meta.name, "edge-1");
	unload(&l);
}

static const char patch_text[] = EF
	"  configPatches:\n"
	"  - applyTo: NETWORK_FILTER\n"
	"    match: {listener: {name: 240.240.0.1_20880}}\n"
	"    patch:\n"
	"      operation: REPLACE\n"
	"      value:\n"
	"        name: envoy.filters.network.meta_protocol_proxy\n"
	"        typed_config:\n"
	"          \"@type\": type.googleapis.com/udpa.type.v1.TypedStruct\n"
	"          type_url: type.googleapis.com/"
	"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"
	"          value:\n"
	"            application_protocol: dubbo\n"
	"            codec: {name: aeraki.meta_protocol.codec.dubbo}\n"
	"            idleTimeout: 5s\n"
	"            routeConfig:\n"
	"              routes:\n"
	"              - match: {metadata: [{name: user, exactMatch: Jason, "
	"treatMissingHeaderAsEmpty: true}, {name: n, "
	"range_match: "
	"{start: 1, end: 5}, invert_match: true}]}\n"
	"                route: {weightedClusters: {clusters: [{name: outbound|20880|v1|a, weight: "
	"3}, {name: outbound|20880|v2|a, weight: 1}]}, hashPolicy: [user, tenant]}\n"
	"            metaProtocolFilters:\n"
	"            - name: aeraki.meta_protocol.filters.local_ratelimit\n"
	"              config: {token_bucket: {max_tokens: 5, fill_interval: 1s}}\n"
	"            - name: aeraki.meta_protocol.filters.router\n";

static void envoy_patch(void)
{
	struct loaded l = load_text(patch_text);
	const struct mt_envoy_filter *ef;
	const struct mt_proxy_patch *p;
	const struct mt_rule *r;

	CU_ASSERT_STRING_EQUAL(first_diag(&l), "");
	CU_ASSERT_EQUAL_FATAL(l.m->envoy_filters.n, 1);
	ef = l.m->envoy_filters.v[0];
	CU_ASSERT_EQUAL_FATAL(ef->n_patches, 1);
	p = ef->patches;
	CU_ASSERT_EQUAL(p->port.v, 20880);
	CU_ASSERT_STRING_EQUAL(p->protocol.s, "dubbo");
	CU_ASSERT_STRING_EQUAL(p->codec.s, "aeraki.meta_protocol.codec.dubbo");
	CU_ASSERT_EQUAL(p->idle_ms.v, 5000);
	CU_ASSERT_EQUAL_FATAL(p->routes.n_rules, 1);
	r = p->routes.rules;
	CU_ASSERT_EQUAL_FATAL(r->n_dests, 2);
	CU_ASSERT_EQUAL(r->dests[0].weight.v, 3);
	CU_ASSERT_STRING_EQUAL(r->dests[1].cluster.s, "outbound|20880|v2|a");
	CU_ASSERT_EQUAL_FATAL(r->matches[0].n_conds, 2);
	CU_ASSERT_EQUAL(r->matches[0].conds[1].op, MT_COND_RANGE);
	CU_ASSERT(r->matches[0].conds[1].invert);
	CU_ASSERT(r->matches[0].conds[0].missing_as_empty);
	CU_ASSERT(!r->matches[0].conds[1].missing_as_empty);
	CU_ASSERT_EQUAL_FATAL(r->n_hash_keys, 2);
	CU_ASSERT_STRING_EQUAL(r->hash_keys[1].s, "tenant");
	CU_ASSERT_PTR_NOT_NULL_FATAL(p->limit);
	CU_ASSERT_EQUAL(p->limit->bucket->max_tokens.v, 5);
	CU_ASSERT_EQUAL(p->limit->bucket->tokens_per_fill.v, 1);
	unload(&l);
}

/* The documents of the talks, as they stand. */
static void talks(void)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_directory(m, &diags, MT_SOURCE_ROOT "/tests/documents/talks"), 0);
	mt_diags_print(&diags, stderr);
	CU_ASSERT_EQUAL(diags.errors + diags.warnings, 0);
	CU_ASSERT_EQUAL(m->virtual_services.n, 2);
	CU_ASSERT_EQUAL(m->meta_routers.n, 1);
	CU_ASSERT_EQUAL(m->app_protocols.n, 1);
	CU_ASSERT(m->service_entries.n >= 3);
	mt_diags_fini(&diags);
	mt_model_free(m);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

/* The Node's own file lies in a directory that it names and that -d names again: all is read once. */
static void read_once(void)
{
	char dir[] = "/tmp/mt_load_XXXXXX", node[64], cmd[64];
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	write_file(dir, "node.yaml", NODE "  sources: [{directory: .}]\n");
	write_file(dir, "b.yaml", MR "  hosts: [b]\n");
	write_file(dir, "a.json",
		"{\"apiVersion\": \"metaprotocol.aeraki.io/v1alpha1\", \"kind\": \"MetaRouter\",\n"
		"\t\"metadata\": {\"name\": \"a\"}, \"spec\": {\"hosts\": [\"a\"]}}\n");
	write_file(dir, "a.yaml~", "not: read\n");
	snprintf(node, sizeof(node), "%s/node.yaml", dir);
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_load(NULL, m, &diags, node, (const char *const[]){dir}, 1), 0);
	CU_ASSERT_EQUAL(diags.errors + diags.warnings, 0);
	mt_diags_print(&diags, stderr);
	CU_ASSERT_PTR_NOT_NULL(m->node);
	CU_ASSERT_EQUAL_FATAL(m->meta_routers.n, 2);
	CU_ASSERT_STRING_EQUAL(((const struct mt_meta *)m->meta_routers.v[0])->name, "a");
	mt_diags_fini(&diags);
	mt_model_free(m);
	snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static void missing_files(void)
{
	struct mt_model *m = mt_model_new();
	const char *const dirs[] = {"/nonexistent/d"};
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_source_load(NULL, m, &diags, "/nonexistent/node.yaml", dirs, 1);
	CU_ASSERT_EQUAL(diags.errors, 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(diags.items[0].message, "cannot be read"));
	mt_diags_fini(&diags);
	mt_model_free(m);
}

/* Routes of TLS have the fields of Istio's, and no others. */
static void tls_routes(void)
{
	static const char form[] =
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.x]\n  tls:\n  - match: [{sniHosts: [a.x]%s}]\n"
		"    route: [{destination: {host: a.x}}]\n%s";
	static const struct {
		const char *match, *rule, *error;
	} t[] = {{"", "", NULL}, {", port: 443", "", NULL}, {", gateways: [g]", "", NULL},
		{", sourceLabels: {a: b}", "", NULL}, {", sourceNamespace: n", "", NULL},
		{", uri: {exact: a}", "", "unknown field"},
		{", headers: {a: {}}", "", "unknown field"},
		{"", "    timeout: 1s\n", "unknown field"},
		{"", "    mirror: {host: b.x}\n", "unknown field"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_model *m = mt_model_new();
		struct mt_diags diags;
		char text[600];
		int n = snprintf(text, sizeof(text), form, t[i].match, t[i].rule);

		mt_diags_init(&diags);
		CU_ASSERT_EQUAL(mt_source_text(m, &diags, "t", text, (size_t)n), 0);
		CU_ASSERT_EQUAL(diags.errors, t[i].error != NULL);
		if (t[i].error && diags.errors)
			CU_ASSERT_PTR_NOT_NULL(strstr(diags.items[0].message, t[i].error));
		mt_diags_fini(&diags);
		mt_model_free(m);
	}
}

const struct mt_test documents_tests[] = {
	{"bad_documents_table", bad_documents_table},
	{"warned_documents_table", warned_documents_table},
	{"ignored_fields", ignored_fields},
	{"newest_fields", newest_fields},
	{"renamed_key", renamed_key},
	{"mirrors_of_nothing", mirrors_of_nothing},
	{"slide_form_means_a_condition", slide_form_means_a_condition},
	{"others_are_read", others_are_read},
	{"node_document", node_document},
	{"envoy_patch", envoy_patch},
	{"talks", talks},
	{"read_once", read_once},
	{"missing_files", missing_files},
	{"tls_routes", tls_routes},
	{0},
};
