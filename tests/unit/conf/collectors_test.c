/* SPDX-License-Identifier: Apache-2.0 */
/* Access logs that are sent: providers, where their collectors are, and which cannot be used. */
#include "conf_test.h"

#include "mt_alog.h"
#include "mt_idmap.h"

#include <string.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"                             \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [192.0.2.250/24]}]\n"           \
	"  routes: [{to: 169.254.0.0/16, port: p0}]\n"
#define SERVICE(addresses)                                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: als, "      \
	"namespace: logs}\nspec: {hosts: [als.test], addresses: [192.0.2.10], location: "          \
	"MESH_INTERNAL, resolution: STATIC, ports: [{number: 9000, targetPort: 9001, name: "       \
	"grpc}], endpoints: [" addresses "]}\n"
#define TWO SERVICE("{address: 192.0.2.8}, {address: '2001:db8::8'}")
#define MESH                                                                                       \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data:\n  mesh: |\n    accessLogFile: /dev/stderr\n"                                       \
	"    defaultProviders: {accessLogging: [one]}\n    extensionProviders:\n"
#define ONE(what) MESH "    - {name: one, " what "}\n"
#define AT	  "service: logs/als.test, port: 9000"

static struct built compiled(struct mt_conf *conf, const char *text)
{
	struct built b = {.conf = conf, .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL_FATAL(b.diags.errors, 0);
	b.m->mesh.config = b.m->mesh_configs.n ? b.m->mesh_configs.v[0] : NULL;
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static void drop(struct built *b)
{
	mt_conf_discard(b->conf, b->s, NOW);
	mt_diags_fini(&b->diags);
	mt_model_free(b->m);
}

static const struct mt_alog_collector *collector(const struct built *b)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s->log);
	CU_ASSERT_EQUAL_FATAL(b->s->log->n_outputs, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s->log->outputs[0].collector);
	return b->s->log->outputs[0].collector;
}

/* Servers of the collector of these documents, with blanks between them. */
static const char *servers_of(const char *text)
{
	struct built b = compiled(new_conf(), text);
	struct mt_grpc_conf conf = {0};
	static char found[256];
	size_t n = 0;

	mt_grpc_target_fill(collector(&b)->target, &conf);
	CU_ASSERT_PTR_NULL(conf.tls);
	for (uint32_t i = 0; i < conf.n_servers; i++)
		n += (size_t)snprintf(
			found + n, sizeof(found) - n, "%s%s", i ? " " : "", conf.servers[i]);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	if (b.diags.warnings)
		show_diags(&b);
	unbuild(&b);
	return found;
}

/* True if no log is sent, and a warning at the MeshConfig has the reason. */
static bool is_unsent(const char *service)
{
	struct mt_idmap standings = {0};
	struct built b = {.conf = new_conf(), .m = mt_model_new()};
	const struct mt_meta *meta;
	char text[4096];
	bool unsent, said = false;

	snprintf(text, sizeof(text),
		"%s" MESH "    - {name: one, envoyTcpAls: {service: %s, port: 9000}}\n", NODE TWO,
		service);
	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	meta = b.m->service_entries.v[0];
	CU_ASSERT_EQUAL(mt_idmap_put(&standings, meta->serial,
				(void *)(uintptr_t)(MT_STANDING_LIMITED + 1)),
		0);
	b.m->standings = &standings;
	b.m->mesh.config = b.m->mesh_configs.v[0];
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	b.m->standings = NULL;
	for (uint32_t i = 0; i < b.diags.n; i++)
		said |= b.diags.items[i].severity == MT_DIAG_WARNING &&
			strstr(b.diags.items[i].message, "no access log is sent to ") &&
			strstr(b.diags.items[i].message, "ServiceEntry logs/als has the host");
	unsent = !b.s->log || !b.s->log->outputs[0].collector;
	CU_ASSERT_EQUAL(said, unsent);
	mt_idmap_fini(&standings);
	unbuild(&b);
	return unsent;
}

/* A service of another namespace, of a source with `namespaces`, does not get the calls of all. */
static void test_whose(void)
{
	CU_ASSERT_TRUE(is_unsent("als.test"));
	CU_ASSERT_TRUE(is_unsent("ops/als.test"));
	CU_ASSERT_FALSE(is_unsent("logs/als.test"));
}

/* `service` and `port`: the endpoints of a service, or a name for DNS. */
static void test_servers(void)
{
	CU_ASSERT_STRING_EQUAL(servers_of(NODE TWO ONE("envoyHttpAls: {" AT "}")),
		"192.0.2.8:9001 [2001:db8::8]:9001");
	CU_ASSERT_STRING_EQUAL(servers_of(NODE TWO ONE("envoyTcpAls: {" AT "}")),
		"192.0.2.8:9001 [2001:db8::8]:9001");
	CU_ASSERT_STRING_EQUAL(servers_of(NODE TWO ONE("envoyOtelAls: {" AT "}")),
		"192.0.2.8:9001 [2001:db8::8]:9001");
	CU_ASSERT_STRING_EQUAL(
		servers_of(NODE ONE("envoyHttpAls: {service: als.example, port: 7}")),
		"als.example:7");
}

static void check(const char *text, enum mt_alog_service service, const char *log_name,
	const char *format, const char *labels)
{
	struct built b = compiled(new_conf(), text);
	const struct mt_alog_collector *c = collector(&b);
	const struct mt_access_output *o = &b.s->log->outputs[0];

	CU_ASSERT_EQUAL(c->service, service);
	CU_ASSERT_STRING_EQUAL(c->name, "one");
	CU_ASSERT_STRING_EQUAL(c->log_name, log_name);
	CU_ASSERT_STRING_EQUAL(c->sender.node, "n");
	CU_ASSERT_STRING_EQUAL(c->labels ? c->labels : "none", labels);
	CU_ASSERT_STRING_EQUAL(o->spec.text ? o->spec.text : "default", format);
	CU_ASSERT_EQUAL(o->spec.encoding, MT_ALOG_TEXT);
	CU_ASSERT_STRING_EQUAL(o->document, "MeshConfig istio: provider one");
	CU_ASSERT_TRUE(o->general);
	unbuild(&b);
}

/* `nodeCluster` of the Node's first discovery server that has one. */
static void test_cluster(void)
{
	static const char sources[] =
		"  sources:\n  - {directory: d}\n"
		"  - {xds: {name: one, servers: ['192.0.2.20:1'], nodeId: n}}\n"
		"  - {xds: {name: two, servers: ['192.0.2.21:1'], nodeId: n, nodeCluster: east}}\n";
	char text[2048];
	struct built b = compiled(new_conf(), NODE TWO ONE("envoyTcpAls: {" AT "}"));

	CU_ASSERT_STRING_EQUAL(collector(&b)->sender.cluster, "");
	unbuild(&b);
	snprintf(text, sizeof(text), "%s%s%s", NODE, sources, TWO ONE("envoyTcpAls: {" AT "}"));
	b = compiled(new_conf(), text);
	CU_ASSERT_STRING_EQUAL(collector(&b)->sender.cluster, "east");
	unbuild(&b);
}

/* logName, and logFormat of OpenTelemetry. */
static void test_settings(void)
{
	check(NODE TWO ONE("envoyHttpAls: {" AT "}"), MT_ALOG_HTTP_ALS, "http_envoy_accesslog",
		"default", "none");
	check(NODE TWO ONE("envoyTcpAls: {" AT "}"), MT_ALOG_TCP_ALS, "tcp_envoy_accesslog",
		"default", "none");
	check(NODE TWO ONE("envoyOtelAls: {" AT "}"), MT_ALOG_OTEL, "otel_envoy_accesslog",
		"default", "none");
	check(NODE TWO ONE("envoyHttpAls: {logName: calls, " AT "}"), MT_ALOG_HTTP_ALS, "calls",
		"default", "none");
	check(NODE TWO ONE("envoyTcpAls: {logName: streams, " AT "}"), MT_ALOG_TCP_ALS, "streams",
		"default", "none");
	check(NODE TWO ONE("envoyOtelAls: {logName: all, logFormat: {text: '%PROTOCOL%', labels: "
			   "{a: '%DURATION%'}}, " AT "}"),
		MT_ALOG_OTEL, "all", "%PROTOCOL%", "{\"a\": \"%DURATION%\"}");
}

/* Names of metadata of requests that workers keep, with blanks between them. */
static const char *names_of(const char *text)
{
	struct built b = compiled(new_conf(), text);
	static char found[256];
	size_t n = 0;

	found[0] = '\0';
	CU_ASSERT_TRUE(b.s->n_log_keys <= 1);
	for (uint32_t i = 0; b.s->n_log_keys && i < b.s->log_keys[0].n_request; i++)
		n += (size_t)snprintf(found + n, sizeof(found) - n, "%s%s", i ? " " : "",
			b.s->log_keys[0].request[i].name);
	unbuild(&b);
	return found;
}

/* Body, attributes and filters name metadata. Entries of ALS have none. */
static void test_metadata(void)
{
#define DUBBO                                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: d, "        \
	"namespace: a}\nspec: {hosts: [d.test], addresses: [192.0.2.11], resolution: STATIC, "     \
	"ports: [{number: 1, name: tcp-metaprotocol-dubbo}], endpoints: [{address: "               \
	"192.0.2.12}]}\n"
#define FILTER                                                                                     \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t, namespace: " \
	"istio-system}\nspec: {accessLogging: [{providers: [{name: one}], filter: {expression: "   \
	"\"request.headers['x-user'] == 'anna'\"}}]}\n"
	CU_ASSERT_STRING_EQUAL(names_of(NODE TWO DUBBO ONE("envoyHttpAls: {" AT "}")), "");
	CU_ASSERT_STRING_EQUAL(
		names_of(NODE TWO DUBBO FILTER ONE("envoyHttpAls: {" AT "}")), "x-user");
	CU_ASSERT_STRING_EQUAL(
		names_of(NODE TWO DUBBO ONE("envoyOtelAls: {logFormat: {text: '%REQ(a)%', labels: "
					    "{k: '%REQ(X-User)%', l: '%REQ(A?b)%'}}, " AT "}")),
		"a x-user b");
#undef DUBBO
#undef FILTER
}

/* The same settings are the same target in the next snapshot, and other servers another one. */
static void test_kept(void)
{
	struct mt_conf *c = new_conf();
	struct built a = compiled(c, NODE TWO ONE("envoyHttpAls: {" AT "}"));
	struct built b = compiled(c, NODE TWO ONE("envoyHttpAls: {logName: x, " AT "}"));

	CU_ASSERT_PTR_EQUAL(collector(&a)->target, collector(&b)->target);
	drop(&b);
	b = compiled(c, NODE SERVICE("{address: 192.0.2.9}") ONE("envoyHttpAls: {" AT "}"));
	CU_ASSERT_PTR_NOT_EQUAL(collector(&a)->target, collector(&b)->target);
	drop(&b);
	unbuild(&a);
}

/* What cannot be used costs this output alone. */
static void refused(const char *text, const char *words)
{
	struct built b = compiled(new_conf(), text);
	bool found = false;

	CU_ASSERT_PTR_NULL(b.s->log);
	CU_ASSERT_FALSE(b.s->log_general || b.s->log_unserved);
	for (uint32_t i = 0; i < b.diags.n; i++)
		found |= b.diags.items[i].severity == MT_DIAG_WARNING &&
			 strstr(b.diags.items[i].message, words);
	CU_ASSERT_TRUE(found);
	if (!found)
		show_diags(&b);
	unbuild(&b);
}

static void test_refused(void)
{
#define RULE(tls)                                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: als, "   \
	"namespace: logs}\nspec: {host: als.test, trafficPolicy: {tls: " tls "}}\n"
	refused(NODE TWO RULE("{mode: ISTIO_MUTUAL}") ONE("envoyHttpAls: {" AT "}"),
		"no access log is sent to logs/als.test: ");
	refused(NODE SERVICE("{address: 169.254.169.254}") ONE("envoyHttpAls: {" AT "}"),
		"its endpoints have loopback addresses");
	refused(NODE TWO ONE("envoyOtelAls: {logFormat: {labels: {a: '%GOOD%'}}, " AT "}"),
		"label a: column 1: GOOD");
	refused(NODE TWO ONE("envoyOtelAls: {logFormat: {text: '%GOOD%'}, " AT "}"),
		"no access log is written: column 1: GOOD");
#undef RULE
}

const struct mt_test collectors_tests[] = {{"whose", test_whose}, {"net_providers", test_servers},
	{"net_settings", test_settings}, {"cluster of the node", test_cluster},
	{"metadata of collectors", test_metadata}, {"collectors are kept", test_kept},
	{"collectors that are refused", test_refused}, {0}};
