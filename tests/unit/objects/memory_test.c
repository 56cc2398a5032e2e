/* SPDX-License-Identifier: Apache-2.0 */
/* Loads whose builds have little memory. */
#include "work_test.h"

/* Writes `n` services inside the mesh, with `endpoints` endpoints that have no proxies. */
static void put_inside(FILE *f, const char *ns, int n, int endpoints)
{
	for (int i = 0; i < n; i++) {
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"%s") "  hosts: [s%d.%s.example]\n  resolution: STATIC\n"
				      "  location: MESH_INTERNAL\n"
				      "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
				      "  endpoints:\n",
			i, ns, i, ns);
		for (int k = 0; k < endpoints; k++)
			fprintf(f, "  - {address: 198.51.100.%d, labels: {app: a}}\n", k + 1);
	}
}

/* Writes `n` policies for all services of a namespace. */
static void put_denials(FILE *f, const char *ns, int n)
{
	for (int i = 0; i < n; i++)
		fprintf(f,
			"---\n" SECURITY("AuthorizationPolicy", "p%d", "%s",
				"{action: DENY, rules: [{to: [{operation: {ports: ['%d']}}]}]}"),
			i, ns, i + 1000);
}

/* Loads with a limit of memory, without which there may be no snapshot. */
static void load_within(struct scene *sc, uint64_t limit, FILE *f, char **text)
{
	const uint64_t most = mt_conf_memory;

	fclose(f);
	scene_begin(sc);
	scene_write(sc, "a.yaml", *text);
	free(*text);
	mt_conf_memory = limit;
	scene_load(sc);
	mt_conf_memory = most;
}

/* Whatever step of a build finds no memory, the load ends with a report or a snapshot. */
static void any_memory_ends(void)
{
	uint32_t n = 0;
	bool whole = false;
	struct scene sc;
	char *text;
	size_t size;

	for (uint64_t limit = 16u << 10; !whole && limit < 8u << 20; limit += limit / 16, n++) {
		FILE *f = open_memstream(&text, &size);

		put_inside(f, "greedy", 3, 4);
		put_denials(f, "greedy", 30);
		load_within(&sc, limit, f, &text);
		CU_ASSERT(sc.s || scene_has(&sc, "", "no memory"));
		whole = sc.s && count(&sc, "greedy", MT_OBJECT_REFUSED) == 0;
		scene_end(&sc);
	}
	CU_ASSERT(n > 5);
	CU_ASSERT(whole);
}

/*
 * If memory does not suffice, services of those who took most of it are closed, and all others stay.
 * The next load closes them at once.
 */
static void memory_has_names(void)
{
	static const char why[] = "because namespace greedy took most";
	const uint64_t most = mt_conf_memory;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_inside(f, "other", 20, 1);
	put_inside(f, "greedy", 20, 100);
	put_denials(f, "greedy", 300);
	load_within(&sc, 8u << 20, f, &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	for (int again = 0; again < 2; again++) {
		CU_ASSERT(scene_has(&sc, "write fewer policies", why));
		CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) > 5);
		CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
		CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
		CU_ASSERT_EQUAL(scene_endpoints(&sc, "s19.other.example"), 1);
		CU_ASSERT_EQUAL(sc.rounds, 1);
		mt_conf_memory = 8u << 20;
		scene_compile(&sc);
		mt_conf_memory = most;
	}
	scene_end(&sc);
}

/* Services in force are closed if policies are added for which there is no memory, and stay. */
static void services_in_force_stay(void)
{
	const uint64_t most = mt_conf_memory;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_inside(f, "other", 20, 1);
	put_inside(f, "greedy", 20, 100);
	load_within(&sc, 8u << 20, f, &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED), 0);
	publish(&sc);
	f = open_memstream(&text, &size);
	put_denials(f, "greedy", 300);
	fclose(f);
	scene_write(&sc, "b.yaml", text);
	free(text);
	mt_conf_memory = 8u << 20;
	scene_load(&sc);
	mt_conf_memory = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_FAIL_CLOSED) > 5);
	CU_ASSERT_EQUAL(count(&sc, "greedy", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s19.other.example"), 1);
	scene_end(&sc);
}

/* Copies of joined rules are charged to their namespace, not to the Gateway's. */
static void copies_have_owners(void)
{
	const uint64_t most = mt_conf_memory;
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("---\n" ISTIO("Gateway", "g", "other") "  selector: {}\n  servers:\n", f);
	for (int i = 0; i < 50; i++)
		fprintf(f, "  - {port: {number: %d, name: tcp}, hosts: ['*']}\n", 1000 + i);
	put_services(f, "other", 1, 1, 1);
	for (int i = 0; i < 3; i++) {
		fprintf(f,
			"---\n" ISTIO("VirtualService", "v%d",
				"%s") "  hosts: [h.example]\n  gateways: [other/g]\n  tcp:\n",
			i, i ? "greedy" : "other");
		for (int k = 0; k < (i ? 600 : 1); k++)
			fputs("  - {match: [{gateways: [other/g]}], route: [{destination: {host: "
			      "s0.other.example}}]}\n",
				f);
	}
	load_within(&sc, 12u << 20, f, &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	IS_STATUS(&sc, "Gateway", "g", "in-force");
	IS_STATUS(&sc, "VirtualService", "v0", "in-force");
	CU_ASSERT(count(&sc, "greedy", MT_OBJECT_REFUSED) > 0);
	CU_ASSERT(scene_has(&sc, "write fewer policies, rules", OVER));
	/* The next load refuses them at once. */
	mt_conf_memory = 12u << 20;
	scene_load(&sc);
	mt_conf_memory = most;
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	CU_ASSERT(scene_has(&sc, "write fewer policies", "because namespace greedy took most"));
	CU_ASSERT(!scene_has(&sc, "write fewer policies", OVER));
	CU_ASSERT_EQUAL(sc.rounds, 2);
	scene_end(&sc);
}

/* Listeners of a service that is closed stay, so that it is refused if they are too many. */
static void listeners_have_owners(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	put_inside(f, "other", 20, 1);
	fputs("---\n" ISTIO("ServiceEntry", "wide", "greedy") "  hosts: [wide.greedy.example]\n"
							      "  location: MESH_INTERNAL\n"
							      "  resolution: STATIC\n"
							      "  addresses: [",
		f);
	for (int i = 0; i < 250; i++)
		fprintf(f, "%s192.0.2.%d", i ? ", " : "", i + 2);
	fputs("]\n  endpoints: [{address: 198.51.100.1}]\n  ports:\n", f);
	for (int i = 0; i < 100; i++)
		fprintf(f, "  - {number: %d, name: tcp-metaprotocol-dubbo-%d}\n", 1000 + i, i);
	load_within(&sc, 8u << 20, f, &text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	IS_STATUS(&sc, "ServiceEntry", "wide", "refused");
	CU_ASSERT(scene_has(&sc, "write fewer policies, rules", OVER));
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_FAIL_CLOSED), 0);
	CU_ASSERT_EQUAL(count(&sc, "other", MT_OBJECT_REFUSED), 0);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "s19.other.example"), 1);
	CU_ASSERT(sc.rounds <= 4);
	scene_end(&sc);
}

const struct mt_test memory_tests[] = {{"any memory ends", any_memory_ends},
	{"memory has names", memory_has_names}, {"services in force stay", services_in_force_stay},
	{"copies have owners", copies_have_owners},
	{"listeners have owners", listeners_have_owners}, {0}};
