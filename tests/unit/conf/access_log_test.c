/* SPDX-License-Identifier: Apache-2.0 */
/* accessLogFile: where it may lead, and how long a snapshot lives whose calls are logged. */
#include "conf_test.h"

#include "mt_alog.h"

#include <string.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"                             \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
#define MESH(path)                                                                                 \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data:\n  mesh: |\n    accessLogFile: " path "\n"
#define TELEMETRY(log)                                                                             \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"                                \
	"metadata: {name: t, namespace: istio-system}\n"                                           \
	"spec: {accessLogging: [" log "]}\n"

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
	if (l && l->place.path)
		snprintf(found, sizeof(found), "%s|%s", l->place.directory, l->place.path);
	else if (l)
		snprintf(found, sizeof(found), "%d", l->place.fd);
	if (l)
		CU_ASSERT_STRING_EQUAL(l->document, "MeshConfig istio: accessLogFile");
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

static uint32_t notes_of(const struct built *b)
{
	char text[1024];
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++) {
		mt_diag_format(&b->diags.items[i], text, sizeof(text));
		if (b->diags.items[i].severity == MT_DIAG_NOTE && strstr(text, "accessLogFile"))
			n++;
	}
	return n;
}

/* Each kind of item has one note. In Istio a disabled one would end the log. */
static void test_telemetry(void)
{
	struct built b =
		compiled(new_conf(), NODE MESH("/dev/stdout") TELEMETRY("{disabled: true}"));

	CU_ASSERT_PTR_NOT_NULL(b.s->log);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 17, "spec.accessLogging"));
	CU_ASSERT_EQUAL(notes_of(&b), 1);
	unbuild(&b);
	b = compiled(new_conf(), NODE TELEMETRY("{disabled: true}"));
	CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_NOTE, 12, "spec.accessLogging"));
	unbuild(&b);
	b = compiled(
		new_conf(), NODE MESH("/dev/stdout") TELEMETRY("{providers: [{name: envoy}]}"));
	CU_ASSERT_EQUAL(notes_of(&b), 1);
	unbuild(&b);
}

static void test_node(void)
{
	static const char text[] = NODE "  accessLog: {directories: [logs]}\n";
	struct built b = build_text(new_conf(), text);

	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_ERROR, 6, "is not an absolute path"));
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
	{"paths that are refused", test_refused}, {"Telemetry", test_telemetry},
	{"directories of the Node", test_node}, {"entries keep their snapshot", test_entries}, {0}};
