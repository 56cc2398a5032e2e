/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telemetry of the mesh, of a namespace and of a workload together: the situations of istiod's own
 * tests of merging, and what istiod gives an outbound sidecar in namespace x by them. Service a is
 * in x, service b in another namespace. Where Meltemi differs, the row says so.
 */
#include "telemetry_scene.h"

#include "mt_call_tracing.h"
#include "mt_istio_metrics.h"

#include <string.h>

#define SERVICE(name, ns, address)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns "}\nspec:\n"                                   \
	"  hosts: [" name ".test]\n  addresses: [" address "]\n  resolution: STATIC\n"             \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"                                   \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define MESH(defaults)                                                                             \
	TELEMETRY_NODE("")                                                                         \
	SERVICE("a", "x", "192.0.2.1")                                                             \
	SERVICE("b", "y", "192.0.2.2")                                                             \
	"---\napiVersion: v1\nkind: ConfigMap\n"                                                   \
	"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n"                     \
	"    accessLogFile: /dev/stderr\n" defaults "    extensionProviders:\n"                    \
	"    - {name: envoy-json, envoyFileAccessLog: {path: /var/log/meltemi/json.log}}\n"        \
	"    - {name: stackdriver, stackdriver: {maxNumberOfAnnotations: 9}}\n"                    \
	"    - {name: one, opentelemetry: {service: one.example, port: 4317}}\n"                   \
	"    - {name: two, opentelemetry: {service: two.example, port: 4317}}\n"
#define NONE		MESH("")
#define LOGS_BY(name)	MESH("    defaultProviders: {accessLogging: [" name "]}\n")
#define TRACES_BY(name) MESH("    defaultProviders: {tracing: [" name "]}\n")
#define COUNTED		MESH("    defaultProviders: {metrics: [prometheus]}\n")

#define TELEMETRY(name, ns, spec)                                                                  \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: {" spec "}\n"
#define ROOT(spec)     TELEMETRY("default", "istio-system", spec)
#define X(spec)	       TELEMETRY("default", "x", spec)
#define WORKLOAD(spec) TELEMETRY("web", "x", "selector: {matchLabels: {app: edge}}, " spec)

#define BY(name)   "providers: [{name: " name "}]"
#define MODE(mode) "match: {mode: " mode "}, "

static void is(const char *what, const char *got, const char *want)
{
	CU_ASSERT_STRING_EQUAL(got, want);
	if (strcmp(got, want) != 0)
		printf("\n  %s: \"%s\", not \"%s\"", what, got, want);
}

/* ---- logs ------------------------------------------------------------------------------------ */

#define LOGS(sections) "accessLogging: [" sections "]"
#define ENVOY	       "{" BY("envoy") "}"
#define JSON	       "{" BY("envoy-json") "}"
#define CLIENT	       LOGS("{" MODE("CLIENT") BY("envoy") "}")
#define SERVER	       LOGS("{" MODE("SERVER") BY("envoy") "}")
#define OFF	       ", disabled: true"
#define IF(code)       "filter: {expression: response.code >= " code "}"
#define JSON_IF(code)  "{" BY("envoy-json") ", " IF(code) "}"
#define METRICS_BY     "metrics: [{" BY("envoy") "}]"

/* e: accessLogFile, o: provider envoy, j: provider envoy-json; with the filter in brackets. */
static const struct {
	const char *name, *text, *a, *b;
} logs[] = {
	{"no Telemetry", NONE, "e", "e"},
	{"metrics of the mesh", NONE ROOT(METRICS_BY), "e", "e"},
	{"metrics of the namespace", NONE X(METRICS_BY), "e", "e"},
	{"metrics of the workload", NONE WORKLOAD(METRICS_BY), "e", "e"},
	{"default provider", LOGS_BY("envoy"), "o", "o"},
	{"provider of the mesh", NONE ROOT(LOGS(ENVOY)), "o", "o"},
	{"calls of clients", NONE ROOT(CLIENT), "o", "o"},
	{"off for servers only", NONE ROOT(CLIENT) X(LOGS("{" MODE("SERVER") BY("envoy") OFF "}")),
		"o", "o"},
	{"off for clients", NONE ROOT(CLIENT) X(LOGS("{" MODE("CLIENT") BY("envoy") OFF "}")), "",
		"o"},
	{"off for clients, on for the workload",
		NONE ROOT(CLIENT) X(LOGS("{" MODE("CLIENT") BY("envoy") OFF "}")) WORKLOAD(CLIENT),
		"o", "o"},
	/* istiod turns accessLogFile off by a section that is not about clients. */
	{"calls of servers", NONE ROOT(SERVER), "e", "e"},
	{"calls of both", NONE ROOT(LOGS("{" MODE("CLIENT_AND_SERVER") BY("envoy") "}")), "o", "o"},
	{"another than the default", LOGS_BY("stackdriver") ROOT(LOGS(ENVOY)), "o", "o"},
	{"another in the namespace", NONE ROOT(LOGS(ENVOY)) X(LOGS(JSON)), "j", "o"},
	{"an empty section", NONE ROOT(LOGS(ENVOY)) X(LOGS("{}")), "o", "o"},
	{"a provider without lines", NONE ROOT(LOGS(ENVOY)) X(LOGS("{" BY("stackdriver") "}")), "",
		"o"},
	{"JSON of the mesh", NONE ROOT(LOGS(JSON)), "j", "j"},
	{"off in the namespace", NONE ROOT(LOGS(ENVOY)) X(LOGS("{disabled: true}")), "", "o"},
	{"the default is off", LOGS_BY("envoy") X(LOGS("{disabled: true}")), "", "o"},
	{"a provider that does not exist", LOGS_BY("envoy") X(LOGS("{" BY("custom") "}")), "", "o"},
	{"two sections about one provider",
		NONE ROOT(LOGS("{" MODE("SERVER") BY("envoy") "}, {" MODE("CLIENT_AND_SERVER")
				BY("envoy") "}")),
		"o", "o"},
	{"the later one is off",
		NONE ROOT(LOGS("{" MODE("SERVER") BY("envoy") "}, {" MODE("CLIENT_AND_SERVER")
				BY("envoy") OFF "}")),
		"", ""},
	{"two providers", NONE ROOT(LOGS(ENVOY)) X(LOGS(ENVOY ", " JSON)), "oj", "o"},
	{"one of two is off", NONE ROOT(LOGS(ENVOY)) X(LOGS(ENVOY ", {" BY("envoy-json") OFF "}")),
		"o", "o"},
	{"two in a section, one again",
		NONE ROOT(LOGS(ENVOY))
			X(LOGS("{providers: [{name: envoy}, {name: envoy-json}]}, " ENVOY)),
		"oj", "o"},
	{"one for servers, one for clients",
		NONE ROOT(LOGS(
			"{" MODE("SERVER") BY("envoy") "}, {" MODE("CLIENT") BY("envoy-json") "}")),
		"j", "j"},
	{"a filter", LOGS_BY("envoy") X(LOGS(JSON_IF("400"))), "j[response.code >= 400]", "o"},
	{"another filter in the namespace",
		LOGS_BY("envoy") ROOT(LOGS(JSON_IF("400"))) X(LOGS(JSON_IF("500"))),
		"j[response.code >= 500]", "j[response.code >= 400]"},
	{"two filters", LOGS_BY("envoy") X(LOGS(JSON_IF("500") ", " JSON_IF("400"))),
		"j[response.code >= 400]", "o"},
	{"a filter, then none", LOGS_BY("envoy") X(LOGS(JSON_IF("500") ", " JSON)), "j", "o"},
};

static char letter(const struct mt_access_output *o)
{
	return o->place.path ? o->place.path[0] : o->place.fd == 1 ? 'o' : 'e';
}

/* Outputs of a service's calls, in the order "eoj". */
static const char *logs_of(const struct mt_snapshot *s, const char *name)
{
	const struct mt_alog_scope *scope = service(s, name)->log_scope;
	static char text[256];
	size_t n = 0;

	text[0] = '\0';
	for (const char *c = "eoj"; *c; c++)
		for (uint32_t i = 0; s->log && i < s->log->n_outputs; i++) {
			const struct mt_access_output *o = &s->log->outputs[i];

			if (letter(o) != *c || !telemetry_gets(o, scope))
				continue;
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%c", *c);
			if (o->filter)
				n += (size_t)snprintf(
					text + n, sizeof(text) - n, "[%s]", o->filter);
		}
	return text;
}

static void test_logs(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(logs); i++) {
		struct built b = telemetry_built(new_conf(), logs[i].text);

		is(logs[i].name, logs_of(b.s, "a.test"), logs[i].a);
		is(logs[i].name, logs_of(b.s, "b.test"), logs[i].b);
		unbuild(&b);
	}
}

/* ---- tracing --------------------------------------------------------------------------------- */

#define TRACES(sections) "tracing: [" sections "]"
#define ONE		 TRACES("{" BY("one") "}")
#define TWO		 TRACES("{" BY("two") "}")
#define SAMPLED(percent) "randomSamplingPercentage: " percent

/* The provider ("-": no spans are sent) and the share of calls in percent. */
static const struct {
	const char *name, *text, *a, *b;
} traces[] = {
	{"no Telemetry", NONE, "off", "off"},
	{"default provider", TRACES_BY("one"), "one 1", "one 1"},
	{"provider of the mesh", NONE ROOT(ONE), "one 1", "one 1"},
	{"another than the default", TRACES_BY("two") ROOT(ONE), "one 1", "one 1"},
	{"another in the namespace", NONE ROOT(ONE) X(TWO), "two 1", "one 1"},
	{"an empty section", NONE ROOT(ONE) X(TRACES("{}")), "one 1", "one 1"},
	{"no spans in the namespace", NONE ROOT(ONE) X(TRACES("{disableSpanReporting: true}")),
		"- 1", "one 1"},
	{"no spans by default", TRACES_BY("one") X(TRACES("{disableSpanReporting: true}")), "- 1",
		"one 1"},
	{"a provider that does not exist", TRACES_BY("one") X(TRACES("{" BY("custom") "}")), "off",
		"one 1"},
	{"a share", TRACES_BY("one") ROOT(TRACES("{" SAMPLED("50.0") "}")), "one 50", "one 50"},
	{"no share", TRACES_BY("one") ROOT(TRACES("{useRequestIdForTraceSampling: false}")),
		"one 1", "one 1"},
	{"another share in the namespace",
		TRACES_BY("one") ROOT(TRACES("{" SAMPLED("50.0") "}"))
			X(TRACES("{" SAMPLED("80.0") "}")),
		"one 80", "one 50"},
	{"other settings for clients",
		TRACES_BY("one") ROOT(ONE)
			X(TRACES("{" MODE("CLIENT") BY("two") ", " SAMPLED("99.9") "}")),
		"two 99.9", "one 1"},
	{"other settings for servers",
		TRACES_BY("one") ROOT(ONE)
			X(TRACES("{" MODE("SERVER") "disableSpanReporting: true}")),
		"one 1", "one 1"},
};

static const char *traces_of(const struct mt_snapshot *s, const char *name)
{
	const struct mt_call_tracing *t = service(s, name)->tracing;
	static char text[64];

	if (!t)
		return "off";
	snprintf(text, sizeof(text), "%s %g", telemetry_spans(s, t->key),
		(double)t->rule.threshold * 100 / (double)MT_TRACING_ALWAYS);
	return text;
}

static void test_traces(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(traces); i++) {
		struct built b = telemetry_built(new_conf(), traces[i].text);

		is(traces[i].name, traces_of(b.s, "a.test"), traces[i].a);
		is(traces[i].name, traces_of(b.s, "b.test"), traces[i].b);
		unbuild(&b);
	}
}

/* ---- metrics --------------------------------------------------------------------------------- */

#define METRICS(overrides) "metrics: [{" BY("prometheus") ", overrides: [" overrides "]}]"
#define EVERY(more)	   "{match: {metric: ALL_METRICS" more "}, disabled: true}"
#define REMOVE                                                                                     \
	"{match: {metric: REQUEST_COUNT, mode: CLIENT}, tagOverrides: "                            \
	"{destination_canonical_service: {operation: REMOVE}}}"
#define ALL  ((1u << MT_ISTIO_METRICS * MT_ISTIO_REPORTERS) - 1)
#define EACH (ALL / 3) /* a bit of each metric */

/* Metrics that the services do not have. */
static const struct {
	const char *name, *text;
	uint32_t a, b;
} metrics[] = {
	{"no Telemetry", NONE, 0, 0},
	{"default provider", COUNTED, 0, 0},
	{"Prometheus by a section", NONE ROOT("metrics: [{" BY("prometheus") "}]"), 0, 0},
	{"all are off", COUNTED ROOT(METRICS(EVERY(", mode: CLIENT_AND_SERVER"))), ALL, ALL},
	{"all are off without a mode", COUNTED ROOT(METRICS(EVERY(""))), ALL, ALL},
	{"all are off without a match", NONE ROOT(METRICS("{disabled: true}")), ALL, ALL},
	{"those of servers are off", COUNTED ROOT(METRICS(EVERY(", mode: SERVER"))),
		EACH << MT_ISTIO_DESTINATION, EACH << MT_ISTIO_DESTINATION},
	{"those of clients are off", COUNTED ROOT(METRICS(EVERY(", mode: CLIENT"))),
		EACH << MT_ISTIO_SOURCE, EACH << MT_ISTIO_SOURCE},
	{"those of servers are off, a tag of clients",
		COUNTED ROOT(METRICS(EVERY(", mode: SERVER") ", " REMOVE)),
		EACH << MT_ISTIO_DESTINATION, EACH << MT_ISTIO_DESTINATION},
	{"off, then Prometheus again",
		NONE ROOT(METRICS(EVERY(""))) X("metrics: [{" BY("prometheus") "}]"), ALL, ALL},
	/* istiod turns all on by any later override without `disabled`, also in these two. */
	{"off, then all without a change",
		NONE ROOT(METRICS(EVERY(""))) X(METRICS("{match: {metric: ALL_METRICS}}")), ALL,
		ALL},
	{"off, then a tag", NONE ROOT(METRICS(EVERY(""))) X(METRICS(REMOVE)), ALL, ALL},
	{"off, then on in the namespace",
		NONE ROOT(METRICS(EVERY("")))
			X(METRICS("{match: {metric: ALL_METRICS}, disabled: false}")),
		0, ALL},
};

static void test_metrics(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(metrics); i++) {
		struct built b = telemetry_built(new_conf(), metrics[i].text);
		uint32_t got[] = {
			service(b.s, "a.test")->metrics_off, service(b.s, "b.test")->metrics_off};

		CU_ASSERT_EQUAL(got[0], metrics[i].a);
		CU_ASSERT_EQUAL(got[1], metrics[i].b);
		if (got[0] != metrics[i].a || got[1] != metrics[i].b)
			printf("\n  %s: %x %x", metrics[i].name, got[0], got[1]);
		unbuild(&b);
	}
}

/* ---- labels of metrics ----------------------------------------------------------------------- */

#define LABELS(match, tags) "{match: {" match "}, tagOverrides: {" tags "}}"
#define ADD		    "add: {value: \"'bar'\"}"
#define TAKE		    "remove: {operation: REMOVE}"

/* Changes of labels of the services, with the bits of their metrics. */
static const struct {
	const char *name, *text, *a, *b;
} labels[] = {
	{"none", COUNTED ROOT(METRICS("{match: {metric: REQUEST_COUNT}}")), "", ""},
	{"one metric of clients",
		COUNTED ROOT(METRICS(LABELS("metric: REQUEST_COUNT, mode: CLIENT", TAKE ", " ADD))),
		"remove- 1, add='bar' 1, ", "remove- 1, add='bar' 1, "},
	{"one metric of both",
		COUNTED ROOT(METRICS(LABELS("metric: REQUEST_SIZE", "add: {operation: UPSERT, "
								    "value: \"'bar'\"}"))),
		"add='bar' 30, ", "add='bar' 30, "},
	{"all metrics", COUNTED ROOT(METRICS(LABELS("metric: ALL_METRICS", TAKE))),
		"remove- ffff, ", "remove- ffff, "},
	{"all metrics without a match", NONE ROOT(METRICS("{tagOverrides: {" TAKE "}}")),
		"remove- ffff, ", "remove- ffff, "},
	{"all metrics of servers", NONE ROOT(METRICS(LABELS("mode: SERVER", TAKE))),
		"remove- aaaa, ", "remove- aaaa, "},
	{"changes of two levels add up",
		COUNTED ROOT(METRICS(LABELS("", TAKE))) X(METRICS(LABELS("", ADD))),
		"remove- ffff, add='bar' ffff, ", "remove- ffff, "},
	{"the namespace decides about a label",
		COUNTED ROOT(METRICS(LABELS("", TAKE)))
			X(METRICS(LABELS("", "remove: {value: \"'kept'\"}"))),
		"remove='kept' ffff, ", "remove- ffff, "},
	{"the namespace decides about one metric",
		COUNTED ROOT(METRICS(LABELS("", TAKE))) X(METRICS(LABELS(
			"metric: REQUEST_COUNT, mode: SERVER", "remove: {value: \"'kept'\"}"))),
		"remove- fffd, remove='kept' 2, ", "remove- ffff, "},
	{"the workload decides about all",
		COUNTED X(METRICS(LABELS("", ADD)))
			WORKLOAD(METRICS(LABELS("", "add: {operation: REMOVE}"))),
		"add- ffff, ", ""},
	{"the last override decides",
		COUNTED ROOT(METRICS(LABELS("mode: CLIENT", ADD) ", " LABELS("", TAKE) ", " LABELS(
			"mode: CLIENT", "add: {value: \"'foo'\"}"))),
		"remove- ffff, add='foo' 5555, ", "remove- ffff, add='foo' 5555, "},
	{"the same in two modes",
		COUNTED ROOT(METRICS(LABELS("mode: CLIENT", ADD) ", " LABELS("mode: SERVER", ADD))),
		"add='bar' ffff, ", "add='bar' ffff, "},
	{"another provider",
		COUNTED ROOT("metrics: [{" BY("stackdriver") ", overrides: [" LABELS(
			"", TAKE) "]}, {overrides: [" LABELS("", ADD) "]}]"),
		"", ""},
	{"a custom metric", COUNTED ROOT(METRICS(LABELS("customMetric: m", TAKE))), "", ""},
	{"a metric of gRPC", COUNTED ROOT(METRICS(LABELS("metric: GRPC_REQUEST_MESSAGES", TAKE))),
		"", ""},
	{"beside `disabled`",
		COUNTED ROOT(
			METRICS("{disabled: true, tagOverrides: {" TAKE "}}, " LABELS("", ADD))),
		"remove- ffff, add='bar' ffff, ", "remove- ffff, add='bar' ffff, "},
	/* In istiod's tests values are of this kind, which Istio's proxies do not check. */
	{"a value that is not known",
		COUNTED ROOT(METRICS(LABELS("", ADD)))
			X(METRICS(LABELS("", "add: {value: bar}, more: {value: request.host}"))),
		"add='bar' ffff, ", "add='bar' ffff, "},
	{"labels of workloads",
		NONE X(METRICS(LABELS("", "v: {value: filter_state.upstream_peer.version}"))),
		"v=filter_state.upstream_peer.version ffff, ", ""},
};

static void write_labels(const struct mt_service *s, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (uint32_t i = 0; s->metric_tags && i < s->metric_tags->n; i++) {
		const struct mt_metric_tag *t = &s->metric_tags->v[i];

		n += (size_t)snprintf(to + n, size - n, "%s%s%s %x, ", t->name,
			t->value ? "=" : "-", t->value ? t->value : "", t->bits);
	}
}

static void test_labels(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(labels); i++) {
		struct built b = telemetry_built(new_conf(), labels[i].text);
		char a[256], of_b[256];

		write_labels(service(b.s, "a.test"), a, sizeof(a));
		write_labels(service(b.s, "b.test"), of_b, sizeof(of_b));
		is(labels[i].name, a, labels[i].a);
		is(labels[i].name, of_b, labels[i].b);
		CU_ASSERT_EQUAL(b.diags.warnings, strstr(labels[i].name, "not known") ? 2 : 0);
		unbuild(&b);
	}
}

/* Services have at most MT_METRIC_TAGS changes; the message names the first that is left out. */
static void test_many_labels(void)
{
	char tags[2][1024], text[8192];
	struct built b;

	for (uint32_t i = 0, n = 0; i < MT_METRIC_TAGS; i++)
		n += (uint32_t)snprintf(
			tags[0] + n, sizeof(tags[0]) - n, "a%u: {operation: REMOVE}, ", i);
	snprintf(tags[1], sizeof(tags[1]), "a7: {value: \"'x'\"}, b1: {operation: REMOVE}");
	snprintf(text, sizeof(text),
		NONE ROOT(METRICS("{tagOverrides: {%s}}")) X(METRICS("{tagOverrides: {%s}}")),
		tags[0], tags[1]);
	b = telemetry_built(new_conf(), text);
	CU_ASSERT_EQUAL(service(b.s, "a.test")->metric_tags->n, MT_METRIC_TAGS);
	CU_ASSERT_EQUAL(service(b.s, "b.test")->metric_tags->n, MT_METRIC_TAGS);
	CU_ASSERT_NOT_EQUAL(
		service(b.s, "a.test")->metric_tags->id, service(b.s, "b.test")->metric_tags->id);
	CU_ASSERT_EQUAL(b.diags.warnings, 1);
	unbuild(&b);
}

/* A service that is shared by snapshots follows a change of a label. */
static void test_changed_label(void)
{
	static const struct {
		const char *text, *a;
	} steps[] = {
		{NONE X(METRICS(LABELS("", ADD))), "add='bar' ffff, "},
		{NONE X(METRICS(LABELS("", ADD))), "add='bar' ffff, "},
		{NONE X(METRICS(LABELS("", "add: {value: \"'foo'\"}"))), "add='foo' ffff, "},
		{NONE X(METRICS(LABELS("mode: CLIENT", "add: {value: \"'foo'\"}"))),
			"add='foo' 5555, "},
		{NONE X(METRICS(LABELS("mode: CLIENT", "add: {operation: REMOVE}"))),
			"add- 5555, "},
		{NONE, ""},
	};
	struct mt_conf *c = new_conf();
	struct mt_err e;
	char got[256];

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct built b = telemetry_built(c, steps[i].text);

		write_labels(service(b.s, "a.test"), got, sizeof(got));
		is(steps[i].text, got, steps[i].a);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(c);
}

const struct mt_test telemetry_istio_tests[] = {{"logs as istiod merges them", test_logs},
	{"tracing as istiod merges it", test_traces},
	{"metrics as istiod merges them", test_metrics},
	{"labels as istiod merges them", test_labels}, {"many labels", test_many_labels},
	{"a changed label", test_changed_label}, {0}};
