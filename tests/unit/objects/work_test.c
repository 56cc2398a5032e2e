/* SPDX-License-Identifier: Apache-2.0 */
/* Work of a compilation that documents could multiply: what is found without comparing all. */
#include "objects_test.h"

#include <stdio.h>
#include <string.h>

static uint32_t count(const struct scene *sc, const char *ns, enum mt_object_status status)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->t->n; i++)
		n += strcmp(sc->t->rows[i].o->ns, ns) == 0 && sc->t->rows[i].status == status;
	return n;
}

/* Each endpoint finds the policy with its labels among many. */
static void policies_by_label(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (int i = 0; i < 200; i++)
		fprintf(f,
			"---\n" ISTIO("ServiceEntry", "s%d",
				"x") "  hosts: [s%d.x]\n  resolution: STATIC\n"
				     "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"
				     "  location: MESH_INTERNAL\n"
				     "  endpoints: [{address: 198.51.100.1, labels: {app: a%d, x: "
				     "x}}]\n"
				     "---\n" SECURITY("AuthorizationPolicy", "p%d", "x",
					     "{selector: {matchLabels: {x: x, app: a%d}}, action: "
					     "DENY, rules: [{}]}"),
			i, i, i, i, i);
	scene_load_text(&sc, f, &text);
	CU_ASSERT_EQUAL(count(&sc, "x", MT_OBJECT_IN_FORCE), 400);
	scene_end(&sc);
}

/* Ports of a service are compared by number, transport and name, however many there are. */
static void ports_of_one_service(void)
{
	struct scene sc;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "---\n" ISTIO("ServiceEntry", "s",
			   "x") "  hosts: [s.x]\n  resolution: STATIC\n  ports:\n");
	for (int i = 0; i < 5000; i++)
		fprintf(f, "  - {number: %d, name: tcp-%d}\n", i + 1, i);
	fprintf(f, "  - {number: 7, name: udp-7, protocol: UDP}\n"
		   "  - {number: 9, name: tcp-3, protocol: TCP}\n"
		   "  - {number: 6000, name: tcp-8}\n"
		   "  endpoints: [{address: 198.51.100.1}]\n");
	scene_load_text(&sc, f, &text);
	IS_STATUS(&sc, "ServiceEntry", "s", "refused");
	/* The first port with the number or the name: that of the name comes first here. */
	CU_ASSERT(scene_has(&sc, "spec.ports[5001].name", "already on line 12"));
	CU_ASSERT(scene_has(&sc, "spec.ports[5002].name", "already on line 17"));
	CU_ASSERT_FALSE(scene_has(&sc, "spec.ports[5000]", "already"));
	scene_end(&sc);
}

const struct mt_test work_tests[] = {{"policies by label", policies_by_label},
	{"ports of one service", ports_of_one_service}, {0}};
