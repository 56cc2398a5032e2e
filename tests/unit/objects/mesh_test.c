/* SPDX-License-Identifier: Apache-2.0 */
/* What Node and MeshConfig say of the mesh, and of what source and namespace objects are. */
#include "objects_test.h"

#define SCENE_WALL 1790000000

#define NODE(spec)                                                                                 \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n" spec
#define CONFIG(ns, text)                                                                           \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: " ns                  \
	"}\ndata: {mesh: \"" text "\"}\n"

static const char *root_of(const struct scene *sc)
{
	return sc->t->mesh.root_ns;
}

/* The Node's word, then that of the ConfigMap of its root namespace, then the default. */
static void whose_word_counts(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "istio-system");
	CU_ASSERT_PTR_NULL(sc.t->mesh.config);
	scene_write(&sc, "a.yaml",
		CONFIG("istio-system", "rootNamespace: top") "---\n" CONFIG(
			"x", "rootNamespace: no"));
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "top");
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "ConfigMap", "istio")->o->ns, "istio-system");
	IS_STATUS(&sc, "ConfigMap", "istio", "in-force");
	CU_ASSERT_EQUAL(sc.t->rows[1].status, MT_OBJECT_IGNORED);
	/* Another root namespace is another ConfigMap; what it says of that is a difference. */
	scene_write(&sc, "0-node.yaml", NODE("  mesh: {rootNamespace: x, trustDomain: a.b}\n"));
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "x");
	CU_ASSERT_STRING_EQUAL(sc.t->mesh.trust_domain, "a.b");
	CU_ASSERT_EQUAL(sc.t->rows[0].status, MT_OBJECT_IGNORED);
	CU_ASSERT_EQUAL(sc.t->rows[1].status, MT_OBJECT_NOTES);
	CU_ASSERT_STRING_EQUAL(sc.t->rows[1].notes[0].field, "rootNamespace");
	scene_end(&sc);
}

/* What restricts there restricts everywhere, and what was the root namespace is one like others. */
static void root_namespace_closes(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" SECURITY(
			"PeerAuthentication", "p", "top", "{mtls: {mode: STRICT}}"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_write(&sc, "0-node.yaml", NODE("  mesh: {rootNamespace: top}\n"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_write(&sc, "0-node.yaml", NODE(""));
	scene_write(&sc, "b.yaml", CONFIG("istio-system", "rootNamespace: top"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	scene_end(&sc);
}

/* A MeshConfig of which something is wrong is an object like others: its last good version goes on. */
static void config_is_held(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "b.yaml", CONFIG("istio-system", "rootNamespace: top"));
	scene_load(&sc);
	scene_write(&sc, "b.yaml", CONFIG("istio-system", "rootNamespace: ["));
	scene_load(&sc);
	IS_STATUS(&sc, "ConfigMap", "istio", "last-good");
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "top");
	scene_end(&sc);
}

/* A file, which the Node names, comes before any ConfigMap, and is an object of its own. */
static void config_in_a_file(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, ".mesh.yaml", "rootNamespace: filed\n");
	scene_write(&sc, "0-node.yaml",
		NODE("  mesh: {config: .mesh.yaml}\n  sources: [{directory: .}]\n"));
	scene_write(&sc, "b.yaml", CONFIG("istio-system", "rootNamespace: top"));
	scene_load_node(&sc);
	IS_STATUS(&sc, "MeshConfig", "mesh", "in-force");
	IS_STATUS(&sc, "ConfigMap", "istio", "ignored");
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "filed");
	/* Also when it cannot be read later. */
	scene_write(&sc, ".mesh.yaml", "rootNamespace: [\n");
	scene_restart(&sc);
	scene_load_node(&sc);
	IS_STATUS(&sc, "MeshConfig", "mesh", "last-good");
	CU_ASSERT_STRING_EQUAL(root_of(&sc), "filed");
	scene_end(&sc);
}

/* Unwritten namespaces are those of the source, and sources are part of who an object is. */
static void sources(void)
{
	static const char text[] = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
				   "metadata: {name: a}\nspec: {hosts: [a.x], ports: [{number: 80, "
				   "name: tcp}], resolution: STATIC, endpoints: [{address: "
				   "198.51.100.1}]}\n";
	struct scene sc;
	char cmd[80];

	scene_begin(&sc);
	snprintf(cmd, sizeof(cmd), "mkdir %s/.d", sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(&sc, ".d/a.yaml", text);
	scene_write(&sc, "0-node.yaml", NODE("  sources: [{directory: .d}]\n"));
	scene_load_node(&sc);
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "ServiceEntry", "a")->o->ns, "default");
	CU_ASSERT(scene_row(&sc, "ServiceEntry", "a")->o->ns_unwritten);
	/* The same file, not touched, is of another namespace now. */
	scene_write(&sc, "0-node.yaml",
		NODE("  sources: [{directory: .d, namespace: stock, name: shelf}]\n"));
	scene_load_node(&sc);
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "ServiceEntry", "a")->o->ns, "stock");
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "ServiceEntry", "a")->o->source, "shelf");
	CU_ASSERT_FALSE(scene_row(&sc, "ServiceEntry", "a")->o->ns_unwritten);
	/* And is found again as what it was, after a restart. */
	scene_write(&sc, ".d/a.yaml",
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: a}\nspec: [\n");
	scene_restart(&sc);
	scene_load_node(&sc);
	IS_STATUS(&sc, "ServiceEntry", "a", "last-good");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_end(&sc);
}

/* What a Secret holds is nowhere in the state directory. */
static void secrets_are_not_kept(void)
{
	struct scene sc;
	char cmd[120];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\napiVersion: v1\nkind: Secret\nmetadata: "
						  "{name: s}\ndata: {key: Y29uZmlkZW50aWFs}\n");
	scene_load(&sc);
	snprintf(cmd, sizeof(cmd), "grep -q a.x %s/objects.jsonl", sc.state);
	CU_ASSERT_EQUAL(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "grep -rq 'Secret\\|Y29uZmlkZW50aWFs' %s", sc.state);
	CU_ASSERT_NOT_EQUAL(system(cmd), 0);
	scene_end(&sc);
}

/* Left out as long as it says the same and the day has not passed. */
static void left_out_for_a_while(void)
{
	static const char until[] = "2026-09-24"; /* three days after SCENE_WALL */
	struct scene sc;
	char text[500], hash[MT_CONTENT_HASH_TEXT];
	json_t *j;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "p.yaml",
		"apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: "
		"{name: none, namespace: x}\nspec: {type: NETWORK}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	j = mt_row_json(scene_row(&sc, "WasmPlugin", "none"));
	snprintf(hash, sizeof(hash), "%s", json_string_value(json_object_get(j, "hash")));
	json_decref(j);
	CU_ASSERT_EQUAL(strlen(hash), 64);
	snprintf(text, sizeof(text),
		NODE("  unenforced: [{kind: WasmPlugin, namespace: x, name: none, "
		     "hash: \"%s\", until: %s, because: tests}]\n"),
		hash, until);
	scene_write(&sc, "0-node.yaml", text);
	mt_kept_clock(sc.kept, SCENE_WALL);
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	IS_STATUS(&sc, "WasmPlugin", "none", "no-effect");
	CU_ASSERT(scene_row(&sc, "WasmPlugin", "none")->unenforced);
	/* That it ends within a week is told of the Node. */
	CU_ASSERT_EQUAL(scene_row(&sc, "Node", "n")->n_notes, 1);
	CU_ASSERT_FALSE(mt_table_is_due(sc.t, sc.t->until - 1));
	CU_ASSERT(mt_table_is_due(sc.t, sc.t->until));
	/* The day itself is the last one. */
	mt_kept_clock(sc.kept, sc.t->until - 1);
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	mt_kept_clock(sc.kept, sc.t->until);
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	/* Another word of it is another object. */
	mt_kept_clock(sc.kept, SCENE_WALL);
	scene_write(&sc, "p.yaml",
		"apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: "
		"{name: none, namespace: x}\nspec: {type: NETWORK, priority: 1}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "Node", "n")->notes[0].text, "its content has changed"));
	/* A hash that an earlier version showed is accepted, and exempts nothing. */
	scene_write(&sc, "0-node.yaml",
		NODE("  unenforced: [{kind: WasmPlugin, namespace: x, name: none, hash: "
		     "0123456789abcdef, until: 2026-09-24, because: tests}]\n"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), -2);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(scene_row(&sc, "Node", "n")->notes[0].text, "of an earlier version"));
	scene_end(&sc);
}

const struct mt_test mesh_tests[] = {
	{"left_out_for_a_while", left_out_for_a_while},
	{"whose_word_counts", whose_word_counts},
	{"root_namespace_closes", root_namespace_closes},
	{"config_is_held", config_is_held},
	{"config_in_a_file", config_in_a_file},
	{"sources", sources},
	{"secrets_are_not_kept", secrets_are_not_kept},
	{0},
};
