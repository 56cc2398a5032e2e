/* SPDX-License-Identifier: Apache-2.0 */
/* Telemetry: which logs get lines of which calls, and which metrics services have. */
#include "telemetry_scene.h"

#include "mt_istio_metrics.h"

#include <string.h>

#define NODE(more) TELEMETRY_NODE(more)
#define SERVICE(name, ns, address)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns "}\nspec:\n"                                   \
	"  hosts: [" name ".test]\n  addresses: [" address "]\n  resolution: STATIC\n"             \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"                                   \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define SERVICES SERVICE("a", "x", "192.0.2.1") SERVICE("b", "y", "192.0.2.2")
#define MESH(defaults)                                                                             \
	"---\napiVersion: v1\nkind: ConfigMap\n"                                                   \
	"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n" defaults            \
	"    extensionProviders:\n"                                                                \
	"    - {name: File1, envoyFileAccessLog: {path: /var/log/meltemi/1.log}}\n"                \
	"    - {name: file2, envoyFileAccessLog: {path: /var/log/meltemi/2.log}}\n"                \
	"    - {name: als, zipkin: {service: a.b, port: 1}}\n"
#define DEFAULT	 MESH("    defaultProviders: {accessLogging: [file1]}\n")
#define FILE_LOG MESH("    accessLogFile: /dev/stderr\n")
#define TELEMETRY(name, ns, spec)                                                                  \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: {" spec "}\n"
#define LOGS(name, ns, logs) TELEMETRY(name, ns, "accessLogging: [" logs "]")
#define ROOT(logs)	     LOGS("mesh", "istio-system", logs)
#define X(logs)		     LOGS("x", "x", logs)
#define USE(names)	     "providers: [" names "]"
#define ONE		     "{name: file1}"
#define TWO		     "{name: file2}"
#define FILTER(text)	     "filter: {expression: " text "}"

/* True if outputs get calls without a service like those of services without a scope. */
static bool alike(const struct mt_snapshot *s)
{
	bool general = false;

	for (uint32_t i = 0; s->log && i < s->log->n_outputs; i++) {
		if (s->log->outputs[i].unserved != s->log->outputs[i].general)
			return false;
		general |= s->log->outputs[i].general;
	}
	return s->log_general == general && s->log_unserved == general;
}

/* "1 2[FILTER]": files of the scope (NULL: general) by number; o: stdout; e: stderr. */
static void write_logs(
	const struct mt_snapshot *s, const struct mt_alog_scope *scope, char *to, size_t size)
{
	size_t n = 0;

	to[0] = '\0';
	for (uint32_t i = 0; s->log && i < s->log->n_outputs; i++) {
		const struct mt_access_output *o = &s->log->outputs[i];
		char place[2] = {o->place.path ? o->place.path[0] : o->place.fd == 1 ? 'o' : 'e'};

		if (!telemetry_gets(o, scope))
			continue;
		n += (size_t)snprintf(to + n, size - n, "%s%s", n ? " " : "", place);
		if (o->filter)
			n += (size_t)snprintf(to + n, size - n, "[%s]", o->filter);
	}
}

struct row {
	const char *text;
	const char *general, *a, *b; /* logs of calls without a service, and of both services */
};

static const struct row rows[] = {
	{NODE("") SERVICES DEFAULT, "1", "1", "1"},
	{NODE("") SERVICES FILE_LOG, "e", "e", "e"},
	/* For the whole mesh (Istio's task "Access logging"). */
	{NODE("") SERVICES FILE_LOG ROOT("{" USE("{name: envoy}") "}"), "o", "o", "o"},
	{NODE("") SERVICES ROOT("{" USE("{name: envoy}") "}"), "o", "o", "o"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(TWO) "}"), "2", "2", "2"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE ", " TWO) "}"), "1 2", "1 2", "1 2"},
	{NODE("") SERVICES DEFAULT ROOT("{disabled: true}"), "", "", ""},
	{NODE("") SERVICES FILE_LOG ROOT("{disabled: true}"), "", "", ""},
	{NODE("") SERVICES DEFAULT ROOT("{}"), "1", "1", "1"},
	{NODE("") SERVICES DEFAULT TELEMETRY("mesh", "istio-system", ""), "1", "1", "1"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE("{name: FILE2}") "}"), "2", "2", "2"},
	/* Of a namespace. */
	{NODE("") SERVICES DEFAULT X("{disabled: true}"), "1", "", "1"},
	{NODE("") SERVICES FILE_LOG X("{disabled: true}"), "e", "", "e"},
	{NODE("") SERVICES DEFAULT X("{" USE(TWO) "}"), "1", "2", "1"},
	{NODE("") SERVICES ROOT("{" USE(ONE) "}") DEFAULT X("{" USE(ONE ", " TWO) "}"), "1", "1 2",
		"1"},
	{NODE("") SERVICES DEFAULT ROOT("{disabled: true}") X("{" USE(TWO) "}"), "", "2", ""},
	{NODE("") SERVICES DEFAULT ROOT("{disabled: true}") X("{disabled: false}"), "", "1", ""},
	{NODE("") SERVICES DEFAULT LOGS("z", "z", "{disabled: true}"), "1", "1", "1"},
	/* The last object that names providers decides which are in scope. */
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE ", " TWO) "}")
			X("{" USE(TWO) ", disabled: true}"),
		"1 2", "", "1 2"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE) "}, {" USE(TWO) "}") X("{disabled: true}"),
		"1 2", "1", "1 2"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE ", " TWO) "}, {disabled: true}"), "", "", ""},
	{NODE("") SERVICES DEFAULT ROOT("{disabled: true}, {" USE(ONE) "}"), "1", "1", "1"},
	/* Modes. */
	{NODE("") SERVICES DEFAULT ROOT("{match: {mode: SERVER}, disabled: true}"), "1", "1", "1"},
	{NODE("") SERVICES DEFAULT ROOT("{match: {mode: SERVER}, " USE(TWO) "}"), "1", "1", "1"},
	{NODE("") SERVICES DEFAULT ROOT("{match: {mode: CLIENT}, " USE(TWO) "}"), "2", "2", "2"},
	{NODE("") SERVICES DEFAULT ROOT("{match: {mode: CLIENT_AND_SERVER}, " USE(TWO) "}"), "2",
		"2", "2"},
	/* Filters. */
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE) ", " FILTER("response.code >= 400") "}"),
		"1[response.code >= 400]", "1[response.code >= 400]", "1[response.code >= 400]"},
	{NODE("") SERVICES FILE_LOG ROOT("{" FILTER("response.code >= 400") "}"),
		"e[response.code >= 400]", "e[response.code >= 400]", "e[response.code >= 400]"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE) ", " FILTER("response.code >= 400") "}")
			X("{" FILTER("response.code >= 500") "}"),
		"1[response.code >= 400]", "1[response.code >= 500]", "1[response.code >= 400]"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE) ", " FILTER("response.code >= 400") "}")
			X("{" USE(ONE) "}"),
		"1[response.code >= 400]", "1", "1[response.code >= 400]"},
	{NODE("") SERVICES DEFAULT ROOT("{" USE(ONE) ", " FILTER("response.code >= 400") "}")
			X("{" USE(TWO) "}"),
		"1[response.code >= 400]", "2", "1[response.code >= 400]"},
	/* The node's labels; the oldest without a selector; the Node's namespace. */
	{NODE("") SERVICES DEFAULT X("{}") TELEMETRY("w", "x",
		 "selector: {matchLabels: {app: edge}}, accessLogging: [{disabled: true}]"),
		"1", "", "1"},
	{NODE("") SERVICES DEFAULT TELEMETRY("w", "x",
		 "selector: {matchLabels: {app: shop}}, accessLogging: [{disabled: true}]"),
		"1", "1", "1"},
	{NODE("") SERVICES DEFAULT TELEMETRY("w", "istio-system",
		 "selector: {matchLabels: {app: edge}}, accessLogging: [{disabled: true}]"),
		"", "1", "1"},
	{NODE("") SERVICES DEFAULT X("{" USE(TWO) "}") LOGS("later", "x", "{disabled: true}"), "1",
		"2", "1"},
	{NODE("  mesh: {namespace: x}\n") SERVICES DEFAULT X("{" USE(TWO) "}")
			LOGS("y", "y", "{disabled: true}"),
		"2", "2", "2"},
	/* Providers that write no file. */
	{NODE("") SERVICES DEFAULT X("{" USE("{name: als}, {name: absent}") "}"), "1", "", "1"},
	{NODE("") SERVICES DEFAULT X("{" USE("{name: als}, {name: file2}") "}"), "1", "2", "1"},
	/* A filter that cannot be used. */
	{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("response.code") "}"), "1", "", "1"},
};

static void is_logged(const char *text, const char *what, const char *got, const char *want)
{
	if (strcmp(got, want) != 0)
		fprintf(stderr, "\n%s\n%s: \"%s\", not \"%s\"\n", text, what, got, want);
	CU_ASSERT_STRING_EQUAL(got, want);
}

static void check(const struct row *r)
{
	struct built b = telemetry_built(new_conf(), r->text);
	char got[256];

	write_logs(b.s, NULL, got, sizeof(got));
	is_logged(r->text, "general", got, r->general);
	CU_ASSERT_TRUE(alike(b.s));
	write_logs(b.s, service(b.s, "a.test")->log_scope, got, sizeof(got));
	is_logged(r->text, "a", got, r->a);
	write_logs(b.s, service(b.s, "b.test")->log_scope, got, sizeof(got));
	is_logged(r->text, "b", got, r->b);
	unbuild(&b);
}

/* accessLogging: providers by name, match.mode, disabled and filter.expression. */
static void test_merged(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		check(&rows[i]);
}

/* ---- metrics ---------------------------------------------------------------------------------- */

#define METRICS(name, ns, sections) TELEMETRY(name, ns, "metrics: [" sections "]")
#define OVERRIDE(match, disabled)   "{overrides: [{match: {" match "}, disabled: " disabled "}]}"
#define OFF			    "{overrides: [{disabled: true}]}"
#define OF_NODE			    "selector: {matchLabels: {app: edge}}, metrics: [" OFF "]"
#define ALL			    0xffff
#define BIT(m, r)		    (1u << (MT_ISTIO_##m * MT_ISTIO_REPORTERS + MT_ISTIO_##r))

static const struct {
	const char *text;
	uint32_t a, b; /* metrics that both services do not have */
} overrides[] = {
	{NODE("") SERVICES, 0, 0},
	{NODE("") SERVICES METRICS("m", "istio-system", OFF), ALL, ALL},
	{NODE("") SERVICES METRICS("m", "x", OFF), ALL, 0},
	{NODE("") SERVICES METRICS("m", "z", OFF), 0, 0},
	{NODE("") SERVICES METRICS("m", "istio-system", "{providers: [{name: prometheus}]}"), 0, 0},
	/* Metrics and modes. */
	{NODE("") SERVICES METRICS("m", "x", OVERRIDE("metric: REQUEST_COUNT", "true")),
		BIT(REQUESTS, SOURCE) | BIT(REQUESTS, DESTINATION), 0},
	{NODE("") SERVICES METRICS(
		 "m", "x", OVERRIDE("metric: RESPONSE_SIZE, mode: CLIENT", "true")),
		BIT(RESPONSE_BYTES, SOURCE), 0},
	{NODE("") SERVICES METRICS(
		 "m", "x", OVERRIDE("metric: TCP_CLOSED_CONNECTIONS, mode: SERVER", "true")),
		BIT(TCP_CLOSED, DESTINATION), 0},
	{NODE("") SERVICES METRICS("m", "x", OVERRIDE("metric: GRPC_REQUEST_MESSAGES", "true")), 0,
		0},
	{NODE("") SERVICES METRICS("m", "x", OVERRIDE("customMetric: istio_build", "true")), 0, 0},
	/* The last one decides; one without `disabled` leaves it. */
	{NODE("") SERVICES METRICS("m", "istio-system", OFF) METRICS(
		 "x", "x", OVERRIDE("metric: REQUEST_DURATION, mode: CLIENT", "false")),
		ALL & ~BIT(DURATION, SOURCE), ALL},
	{NODE("") SERVICES METRICS(
		 "m", "x", OFF ", {overrides: [{match: {metric: REQUEST_SIZE}}]}"),
		ALL, 0},
	{NODE("") SERVICES METRICS("m", "x", OFF ", " OVERRIDE("mode: SERVER", "false")), 0x5555,
		0},
	/* Providers: those of the section before, or Prometheus. */
	{NODE("") SERVICES METRICS(
		 "m", "x", "{providers: [{name: other}], overrides: [{disabled: true}]}"),
		0, 0},
	{NODE("") SERVICES METRICS("m", "x", "{providers: [{name: other}]}, " OFF), 0, 0},
	{NODE("") SERVICES METRICS("m", "x",
		 "{providers: [{name: other}]}, {providers: [{name: other}, "
		 "{name: prometheus}]}, " OFF),
		ALL, 0},
	{NODE("") SERVICES METRICS(
		 "m", "x", "{providers: [{name: Prometheus}], overrides: [{disabled: true}]}"),
		ALL, 0},
	{NODE("") SERVICES METRICS("m", "istio-system", "{providers: [{name: other}]}")
			METRICS("x", "x", OFF),
		0, 0},
	/* The node's labels and namespace; the oldest of a namespace. */
	{NODE("") SERVICES TELEMETRY("w", "x", OF_NODE), ALL, 0},
	{NODE("") SERVICES TELEMETRY(
		 "w", "x", "selector: {matchLabels: {app: other}}, metrics: [" OFF "]"),
		0, 0},
	{NODE("") SERVICES METRICS("m", "x", "") METRICS("n", "x", OFF), 0, 0},
	{NODE("  mesh: {namespace: x}\n") SERVICES METRICS("m", "x", OFF), ALL, ALL},
};

/* metrics: providers, match and disabled of overrides. */
static void test_metrics(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(overrides); i++) {
		struct built b = telemetry_built(new_conf(), overrides[i].text);
		uint32_t got[] = {
			service(b.s, "a.test")->metrics_off, service(b.s, "b.test")->metrics_off};

		CU_ASSERT_EQUAL(got[0], overrides[i].a);
		CU_ASSERT_EQUAL(got[1], overrides[i].b);
		if (got[0] != overrides[i].a || got[1] != overrides[i].b)
			printf("\n%s\n  %x %x\n", overrides[i].text, got[0], got[1]);
		unbuild(&b);
	}
}

/* ---- gateways, messages, changes --------------------------------------------------------------- */

/* Telemetry with a target: calls that enter at that Gateway. */
static void test_gateways(void)
{
	static const char text[] = NODE("") SERVICES DEFAULT
		"---\napiVersion: networking.istio.io/v1\nkind: Gateway\n"
		"metadata: {name: g, namespace: y}\nspec:\n  servers:\n"
		"  - {port: {number: 80, name: tcp-metaprotocol-dubbo}, hosts: ['*']}\n"
		"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: v, namespace: y}\nspec:\n  hosts: [s.test]\n  gateways: [y/g]\n"
		"  dubbo: [{name: r, route: [{destination: {host: a.test}}]}]\n" TELEMETRY("at",
			"y",
			"targetRefs: [{kind: Gateway, name: gw}], accessLogging: "
			"[{" USE(TWO) "}], metrics: [" OFF "]") TELEMETRY("other", "y",
			"targetRef: {kind: Gateway, name: other}, accessLogging: "
			"[{disabled: true}]");
	struct built b = telemetry_built(new_conf(), text);
	char got[256];

	write_logs(b.s, NULL, got, sizeof(got));
	is_logged(text, "general", got, "1");
	write_logs(b.s, service(b.s, "b.test")->log_scope, got, sizeof(got));
	is_logged(text, "b", got, "1");
	write_logs(b.s, service(b.s, "s.test")->log_scope, got, sizeof(got));
	is_logged(text, "at the gateway", got, "2");
	CU_ASSERT_EQUAL(service(b.s, "s.test")->metrics_off, ALL);
	CU_ASSERT_EQUAL(service(b.s, "b.test")->metrics_off, 0);
	unbuild(&b);
}

/* Messages name the Telemetry, once, and the provider or the column of the filter. */
static void test_messages(void)
{
	struct built b = telemetry_built(new_conf(),
		NODE("") SERVICES DEFAULT ROOT("{" USE("{name: als}, {name: none}") "}")
			X("{" USE(TWO) ", " FILTER("response.code") "}"));
	uint32_t line = 41;

	CU_ASSERT_EQUAL(b.diags.warnings, 3);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, "spec.accessLogging"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, "als gets no line"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, "no provider is called none"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line + 5,
		"spec.accessLogging[].filter.expression: no access log is written: column 1"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 34, "names File1"));
	if (b.diags.warnings != 3 || !has_diag(&b, MT_DIAG_NOTE, 34, "names File1"))
		show_diags(&b);
	unbuild(&b);
}

/* Outputs with the filter of a Telemetry are named after both. */
static void test_names(void)
{
	struct built b = telemetry_built(new_conf(),
		NODE("") SERVICES DEFAULT X(
			"{" USE(ONE) ", " FILTER("true") "}, {" USE("{name: envoy}") "}"));
	const struct mt_access_log *l = b.s->log;

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL_FATAL(l->n_outputs, 3);
	CU_ASSERT_STRING_EQUAL(l->outputs[0].document, "MeshConfig istio: provider File1");
	CU_ASSERT_STRING_EQUAL(l->outputs[1].document,
		"MeshConfig istio: provider File1, filtered by Telemetry x/x");
	CU_ASSERT_STRING_EQUAL(l->outputs[2].document, "MeshConfig istio: provider envoy");
	unbuild(&b);
}

/* A service that is shared by snapshots follows a change of Telemetry. */
static void test_changes(void)
{
	static const struct {
		const char *text, *a;
		uint32_t off;
	} steps[] = {
		{NODE("") SERVICES DEFAULT, "1", 0},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) "}"), "2", 0},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) "}"), "2", 0},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("true") "}"), "2[true]", 0},
		{NODE("") SERVICES DEFAULT X("{disabled: true}"), "", 0},
		{NODE("") SERVICES DEFAULT METRICS("x", "x", OFF), "1", ALL},
		{NODE("") SERVICES DEFAULT, "1", 0},
	};
	struct mt_conf *c = new_conf();
	struct mt_err e;
	char got[256];

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct built b = telemetry_built(c, steps[i].text);

		write_logs(b.s, service(b.s, "a.test")->log_scope, got, sizeof(got));
		is_logged(steps[i].text, "a", got, steps[i].a);
		CU_ASSERT_EQUAL(service(b.s, "a.test")->metrics_off, steps[i].off);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(c);
}

/* An expression that cannot be used leaves the last good one of its object and log in use. */
static void test_last_good(void)
{
	static const struct {
		const char *text, *a;
	} steps[] = {
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("response.code >= 400") "}"),
			"2[response.code >= 400]"},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("response.code") "}"),
			"2[response.code >= 400]"},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("response.code >=") "}"),
			"2[response.code >= 400]"},
		/* Another log, and after it the first one again. */
		{NODE("") SERVICES DEFAULT X("{" USE(ONE) ", " FILTER("response.code") "}"), ""},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("response.code") "}"), ""},
		{NODE("") SERVICES DEFAULT X("{" USE(TWO) ", " FILTER("true") "}"), "2[true]"},
	};
	struct mt_conf *c = new_conf();
	struct mt_err e;
	char got[256];

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct built b = telemetry_built(c, steps[i].text);

		write_logs(b.s, service(b.s, "a.test")->log_scope, got, sizeof(got));
		is_logged(steps[i].text, "a", got, steps[i].a);
		CU_ASSERT_EQUAL(b.diags.warnings, i > 0 && i < 5);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(c);
}

/* Workers evaluate filters that neither allocate nor take long. */
static void test_sieves(void)
{
	static const struct {
		const char *text;
		bool has;
	} steps[] = {
		{NODE("") SERVICES DEFAULT, false},
		{NODE("") SERVICES DEFAULT X("{" FILTER("response.code >= 400") "}"), true},
		{NODE("") SERVICES DEFAULT X("{" FILTER("request.path.matches('a')") "}"), false},
		{NODE("") SERVICES DEFAULT X("{disabled: true}"), false},
	};
	struct mt_conf *c = new_conf();
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(steps); i++) {
		struct built b = telemetry_built(c, steps[i].text);

		CU_ASSERT_EQUAL(b.s->log_sieve != NULL, steps[i].has);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(c);
}

const struct mt_test telemetry_tests[] = {{"telemetry_logs", test_merged},
	{"telemetry_metrics", test_metrics}, {"Telemetry at gateways", test_gateways},
	{"messages about Telemetry", test_messages}, {"names of outputs", test_names},
	{"Telemetry changes", test_changes}, {"last good filters", test_last_good},
	{"filters for workers", test_sieves}, {0}};
