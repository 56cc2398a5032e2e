/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access logs of the MeshConfig: places, formats and providers, and how long a snapshot lives whose
 * calls are logged.
 */
#include "conf_test.h"

#include "mt_alog.h"

#include <string.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"                             \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
#define CONFIG                                                                                     \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data:\n  mesh: |\n"
#define MESH(path) CONFIG "    accessLogFile: " path "\n"

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

/* The log of these documents: "DIRECTORY|PATH", or a number of a descriptor; "": none. */
static const char *log_of(const char *text)
{
	struct built b = compiled(new_conf(), text);
	const struct mt_access_log *l = b.s->log;
	static char found[256];

	found[0] = '\0';
	if (l) {
		const struct mt_access_output *o = &l->outputs[0];

		CU_ASSERT_EQUAL(l->n_outputs, 1);
		if (o->place.path)
			snprintf(found, sizeof(found), "%s|%s", o->place.directory, o->place.path);
		else
			snprintf(found, sizeof(found), "%d", o->place.fd);
		CU_ASSERT_STRING_EQUAL(o->document, "MeshConfig istio: accessLogFile");
	}
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	return found;
}

static void test_places(void)
{
	CU_ASSERT_STRING_EQUAL(log_of(NODE), "");
	CU_ASSERT_STRING_EQUAL(log_of(NODE MESH("''")), "");
	CU_ASSERT_STRING_EQUAL(log_of(NODE MESH("/dev/stdout")), "1");
	CU_ASSERT_STRING_EQUAL(log_of(NODE MESH("/dev/stderr")), "2");
	CU_ASSERT_STRING_EQUAL(
		log_of(NODE MESH("/var/log/meltemi/a/calls.log")), "/var/log/meltemi|a/calls.log");
	CU_ASSERT_STRING_EQUAL(log_of(NODE "  accessLog: {directories: [/srv/a, /srv/b/]}\n" MESH(
				       "/srv/b/calls.log")),
		"/srv/b|calls.log");
	CU_ASSERT_STRING_EQUAL(log_of(NODE "  accessLog: {}\n" MESH("/var/log/meltemi/calls.log")),
		"/var/log/meltemi|calls.log");
}

/* A path that the Node does not permit costs the log and nothing else, and is named. */
static void refused(const char *text, uint32_t line, const char *words)
{
	struct built b = compiled(new_conf(), text);

	CU_ASSERT_PTR_NULL(b.s->log);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, words));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, "accessLogFile"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, line, "spec.accessLog.directories"));
	if (!has_diag(&b, MT_DIAG_WARNING, line, words))
		show_diags(&b);
	unbuild(&b);
}

static void test_refused(void)
{
	refused(NODE MESH("/etc/passwd"), 12, "/etc/passwd: access logs are written to");
	refused(NODE MESH("calls.log"), 12, "files below /var/log/meltemi");
	refused(NODE MESH("/var/log/meltemi/../calls.log"), 12, "no access log is written");
	refused(NODE MESH("/var/log/meltemi"), 12, "no access log is written");
	refused(NODE "  accessLog: {directories: [/srv]}\n" MESH("/var/log/meltemi/calls.log"), 13,
		"files below /srv");
}

static void test_node(void)
{
	static const char text[] = NODE "  accessLog: {directories: [logs]}\n";
	struct built b = build_text(new_conf(), text);

	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_ERROR, 6, "is not an absolute path"));
	unbuild(&b);
}

/* Of 2^32 calls, those that leave no line. */
static uint64_t skips_of(const char *text)
{
	struct built b = compiled(new_conf(), text);
	uint64_t skips = b.s->log_skips;

	CU_ASSERT_TRUE(b.s->logged);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	return skips;
}

#define SAMPLED(percent) NODE "  accessLog: {sample: " percent "}\n" MESH("/dev/stdout")

static void test_sampled(void)
{
	struct built b;

	CU_ASSERT_EQUAL(skips_of(NODE MESH("/dev/stdout")), 0);
	CU_ASSERT_EQUAL(skips_of(SAMPLED("100")), 0);
	CU_ASSERT_EQUAL(skips_of(SAMPLED("25")), 3ull << 30);
	CU_ASSERT_EQUAL(skips_of(SAMPLED("0")), 1ull << 32);
	CU_ASSERT_EQUAL(skips_of(SAMPLED("99.99")), (1ull << 32) / 10000);
	b = build_text(new_conf(), NODE "  accessLog: {sample: 101}\n");
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_ERROR, 6, "is not a number from 0 to 100"));
	unbuild(&b);
}

/* ---- formats and providers ------------------------------------------------------------------ */

#define PROVIDERS                                                                                  \
	CONFIG "    accessLogFile: /dev/stderr\n"                                                  \
	       "    accessLogFormat: '%PROTOCOL%'\n"                                               \
	       "    defaultProviders: {accessLogging: [Files, envoy, FILES]}\n"                    \
	       "    extensionProviders:\n"                                                         \
	       "    - name: files\n"                                                               \
	       "      envoyFileAccessLog:\n"                                                       \
	       "        path: /var/log/meltemi/calls.log\n"

/* Output `at` of these documents: "ENCODING DOCUMENT: FORMAT"; "default" for the default format. */
static const char *output_of(const char *text, uint32_t at)
{
	struct built b = compiled(new_conf(), text);
	const struct mt_access_log *l = b.s->log;
	static char found[512];

	found[0] = '\0';
	if (l && at < l->n_outputs) {
		const struct mt_access_output *o = &l->outputs[at];

		CU_ASSERT_EQUAL(o->spec.len, o->spec.text ? strlen(o->spec.text) : 0);
		snprintf(found, sizeof(found), "%s%s %s: %s",
			o->spec.encoding == MT_ALOG_JSON ? "json" : "text",
			o->spec.omit_empty ? " omit" : "", o->document + strlen("MeshConfig "),
			o->spec.text ? o->spec.text : "default");
	}
	if (b.diags.warnings)
		show_diags(&b);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	return found;
}

/* accessLogFormat and accessLogEncoding are those of accessLogFile. */
static void test_formats(void)
{
#define FILE_AND(more) NODE MESH("/dev/stdout") "    " more "\n"
	CU_ASSERT_STRING_EQUAL(output_of(FILE_AND("accessLogEncoding: TEXT"), 0),
		"text istio: accessLogFile: default");
	CU_ASSERT_STRING_EQUAL(output_of(FILE_AND("accessLogEncoding: JSON"), 0),
		"json istio: accessLogFile: default");
	CU_ASSERT_STRING_EQUAL(output_of(FILE_AND("accessLogFormat: '%PROTOCOL% %DURATION%'"), 0),
		"text istio: accessLogFile: %PROTOCOL% %DURATION%");
	CU_ASSERT_STRING_EQUAL(output_of(FILE_AND("accessLogEncoding: JSON\n    accessLogFormat: "
						  "'{\"a\": \"%PROTOCOL%\"}'"),
				       0),
		"json istio: accessLogFile: {\"a\": \"%PROTOCOL%\"}");
	/* Without a file there is no log. */
	CU_ASSERT_STRING_EQUAL(output_of(NODE CONFIG "    accessLogFormat: x\n", 0), "");
#undef FILE_AND
}

/* A format that cannot be read costs the log, or nothing if there is a good one. */
static void test_bad_format(void)
{
	static const char good[] = NODE MESH("/dev/stdout") "    accessLogFormat: good\n";
	static const char bad[] = NODE MESH("/dev/stderr") "    accessLogFormat: '%GOOD%'\n";
	struct mt_conf *c = new_conf();
	struct built b = compiled(c, bad);
	struct mt_err e;

	CU_ASSERT_PTR_NULL(b.s->log);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "accessLogFormat"));
	CU_ASSERT_TRUE(
		has_diag(&b, MT_DIAG_WARNING, 13, "no access log is written: column 1: GOOD"));
	mt_conf_discard(c, b.s, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = compiled(c, good);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = compiled(c, bad);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
	CU_ASSERT_STRING_EQUAL(b.s->log->outputs[0].spec.text, "good");
	CU_ASSERT_EQUAL(b.s->log->outputs[0].place.fd, 2);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "the last good format is used: column 1"));
	unbuild(&b);
}

/* Operators of Envoy without a value here are named. */
static void test_format_notes(void)
{
	struct built b = compiled(
		new_conf(), NODE MESH("/dev/stdout") "    accessLogFormat: '%GRPC_STATUS%'\n");

	CU_ASSERT_PTR_NOT_NULL(b.s->log);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 13, "GRPC_STATUS"));
	unbuild(&b);
}

/* defaultProviders.accessLogging names envoyFileAccessLog providers, or `envoy`. */
static void test_providers(void)
{
	CU_ASSERT_STRING_EQUAL(output_of(NODE PROVIDERS, 0), "text istio: provider files: default");
	CU_ASSERT_STRING_EQUAL(output_of(NODE PROVIDERS, 1),
		"text istio: defaultProviders.accessLogging: %PROTOCOL%");
	CU_ASSERT_STRING_EQUAL(output_of(NODE PROVIDERS, 2), "");
	CU_ASSERT_STRING_EQUAL(
		output_of(NODE PROVIDERS "        logFormat: {text: '%DURATION%'}\n", 0),
		"text istio: provider files: %DURATION%");
	CU_ASSERT_STRING_EQUAL(output_of(NODE PROVIDERS "        omitEmptyValues: true\n", 0),
		"text omit istio: provider files: default");
	CU_ASSERT_STRING_EQUAL(output_of(NODE PROVIDERS "        logFormat: {labels: {}}\n", 0),
		"json istio: provider files: default");
}

static void test_labels(void)
{
	CU_ASSERT_STRING_EQUAL(
		output_of(NODE PROVIDERS
			"        logFormat:\n          labels:\n"
			"            b: '%DURATION%'\n            a: {n: [1, -2.5e3, 01, \"3\", "
			"true, "
			"\"true\", ~]}\n            'q\"\\': \"t\\tn\\n%PROTOCOL%\"\n",
			0),
		"json istio: provider files: {\"b\": \"%DURATION%\", \"a\": {\"n\": [1, -2.5e3, "
		"\"01\", \"3\", true, \"true\", null]}, \"q\\\"\\\\\": "
		"\"t\\u0009n\\u000a%PROTOCOL%\"}");
}

/* Names that lead to no file: what is left is used. */
static void test_other_providers(void)
{
	static const char none[] = NODE CONFIG
		"    accessLogFile: /dev/stderr\n"
		"    defaultProviders: {accessLogging: [als, absent]}\n"
		"    extensionProviders:\n    - {name: als, zipkin: {service: a.b, port: 1}}\n"
		"    - {name: files, envoyFileAccessLog: {}}\n";
	struct built b = compiled(new_conf(), none);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
	CU_ASSERT_EQUAL(b.s->log->n_outputs, 1);
	CU_ASSERT_EQUAL(b.s->log->outputs[0].place.fd, 2);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "als gets no line"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "no provider is called absent"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 16, "names files"));
	unbuild(&b);
}

/* A provider whose place or format is bad costs only its own output. */
static void test_bad_provider(void)
{
	static const char text[] = NODE CONFIG
		"    defaultProviders: {accessLogging: [a, b, c]}\n"
		"    extensionProviders:\n    - {name: a, envoyFileAccessLog: {path: "
		"/etc/passwd}}\n"
		"    - name: b\n      envoyFileAccessLog: {logFormat: {labels: {x: '%PROTOCOL'}}}\n"
		"    - {name: c, envoyFileAccessLog: {}}\n";
	struct built b = compiled(new_conf(), text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
	CU_ASSERT_EQUAL(b.s->log->n_outputs, 1);
	CU_ASSERT_STRING_EQUAL(b.s->log->outputs[0].document, "MeshConfig istio: provider c");
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 14, "envoyFileAccessLog.path"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 16, "logFormat.labels"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 16, "column 8"));
	if (b.diags.warnings != 2)
		show_diags(&b);
	unbuild(&b);
}

/* A node has at most 16 outputs; further ones are named. */
static void test_many_providers(void)
{
	char text[4096];
	size_t n =
		(size_t)snprintf(text, sizeof(text), "%s", NODE CONFIG "    extensionProviders:\n");
	struct built b;

	for (int i = 0; i < MT_ALOG_OUTPUTS + 1; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"    - {name: p%d, envoyFileAccessLog: {}}\n", i);
	n += (size_t)snprintf(
		text + n, sizeof(text) - n, "    defaultProviders:\n      accessLogging:\n");
	for (int i = 0; i < MT_ALOG_OUTPUTS + 1; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "      - p%d\n", i);
	b = compiled(new_conf(), text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s->log);
	CU_ASSERT_EQUAL(b.s->log->n_outputs, MT_ALOG_OUTPUTS);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 29, "at most 16 outputs"));
	unbuild(&b);
}

/* ---- metadata ------------------------------------------------------------------------------- */

#define SERVICE(name, address, protocol)                                                           \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: a}\nspec:\n  hosts: [" name ".test]\n"              \
	"  addresses: [" address "]\n  resolution: STATIC\n"                                       \
	"  ports: [{number: 1, name: " protocol "}]\n  endpoints: [{address: 198.51.100.1}]\n"
#define SERVICES                                                                                   \
	SERVICE("a", "192.0.2.11", "tcp-metaprotocol-dubbo")                                       \
	SERVICE("b", "192.0.2.12", "tcp-metaprotocol-thrift")                                      \
	SERVICE("c", "192.0.2.13", "tcp-metaprotocol-dubbo") SERVICE("d", "192.0.2.14", "tcp")

/* The keys of a codec: "NAME ID," of requests, then of replies; "": there are none. */
static const char *keys_of(const struct mt_snapshot *s, const char *codec)
{
	static char text[512];

	text[0] = '\0';
	for (uint32_t i = 0; i < s->n_log_keys; i++) {
		const struct mt_log_keys *k = &s->log_keys[i];

		for (uint32_t n = 0; n < k->n_request + k->n_reply; n++) {
			const struct mt_key *key =
				n < k->n_request ? &k->request[n] : &k->reply[n - k->n_request];

			if (strcmp(k->codec->name, codec) != 0)
				continue;
			CU_ASSERT_TRUE(key->icase);
			CU_ASSERT_EQUAL(key->len, strlen(key->name));
			CU_ASSERT_EQUAL(
				key->hash, mt_key_hash((const uint8_t *)key->name, key->len));
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s %d,",
				n == k->n_request ? "; " : "", key->name, key->id);
		}
	}
	return text;
}

/* Names of all outputs, for each codec that clients may use. */
static void test_metadata(void)
{
	static const char text[] = NODE SERVICES PROVIDERS
		"        logFormat: {text: '%REQ(X-User)% %REQ(METHOD)% %RESP(x-cost)%'}\n";
	struct built b = compiled(new_conf(), text);

	CU_ASSERT_EQUAL(b.s->n_log_keys, 2);
	CU_ASSERT_TRUE(b.s->log_reads_replies);
	CU_ASSERT_STRING_EQUAL(keys_of(b.s, "dubbo"), "x-user -1,method 1,; x-cost -1,");
	CU_ASSERT_STRING_EQUAL(keys_of(b.s, "thrift"), "x-user -1,method 0,; x-cost -1,");
	unbuild(&b);
	b = compiled(new_conf(), NODE SERVICES MESH("/dev/stdout"));
	CU_ASSERT_STRING_EQUAL(keys_of(b.s, "dubbo"),
		"x-envoy-original-path -1,x-forwarded-for -1,user-agent -1,x-request-id -1,");
	CU_ASSERT_FALSE(b.s->log_reads_replies);
	unbuild(&b);
	b = compiled(new_conf(),
		NODE SERVICES MESH("/dev/stdout") "    accessLogFormat: '%REQ(:METHOD)%'\n");
	CU_ASSERT_EQUAL(b.s->n_log_keys, 0);
	unbuild(&b);
	b = compiled(new_conf(), NODE SERVICES);
	CU_ASSERT_EQUAL(b.s->n_log_keys, 0);
	unbuild(&b);
}

/* Names for which a call has no room are told. */
static void test_much_metadata(void)
{
	char text[8192];
	struct built b;
	size_t n = (size_t)snprintf(text, sizeof(text), "%s",
		NODE SERVICES MESH("/dev/stdout") "    accessLogFormat: '");

	for (int i = 0; i < 33; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%%REQ(n%d)%%", i);
	snprintf(text + n, sizeof(text) - n, "'\n");
	b = compiled(new_conf(), text);
	CU_ASSERT_PTR_NOT_NULL(b.s->log);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 52, "at most 32 names of requests"));
	CU_ASSERT_EQUAL(b.s->log_keys[0].n_request, 32);
	unbuild(&b);
}

/* ---- entries and snapshots ------------------------------------------------------------------ */

static void publish(struct mt_conf *c)
{
	struct built b = compiled(c, NODE MESH("/dev/stdout"));
	struct mt_err e;

	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
}

/* Entries that are not read keep the snapshots that were used when they were written. */
static void test_entries(void)
{
	struct mt_conf *c = new_conf();
	struct mt_err e;
	struct mt_alog *log = mt_alog_new(2, &e);
	struct mt_byte_ring *r;
	uint32_t len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(log);
	mt_conf_set_log(c, log);
	publish(c);
	publish(c);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 0);
	r = mt_alog_ring(log, 1);
	CU_ASSERT_PTR_NOT_NULL(mt_byte_ring_reserve(r, 100));
	mt_byte_ring_publish(r);
	publish(c);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 1);
	/* This entry is of the current one, or of none. */
	CU_ASSERT_PTR_NOT_NULL(mt_byte_ring_reserve(r, 100));
	mt_byte_ring_publish(r);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 1);
	CU_ASSERT_PTR_NOT_NULL(mt_byte_ring_peek(r, &len));
	mt_byte_ring_pop(r);
	CU_ASSERT_EQUAL(mt_conf_reap(c, NOW), 0);
	mt_conf_set_log(c, NULL);
	mt_alog_stop(log, 0);
	mt_alog_free(log);
	mt_conf_destroy(c);
}

const struct mt_test access_log_tests[] = {{"places_of_logs", test_places},
	{"paths that are refused", test_refused}, {"directories of the Node", test_node},
	{"sampled logs", test_sampled}, {"mesh_formats", test_formats},
	{"formats that cannot be read", test_bad_format},
	{"operators without a value", test_format_notes}, {"file_providers", test_providers},
	{"labels as JSON", test_labels}, {"providers without a file", test_other_providers},
	{"bad providers", test_bad_provider}, {"too many providers", test_many_providers},
	{"metadata that outputs name", test_metadata}, {"much metadata", test_much_metadata},
	{"entries keep their snapshot", test_entries}, {0}};
