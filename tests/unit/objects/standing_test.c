/* SPDX-License-Identifier: Apache-2.0 */
/* Which of two objects has an address and port that none of them is served at, as after a start. */
#include "objects_test.h"

#define AGED(name, ns, meta, address, endpoint)                                                    \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: " ns meta "}\nspec:\n"                                                       \
	"  hosts: [" name "." ns "]\n  addresses: [" address "]\n"                                 \
	"  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n"                               \
	"  endpoints: [{address: " endpoint "}]\n"
#define OF(year)	 ", creationTimestamp: \"" year "-01-01T00:00:00Z\""
#define VICTIM(meta)	 AGED("v", "b", meta, "203.0.113.1", "198.51.100.1")
#define OTHER(meta)	 AGED("o", "a", meta, "203.0.113.1", "198.51.100.2")
#define KUBE(name, meta) /* with the victim's address */                                           \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: k" meta "}\n"        \
	"spec: {clusterIP: 203.0.113.1, ports: [{port: 80, name: tcp}]}\n"

static const struct {
	const char *own, *other, *words; /* of the error; NULL: the other one has the address */
} rows[] = {
	/* Each object of an API server has a time; a document without one looks older. */
	{VICTIM(OF("2020")), OTHER(""), "which has a creationTimestamp"},
	{VICTIM(OF("2020")), OTHER(OF("2021")), "is in use by v.b"},
	{VICTIM(OF("2020")), OTHER(OF("2010")), NULL},
	/* By name, as ever. */
	{VICTIM(""), OTHER(""), NULL},
};

static void at_first_load(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "v.yaml", rows[i].own);
		scene_write(&sc, "o.yaml", rows[i].other);
		scene_load(&sc);
		IS_STATUS(&sc, "ServiceEntry", "v", rows[i].words ? "in-force" : "refused");
		IS_STATUS(&sc, "ServiceEntry", "o", rows[i].words ? "refused" : "in-force");
		if (rows[i].words)
			CU_ASSERT(scene_has(&sc, "o.yaml", rows[i].words));
		scene_end(&sc);
	}
}

static void services_of_kubernetes(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "b.yaml", KUBE("b", OF("2020")));
	scene_write(&sc, "a.yaml", KUBE("a", ""));
	scene_load(&sc);
	CU_ASSERT(scene_has(&sc, "a.yaml", "which has a creationTimestamp"));
	IS_STATUS(&sc, "Service", "a", "refused");
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	scene_end(&sc);
}

/* The last good version stands for the configuration that was in force before a restart. */
static void after_a_restart(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "v.yaml", VICTIM(OF("2020")));
	scene_load(&sc);
	scene_write(&sc, "o.yaml", OTHER(OF("2010")));
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "v", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "o", "refused");
	CU_ASSERT(scene_has(&sc, "o.yaml", "which was applied before"));
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "o", "refused");
	/* When the address is free, the other one gets it. */
	scene_write(&sc, "v.yaml", NULL);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "o", "in-force");
	scene_end(&sc);
}

/* So does another version of an object that had one, before objects that never had any. */
static void edited_before_a_restart(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "v.yaml", VICTIM(OF("2020")));
	scene_load(&sc);
	scene_write(&sc, "v.yaml", VICTIM(OF("2020") ", labels: {new: version}"));
	scene_write(&sc, "o.yaml", OTHER(OF("2010")));
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "v", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "o", "refused");
	CU_ASSERT(scene_has(&sc, "o.yaml", ", applied before in another version"));
	scene_end(&sc);
}

#define WORKLOAD_AT(address, name, ns, year, more)                                                 \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " name          \
	", namespace: " ns                                                                         \
	OF(year) "}\nspec: {address: " address ", serviceAccount: y" more "}\n"
#define WORKLOAD(name, ns, year, more) WORKLOAD_AT("192.0.2.5", name, ns, year, more)

/* The only workload, of the last load or of the configuration in force (scene_serve()). */
static const struct mt_bound *bound_of(const struct scene *sc)
{
	const struct mt_snapshot *s = sc->s ? sc->s : mt_conf_current(sc->conf);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL_FATAL(s->n_bound, 1);
	return &s->bound[0];
}

/* The namespace of the principal that the only workload has. */
static void is_bound(const struct scene *sc, const char *principal)
{
	const struct mt_bound *b = bound_of(sc);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b->principal);
	CU_ASSERT_STRING_EQUAL(b->principal, principal);
}

/*
 * An entry of another namespace is in use without its principal. It gets none by a restart, because
 * it is as new as before.
 */
static void workloads_after_a_restart(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24], "
		"side: workloads}]\n");
	scene_write(&sc, "v.yaml", WORKLOAD("v", "b", "2020", ""));
	scene_load(&sc);
	scene_write(&sc, "o.yaml", WORKLOAD("o", "a", "2010", ""));
	scene_restart(&sc);
	for (int load = 0; load < 3; load++) {
		scene_load(&sc);
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "WorkloadEntry", "v"), "refused");
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "WorkloadEntry", "o"), "refused");
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_restart(&sc);
	}
	scene_write(&sc, "v.yaml", WORKLOAD("v", "b", "2020", ", labels: {new: version}"));
	scene_load(&sc);
	is_bound(&sc, "cluster.local/ns/b/sa/y");
	scene_end(&sc);
}

/*
 * An entry without an account keeps the address of its service's endpoint from new ones. It is not
 * refused when it gets one itself.
 */
static void workloads_without_an_account(void)
{
	static const char node[] = "apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"
				   "spec:\n  ports: [{name: p0, device: net_null0, "
				   "addresses: [198.51.100.9/24], side: workloads}]\n";
	static const char entry[] =
		"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: v, "
		"namespace: b}\nspec: {address: 198.51.100.1}\n";
	/* Also beside a service that the other namespace has written for the endpoint. */
	static const char *const others[] = {WORKLOAD_AT("198.51.100.1", "o", "a", "2010", ""),
		WORKLOAD_AT("198.51.100.1", "o", "a", "2010", "") "---\n" AGED(
			"p", "a", "", "203.0.113.2", "198.51.100.1")};

	for (size_t i = 0; i < MT_ARRAY_LEN(others); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", node);
		scene_write(&sc, "s.yaml", VICTIM(""));
		scene_write(&sc, "v.yaml", entry);
		scene_load(&sc);
		scene_write(&sc, "o.yaml", others[i]);
		for (int load = 0; load < 3; load++) {
			scene_load(&sc);
			CU_ASSERT_EQUAL_FATAL(sc.s->n_bound, 1);
			CU_ASSERT_PTR_NULL(sc.s->bound[0].principal);
			CU_ASSERT(scene_has(
				&sc, "o.yaml", "no principal, because of WorkloadEntry b/v at"));
			scene_restart(&sc);
		}
		scene_write(&sc, "v.yaml", WORKLOAD_AT("198.51.100.1", "v", "b", "2020", ""));
		scene_load(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_end(&sc);
	}
}

#define WORKLOADS_NODE(sources)                                                                    \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24], side: "                \
	"workloads}]\n" sources
#define UNNAMED                                                                                    \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x, "            \
	"namespace: a}\nspec: {address: 192.0.2.5}\n"
#define NAMED_UNDATED                                                                              \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x, "            \
	"namespace: a}\nspec: {address: 192.0.2.5, serviceAccount: x}\n"
#define UNNAMED_BY(account) /* an account that gives no principal */                               \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x, "            \
	"namespace: a}\nspec: {address: 192.0.2.5, serviceAccount: '" account "'}\n"
/* A service of namespace a with the workload of another namespace. */
#define PLANTED "---\n" AGED("p", "a", "", "203.0.113.1", "192.0.2.5")

static const struct {
	const char *sources, *planted;
} plants[] = {
	/* A source with `namespaces` takes nothing from one without, by an account or without. */
	{"  sources: [{directory: all}, {directory: all/team, namespaces: [a]}]\n",
		NAMED_UNDATED PLANTED},
	{"  sources: [{directory: all}, {directory: all/team, namespaces: [a]}]\n",
		UNNAMED PLANTED},
	/* An entry without an account keeps nothing that it did not have before. */
	{"  sources: [{directory: all}]\n", UNNAMED PLANTED},
	{"  sources: [{directory: all, namespaces: [a, b]}]\n", UNNAMED PLANTED},
};

/* A workload without a service of its own has its principal at a first load, and then stays. */
static void workloads_at_a_first_load(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(plants); i++) {
		char cmd[100], node[400];
		struct scene sc;

		scene_begin(&sc);
		snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		snprintf(node, sizeof(node), WORKLOADS_NODE("%s"), plants[i].sources);
		scene_write(&sc, "0-node.yaml", node);
		scene_write(&sc, "all/v.yaml", WORKLOAD("v", "b", "2020", ""));
		scene_write(&sc, "all/team/p.yaml", plants[i].planted);
		for (int load = 0; load < 2; load++) {
			scene_load_node(&sc);
			IS_STATUS(&sc, "ServiceEntry", "p", "in-force");
			is_bound(&sc, "cluster.local/ns/b/sa/y");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

#define ALL	    "{directory: all}"
#define ALL_TEAMS   "{directory: all, namespaces: [a, b]}"
#define TWO_SOURCES "{directory: all, namespaces: [b]}, {directory: all/team, namespaces: [a]}"

static const struct {
	const char *sources, *planted;
	bool limited;
} even[] = {
	{TWO_SOURCES, NAMED_UNDATED, true},
	{TWO_SOURCES, NAMED_UNDATED PLANTED, true},
	{TWO_SOURCES, WORKLOAD("x", "a", "2010", ""), true},
	{ALL_TEAMS, NAMED_UNDATED PLANTED, true},
	{ALL, NAMED_UNDATED PLANTED, false},
};

/* Serves what is written. */
static void no_principal(struct scene *sc, const char *own, const char *other)
{
	const struct mt_bound *b;

	scene_serve(sc);
	b = bound_of(sc);
	CU_ASSERT_PTR_NULL(b->principal);
	CU_ASSERT(b->disputed);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b->why);
	CU_ASSERT_PTR_NOT_NULL(strstr(b->why, "WorkloadEntry b/v"));
	CU_ASSERT_PTR_NOT_NULL(strstr(b->why, "WorkloadEntry a/x"));
	CU_ASSERT(scene_has(sc, own, "no principal, because of WorkloadEntry a/x at"));
	CU_ASSERT(scene_has(sc, other, "no principal, because of WorkloadEntry b/v at"));
	CU_ASSERT(scene_has(sc, own, "(remove one of the two entries)"));
}

static void is_without(const struct scene *sc)
{
	const struct mt_bound *b = bound_of(sc);

	CU_ASSERT_PTR_NULL(b->principal);
	CU_ASSERT_NOT_EQUAL(b->disputed, b->waits);
}

/*
 * Entries of two namespaces that only dates and services distinguish give no principal, until one is
 * gone. From then on the other one keeps the address, after a restart if its source is limited.
 */
static void workloads_of_even_claims(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(even); i++) {
		char cmd[100], node[400];
		struct scene sc;

		scene_begin(&sc);
		snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		snprintf(node, sizeof(node), WORKLOADS_NODE("  sources: [%s]\n"), even[i].sources);
		scene_write(&sc, "0-node.yaml", node);
		scene_write(&sc, "all/v.yaml", WORKLOAD("v", "b", "2020", ""));
		scene_write(&sc, "all/team/p.yaml", even[i].planted);
		no_principal(&sc, "v.yaml", "p.yaml");
		no_principal(&sc, "v.yaml", "p.yaml");
		scene_restart(&sc);
		no_principal(&sc, "v.yaml", "p.yaml");
		scene_write(&sc, "all/team/p.yaml", NULL);
		for (int load = 0; load < 3 && even[i].limited; load++) {
			scene_serve(&sc);
			is_without(&sc);
			CU_ASSERT(scene_has(&sc, "v.yaml", "no principal: until now, an entry of"));
		}
		if (even[i].limited)
			scene_restart(&sc);
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_write(&sc, "all/team/p.yaml", even[i].planted);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			is_bound(&sc, "cluster.local/ns/b/sa/y");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* A scene with a directory `all` of these sources, and entry v of namespace b. */
static void begin_sources(struct scene *sc, const char *sources, const char *entry)
{
	char cmd[100], node[400];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	snprintf(node, sizeof(node), WORKLOADS_NODE("  sources: [%s]\n"), sources);
	scene_write(sc, "0-node.yaml", node);
	if (entry)
		scene_write(sc, "all/v.yaml", entry);
	scene_serve(sc);
}

#define LIMITED_TEAM "{directory: all}, {directory: all/team, namespaces: [a]}"

/* A planted entry does not get the address in loads without the owner's, also by edits. */
static void workloads_absent_for_a_load(void)
{
	static const char *const sources[] = {TWO_SOURCES, ALL_TEAMS, LIMITED_TEAM};

	for (size_t i = 0; i < MT_ARRAY_LEN(sources); i++) {
		struct scene sc;

		begin_sources(&sc, sources[i], WORKLOAD("v", "b", "2020", ""));
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		CU_ASSERT_PTR_NULL(bound_of(&sc)->also);
		scene_write(&sc, "all/team/p.yaml", NAMED_UNDATED);
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		CU_ASSERT_PTR_NOT_NULL_FATAL(bound_of(&sc)->also);
		CU_ASSERT_STRING_EQUAL(bound_of(&sc)->also, "WorkloadEntry a/x");
		scene_write(&sc, "all/v.yaml", NULL);
		for (int load = 0; load < 3; load++) {
			scene_serve(&sc);
			is_without(&sc);
			CU_ASSERT(scene_has(&sc, "p.yaml", "no principal: until now, an entry of"));
			scene_write(&sc, "all/team/p.yaml",
				load ? WORKLOAD("x", "a", "2010", "") : NAMED_UNDATED PLANTED);
		}
		scene_write(&sc, "all/v.yaml", WORKLOAD("v2", "b", "2020", ""));
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_restart(&sc);
		scene_write(&sc, "all/v.yaml", NULL);
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/a/sa/y");
		scene_end(&sc);
	}
}

/*
 * An entry without an account keeps the address of its service's endpoint from a planted one also
 * after a load without it.
 */
static void workloads_kept_without_an_account(void)
{
	static const char *const sources[] = {TWO_SOURCES, ALL_TEAMS};
	static const char unnamed[] =
		"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: v, "
		"namespace: b}\nspec: {address: 192.0.2.5}\n";

	for (size_t i = 0; i < MT_ARRAY_LEN(sources); i++) {
		struct scene sc;

		begin_sources(&sc, sources[i], unnamed);
		scene_write(&sc, "all/s.yaml", AGED("v", "b", "", "203.0.113.1", "192.0.2.5"));
		scene_serve(&sc);
		scene_write(&sc, "all/team/p.yaml", NAMED_UNDATED);
		scene_serve(&sc);
		CU_ASSERT(
			scene_has(&sc, "p.yaml", "no principal, because of WorkloadEntry b/v at"));
		scene_write(&sc, "all/v.yaml", NULL);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			is_without(&sc);
		}
		scene_write(&sc, "all/v.yaml", WORKLOAD("v", "b", "2020", ""));
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_end(&sc);
	}
}

#define NAMED_AT(address)                                                                          \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x, "            \
	"namespace: a}\nspec: {address: " address ", serviceAccount: x}\n"

static const struct {
	const char *sources, *applied, *own, *principal; /* NULL: none */
} elsewhere[] = {
	/* The owner's entry has a new name. */
	{TWO_SOURCES, NAMED_AT("192.0.2.77"), WORKLOAD("v2", "b", "2020", ""), NULL},
	{ALL_TEAMS, NAMED_AT("192.0.2.77"), WORKLOAD("v2", "b", "2020", ""), NULL},
	{ALL, NAMED_AT("192.0.2.77"), WORKLOAD("v2", "b", "2020", ""), NULL},
	{LIMITED_TEAM, NAMED_AT("192.0.2.77"), WORKLOAD("v2", "b", "2020", ""),
		"cluster.local/ns/b/sa/y"},
	/* It has an edit. */
	{TWO_SOURCES, NAMED_AT("192.0.2.77"), WORKLOAD("v", "b", "2020", ", weight: 2"),
		"cluster.local/ns/b/sa/y"},
	{ALL, NAMED_AT("192.0.2.77"), WORKLOAD("v", "b", "2020", ", weight: 2"),
		"cluster.local/ns/b/sa/y"},
	/* Nor does one that was applied at the address without a principal. */
	{TWO_SOURCES, UNNAMED, WORKLOAD("v2", "b", "2020", ""), NULL},
	{LIMITED_TEAM, UNNAMED, WORKLOAD("v2", "b", "2020", ""), "cluster.local/ns/b/sa/y"},
	{TWO_SOURCES, UNNAMED_BY("spiffe://other/ns/a/sa/x"), WORKLOAD("v2", "b", "2020", ""),
		NULL},
};

/*
 * An entry that was applied, but gave the workload no principal, precedes no new one after a
 * restart.
 */
static void workloads_applied_elsewhere(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(elsewhere); i++) {
		struct scene sc;

		begin_sources(&sc, elsewhere[i].sources, WORKLOAD("v", "b", "2020", ""));
		scene_write(&sc, "all/team/p.yaml", elsewhere[i].applied);
		scene_serve(&sc);
		scene_write(&sc, "all/team/p.yaml", NAMED_AT("192.0.2.5"));
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		scene_write(&sc, "all/v.yaml", elsewhere[i].own);
		scene_restart(&sc);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			if (elsewhere[i].principal)
				is_bound(&sc, elsewhere[i].principal);
			else
				is_without(&sc);
		}
		scene_end(&sc);
	}
}

/* An entry of a limited source does not keep its address from one of a source without `namespaces`. */
static void workloads_claimed_in_advance(void)
{
	struct scene sc;

	begin_sources(&sc, LIMITED_TEAM, NULL);
	scene_write(&sc, "all/team/p.yaml", NAMED_UNDATED);
	scene_serve(&sc);
	is_bound(&sc, "cluster.local/ns/a/sa/x");
	scene_write(&sc, "all/v.yaml", WORKLOAD("v", "b", "2020", ""));
	for (int load = 0; load < 3; load++) {
		scene_serve(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
		CU_ASSERT(
			scene_has(&sc, "p.yaml", "of a source that is not limited to namespaces"));
		if (load)
			scene_restart(&sc);
	}
	scene_end(&sc);
}

/* Nor does an edit lose it to an entry without an account that was applied meanwhile. */
static void workloads_edited_before_a_restart(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", WORKLOADS_NODE(""));
	scene_write(&sc, "v.yaml", WORKLOAD("v", "b", "2020", ""));
	scene_load(&sc);
	scene_write(&sc, "p.yaml", UNNAMED PLANTED);
	scene_load(&sc);
	is_bound(&sc, "cluster.local/ns/b/sa/y");
	scene_write(&sc, "v.yaml", WORKLOAD("v", "b", "2020", ", labels: {new: version}"));
	for (int load = 0; load < 3; load++) {
		scene_restart(&sc);
		scene_load(&sc);
		is_bound(&sc, "cluster.local/ns/b/sa/y");
	}
	scene_end(&sc);
}

/* Nor is an endpoint taken by a service at its address. */
static void endpoints_after_a_restart(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "v.yaml", VICTIM(OF("2020")));
	scene_load(&sc);
	scene_write(&sc, "o.yaml", AGED("o", "a", "", "198.51.100.1", "198.51.100.2"));
	scene_restart(&sc);
	scene_load(&sc);
	IS_STATUS(&sc, "ServiceEntry", "v", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "o", "refused");
	CU_ASSERT(scene_has(&sc, "o.yaml", "spec.addresses[0]: 198.51.100.1 is the address of an"));
	scene_end(&sc);
}

/* ---- hosts of several namespaces ------------------------------------------------------------- */

#define NAMING(name, ns, meta, hosts, address, endpoint)                                           \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name           \
	", namespace: " ns meta "}\nspec:\n"                                                       \
	"  hosts: [" hosts "]\n  addresses: [" address "]\n"                                       \
	"  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n"                               \
	"  endpoints: [{address: " endpoint "}]\n"
#define NAMED(meta)	   NAMING("v", "b", meta, "h.x", "203.0.113.1", "198.51.100.1")
#define TAKER(meta, hosts) NAMING("o", "a", meta, hosts, "203.0.113.2", "198.51.100.2")

static const struct {
	const char *own, *other, *words; /* of the one that does not have the host */
} host_rows[] = {
	{NAMED(OF("2020")), TAKER("", "h.x"), "of ServiceEntry b/v, which has a creationTimestamp"},
	{NAMED(OF("2020")), TAKER(OF("2021"), "h.x"), "\"h.x\" is that of ServiceEntry b/v"},
	{NAMED(OF("2020")), TAKER("", "own.a, h.x"), "spec.hosts[1]: \"h.x\" is that of"},
};

static void hosts_at_a_first_load(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(host_rows); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "v.yaml", host_rows[i].own);
		scene_write(&sc, "o.yaml", host_rows[i].other);
		scene_load(&sc);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "h.x"), 1);
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "ServiceEntry", "v"), "shadowed");
		CU_ASSERT(scene_has(&sc, "o.yaml", host_rows[i].words));
		scene_end(&sc);
	}
}

/* The object that has the host keeps it over restarts from one that looks older. */
static void hosts_after_a_restart(void)
{
	static const char *const takers[] = {
		TAKER(OF("2010"), "h.x"), TAKER(OF("2010"), "own.a, h.x")};

	for (size_t i = 0; i < MT_ARRAY_LEN(takers); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "v.yaml", NAMED(OF("2020")));
		scene_load(&sc);
		scene_write(&sc, "o.yaml", takers[i]);
		for (int load = 0; load < 4; load++) {
			scene_load(&sc);
			CU_ASSERT_STRING_NOT_EQUAL(
				scene_status(&sc, "ServiceEntry", "v"), "shadowed");
			CU_ASSERT(scene_has(&sc, "o.yaml", "\"h.x\" is that of ServiceEntry b/v"));
			scene_restart(&sc);
		}
		/* Also with another version of its own. */
		scene_write(&sc, "v.yaml", NAMED(OF("2020") ", labels: {new: version}"));
		scene_load(&sc);
		CU_ASSERT(scene_has(&sc, "o.yaml",
			"\"h.x\" is that of ServiceEntry b/v, applied before in another version"));
		/* When it is gone, the other one gets it. */
		scene_write(&sc, "v.yaml", NULL);
		scene_load(&sc);
		IS_STATUS(&sc, "ServiceEntry", "o", "in-force");
		scene_end(&sc);
	}
}

/* A source without `namespaces` keeps its hosts from one with them. */
static void hosts_of_limited_sources(void)
{
	static const char *const takers[] = {
		TAKER(OF("2010"), "h.x"), TAKER(OF("2010"), "own.a, h.x")};

	for (size_t i = 0; i < MT_ARRAY_LEN(takers); i++) {
		struct scene sc;
		char cmd[100];

		scene_begin(&sc);
		snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, "0-node.yaml",
			"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
			"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
			"  sources: [{directory: all}, {directory: all/team, namespaces: [a]}]\n");
		scene_write(&sc, "all/v.yaml", NAMED(OF("2020")));
		scene_write(&sc, "all/team/o.yaml", takers[i]);
		scene_load_node(&sc);
		CU_ASSERT_STRING_NOT_EQUAL(scene_status(&sc, "ServiceEntry", "v"), "shadowed");
		CU_ASSERT(scene_has(&sc, "o.yaml", "of a source that is not limited"));
		scene_end(&sc);
	}
}

/* A source that is limited to some namespaces stands behind one that is not. */
static void limited_sources(void)
{
	struct scene sc;
	char cmd[100];

	scene_begin(&sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  sources: [{directory: all}, {directory: all/team, namespaces: [a]}]\n");
	scene_write(&sc, "all/v.yaml", VICTIM(OF("2020")));
	scene_write(&sc, "all/team/o.yaml", OTHER(OF("2010")));
	scene_load_node(&sc);
	IS_STATUS(&sc, "ServiceEntry", "v", "in-force");
	IS_STATUS(&sc, "ServiceEntry", "o", "refused");
	CU_ASSERT(scene_has(&sc, "o.yaml", "of a source that is not limited to namespaces"));
	scene_end(&sc);
}

const struct mt_test standing_tests[] = {{"at_first_load", at_first_load},
	{"services_of_kubernetes", services_of_kubernetes}, {"after_a_restart", after_a_restart},
	{"edited_before_a_restart", edited_before_a_restart},
	{"workloads_after_a_restart", workloads_after_a_restart},
	{"workloads_without_an_account", workloads_without_an_account},
	{"workloads_at_a_first_load", workloads_at_a_first_load},
	{"workloads_of_even_claims", workloads_of_even_claims},
	{"workloads_absent_for_a_load", workloads_absent_for_a_load},
	{"workloads_kept_without_an_account", workloads_kept_without_an_account},
	{"workloads_claimed_in_advance", workloads_claimed_in_advance},
	{"workloads_applied_elsewhere", workloads_applied_elsewhere},
	{"workloads_edited_before_a_restart", workloads_edited_before_a_restart},
	{"endpoints_after_a_restart", endpoints_after_a_restart},
	{"limited_sources", limited_sources}, {"hosts_at_a_first_load", hosts_at_a_first_load},
	{"hosts_after_a_restart", hosts_after_a_restart},
	{"hosts_of_limited_sources", hosts_of_limited_sources}, {0}};
