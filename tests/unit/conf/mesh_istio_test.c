/* SPDX-License-Identifier: Apache-2.0 */
/* Resources in the shapes that istiod and Aeraki send them, mapped, listed and compiled as the daemon does it. */
#include "conf_test.h"

#include "mt_alog.h"
#include "mt_pb_json.h"
#include "mt_xds_map.h"

#include <stdio.h>

#define EDS_CLUSTER(name)                                                                          \
	"{'name': '" name "', 'type': 'EDS', 'connect_timeout': '10s', 'eds_cluster_config': "     \
	"{'eds_config': {'ads': {}, 'resource_api_version': 'V3'}, 'service_name': '" name "'}, "  \
	"'common_lb_config': {'healthy_panic_threshold': {'value': 0}}}"
#define ENDPOINTS(name, locality)                                                                  \
	"{'cluster_name': '" name "', 'endpoints': [{'locality': {'region': 'r', 'zone': 'z'}, "   \
	"'load_balancing_weight': 4, 'lb_endpoints': [" locality "]}]}"
#define ENDPOINT(address, weight)                                                                  \
	"{'endpoint': {'address': {'socket_address': {'address': '" address                        \
	"', 'port_value': 20880}}}, 'load_balancing_weight': " weight "}"
#define ADDRESS(address, port)                                                                     \
	"'address': {'socket_address': {'address': '" address "', 'port_value': " port "}}"
#define TCP_PROXY(cluster)                                                                         \
	"{'name': 'envoy.filters.network.tcp_proxy', 'typed_config': {'@type': "                   \
	"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "           \
	"'stat_prefix': 'x', 'cluster': '" cluster "'}}"

#define LOG(path, format)                                                                          \
	"{'name': 'envoy.access_loggers.file', 'typedConfig': {'@type': "                          \
	"'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog', 'path': "    \
	"'" path "', 'logFormat': {'textFormatSource': {'inlineString': '" format "'}}}}"

static const struct {
	enum mt_xds_type type;
	const char *text;
} resources[] = {
	{MT_XDS_CDS, EDS_CLUSTER("outbound|20880||org.example.demo")},
	{MT_XDS_CDS, EDS_CLUSTER("outbound|20880|v2|org.example.demo")},
	{MT_XDS_CDS, "{'name': 'BlackHoleCluster', 'type': 'STATIC', 'connect_timeout': '10s'}"},
	{MT_XDS_CDS, "{'name': 'PassthroughCluster', 'type': 'ORIGINAL_DST', 'lb_policy': "
		     "'CLUSTER_PROVIDED', 'connect_timeout': '10s'}"},
	{MT_XDS_EDS, ENDPOINTS("outbound|20880||org.example.demo",
			     ENDPOINT("198.51.100.1", "1") ", " ENDPOINT("198.51.100.2", "3"))},
	{MT_XDS_EDS,
		ENDPOINTS("outbound|20880|v2|org.example.demo", ENDPOINT("198.51.100.2", "3"))},
	/* The EnvoyFilter that Aeraki writes, in place of the TCP proxy. */
	{MT_XDS_LDS,
		"{'name': '240.240.0.1_20880', " ADDRESS("240.240.0.1",
			"20880") ", "
				 "'bind_to_port': false, 'traffic_direction': 'OUTBOUND', "
				 "'filter_chains': [{'filters': "
				 "[{'name': 'envoy.filters.network.meta_protocol_proxy', "
				 "'typed_config': {'@type': "
				 "'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': "
				 "'type.googleapis.com/"
				 "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', 'value': "
				 "{'statPrefix': 'outbound|20880||org.example.demo', "
				 "'applicationProtocol': 'dubbo', "
				 "'accessLog': [" LOG("/dev/stdout", "%PROTOCOL%") ", " LOG(
					 "/etc/passwd", "%PROTOCOL%") ", " LOG("/dev/stdout",
					 "%NOTHING_OF_ENVOY%") "], "
							       "'codec': {'name': "
							       "'aeraki.meta_protocol.codec.dubbo'}"
							       ", 'rds': "
							       "{'configSource': {'ads': "
							       "{}, 'resourceApiVersion': 'V3'}, "
							       "'routeConfigName': "
							       "'org.example.demo_20880'}}}}]}]}"},
	{MT_XDS_LDS, "{'name': '240.240.0.2_7000', " ADDRESS("240.240.0.2",
			     "7000") ", "
				     "'bind_to_port': false, 'traffic_direction': 'OUTBOUND', "
				     "'filter_chains': "
				     "[{'filters': [" TCP_PROXY(
					     "outbound|20880|v2|org.example.demo") "]}]}"},
	{MT_XDS_LDS, "{'name': 'virtualOutbound', " ADDRESS("0.0.0.0",
			     "15001") ", "
				      "'use_original_dst': true, 'traffic_direction': 'OUTBOUND', "
				      "'filter_chains': "
				      "[{'filters': [" TCP_PROXY("PassthroughCluster") "]}]}"},
	{MT_XDS_LDS,
		"{'name': 'virtualInbound', " ADDRESS("0.0.0.0",
			"15006") ", "
				 "'use_original_dst': true, 'traffic_direction': 'INBOUND', "
				 "'filter_chains': "
				 "[{'filters': [" TCP_PROXY("InboundPassthroughCluster") "]}]}"},
	{MT_XDS_RDS,
		"{'name': 'org.example.demo_20880', 'virtual_hosts': [{'name': 'dummy', "
		"'domains': ['*'], 'routes': [{'name': 'v2', 'match': {'prefix': '/', 'headers': "
		"[{'name': 'interface', 'exact_match': 'a.B'}]}, 'route': {'weighted_clusters': "
		"{'clusters': [{'name': 'outbound|20880||org.example.demo', 'weight': 20}, "
		"{'name': "
		"'outbound|20880|v2|org.example.demo', 'weight': 80}]}, 'hash_policy': [{'header': "
		"{'header_name': 'user'}}]}}, {'name': 'rest', 'match': {'prefix': '/'}, 'route': "
		"{'cluster': 'outbound|20880||org.example.demo'}}]}]}"},
};

static struct mt_model *part(enum mt_xds_type type, const char *text, uint64_t serial)
{
	struct mt_pb_arena arena;
	struct mt_err why = {""};
	struct mt_pb_reader r = {.arena = &arena, .why = &why};
	struct mt_xds_mapped out = {0};
	char *copy = strdup(text);
	ProtobufCMessage *m;
	Xds__Struct *s;
	Xds__Any any;

	for (char *c = copy; *c; c++)
		*c = *c == '\'' ? '"' : *c;
	mt_pb_arena_init(&arena, 1u << 20);
	s = mt_pb_struct_of_text(&arena, "t", copy, strlen(copy), &why);
	m = s ? mt_pb_from_struct(&r, mt_pb_type(mt_xds_url(type)), s) : NULL;
	if (!m)
		printf("\n  %s\n", why.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	xds__any__init(&any);
	any.type_url = (char *)mt_xds_url(type);
	any.value.len = protobuf_c_message_get_packed_size(m);
	any.value.data = malloc(any.value.len + 1);
	protobuf_c_message_pack(m, any.value.data);
	if (mt_xds_map(type, &any, &(struct mt_xds_from){"xds:istio", NULL}, serial, &out, &why))
		printf("\n  %s\n", why.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out.part);
	free(any.value.data);
	free(copy);
	mt_pb_arena_fini(&arena);
	return out.part;
}

/* The listener's logs that can be used, and the scope that leads its service's calls there. */
static void check_log(const struct mt_snapshot *s, const struct mt_service *svc)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->log);
	CU_ASSERT_EQUAL_FATAL(s->log->n_outputs, 1);
	CU_ASSERT_STRING_EQUAL(s->log->outputs[0].document,
		"Listener 240.240.0.1_20880: "
		"filter_chains[0].filters[0].typed_config.access_log[0]");
	CU_ASSERT_STRING_EQUAL(s->log->outputs[0].spec.text, "%PROTOCOL%");
	CU_ASSERT_EQUAL(s->log->outputs[0].place.fd, 1);
	CU_ASSERT_FALSE(s->log->outputs[0].general);
	CU_ASSERT_PTR_NOT_NULL_FATAL(svc->log_scope);
	CU_ASSERT_EQUAL(svc->log_scope->n, 3);
	CU_ASSERT_EQUAL(svc->log_scope->keys[0], s->log->outputs[0].key);
}

static void check(const struct mt_snapshot *s)
{
	const struct mt_listener *l = listener(s, "240.240.0.1", 20880);
	const struct mt_route_action *a;
	const struct mt_cluster *c = cluster(s, "outbound|20880||org.example.demo");

	CU_ASSERT_EQUAL(s->n_listeners, 2);
	CU_ASSERT_EQUAL(s->n_clusters, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(l->protos->codec->name, "dubbo");
	CU_ASSERT_STRING_EQUAL(l->protos->services[0]->name, "org.example.demo");
	check_log(s, l->protos->services[0]);
	CU_ASSERT_EQUAL_FATAL(mt_route_count(l->protos->services[0]->routes), 2);
	a = mt_route_at(l->protos->services[0]->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "v2");
	CU_ASSERT_EQUAL_FATAL(a->n_dests, 2);
	CU_ASSERT_EQUAL(a->dests[1].weight, 80);
	CU_ASSERT_STRING_EQUAL(
		s->clusters[a->dests[1].cluster].name, "outbound|20880|v2|org.example.demo");
	CU_ASSERT_EQUAL_FATAL(a->hash.n_keys, 1);
	CU_ASSERT_STRING_EQUAL(a->hash.keys[0].name, "user");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_EQUAL(c->eps[1].weight, 3);
	CU_ASSERT_STRING_EQUAL(mt_endpoint_zone(c, &c->eps[0]), "z");
	CU_ASSERT_EQUAL(c->lb, MT_LB_ROUND_ROBIN);
	CU_ASSERT_EQUAL(c->connect_ms, 10000);
	l = listener(s, "240.240.0.2", 7000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(s->clusters[l->protos->services[0]->tcp_cluster].name,
		"outbound|20880|v2|org.example.demo");
}

static void istio(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;

	mt_diags_init(&diags);
	for (size_t i = 0; i < MT_ARRAY_LEN(resources); i++) {
		struct mt_model *p = part(resources[i].type, resources[i].text, i + 1);

		CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
		mt_model_free(p);
	}
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	/* One for all that needs a redirecting kernel, and two for logs that are not written. */
	CU_ASSERT_EQUAL(diags.n, 3);
	if (diags.n != 3)
		mt_diags_print(&diags, stdout);
	check(s);
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

/* ---- logs ----------------------------------------------------------------------------------- */

#define A LOG("/dev/stdout", "%PROTOCOL%")
#define B LOG("/dev/stderr", "%PROTOCOL%")
#define LOGGED(address, logs)                                                                      \
	"{'name': '" address "_20880', " ADDRESS(address,                                          \
		"20880") ", 'filter_chains': "                                                     \
			 "[{'filters': [{'name': 'p', 'typed_config': {'@type': "                  \
			 "'type.googleapis.com/"                                                   \
			 "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', "                 \
			 "'application_protocol': "                                                \
			 "'dubbo', 'codec': {'name': 'aeraki.meta_protocol.codec.dubbo'}, "        \
			 "'access_log': [" logs                                                    \
			 "], 'route_config': {'name': 'r', 'routes': [{'name': 'all', 'match': "   \
			 "{'metadata': []}, 'route': {'cluster': "                                 \
			 "'outbound|20880||org.example.demo'}}]}}}]}]}"
#define LOGGED_TCP(address, logs)                                                                  \
	"{'name': '" address "_20880', " ADDRESS(address,                                          \
		"20880") ", 'filter_chains': "                                                     \
			 "[{'filters': [{'name': 't', 'typed_config': {'@type': "                  \
			 "'type.googleapis.com/"                                                   \
			 "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "               \
			 "'stat_prefix': 'x', 'cluster': 'outbound|20880||org.example.demo', "     \
			 "'access_log': [" logs "]}}]}]}"

#define LOGGED_LISTENER(address, logs, chain_logs)                                                 \
	"{'name': '" address "_20880', " ADDRESS(address,                                          \
		"20880") ", 'access_log': [" logs "], 'filter_chains': "                           \
			 "[{'filters': [{'name': 't', 'typed_config': {'@type': "                  \
			 "'type.googleapis.com/"                                                   \
			 "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "               \
			 "'stat_prefix': 'x', 'cluster': 'outbound|20880||org.example.demo', "     \
			 "'access_log': [" chain_logs "]}}]}]}"

static const struct mt_alog_scope *scope_at(const struct mt_snapshot *s, const char *address)
{
	const struct mt_listener *l = listener(s, address, 20880);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->protos->services[0]->log_scope);
	return l->protos->services[0]->log_scope;
}

/*
 * Proxies share outputs, also those of opaque TCP. A log that a proxy has twice is two outputs, and
 * has two lines a call.
 */
static void check_shared(const struct mt_snapshot *s)
{
	const struct mt_access_output *o;
	const struct mt_alog_scope *scope;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s->log);
	CU_ASSERT_EQUAL_FATAL(s->log->n_outputs, 3);
	o = s->log->outputs;
	CU_ASSERT_EQUAL(o[0].place.fd, 1);
	CU_ASSERT_EQUAL(o[1].place.fd, 1);
	CU_ASSERT_EQUAL(o[2].place.fd, 2);
	CU_ASSERT_TRUE(o[0].key && o[1].key && o[0].key != o[1].key);
	scope = scope_at(s, "240.240.0.1");
	CU_ASSERT_EQUAL_FATAL(scope->n, 2);
	CU_ASSERT_TRUE(scope->keys[0] == o[0].key && scope->keys[1] == o[1].key);
	scope = scope_at(s, "240.240.0.2");
	CU_ASSERT_EQUAL_FATAL(scope->n, 2);
	CU_ASSERT_TRUE(scope->keys[0] == o[2].key && scope->keys[1] == o[0].key);
	CU_ASSERT_EQUAL(scope_at(s, "240.240.0.3")->n, 0);
	scope = scope_at(s, "240.240.0.4");
	CU_ASSERT_EQUAL_FATAL(scope->n, 2);
	CU_ASSERT_TRUE(scope->keys[0] == o[0].key && scope->keys[1] == o[2].key);
	CU_ASSERT_EQUAL(scope_at(s, "240.240.0.5")->n, 0);
}

static struct mt_snapshot *logged(struct mt_conf *conf, const char *text)
{
	struct mt_model *m = mt_model_new(), *p = part(MT_XDS_LDS, LOGGED("240.240.0.1", A), 1);
	struct mt_snapshot *s;
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	m->mesh.config = m->mesh_configs.n ? m->mesh_configs.v[0] : NULL;
	CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
	mt_model_free(p);
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->log);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

/*
 * Logs of proxies get the calls without a service if the MeshConfig has no log, but not if
 * Telemetry turned it off.
 */
static void unserved_calls(void)
{
	static const char mesh[] = "apiVersion: v1\nkind: ConfigMap\n"
				   "metadata: {name: istio, namespace: istio-system}\n"
				   "data: {mesh: 'accessLogFile: /dev/stderr'}\n";
	static const char off[] = "---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"
				  "metadata: {name: off, namespace: istio-system}\n"
				  "spec: {accessLogging: [{disabled: true}]}\n";
	struct mt_conf *conf = new_conf();
	char both[sizeof(mesh) + sizeof(off)];
	struct mt_snapshot *s = logged(conf, "");

	CU_ASSERT(s->log->n_outputs == 1 && s->log->outputs[0].unserved && s->log_unserved);
	CU_ASSERT_FALSE(s->log->outputs[0].general || s->log_general);
	mt_conf_discard(conf, s, NOW);
	s = logged(conf, mesh);
	CU_ASSERT(s->log->n_outputs == 2 && s->log_unserved && s->log_general);
	CU_ASSERT(s->log->outputs[0].unserved && !s->log->outputs[1].unserved);
	mt_conf_discard(conf, s, NOW);
	snprintf(both, sizeof(both), "%s%s", mesh, off);
	s = logged(conf, both);
	CU_ASSERT_EQUAL(s->log->n_outputs, 1);
	CU_ASSERT_FALSE(s->log->outputs[0].unserved || s->log_unserved || s->log_general);
	mt_conf_discard(conf, s, NOW);
	mt_conf_destroy(conf);
}

static void shared_logs(void)
{
	static const char *const listeners[] = {LOGGED("240.240.0.1", A ", " A),
		LOGGED("240.240.0.2", B ", " A), LOGGED("240.240.0.3", ""),
		LOGGED_TCP("240.240.0.4", A ", " B), LOGGED_TCP("240.240.0.5", "")};
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;

	mt_diags_init(&diags);
	for (size_t i = 0; i < MT_ARRAY_LEN(listeners) + 1; i++) {
		struct mt_model *p = i ? part(MT_XDS_LDS, listeners[i - 1], i + 1)
				       : part(MT_XDS_CDS, resources[0].text, i + 1);

		CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
		mt_model_free(p);
	}
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (diags.warnings)
		mt_diags_print(&diags, stdout);
	check_shared(s);
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

/* The logs of a listener get connections that no chain gets, and no calls. */
static void logs_of_listeners(void)
{
	static const char *const listeners[] = {
		LOGGED_LISTENER("240.240.0.1", A ", " B, B), LOGGED_LISTENER("240.240.0.2", "", B)};
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new();
	const struct mt_alog_scope *scope;
	struct mt_snapshot *s;
	struct mt_diags diags;

	mt_diags_init(&diags);
	for (size_t i = 0; i < MT_ARRAY_LEN(listeners) + 1; i++) {
		struct mt_model *p = i ? part(MT_XDS_LDS, listeners[i - 1], i + 1)
				       : part(MT_XDS_CDS, resources[0].text, i + 1);

		CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
		mt_model_free(p);
	}
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->log);
	CU_ASSERT_EQUAL_FATAL(s->log->n_outputs, 2);
	/* Calls without a service go to the logs of proxies. */
	CU_ASSERT(s->log->outputs[0].place.fd == 2 && s->log->outputs[0].unserved);
	CU_ASSERT(s->log->outputs[1].place.fd == 1 && !s->log->outputs[1].unserved);
	CU_ASSERT_STRING_EQUAL(
		s->log->outputs[1].document, "Listener 240.240.0.1_20880: access_log[0]");
	scope = listener(s, "240.240.0.1", 20880)->log_scope;
	CU_ASSERT_PTR_NOT_NULL_FATAL(scope);
	CU_ASSERT_EQUAL_FATAL(scope->n, 2);
	CU_ASSERT_EQUAL(scope->keys[0], s->log->outputs[1].key);
	CU_ASSERT_EQUAL(scope->keys[1], s->log->outputs[0].key);
	CU_ASSERT_PTR_NULL(listener(s, "240.240.0.2", 20880)->log_scope);
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

#define FILTERED(filter)                                                                           \
	"{'name': 'a', 'filter': {" filter "}, 'typed_config': {'@type': "                         \
	"'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog'}}"
#define CEL_FILTER(expression)                                                                     \
	"'extension_filter': {'name': 'x', 'typed_config': {'@type': 'type.googleapis.com/"        \
	"envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter', 'expression': "         \
	"'" expression "'}}"

/* Logs that differ in their filters are outputs of their own; a bad expression costs only its log. */
static void filtered_logs(void)
{
	static const char *const logs = LOGGED("240.240.0.1",
		FILTERED(
			"'response_flag_filter': {'flags': ['NR', "
			"'UH']}") ", " FILTERED("'duratio"
						"n_"
						"filter':"
						" {'"
						"comparis"
						"on': "
						"{'op': "
						"'NE', "
						"'value':"
						" {'"
						"default_"
						"value': "
						"5}}}") ", " FILTERED("'header_filter': "
								      "{'header': {'name': "
								      "'user', "
								      "'prefix_match': 'a', "
								      "'treat_missing_"
								      "header_as_empty': "
								      "true}}") ","
										" " FILTERED(
											"'header_"
											"filter': "
											"{'header':"
											" "
											"{'name': "
											"'user', "
											"'invert_"
											"match': "
											"true}}") ","
												  " " FILTERED(CEL_FILTER("response.code >= 400")) ", " FILTERED(CEL_FILTER(
													  "response.code >=")) ", " FILTERED("'and_filter': {'filters': [{'runtime_filter': {'percent_sampled': "
																	     "{'numerator': 25}}}, {'not_health_check_filter': {}}]}") ", " FILTERED("'runtime_filter': {'percent_sampled': {'numerator': 25}}"));
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new(), *p = part(MT_XDS_LDS, logs, 1);
	const struct mt_access_output *o;
	struct mt_snapshot *s;
	struct mt_diags diags;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_model_share(m, p), 0);
	mt_model_free(p);
	s = mt_conf_compile(conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->log);
	CU_ASSERT_EQUAL_FATAL(s->log->n_outputs, 7);
	o = s->log->outputs;
	CU_ASSERT_STRING_EQUAL(
		o[0].filter, "response.flags / 2 % 2 == 1 || response.flags / 256 % 2 == 1");
	CU_ASSERT_STRING_EQUAL(o[4].filter, "response.code >= 400");
	CU_ASSERT_STRING_EQUAL(o[5].filter, "(true) && (true)");
	CU_ASSERT_PTR_NULL(o[6].filter);
	CU_ASSERT_EQUAL(o[4].draw.skips, 0);
	CU_ASSERT_EQUAL(o[5].draw.skips, 750000);
	CU_ASSERT_EQUAL(o[6].draw.skips, 750000);
	CU_ASSERT_EQUAL(scope_at(s, "240.240.0.1")->n, 8);
	CU_ASSERT_EQUAL(scope_at(s, "240.240.0.1")->keys[7], o[6].key);
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

const struct mt_test mesh_istio_tests[] = {
	{"istio", istio},
	{"logs that proxies share", shared_logs},
	{"logs of calls without a service", unserved_calls},
	{"logs of listeners", logs_of_listeners},
	{"logs with filters", filtered_logs},
	{0},
};
