/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing of calls: Telemetry as istiod merges it, providers of spans, and what cannot be used. */
#include "conf_test.h"

#include "mt_alog.h"
#include "mt_call_tracing.h"
#include "mt_idmap.h"
#include "mt_tracing_export.h"

#include <string.h>

#define NODE(more)                                                                                 \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {app: edge}}\n"        \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n" more
#define SERVICE(name, ns, address)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns "}\nspec:\n"                                   \
	"  hosts: [" name ".test]\n  addresses: [" address "]\n  resolution: STATIC\n"             \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}, {number: 2, name: tcp}]\n"           \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define SERVICES SERVICE("a", "x", "192.0.2.1") SERVICE("b", "y", "192.0.2.2")
#define MESH(defaults)                                                                             \
	"---\napiVersion: v1\nkind: ConfigMap\n"                                                   \
	"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n" defaults            \
	"    extensionProviders:\n"                                                                \
	"    - {name: One, opentelemetry: {service: one.example, port: 4317}}\n"                   \
	"    - {name: two, opentelemetry: {service: two.example, port: 4317, maxTagLength: 9}}\n"  \
	"    - {name: web, opentelemetry: {service: one.example, port: 1, http: "                  \
	"{path: /v1/traces, headers: [{name: X-A, value: b c}, {name: x-d}]}}}\n"                  \
	"    - {name: zip, zipkin: {service: n/two.example, port: 9411, maxTagLength: 7, "         \
	"headers: [{name: t, value: u}]}}\n"                                                       \
	"    - {name: zip8, zipkin: {service: one.example, port: 2, enable64bitTraceId: true, "    \
	"path: /spans, traceContextOption: USE_B3_WITH_W3C_PROPAGATION}}\n"                        \
	"    - {name: sky, skywalking: {service: a.b, port: 1}}\n"                                 \
	"    - {name: gone, opentelemetry: {service: x/a.test, port: 1}}\n"
#define OLD(address, more)                                                                         \
	"    defaultConfig: {tracing: {zipkin: {address: \"" address "\"}, " more "}}\n"
#define DEFAULT MESH("    defaultProviders: {tracing: [one]}\n")
#define TRACES(name, ns, traces)                                                                   \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: {tracing: [" traces "]}\n"
#define ROOT(traces) TRACES("mesh", "istio-system", traces)
#define X(traces)    TRACES("x", "x", traces)
#define USE(name)    "providers: [{name: " name "}]"
#define ALL	     "randomSamplingPercentage: 100"

static struct built compiled(struct mt_conf *conf, const char *text)
{
	struct built b = {.conf = conf, .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	if (b.diags.errors)
		show_diags(&b);
	CU_ASSERT_EQUAL_FATAL(b.diags.errors, 0);
	b.m->mesh.config = b.m->mesh_configs.n ? b.m->mesh_configs.v[0] : NULL;
	if (b.m->node && b.m->node->mesh)
		b.m->mesh.ns = b.m->node->mesh->ns.s;
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static const char *provider_of(const struct mt_snapshot *s, uint64_t key)
{
	for (uint32_t i = 0; key && s->log && i < s->log->n_outputs; i++)
		if (s->log->outputs[i].key == key) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(s->log->outputs[i].collector);
			CU_ASSERT_FALSE(s->log->outputs[i].general || s->log->outputs[i].unserved);
			return s->log->outputs[i].collector->name;
		}
	return "-";
}

/* "PROVIDER PERCENT FORMATS", " short" with short trace ids; "off". */
static const char *written(const struct mt_snapshot *s, const char *name)
{
	const struct mt_call_tracing *t = service(s, name)->tracing;
	static char text[64];

	if (!t)
		return "off";
	CU_ASSERT_TRUE(t->attempts);
	CU_ASSERT_TRUE(t->lengths != 0);
	snprintf(text, sizeof(text), "%s %g %u%s", provider_of(s, t->key),
		(double)t->rule.threshold * 100 / (double)MT_TRACING_ALWAYS, t->rule.write,
		t->rule.trace_len == MT_TRACE_ID ? "" : " short");
	return text;
}

static const struct {
	const char *text, *a, *b;
} rows[] = {
	{NODE("") SERVICES, "off", "off"},
	{NODE("") SERVICES MESH(""), "off", "off"},
	{NODE("") SERVICES DEFAULT, "One 1 1", "One 1 1"},
	{NODE("") SERVICES DEFAULT ROOT("{" ALL "}"), "One 100 1", "One 100 1"},
	{NODE("") SERVICES MESH("") ROOT("{" USE("ONE") ", " ALL "}"), "One 100 1", "One 100 1"},
	{NODE("") SERVICES DEFAULT ROOT("{randomSamplingPercentage: 0.5}"), "One 0.5 1",
		"One 0.5 1"},
	{NODE("") SERVICES DEFAULT ROOT("{randomSamplingPercentage: 0}"), "One 0 1", "One 0 1"},
	/* Each field is of the nearest object that sets it. */
	{NODE("") SERVICES DEFAULT ROOT("{" ALL "}") X("{" USE("two") "}"), "two 100 1",
		"One 100 1"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE("two") ", " ALL "}")
			X("{randomSamplingPercentage: 50}"),
		"two 50 1", "two 100 1"},
	{NODE("") SERVICES DEFAULT ROOT("{disableSpanReporting: true}")
			X("{disableSpanReporting: false}"),
		"One 1 1", "- 1 1"},
	{NODE("") SERVICES DEFAULT ROOT("{disableContextPropagation: true}"), "One 1 0", "One 1 0"},
	/* Of one object the last section; only the first provider counts. */
	{NODE("") SERVICES DEFAULT X("{" ALL "}, {randomSamplingPercentage: 25}"), "One 25 1",
		"One 1 1"},
	{NODE("") SERVICES DEFAULT X("{providers: [{name: two}, {name: one}]}"), "two 1 1",
		"One 1 1"},
	/* All calls are those of clients. */
	{NODE("") SERVICES DEFAULT X("{match: {mode: SERVER}, " ALL "}"), "One 1 1", "One 1 1"},
	{NODE("") SERVICES DEFAULT X("{match: {mode: CLIENT}, " ALL "}"), "One 100 1", "One 1 1"},
	/* In the Node's namespace all calls are. */
	{NODE("  mesh: {namespace: x}\n") SERVICES DEFAULT X("{" ALL "}"), "One 100 1",
		"One 100 1"},
	/* Zipkin's requests get X-B3-TraceId and its siblings. */
	{NODE("") SERVICES DEFAULT X("{" USE("web") "}"), "web 1 1", "One 1 1"},
	{NODE("") SERVICES DEFAULT X("{" USE("zip") "}"), "zip 1 4", "One 1 1"},
	{NODE("") SERVICES DEFAULT X("{" USE("zip8") "}"), "zip8 1 5 short", "One 1 1"},
	{NODE("") SERVICES DEFAULT X("{" USE("zip8") ", disableContextPropagation: true}"),
		"zip8 1 0 short", "One 1 1"},
	/* The collector of defaultConfig without any section; its share of calls always. */
	{NODE("") SERVICES MESH(OLD("zipkin.x:9411", "sampling: 10")), "defaultConfig.tracing 10 4",
		"defaultConfig.tracing 10 4"},
	{NODE("") SERVICES MESH(OLD("zipkin.x:9411", "sampling: 10")) X("{" USE("two") "}"),
		"two 10 1", "defaultConfig.tracing 10 4"},
	{NODE("") SERVICES MESH(OLD("zipkin.x:9411", "sampling: 0")) X("{" ALL "}"), "off",
		"defaultConfig.tracing 1 4"},
	{NODE("") SERVICES MESH("    enableTracing: false\n" OLD("zipkin.x:9411", "sampling: 10"))
			X("{" USE("two") "}"),
		"two 10 1", "off"},
	{NODE("") SERVICES MESH(OLD("", "sampling: 10")), "off", "off"},
	/* What cannot be used. */
	{NODE("") SERVICES DEFAULT X("{" USE("sky") "}"), "off", "One 1 1"},
	{NODE("") SERVICES DEFAULT X("{" USE("none") "}"), "off", "One 1 1"},
	{NODE("") SERVICES MESH("") X("{" ALL "}"), "off", "off"},
};

static void is(const char *text, const char *what, const char *got, const char *want)
{
	CU_ASSERT_STRING_EQUAL(got, want);
	if (strcmp(got, want) != 0)
		printf("%s: \"%s\", not \"%s\", by\n%s\n", what, got, want, text);
}

static void test_merged(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = compiled(new_conf(), rows[i].text);

		is(rows[i].text, "a", written(b.s, "a.test"), rows[i].a);
		is(rows[i].text, "b", written(b.s, "b.test"), rows[i].b);
		CU_ASSERT_FALSE(b.s->logged);
		unbuild(&b);
	}
}

/* The output has the settings of its provider; logs beside it stay as they are. */
static void test_output(void)
{
	struct built b = compiled(new_conf(), NODE("") SERVICES MESH("    accessLogFile: "
								     "/dev/stderr\n    "
								     "defaultProviders: {tracing: "
								     "[two]}\n"));
	const struct mt_access_log *l = b.s->log;
	const struct mt_alog_collector *c;
	struct mt_grpc_conf conf = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL_FATAL(l->n_outputs, 2);
	CU_ASSERT_TRUE(b.s->logged && b.s->log_general);
	c = l->outputs[1].collector;
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(c->service, MT_ALOG_SPANS);
	CU_ASSERT_PTR_EQUAL(c->encoder, &mt_tracing_otlp);
	CU_ASSERT_EQUAL(c->longest, 9);
	CU_ASSERT_STRING_EQUAL(c->sender.node, "n");
	CU_ASSERT_STRING_EQUAL(l->outputs[1].document, "MeshConfig istio: provider two");
	mt_grpc_target_fill(c->target, &conf);
	CU_ASSERT_EQUAL_FATAL(conf.n_servers, 1);
	CU_ASSERT_STRING_EQUAL(conf.servers[0], "two.example:4317");
	unbuild(&b);
}

static const struct mt_alog_collector *only_output(const struct built *b)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s->log);
	CU_ASSERT_EQUAL_FATAL(b->s->log->n_outputs, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s->log->outputs[0].collector);
	return b->s->log->outputs[0].collector;
}

#define PROVIDER_P                                                                                 \
	"---\napiVersion: v1\nkind: ConfigMap\n"                                                   \
	"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n"                     \
	"    defaultProviders: {tracing: [p]}\n    extensionProviders:\n    - {name: p, %s}\n"

static void check_requests(const struct mt_alog_http *is, const struct mt_alog_http *want)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(is);
	CU_ASSERT_STRING_EQUAL(is->authority, want->authority);
	CU_ASSERT_STRING_EQUAL(is->path, want->path);
	CU_ASSERT_EQUAL(!is->lines, !want->lines);
	if (is->lines && want->lines)
		CU_ASSERT_STRING_EQUAL(is->lines, want->lines);
}

/* The collector of defaultConfig, a Service by its short name. */
static void test_default_config(void)
{
	static const char zipkin[] =
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: z, namespace: istio-system}\nspec:\n"
		"  hosts: [zipkin.istio-system.svc.cluster.local]\n  addresses: [192.0.2.9]\n"
		"  resolution: STATIC\n  ports: [{number: 9411, name: http, targetPort: 94}]\n"
		"  endpoints: [{address: 198.51.100.9}]\n";
	struct mt_grpc_conf conf = {0};
	const struct mt_alog_collector *c;
	struct built b;
	char text[4096];

	snprintf(text, sizeof(text), "%s%s",
		NODE("") SERVICES MESH(OLD("zipkin.istio-system:9411", "sampling: 10")), zipkin);
	b = compiled(new_conf(), text);
	c = only_output(&b);
	check_requests(
		c->http, &(struct mt_alog_http){"zipkin.istio-system:9411", "/api/v2/spans", NULL});
	CU_ASSERT_STRING_EQUAL(
		b.s->log->outputs[0].document, "MeshConfig istio: provider defaultConfig.tracing");
	mt_grpc_target_fill(c->target, &conf);
	CU_ASSERT_EQUAL_FATAL(conf.n_servers, 1);
	CU_ASSERT_STRING_EQUAL(conf.servers[0], "198.51.100.9:94");
	unbuild(&b);
}

/* Requests of HTTP: where they go, and their headers. */
static void test_requests(void)
{
	static const struct {
		const char *provider;
		struct mt_alog_http http;
		const struct mt_alog_encoder *encoder;
		uint32_t longest;
	} wants[] = {
		{"opentelemetry: {service: one.example, port: 1, http: {path: \"/v1/traces?a=b\", "
		 "headers: [{name: X-A, value: b c}, {name: x-d}]}}",
			{"one.example:1", "/v1/traces?a=b", "X-A: b c\nx-d: "}, &mt_tracing_otlp,
			256},
		{"zipkin: {service: n/two.example, port: 9411, maxTagLength: 7, "
		 "headers: [{name: t, value: u}]}",
			{"two.example:9411", "/api/v2/spans", "t: u"}, &mt_tracing_zipkin, 7},
		{"zipkin: {service: \"2001:db8::1\", port: 80, path: /spans, maxTagLength: 0}",
			{"[2001:db8::1]:80", "/spans", NULL}, &mt_tracing_zipkin, 256},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(wants); i++) {
		char text[4096];
		const struct mt_alog_collector *c;
		struct built b;

		snprintf(text, sizeof(text), NODE("") SERVICES PROVIDER_P, wants[i].provider);
		b = compiled(new_conf(), text);
		c = only_output(&b);
		CU_ASSERT_PTR_EQUAL(c->encoder, wants[i].encoder);
		CU_ASSERT_EQUAL(c->longest, wants[i].longest);
		check_requests(c->http, &wants[i].http);
		unbuild(&b);
	}
}

static void told(const char *text, const char *words)
{
	struct built b = compiled(new_conf(), text);
	uint32_t n = 0;

	for (uint32_t i = 0; i < b.diags.n; i++)
		n += b.diags.items[i].severity == MT_DIAG_WARNING &&
		     strstr(b.diags.items[i].message, words);
	CU_ASSERT_EQUAL(n, 1);
	if (n != 1)
		show_diags(&b);
	unbuild(&b);
}

/* Requests of HTTP have the TLS of the service. */
static void test_with_tls(void)
{
	static const char tls[] = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
				  "metadata: {name: t, namespace: x}\n"
				  "spec: {host: a.test, trafficPolicy: {tls: {mode: SIMPLE, "
				  "insecureSkipVerify: true}}}\n";
	char text[4096];
	struct built b;

	snprintf(text, sizeof(text), NODE("") SERVICES PROVIDER_P "%s",
		"zipkin: {service: x/a.test, port: 2}", tls);
	b = compiled(new_conf(), text);
	is(text, "b", written(b.s, "b.test"), "p 1 4");
	CU_ASSERT_TRUE(mt_grpc_target_has_tls(only_output(&b)->target));
	unbuild(&b);
}

/* A host that would make other lines of a request. */
static void test_bad_host(void)
{
	char text[4096];

	snprintf(text, sizeof(text), NODE("") SERVICES PROVIDER_P,
		"zipkin: {service: \"a.b\\r\\nX: y\", port: 2}");
	told(text, "it is neither a name nor an address");
}

static void is_refused(const char *name, const char *provider)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags d;
	char text[2048];

	mt_diags_init(&d);
	snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: "
		"istio-system}\n"
		"data:\n  mesh: |\n    extensionProviders:\n    - {name: %s, %s}\n",
		name, provider);
	mt_source_text(m, &d, "t", text, strlen(text));
	CU_ASSERT_EQUAL(d.errors, 1);
	if (d.errors != 1)
		printf("%s, %s: %u errors\n", name, provider, d.errors);
	mt_diags_fini(&d);
	mt_model_free(m);
}

/* Paths and headers that would make other requests refuse the document. */
static void test_bad_requests(void)
{
	static const char *const providers[] = {
		"opentelemetry: {service: a.b, port: 1, http: {path: v1}}",
		"opentelemetry: {service: a.b, port: 1, http: {path: \"/a b\"}}",
		"opentelemetry: {service: a.b, port: 1, http: {path: \"/a\\r\\nX: y\"}}",
		"opentelemetry: {service: a.b, port: 1, http: {path: \"/a#b\"}}",
		"opentelemetry: {service: a.b, port: 1, http: {}}",
		"zipkin: {service: a.b, port: 1, path: spans}",
		"zipkin: {service: a.b, port: 1, headers: [{name: Host, value: x}]}",
		"zipkin: {service: a.b, port: 1, headers: [{name: tE, value: x}]}",
		"zipkin: {service: a.b, port: 1, headers: [{name: \"a b\", value: x}]}",
		"zipkin: {service: a.b, port: 1, headers: [{name: \"a:\", value: x}]}",
		"zipkin: {service: a.b, port: 1, headers: [{name: \"\", value: x}]}",
		"zipkin: {service: a.b, port: 1, headers: [{name: a, value: \"b\\nc: d\"}]}",
		"zipkin: {service: a.b, port: 1, headers: [{value: x}]}",
		"zipkin: {service: a.b, port: 1, traceContextOption: W3C}",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(providers); i++)
		is_refused("one", providers[i]);
}

/* The collector of defaultConfig has a name, too. */
static void test_reserved_name(void)
{
	is_refused("defaultConfig.tracing", "zipkin: {service: a.b, port: 1}");
	is_refused("defaultConfig.tracing", "envoyFileAccessLog: {path: /dev/stdout}");
}

/* Each is told once, however many services have it. */
static void test_told(void)
{
	told(NODE("") SERVICES DEFAULT ROOT("{" USE("sky") "}"),
		"sky is not of a type that spans are sent to");
	told(NODE("") SERVICES DEFAULT ROOT("{" USE("none") "}"), "no provider is called none");
	told(NODE("") SERVICES MESH("") ROOT("{" ALL "}"), "no provider is named");
	told(NODE("") SERVICES MESH("    defaultProviders: {tracing: [none]}\n"),
		"no provider is called none");
	told(NODE("") SERVICES MESH(OLD("$(HOST_IP):9411", "sampling: 10")),
		"calls are not traced by it: \"$(HOST_IP):9411\" is not an address");
}

/* What applies to all is told without a service, and what applies to streams of bytes, too. */
static void test_told_early(void)
{
	static const char bytes[] =
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: c, namespace: x}\nspec: {hosts: [c.test], addresses: "
		"[192.0.2.3], resolution: STATIC, ports: [{number: 2, name: tcp}], endpoints: "
		"[{address: 198.51.100.1}]}\n";
	char text[4096];

	told(NODE("") MESH("    defaultProviders: {tracing: [sky]}\n"),
		"sky is not of a type that spans are sent to");
	snprintf(text, sizeof(text), "%s%s%s", NODE(""), bytes, DEFAULT X("{" USE("none") "}"));
	told(text, "no provider is called none");
}

/*
 * True if calls have spans for a collector with the host of a.test, which is of a source with
 * `namespaces`; otherwise a warning has the reason.
 */
static bool is_traced(const char *service_of_provider)
{
	struct mt_idmap standings = {0};
	struct built b = {.conf = new_conf(), .m = mt_model_new()};
	char text[4096];
	bool traced, said = false;

	snprintf(text, sizeof(text),
		"%s---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: "
		"istio-system}\ndata:\n  mesh: |\n    defaultProviders: {tracing: [one]}\n"
		"    extensionProviders:\n"
		"    - {name: one, opentelemetry: {service: %s, port: 1}}\n",
		NODE("") SERVICES, service_of_provider);
	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL_FATAL(b.diags.errors, 0);
	for (uint32_t i = 0; i < b.m->service_entries.n; i++) {
		const struct mt_meta *meta = b.m->service_entries.v[i];

		CU_ASSERT_EQUAL(mt_idmap_put(&standings, meta->serial,
					(void *)(uintptr_t)(MT_STANDING_LIMITED + 1)),
			0);
	}
	b.m->standings = &standings;
	b.m->mesh.config = b.m->mesh_configs.v[0];
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	b.m->standings = NULL;
	for (uint32_t i = 0; i < b.diags.n; i++)
		said |= b.diags.items[i].severity == MT_DIAG_WARNING &&
			strstr(b.diags.items[i].message, "no spans can be sent to ") &&
			strstr(b.diags.items[i].message, "ServiceEntry x/a has the host");
	traced = service(b.s, "b.test")->tracing != NULL;
	CU_ASSERT_EQUAL(said, !traced);
	mt_idmap_fini(&standings);
	unbuild(&b);
	return traced;
}

/* A service of another namespace, of a source with `namespaces`, does not get the spans of all. */
static void test_whose(void)
{
	CU_ASSERT_FALSE(is_traced("a.test"));
	CU_ASSERT_FALSE(is_traced("y/a.test"));
	CU_ASSERT_TRUE(is_traced("x/a.test"));
	CU_ASSERT_TRUE(is_traced("elsewhere.test"));
}

/* Telemetry that requests no traces needs no provider. */
static void test_not_told(void)
{
	static const char *const texts[] = {
		NODE("") SERVICES MESH("") ROOT("{disableSpanReporting: true}"),
		NODE("") SERVICES MESH("") ROOT("{randomSamplingPercentage: 0}"),
		NODE("") SERVICES MESH("") ROOT("{match: {mode: SERVER}}"),
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = compiled(new_conf(), texts[i]);

		CU_ASSERT_STRING_EQUAL(written(b.s, "a.test"), "off");
		CU_ASSERT_EQUAL(b.diags.warnings, 0);
		if (b.diags.warnings)
			show_diags(&b);
		unbuild(&b);
	}
}

/* Settings without effect get a note. */
static void test_noted(void)
{
	static const struct {
		const char *text, *words;
	} notes[] = {
		{NODE("") DEFAULT,
			"spans are sent to providers with `opentelemetry` and `zipkin` only"},
		{NODE("") MESH("    defaultProviders: {tracing: [one, two]}\n"),
			"spans are sent to the first provider of `tracing` only"},
		{NODE("") DEFAULT ROOT("{providers: [{name: one}, {name: two}]}"),
			"spans are sent to the first provider only"},
		{NODE("") DEFAULT ROOT("{customTags: {a: {formatter: {value: b}}}}"),
			"the tag is not sent"},
		{NODE("") DEFAULT ROOT("{useRequestIdForTraceSampling: true}"),
			"a request id does not decide about traces"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(notes); i++) {
		struct built b = compiled(new_conf(), notes[i].text);
		uint32_t n = 0;

		for (uint32_t k = 0; k < b.diags.n; k++)
			n += b.diags.items[k].severity == MT_DIAG_NOTE &&
			     strstr(b.diags.items[k].message, notes[i].words);
		CU_ASSERT_EQUAL(n, 1);
		if (n != 1)
			show_diags(&b);
		unbuild(&b);
	}
}

/* A provider that nothing names gets a note. */
static void test_unused(void)
{
	struct built b = compiled(new_conf(), NODE("") SERVICES DEFAULT X("{" USE("two") "}"));
	uint32_t n = 0;

	for (uint32_t i = 0; i < b.diags.n; i++)
		n += strstr(b.diags.items[i].message, "nor a Telemetry names") != NULL;
	CU_ASSERT_EQUAL(n, 4); /* web, zip, zip8, gone */
	if (n != 4)
		show_diags(&b);
	unbuild(&b);
}

/* A service that is shared by snapshots follows a change of Telemetry. */
static void test_changes(void)
{
	static const struct {
		const char *text, *a;
	} steps[] = {
		{NODE("") SERVICES DEFAULT, "One 1 1"},
		{NODE("") SERVICES DEFAULT X("{" ALL "}"), "One 100 1"},
		{NODE("") SERVICES DEFAULT X("{" ALL "}"), "One 100 1"},
		{NODE("") SERVICES DEFAULT X("{" USE("two") "}"), "two 1 1"},
		{NODE("") SERVICES DEFAULT X("{disableSpanReporting: true}"), "- 1 1"},
		{NODE("") SERVICES MESH(""), "off"},
		{NODE("") SERVICES DEFAULT, "One 1 1"},
	};
	struct mt_conf *c = new_conf();
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct built b = compiled(c, steps[i].text);

		is(steps[i].text, "a", written(b.s, "a.test"), steps[i].a);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(c);
}

const struct mt_test tracing_tests[] = {{"telemetry_tracing", test_merged},
	{"output of spans", test_output}, {"requests with spans", test_requests},
	{"tracing of defaultConfig", test_default_config}, {"spans and TLS", test_with_tls},
	{"hosts of requests", test_bad_host}, {"requests that are refused", test_bad_requests},
	{"a reserved name", test_reserved_name}, {"messages about tracing", test_told},
	{"messages without services", test_told_early}, {"whose hosts get spans", test_whose},
	{"no traces are requested", test_not_told},
	{"settings of tracing without effect", test_noted},
	{"providers of spans without use", test_unused}, {"tracing changes", test_changes}, {0}};
