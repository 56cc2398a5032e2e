/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, names and settings that cannot work: each is told with its line, its field and a remedy. */
#include "conf_test.h"

#include <stdio.h>

#define NODE "---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
#define SE                                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"       \
	"spec:\n  resolution: STATIC\n  hosts: [a.x]\n"
/* Lines 1-6: a node with one port; what follows begins at line 7. */
#define PORT                                                                                       \
	NODE "  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24, "                  \
	     "\"2001:db8::1/64\"]}]\n"
#define ALONE	 NODE "  ports: [{name: p0, device: net_null0, addresses: [198.51.100.77/32]}]\n"
#define SE_LINES 7
#define DUBBO	 "  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n"
#define ENDPOINT "  endpoints: [{address: 192.0.2.9}]\n"

struct odd {
	const char *text;
	enum mt_diag_severity severity;
	uint32_t line;
	const char *words;
};

#define E MT_DIAG_ERROR
#define W MT_DIAG_WARNING
#define N MT_DIAG_NOTE

static const struct odd nodes[] = {
	{NODE "  ports: [{name: p0, device: d, addresses: [192.0.2.1]}]\n", E, 6,
		"spec.ports[0].addresses[0]: 192.0.2.1 has no prefix length (write it like "
		"192.0.2.1/24)"},
	{NODE "  ports: [{name: p0, device: d, addresses: [192.0.2.0/24]}]\n", E, 6,
		"192.0.2.0/24 is the network itself"},
	{NODE "  ports: [{name: p0, device: d, addresses: [192.0.2.255/24]}]\n", E, 6,
		"is the network's broadcast address"},
	{NODE "  ports: [{name: p0, device: d, addresses: [\"2001:db8::/64\"]}]\n", E, 6,
		"is the network itself"},
	{NODE "  ports: [{name: p0, device: d, addresses: [127.0.0.1/8]}]\n", E, 6,
		"is a loopback address"},
	{NODE "  ports: [{name: p0, device: d, addresses: [224.0.0.5/24]}]\n", E, 6,
		"is a multicast address"},
	{NODE "  ports:\n  - {name: p0, device: d, addresses: [192.0.2.1/24]}\n"
	      "  - {name: p1, device: e, addresses: [192.0.2.1/24]}\n",
		E, 8, "spec.ports[1].addresses[0]: 192.0.2.1/24 is written twice, first on line 7"},
	{NODE "  ports: [{name: \"a\\nb\", device: d}]\n", E, 6,
		"spec.ports[0].name: \"a\\nb\" is not a name for a port"},
	{NODE "  ports: [{name: p0, device: d, exception: p0}]\n", E, 6,
		"spec.ports[0].exception: a port cannot be its own exception"},
	{NODE "  ports: [{name: p0, device: d, exception: p1}]\n", E, 6,
		"spec.ports[0].exception: no port \"p1\""},
	{NODE "  ports:\n  - {name: vm1, device: d, exception: host}\n"
	      "  - {name: vm2, device: e, exception: host}\n  - {name: host, device: f}\n",
		W, 8, "spec.ports[1].exception: host is the exception of port vm1, too"},
	{PORT "  routes: [{to: 0.0.0.0/0, via: 198.51.100.1}]\n", E, 7,
		"spec.routes[0].via: 198.51.100.1 is on no network of the ports"},
	/* A router on the link, but outside of all networks, takes a port without a network. */
	{PORT "  routes: [{to: 0.0.0.0/0, via: 198.51.100.1, port: p0}]\n", E, 7,
		"spec.routes[0].via: 198.51.100.1 is on no network of port p0 (write a router on a "
		"network that the port"},
	{ALONE "  routes: [{to: 0.0.0.0/0, via: 198.51.100.1}]\n", E, 7,
		"198.51.100.1 is on no network of the ports (write a router on a network that a "
		"port "
		"has an address of, or the port of its link"},
	{PORT "  routes: [{to: \"::/0\", via: \"fe80::1\"}]\n", E, 7,
		"spec.routes[0].via: fe80::1 may be on the link of any port (write the port, too: "
		"port: NAME)"},
	{ALONE "  routes: [{to: \"::/0\", via: \"fe80::1\", port: p0}]\n", E, 7,
		"spec.routes[0].via: port p0 has no IPv6 address, so fe80::1 is not reached by it"},
	{PORT "  routes: [{to: 0.0.0.0/0, via: 192.0.2.1}]\n", E, 7,
		"192.0.2.1 is the node's own address"},
	{PORT "  routes: [{to: 10.0.0.1/8, via: 192.0.2.2}]\n", E, 7,
		"spec.routes[0].to: 10.0.0.1/8 has bits set after its prefix (write 10.0.0.0/8)"},
	{PORT "  routes: [{to: \"2001:db8:1::5/48\", via: \"2001:db8::2\"}]\n", E, 7,
		"(write 2001:db8:1::/48)"},
	{PORT "  routes:\n  - {to: 10.0.0.0/8, via: 192.0.2.2}\n  - {to: 10.0.0.0/8, via: "
	      "192.0.2.3}\n",
		E, 9, "spec.routes[1].to: 10.0.0.0/8 is written twice, first on line 8"},
	{PORT "  routes: [{to: 10.0.0.0/8, port: p9}]\n", E, 7,
		"spec.routes[0].port: no port \"p9\""},
	{PORT "  cores: [128]\n", E, 7, "spec.cores[0]: 128 is out of range"},
	{PORT "  workers: 2\n  cores: [1]\n", E, 8, "spec.cores: 1 cores for 2 workers"},
	{NODE "  ports:\n  - {name: p0, device: net_null0, addresses: [192.0.2.1/24]}\n"
	      "  - {name: p1, device: net_null1, addresses: [192.0.2.2/24]}\n",
		W, 8, "192.0.2.2/24 is in a network of port p0"},
	{PORT "  cores: [1, 2]\n", N, 7, "the last ones are not used"},
	{PORT "  workers: 2\n  cores: [1, 1]\n", N, 8, "spec.cores: core 1 is written twice"},
	{PORT "  workers: 65\n", E, 7, "spec.workers: 65 is out of range"},
	{PORT "  memory: {mb: 63}\n", E, 7, "spec.memory.mb: 63 is out of range"},
	{PORT "  memory: {hugepages: lots}\n", E, 7,
		"spec.memory.hugepages: \"lots\" is not known here (one of auto, on, off)"},
	{PORT "  sourceAddresses: [255.255.255.255]\n", E, 7, "is the broadcast address"},
	{PORT "  sourceAddresses: [192.0.2.1]\n", N, 7, "a port's own address"},
	{PORT "  admin: {socket: "
	      "/run/a-name-that-is-longer/than-any-socket-may-have/because-the-kernel-keeps/"
	      "only-108-bytes-for-it/admin.sock}\n",
		E, 7, "spec.admin.socket: 109 bytes are too long for a socket's path: 107 at most"},
	{NODE "  ports: [{name: p0, device: d, addresses: [10.0.0.1/24], kernelAddresses: "
	      "[10.0.0.1/24]}]\n",
		E, 6, "spec.ports[0].kernelAddresses[0]: 10.0.0.1/24 is Meltemi's own"},
	{NODE "  ports: [{name: p0, device: d, kernelAddresses: [10.0.0.2]}]\n", E, 6,
		"is not an address with its prefix"},
	{NODE "  ports: [{name: p0, device: d, kernelRoutes: [240.240.0.1/16]}]\n", E, 6,
		"spec.ports[0].kernelRoutes[0]: 240.240.0.1/16 has bits set after its prefix "
		"(write 240.240.0.0/16)"},
	{"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: ../x}\nspec: {}\n", E, 2,
		"metadata.name: \"../x\" is not a name for a node"},
};

/* A service of its own after the node, so its spec's first line is PORT's six and SE's seven further. */
#define AT(n)	    (6 + SE_LINES + (n))
#define VIP(a)	    PORT SE "  addresses: [" a "]\n" DUBBO
#define INSTANCE(a) PORT SE "  addresses: [203.0.113.1]\n" DUBBO "  endpoints: [{address: " a "}]\n"

static const struct odd services[] = {
	{VIP("224.0.0.1"), E, AT(1), "spec.addresses[0]: 224.0.0.1 is a multicast address"},
	{VIP("0.1.2.3"), E, AT(1), "is in 0.0.0.0/8, which no host has"},
	{VIP("127.0.0.1"), E, AT(1), "is a loopback address"},
	{VIP("255.255.255.255"), E, AT(1), "is the broadcast address"},
	{VIP("0.0.0.0"), E, AT(1), "is every address"},
	{VIP("\"::1\""), E, AT(1), "is a loopback address"},
	{VIP("\"ff02::1\""), E, AT(1), "is a multicast address"},
	{VIP("192.0.2.255"), E, AT(1), "192.0.2.255 is the network's broadcast address"},
	{VIP("192.0.2.1"), N, AT(1), "192.0.2.1 is the own address of port p0"},
	{PORT "  routes: [{to: 0.0.0.0/0, via: 192.0.2.254}]\n" SE
	      "  addresses: [192.0.2.254]\n" DUBBO,
		E, AT(2), "192.0.2.254 is the router of one of the Node's routes"},
	{INSTANCE("0.0.0.0"), E, AT(3), "spec.endpoints[0].address: 0.0.0.0 is every address"},
	{INSTANCE("\"::\""), E, AT(3), "spec.endpoints[0].address: :: is every address"},
	{INSTANCE("127.0.0.1"), E, AT(3), "127.0.0.1 is a loopback address"},
	{INSTANCE("255.255.255.255"), E, AT(3), "is the broadcast address"},
	{INSTANCE("239.1.1.1"), E, AT(3), "is a multicast address"},
	{INSTANCE("192.0.2.0"), E, AT(3), "192.0.2.0 is the network itself"},
	{INSTANCE("192.0.2.1"), E, AT(3),
		"192.0.2.1 is an address that this node itself answers, so calls would come back: "
		"that of port p0 (write the address of the host where the endpoint runs)"},
	{INSTANCE("203.0.113.1"), E, AT(3), "so calls would come back: it serves a.x"},
	/* Also an address that was given, and not written. */
	{PORT SE DUBBO "  endpoints: [{address: 240.240.0.1}]\n", E, AT(2), "it serves a.x"},
	{PORT SE DUBBO "  endpoints: [{address: 192.0.2.9, ports: {tcp-metaprotocol-duubo: 1}}]\n",
		E, AT(2),
		"spec.endpoints[0].ports.tcp-metaprotocol-duubo: the service has no port "
		"\"tcp-metaprotocol-duubo\" (did you mean tcp-metaprotocol-dubbo?)"},
	{PORT SE "  ports: [{number: 1, name: \"tcp\\n2\"}]\n", E, AT(1),
		"spec.ports[0].name: \"tcp\\n2\" is not a name for a port (letters, digits and "
		"dashes"},
	{PORT SE "  ports: [{number: 1, name: tcp_x}]\n", E, AT(1), "is not a name for a port"},
	{PORT SE "  ports: [{number: 1, name: tcp-}]\n", E, AT(1), "is not a name for a port"},
	{"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
	 "spec:\n  hosts: [\"a|b\"]\n" DUBBO,
		E, 6, "spec.hosts[0]: \"a|b\" is not a host's name"},
	{PORT SE DUBBO
		"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: "
		"{name: a}\nspec:\n  host: a.x\n  subsets: [{name: \"v|1\", labels: {a: b}}]\n",
		E, AT(8), "spec.subsets[0].name: \"v|1\" is not a name for a subset"},
	{PORT "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\nspec:\n"
	      "  servers: [{port: {number: 1, name: tcp}, bind: 224.0.0.1, hosts: [\"*\"]}]\n",
		E, AT(-1), "spec.servers[0].bind: 224.0.0.1 is a multicast address"},
	{PORT SE DUBBO "  workloadSelector: {labels: {app: a}}\n---\napiVersion: "
		       "networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w}\nspec:\n"
		       "  address: 192.0.2.9\n  labels: {app: a}\n  ports: {dubo: 1}\n",
		W, AT(10), "spec.ports.dubo: no service that selects it has a port \"dubo\""},
};

static void check(const struct odd *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct built b = build_text(NULL, rows[i].text);
		bool told = has_diag(&b, rows[i].severity, rows[i].line, rows[i].words);

		CU_ASSERT_TRUE(told);
		if (!told) {
			fprintf(stderr, "wanted line %u, %s:\n%s", rows[i].line, rows[i].words,
				rows[i].text);
			show_diags(&b);
		}
		CU_ASSERT_EQUAL(b.s == NULL, rows[i].severity == MT_DIAG_ERROR);
		unbuild(&b);
	}
}

static void node_settings(void)
{
	check(nodes, MT_ARRAY_LEN(nodes));
}

static void service_addresses(void)
{
	check(services, MT_ARRAY_LEN(services));
}

/* What is odd and legal stays silent: point-to-point prefixes, a host route, the 240/4 block. */
static void fine_as_it_is(void)
{
	struct built b = build_text(NULL, NODE
		"  ports:\n"
		"  - {name: p0, device: d, addresses: [192.0.2.0/31, 198.51.100.7/32, "
		"\"2001:db8::/127\"]}\n"
		"  - {name: p1.a_b-c, device: e, exception: p0, kernelRoutes: [240.240.0.0/16]}\n"
		"  routes: [{to: 203.0.113.7, via: 192.0.2.1}]\n" SE
		"  addresses: [240.0.0.1, 203.0.113.255]\n" DUBBO
		"  endpoints: [{address: 240.0.0.2, ports: {tcp-metaprotocol-dubbo: 9}}]\n");

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.n, 0);
	unbuild(&b);
}

/* Services for hosts alone, below the routes of the Node: which endpoints it does not permit. */
static const struct {
	const char *routes, *ns, *endpoint;
	bool refused;
} of_hosts[] = {
	{"{to: 0.0.0.0/0, port: p0}", "a", "169.254.169.254", true},
	{"{to: '::/0', port: p0}", "a", "'fd00:ec2::254'", true},
	{"{to: 0.0.0.0/0, port: p0}", "a", "100.100.100.200", true},
	{"{to: 0.0.0.0/0, port: p0}", "a", "168.63.129.16", true},
	{"{to: '64:ff9b::/96', port: p0}", "a", "'64:ff9b::a9fe:a9fe'", true},
	{"{to: 0.0.0.0/1, port: p0}", "a", "100.100.100.200", true},
	{"{to: 168.63.129.0/24, port: p0}", "a", "168.63.129.16", true},
	{"{to: 169.254.0.0/24, port: p0}, {to: 0.0.0.0/0, port: p0}", "a", "169.254.169.254", true},
	/* A route to nothing else permits it, and the root namespace is trusted with it. */
	{"{to: 169.254.169.254/32, port: p0}", "a", "169.254.169.254", false},
	{"{to: 169.254.0.0/16, port: p0}", "a", "169.254.169.254", false},
	{"{to: '64:ff9b::a9fe:0/112', port: p0}", "a", "'64:ff9b::a9fe:a9fe'", false},
	{"{to: 168.63.129.16/32, port: p0}", "a", "168.63.129.16", false},
	{"{to: 0.0.0.0/0, port: p0}", "istio-system", "169.254.169.254", false},
	{"{to: 0.0.0.0/0, port: p0}", "a", "169.253.169.254", false},
};

static void services_of_hosts(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(of_hosts); i++) {
		char text[1024];
		struct built b;

		snprintf(text, sizeof(text),
			PORT "  routes: [%s]\n"
			     "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			     "metadata: {name: a, namespace: %s}\nspec:\n  resolution: STATIC\n"
			     "  hosts: [a.x]\n" DUBBO "  endpoints: [{address: %s}]\n",
			of_hosts[i].routes, of_hosts[i].ns, of_hosts[i].endpoint);
		b = build_text(NULL, text);
		CU_ASSERT_EQUAL(b.s == NULL, of_hosts[i].refused);
		CU_ASSERT_EQUAL(has_diag(&b, E, 16,
					"is an address of the link, or of a cloud's services for "
					"its hosts"),
			of_hosts[i].refused);
		if ((b.s == NULL) != of_hosts[i].refused) {
			fprintf(stderr, "row %zu:\n", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* Routers on a link without a network, as clouds have them, and at link-local addresses. */
static void on_link_routers(void)
{
	struct built b = build_text(NULL, NODE
		"  ports:\n"
		"  - {name: p0, device: d, addresses: [198.51.100.77/32, \"2001:db8::77/128\"]}\n"
		"  - {name: p1, device: e, addresses: [192.0.2.1/24, \"2001:db8:1::1/64\"]}\n"
		"  routes:\n"
		"  - {to: 0.0.0.0/0, via: 198.51.100.1, port: p0}\n"
		"  - {to: \"::/0\", via: \"fe80::1\", port: p0}\n"
		"  - {to: \"2001:db8:7::/48\", via: \"2001:db8:9::1\", port: p0}\n"
		"  - {to: \"2001:db8:8::/48\", via: \"fe80::1\", port: p1}\n");

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.n, 0);
	unbuild(&b);
}

/* Fields that are not enforced: a warning where a call can have another outcome, else a note. */
static const struct odd later[] = {
	{"  trafficPolicy: {connectionPool: {tcp: {idleTimeout: 5s}}}\n", N, AT(9),
		"spec.trafficPolicy.connectionPool.tcp.idleTimeout: accepted, not enforced"},
	{"  trafficPolicy: {retryBudget: {budgetInterval: 5s}}\n", N, AT(9),
		"spec.trafficPolicy.retryBudget.budgetInterval: accepted, not enforced"},
	{"  trafficPolicy: {connectionPool: {http: {http2MaxRequests: 5}}}\n", W, AT(9),
		"spec.trafficPolicy.connectionPool.http.http2MaxRequests: "},
};

static void check_later(const char *head, const struct odd *rows, size_t n)
{
	char text[2048];

	for (size_t i = 0; i < n; i++) {
		struct built b;

		snprintf(text, sizeof(text), "%s%s", head, rows[i].text);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL(b.s);
		CU_ASSERT_EQUAL(b.diags.warnings + b.diags.notes, 1);
		CU_ASSERT_TRUE(has_diag(&b, rows[i].severity, rows[i].line, "not enforced"));
		CU_ASSERT_TRUE(has_diag(&b, rows[i].severity, rows[i].line, rows[i].words));
		if (b.diags.n != 1 || !has_diag(&b, rows[i].severity, rows[i].line, rows[i].words))
			show_diags(&b);
		unbuild(&b);
	}
}

static void not_enforced_is_told_once(void)
{
	check_later(PORT SE DUBBO ENDPOINT
		"---\napiVersion: networking.istio.io/v1\nkind: "
		"DestinationRule\nmetadata: {name: a}\nspec:\n  host: a.x\n",
		later, MT_ARRAY_LEN(later));
}

/* What a file says can not command a terminal. */
static void control_characters(void)
{
	struct built b =
		build_text(NULL, "apiVersion: meltemi.io/v1\nkind: \"\\e[31m\\a\\n\\x9b\"\n");
	char text[512];

	CU_ASSERT_EQUAL_FATAL(b.diags.n, 1);
	mt_diag_format(&b.diags.items[0], text, sizeof(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "unknown kind \"\\x1b[31m\\x07\\n\\xc2\\x9b\""));
	for (const char *p = text; *p; p++)
		CU_ASSERT((unsigned char)*p >= 0x20);
	unbuild(&b);
}

const struct mt_test refusals_tests[] = {
	{"node_settings", node_settings},
	{"service_addresses", service_addresses},
	{"fine_as_it_is", fine_as_it_is},
	{"services_of_hosts", services_of_hosts},
	{"on_link_routers", on_link_routers},
	{"not_enforced_is_told_once", not_enforced_is_told_once},
	{"control_characters", control_characters},
	{0},
};
