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

const struct mt_test memory_tests[] = {{"any memory ends", any_memory_ends}, {0}};
