/* SPDX-License-Identifier: Apache-2.0 */
/* Each field that routes and limits are made of, changed alone. */
#include "conf_texts.h"
#include "fields.h"

/* Two services of messages at ports 1 and 3, of bytes at port 5; b.x has subsets. */
#define SERVICE(name, addr, instance)                                                              \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" name ".x]\n  addresses: [" addr "]\n  resolution: STATIC\n  ports:\n"         \
	"  - {number: 1, name: tcp-metaprotocol-dubbo}\n"                                          \
	"  - {number: 3, name: tcp-metaprotocol-dubbo-3}\n  - {number: 5, name: tcp-raw}\n"        \
	"  endpoints:\n  - {address: " instance "1, labels: {v: one}}\n"                           \
	"  - {address: " instance "2, labels: {v: two}}\n"
static const char services_text[] =
	SERVICE("a", "240.0.0.1", "198.51.100.1") SERVICE("b", "240.0.0.2", "198.51.100.2")
		ISTIO("DestinationRule", "b") "  host: b.x\n  subsets:\n"
					      "  - {name: v1, labels: {v: one}}\n"
					      "  - {name: v2, labels: {v: two}}\n";

#define DEST(x)	     "destination: {" x "}"
#define TO(x)	     "route: [{" DEST(x) "}]"
#define SHARED(x, y) "route: [{" DEST("host: a.x") x "}, {" DEST("host: b.x") y "}]"
#define INSIDE(x, y)                                                                               \
	"route: [{" DEST("host: a.x, weight: " x) "}, {" DEST("host: b.x, weight: " y) "}]"

/* ---- MetaRouters ---------------------------------------------------------------------------- */

#define ROUTE(x)   "hosts: [a.x], routes: [{name: r, " x "}]"
#define IF(x)	   ROUTE("match: {attributes: {method: {" x "}}}, " TO("host: b.x"))
#define BESIDE(x)  ROUTE(TO("host: b.x") ", " x)
#define LIMIT(x)   "hosts: [a.x], localRateLimit: {" x "}"
#define BUCKET(x)  "tokenBucket: {" x "}"
#define WHEN(x, y) LIMIT("conditions: [{match: {attributes: {method: {" x "}}}, " BUCKET(y) "}]")
#define GLOBAL(x)  "hosts: [a.x], globalRateLimit: {domain: d, " x "}"
#define BY(x)	   "descriptors: [{" x "}]"
#define BY_METHOD  BY("property: method, descriptorKey: m")
#define AT_A	   "rateLimitService: 'outbound|5||a.x', "
#define TEN	   "maxTokens: 10, tokensPerFill: 10, fillInterval: 60s"

static const char router_text[] =
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: r}\n"
	"spec: {%s}\n";

static const struct field_row router_rows[] = {
	{"hosts", "hosts: [a.x], routes: [{" TO("host: b.x") "}]",
		"hosts: [b.x], routes: [{" TO("host: b.x") "}]", CHANGES},
	{"exportTo", ROUTE(TO("host: b.x")) ", exportTo: ['*']",
		ROUTE(TO("host: b.x")) ", exportTo: ['.']", ELSEWHERE},
	{"routes.name", "hosts: [a.x], routes: [{name: r, " TO("host: b.x") "}]",
		"hosts: [a.x], routes: [{name: s, " TO("host: b.x") "}]", CHANGES},
	{"routes.match.attributes", IF("exact: m"), IF("exact: n"), CHANGES},
	{"routes.match.attributes: its kind", IF("exact: m"), IF("prefix: m"), CHANGES},
	{"routes.match.attributes: ignoreCase", IF("exact: m"), IF("exact: m, ignoreCase: true"),
		CHANGES},
	{"routes.match.attributes: one more", IF("exact: m"), IF("exact: m}, x: {exact: y"),
		CHANGES},
	{"routes.route[].destination.host", ROUTE(TO("host: a.x")), ROUTE(TO("host: b.x")),
		CHANGES},
	{"routes.route[].destination.subset", ROUTE(TO("host: b.x, subset: v1")),
		ROUTE(TO("host: b.x, subset: v2")), CHANGES},
	{"routes.route[].destination.port.number", ROUTE(TO("host: b.x, port: {number: 1}")),
		ROUTE(TO("host: b.x, port: {number: 3}")), CHANGES},
	{"routes.route[].destination.weight", ROUTE(INSIDE("40", "60")), ROUTE(INSIDE("30", "70")),
		CHANGES},
	{"routes.route[].weight", ROUTE(SHARED(", weight: 40", ", weight: 60")),
		ROUTE(SHARED(", weight: 30", ", weight: 70")), CHANGES},
	{"routes.timeout", BESIDE("timeout: 5s"), BESIDE("timeout: 6s"), CHANGES},
	{"routes.mirror.host", BESIDE("mirror: {host: a.x}"), BESIDE("mirror: {host: b.x}"),
		CHANGES},
	{"routes.mirror.subset", BESIDE("mirror: {host: b.x, subset: v1}"),
		BESIDE("mirror: {host: b.x, subset: v2}"), CHANGES},
	{"routes.mirror.port.number", BESIDE("mirror: {host: b.x, port: {number: 1}}"),
		BESIDE("mirror: {host: b.x, port: {number: 3}}"), CHANGES},
	{"routes.mirror.weight", BESIDE("mirror: {host: b.x, weight: 1}"),
		BESIDE("mirror: {host: b.x, weight: 2}"), ELSEWHERE},
	{"routes.mirrorPercentage.value",
		BESIDE("mirror: {host: a.x}, mirrorPercentage: {value: 10}"),
		BESIDE("mirror: {host: a.x}, mirrorPercentage: {value: 20}"), CHANGES},
	{"routes.requestMutation[].key", BESIDE("requestMutation: [{key: k, value: v}]"),
		BESIDE("requestMutation: [{key: l, value: v}]"), CHANGES},
	{"routes.requestMutation[].value", BESIDE("requestMutation: [{key: k, value: v}]"),
		BESIDE("requestMutation: [{key: k, value: w}]"), CHANGES},
	{"routes.responseMutation[].key", BESIDE("responseMutation: [{key: k, value: v}]"),
		BESIDE("responseMutation: [{key: l, value: v}]"), CHANGES},
	{"routes.responseMutation[].value", BESIDE("responseMutation: [{key: k, value: v}]"),
		BESIDE("responseMutation: [{key: k, value: w}]"), CHANGES},
	{"localRateLimit.tokenBucket.maxTokens", LIMIT(BUCKET("maxTokens: 10, fillInterval: 1s")),
		LIMIT(BUCKET("maxTokens: 11, fillInterval: 1s")), REPORTED},
	{"localRateLimit.tokenBucket.tokensPerFill", LIMIT(BUCKET(TEN)),
		LIMIT(BUCKET("maxTokens: 10, tokensPerFill: 5, fillInterval: 60s")), REPORTED},
	{"localRateLimit.tokenBucket.fillInterval",
		LIMIT(BUCKET("maxTokens: 10, fillInterval: 1s")),
		LIMIT(BUCKET("maxTokens: 10, fillInterval: 2s")), REPORTED},
	{"localRateLimit.conditions[].match.attributes", WHEN("exact: m", TEN),
		WHEN("exact: n", TEN), REPORTED},
	{"localRateLimit.conditions[].match.attributes: its kind", WHEN("exact: m", TEN),
		WHEN("prefix: m", TEN), REPORTED},
	{"localRateLimit.conditions[].match.attributes: ignoreCase", WHEN("exact: m", TEN),
		WHEN("exact: m, ignoreCase: true", TEN), REPORTED},
	{"localRateLimit.conditions[].tokenBucket.maxTokens", WHEN("exact: m", TEN),
		WHEN("exact: m", "maxTokens: 11, tokensPerFill: 10, fillInterval: 60s"), REPORTED},
	{"localRateLimit.conditions[].tokenBucket.tokensPerFill", WHEN("exact: m", TEN),
		WHEN("exact: m", "maxTokens: 10, tokensPerFill: 5, fillInterval: 60s"), REPORTED},
	{"localRateLimit.conditions[].tokenBucket.fillInterval", WHEN("exact: m", TEN),
		WHEN("exact: m", "maxTokens: 10, tokensPerFill: 10, fillInterval: 30s"), REPORTED},
	{"globalRateLimit.match.attributes",
		GLOBAL(AT_A BY_METHOD ", match: {attributes: {method: {exact: m}}}"),
		GLOBAL(AT_A BY_METHOD ", match: {attributes: {method: {exact: n}}}"), REPORTED},
	{"globalRateLimit.domain", GLOBAL(AT_A BY_METHOD),
		"hosts: [a.x], globalRateLimit: {domain: e, " AT_A BY_METHOD "}", REPORTED},
	{"globalRateLimit.requestTimeout", GLOBAL(AT_A BY_METHOD),
		GLOBAL(AT_A BY_METHOD ", requestTimeout: 1s"), REPORTED},
	{"globalRateLimit.denyOnFail", GLOBAL(AT_A BY_METHOD),
		GLOBAL(AT_A BY_METHOD ", denyOnFail: true"), REPORTED},
	{"globalRateLimit.rateLimitService", GLOBAL(AT_A BY_METHOD),
		GLOBAL("rateLimitService: 'outbound|5||b.x', " BY_METHOD), REPORTED},
	{"globalRateLimit.descriptors[].property", GLOBAL(AT_A BY_METHOD),
		GLOBAL(AT_A BY("property: user, descriptorKey: m")), REPORTED},
	{"globalRateLimit.descriptors[].descriptorKey", GLOBAL(AT_A BY_METHOD),
		GLOBAL(AT_A BY("property: method, descriptorKey: n")), REPORTED},
};

static void routers(void)
{
	/* Other documents say which gateways there are. */
	static const char *const but[] = {"gateways", NULL};

	fields_have_rows(&mt_sec_meta_router, but, router_rows, MT_ARRAY_LEN(router_rows));
	fields_begin(services_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(router_rows); i++)
		fields_change(router_text, &router_rows[i]);
	fields_end();
}

/* ---- VirtualServices ------------------------------------------------------------------------ */

#define HTTP(x)	 "hosts: [a.x], http: [{name: r, " x "}]"
#define MATCH(x) HTTP("match: [{" x "}], " TO("host: b.x"))
#define AND(x)	 HTTP(TO("host: b.x") ", " x)
#define RETRY(x) AND("retries: {attempts: 2" x "}")
#define RAW(x)	 "hosts: [a.x], tcp: [{match: [{port: 5}], " x "}]"
#define TO5(x)	 "{" DEST("host: b.x, port: {number: 5}, subset: v" x)

static const char virtual_text[] =
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
	"spec: {%s}\n";

static const struct field_row virtual_rows[] = {
	{"hosts", "hosts: [a.x], http: [{" TO("host: b.x") "}]",
		"hosts: [b.x], http: [{" TO("host: b.x") "}]", CHANGES},
	{"exportTo", HTTP(TO("host: b.x")) ", exportTo: ['*']",
		HTTP(TO("host: b.x")) ", exportTo: ['.']", ELSEWHERE},
	{"http.name", "hosts: [a.x], http: [{name: r, " TO("host: b.x") "}]",
		"hosts: [a.x], http: [{name: s, " TO("host: b.x") "}]", CHANGES},
	{"http.match.name", MATCH("name: x, port: 1"), MATCH("name: y, port: 1"), ELSEWHERE},
	{"http.match.headers", MATCH("headers: {k: {exact: m}}"), MATCH("headers: {k: {exact: n}}"),
		CHANGES},
	{"http.match.headers: the key", MATCH("headers: {k: {exact: m}}"),
		MATCH("headers: {l: {exact: m}}"), CHANGES},
	{"http.match.headers: presence", MATCH("headers: {k: {exact: m}}"),
		MATCH("headers: {k: {}}"), CHANGES},
	{"http.match.attributes", MATCH("attributes: {k: {exact: m}}"),
		MATCH("attributes: {k: {exact: n}}"), CHANGES},
	{"http.match.withoutHeaders", MATCH("withoutHeaders: {k: {exact: m}}"),
		MATCH("withoutHeaders: {k: {exact: n}}"), CHANGES},
	{"http.match: headers or withoutHeaders", MATCH("headers: {k: {exact: m}}"),
		MATCH("withoutHeaders: {k: {exact: m}}"), CHANGES},
	{"http.match.method", MATCH("method: {exact: m}"), MATCH("method: {exact: n}"), CHANGES},
	{"http.match.port", MATCH("port: 1"), MATCH("port: 3"), CHANGES},
	{"http.match.sourceLabels", MATCH("sourceLabels: {app: x}"),
		MATCH("sourceLabels: {app: y}"), ELSEWHERE},
	{"http.match.sourceNamespace", MATCH("sourceNamespace: x"), MATCH("sourceNamespace: y"),
		ELSEWHERE},
	{"http.route[].destination.host", HTTP(TO("host: a.x")), HTTP(TO("host: b.x")), CHANGES},
	{"http.route[].destination.subset", HTTP(TO("host: b.x, subset: v1")),
		HTTP(TO("host: b.x, subset: v2")), CHANGES},
	{"http.route[].destination.port.number", HTTP(TO("host: b.x, port: {number: 1}")),
		HTTP(TO("host: b.x, port: {number: 3}")), CHANGES},
	{"http.route[].destination.weight", HTTP(INSIDE("4", "6")), HTTP(INSIDE("3", "7")),
		CHANGES},
	{"http.route[].weight", HTTP(SHARED(", weight: 4", ", weight: 6")),
		HTTP(SHARED(", weight: 3", ", weight: 7")), CHANGES},
	{"http.timeout", AND("timeout: 5s"), AND("timeout: 6s"), CHANGES},
	{"http.retries.attempts", RETRY(""), AND("retries: {attempts: 3}"), CHANGES},
	{"http.retries.attempts: 0", RETRY(""), AND("retries: {attempts: 0}"), CHANGES},
	{"http.retries.perTryTimeout", RETRY(", perTryTimeout: 1s"), RETRY(", perTryTimeout: 2s"),
		CHANGES},
	{"http.retries.perTryTimeout: without a reason to retry",
		RETRY(", retryOn: '409', perTryTimeout: 1s"),
		RETRY(", retryOn: '409', perTryTimeout: 2s"), CHANGES},
	{"http.retries.retryOn", RETRY(", retryOn: reset"), RETRY(", retryOn: 5xx"), CHANGES},
	{"http.retries.backoff", RETRY(", backoff: 10ms"), RETRY(", backoff: 20ms"), CHANGES},
	{"http.retries.retryIgnorePreviousHosts", RETRY(", retryIgnorePreviousHosts: true"),
		RETRY(", retryIgnorePreviousHosts: false"), CHANGES},
	{"http.headers", AND("headers: {request: {set: {k: v}}}"),
		AND("headers: {request: {set: {k: w}}}"), CHANGES},
	{"http.headers: of the response", AND("headers: {response: {set: {k: v}}}"),
		AND("headers: {response: {set: {k: w}}}"), CHANGES},
	{"http.mirror.host", AND("mirror: {host: a.x}"), AND("mirror: {host: b.x}"), CHANGES},
	{"http.mirror.subset", AND("mirror: {host: b.x, subset: v1}"),
		AND("mirror: {host: b.x, subset: v2}"), CHANGES},
	{"http.mirror.port.number", AND("mirror: {host: b.x, port: {number: 1}}"),
		AND("mirror: {host: b.x, port: {number: 3}}"), CHANGES},
	{"http.mirror.weight", AND("mirror: {host: b.x, weight: 1}"),
		AND("mirror: {host: b.x, weight: 2}"), ELSEWHERE},
	{"http.mirrorPercentage.value", AND("mirror: {host: a.x}, mirrorPercentage: {value: 10}"),
		AND("mirror: {host: a.x}, mirrorPercentage: {value: 20}"), CHANGES},
	{"http.mirrorPercent", AND("mirror: {host: a.x}, mirrorPercent: 10"),
		AND("mirror: {host: a.x}, mirrorPercent: 20"), CHANGES},
	{"http.mirrors[].destination.host", AND("mirrors: [{" DEST("host: a.x") "}]"),
		AND("mirrors: [{" DEST("host: b.x") "}]"), CHANGES},
	{"http.mirrors[].destination.subset", AND("mirrors: [{" DEST("host: b.x, subset: v1") "}]"),
		AND("mirrors: [{" DEST("host: b.x, subset: v2") "}]"), CHANGES},
	{"http.mirrors[].destination.port.number",
		AND("mirrors: [{" DEST("host: b.x, port: {number: 1}") "}]"),
		AND("mirrors: [{" DEST("host: b.x, port: {number: 3}") "}]"), CHANGES},
	{"http.mirrors[].destination.weight", AND("mirrors: [{" DEST("host: b.x, weight: 1") "}]"),
		AND("mirrors: [{" DEST("host: b.x, weight: 2") "}]"), ELSEWHERE},
	{"http.mirrors[].percentage.value",
		AND("mirrors: [{" DEST("host: a.x") ", percentage: {value: 10}}]"),
		AND("mirrors: [{" DEST("host: a.x") ", percentage: {value: 20}}]"), CHANGES},
	{"tcp", RAW("route: [" TO5("1") "}]"), RAW("route: [" TO5("2") "}]"), CHANGES},
	{"tcp: weights", RAW("route: [" TO5("1") ", weight: 4}, " TO5("2") ", weight: 6}]"),
		RAW("route: [" TO5("1") ", weight: 3}, " TO5("2") ", weight: 7}]"), CHANGES},
};

static void virtual_services(void)
{
	/* Other documents say which gateways there are; `tls` has no messages; lib/objects delegates. */
	static const char *const but[] = {"gateways", "tls", "delegate", NULL};

	fields_have_rows(&mt_sec_virtual_service, but, virtual_rows, MT_ARRAY_LEN(virtual_rows));
	fields_begin(services_text);
	for (size_t i = 0; i < MT_ARRAY_LEN(virtual_rows); i++)
		fields_change(virtual_text, &virtual_rows[i]);
	fields_end();
}

const struct mt_test fields_route_tests[] = {
	{"routers", routers},
	{"virtual_services", virtual_services},
	{0},
};
