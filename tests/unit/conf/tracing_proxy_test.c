/* SPDX-License-Identifier: Apache-2.0 */
/* Tracing of a discovery service's proxies: their share, and the collector of the MeshConfig. */
#include "mesh_build.h"

#include "mt_alog.h"
#include "mt_call_tracing.h"

#include <string.h>

#define ONE	"extensionProviders:\n- {name: one, opentelemetry: {service: 192.0.2.9, port: 4317}}\n"
#define DEFAULT ONE "defaultProviders: {tracing: [one]}\n"
#define OLD	"defaultConfig: {tracing: {sampling: 3, zipkin: {address: \"192.0.2.9:9411\"}}}\n"

/* A listener of messages, of whose calls this share (percent * 100) is traced. */
static struct mt_proxy_patch *proxy(struct mesh_scene *sc, uint32_t share)
{
	struct mt_proxy_patch *p =
		mesh_proxy(sc->m, mesh_listener(sc->m, "l", "240.240.0.1", 20880), "dubbo", NULL);

	mesh_simple_cluster(sc->m, "a");
	mesh_rule(sc->m, &p->routes, "all", "a");
	p->traced = (struct mt_num){.v = share, .set = true};
	return p;
}

/* Replaces the MeshConfig; NULL: there is none. */
static void use(struct mesh_scene *sc, const char *config)
{
	char text[1024], *to = text;

	sc->m->mesh.config = NULL;
	if (!config)
		return;
	to = stpcpy(to, "apiVersion: v1\nkind: ConfigMap\n"
			"metadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: |\n");
	for (const char *line = config; *line; line = strchr(line, '\n') + 1) {
		to = stpcpy(to, "    ");
		to = mempcpy(to, line, (size_t)(strchr(line, '\n') + 1 - line));
	}
	*to = '\0';
	sc->m->mesh_configs.n = 0;
	mt_source_text(sc->m, &sc->diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL_FATAL(sc->m->mesh_configs.n, 1);
	sc->m->mesh.config = sc->m->mesh_configs.v[0];
}

static const struct mt_service *served(const struct mesh_scene *sc)
{
	const struct mt_listener *l = listener(sc->s, "240.240.0.1", 20880);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	return l->protos->services[0];
}

/* "PERCENT FORMATS" of calls with spans; "off". */
static const char *traced(const struct mesh_scene *sc)
{
	const struct mt_call_tracing *t = served(sc)->tracing;
	static char text[64];

	if (!t)
		return "off";
	CU_ASSERT_TRUE(t->attempts && t->key && t->lengths);
	CU_ASSERT_FALSE(t->istio);
	CU_ASSERT_PTR_NULL(t->tags);
	snprintf(text, sizeof(text), "%g %u",
		(double)t->rule.threshold * 100 / (double)MT_TRACING_ALWAYS, t->rule.write);
	return text;
}

static void shares(void)
{
	static const struct {
		const char *config, *want;
		uint32_t share;
	} rows[] = {
		{DEFAULT, "100 1", 10000},
		{DEFAULT, "12.5 1", 1250},
		{DEFAULT, "0 1", 0},
		/* Its own share counts, not that of defaultConfig. */
		{OLD, "25 4", 2500},
		{OLD "enableTracing: false\n", "off", 2500},
		{ONE, "off", 2500},
		{NULL, "off", 2500},
		{ONE "defaultProviders: {tracing: [none]}\n", "off", 2500},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mesh_scene sc = mesh_scene_new();

		proxy(&sc, rows[i].share);
		use(&sc, rows[i].config);
		mesh_load(&sc);
		CU_ASSERT_STRING_EQUAL(traced(&sc), rows[i].want);
		if (strcmp(traced(&sc), rows[i].want) != 0)
			printf("row %zu: %s\n", i, traced(&sc));
		mesh_scene_end(&sc);
	}
}

/* Without `tracing` a proxy's calls have no spans. */
static void not_wanted(void)
{
	struct mesh_scene sc = mesh_scene_new();

	proxy(&sc, 10000)->traced.set = false;
	use(&sc, DEFAULT);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(traced(&sc), "off");
	use(&sc, NULL);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.diags.n, 0);
	mesh_scene_end(&sc);
}

/* Without a collector each load has a note. */
static void told(void)
{
	struct mesh_scene sc = mesh_scene_new();

	proxy(&sc, 10000);
	for (int i = 0; i < 2; i++) {
		mesh_load(&sc);
		CU_ASSERT_TRUE(mesh_told(&sc, MT_DIAG_NOTE, "l",
			"its calls are not traced: the MeshConfig has no provider of spans"));
		CU_ASSERT_EQUAL(sc.diags.n, 1);
	}
	use(&sc, DEFAULT);
	mesh_load(&sc);
	CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_NOTE, "l", "its calls are not traced"));
	mesh_scene_end(&sc);
}

/* The service stays while nothing changes, and follows the MeshConfig. */
static void changes(void)
{
	struct mesh_scene sc = mesh_scene_new();
	const struct mt_service *before;

	proxy(&sc, 10000);
	use(&sc, DEFAULT);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(traced(&sc), "100 1");
	before = served(&sc);
	mesh_load(&sc);
	CU_ASSERT_PTR_EQUAL(served(&sc), before);
	use(&sc, OLD);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(traced(&sc), "100 4");
	use(&sc, NULL);
	mesh_load(&sc);
	CU_ASSERT_STRING_EQUAL(traced(&sc), "off");
	mesh_scene_end(&sc);
}

const struct mt_test tracing_proxy_tests[] = {{"shares of proxies", shares},
	{"proxies without tracing", not_wanted}, {"proxies without a collector", told},
	{"proxies follow the MeshConfig", changes}, {0}};
