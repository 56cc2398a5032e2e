/* SPDX-License-Identifier: Apache-2.0 */
/* customTags of Telemetry and MeshConfig: which tags spans have, their metadata, and limits. */
#include "conf_test.h"

#include "mt_alog.h"
#include "mt_call_tracing.h"

#include <stdlib.h>
#include <string.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"                             \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n"
#define SERVICE(name, ns, address)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns "}\nspec:\n"                                   \
	"  hosts: [" name ".test]\n  addresses: [" address "]\n  resolution: STATIC\n"             \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"                                   \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define MESH(more)                                                                                 \
	"---\napiVersion: v1\nkind: ConfigMap\n"                                                   \
	"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n"                     \
	"    defaultProviders: {tracing: [one]}\n    extensionProviders:\n"                        \
	"    - {name: one, opentelemetry: {service: one.example, port: 4317}}\n"                   \
	"    - {name: two, opentelemetry: {service: one.example, port: 1, maxTagLength: "          \
	"9}}\n" more
#define BASE	   NODE SERVICE("a", "x", "192.0.2.1") SERVICE("b", "y", "192.0.2.2") MESH("")
#define OLD(tags)  "    defaultConfig: {tracing: {customTags: {" tags "}}}\n"
#define WITH(more) NODE SERVICE("a", "x", "192.0.2.1") SERVICE("b", "y", "192.0.2.2") MESH(more)
#define TRACES(name, ns, traces)                                                                   \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: " name          \
	", namespace: " ns "}\nspec: {tracing: [{" traces "}]}\n"
#define ROOT(traces) TRACES("mesh", "istio-system", traces)
#define X(traces)    TRACES("x", "x", traces)
#define TAGS(tags)   "customTags: {" tags "}"

static struct built compiled(const char *text)
{
	struct built b = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	if (b.diags.errors)
		show_diags(&b);
	CU_ASSERT_EQUAL_FATAL(b.diags.errors, 0);
	b.m->mesh.config = b.m->mesh_configs.n ? b.m->mesh_configs.v[0] : NULL;
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static void put_slice(char *text, size_t size, struct mt_slice s)
{
	size_t n = strlen(text);

	snprintf(text + n, size - n, "%.*s", (int)s.len, s.len ? (const char *)s.p : "");
}

static void put(char *text, size_t size, const char *s)
{
	put_slice(text, size, (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)});
}

/* "NAME<KEY=VALUE ..." of the service's spans; without a KEY the value is fixed. */
static const char *tags_of(const struct mt_snapshot *s, const char *name)
{
	const struct mt_call_tracing *t = service(s, name)->tracing;
	static char text[512];

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	text[0] = '\0';
	for (uint32_t i = 0; t->tags && i < t->tags->n; i++) {
		put(text, sizeof(text), i ? " " : "");
		put_slice(text, sizeof(text), t->tags->v[i].name);
		put(text, sizeof(text), "<");
		put_slice(text, sizeof(text), t->tags->v[i].key);
		put(text, sizeof(text), "=");
		put_slice(text, sizeof(text), t->tags->v[i].value);
	}
	return text;
}

/* The metadata that calls keep, with blanks between the keys. */
static const char *kept(const struct mt_snapshot *s)
{
	static char text[512];

	text[0] = '\0';
	CU_ASSERT(s->n_log_keys <= 1);
	for (uint32_t i = 0; s->n_log_keys && i < s->log_keys[0].n_request; i++) {
		put(text, sizeof(text), i ? " " : "");
		put(text, sizeof(text), s->log_keys[0].request[i].name);
	}
	return text;
}

#define TEAM	"team: {literal: {value: shop}}"
#define USER	"user: {header: {name: X-User, defaultValue: none}}"
#define HERE	"here: {environment: {name: MT_TEST_TAG, defaultValue: far}}"
#define NOWHERE "none: {environment: {name: MT_TEST_NO_TAG, defaultValue: far}}"

static const struct {
	const char *text, *a, *b, *kept;
} rows[] = {
	{BASE, "", "", ""},
	{BASE ROOT(TAGS(TEAM)), "team<=shop", "team<=shop", ""},
	{BASE ROOT(TAGS(TEAM ", " USER)), "team<=shop user<X-User=none",
		"team<=shop user<X-User=none", "x-user"},
	{BASE ROOT(TAGS("u: {header: {name: a}}")), "u<a=", "u<a=", "a"},
	/* The nearest object that has any replaces all others. */
	{BASE ROOT(TAGS(TEAM)) X(TAGS(USER)), "user<X-User=none", "team<=shop", "x-user"},
	{BASE ROOT(TAGS(TEAM)) X("randomSamplingPercentage: 9"), "team<=shop", "team<=shop", ""},
	{BASE ROOT(TAGS(TEAM)) X("customTags: {}"), "team<=shop", "team<=shop", ""},
	{BASE X(TAGS(TEAM) "}, {" TAGS(USER)), "user<X-User=none", "", "x-user"},
	{BASE X("match: {mode: SERVER}, " TAGS(TEAM)), "", "", ""},
	/* Those of defaultConfig, whatever the provider is, if no Telemetry has any. */
	{WITH(OLD(TEAM)), "team<=shop", "team<=shop", ""},
	{WITH(OLD(TEAM)) X(TAGS(USER)), "user<X-User=none", "team<=shop", "x-user"},
	{WITH(OLD(USER)) X("providers: [{name: two}]"), "user<X-User=none", "user<X-User=none",
		"x-user"},
	/* Variables, for objects that are of all. */
	{BASE ROOT(TAGS(HERE ", " NOWHERE)), "here<=near none<=far", "here<=near none<=far", ""},
	{WITH(OLD(HERE)), "here<=near", "here<=near", ""},
	{BASE X(TAGS(HERE)), "here<=far", "", ""},
	{BASE ROOT(TAGS("none: {environment: {name: MT_TEST_NO_TAG}}, " TEAM)), "team<=shop",
		"team<=shop", ""},
	/* Without spans there are no tags, and no metadata is kept. */
	{BASE ROOT("disableSpanReporting: true, " TAGS(USER)), "", "", ""},
	{BASE ROOT(TAGS("f: {formatter: {value: \"%REQ(a)%\"}}")), "", "", ""},
	/* One key for two tags, and for a log. */
	{BASE ROOT(TAGS("a: {header: {name: X}}, b: {header: {name: x}}")),
		"a<X= b<x=", "a<X= b<x=", "x"},
	{WITH("    accessLogFile: /dev/stderr\n    accessLogFormat: '%REQ(l)%%REQ(x-user)%'\n")
			ROOT(TAGS(USER)),
		"user<X-User=none", "user<X-User=none", "l x-user"},
};

static void is(const char *text, const char *what, const char *got, const char *want)
{
	CU_ASSERT_STRING_EQUAL(got, want);
	if (strcmp(got, want) != 0)
		printf("%s: \"%s\", not \"%s\", by\n%s\n", what, got, want, text);
}

static void test_tags(void)
{
	setenv("MT_TEST_TAG", "near", 1);
	unsetenv("MT_TEST_NO_TAG");
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = compiled(rows[i].text);

		is(rows[i].text, "a", tags_of(b.s, "a.test"), rows[i].a);
		is(rows[i].text, "b", tags_of(b.s, "b.test"), rows[i].b);
		is(rows[i].text, "kept", kept(b.s), rows[i].kept);
		unbuild(&b);
	}
	unsetenv("MT_TEST_TAG");
}

/* maxPathTagLength is for providers without a limit of their own. */
static void test_length(void)
{
	static const struct {
		const char *text;
		uint32_t longest;
	} wants[] = {
		{BASE, 256},
		{WITH("    defaultConfig: {tracing: {maxPathTagLength: 7}}\n"), 7},
		{WITH("    defaultConfig: {tracing: {maxPathTagLength: 0}}\n"), 256},
		{WITH("    defaultConfig: {tracing: {maxPathTagLength: 7}}\n")
				ROOT("providers: [{name: two}]"),
			9},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(wants); i++) {
		struct built b = compiled(wants[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
		CU_ASSERT_EQUAL_FATAL(b.s->log->n_outputs, 1);
		CU_ASSERT_EQUAL(b.s->log->outputs[0].collector->longest, wants[i].longest);
		unbuild(&b);
	}
}

/* As in istiod enableIstioTags of defaultConfig counts only without any other setting. */
static void test_istio(void)
{
	static const char zipkin[] = WITH("    defaultConfig: {tracing: {enableIstioTags: false, "
					  "zipkin: {address: \"z.x:1\"}}}\n");
	static const struct {
		const char *text;
		bool none, a, b; /* none: without default providers */
	} wants[] = {
		{BASE, false, true, true},
		{BASE ROOT("enableIstioTags: false"), false, false, false},
		{BASE ROOT("enableIstioTags: false") X("enableIstioTags: true"), false, true,
			false},
		{BASE X("enableIstioTags: false}, {randomSamplingPercentage: 9"), false, false,
			true},
		{zipkin, false, true, true},
		{zipkin, true, false, false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(wants); i++) {
		char text[4096];
		struct built b;
		char *providers;

		snprintf(text, sizeof(text), "%s", wants[i].text);
		providers = strstr(text, "tracing: [one]");
		CU_ASSERT_PTR_NOT_NULL_FATAL(providers);
		if (wants[i].none)
			memcpy(providers, "tracing: []   ", strlen("tracing: [one]"));
		b = compiled(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(service(b.s, "a.test")->tracing);
		CU_ASSERT_EQUAL(service(b.s, "a.test")->tracing->istio, wants[i].a);
		CU_ASSERT_EQUAL(service(b.s, "b.test")->tracing->istio, wants[i].b);
		unbuild(&b);
	}
}

/* Their values are those of the Node document. */
static void test_istio_values(void)
{
	static const struct {
		const char *node, *want[MT_ALOG_ISTIO];
	} wants[] = {
		{"metadata: {name: n}", {"n", "latest", "unknown", "default", "unknown"}},
		{"metadata: {name: n, namespace: edge, labels: {app: gate, version: v2}}",
			{"gate", "v2", "unknown", "edge", "unknown"}},
		{"metadata: {name: n, labels: {service.istio.io/canonical-name: c, "
		 "service.istio.io/canonical-revision: r}}",
			{"c", "r", "unknown", "default", "unknown"}},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(wants); i++) {
		const struct mt_alog_collector *c;
		char text[4096];
		struct built b;

		snprintf(text, sizeof(text), "apiVersion: meltemi.io/v1\nkind: Node\n%s\n%s%s",
			wants[i].node,
			"spec:\n  ports: [{name: p0, device: net_null0, addresses: "
			"[203.0.113.1/24]}]\n",
			SERVICE("a", "x", "192.0.2.1") MESH(""));
		b = compiled(text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
		c = b.s->log->outputs[0].collector;
		for (uint32_t k = 0; k < MT_ALOG_ISTIO; k++)
			CU_ASSERT_STRING_EQUAL(c->istio[k], wants[i].want[k]);
		unbuild(&b);
	}
}

static void told(const char *text, const char *words)
{
	struct built b = compiled(text);
	uint32_t n = 0;

	for (uint32_t i = 0; i < b.diags.n; i++)
		n += b.diags.items[i].severity == MT_DIAG_WARNING &&
		     strstr(b.diags.items[i].message, words);
	CU_ASSERT_EQUAL(n, 1);
	if (n != 1)
		show_diags(&b);
	unbuild(&b);
}

static void test_told(void)
{
	told(BASE X(TAGS(HERE)), "tag here has no value of a variable, but its default");
	told(BASE ROOT(TAGS("a: {other: {}}")), "not sent: it has no value");
	told(WITH(OLD("a: {other: {}}")), "not sent: it has no value");
}

/* `n` tags with metadata of their own. */
static void write_tags(char *to, size_t size, uint32_t n)
{
	size_t len = 0;

	for (uint32_t i = 0; i < n; i++)
		len += (size_t)snprintf(
			to + len, size - len, "%st%u: {header: {name: k%u}}", i ? ", " : "", i, i);
}

/* Calls keep so many values; a tag that finds no room has its default. */
static void test_no_room(void)
{
	char tags[2048], text[8192];

	write_tags(tags, sizeof(tags), 32);
	snprintf(text, sizeof(text), BASE ROOT(TAGS("z: {header: {name: z}}")) X(TAGS("%s")), tags);
	told(text, "has its default in all spans");
}

static bool keeps(const struct mt_snapshot *s, const char *key)
{
	for (uint32_t i = 0; i < s->log_keys[0].n_request; i++)
		if (strcmp(s->log_keys[0].request[i].name, key) == 0)
			return true;
	return false;
}

/* A namespace with many tags takes no metadata from others, nor from tags of all. */
static void test_shares(void)
{
	const char *const others[] = {"z", "y", "k0", "k7"};
	char tags[2048], text[8192];
	struct built b;

	write_tags(tags, sizeof(tags), 32);
	snprintf(text, sizeof(text),
		BASE ROOT(TAGS("z: {header: {name: z}}")) X(TAGS("%s")) TRACES(
			"y", "y", TAGS("y: {header: {name: y}}")) SERVICE("c", "w", "192.0.2.3"),
		tags);
	b = compiled(text);
	CU_ASSERT_EQUAL_FATAL(b.s->n_log_keys, 1);
	CU_ASSERT_EQUAL(b.s->log_keys[0].n_request, 32);
	for (size_t i = 0; i < MT_ARRAY_LEN(others); i++)
		CU_ASSERT_TRUE(keeps(b.s, others[i]));
	CU_ASSERT_FALSE(keeps(b.s, "k31"));
	unbuild(&b);
}

/* Errors of a document with these tags. */
static uint32_t errors_of(const char *tags)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags d;
	char text[8192];
	uint32_t n;

	mt_diags_init(&d);
	snprintf(text, sizeof(text), X("customTags: %s"), tags);
	mt_source_text(m, &d, "t", text, strlen(text));
	n = d.errors;
	mt_diags_fini(&d);
	mt_model_free(m);
	return n;
}

static void test_refused(void)
{
	static const char *const bad[] = {
		"{a: {literal: {}}}",
		"{a: {literal: {value: \"\"}}}",
		"{a: {header: {defaultValue: b}}}",
		"{a: {environment: {defaultValue: b}}}",
		"{a: {literal: {value: b}, header: {name: c}}}",
		"{\"\": {literal: {value: b}}}",
		"{a: {literal: {value: b}}, a: {literal: {value: c}}}",
		"{a: b}",
		"[a]",
	};
	char tags[11000], name[5000];

	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_EQUAL(errors_of(bad[i]), 1);
		if (errors_of(bad[i]) != 1)
			printf("%s: %u errors\n", bad[i], errors_of(bad[i]));
	}
	tags[0] = '{';
	write_tags(tags + 1, sizeof(tags) - 2, 33);
	strcat(tags, "}");
	CU_ASSERT_EQUAL(errors_of(tags), 1);
	memset(name, 'n', sizeof(name));
	name[257] = '\0';
	snprintf(tags, sizeof(tags), "{%s: {literal: {value: b}}}", name);
	CU_ASSERT_EQUAL(errors_of(tags), 1);
	snprintf(tags, sizeof(tags), "{a: {header: {name: %s}}}", name);
	CU_ASSERT_EQUAL(errors_of(tags), 1);
	name[256] = '\0';
	snprintf(tags, sizeof(tags), "{%s: {header: {name: %s}}}", name, name);
	CU_ASSERT_EQUAL(errors_of(tags), 0);
	memset(name, 'n', sizeof(name));
	name[4096] = '\0';
	snprintf(tags, sizeof(tags), "{a: {literal: {value: %s}}}", name);
	CU_ASSERT_EQUAL(errors_of(tags), 1);
	name[4095] = '\0';
	snprintf(tags, sizeof(tags), "{a: {literal: {value: %s}}}", name);
	CU_ASSERT_EQUAL(errors_of(tags), 0);
}

const struct mt_test tracing_tags_tests[] = {{"tags of spans", test_tags},
	{"length of tags", test_length}, {"tags of Istio", test_istio},
	{"values of Istio's tags", test_istio_values}, {"messages about tags", test_told},
	{"tags without room", test_no_room}, {"shares of namespaces", test_shares},
	{"tags that are refused", test_refused}, {0}};
