/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include "mt_addr.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The highest core to which Debian's build of DPDK can pin a thread (RTE_MAX_LCORE - 1). */
#define CORE_MAX     127
#define DRAIN_MAX_MS (86400u * 1000)

static void read_prefix(struct mt_fctx *c, const struct mt_ynode *n, struct mt_node_addr *out)
{
	if (!mt_read_item(c, n, &out->text))
		return;
	if (mt_prefix_parse(out->text.s, &out->addr, &out->prefix))
		mt_f_error(c, n->line, "write it like 192.0.2.1/24 or 2001:db8::1/64",
			"\"%.64s\" is not an address with its prefix", n->text);
}

void mt_read_address_list(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_node_addr **list, uint32_t *count)
{
	if (!mt_want_list(c, n, "a list of addresses"))
		return;
	*list = mt_region_alloc(&c->model->region, sizeof(**list) * n->n);
	if (!*list)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, *count);

		read_prefix(c, k, &(*list)[(*count)++]);
		mt_path_pop(c, mark);
	}
}

static void read_addresses(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_port *p = obj;

	mt_read_address_list(c, n, &p->addresses, &p->n_addresses);
}

static void read_sources(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node *node = obj;

	mt_read_address_list(c, n, &node->source_addresses, &node->n_source_addresses);
}

static void read_cores(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node *node = obj;

	if (!mt_want_list(c, n, "a list of cores"))
		return;
	node->cores = mt_region_alloc(&c->model->region, sizeof(*node->cores) * n->n);
	if (!node->cores)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, node->n_cores);

		mt_read_num(c, k, 0, CORE_MAX, &node->cores[node->n_cores++]);
		mt_path_pop(c, mark);
	}
}

static const char *const side_words[] = {"network", "workloads", NULL};

static const struct mt_field port_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_node_port, name), .required = true,
		.help = "the port's name in commands and counters"},
	{"device", MT_F_TEXT, AT(struct mt_node_port, device), .required = true,
		.help = "a PCI address (0000:3b:00.0) or a DPDK device "
			"(net_af_packet0,iface=eth1)"},
	{"profile", MT_F_TEXT, AT(struct mt_node_port, profile),
		.help = "profile of pmd-config to use; default: by the device's kind"},
	{"addresses", MT_F_CUSTOM, .custom = read_addresses,
		.help = "addresses of the port, with their prefixes"},
	{"mtu", MT_F_NUM, AT(struct mt_node_port, mtu), .min = 576, .max = 9702,
		.help = "largest IP packet of the link; default: 1500"},
	{"vlan", MT_F_NUM, AT(struct mt_node_port, vlan), .min = 1, .max = 4094,
		.help = "802.1Q tag of the port's network; default: untagged"},
	{"exception", MT_F_TEXT, AT(struct mt_node_port, exception),
		.help = "a TAP port that gets packets that arrive here and are not for Meltemi"},
	{"kernelAddresses", MT_F_TEXTS, AT_LIST(struct mt_node_port, kernel_addresses),
		.help = "of a TAP: addresses of the kernel's side, with their prefixes"},
	{"kernelRoutes", MT_F_TEXTS, AT_LIST(struct mt_node_port, kernel_routes),
		.help = "of a TAP: networks that the kernel routes to Meltemi"},
	{"side", MT_F_WORD, AT(struct mt_node_port, side), .words = side_words,
		.help = "`network` (default): any peer; `workloads`: own processes, machines or "
			"containers, known by their addresses; packets from other addresses are "
			"dropped"},
	{"workloads", MT_F_CUSTOM, .custom = mt_read_node_workloads, .sub = &mt_sec_node_bound,
		.help = "with `side: workloads`: the only addresses on the port; default: those of "
			"WorkloadEntries and of services' endpoints in the port's networks"},
};

static const struct mt_section port_section = {"port", sizeof(struct mt_node_port),
	MT_ARRAY_LEN(port_fields), .fields = port_fields, .after = mt_check_node_port};

static void read_to(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_prefix(c, n, &((struct mt_node_route *)obj)->to);
}

static void read_via(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_route *r = obj;

	if (mt_read_text(c, n, &r->via_text) && mt_addr_parse(r->via_text.s, &r->via))
		mt_f_error(c, n->line, "write the next router's address",
			"\"%.64s\" is not an address", n->text);
}

static void check_route(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_node_route *r = obj;

	if (!r->via_text.s && !r->port.s)
		mt_f_error(c, n->line,
			"add via: ADDRESS, or port: NAME for what is on a port's link",
			"the route leads nowhere");
	else if (r->via_text.s && r->to.text.s && mt_addr_is4(&r->via) != mt_addr_is4(&r->to.addr))
		mt_f_error(c, r->via_text.line, "use a router of the same family",
			"IPv4 and IPv6 are mixed");
}

static const struct mt_field route_fields[] = {
	{"to", MT_F_CUSTOM, .custom = read_to, .required = true,
		.help = "destination, such as 10.0.0.0/8; 0.0.0.0/0 is the default route"},
	{"via", MT_F_CUSTOM, .custom = read_via,
		.help = "address of the next router, on a network of a port. With `port` it may "
			"also be link-local (fe80::1), or outside of all networks if the port has "
			"an "
			"address of /32 or /128"},
	{"port", MT_F_TEXT, AT(struct mt_node_route, port),
		.help = "port to send by; default: the one with the network of `via`"},
};

static const struct mt_section route_section = {"route", sizeof(struct mt_node_route),
	MT_ARRAY_LEN(route_fields), .fields = route_fields, .after = check_route};

/* Resolves a relative path against the directory of the Node's file. */
void mt_beside_the_node(struct mt_fctx *c, struct mt_text *t)
{
	const char *slash = strrchr(c->file, '/');
	char *path;

	if (!t->s || *t->s == '/' || !slash)
		return;
	path = mt_region_printf(
		&c->model->region, "%.*s/%s", (int)(slash - c->file), c->file, t->s);
	if (path)
		t->s = path;
}

/* The name of a source becomes part of a file name and of metrics. */
static void check_xds_name(struct mt_fctx *c, const struct mt_text *name)
{
	static const char chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	size_t len = name->s ? strlen(name->s) : 0;

	if (len > 32 || (len && strspn(name->s, chars) != len))
		mt_f_error(c, name->line, "at most 32 of a-z, 0-9 and -",
			"\"%.64s\" cannot be the name of a source", name->s);
}

/* Documents of kind Codec have sources of their own, which are part of their identity. */
static void check_source_name(struct mt_fctx *c, const struct mt_text *name)
{
	if (name->s && (strcmp(name->s, MT_SOURCE_OF_CODECS) == 0 ||
			       strcmp(name->s, MT_SOURCE_INSTALLED_CODECS) == 0))
		mt_f_error(c, name->line, "choose another name",
			"\"%s\" is the source of codec files", name->s);
}

/* Accepts HOST:PORT and unix:/PATH. */
static void check_server(struct mt_fctx *c, const struct mt_text *server)
{
	char host[256];
	uint16_t port;

	if (server->s && strncmp(server->s, "unix:/", 6) != 0 &&
		mt_host_port(server->s, host, sizeof(host), &port))
		mt_f_error(c, server->line, "write it like istiod.istio-system.svc:15010",
			"\"%.128s\" is not like host:port", server->s);
}

static void check_xds(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_xds *x = obj;
	bool inline_server = x->n_servers > 0;

	check_xds_name(c, &x->name);
	if (!x->name.s)
		x->name.s = "mesh";
	if (!x->bootstrap.s == !inline_server)
		mt_f_error(c, n->line, "write bootstrap: FILE, or servers: [HOST:PORT] and nodeId",
			x->bootstrap.s ? "the bootstrap names the servers" : "no server is named");
	else if (inline_server && !x->node_id.s)
		mt_f_error(c, n->line, "add nodeId: sidecar~ADDRESS~NAME.NAMESPACE~DOMAIN",
			"the server cannot identify this node");
	for (uint32_t i = 0; i < x->n_servers; i++)
		check_server(c, &x->servers[i]);
	if (!x->certificate.s != !x->key.s)
		mt_f_error(c, n->line, "write certificate and key",
			"a certificate and its key belong together");
	mt_beside_the_node(c, &x->bootstrap);
	mt_beside_the_node(c, &x->identity);
	mt_beside_the_node(c, &x->roots);
	mt_beside_the_node(c, &x->certificate);
	mt_beside_the_node(c, &x->key);
}

static const struct mt_field xds_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_node_xds, name),
		.help = "the source's name in commands and in origins (`xds:NAME`); default: mesh"},
	{"bootstrap", MT_F_TEXT, AT(struct mt_node_xds, bootstrap),
		.help = "a bootstrap file of Envoy, JSON or YAML; a relative path starts at the "
			"Node's file"},
	{"identity", MT_F_TEXT, AT(struct mt_node_xds, identity),
		.help = "directory that `meltemi join` filled, with the node's certificate, which "
			"is renewed in time"},
	{"servers", MT_F_TEXTS, AT_LIST(struct mt_node_xds, servers),
		.help = "HOST:PORT of the servers in the order of use, instead of a bootstrap"},
	{"nodeId", MT_F_TEXT, AT(struct mt_node_xds, node_id),
		.help = "with `servers`: the node's name; Istio requires "
			"TYPE~ADDRESS~NAME.NAMESPACE~DOMAIN"},
	{"nodeCluster", MT_F_TEXT, AT(struct mt_node_xds, node_cluster),
		.help = "with `servers`: the group of the node; also the cluster in access logs "
			"that are sent"},
	{"delta", MT_F_BOOL, AT(struct mt_node_xds, delta),
		.help = "with `servers`: requests changes only (incremental xDS); default: false"},
	{"names", MT_F_BOOL, AT(struct mt_node_xds, names),
		.help = "with `servers`: requests the name table, which only Istio has; in a "
			"bootstrap `DNS_CAPTURE: \"true\"` of the node's metadata; default: false"},
	{"plaintext", MT_F_BOOL, AT(struct mt_node_xds, plaintext),
		.help = "`true`: connects to servers on other hosts without TLS, so that anyone on "
			"the path can redirect calls; default: false, such a server is not used"},
	{"roots", MT_F_TEXT, AT(struct mt_node_xds, roots),
		.help = "with `servers`: PEM file of authorities for the servers' certificates; "
			"default: no TLS"},
	{"certificate", MT_F_TEXT, AT(struct mt_node_xds, certificate),
		.help = "with `servers`: PEM file of the node's certificate and its intermediates"},
	{"key", MT_F_TEXT, AT(struct mt_node_xds, key),
		.help = "PEM file of the certificate's key"},
	{"serverName", MT_F_TEXT, AT(struct mt_node_xds, server_name),
		.help = "with `servers`: the name that the servers' certificates must have; "
			"default: the host"},
	{"onDemand", MT_F_POINTER, AT(struct mt_node_xds, on_demand), .sub = &mt_sec_node_demand,
		.help = "fetches clusters and endpoints with the first call to them, and drops "
			"unused ones; `{}` has the defaults; not written: all are fetched at once"},
};

static const struct mt_section xds_section = {"discovery server", sizeof(struct mt_node_xds),
	MT_ARRAY_LEN(xds_fields), .fields = xds_fields, .after = check_xds};

/* An empty list could mean all namespaces or none, so it is an error. */
static void check_source_namespaces(
	struct mt_fctx *c, const struct mt_ynode *n, const struct mt_node_source *s)
{
	const struct mt_ynode *list = mt_yaml_get(n, "namespaces");
	bool found = !s->ns.s;
	uint32_t mark;

	if (!list)
		return;
	mark = mt_path_push(c, "namespaces");
	if (mt_yaml_is_null(list) || (list->type == MT_Y_SEQ && !list->first))
		mt_f_error(c, list->line, "write at least one, or leave the field out",
			"lists no namespace");
	for (uint32_t i = 0; i < s->n_namespaces; i++) {
		mt_check_label(c, &s->namespaces[i], "namespace");
		found |= s->ns.s && strcmp(s->namespaces[i].s, s->ns.s) == 0;
	}
	mt_path_pop(c, mark);
	if (found || !s->n_namespaces)
		return;
	mark = mt_path_push(c, "namespace");
	mt_f_error(c, s->ns.line, "write one of them, or add it",
		"\"%.64s\" is not among the namespaces of the source", s->ns.s);
	mt_path_pop(c, mark);
}

static void check_source(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_source *s = obj;

	if (s->xds && (s->name.s || s->ns.s || mt_yaml_get(n, "namespaces")))
		mt_f_error(c, n->line,
			"write xds.name; resources of a discovery server have their namespaces",
			"name, namespace and namespaces are a directory's");
	if (s->xds && s->owns)
		mt_f_error(c, s->owns->origin.line,
			"leave it out: resources of a discovery server may have all addresses and "
			"hosts",
			"owns is a directory's");
	if (mt_yaml_get(n, "owns") && !s->owns)
		mt_f_error(c, mt_yaml_get(n, "owns")->line,
			"write addresses, hosts or both below it, or leave it out",
			"the source owns nothing");
	check_xds_name(c, &s->name);
	check_source_name(c, &s->name);
	mt_check_label(c, &s->ns, "namespace");
	check_source_namespaces(c, n, s);
	if (!s->directory.s == !s->xds)
		mt_f_error(c, n->line, "write directory: PATH, or xds: {bootstrap: FILE}",
			s->xds ? "a source is a directory or a discovery server, not both"
			       : "the source names nothing");
	mt_beside_the_node(c, &s->directory);
}

static const struct mt_field source_fields[] = {
	{"directory", MT_F_TEXT, AT(struct mt_node_source, directory),
		.help = "directory of *.yaml, *.yml and *.json files, watched for changes; a "
			"relative path starts at the Node's file"},
	{"name", MT_F_TEXT, AT(struct mt_node_source, name),
		.help = "with `directory`: name of the source, which is part of its objects' "
			"identity; not `codecs` or `installed`; default: documents"},
	{"namespace", MT_F_TEXT, AT(struct mt_node_source, ns),
		.help = "with `directory`: namespace of objects without one, as with `kubectl "
			"apply -n`; default: default"},
	{"namespaces", MT_F_TEXTS, AT_LIST(struct mt_node_source, namespaces),
		.help = "with `directory`: the namespaces that its objects may be in; objects of "
			"others, and of kinds without a namespace, are refused "
			"([teams](#directories-of-teams)); default: all"},
	{"owns", MT_F_POINTER, AT(struct mt_node_source, owns), .sub = &mt_sec_node_owns,
		.help = "with `directory`: what only objects of this source may have, and those of "
			"sources without `namespaces`; objects of others are refused "
			"([owners](#owners-of-addresses-and-hosts))"},
	{"xds", MT_F_POINTER, AT(struct mt_node_source, xds), .sub = &xds_section,
		.help = "a discovery server (xDS) of a mesh; its resources are used with the "
			"documents"},
};

static const struct mt_section source_section = {"source", sizeof(struct mt_node_source),
	MT_ARRAY_LEN(source_fields), .fields = source_fields, .after = check_source};

static void read_hugepages(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const char *const words[] = {"auto", "on", "off", NULL};
	static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {
									"false", "no", "off"};
	struct mt_node_memory *m = obj;

	/* YAML 1.1 has `on` and `off` as booleans; accept its other booleans for them, too. */
	for (size_t i = 0; n->type == MT_Y_SCALAR && n->plain && i < MT_ARRAY_LEN(yes); i++) {
		bool on = strcasecmp(n->text, yes[i]) == 0;

		if (!on && strcasecmp(n->text, no[i]) != 0)
			continue;
		m->hugepages =
			(struct mt_num){on ? MT_HUGEPAGES_ON : MT_HUGEPAGES_OFF, n->line, true};
		return;
	}
	mt_read_word(c, n, words, &m->hugepages);
}

static const struct mt_field memory_fields[] = {
	{"hugepages", MT_F_CUSTOM, .custom = read_hugepages,
		.help = "`auto` (default): used if present; `on`: required; `off`: not used"},
	{"mb", MT_F_NUM, AT(struct mt_node_memory, mb), .min = 64, .max = 1 << 20,
		.help = "MiB for packet buffers, with received and queued bytes; connections and "
			"calls have memory of their own (spec.connections); default: 512"},
};

static const struct mt_section memory_section = {"memory setting", sizeof(struct mt_node_memory),
	MT_ARRAY_LEN(memory_fields), .fields = memory_fields};

static const struct mt_field locality_fields[] = {
	{"region", MT_F_TEXT, AT(struct mt_node_locality, region),
		.help = "region of the node; with outlierDetection near endpoints get calls first"},
	{"zone", MT_F_TEXT, AT(struct mt_node_locality, zone), .help = "zone within the region"},
	{"subzone", MT_F_TEXT, AT(struct mt_node_locality, subzone), .help = "part of the zone"},
};

static const struct mt_section locality_section = {"locality", sizeof(struct mt_node_locality),
	MT_ARRAY_LEN(locality_fields), .fields = locality_fields};

static const struct mt_field defaults_fields[] = {
	{"timeout", MT_F_DURATION, AT(struct mt_node_defaults, timeout), .min = 1,
		.help = "longest time of a call without a timeout of its route and without a "
			"deadline in the message; default: 5m"},
};

static const struct mt_section defaults_section = {"default", sizeof(struct mt_node_defaults),
	MT_ARRAY_LEN(defaults_fields), .fields = defaults_fields};

static void read_http(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node_admin *a = obj;
	const char *colon, *host;
	char addr[MT_ADDR_STRLEN];
	unsigned long port;
	size_t len;
	char *end;

	if (!mt_read_text(c, n, &a->http))
		return;
	host = a->http.s;
	colon = strrchr(host, ':');
	len = colon ? (size_t)(colon - host) : 0;
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	}
	port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
	snprintf(addr, sizeof(addr), "%.*s", (int)MT_MIN(len, sizeof(addr)), host);
	if (!port || port > 65535 || *end || mt_addr_parse(addr, &a->http_addr)) {
		mt_f_error(c, n->line, "write it like 127.0.0.1:15000",
			"\"%.64s\" is not an address with a port", n->text);
		return;
	}
	a->http_port = (uint16_t)port;
}

static const char *const envoy_words[] = {"loopback", "any", "off", NULL};

static const struct mt_field admin_fields[] = {
	{"socket", MT_F_TEXT, AT(struct mt_node_admin, socket),
		.help = "unix socket of the shell, such as /run/meltemi/admin.sock; default: none"},
	{"viewSocket", MT_F_TEXT, AT(struct mt_node_admin, view_socket),
		.help = "unix socket for users who may view and not change; default: none"},
	{"viewGroup", MT_F_TEXT, AT(struct mt_node_admin, view_group),
		.help = "group that may open viewSocket; default: the daemon's"},
	{"http", MT_F_CUSTOM, .custom = read_http,
		.help = "ADDRESS:PORT of the host's kernel for /, /metrics and /ready; default: "
			"none"},
	{"httpNames", MT_F_TEXTS, AT_LIST(struct mt_node_admin, http_names),
		.help = "more names of this host that browsers may use for the page, and clients "
			"on this host for /metrics, in addition to addresses and localhost"},
	{"envoy", MT_F_WORD, AT(struct mt_node_admin, envoy), .words = envoy_words,
		.help = "clients that may read Envoy's administration pages at `http`: `loopback` "
			"(default), `any` or none (`off`); no request changes anything"},
	{"workloadSeries", MT_F_NUM, AT(struct mt_node_admin, workload_series), .min = 1,
		.max = 2000,
		.help = "combinations of service, server's and client's workload with series of "
			"their own among Istio's metrics of calls; the rest are `other`; default: "
			"500"},
	{"log", MT_F_OBJECT, AT(struct mt_node_admin, log), .sub = &mt_sec_node_log,
		.help = "what is logged"},
	{"tls", MT_F_POINTER, AT(struct mt_node_admin, tls), .sub = &mt_sec_node_tls,
		.help = "the shell from other hosts, with certificates on both sides; a reload "
			"that removes it closes its port and shells; default: none"},
};

static const struct mt_section admin_section = {"admin setting", sizeof(struct mt_node_admin),
	MT_ARRAY_LEN(admin_fields), .fields = admin_fields};

static const char *const idle_words[] = {"adaptive", "poll", NULL};
static const char *const unread_words[] = {"evidence", "strict", NULL};
static const char *const ecn_words[] = {"accept", "off", "ask", NULL};

static const struct mt_field jwks_fields[] = {
	{"roots", MT_F_TEXT, AT(struct mt_node_jwks, roots),
		.help = "PEM file of more authorities for servers of keys, in addition to the "
			"host's"},
	{"localAddresses", MT_F_BOOL, AT(struct mt_node_jwks, local),
		.help = "true: keys may also come from all addresses of this host, of the link "
			"(169.254.0.0/16, fe80::/10) and of a cloud's services for the host, which "
			"lets authors of policies reach them through the node; default: false"},
};

static const struct mt_section jwks_section = {
	"jwks", sizeof(struct mt_node_jwks), MT_ARRAY_LEN(jwks_fields), .fields = jwks_fields};

static const char *const then_words[] = {"reset", "wait", NULL};

static const struct mt_field drain_fields[] = {
	{"time", MT_F_DURATION, AT(struct mt_node_drain, time), .min = 3000, .max = DRAIN_MAX_MS,
		.help = "longest time from SIGTERM to the end of the daemon. Clients that stay are "
			"closed between two calls, after a third of it if all calls are short, "
			"after half of it if some take long, 1 s before its end if opaque TCP "
			"connections are open. 3s to 24h; default: 30s"},
	{"then", MT_F_WORD, AT(struct mt_node_drain, then), .words = then_words,
		.help = "`reset` (default): resets the connections that are left when `time` is "
			"over; `wait`: serves, new clients too, until no call and no opaque TCP "
			"connection lasts, or until a second SIGTERM resets them"},
};

static const struct mt_section drain_section = {"drain setting", sizeof(struct mt_node_drain),
	MT_ARRAY_LEN(drain_fields), .fields = drain_fields};

static const struct mt_field node_fields[] = {
	{"workers", MT_F_NUM, AT(struct mt_node, workers), .min = 1, .max = 64,
		.help = "number of threads that carry traffic; default: 1"},
	{"idle", MT_F_WORD, AT(struct mt_node, idle), .words = idle_words,
		.help = "`adaptive` (default): sleeps in short steps without traffic; `poll`: "
			"never sleeps"},
	{"ecn", MT_F_WORD, AT(struct mt_node, ecn), .words = ecn_words,
		.help = "explicit congestion notification (RFC 3168): `accept` (default): if a "
			"client requests it; `off`; `ask`: also requested from servers"},
	{"unread", MT_F_WORD, AT(struct mt_node, unread), .words = unread_words,
		.help = "proof that a server has not read a call or an opaque TCP connection when "
			"its connection ends, so that it goes to another server. `evidence` "
			"(default): also what the server's TCP reports; `strict`: only that "
			"nothing was sent or that the protocol reports it, for networks with "
			"firewalls that reset and acknowledge on their own"},
	{"keepalive", MT_F_DURATION, AT(struct mt_node, keepalive), .max = 480u * 3600 * 1000,
		.help = "silence after which a peer is probed: nine times, 75 s apart (or this "
			"time, if shorter), then the connection ends, unless data waits for the "
			"peer's closed window. A peer that has closed its sending side is probed "
			"after 15 s (or this time, if shorter), three "
			"times. Whole seconds, at most 480h; default: 2h; `0s`: never"},
	{"connections", MT_F_NUM, AT(struct mt_node, connections), .min = 1, .max = 4000000,
		.help = "most client connections of each worker; more are reset. Servers may have "
			"as many connections again, at least 16,384. Default: 32768"},
	{"retransmissions", MT_F_NUM, AT(struct mt_node, retransmissions), .min = 1, .max = 30,
		.help = "retransmissions of a segment before its connection ends; default: 9, at "
			"least 100 s"},
	{"hopLimit", MT_F_NUM, AT(struct mt_node, hop_limit), .min = 1, .max = 255,
		.help = "hop limit (TTL) of sent TCP segments; default: 64"},
	{"dscp", MT_F_NUM, AT(struct mt_node, dscp), .min = 0, .max = 63,
		.help = "Diffserv code point (RFC 2474) of sent TCP segments; default: 0"},
	{"cores", MT_F_CUSTOM, .custom = read_cores,
		.help = "one core for each worker; default: the last ones"},
	{"sourceAddresses", MT_F_CUSTOM, .custom = read_sources,
		.help = "more source addresses for connections to servers, in addition to the "
			"ports'"},
	{"forwarding", MT_F_LIST, AT_LIST(struct mt_node, forwarding),
		.sub = &mt_sec_node_forwarding,
		.help = "services' ports that are forwarded at layer 4, in addition to those that "
			"documents annotate; a port here overrides its annotation. Followed "
			"without a restart"},
	{"nat", MT_F_POINTER, AT(struct mt_node, nat), .sub = &mt_sec_node_nat,
		.help = "addresses and ports of forwarded flows towards endpoints; `{}` has the "
			"defaults. With `nat` or `forwarding` all UDP ports are forwarded by "
			"`nat`"},
	{"flows", MT_F_NUM, AT(struct mt_node, flows), .min = 1024, .max = 16777216,
		.help = "most flows that each worker forwards at layer 4, 196 B of memory each. "
			"Default: 65536"},
	{"group", MT_F_TEXT, AT(struct mt_node, group),
		.help = "nodes of one group with the same documents choose the same endpoint for a "
			"flow that is forwarded at layer 4; default: the group without a name"},
	{"guests", MT_F_POINTER, AT(struct mt_node, guests), .sub = &mt_sec_node_guests,
		.help = "[virtual machines of WorkloadEntries](../how-to/guests.md)"},
	{"memory", MT_F_OBJECT, AT(struct mt_node, memory), .sub = &memory_section,
		.help = "packet buffers"},
	{"locality", MT_F_OBJECT, AT(struct mt_node, locality), .sub = &locality_section,
		.help = "where the node is"},
	{"defaults", MT_F_OBJECT, AT(struct mt_node, defaults), .sub = &defaults_section,
		.help = "settings of calls that have none of their own, followed without a "
			"restart"},
	{"drain", MT_F_OBJECT, AT(struct mt_node, drain), .sub = &drain_section,
		.help = "how the node [drains](../how-to/drain-and-restart.md), followed without a "
			"restart by the next drain"},
	{"ports", MT_F_LIST, AT_LIST(struct mt_node, ports), .sub = &port_section,
		.help = "network devices"},
	{"routes", MT_F_LIST, AT_LIST(struct mt_node, routes), .sub = &route_section,
		.help = "routes of packets"},
	{"sources", MT_F_LIST, AT_LIST(struct mt_node, sources), .sub = &source_section,
		.help = "directories of documents, and discovery servers"},
	{"identity", MT_F_POINTER, AT(struct mt_node, identity), .sub = &mt_sec_node_identity,
		.help = "the node's certificate towards peers of the mesh, followed without a "
			"restart; default: that of the first source with one "
			"(`sources[].xds.identity`)"},
	{"identities", MT_F_LIST, AT_LIST(struct mt_node, identities), .sub = &mt_sec_node_held,
		.help = "identities of workloads that the node represents: used for calls of "
			"callers that proved them (by certificate, or on a port of `side: "
			"workloads`), and presented to clients of services with an endpoint of "
			"this serviceAccount and namespace; followed without a restart"},
	{"tlsFiles", MT_F_LIST, AT_LIST(struct mt_node, tls_files), .sub = &mt_sec_node_tls_files,
		.help = "directories from which documents may name files of certificates, keys, "
			"roots and revocation lists; the node's own certificate and key are "
			"refused there too; followed without a restart; default: none"},
	{"codecs", MT_F_TEXTS, AT_LIST(struct mt_node, codecs), .max = 16,
		.help = "directories of documents of kind Codec, which must not contain others "
			"([codec files](../protocols/codec-files.md#files-in-the-daemon)); "
			"relative to this file; followed without a restart; default: none besides "
			"/usr/share/meltemi/codecs"},
	{"mesh", MT_F_POINTER, AT(struct mt_node, mesh), .sub = &mt_sec_node_mesh,
		.help = "the node's place in the mesh, followed without a restart"},
	{"unenforced", MT_F_LIST, AT_LIST(struct mt_node, unenforced),
		.sub = &mt_sec_node_unenforced,
		.help = "restrictive objects that are exempt for some time, followed without a "
			"restart"},
	{"stateDirectory", MT_F_TEXT, AT(struct mt_node, state_dir),
		.help = "directory of allocated addresses and last good versions, created with "
			"mode 0700; default: /var/lib/meltemi"},
	{"admin", MT_F_OBJECT, AT(struct mt_node, admin), .sub = &admin_section,
		.help = "shell, HTTP and log"},
	{"dns", MT_F_POINTER, AT(struct mt_node, dns), .sub = &mt_sec_node_dns,
		.help = "answers for names of services; `{}` is enough; default: none"},
	{"jwks", MT_F_POINTER, AT(struct mt_node, jwks), .sub = &jwks_section,
		.help = "how keys of tokens are fetched"},
	{"accessLog", MT_F_POINTER, AT(struct mt_node, access_log), .sub = &mt_sec_node_access_log,
		.help = "where documents may write access logs, followed without a restart"},
	{"limits", MT_F_POINTER, AT(struct mt_node, limits), .sub = &mt_sec_node_call_limits,
		.help = "the table of [limits of "
			"clients](../how-to/rate-limits.md#limit-each-client), and "
			"[leases](../how-to/rate-limits.md#fewer-queries) of limits over several "
			"nodes"},
	{"otlp", MT_F_POINTER, AT(struct mt_node, otlp), .sub = &mt_sec_node_otlp,
		.help = "exports metrics to an OpenTelemetry collector; default: none"},
};

/* Reports a duplicate name at the second port, with the line of the first. */
static void check_port_names(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 1; i < node->n_ports; i++)
		for (uint32_t j = 0; j < i; j++) {
			const struct mt_node_port *a = &node->ports[j], *b = &node->ports[i];
			char path[32];
			uint32_t mark;

			if (!a->name.s || !b->name.s || strcmp(a->name.s, b->name.s) != 0)
				continue;
			snprintf(path, sizeof(path), "ports[%u].name", i);
			mark = mt_path_push(c, path);
			mt_f_error(c, b->name.line, "give each port its own name",
				"\"%.64s\" is already the port on line %u", b->name.s,
				a->origin.line);
			mt_path_pop(c, mark);
			break;
		}
}

/* Names must be unique, because each source has a file named after it and a name in the shell. */
static void check_source_names(struct mt_fctx *c, const struct mt_node *node)
{
	for (uint32_t i = 1; i < node->n_sources; i++)
		for (uint32_t j = 0; j < i; j++) {
			const struct mt_node_xds *a = node->sources[j].xds,
						 *b = node->sources[i].xds;
			char path[32];
			uint32_t mark;

			if (!a || !b || strcmp(a->name.s, b->name.s) != 0)
				continue;
			snprintf(path, sizeof(path), "sources[%u].xds.name", i);
			mark = mt_path_push(c, path);
			mt_f_error(c, b->name.line ? b->name.line : b->origin.line,
				"give each source its own name",
				"\"%.64s\" is already the source on line %u", b->name.s,
				a->origin.line);
			mt_path_pop(c, mark);
			break;
		}
}

static void check_node(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_node *node = obj;

	if (node->n_ports > 16u - (node->guests != NULL))
		mt_f_error(c, n->line, node->guests ? "15 at most with `guests`" : "16 at most",
			"too many ports");
	else
		check_port_names(c, node);
	if (node->keepalive.v % 1000) {
		uint32_t mark = mt_path_push(c, "keepalive");

		mt_f_error(c, node->keepalive.line, "write whole seconds, or 0s for never",
			"%u ms is not a whole number of seconds", node->keepalive.v);
		mt_path_pop(c, mark);
	}
	check_source_names(c, node);
	mt_check_owns(c, node);
	mt_check_unenforced(c, node);
	mt_check_identities(c, node);
	mt_check_forwarding(c, node);
	mt_check_guests(c, node);
	for (uint32_t i = 0; i < node->n_codecs; i++)
		mt_beside_the_node(c, &node->codecs[i]);
	if (node->mesh)
		mt_beside_the_node(c, &node->mesh->config);
	if (node->jwks)
		mt_beside_the_node(c, &node->jwks->roots);
	if (node->otlp) {
		mt_beside_the_node(c, &node->otlp->roots);
		mt_beside_the_node(c, &node->otlp->certificate);
		mt_beside_the_node(c, &node->otlp->key);
	}
	if (!node->workers.set)
		node->workers.v = 1;
	if (!node->connections.set)
		node->connections.v = MT_NODE_CONNECTIONS;
	if (!node->drain.time.set)
		node->drain.time.v = MT_NODE_DRAIN_MS;
	if (!node->flows.set)
		node->flows.v = MT_NODE_FLOWS;
	if (!node->memory.mb.set)
		node->memory.mb.v = 512;
}

const struct mt_section mt_sec_node = {"Node", sizeof(struct mt_node), MT_ARRAY_LEN(node_fields),
	.fields = node_fields, .after = check_node};
