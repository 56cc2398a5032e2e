/* SPDX-License-Identifier: Apache-2.0 */
/* Each field that clusters are made of, changed alone. */
#include "conf_texts.h"
#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const none[] = {NULL};

/* The first endpoint is near, the second is in a zone of the same name, the third in neither. */
static const char service_text[] =
	ISTIO("ServiceEntry", "a") "  hosts: [a.x]\n  addresses: [240.0.0.1]\n"
				   "  resolution: STATIC\n  ports:\n"
				   "  - {number: 1, name: tcp-metaprotocol-dubbo}\n"
				   "  - {number: 2, name: tcp-metaprotocol-dubbo-2}\n"
				   "  endpoints:\n"
				   "  - {address: 198.51.100.1, locality: r/z}\n"
				   "  - {address: 198.51.100.2, locality: s/z, labels: {v: one}}\n"
				   "  - {address: 198.51.100.3, locality: t/y}\n";
static const char workloads_text[] =
	ISTIO("WorkloadEntry", "w1") "  address: 198.51.100.21\n  labels: {app: x}\n" ISTIO(
		"WorkloadEntry", "w2") "  address: 198.51.100.22\n  labels: {app: y}\n";

/* ---- DestinationRules ----------------------------------------------------------------------- */

#define LB(x)	   "loadBalancer: {" x "}"
#define HASH(x)	   LB("consistentHash: {" x "}")
#define WARM(x)	   LB("warmup: {" x "}")
#define POOL(x, y) "connectionPool: {" x ": {" y "}}"
#define TLS(x)	   "tls: {" x "}"
#define OUT(x)	   "outlierDetection: {" x "}"
#define PLACES(x)  "outlierDetection: {}, " LB("localityLbSetting: {" x "}")
#define SHARES(x)  LB("localityLbSetting: {distribute: [{" x "}]}")
#define BY(x)	   "consecutive5xxErrors: 8, " x
#define MUTUAL(x)  TLS("mode: MUTUAL, caCertificates: @/roots, " x)

static const char rule_text[] = ISTIO("DestinationRule", "a") "  host: a.x\n"
							      "  trafficPolicy: {%s}\n";

static const struct field_row rule_rows[] = {
	{"loadBalancer.simple", LB("simple: ROUND_ROBIN"), LB("simple: RANDOM"), CHANGES},
	{"loadBalancer.consistentHash.httpHeaderName", HASH("httpHeaderName: x"),
		HASH("httpHeaderName: y"), CHANGES},
	{"loadBalancer.consistentHash.useSourceIp", HASH("httpHeaderName: x"),
		HASH("httpHeaderName: x, useSourceIp: true"), CHANGES},
	{"loadBalancer.consistentHash.ringHash", HASH("useSourceIp: true"),
		HASH("useSourceIp: true, ringHash: {}"), CHANGES},
	{"loadBalancer.consistentHash.ringHash.minimumRingSize",
		HASH("useSourceIp: true, ringHash: {minimumRingSize: 100}"),
		HASH("useSourceIp: true, ringHash: {minimumRingSize: 200}"), CHANGES},
	{"loadBalancer.consistentHash.minimumRingSize",
		HASH("useSourceIp: true, minimumRingSize: 100"),
		HASH("useSourceIp: true, minimumRingSize: 200"), CHANGES},
	{"loadBalancer.localityLbSetting.enabled", PLACES("enabled: true"),
		PLACES("enabled: false"), CHANGES},
	{"loadBalancer.localityLbSetting.distribute[].from", SHARES("from: r, to: {r: 80, s: 20}"),
		SHARES("from: s, to: {r: 80, s: 20}"), CHANGES},
	{"loadBalancer.localityLbSetting.distribute[].to", SHARES("from: r, to: {r: 80, s: 20}"),
		SHARES("from: r, to: {r: 70, s: 30}"), CHANGES},
	{"loadBalancer.localityLbSetting.failover[].from", PLACES("failover: [{from: r, to: s}]"),
		PLACES("failover: [{from: q, to: s}]"), CHANGES},
	{"loadBalancer.localityLbSetting.failover[].to", PLACES("failover: [{from: r, to: s}]"),
		PLACES("failover: [{from: r, to: t}]"), CHANGES},
	{"loadBalancer.localityLbSetting.failoverPriority",
		PLACES("failoverPriority: [topology.kubernetes.io/region]"),
		PLACES("failoverPriority: [topology.kubernetes.io/zone]"), CHANGES},
	{"loadBalancer.warmupDurationSecs", LB("warmupDurationSecs: 5s"),
		LB("warmupDurationSecs: 6s"), CHANGES},
	{"loadBalancer.warmup.duration", WARM("duration: 60s"), WARM("duration: 61s"), CHANGES},
	{"loadBalancer.warmup.minimumPercent", WARM("duration: 60s, minimumPercent: 20"),
		WARM("duration: 60s, minimumPercent: 21"), CHANGES},
	{"loadBalancer.warmup.aggression", WARM("duration: 60s, aggression: 2"),
		WARM("duration: 60s, aggression: 3"), CHANGES},
	{"connectionPool.tcp.maxConnections", POOL("tcp", "maxConnections: 5"),
		POOL("tcp", "maxConnections: 6"), CHANGES},
	{"connectionPool.tcp.connectTimeout", POOL("tcp", "connectTimeout: 5s"),
		POOL("tcp", "connectTimeout: 6s"), CHANGES},
	{"connectionPool.http.http2MaxRequests", POOL("http", "http2MaxRequests: 5"),
		POOL("http", "http2MaxRequests: 6"), CHANGES},
	{"connectionPool.http.http1MaxPendingRequests", POOL("http", "http1MaxPendingRequests: 5"),
		POOL("http", "http1MaxPendingRequests: 6"), CHANGES},
	{"connectionPool.http.maxRetries", POOL("http", "maxRetries: 5"),
		POOL("http", "maxRetries: 6"), CHANGES},
	{"connectionPool.http.maxRetries: 0", POOL("http", "maxRetries: 0"),
		POOL("http", "maxRetries: 1"), CHANGES},
	{"connectionPool.http.maxRetries: none", POOL("http", "http1MaxPendingRequests: 6"),
		POOL("http", "http1MaxPendingRequests: 6, maxRetries: 0"), CHANGES},
	{"retryBudget.percent", "retryBudget: {percent: 5}", "retryBudget: {percent: 5.5}",
		CHANGES},
	{"retryBudget.minRetryConcurrency", "retryBudget: {minRetryConcurrency: 5}",
		"retryBudget: {minRetryConcurrency: 6}", CHANGES},
	{"retryBudget: empty", "outlierDetection: {}", "outlierDetection: {}, retryBudget: {}",
		CHANGES},
	{"tls.mode", TLS("mode: DISABLE, insecureSkipVerify: true"),
		TLS("mode: SIMPLE, insecureSkipVerify: true"), CHANGES},
	{"tls.clientCertificate", MUTUAL("clientCertificate: @/chain, privateKey: @/key"),
		MUTUAL("clientCertificate: @/chain2, privateKey: @/key"), CHANGES},
	/* The second file has no key: no endpoint is called. */
	{"tls.privateKey", MUTUAL("clientCertificate: @/chain, privateKey: @/key"),
		MUTUAL("clientCertificate: @/chain, privateKey: @/roots"), CHANGES},
	{"tls.caCertificates", TLS("mode: SIMPLE, caCertificates: @/roots"),
		TLS("mode: SIMPLE, caCertificates: @/roots2"), CHANGES},
	{"tls.credentialName", TLS("mode: MUTUAL, credentialName: one"),
		TLS("mode: MUTUAL, credentialName: two"), CHANGES},
	{"tls.subjectAltNames",
		TLS("mode: SIMPLE, caCertificates: @/roots, subjectAltNames: [a.x]"),
		TLS("mode: SIMPLE, caCertificates: @/roots, subjectAltNames: [b.x]"), CHANGES},
	{"tls.sni", TLS("mode: SIMPLE, insecureSkipVerify: true, sni: a.x"),
		TLS("mode: SIMPLE, insecureSkipVerify: true, sni: b.x"), CHANGES},
	{"tls.insecureSkipVerify",
		TLS("mode: SIMPLE, caCertificates: @/roots, insecureSkipVerify: false"),
		TLS("mode: SIMPLE, caCertificates: @/roots, insecureSkipVerify: true"), CHANGES},
	{"tls.caCrl", TLS("mode: SIMPLE, caCertificates: @/roots"),
		TLS("mode: SIMPLE, caCertificates: @/roots, caCrl: @/crl"), UNREPORTED},
	{"outlierDetection.consecutive5xxErrors", OUT("consecutive5xxErrors: 7"),
		OUT("consecutive5xxErrors: 8"), CHANGES},
	{"outlierDetection.consecutive5xxErrors: of replies alone",
		OUT("consecutiveGatewayErrors: 6, consecutive5xxErrors: 7"),
		OUT("consecutiveGatewayErrors: 6, consecutive5xxErrors: 8"), CHANGES},
	{"outlierDetection.consecutiveGatewayErrors", OUT(BY("consecutiveGatewayErrors: 6")),
		OUT(BY("consecutiveGatewayErrors: 5")), CHANGES},
	{"outlierDetection.consecutiveLocalOriginFailures",
		OUT(BY("consecutiveLocalOriginFailures: 6")),
		OUT(BY("consecutiveLocalOriginFailures: 5")), CHANGES},
	{"outlierDetection.baseEjectionTime", OUT("baseEjectionTime: 9s"),
		OUT("baseEjectionTime: 8s"), CHANGES},
	{"outlierDetection.maxEjectionPercent", OUT("maxEjectionPercent: 10"),
		OUT("maxEjectionPercent: 20"), CHANGES},
	{"outlierDetection.minHealthPercent", OUT("minHealthPercent: 30"),
		OUT("minHealthPercent: 40"), CHANGES},
};

static void rules(void)
{
	const struct mt_section *policy = fields_section(&mt_sec_destination_rule, "trafficPolicy");
	const struct mt_section *ports = fields_section(policy, "portLevelSettings");
	static const char *const but[] = {"portLevelSettings", NULL};

	fields_have_rows(policy, but, rule_rows, MT_ARRAY_LEN(rule_rows));
	/* What a port's settings have is the same. */
	for (uint32_t i = 0; i < ports->n_fields; i++)
		CU_ASSERT(strcmp(ports->fields[i].name, "port") == 0 ||
			  fields_section(policy, ports->fields[i].name) == ports->fields[i].sub);
	fields_begin(service_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(rule_rows); i++)
		fields_change(rule_text, &rule_rows[i]);
	fields_end();
}

/* ---- ServiceEntries ------------------------------------------------------------------------- */

#define HOST	   "hosts: [a.x], addresses: [240.0.0.1], resolution: STATIC, "
#define PORT	   "ports: [{number: 1, name: tcp-a}], "
#define EP(x)	   "endpoints: [{address: 198.51.100.1" x "}]"
#define ISTIO_MODE ", labels: {security.istio.io/tlsMode: istio}"
#define INSIDE	   "location: MESH_INTERNAL, "

static const char entry_text[] =
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
	"spec: {%s}\n";

static const struct field_row entry_rows[] = {
	{"hosts", HOST PORT EP(""),
		"hosts: [b.x], addresses: [240.0.0.1], resolution: STATIC, " PORT EP(""), CHANGES},
	{"addresses", HOST PORT EP(""),
		"hosts: [a.x], addresses: [240.0.0.2], resolution: STATIC, " PORT EP(""), CHANGES},
	{"ports[].number", HOST PORT EP(""), HOST "ports: [{number: 2, name: tcp-a}], " EP(""),
		CHANGES},
	{"ports[].name", HOST PORT EP(""),
		HOST "ports: [{number: 1, name: tcp-metaprotocol-dubbo}], " EP(""), CHANGES},
	{"ports[].protocol", HOST PORT EP(""),
		HOST "ports: [{number: 1, name: tcp-a, protocol: TCP}], " EP(""), ELSEWHERE},
	{"ports[].targetPort", HOST "ports: [{number: 1, name: tcp-a, targetPort: 7}], " EP(""),
		HOST "ports: [{number: 1, name: tcp-a, targetPort: 8}], " EP(""), CHANGES},
	{"location", HOST PORT EP(ISTIO_MODE), HOST INSIDE PORT EP(ISTIO_MODE), ELSEWHERE},
	{"resolution", HOST PORT EP(""),
		"hosts: [a.x], addresses: [240.0.0.1], resolution: DNS, " PORT EP(""), ELSEWHERE},
	{"endpoints[].address", HOST PORT EP(""), HOST PORT "endpoints: [{address: 198.51.100.2}]",
		CHANGES},
	{"endpoints[].ports", HOST PORT EP(", ports: {tcp-a: 7}"),
		HOST PORT EP(", ports: {tcp-a: 8}"), CHANGES},
	{"endpoints[].labels", HOST INSIDE PORT EP(""), HOST INSIDE PORT EP(ISTIO_MODE), CHANGES},
	{"endpoints[].weight", HOST PORT EP(", weight: 2"), HOST PORT EP(", weight: 3"), CHANGES},
	{"endpoints[].locality", HOST PORT EP(", locality: r/y"), HOST PORT EP(", locality: r/z"),
		UNREPORTED},
	{"endpoints[].serviceAccount", HOST INSIDE PORT EP(ISTIO_MODE ", serviceAccount: one"),
		HOST INSIDE PORT EP(ISTIO_MODE ", serviceAccount: two"), CHANGES},
	{"endpoints[].network", HOST PORT EP(", network: x"), HOST PORT EP(", network: y"),
		ELSEWHERE},
	{"workloadSelector.labels", HOST PORT "workloadSelector: {labels: {app: x}}",
		HOST PORT "workloadSelector: {labels: {app: y}}", CHANGES},
	{"exportTo", HOST PORT "exportTo: ['*'], " EP(""), HOST PORT "exportTo: [other], " EP(""),
		ELSEWHERE},
	{"subjectAltNames", HOST INSIDE PORT "subjectAltNames: [a], " EP(ISTIO_MODE),
		HOST INSIDE PORT "subjectAltNames: [b], " EP(ISTIO_MODE), CHANGES},
};

static void entries(void)
{
	fields_have_rows(&mt_sec_service_entry, none, entry_rows, MT_ARRAY_LEN(entry_rows));
	fields_begin(workloads_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(entry_rows); i++)
		fields_change(entry_text, &entry_rows[i]);
	fields_end();
}

/* ---- settings of the mesh, and protocols --------------------------------------------------- */

static const char mesh_text[] =
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
	"data: {mesh: \"%s\"}\n";
static const char protocol_text[] =
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"
	"metadata: {name: p}\nspec: {%s}\n";
static const char mine_text[] =
	ISTIO("ServiceEntry", "a") "  hosts: [a.x]\n  addresses: [240.0.0.1]\n"
				   "  resolution: STATIC\n"
				   "  ports: [{number: 1, name: tcp-metaprotocol-mine}]\n"
				   "  endpoints:\n"
				   "  - {address: 198.51.100.1, locality: r/z}\n"
				   "  - {address: 198.51.100.2, locality: s/z}\n";

#define CODEC(x)    "codec: aeraki.meta_protocol.codec." x
#define AGAIN(x)    "defaultHttpRetryPolicy: {attempts: 1" x "}"
#define MESH_SET(x) "localityLbSetting: {distribute: [{from: r, to: {" x "}}]}"

/* The fields of MeshConfig that clusters and listeners are made of. */
static const struct field_row mesh_rows[] = {
	{"connectTimeout", "connectTimeout: 5s", "connectTimeout: 6s", CHANGES},
	{"protocolDetectionTimeout", "protocolDetectionTimeout: 5s", "protocolDetectionTimeout: 6s",
		CHANGES},
	{"protocolDetectionTimeout 0s", "protocolDetectionTimeout: 0s", "connectTimeout: 1s",
		CHANGES},
	{"localityLbSetting", MESH_SET("r: 80, s: 20"), MESH_SET("r: 70, s: 30"), CHANGES},
};

/* The same of routes. */
static const struct field_row mesh_retry_rows[] = {
	{"defaultHttpRetryPolicy", "connectTimeout: 5s", AGAIN(""), CHANGES},
	{"defaultHttpRetryPolicy.attempts", AGAIN(""), "defaultHttpRetryPolicy: {attempts: 2}",
		CHANGES},
	{"defaultHttpRetryPolicy.perTryTimeout", AGAIN(", perTryTimeout: 1s"),
		AGAIN(", perTryTimeout: 2s"), CHANGES},
	{"defaultHttpRetryPolicy.retryOn", AGAIN(", retryOn: reset"), AGAIN(", retryOn: 5xx"),
		CHANGES},
	{"defaultHttpRetryPolicy.backoff", AGAIN(", backoff: 10ms"), AGAIN(", backoff: 20ms"),
		CHANGES},
	{"defaultHttpRetryPolicy.retryIgnorePreviousHosts", AGAIN(""),
		AGAIN(", retryIgnorePreviousHosts: false"), CHANGES},
};

#define ROUTED(retries)                                                                            \
	ISTIO("VirtualService", "v")                                                               \
	"  hosts: [a.x]\n  http: [{route: [{destination: {host: "                                  \
	"a.x}}]" retries "}]\n"

/* The retries of the service's routes, with a policy of the mesh and without. */
static void mesh_retries(void)
{
	static const struct {
		const char *route, *mesh;
		bool same_as_none;
	} rows[] = {
		{"", AGAIN(""), false},
		{ROUTED(""), AGAIN(""), false},
		{"", "defaultHttpRetryPolicy: {attempts: 0}", true},
		/* A route's own precedes it as a whole. */
		{ROUTED(", retries: {attempts: 3}"), AGAIN(", retryOn: reset"), true},
		{ROUTED(", retries: {attempts: 0}"), AGAIN(""), true},
		{ROUTED(", retries: {}"), AGAIN(""), true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[2048], *with, *without;

		snprintf(text, sizeof(text), "%s%s", service_text, rows[i].route);
		fields_begin(text);
		with = fields_words(mesh_text, rows[i].mesh, NULL);
		without = fields_words(mesh_text, "rootNamespace: istio-system", NULL);
		CU_ASSERT_EQUAL(strcmp(with, without) == 0, rows[i].same_as_none);
		free(with);
		free(without);
		fields_end();
	}
}

static const struct field_row protocol_rows[] = {
	{"protocol", "protocol: mine, " CODEC("dubbo"), "protocol: other, " CODEC("dubbo"),
		CHANGES},
	{"codec", "protocol: mine, " CODEC("dubbo"), "protocol: mine, " CODEC("thrift"), CHANGES},
	{"multiplexing", "protocol: mine, multiplexing: true, " CODEC("dubbo"),
		"protocol: mine, multiplexing: false, " CODEC("dubbo"), CHANGES},
};

static void settings(void)
{
	fields_have_rows(&mt_sec_app_protocol, none, protocol_rows, MT_ARRAY_LEN(protocol_rows));
	fields_begin(mine_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(mesh_rows); i++)
		fields_change(mesh_text, &mesh_rows[i]);
	for (size_t i = 0; i < MT_ARRAY_LEN(protocol_rows); i++)
		fields_change(protocol_text, &protocol_rows[i]);
	fields_end();
	fields_begin(service_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(mesh_retry_rows); i++)
		fields_change(mesh_text, &mesh_retry_rows[i]);
	fields_end();
}

/* ---- settings of a port --------------------------------------------------------------------- */

/* What a rule writes for all ports. */
#define POLICY                                                                                     \
	LB("simple: RANDOM")                                                                       \
	", " POOL("tcp", "connectTimeout: 5s") ", " OUT("consecutive5xxErrors: 7") ", " TLS(       \
		"mode: SIMPLE, insecureSkipVerify: true, sni: all.x")
#define SUBSET "  subsets: [{name: v1, labels: {v: one}}]\n"

/* What it writes for port 2. */
static const char *const port_parts[] = {"", LB("simple: ROUND_ROBIN"),
	LB("warmup: {duration: 9s}"), POOL("tcp", "connectTimeout: 6s"),
	POOL("http", "http1MaxPendingRequests: 6"),
	OUT("consecutive5xxErrors: 8, minHealthPercent: 40"),
	TLS("mode: SIMPLE, insecureSkipVerify: true, sni: port.x"), TLS("mode: DISABLE")};

static const char ports_text[] = ISTIO("DestinationRule", "a") "  host: a.x\n"
							       "  trafficPolicy: {%s}\n" SUBSET;

static void compare(const char *policy, const char *same_as, const char *name)
{
	char *got = fields_words(ports_text, policy, name),
	     *want = fields_words(ports_text, same_as, name);

	CU_ASSERT(*got != '\0');
	fields_compare(policy, got, want);
	free(got);
	free(want);
}

/* A rule's settings of a port replace all of its policy for that port, and nothing for others. */
static void ports_replace(void)
{
	fields_begin(service_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(port_parts); i++) {
		char policy[1024];

		snprintf(policy, sizeof(policy),
			POLICY ", portLevelSettings: [{port: {number: 2}%s%s}]",
			*port_parts[i] ? ", " : "", port_parts[i]);
		compare(policy, port_parts[i], "outbound|2||a.x");
		compare(policy, port_parts[i], "outbound|2|v1|a.x");
		compare(policy, POLICY, "outbound|1||a.x");
		compare(policy, POLICY, "outbound|1|v1|a.x");
	}
	fields_end();
}

/* Settings of a port cannot contain a retry budget, so they do not take it away. */
static void ports_keep_the_budget(void)
{
	static const char budget[] = "retryBudget: {percent: 9}, ";
	char policy[1024], same_as[1024];

	fields_begin(service_text);
	for (size_t i = 1; i < MT_ARRAY_LEN(port_parts); i++) {
		snprintf(policy, sizeof(policy),
			"%s" POLICY ", portLevelSettings: [{port: "
			"{number: 2}, %s}]",
			budget, port_parts[i]);
		snprintf(same_as, sizeof(same_as), "%s%s", budget, port_parts[i]);
		compare(policy, same_as, "outbound|2||a.x");
		compare(policy, same_as, "outbound|2|v1|a.x");
	}
	fields_end();
}

const struct mt_test fields_tests[] = {
	{"rules", rules},
	{"entries", entries},
	{"settings", settings},
	{"mesh_retries", mesh_retries},
	{"ports_replace", ports_replace},
	{"ports_keep_the_budget", ports_keep_the_budget},
	{0},
};
