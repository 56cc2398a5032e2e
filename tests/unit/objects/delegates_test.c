/* SPDX-License-Identifier: Apache-2.0 */
/* VirtualServices that delegate: which rules a host is routed by, and what becomes of each document. */
#include "objects_test.h"

#include <time.h>

#define A		  SERVICE("a", "x", "198.51.100.1")
#define HOST		  "a.x"
#define HEAD(name, ns)	  "---\n" ISTIO("VirtualService", name, ns)
#define ROOT(name, rules) HEAD(name, "x") "  hosts: [a.x]\n  http:\n" rules
#define TO(more)	  "  - {match: [{headers: {k: {prefix: v}}}], delegate: {name: " more "}}\n"
#define ALL		  "  - {name: rest, route: [{destination: {host: a.x}}]}\n"

static const struct mt_route_table *routes(const struct scene *sc)
{
	for (uint32_t i = 0; sc->s && i < sc->s->n_services; i++)
		if (sc->s->services[i]->routes)
			return sc->s->services[i]->routes;
	CU_FAIL_FATAL("nothing is routed");
	return NULL;
}

/* The routes' names in their order, with what each is for at most. */
static char *names(const struct scene *sc, char buf[256])
{
	const struct mt_route_table *t = routes(sc);
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < mt_route_count(t); i++)
		len += (size_t)snprintf(buf + len, 256 - len, "%s:%u ", mt_route_at(t, i)->name,
			mt_route_at(t, i)->timeout_ms);
	return buf;
}

static bool notes(const struct scene *sc, const char *name, const char *field, const char *words)
{
	const struct mt_object_row *row = scene_row(sc, "VirtualService", name);

	for (uint32_t i = 0; row && i < row->n_notes; i++)
		if (row->notes[i].field && strcmp(row->notes[i].field, field) == 0 &&
			strstr(row->notes[i].text, words))
			return true;
	return false;
}

/* In place of the rule that delegates; what the delegate does not say is that rule's. */
static void rules_are_joined(void)
{
	struct scene sc;
	char buf[256];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A ROOT("root", "  - {name: r, timeout: 3s, match: [{headers: {k: {prefix: v}}}], "
			       "delegate: {name: d, "
			       "namespace: y}}\n" ALL)
			HEAD("d", "y") "  http:\n"
				       "  - {name: one, match: [{headers: {k: {exact: v1}}}], "
				       "timeout: 1s, route: "
				       "[{destination: {host: a.x}}]}\n"
				       "  - {match: [{headers: {k: {exact: w}}}], route: "
				       "[{destination: {host: a.x}}]}\n"
				       "  - {route: [{destination: {host: a.x}}]}\n");
	scene_load(&sc);
	/* The second matches nothing that the root's rule does. */
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "r-one:1000 r:3000 rest:0 ");
	CU_ASSERT(!mt_route_leading_only(routes(&sc)));
	IS_STATUS(&sc, "VirtualService", "root", "in-force-with-notes");
	IS_STATUS(&sc, "VirtualService", "d", "in-force");
	CU_ASSERT(notes(&sc, "root", "spec.http[0].delegate",
		"rule 1 of VirtualService y/d matches what this one does not"));
	CU_ASSERT_EQUAL_FATAL(scene_row(&sc, "VirtualService", "d")->n_touches, 1);
	CU_ASSERT_STRING_EQUAL(scene_row(&sc, "VirtualService", "d")->touches[0], HOST);
	scene_end(&sc);
}

/* Not there, not exported, one level too deep: that rule is left out, and told. */
static void rules_are_left_out(void)
{
	struct scene sc;
	char buf[256];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A ROOT("root", TO("gone") TO("private, namespace: y") TO("deep") ALL)
			HEAD("private", "y") "  exportTo: ['.']\n  http:\n" ALL HEAD("deep",
				"x") "  http:\n" TO("below") HEAD("below", "x") "  http:\n" ALL);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "rest:0 ");
	IS_STATUS(&sc, "VirtualService", "root", "in-force-with-notes");
	CU_ASSERT(notes(&sc, "root", "spec.http[0].delegate", "no VirtualService x/gone"));
	CU_ASSERT(notes(&sc, "root", "spec.http[1].delegate", "y/private is not exported"));
	CU_ASSERT(notes(&sc, "deep", "spec.http[0].delegate", "one level deep"));
	IS_STATUS(&sc, "VirtualService", "private", "no-effect");
	IS_STATUS(&sc, "VirtualService", "below", "no-effect");
	scene_end(&sc);
}

/* Another text of the delegate alone, while the root is what it was: the host is routed anew. */
static void a_delegate_changes(void)
{
	static const char *const texts[] = {HEAD("d", "x") "  http:\n  - {name: one, route: "
							   "[{destination: {host: a.x}}]}\n",
		HEAD("d", "x") "  http:\n  - {name: two, route: [{destination: {host: a.x}}]}\n"};
	struct mt_conf_change change;
	struct mt_err err;
	struct scene sc;
	char buf[256];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", A ROOT("root", TO("d") ALL));
	scene_write(&sc, "d.yaml", texts[0]);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "one:0 rest:0 ");
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(sc.conf, sc.s, 1000000, &change, &err), 0);
	sc.s = NULL;
	scene_write(&sc, "d.yaml", texts[1]);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "two:0 rest:0 ");
	/* Without it the rule is left out; it is no part of who has the host. */
	scene_write(&sc, "d.yaml", NULL);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "rest:0 ");
	scene_end(&sc);
}

/* That a delegate's destination is not here is told with each load, though the root's routes are what they were. */
static void a_delegate_leads_nowhere(void)
{
	struct mt_conf_change change;
	struct mt_err err;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A "---\n" ISTIO("ServiceEntry", "b",
			"x") "  hosts: [b.x]\n  ports: [{number: 1, name: tcp}, {number: 2, name: "
			     "tcp-b}]\n"
			     "  resolution: STATIC\n" ROOT("root", TO("d") ALL) HEAD(
				     "d", "x") "  http: [{route: [{destination: {host: b.x}}]}]\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(sc.conf, sc.s, 1000000, &change, &err), 0);
	sc.s = NULL;
	for (int i = 0; i < 2; i++) {
		scene_load(&sc);
		CU_ASSERT(notes(&sc, "d", "spec.http[0].route[0].destination.host",
			"b.x has no served port 80: what gets there fails"));
		IS_STATUS(&sc, "VirtualService", "root", "in-force");
	}
	scene_end(&sc);
}

/* The gateways that a match names are those of the root's namespace, wherever the delegate is. */
static void gateways_of_the_root(void)
{
	struct scene sc;
	uint32_t n = 0;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A "---\n" ISTIO("Gateway", "g",
			"x") "  selector: {}\n  servers: [{port: {number: 90, name: "
			     "tcp-metaprotocol-dubbo}, hosts: ['*']}]\n" HEAD("root",
				     "x") "  hosts: [other.test]\n  gateways: [g]\n  http:\n"
					  "  - {match: [{gateways: [g]}], delegate: {name: d, "
					  "namespace: y}}\n"
					  "  - {match: [{gateways: [y/g]}], delegate: {name: d, "
					  "namespace: "
					  "y}}\n" HEAD("d", "y") "  http: [{name: one, route: "
								 "[{destination: {host: "
								 "a.x}}]}]\n");
	scene_load(&sc);
	for (uint32_t i = 0; sc.s && i < sc.s->n_services; i++)
		if (strcmp(sc.s->services[i]->name, "other.test") == 0)
			n += mt_route_count(sc.s->services[i]->routes);
	CU_ASSERT_EQUAL(n, 1);
	IS_STATUS(&sc, "VirtualService", "d", "in-force");
	scene_end(&sc);
}

/* What is wrong in a delegate is its own; the root goes on without it. */
static void a_delegate_is_wrong(void)
{
	struct scene sc;
	char buf[256];

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A ROOT("root", TO("d") TO("e") ALL) HEAD(
			"d", "x") "  http:\n  - {match: [{headers: {k: {regex: '('}}}], route: "
				  "[{destination: {host: a.x}}]}\n" HEAD(
					  "e", "x") "  http:\n  - {route: [{destination: {host: "
						    "a.x}}], rewrite: "
						    "{uri: /}}\n");
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "rest:0 ");
	IS_STATUS(&sc, "VirtualService", "d", "refused");
	IS_STATUS(&sc, "VirtualService", "e", "refused");
	IS_STATUS(&sc, "VirtualService", "root", "in-force-with-notes");
	CU_ASSERT_PTR_NOT_NULL(strstr(scene_row(&sc, "VirtualService", "e")->why,
		"spec.http[0].rewrite: cannot be applied"));
	scene_end(&sc);
}

/* Whose hosts are another one's says nothing, and so do those that it delegates to. */
static void a_root_without_effect(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		A ROOT("a-root", ALL) ROOT("b-root", TO("d") ALL) HEAD("d", "x") "  http:\n" ALL);
	scene_load(&sc);
	IS_STATUS(&sc, "VirtualService", "b-root", "shadowed");
	IS_STATUS(&sc, "VirtualService", "d", "no-effect");
	scene_end(&sc);
}

/* Rules times rules are bounded: the rest of the documents is none the worse for two that ask for a million. */
static void too_many_are_joined(void)
{
	const uint32_t n = 600;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, A HEAD("root", "x") "  hosts: [a.x]\n  http:\n");
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "  - {match: [{headers: {k: {exact: v%u}}}], delegate: {name: d}}\n", i);
	fprintf(f, ALL HEAD("d", "x") "  http:\n");
	for (uint32_t i = 0; i < n; i++)
		fprintf(f,
			"  - {match: [{headers: {l: {exact: v%u}}}], route: [{destination: "
			"{host: a.x}}]}\n",
			i);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	/* Each pair is a rule, a match and two conditions. */
	CU_ASSERT_EQUAL(mt_route_count(routes(&sc)), (1u << 18) / (4 * n) * n + 1);
	CU_ASSERT(notes(&sc, "root", "spec.http[109].delegate", "too many rules"));
	CU_ASSERT(!notes(&sc, "root", "spec.http[108].delegate", "too many rules"));
	scene_end(&sc);
	free(text);
}

/* Writes a VirtualService of `n` rules that delegate to d of its namespace. */
static void write_root(FILE *f, const char *name, const char *ns, const char *host, uint32_t n)
{
	fprintf(f, "---\n" ISTIO("VirtualService", "%s", "%s") "  hosts: [%s]\n  http:\n", name, ns,
		host);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "  - {match: [{headers: {k: {exact: v%u}}}], delegate: {name: d}}\n", i);
}

/* Writes the delegate d of the namespace, which has `n` rules. */
static void write_delegate(FILE *f, const char *ns, uint32_t n)
{
	fprintf(f, "---\n" ISTIO("VirtualService", "d", "%s") "  http:\n", ns);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f,
			"  - {match: [{headers: {l: {exact: v%u}}}], route: [{destination: "
			"{host: a.x}}]}\n",
			i);
}

/*
 * One namespace has the oldest roots, which together exceed the limit of all. The rule of another
 * namespace, which costs more than they have left over, is joined.
 */
static void a_share_for_each_namespace(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(A, f);
	write_delegate(f, "greedy", 1200);
	write_delegate(f, "x", 2000);
	for (char name[] = "a1"; name[1] <= '3'; name[1]++)
		write_root(f, name, "greedy", name, 50);
	write_root(f, "root", "x", "a.x", 1);
	fputs(ALL, f);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT(notes(&sc, "a3", "spec.http[0].delegate", "too many rules"));
	CU_ASSERT(!notes(&sc, "root", "spec.http[0].delegate", "too many rules"));
	CU_ASSERT_EQUAL(mt_route_count(routes(&sc)), 2001);
	scene_end(&sc);
	free(text);
}

/* Namespaces of a source that is limited to them are one owner of the last quarter. */
static void a_share_for_each_source(void)
{
	struct scene sc;
	char *text, cmd[100];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	write_delegate(f, "a", 1200);
	write_delegate(f, "b", 1200);
	write_root(f, "a1", "a", "a1", 50);
	write_root(f, "a2", "a", "a2", 50);
	write_root(f, "b1", "b", "b1", 30);
	fclose(f);
	scene_begin(&sc);
	snprintf(cmd, sizeof(cmd), "mkdir %s/all %s/team", sc.dir, sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: team, namespaces: [a, b]}, {directory: all}]\n");
	scene_write(&sc, "team/a.yaml", text);
	free(text);
	f = open_memstream(&text, &size);
	fputs(A, f);
	write_delegate(f, "x", 2000);
	write_root(f, "root", "x", "a.x", 1);
	fputs(ALL, f);
	fclose(f);
	scene_write(&sc, "all/x.yaml", text);
	scene_load_node(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT(notes(&sc, "b1", "spec.http[0].delegate", "too many rules"));
	CU_ASSERT_EQUAL(mt_route_count(routes(&sc)), 2001);
	scene_end(&sc);
	free(text);
}

/* Writes a rule with one match of `n` conditions. */
static void write_conditions(FILE *f, char key, uint32_t n, const char *more)
{
	fputs("  - {match: [{headers: {", f);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "%c%u: {exact: v}, ", key, i);
	fprintf(f, "}}], %s}\n", more);
}

/* Each condition of one side is compared with each of the other: that is bounded. */
static void conditions_times_conditions(void)
{
	static const uint32_t sizes[] = {2000, 3000};

	for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		struct scene sc;
		char *text;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		fputs(A HEAD("root", "x") "  hosts: [a.x]\n  http:\n", f);
		write_conditions(f, 'r', sizes[i], "delegate: {name: d}");
		fputs(ALL HEAD("d", "x") "  http:\n", f);
		write_conditions(f, 'd', sizes[i], "route: [{destination: {host: a.x}}]");
		fclose(f);
		scene_begin(&sc);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		CU_ASSERT_EQUAL(notes(&sc, "root", "spec.http[0].delegate", "too many rules"),
			sizes[i] == 3000);
		scene_end(&sc);
		free(text);
	}
}

/* Aliases repeat long names; neither messages about them nor joined names take much memory. */
static void names_without_end(void)
{
	struct scene sc;
	char *text, buf[256];
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(A HEAD("root", "x") "  hosts: [a.x]\n  http:\n", f);
	fprintf(f, "  - &gone {delegate: {name: \"%0*d\"}}\n", 1 << 16, 1);
	for (int i = 0; i < 300; i++)
		fputs("  - *gone\n", f);
	fprintf(f, "  - &long {name: \"%0*d\", delegate: {name: d}}\n", 1 << 16, 1);
	for (int i = 0; i < 300; i++)
		fputs("  - *long\n", f);
	fputs(ALL HEAD("d", "x") "  http:\n  - {name: one, route: [{destination: {host: a.x}}]}\n",
		f);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_STRING_EQUAL(names(&sc, buf), "rest:0 ");
	CU_ASSERT(notes(&sc, "root", "spec.http[0].delegate", "no VirtualService x/000"));
	CU_ASSERT(sc.t->model->region.used < (1u << 20));
	scene_end(&sc);
	free(text);
}

/* CPU time in s that a load takes; `n` rules of the root delegate to `d`, which costs too much. */
static double load_time(uint32_t n)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	clock_t began;

	fputs(A HEAD("root", "x") "  hosts: [a.x]\n  http:\n", f);
	for (uint32_t i = 0; i < n; i++)
		fputs(i ? "  - *r\n" : "  - &r {match: [{port: 1}], delegate: {name: d}}\n", f);
	fputs(ALL HEAD("d", "x") "  http:\n", f);
	for (uint32_t i = 0; i < 30000; i++)
		fputs(i ? "  - *r\n" : "  - &r {route: [{destination: {host: a.x}}]}\n", f);
	fputs("  - match:\n", f);
	for (uint32_t i = 0; i <= 1u << 18; i++)
		fputs(i ? "    - *m\n" : "    - &m {port: 2}\n", f);
	fputs("    route: [{destination: {host: a.x}}]\n", f);
	fclose(f);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	began = clock();
	scene_load(&sc);
	began = clock() - began;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(mt_route_count(routes(&sc)), 1);
	scene_end(&sc);
	free(text);
	return (double)began / CLOCKS_PER_SEC;
}

/* Rules that are left out cost no rules times rules either. */
static void rules_times_rules(void)
{
	double one = load_time(1), many = load_time(100000);

	CU_ASSERT(many < 4 * one + 2);
}

const struct mt_test delegates_tests[] = {
	{"rules_times_rules", rules_times_rules},
	{"a_share_for_each_source", a_share_for_each_source},
	{"conditions_times_conditions", conditions_times_conditions},
	{"names_without_end", names_without_end},
	{"a_share_for_each_namespace", a_share_for_each_namespace},
	{"too_many_are_joined", too_many_are_joined},
	{"rules_are_joined", rules_are_joined},
	{"rules_are_left_out", rules_are_left_out},
	{"a_delegate_changes", a_delegate_changes},
	{"a_delegate_leads_nowhere", a_delegate_leads_nowhere},
	{"gateways_of_the_root", gateways_of_the_root},
	{"a_delegate_is_wrong", a_delegate_is_wrong},
	{"a_root_without_effect", a_root_without_effect},
	{0},
};
