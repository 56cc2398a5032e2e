/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source that is limited to some namespaces: objects of others are refused there, and change
 * nothing in those namespaces.
 */
#include "objects_test.h"

#include <stdio.h>

#define NODE(sources)                                                                              \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  sources: [" sources "]\n"

/* Of the team with namespace a, and of all others. */
#define TEAM   "{directory: all/team, namespaces: [a]}"
#define OTHERS "{directory: all}"

#define DENY(name, ns) SECURITY("AuthorizationPolicy", name, ns, "{action: DENY, rules: [{}]}")

static void begin(struct scene *sc, const char *node)
{
	char cmd[100];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
	scene_write(sc, "all/b.yaml",
		SERVICE("s", "b", "198.51.100.1") "---\n" SERVICE("d", "default", "198.51.100.2"));
	scene_write(sc, "all/team/a.yaml", SERVICE("t", "a", "198.51.100.3"));
}

static bool has_error(const struct scene *sc, const char *words)
{
	char line[1024];

	for (uint32_t i = 0; i < sc->diags.n; i++) {
		(void)mt_diag_format(&sc->diags.items[i], line, sizeof(line));
		if (strstr(line, words))
			return true;
	}
	return false;
}

/* All three services are served, and no policy is in force. */
static void is_untouched(const struct scene *sc)
{
	CU_ASSERT_EQUAL(scene_endpoints(sc, "s.b"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(sc, "d.default"), 1);
	CU_ASSERT_EQUAL(scene_endpoints(sc, "t.a"), 1);
	CU_ASSERT_EQUAL(sc->t->n_closings, 0);
	CU_ASSERT_FALSE(sc->t->unknown_closed);
	for (uint32_t i = 0; i < sc->t->n; i++)
		if (sc->t->rows[i].o->may_restrict)
			CU_ASSERT_PTR_NULL(sc->t->rows[i].used);
}

#define OTHER "is not among the namespaces of this source: a (write one of them"
#define CLUSTER                                                                                    \
	"a kind without namespaces; this source may have objects of these namespaces only: a"

/* `error`: words of its line; each names the file. */
static const struct {
	const char *text, *kind, *name, *error;
} refused[] = {
	{DENY("x", "b"), "AuthorizationPolicy", "x", ":3: error: metadata.namespace: \"b\" " OTHER},
	{DENY("x", "istio-system"), "AuthorizationPolicy", "x",
		":3: error: metadata.namespace: \"istio-system\" " OTHER},
	{"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\n",
		"AuthorizationPolicy", "x",
		":1: error: metadata.namespace: is not written, and \"default\" " OTHER},
	{"kind: List\napiVersion: v1\nitems:\n- apiVersion: security.istio.io/v1\n"
	 "  kind: AuthorizationPolicy\n  metadata: {name: x, namespace: b}\n",
		"AuthorizationPolicy", "x", ":6: error: metadata.namespace: \"b\" " OTHER},
	{"kind: AuthorizationPolicyList\napiVersion: security.istio.io/v1\nitems:\n"
	 "- apiVersion: security.istio.io/v1\n"
	 "  kind: AuthorizationPolicy\n  metadata: {name: x, namespace: b}\n",
		"AuthorizationPolicy", "x", ":6: error: metadata.namespace: \"b\" " OTHER},
	{SECURITY("PeerAuthentication", "x", "b", "{mtls: {mode: STRICT}}"), "PeerAuthentication",
		"x", "metadata.namespace: \"b\" " OTHER},
	{"apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n"
	 "metadata: {name: x, namespace: b}\nspec: {}\n",
		"WasmPlugin", "x", "metadata.namespace: \"b\" " OTHER},
	{ISTIO("DestinationRule", "x", "b") "  host: s.b\n", "DestinationRule", "x",
		"metadata.namespace: \"b\" " OTHER},
	{"apiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: b}\n", "Secret", "x",
		"metadata.namespace: \"b\" " OTHER},
	{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n"
	 "data: {mesh: \"rootNamespace: a\"}\n",
		"ConfigMap", "istio", "metadata.namespace: \"istio-system\" " OTHER},
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", "Namespace", "x",
		":2: error: kind: " CLUSTER},
	{"apiVersion: v1\nkind: Namespace\nmetadata: {name: x, namespace: a}\n", "Namespace", "x",
		":2: error: kind: " CLUSTER},
	{"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"
	 "metadata: {name: x}\nspec: {protocol: dubbo, codec: aeraki.meta_protocol.codec.thrift}\n",
		"ApplicationProtocol", "x", ":2: error: kind: " CLUSTER},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: x}\nspec: {}\n", "Node", "x",
		":2: error: kind: " CLUSTER},
	{"apiVersion: meltemi.io/v2\nkind: Node\nmetadata: {name: x, namespace: a}\nspec: {}\n",
		"Node", "x", "is not an API version of Node"},
	/* With another mistake, which has the error. */
	{"apiVersion: security.istio.io/v9\nkind: AuthorizationPolicy\n"
	 "metadata: {name: x, namespace: b}\nspec: {}\n",
		"AuthorizationPolicy", "x", "is not an API version"},
	{"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
	 "metadata: {name: x, namespace: b}\nspec: [\n",
		"AuthorizationPolicy", "x", "error"},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: x}\nspec: [\n", "Node", "x",
		"error"},
};

static void confined_sources(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(refused); i++) {
		struct scene sc;

		begin(&sc, NODE(OTHERS ", " TEAM));
		scene_write(&sc, "all/team/x.yaml", refused[i].text);
		scene_load_node(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(scene_row(&sc, refused[i].kind, refused[i].name));
		IS_STATUS(&sc, refused[i].kind, refused[i].name, "refused");
		CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 3);
		CU_ASSERT_TRUE(mt_table_has_trouble(sc.t));
		CU_ASSERT_TRUE(has_error(&sc, refused[i].error));
		CU_ASSERT_TRUE(has_error(&sc, "all/team/x.yaml:"));
		is_untouched(&sc);
		IS_STATUS(&sc, "Node", "n", "in-force");
		/* The same from a cache, after a restart, and from its own directory. */
		scene_load_node(&sc);
		IS_STATUS(&sc, refused[i].kind, refused[i].name, "refused");
		scene_restart(&sc);
		scene_load_node(&sc);
		IS_STATUS(&sc, refused[i].kind, refused[i].name, "refused");
		is_untouched(&sc);
		scene_end(&sc);
	}
}

/* Objects of the namespaces are read as those of any source. */
static void namespaces_of_a_source(void)
{
	struct scene sc;

	begin(&sc, NODE("{directory: all/team, namespace: c, namespaces: [a, c]}"));
	scene_write(&sc, "all/team/x.yaml",
		DENY("p", "a") "---\napiVersion: security.istio.io/v1\n"
			       "kind: AuthorizationPolicy\nmetadata: {name: q}\nspec: {}\n");
	scene_load_node(&sc);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "AuthorizationPolicy", "p")->o->ns, "a");
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "AuthorizationPolicy", "q")->o->ns, "c");
	CU_ASSERT_PTR_NOT_NULL(scene_row(&sc, "AuthorizationPolicy", "p")->used);
	/* The file is as before, and the limit is not. */
	scene_write(&sc, "0-node.yaml", NODE("{directory: all/team, namespaces: [a]}"));
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "q", "refused");
	CU_ASSERT_PTR_NOT_NULL(scene_row(&sc, "AuthorizationPolicy", "p")->used);
	scene_write(&sc, "0-node.yaml", NODE("{directory: all/team, namespace: c}"));
	scene_load_node(&sc);
	CU_ASSERT_EQUAL(sc.diags.errors, 0);
	scene_end(&sc);
}

/* The innermost source with namespaces has a directory, however it is named. */
static void directories_in_each_other(void)
{
	static const char *const nodes[] = {
		NODE(OTHERS ", " TEAM),
		NODE(TEAM ", " OTHERS),
		NODE(OTHERS ", {directory: all/team}, " TEAM),
		NODE("{directory: all/team/}, " OTHERS ", " TEAM),
		NODE("{directory: all, namespaces: [a, b, default]}, " TEAM),
		NODE("{directory: .}, " TEAM),
		NODE("{directory: .}, {directory: link, namespaces: [a]}"),
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(nodes); i++) {
		struct scene sc;
		char cmd[100];

		begin(&sc, nodes[i]);
		snprintf(cmd, sizeof(cmd), "cd %s && ln -s all/team link && ln -s . all/team/self",
			sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, "all/team/x.yaml", DENY("x", "b"));
		scene_load_node(&sc);
		IS_STATUS(&sc, "AuthorizationPolicy", "x", "refused");
		CU_ASSERT_TRUE(has_error(&sc, OTHER));
		is_untouched(&sc);
		scene_end(&sc);
	}
}

/* Another team's object of the same identity goes its own way. */
static void objects_of_one_name(void)
{
	struct scene sc;

	begin(&sc, NODE(OTHERS ", " TEAM));
	scene_write(&sc, "all/p.yaml", SECURITY("AuthorizationPolicy", "p", "b", "{}"));
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "in-force");
	/* Older, with other content: neither both apply, nor has the first one a note. */
	scene_write(&sc, "all/team/x.yaml",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, "
		"namespace: b, creationTimestamp: \"2001-01-01T00:00:00Z\"}\nspec: {rules: "
		"[{}]}\n");
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "in-force");
	CU_ASSERT_EQUAL(scene_row(&sc, "AuthorizationPolicy", "p")->n_notes, 0);
	/* The last good version stays that of the object. */
	scene_write(&sc, "all/p.yaml", SECURITY("AuthorizationPolicy", "p", "b", "{rulez: 1}"));
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "last-good");
	scene_restart(&sc);
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "last-good");
	/* Illegible at its place, so that only the file tells that it may be there. */
	scene_write(&sc, "all/p.yaml", "kind: [\n");
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "last-good");
	CU_ASSERT_TRUE(scene_row(&sc, "AuthorizationPolicy", "p")->absent);
	/* Deleted: the other one does not keep it. */
	scene_write(&sc, "all/p.yaml", NULL);
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "p", "refused");
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 3);
	is_untouched(&sc);
	scene_end(&sc);
}

/* A policy without a readable namespace closes those of its source, and no others. */
static void illegible_policies(void)
{
	static const char *const texts[] = {
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: [\n",
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\n"
		"spec: [\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct scene sc;

		begin(&sc, NODE(OTHERS ", {directory: all/team, namespaces: [a, c]}"));
		scene_write(&sc, "all/team/c.yaml", SERVICE("u", "c", "198.51.100.4"));
		scene_write(&sc, "all/team/x.yaml", texts[i]);
		scene_load_node(&sc);
		CU_ASSERT_FALSE(sc.t->unknown_closed);
		CU_ASSERT_EQUAL(sc.t->n_closings, 2);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "t.a"), -2);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "u.c"), -2);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.b"), 1);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "d.default"), 1);
		scene_end(&sc);
	}
}

/*
 * A limited directory that cannot be read keeps its own objects, and those of its namespaces that
 * were in no directory that is read: its name may be a mistake. It keeps no other from removal.
 */
static void unreadable_directories(void)
{
	/* Gone, or misspelled in the Node. */
	static const struct {
		const char *node, *then, *file, *do_it;
	} t[] = {
		{NODE(OTHERS ", " TEAM), NODE(OTHERS ", " TEAM), "all/team/t.yaml",
			"mv all/team away"},
		{NODE(OTHERS ", {directory: side, namespaces: [a]}"),
			NODE(OTHERS ", {directory: sidez, namespaces: [a]}"), "side/t.yaml",
			"true"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;
		char cmd[120];

		begin(&sc, t[i].node);
		snprintf(cmd, sizeof(cmd), "cd %s && mkdir side && rm all/team/a.yaml", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, t[i].file, SERVICE("t", "a", "198.51.100.3"));
		scene_write(&sc, "all/a.yaml", SERVICE("v", "a", "198.51.100.5"));
		scene_load_node(&sc);
		CU_ASSERT_EQUAL(sc.diags.errors, 0);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "v.a"), 1);
		snprintf(cmd, sizeof(cmd), "cd %s && %s", sc.dir, t[i].do_it);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, "0-node.yaml", t[i].then);
		scene_write(&sc, "all/a.yaml", NULL);
		scene_write(&sc, "all/b.yaml", SERVICE("s", "b", "198.51.100.1"));
		for (int again = 0; again < 2; again++) {
			scene_load_node(&sc);
			CU_ASSERT_PTR_NULL(sc.t->unread);
			CU_ASSERT_TRUE(has_error(&sc, "cannot be read"));
			CU_ASSERT_TRUE(has_error(&sc, "no object of its namespaces is removed"));
			CU_ASSERT_EQUAL(scene_endpoints(&sc, "s.b"), 1);
			CU_ASSERT_EQUAL(scene_endpoints(&sc, "d.default"), -1);
			CU_ASSERT_EQUAL(scene_endpoints(&sc, "v.a"), -1);
			IS_STATUS(&sc, "ServiceEntry", "t", "last-good");
			CU_ASSERT_EQUAL(scene_endpoints(&sc, "t.a"), 1);
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* What was accepted before there was a limit ends with it, also if its file cannot be read. */
static void a_limit_that_is_new(void)
{
	struct scene sc;
	char cmd[120];

	begin(&sc, NODE(OTHERS));
	scene_write(&sc, "all/team/x.yaml", DENY("x", "b"));
	scene_load_node(&sc);
	CU_ASSERT_PTR_NOT_NULL(scene_row(&sc, "AuthorizationPolicy", "x")->used);
	snprintf(cmd, sizeof(cmd), "cd %s/all/team && ln -sf /nowhere/x.yaml x.yaml", sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_load_node(&sc);
	IS_STATUS(&sc, "AuthorizationPolicy", "x", "last-good");
	scene_write(&sc, "0-node.yaml", NODE(OTHERS ", " TEAM));
	scene_load_node(&sc);
	CU_ASSERT_PTR_NULL(scene_row(&sc, "AuthorizationPolicy", "x"));
	is_untouched(&sc);
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), 3);
	scene_end(&sc);
}

/* ---- last good versions ---------------------------------------------------------------------- */

#define WORKLOADS(sources)                                                                         \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24], side: workloads}]\n"   \
	"  sources: [" sources "]\n"
#define ENTRY(name, ns, account)                                                                   \
	ISTIO("WorkloadEntry", name, ns)                                                           \
	"  address: 192.0.2.5\n  serviceAccount: " account "\n"

/* As an earlier version of Meltemi has written the file. */
static void forget_namespaces(const struct scene *sc)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "sed -i 's/,\"namespaces\":\"[^\"]*\"//' %s/objects.jsonl",
		sc->state);
	CU_ASSERT_EQUAL(system(cmd), 0);
}

static bool knows_namespaces(const struct scene *sc)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd),
		"grep 'WorkloadEntry.na.nx\"' %s/objects.jsonl | tail -1 | grep -q "
		"'\"namespaces\":\"a\"'",
		sc->state);
	return system(cmd) == 0;
}

static void is_the_owners(const struct scene *sc)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
	CU_ASSERT_EQUAL_FATAL(sc->s->n_bound, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s->bound[0].principal);
	CU_ASSERT_STRING_EQUAL(sc->s->bound[0].principal, "cluster.local/ns/b/sa/owner");
}

/*
 * A last good version is one of the source that holds its file, also if the state directory has it
 * without namespaces: an author gets nothing by a file that cannot be read at a restart.
 */
static void last_good_versions(void)
{
	/* With its name and without. */
	static const char *const broken[] = {
		ISTIO("WorkloadEntry", "x", "a") "  address: [\n", "\xff\xfe\xff"};

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(broken); i++) {
		struct scene sc;

		begin(&sc, WORKLOADS(OTHERS ", " TEAM));
		scene_write(&sc, "all/team/x.yaml", ENTRY("x", "a", "x"));
		scene_load_node(&sc);
		CU_ASSERT(knows_namespaces(&sc));
		scene_write(&sc, "all/w.yaml", ENTRY("w", "b", "owner"));
		forget_namespaces(&sc);
		scene_restart(&sc);
		/* Written again, although this version is not good any more. */
		scene_load_node(&sc);
		is_the_owners(&sc);
		CU_ASSERT(knows_namespaces(&sc));
		if (i % 2)
			forget_namespaces(&sc);
		scene_write(&sc, "all/team/x.yaml", broken[i / 2]);
		for (int load = 0; load < 2; load++) {
			scene_restart(&sc);
			scene_load_node(&sc);
			IS_STATUS(&sc, "WorkloadEntry", "x", "last-good");
			is_the_owners(&sc);
			CU_ASSERT(knows_namespaces(&sc));
		}
		/* Edited while the node was down. */
		scene_write(&sc, "all/w.yaml", ENTRY("w2", "b", "owner"));
		forget_namespaces(&sc);
		scene_restart(&sc);
		scene_load_node(&sc);
		is_the_owners(&sc);
		scene_end(&sc);
	}
}

/* The same if the Node limits the source of a version that was stored without a limit. */
static void a_new_limit_of_a_last_good_version(void)
{
	for (int restart = 0; restart < 2; restart++) {
		struct scene sc;

		begin(&sc, WORKLOADS(OTHERS ", {directory: all/team}"));
		scene_write(&sc, "all/team/x.yaml", ENTRY("x", "a", "x"));
		scene_load_node(&sc);
		scene_write(&sc, "0-node.yaml", WORKLOADS(OTHERS ", " TEAM));
		scene_write(&sc, "all/w.yaml", ENTRY("w", "b", "owner"));
		scene_write(&sc, "all/team/x.yaml", "\xff\xfe\xff");
		if (restart)
			scene_restart(&sc);
		scene_load_node(&sc);
		IS_STATUS(&sc, "WorkloadEntry", "x", "last-good");
		is_the_owners(&sc);
		scene_end(&sc);
	}
}

#define ONE(host, endpoint)                                                                        \
	ISTIO("ServiceEntry", "one", "a")                                                          \
	"  hosts: [" host "]\n  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"             \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [{address: " endpoint       \
	"}]\n"

/*
 * An owner's object gets a mistake, before or after an object of its name in another source that
 * has the namespace, too: its last good version stays.
 */
static void a_mistake_of_an_owner(void)
{
	for (int i = 0; i < 4; i++) {
		struct scene sc;

		begin(&sc,
			NODE("{directory: all, namespaces: [a, b, default]}, {directory: all/team, "
			     "namespaces: [a], owns: {hosts: [one.corp]}}"));
		scene_write(&sc, "all/team/one.yaml", ONE("one.corp", "198.51.100.4"));
		scene_serve(&sc);
		scene_write(&sc, "all/b.yaml", ONE("two.corp", "198.51.100.5"));
		if (i % 2)
			scene_serve(&sc);
		scene_write(&sc, "all/team/one.yaml", ONE("one.corp", "198.51.100.4, weight: -1"));
		for (int load = 0; load < 2; load++) {
			if (i / 2)
				scene_restart(&sc);
			scene_serve(&sc);
			IS_STATUS(&sc, "ServiceEntry", "one", "last-good");
		}
		scene_end(&sc);
	}
}

#define LABEL(tag)                                                                                 \
	"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\n"                                     \
	"metadata: {name: l, namespace: a}\nspec:\n"                                               \
	"  metrics: [{overrides: [{tagOverrides: {" tag "}}]}]\n"

/* Calls of one namespace do not count as those of another one. */
static void labels_of_others(void)
{
	static const struct {
		const char *file, *text, *status;
	} rows[] = {
		{"all/team/l.yaml", LABEL("destination_service: {value: \"'s.b'\"}"),
			"in-force-with-notes"},
		{"all/team/l.yaml", LABEL("destination_service: {operation: REMOVE}"), "in-force"},
		{"all/team/l.yaml", LABEL("team: {value: \"'a'\"}"), "in-force"},
		{"all/l.yaml", LABEL("destination_service: {value: \"'s.b'\"}"), "in-force"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_object_row *row;
		struct scene sc;

		begin(&sc, NODE(OTHERS ", " TEAM));
		scene_write(&sc, rows[i].file, rows[i].text);
		scene_load_node(&sc);
		IS_STATUS(&sc, "Telemetry", "l", rows[i].status);
		row = scene_row(&sc, "Telemetry", "l");
		CU_ASSERT_PTR_NOT_NULL_FATAL(row);
		CU_ASSERT_EQUAL(row->n_notes, i == 0);
		if (row->n_notes)
			CU_ASSERT_PTR_NOT_NULL(
				strstr(row->notes[0].text, "destination_service is not changed"));
		scene_end(&sc);
	}
}

const struct mt_test confined_tests[] = {
	{"confined_sources", confined_sources},
	{"namespaces_of_a_source", namespaces_of_a_source},
	{"directories_in_each_other", directories_in_each_other},
	{"objects_of_one_name", objects_of_one_name},
	{"illegible_policies", illegible_policies},
	{"unreadable_directories", unreadable_directories},
	{"a_limit_that_is_new", a_limit_that_is_new},
	{"last_good_versions", last_good_versions},
	{"a_new_limit_of_a_last_good_version", a_new_limit_of_a_last_good_version},
	{"a_mistake_of_an_owner", a_mistake_of_an_owner},
	{"labels_of_others", labels_of_others},
	{0},
};
