/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of one object among others. */
#include "objects_test.h"

/* One that is wrong costs itself; what stands beside it, in the same file or List, is in force. */
static void one_costs_itself(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" SERVICE("b", "x",
			"127.0.0.1") "---\nspec: [\n---\n"
				     "apiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  "
				     "kind: Deployment\n"
				     "  metadata: {name: d}\n- apiVersion: "
				     "networking.istio.io/v1\n  "
				     "kind: DestinationRule\n"
				     "  metadata: {name: dr, namespace: x}\n  spec: {host: a.x, "
				     "subsetz: []}\n"
				     "- apiVersion: networking.istio.io/v1\n  kind: "
				     "DestinationRule\n"
				     "  metadata: {name: other, namespace: x}\n  spec: {host: "
				     "c.x}\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "b.x"), -1);
	IS_STATUS(&sc, "Node", "n", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "b", "refused");
	IS_STATUS(&sc, "Deployment", "d", "ignored");
	IS_STATUS(&sc, "DestinationRule", "dr", "refused");
	IS_STATUS(&sc, "DestinationRule", "other", "no-effect");
	IS_STATUS(&sc, "", "", "ignored");
	CU_ASSERT_EQUAL(sc.t->n, 7);
	CU_ASSERT_PTR_NOT_NULL(strstr(scene_row(&sc, "DestinationRule", "dr")->why,
		"spec.subsetz: unknown field (did you mean subsets?)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(
		scene_row(&sc, "ServiceEntry", "b")->why, "127.0.0.1 is a loopback address"));
	scene_end(&sc);
}

static uint32_t nodes_of(const struct scene *sc, const char *status)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->t->n; i++)
		n += sc->t->rows[i].o->is_node &&
		     strcmp(mt_object_status_str(sc->t->rows[i].status), status) == 0;
	return n;
}

/* Which of several Nodes counts depends on who is read first, and on no hash of what they say, whatever their names are. */
static void one_node_counts(void)
{
	static const char form[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: "
		"[192.0.2.%u/24]}]\n  tlsFiles: [{directory: %s}]\n";
	struct scene sc;
	char text[256];

	scene_begin(&sc);
	for (uint32_t i = 1; i < 20; i++) {
		snprintf(text, sizeof(text), form, i, sc.dir);
		scene_write(&sc, "1-copy.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL(sc.s);
		CU_ASSERT_EQUAL(nodes_of(&sc, "in-force"), 1);
		/* The first one is word for word the Node: one object in two places. */
		CU_ASSERT_EQUAL(nodes_of(&sc, "refused"), i > 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.t->model);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.t->model->node);
		CU_ASSERT_PTR_NOT_NULL(strstr(sc.t->model->node->meta.origin.file, "0-node.yaml"));
	}
	scene_end(&sc);
}

/* What depends on one that was refused goes on without it, and says so in the next round. */
static void what_depends_on_it(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		SERVICE("a", "x", "198.51.100.1") "---\n" ISTIO("DestinationRule", "dr",
			"x") "  host: a.x\n  subsets: [{name: v1}, {name: v1}]\n---\n" ROUTE("vs",
			"x", "a.x", ", subset: v1"));
	scene_load(&sc);
	IS_STATUS(&sc, "DestinationRule", "dr", "refused");
	IS_STATUS(&sc, "VirtualService", "vs", "in-force-with-notes");
	CU_ASSERT_PTR_NOT_NULL(strstr(scene_row(&sc, "VirtualService", "vs")->notes[0].text,
		"no subset \"v1\" of a.x: what gets there fails"));
	IS_STATUS(&sc, "ServiceEntry", "a", "in-force");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	scene_end(&sc);
}

/* Ten thousand warnings of others do not hide an error. */
static void no_error_is_hidden(void)
{
	static char text[400000];
	struct scene sc;
	size_t len = 0;

	scene_begin(&sc);
	for (int i = 0; i < 600; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: "
			"{name: d%d}\n"
			"spec: {host: a.x, trafficPolicy: {loadBalancer: {warmupDurationSecs: "
			"1s}}}\n",
			i);
	scene_write(&sc, "a.yaml", text);
	scene_write(&sc, "b.yaml", SERVICE("b", "x", "127.0.0.1"));
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "b", "refused");
	CU_ASSERT(sc.diags.n > 600);
	scene_end(&sc);
}

struct closing {
	const char *name, *text;
	const char *status;
	bool closes;
};

/* An object closes what it is about only if some call's outcome would differ from ours. */
static const struct closing closings[] = {
	{"deny-all", SECURITY("AuthorizationPolicy", "p", "x", "{}"), "in-force", false},
	{"deny-all without a spec",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p, namespace: x}\n",
		"in-force", false},
	{"allow rules",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{rules: [{to: [{operation: {ports: ['80']}}]}]}"),
		"in-force", false},
	{"allow all", SECURITY("AuthorizationPolicy", "p", "x", "{rules: [{}]}"), "in-force",
		false},
	{"deny nothing", SECURITY("AuthorizationPolicy", "p", "x", "{action: DENY}"),
		"in-force-with-notes", false},
	{"deny something", SECURITY("AuthorizationPolicy", "p", "x", "{action: DENY, rules: [{}]}"),
		"in-force", false},
	{"custom",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: CUSTOM, provider: {name: a}, rules: [{}]}"),
		"fail-closed", true},
	{"custom of nothing",
		SECURITY("AuthorizationPolicy", "p", "x", "{action: CUSTOM, provider: {name: a}}"),
		"in-force", false},
	{"custom of nobody",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: CUSTOM, rules: [{from: [{source: {principals: ['*']}}]}]}"),
		"in-force", false},
	{"deny by a condition that is not known",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: DENY, rules: [{when: [{key: experimental.x, values: [a]}]}]}"),
		"fail-closed", true},
	{"deny at the port by a condition that is not known",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: DENY, rules: [{to: [{operation: {ports: ['80']}}], "
			"when: [{key: experimental.x, notValues: [a]}]}]}"),
		"fail-closed", true},
	{"deny at another port by a condition that is not known",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: DENY, rules: [{to: [{operation: {ports: ['81']}}], "
			"when: [{key: experimental.x, values: [a]}]}]}"),
		"in-force-with-notes", false},
	{"allow by a condition that is not known",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{rules: [{when: [{key: experimental.x, values: [a]}]}]}"),
		"fail-closed", true},
	{"allow by a condition that is not known, and nobody else",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{rules: [{when: [{key: experimental.x, values: [a]}]}, "
			"{from: [{source: {principals: ['*']}}]}]}"),
		"fail-closed", true},
	{"custom at the port",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {ports: "
			"['80']}}]}]}"),
		"fail-closed", true},
	{"hosts",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{rules: [{to: [{operation: {hosts: [a]}}]}]}"),
		"in-force-with-notes", false},
	{"audit", SECURITY("AuthorizationPolicy", "p", "x", "{action: AUDIT, rules: [{}]}"),
		"in-force-with-notes", false},
	{"dry run",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, "
		"namespace: x, "
		"annotations: {istio.io/dry-run: 'true'}}\nspec: {}\n",
		"in-force-with-notes", false},
	{"strict", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: STRICT}}"),
		"fail-closed", true},
	{"permissive", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: PERMISSIVE}}"),
		"in-force-with-notes", false},
	{"disable", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: DISABLE}}"), "in-force",
		false},
	{"strict port of nobody in particular",
		SECURITY("PeerAuthentication", "p", "x",
			"{mtls: {mode: PERMISSIVE}, portLevelMtls: {'80': {mode: STRICT}}}"),
		"in-force-with-notes", false},
	{"strict in the root namespace with a selector",
		SECURITY("PeerAuthentication", "p", "istio-system",
			"{selector: {matchLabels: {a: b}}, mtls: {mode: STRICT}}"),
		"no-effect", false},
	{"tokens", SECURITY("RequestAuthentication", "p", "x", "{jwtRules: [{issuer: a}]}"),
		"in-force-with-notes", false},
	{"no tokens", SECURITY("RequestAuthentication", "p", "x", "{selector: {}}"), "in-force",
		false},
	{"another namespace", SECURITY("AuthorizationPolicy", "p", "y", "{}"), "no-effect", false},
	{"another selector",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{selector: {matchLabels: {a: b}}, action: CUSTOM, rules: [{}]}"),
		"no-effect", false},
	{"the root namespace", SECURITY("AuthorizationPolicy", "p", "istio-system", "{}"),
		"in-force", false},
	{"refused", SECURITY("AuthorizationPolicy", "p", "x", "{action: REJECT}"), "refused", true},
	{"refused, of others",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{selector: {matchLabels: {a: b}}, action: REJECT}"),
		"refused", false},
	{"refused, of whom cannot be read",
		SECURITY("AuthorizationPolicy", "p", "x",
			"{selector: {matchLabels: [a]}, action: REJECT}"),
		"refused", true},
	{"a filter that authorizes",
		ISTIO("EnvoyFilter", "p", "x") "  configPatches:\n  - applyTo: NETWORK_FILTER\n    "
					       "patch: {operation: INSERT_BEFORE, value: "
					       "{name: envoy.filters.network.ext_authz}}\n",
		"fail-closed", true},
	{"a filter with a misspelled list",
		ISTIO("EnvoyFilter", "p", "x") "  configPatchs:\n  - applyTo: NETWORK_FILTER\n    "
					       "patch: {operation: INSERT_BEFORE, value: "
					       "{name: envoy.filters.network.ext_authz}}\n",
		"refused", true},
	{"a harmless filter with a misspelled field",
		ISTIO("EnvoyFilter", "p",
			"x") "  prority: 1\n  configPatches:\n  - applyTo: CLUSTER\n"
			     "    patch: {operation: MERGE, value: {a: 1}}\n",
		"refused", false},
	{"a filter at a misspelled place",
		ISTIO("EnvoyFilter", "p",
			"x") "  configPatches:\n  - applyTo: NETWORK_FILTERS\n    "
			     "patch: {operation: INSERT_BEFORE, value: "
			     "{name: team.guard}}\n",
		"fail-closed", true},
	{"illegible",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: "
		"p\n"
		"  namespace: x\nspec: {{\n",
		"refused", true},
	{"rules misspelled",
		SECURITY("AuthorizationPolicy", "p", "x", "{action: DENY, rule: [{}]}"), "refused",
		true},
	{"action misspelled",
		SECURITY("AuthorizationPolicy", "p", "x", "{acton: DENY, rules: [{}]}"), "refused",
		true},
	{"mtls misspelled", SECURITY("PeerAuthentication", "p", "x", "{mtl: {mode: STRICT}}"),
		"refused", true},
	{"mode misspelled", SECURITY("PeerAuthentication", "p", "x", "{mtls: {mod: STRICT}}"),
		"refused", true},
	{"a port's mode misspelled",
		SECURITY("PeerAuthentication", "p", "x",
			"{selector: {matchLabels: {app: x}}, portLevelMtls: {80: {mod: STRICT}}}"),
		"refused", false},
	{"a list of ports",
		SECURITY("PeerAuthentication", "p", "x",
			"{mtls: {mode: PERMISSIVE}, portLevelMtls: [{80: {mode: STRICT}}]}"),
		"refused", true},
	{"a word in place of ports",
		SECURITY("PeerAuthentication", "p", "x",
			"{mtls: {mode: PERMISSIVE}, portLevelMtls: STRICT}"),
		"refused", true},
	{"mtls twice",
		SECURITY("PeerAuthentication", "p", "x",
			"{mtls: {mode: PERMISSIVE}, mtls: {mode: STRICT}}"),
		"refused", true},
	{"spec misspelled",
		"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
		"metadata: {name: p, namespace: x}\nspce: {mtls: {mode: STRICT}}\n",
		"refused", true},
	{"tokens misspelled",
		SECURITY("RequestAuthentication", "p", "x", "{jwtRule: [{issuer: a}]}"), "refused",
		true},
	{"unknown field",
		SECURITY("PeerAuthentication", "p", "x", "{mtls: {mode: STRICT}}\nspecs: 1"),
		"refused", true},
};

static void what_protects_closes(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(closings); i++) {
		const struct closing *c = &closings[i];
		const char *status;
		struct scene sc;
		int n;

		scene_begin(&sc);
		scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
		scene_write(&sc, "p.yaml", c->text);
		scene_load(&sc);
		status = "";
		for (uint32_t k = 0; k < sc.t->n; k++)
			if (strcmp(sc.t->rows[k].o->name, "p") == 0)
				status = mt_object_status_str(sc.t->rows[k].status);
		n = scene_endpoints(&sc, "a.x");
		CU_ASSERT_STRING_EQUAL(status, c->status);
		CU_ASSERT_EQUAL(n, c->closes ? -2 : 1);
		if (strcmp(status, c->status) != 0 || n != (c->closes ? -2 : 1))
			fprintf(stderr, "%s: %s, %d endpoints\n", c->name, status, n);
		CU_ASSERT_EQUAL(sc.diags.closed, c->closes);
		scene_end(&sc);
	}
}

/* With policies that close some calls the object is closed, and the service goes on. */
static void some_calls_are_closed(void)
{
	static const char *const texts[] = {
		"{action: DENY, rules: [{to: [{operation: {methods: [a]}}], "
		"when: [{key: experimental.x, values: [a]}]}]}",
		"{action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}], "
		"when: [{key: experimental.x, values: [a]}]}]}",
		"{rules: [{when: [{key: experimental.x, values: [a]}]}, "
		"{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}",
		"{action: CUSTOM, provider: {name: a}, rules: [{to: [{operation: {methods: "
		"[a]}}]}]}",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct scene sc;
		char text[600];

		scene_begin(&sc);
		scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
		snprintf(text, sizeof(text), "%s%s\n",
			"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
			"metadata: {name: p, namespace: x}\nspec: ",
			texts[i]);
		scene_write(&sc, "p.yaml", text);
		scene_load(&sc);
		IS_STATUS(&sc, "AuthorizationPolicy", "p", "fail-closed");
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
		scene_end(&sc);
	}
}

/* Nobody knows what it protects: nothing is closed by a guess, and the node is not ready. */
static void a_closing_of_nobody_knows_what(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_write(&sc, "p.yaml",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "a.x"), 1);
	CU_ASSERT_TRUE(sc.t->unknown_closed);
	scene_end(&sc);
}

/* A discovery server speaks for days, and files say the same: what each object is about is found anew, and takes no more room. */
static void what_is_said_again(void)
{
	const struct mt_object_row *row;
	struct mt_diags diags;
	struct scene sc;
	size_t used;
	int rc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", SERVICE("a", "x", "198.51.100.1"));
	scene_load(&sc);
	row = scene_row(&sc, "ServiceEntry", "a");
	used = sc.t->region.used;
	for (int i = 0; i < 20; i++) {
		mt_table_reset(sc.t);
		CU_ASSERT_EQUAL(row->n_touches, 0);
		mt_diags_init(&diags);
		CU_ASSERT_PTR_NOT_NULL(mt_table_model(sc.t, &rc));
		mt_table_finish(sc.t, &diags);
		mt_table_touch(sc.t);
		mt_diags_fini(&diags);
		CU_ASSERT_EQUAL_FATAL(row->n_touches, 1);
		CU_ASSERT_STRING_EQUAL(row->touches[0], "a.x");
	}
	CU_ASSERT_EQUAL(sc.t->region.used, used);
	scene_end(&sc);
}

/* Between its two marks the page is exactly what the table says. */
static void reference_page(void)
{
	static const char from[] = "<!-- from here on written by the table of statuses -->\n",
			  to[] = "<!-- to here -->\n";
	static char page[64 * 1024];
	FILE *f = fopen(MT_SOURCE_ROOT "/docs/reference/objects.md", "r"), *out;
	char *text = NULL, *at, *end;
	size_t len = 0, n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	fclose(f);
	out = open_memstream(&text, &len);
	mt_object_reference(out);
	fclose(out);
	at = strstr(page, from);
	end = at ? strstr(at, to) : NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(end);
	*end = '\0';
	CU_ASSERT_STRING_EQUAL(at + strlen(from), text);
	if (strcmp(at + strlen(from), text) != 0)
		fputs(text, stderr);
	free(text);
}

const struct mt_test status_tests[] = {
	{"reference_page", reference_page},
	{"one_costs_itself", one_costs_itself},
	{"what_is_said_again", what_is_said_again},
	{"one_node_counts", one_node_counts},
	{"what_depends_on_it", what_depends_on_it},
	{"no_error_is_hidden", no_error_is_hidden},
	{"what_protects_closes", what_protects_closes},
	{"some_calls_are_closed", some_calls_are_closed},
	{"a_closing_of_nobody_knows_what", a_closing_of_nobody_knows_what},
	{0},
};
