/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was applied before, last good versions and directories with other names give no other source
 * what the Node gives to one.
 */
#include "owns_test.h"

/* ---- history --------------------------------------------------------------------------------- */

/* The victim is absent for a load, and the other entry gets an account in it or after it. */
static void through_a_gap(void)
{
	static const char *const planted[] = {AT("192.0.2.5"), WITHOUT("192.0.2.5")};

	for (size_t i = 0; i < MT_ARRAY_LEN(planted); i++) {
		struct scene sc;

		owns_begin(&sc, WHOLE);
		scene_write(&sc, "a/x.yaml", planted[i]);
		scene_serve(&sc);
		owns_victims_are_served(&sc);
		scene_write(&sc, "shop/w.yaml", NULL);
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.5", "");
		/* Removed, and written again in another load. */
		scene_write(&sc, "a/x.yaml", NULL);
		scene_serve(&sc);
		scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.5", "");
		scene_write(&sc, "shop/w.yaml", BUYER);
		scene_serve(&sc);
		owns_victims_are_served(&sc);
		/* Renamed while the node is down. */
		scene_write(&sc, "shop/w.yaml",
			AT_ADDRESS("buyer", "shop",
				"{address: 192.0.2.5, serviceAccount: buyer, "
				"labels: {new: name}}"));
		scene_restart(&sc);
		scene_serve(&sc);
		owns_victims_are_served(&sc);
		IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
		scene_end(&sc);
	}
}

/* An entry that was good at an address, and went elsewhere, until the owner has it. */
static void a_parked_workload(void)
{
	struct scene sc;

	owns_begin(&sc, NODE("", TEAM OPS));
	scene_write(&sc, "a/x.yaml", AT("192.0.2.6"));
	scene_serve(&sc);
	IS_PRINCIPAL(&sc, "192.0.2.6", "cluster.local/ns/a/sa/x");
	scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
	scene_serve(&sc);
	scene_write(&sc, "0-node.yaml", WHOLE);
	scene_write(&sc, "shop/x.yaml",
		AT_ADDRESS("vm", "shop", "{address: 192.0.2.6, serviceAccount: vm}"));
	/* At once, although the other one had the address in the configuration in force. */
	scene_serve(&sc);
	owns_victims_are_served(&sc);
	IS_PRINCIPAL(&sc, "192.0.2.6", "cluster.local/ns/shop/sa/vm");
	IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
	scene_write(&sc, "a/x.yaml", AT("192.0.2.6"));
	for (int load = 0; load < 3; load++) {
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.6", "cluster.local/ns/shop/sa/vm");
		IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
		scene_restart(&sc);
	}
	scene_write(&sc, "shop/x.yaml",
		AT_ADDRESS("vm2", "shop", "{address: 192.0.2.6, serviceAccount: vm}"));
	scene_serve(&sc);
	IS_PRINCIPAL(&sc, "192.0.2.6", "cluster.local/ns/shop/sa/vm");
	scene_end(&sc);
}

/* A service that was good with a host, and was parked on another one, also with both of them. */
static void a_parked_service(void)
{
	static const char *const parked[] = {
		AT_HOST("s", "a", "one.corp", "240.240.2.1", "198.51.100.66", "2010"),
		AT_HOST("s", "a", "one.corp, new.one.corp", "'240.240.2.1', '240.240.2.9'",
			"198.51.100.66", "2010")};
	static const char good[] =
		AT_HOST("s", "a", "new.one.corp", "240.240.2.9", "198.51.100.66", "2010");

	for (size_t i = 0; i < MT_ARRAY_LEN(parked); i++) {
		struct scene sc;

		owns_begin(&sc, NODE("", TEAM OPS));
		scene_write(&sc, "a/x.yaml", good);
		scene_serve(&sc);
		LEADS_TO(&sc, "new.one.corp", "198.51.100.66");
		scene_write(&sc, "a/x.yaml", parked[i]);
		scene_serve(&sc);
		IS_STATUS(&sc, "ServiceEntry", "s", "shadowed");
		scene_write(&sc, "0-node.yaml", WHOLE);
		scene_write(&sc, "shop/new.yaml",
			AT_HOST("new", "shop", "new.one.corp", "240.240.2.9", "198.51.100.12",
				"2020"));
		for (int load = 0; load < 6; load++) {
			scene_serve(&sc);
			LEADS_TO(&sc, "new.one.corp", "198.51.100.12");
			owns_victims_are_served(&sc);
			IS_STATUS(&sc, "ServiceEntry", "s", "refused");
			IS_STATUS(&sc, "ServiceEntry", "new", "in-force");
			if (load == 1)
				scene_write(&sc, "a/x.yaml", good);
			if (load >= 2)
				scene_restart(&sc);
			if (load == 4)
				scene_write(&sc, "shop/new.yaml",
					AT_HOST("new", "shop", "new.one.corp, more.one.corp",
						"240.240.2.9", "198.51.100.12", "2020"));
		}
		scene_end(&sc);
	}
}

/* ---- last good versions ---------------------------------------------------------------------- */

/* A version of before the Node gave its address away is used by no mistake and no unreadable file. */
static void no_last_good_version(void)
{
	static const char *const broken[] = {
		/* With a mistake, not YAML, without the name of the object, and gone. */
		AT_ADDRESS("x", "a", "{address: 192.0.2.5, serviceAccount: x, weight: -1}"),
		"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"
		"metadata: {name: x, namespace: a}\nspec: [\n",
		"\xff\xfe\xff", "}{\n"};

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(broken); i++) {
		const struct mt_object_row *row;
		struct scene sc;

		owns_begin(&sc, NODE("", TEAM OPS));
		scene_write(&sc, "shop/w.yaml", AT_ADDRESS("z", "shop", "{address: 192.0.2.9}"));
		scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.5", "cluster.local/ns/a/sa/x");
		scene_write(&sc, "a/x.yaml", broken[i / 2]);
		if (i % 2)
			scene_restart(&sc);
		scene_serve(&sc);
		/* Without `owns` it stays. */
		IS_PRINCIPAL(&sc, "192.0.2.5", "cluster.local/ns/a/sa/x");
		IS_STATUS(&sc, "WorkloadEntry", "x", "last-good");
		scene_write(&sc, "0-node.yaml", WHOLE);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			IS_PRINCIPAL(&sc, "192.0.2.5", "");
			row = scene_row(&sc, "WorkloadEntry", "x");
			CU_ASSERT_PTR_NOT_NULL_FATAL(row);
			CU_ASSERT_EQUAL(row->status, MT_OBJECT_REFUSED);
			CU_ASSERT_PTR_NULL(row->used);
			CU_ASSERT(scene_has(&sc, "error: spec.address: ", "belongs to the source"));
			scene_restart(&sc);
		}
		/* Nothing is forgotten until the document is removed. */
		scene_write(&sc, "0-node.yaml", NODE("", TEAM OPS));
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.5", "cluster.local/ns/a/sa/x");
		scene_end(&sc);
	}
}

/* A version that has nothing of others stays in use, as with any other mistake. */
static void a_harmless_last_good_version(void)
{
	struct scene sc;

	owns_begin(&sc, WHOLE);
	scene_write(&sc, "a/x.yaml", HOSTS("s.a"));
	scene_serve(&sc);
	scene_write(&sc, "a/x.yaml", HOSTS("s.a, one.corp"));
	for (int load = 0; load < 2; load++) {
		scene_serve(&sc);
		IS_STATUS(&sc, "ServiceEntry", "s", "last-good");
		LEADS_TO(&sc, "s.a", "198.51.100.66");
		CU_ASSERT(scene_has(&sc, "a/x.yaml:5: error: spec.hosts[1]: ", "one.corp belongs"));
		owns_victims_are_served(&sc);
		scene_restart(&sc);
	}
	scene_end(&sc);
}

/* While a directory of the Node cannot be read, nothing is removed; but this is not used. */
static void a_source_that_is_gone(void)
{
	struct scene sc;

	for (int restart = 0; restart < 2; restart++) {
		owns_begin(&sc, NODE("", TEAM OPS));
		scene_write(&sc, "shop/w.yaml", NULL);
		scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
		scene_write(&sc, "a/y.yaml", AT_ADDRESS("y", "a", "{address: 192.0.2.9}"));
		scene_serve(&sc);
		scene_write(&sc, "0-node.yaml", NODE(OWNS, "  - {directory: missing}\n"));
		if (restart)
			scene_restart(&sc);
		scene_serve(&sc);
		IS_STATUS(&sc, "WorkloadEntry", "y", "last-good");
		IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
		IS_PRINCIPAL(&sc, "192.0.2.5", "");
		scene_end(&sc);
	}
}

/* The owner's objects stay while its directory cannot be read, or its name has a mistake. */
static void the_owners_directory(void)
{
	struct scene sc;

	owns_begin(&sc, WHOLE);
	scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
	scene_serve(&sc);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24, "
		"'2001:db8::1/64'], side: workloads}]\n  sources:\n"
		"  - {directory: shpo, namespaces: [shop]" OWNS "}\n" TEAM OPS);
	scene_serve(&sc);
	IS_PRINCIPAL(&sc, "192.0.2.5", "cluster.local/ns/shop/sa/buyer");
	LEADS_TO(&sc, "one.corp", "198.51.100.11");
	IS_STATUS(&sc, "WorkloadEntry", "buyer", "last-good");
	IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
	scene_end(&sc);
}

#define BUYERS "cluster.local/ns/shop/sa/buyer"
#define BROKEN                                                                                     \
	AT_ADDRESS("buyer", "shop", "{address: 192.0.2.5, serviceAccount: buyer, weight: -1}")
#define RENAMED(namespaces, sources)                                                               \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24, '2001:db8::1/64'], "    \
	"side: workloads}]\n  sources:\n  - {directory: ops/shop, namespaces: [" namespaces        \
	"]" OWNS "}\n" sources

/* Last good versions stay if the owner's directory has another name, but for the owner only. */
static void the_owners_directory_is_renamed(void)
{
	static const struct {
		const char *file, *node, *status, *principal;
	} rows_of[] = {
		{"ops/shop/w.yaml", RENAMED("shop", BOTH), "last-good", BUYERS},
		{"ops/shop/w.yaml", RENAMED("shop, b", BOTH), "last-good", BUYERS},
		{"a/x.yaml", RENAMED("shop", BOTH), "refused", ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows_of); i++) {
		struct scene sc;
		char cmd[96];

		owns_begin(&sc, NODE(OWNS, BOTH));
		scene_serve(&sc);
		owns_victims_are_served(&sc);
		snprintf(cmd, sizeof(cmd), "mkdir %s/ops/shop", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, "ops/shop/one.yaml", ONE);
		scene_write(&sc, rows_of[i].file, BROKEN);
		scene_write(&sc, "0-node.yaml", rows_of[i].node);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			IS_STATUS(&sc, "WorkloadEntry", "buyer", rows_of[i].status);
			IS_PRINCIPAL(&sc, "192.0.2.5", rows_of[i].principal);
			LEADS_TO(&sc, "one.corp", "198.51.100.11");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

#define ROUTES(more)                                                                               \
	ISTIO("VirtualService", "v", "shop")                                                       \
	"  hosts: [one.corp]\n  dubbo: [{route: [{destination: {host: s.shop}}]}]\n" more
#define LED AT_HOST("s", "shop", "s.shop", "240.240.2.2", "198.51.100.12", "2020")

/* Also the owner's routes, although they have a mistake. */
static void routes_of_a_renamed_directory(void)
{
	struct scene sc;

	owns_begin(&sc, NODE(OWNS, BOTH));
	scene_write(&sc, "shop/s.yaml", LED);
	scene_write(&sc, "shop/v.yaml", ROUTES(""));
	scene_serve(&sc);
	IS_STATUS(&sc, "VirtualService", "v", "in-force");
	scene_write(&sc, "shop/v.yaml", ROUTES("  exportTo: 7\n"));
	scene_write(&sc, "0-node.yaml", RENAMED("shop", BOTH));
	for (int load = 0; load < 2; load++) {
		scene_serve(&sc);
		IS_STATUS(&sc, "VirtualService", "v", "last-good");
		CU_ASSERT_FALSE(scene_has(&sc, "shop/v.yaml", "these routes do not lead"));
		scene_restart(&sc);
	}
	scene_end(&sc);
}

#define MISTAKE                                                                                    \
	ISTIO("ServiceEntry", "one", "shop")                                                       \
	"  hosts: [one.corp]\n  ports: [{number: -1}]\n"
#define COPY(hosts, address) AT_HOST("one", "shop", hosts, address, "198.51.100.66", "2010")

/*
 * A mistake in the owner's object, whose last good version is of a directory with another name, or
 * of an operator's: a copy without anything of the owner does not displace it.
 */
static void a_copy_and_another_directory(void)
{
	static const struct {
		const char *before, *now, *node;
	} t[] = {
		{"shop/one.yaml", "ops/shop/one.yaml", RENAMED("shop", BOTH)},
		{"ops/one.yaml", "shop/one.yaml", NODE(OWNS, BOTH OPS)},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;
		char cmd[96];

		owns_begin(&sc, NODE(OWNS, BOTH OPS));
		scene_write(&sc, "shop/one.yaml", NULL);
		scene_write(&sc, t[i].before, ONE);
		scene_serve(&sc);
		LEADS_TO(&sc, "one.corp", "198.51.100.11");
		snprintf(cmd, sizeof(cmd), "mkdir %s/ops/shop", sc.dir);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_write(&sc, t[i].before, NULL);
		scene_write(&sc, t[i].now, MISTAKE);
		scene_write(&sc, "0-node.yaml", t[i].node);
		scene_write(&sc, "a/x.yaml", COPY("s.a", "240.240.9.9"));
		for (int load = 0; load < 3; load++) {
			if (load == 2)
				scene_write(&sc, "a/x.yaml", NULL);
			scene_serve(&sc);
			IS_STATUS(&sc, "ServiceEntry", "one", "last-good");
			LEADS_TO(&sc, "one.corp", "198.51.100.11");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* A version that another source had is not the owner's, if the Node names its directory no more. */
static void a_version_of_another_directory(void)
{
	static const struct {
		const char *text, *host, *status;
	} t[] = {
		{COPY("one.corp", "240.240.2.1"), "one.corp", "refused"},
		/* It has nothing of the owner. */
		{COPY("s.a", "240.240.9.9"), "s.a", "last-good"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;

		owns_begin(&sc, NODE("", BOTH OPS));
		scene_write(&sc, "shop/one.yaml", NULL);
		scene_write(&sc, "a/x.yaml", t[i].text);
		scene_serve(&sc);
		LEADS_TO(&sc, t[i].host, "198.51.100.66");
		scene_write(&sc, "shop/one.yaml", MISTAKE);
		scene_write(&sc, "0-node.yaml", NODE(OWNS, OPS));
		for (int load = 0; load < 3; load++) {
			scene_serve(&sc);
			IS_STATUS(&sc, "ServiceEntry", "one", t[i].status);
			LEADS_TO(&sc, "one.corp", "-");
			scene_restart(&sc);
		}
		scene_write(&sc, "shop/one.yaml", ONE);
		scene_serve(&sc);
		owns_victims_are_served(&sc);
		scene_end(&sc);
	}
}

/* Nor is it that of an owner without `namespaces`. `earlier`: an earlier Meltemi has stored it. */
static void a_version_for(const char *node, bool earlier)
{
	struct scene sc;
	char cmd[128];

	owns_begin(&sc, NODE("", BOTH OPS));
	scene_write(&sc, "shop/one.yaml", NULL);
	scene_write(&sc, "a/x.yaml", COPY("one.corp", "240.240.2.1"));
	scene_serve(&sc);
	LEADS_TO(&sc, "one.corp", "198.51.100.66");
	scene_write(&sc, "ops/one.yaml", MISTAKE);
	scene_write(&sc, "0-node.yaml", node);
	if (earlier) {
		snprintf(cmd, sizeof(cmd),
			"sed -i 's/,\"namespaces\":\"[^\"]*\"//' %s/objects.jsonl", sc.state);
		CU_ASSERT_EQUAL(system(cmd), 0);
		scene_restart(&sc);
	}
	for (int load = 0; load < 2; load++) {
		scene_serve(&sc);
		IS_STATUS(&sc, "ServiceEntry", "one", "refused");
		LEADS_TO(&sc, "one.corp", "-");
		scene_restart(&sc);
	}
	scene_end(&sc);
}

static void a_version_for_an_operator(void)
{
	static const char node[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24, "
		"'2001:db8::1/64'], side: workloads}]\n  sources:\n  - {directory: ops" OWNS "}\n";

	a_version_for(node, false);
	a_version_for(node, true);
}

const struct mt_test owns_history_tests[] = {
	{"through_a_gap", through_a_gap},
	{"a_parked_workload", a_parked_workload},
	{"a_parked_service", a_parked_service},
	{"no_last_good_version", no_last_good_version},
	{"a_harmless_last_good_version", a_harmless_last_good_version},
	{"a_source_that_is_gone", a_source_that_is_gone},
	{"the_owners_directory", the_owners_directory},
	{"the_owners_directory_is_renamed", the_owners_directory_is_renamed},
	{"routes_of_a_renamed_directory", routes_of_a_renamed_directory},
	{"a_copy_and_another_directory", a_copy_and_another_directory},
	{"a_version_of_another_directory", a_version_of_another_directory},
	{"a_version_for_an_operator", a_version_for_an_operator},
	{0},
};
