/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstraps of Envoy's shape: what they mean, and what is said of those that mean nothing. */
#include "source/source_test.h"
#include "suites.h"

#include "mt_xds_boot.h"

#include <stdio.h>
#include <string.h>

#define NODE "node: {id: sidecar~192.0.2.1~a.b~c, cluster: a}\n"
#define DYNAMIC                                                                                    \
	"dynamic_resources:\n"                                                                     \
	"  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}\n"       \
	"  lds_config: {ads: {}}\n"                                                                \
	"  cds_config: {ads: {}}\n"
#define CLUSTER(more)                                                                              \
	"static_resources:\n"                                                                      \
	"  clusters:\n"                                                                            \
	"  - name: x\n"                                                                            \
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: " \
	"{address: 192.0.2.9, port_value: 15010}}}}]}]}\n" more
#define SERVER(address)                                                                            \
	"static_resources:\n"                                                                      \
	"  clusters:\n"                                                                            \
	"  - name: x\n"                                                                            \
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: " address          \
	"}}]}]}\n"
#define LONG                                                                                       \
	"/a-path-that-is-longer-than-the-kernel-allows-for-a-socket/because-its-names-are-long/"   \
	"and-there-are-many-of-them"
#define HEADER(key, value)                                                                         \
	"dynamic_resources:\n"                                                                     \
	"  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}, "          \
	"initial_metadata: [{key: " key ", value: " value "}]}]}\n"                                \
	"  lds_config: {ads: {}}\n"
#define TLS(context)                                                                               \
	CLUSTER("    transport_socket:\n"                                                          \
		"      typed_config:\n"                                                            \
		"        \"@type\": type.googleapis.com/"                                          \
		"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n"                   \
		"        common_tls_context: " context)

static struct mt_xds_bootstrap *read_text(const char *text, struct mt_diags *diags)
{
	mt_diags_init(diags);
	return mt_xds_bootstrap_text(diags, "b", text, strlen(text));
}

static void smallest(void)
{
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(NODE DYNAMIC CLUSTER(""), &diags);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(diags.n, 0);
	CU_ASSERT_STRING_EQUAL(b->node->id, "sidecar~192.0.2.1~a.b~c");
	CU_ASSERT_STRING_EQUAL(b->node->user_agent_name, "meltemi");
	CU_ASSERT_STRING_EQUAL(b->ads.server, "x");
	CU_ASSERT(b->lds.ads && b->cds.ads && !b->ads.delta);
	CU_ASSERT_EQUAL(b->n_servers, 1);
	CU_ASSERT_STRING_EQUAL(b->servers[0].addresses[0], "192.0.2.9:15010");
	CU_ASSERT_PTR_NULL(b->servers[0].tls);
	CU_ASSERT_EQUAL(b->n_unused, 0);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

/* As Istio's agent writes it: JSON, camelCase and snake_case, much that is meant for another program. */
static void of_the_mesh(void)
{
	static const char text[] =
		"{\"node\": {\"id\": \"sidecar~192.0.2.1~a.b~c\", \"cluster\": \"a\",\n"
		" \"locality\": {\"region\": \"r\", \"sub_zone\": \"s\"},\n"
		" \"metadata\": {\"PROXY_CONFIG\": {\"concurrency\": 2, \"x\": null},\n"
		"   \"LABELS\": {\"app\": \"a\"}, \"ON\": true, \"N\": \"12\", \"L\": [1.5]}},\n"
		" \"layered_runtime\": {\"layers\": []},\n"
		" \"stats_config\": {\"use_all_default_tags\": false},\n"
		" \"dynamic_resources\": {\n"
		"  \"lds_config\": {\"ads\": {}, \"initial_fetch_timeout\": \"0s\",\n"
		"    \"resource_api_version\": \"V3\"},\n"
		"  \"cds_config\": {\"ads\": {}, \"resource_api_version\": \"V3\"},\n"
		"  \"ads_config\": {\"apiType\": \"DELTA_GRPC\", "
		"\"set_node_on_first_message_only\": "
		"true,\n"
		"    \"transport_api_version\": \"V3\", \"grpc_services\": [{\"envoy_grpc\":\n"
		"    {\"cluster_name\": \"xds-grpc\"}, \"initial_metadata\": [{\"key\": "
		"\"Authorization\",\n"
		"    \"value\": \"Bearer t\"}]}]}},\n"
		" \"static_resources\": {\"listeners\": [], \"clusters\": [\n"
		"  {\"name\": \"xds-grpc\", \"type\": \"STATIC\", \"connect_timeout\": \"1s\",\n"
		"   \"http2_protocol_options\": {}, \"load_assignment\": {\"cluster_name\": "
		"\"xds-grpc\",\n"
		"   \"endpoints\": [{\"lb_endpoints\": [{\"endpoint\": {\"address\": {\"pipe\":\n"
		"   {\"path\": \"./etc/istio/proxy/XDS\"}}}}]}]}},\n"
		"  {\"name\": \"aeraki-xds\", \"type\": \"STRICT_DNS\", \"transport_socket\": "
		"{\"name\": \"t\",\n"
		"   \"typed_config\": {\"@type\": \"type.googleapis.com/"
		"envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\",\n"
		"    \"sni\": \"aeraki\", \"common_tls_context\": {\n"
		"     \"tls_certificate_sds_secret_configs\": [{\"name\": \"default\", "
		"\"sds_config\": {}}],\n"
		"     \"combined_validation_context\": {\"default_validation_context\": "
		"{\"match_subject_alt_names\": [{\"exact\": \"spiffe://a/b\"}]},\n"
		"      \"validation_context_sds_secret_config\": {\"name\": \"ROOTCA\"}}}}},\n"
		"   \"loadAssignment\": {\"endpoints\": [{\"lbEndpoints\": [{\"endpoint\": "
		"{\"address\":\n"
		"   {\"socketAddress\": {\"address\": \"2001:db8::1\", \"portValue\": "
		"15010}}}}]}]}}]}}\n";
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(text, &diags);
	const struct mt_xds_server *s;

	mt_diags_print(&diags, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(b->ads.delta && b->ads.n_headers == 1);
	CU_ASSERT_STRING_EQUAL(b->ads.headers[0].name, "authorization");
	CU_ASSERT_STRING_EQUAL(b->node->locality->region, "r");
	CU_ASSERT_STRING_EQUAL(b->node->locality->sub_zone, "s");
	CU_ASSERT_EQUAL(b->node->metadata->n_fields, 5);
	CU_ASSERT_EQUAL(
		b->node->metadata->fields[2]->value->kind_case, XDS__VALUE__KIND_BOOL_VALUE);
	CU_ASSERT_EQUAL(
		b->node->metadata->fields[3]->value->kind_case, XDS__VALUE__KIND_STRING_VALUE);
	s = mt_xds_server_find(b, "xds-grpc");
	CU_ASSERT_STRING_EQUAL(s->addresses[0], "unix:./etc/istio/proxy/XDS");
	CU_ASSERT_EQUAL(s->connect_ns, MT_SEC);
	s = mt_xds_server_find(b, "aeraki-xds");
	CU_ASSERT_STRING_EQUAL(s->addresses[0], "[2001:db8::1]:15010");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->tls);
	CU_ASSERT_STRING_EQUAL(s->tls->chain.secret, "default");
	CU_ASSERT_STRING_EQUAL(s->tls->roots.secret, "ROOTCA");
	CU_ASSERT_STRING_EQUAL(s->tls->sni, "aeraki");
	CU_ASSERT_STRING_EQUAL(s->tls->sans[0], "spiffe://a/b");
	CU_ASSERT_EQUAL(b->n_unused, 5);
	CU_ASSERT_STRING_EQUAL(b->unused[0], "layered_runtime");
	CU_ASSERT_STRING_EQUAL(b->unused[2], "dynamic_resources.lds_config.initial_fetch_timeout");
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

static void files_of_certificates(void)
{
	static const char text[] = NODE DYNAMIC TLS(
		"{tls_certificates: [{certificate_chain: {filename: c.pem}, private_key: "
		"{filename: k.pem}}], validation_context: {trusted_ca: {inline_string: ROOTS}, "
		"match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: a.b}}]}}\n");
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(text, &diags);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->chain.file, "c.pem");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->key.file, "k.pem");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->roots.text, "ROOTS");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->sans[0], "a.b");
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

/* Routes or listeners from a server of their own. */
static void streams_of_their_own(void)
{
	static const char text[] =
		NODE "dynamic_resources:\n"
		     "  lds_config: {api_config_source: {api_type: DELTA_GRPC, grpc_services: "
		     "[{envoy_grpc: {cluster_name: x}}]}}\n" CLUSTER("");
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(text, &diags);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(!b->ads.server && !b->cds.server && b->lds.server && !b->lds.ads);
	CU_ASSERT(b->lds.delta);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

static const struct {
	const char *text, *error;
} bad[] = {
	{"", "b: error: holds no document"},
	{"node: [", "b:2: error: did not find expected node content"},
	{NODE, "b:1: error: the bootstrap is missing its dynamicResources"},
	{NODE DYNAMIC "static_resources: {}\n",
		"b:3: error: dynamic_resources.ads_config: there is no static cluster of this name "
		"(add it to static_resources.clusters)"},
	{NODE DYNAMIC "static_resources: {clusters: [{name: x}]}\n",
		"b:3: error: dynamic_resources.ads_config: the static cluster has no address"},
	{NODE "dynamic_resources: {}\n" CLUSTER(""),
		"b:2: error: dynamic_resources: nothing is requested"},
	{NODE "dynamic_resources: {lds_config: {ads: {}}}\n" CLUSTER(""),
		"b:2: error: dynamic_resources.lds_config: there is no server for all types (add "
		"ads_config)"},
	{NODE "dynamic_resources: {ads_config: {api_type: REST}}\n" CLUSTER(""),
		"b:2: error: dynamic_resources.ads_config.api_type: \"REST\" is not known here"},
	{"node: {}\n" DYNAMIC CLUSTER(""), "b:1: error: node: the node is missing its id"},
	{NODE DYNAMIC TLS("{}\n"), "b:12: error: transport_socket.typed_config: no authority is "
				   "trusted: any server could answer"},
	{NODE DYNAMIC TLS("{validation_context: {trusted_ca: {filename: f}, "
			  "match_subject_alt_names: [{prefix: a}]}}\n"),
		"b:13: error: "
		"static_resources.clusters[0].transport_socket.typed_config.common_tls_context."
		"validation_context.match_subject_alt_names[0].prefix: names are compared whole: "
		"write exact"},
	{NODE DYNAMIC CLUSTER("    tls_context: {}\n"),
		"b:10: error: static_resources.clusters[0].tls_context: this is API v2: write "
		"transport_socket"},
	{NODE DYNAMIC CLUSTER("    transport_socket: {name: envoy.transport_sockets.tls}\n"),
		"b:10: error: transport_socket.typed_config: not a transport that is known here"},
	{NODE DYNAMIC CLUSTER("    transport_socket: {typed_config: {sni: a}}\n"),
		"b:10: error: transport_socket.typed_config: not a transport that is known here"},
	{NODE DYNAMIC CLUSTER("    transport_socket: {typed_config: {\"@type\": x.y}}\n"),
		"b:10: error: transport_socket.typed_config: not a transport that is known here"},
	{NODE DYNAMIC SERVER("{socket_address: {address: \"192.0.2.9:15010\", port_value: 1}}"),
		"b:9: warning: the address is neither one nor a name, it is left out"},
	{NODE DYNAMIC SERVER("{socket_address: {address: https://a.b, port_value: 1}}"),
		"b:9: warning: the address is neither one nor a name, it is left out"},
	{NODE DYNAMIC SERVER("{socket_address: {address: 192.0.2.300, port_value: 1}}"),
		"b:9: warning: the address is neither one nor a name, it is left out"},
	{NODE DYNAMIC SERVER("{pipe: {path: " LONG "}}"),
		"b:9: warning: the path of the pipe is too long, it is left out"},
	{NODE HEADER("\":path\"", "x") CLUSTER(""),
		"b:3: error: initial_metadata: this cannot be the name of a header"},
	{NODE HEADER("te", "x") CLUSTER(""),
		"b:3: error: initial_metadata: this cannot be the name of a header"},
	{NODE HEADER("a", "\"x\\r\\ny: z\"") CLUSTER(""),
		"b:3: error: initial_metadata: this cannot be the value of a header"},
	{NODE "dynamic_resources: {ads_config: {api_type: GRPC, transport_api_version: V2}}\n",
		"b:2: error: dynamic_resources.ads_config.transport_api_version: \"V2\" is not "
		"known here"},
};

/* What no stream needs may be of a sort that is not known here. */
static void unknown_transports_of_others(void)
{
	static const char text[] = NODE DYNAMIC CLUSTER(
		"  - {name: zipkin, transport_socket: {typed_config: {\"@type\": x.y}}}\n");
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(text, &diags);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(diags.warnings, 1);
	CU_ASSERT_STRING_EQUAL(b->ads.server, "x");
	CU_ASSERT_PTR_NOT_NULL(mt_xds_server_find(b, "zipkin")->unusable);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

static void bad_bootstraps(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		char line[1024] = "";
		struct mt_diags diags;
		struct mt_xds_bootstrap *b = read_text(bad[i].text, &diags);

		CU_ASSERT_PTR_NULL(b);
		if (diags.n)
			mt_diag_format(&diags.items[0], line, sizeof(line));
		if (strncmp(line, bad[i].error, strlen(bad[i].error)) != 0) {
			fprintf(stderr, "row %zu: %s\n", i, line);
			CU_FAIL("another error");
		}
		mt_diags_fini(&diags);
	}
}

/* Nothing of it is wrong, and not all of it counts. */
static void more_than_counts(void)
{
	static const char text[] = NODE DYNAMIC CLUSTER("  - {name: x}\n");
	struct mt_diags diags;
	struct mt_xds_bootstrap *b = read_text(text, &diags);
	char line[256] = "";

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL_FATAL(diags.n, 1);
	mt_diag_format(&diags.items[0], line, sizeof(line));
	CU_ASSERT_STRING_EQUAL(line,
		"b:10: warning: a second cluster of this name is not looked at (keep one of them)");
	CU_ASSERT_EQUAL(mt_xds_server_find(b, "x")->n_addresses, 1);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
}

static void servers_that_are_none(void)
{
	struct loaded l = load_text("apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"
				    "spec:\n  sources: [{xds: {servers: [\"a\"], nodeId: i}}]\n");

	CU_ASSERT_EQUAL(l.diags.errors, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), "\"a\" is not like host:port"));
	unload(&l);
}

static void of_the_node(void)
{
	struct loaded l = load_text("apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"
				    "spec:\n  sources:\n  - directory: d\n  - xds: {servers: "
				    "[\"a:1\", \"b:2\"], nodeId: i, nodeCluster: g, delta: true, "
				    "names: true, roots: r.pem, certificate: c.pem, key: k.pem, "
				    "serverName: n.test}\n");
	struct mt_xds_bootstrap *b;

	CU_ASSERT_EQUAL_FATAL(l.diags.errors, 0);
	CU_ASSERT_PTR_NULL(l.m->node->sources[0].xds);
	CU_ASSERT_STRING_EQUAL(l.m->node->sources[1].xds->name.s, "mesh");
	b = mt_xds_bootstrap_node(l.m->node->sources[1].xds);
	unload(&l);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_STRING_EQUAL(b->node->id, "i");
	CU_ASSERT_EQUAL(b->servers[0].n_addresses, 2);
	CU_ASSERT_STRING_EQUAL(b->servers[0].addresses[1], "b:2");
	CU_ASSERT_STRING_EQUAL(b->node->cluster, "g");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->roots.file, "r.pem");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->chain.file, "c.pem");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->key.file, "k.pem");
	CU_ASSERT_STRING_EQUAL(b->servers[0].tls->sni, "n.test");
	CU_ASSERT(b->ads.delta && b->lds.ads && b->names);
	mt_xds_bootstrap_free(b);
}

/* Who is on another machine is not believed in clear text. */
static void clear_text_from_elsewhere(void)
{
	static const struct {
		const char *server;
		bool exposed;
	} t[] = {
		{"10.0.0.1:15010", true},
		{"istiod.istio-system.svc:15010", true},
		{"[2001:db8::1]:15010", true},
		{"127.0.0.1:15010", false},
		{"127.9.9.9:15010", false},
		{"[::1]:15010", false},
		{"localhost:15010", false},
		{"localhost.example.com:15010", true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_text servers[] = {{"127.0.0.1:1", 1}, {t[i].server, 1}};
		struct mt_node_xds n = {.origin = {"f", 1},
			.name = {"m", 1},
			.servers = servers,
			.n_servers = 2,
			.node_id = {"i", 1}};
		struct mt_xds_bootstrap *b = mt_xds_bootstrap_node(&n);
		const char *name;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		name = mt_xds_bootstrap_want_tls(b);
		CU_ASSERT_EQUAL(name != NULL, t[i].exposed);
		CU_ASSERT_EQUAL(b->servers[0].unusable != NULL, t[i].exposed);
		mt_xds_bootstrap_free(b);
		n.roots = (struct mt_text){"r.pem", 1};
		b = mt_xds_bootstrap_node(&n);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b);
		CU_ASSERT_PTR_NULL(mt_xds_bootstrap_want_tls(b));
		mt_xds_bootstrap_free(b);
	}
}

const struct mt_test bootstrap_tests[] = {
	{"clear_text_from_elsewhere", clear_text_from_elsewhere},
	{"smallest", smallest},
	{"of_the_mesh", of_the_mesh},
	{"files_of_certificates", files_of_certificates},
	{"streams_of_their_own", streams_of_their_own},
	{"unknown_transports_of_others", unknown_transports_of_others},
	{"bad_bootstraps", bad_bootstraps},
	{"more_than_counts", more_than_counts},
	{"servers_that_are_none", servers_that_are_none},
	{"of_the_node", of_the_node},
	{0},
};
