/* SPDX-License-Identifier: Apache-2.0 */
/* A WorkloadEntry has the labels of its metadata and of its spec; where both have a name, the metadata's counts. */
#include "conf_test.h"
#include "conf_texts.h"

#include "mt_authz.h"

#include <stdio.h>

#define SELECTING(labels)                                                                          \
	ISTIO("ServiceEntry", "a")                                                                 \
	"  hosts: [a.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"                        \
	"  ports: [{number: 80, name: tcp}]\n  workloadSelector: {labels: " labels "}\n"
#define ENTRY(metadata, spec)                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w, "       \
	"labels: " metadata "}\nspec: {address: 198.51.100.1, labels: " spec "}\n"
#define WRITTEN(metadata, locality)                                                                \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w, "       \
	"labels: " metadata                                                                        \
	"}\nspec: {address: 198.51.100.1, labels: {app: a}, locality: " locality "}\n"
#define POLICY(labels)                                                                             \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n"  \
	"spec: {selector: {matchLabels: " labels "}}\n"
#define SUBSET(labels)                                                                             \
	ISTIO("DestinationRule", "d") "  host: a.x\n  subsets: [{name: s, labels: " labels "}]\n"

static const struct {
	const char *text;
	uint32_t n_eps, n_subset;
	bool guarded;
	const char *zone;
} rows[] = {
	{SELECTING("{version: v1}") ENTRY("{app: a}", "{version: v1}") POLICY("{app: a}")
			SUBSET("{app: a}"),
		1, 1, true, NULL},
	{SELECTING("{app: a}") ENTRY("{app: a}", "{version: v1}") POLICY("{version: v1}")
			SUBSET("{app: a, version: v1}"),
		1, 1, true, NULL},
	{SELECTING("{app: a}") ENTRY("{app: a}", "{app: b}") POLICY("{app: b}") SUBSET("{app: b}"),
		1, 0, false, NULL},
	/* The same label in both places makes no second endpoint. */
	{SELECTING("{app: a}") ENTRY("{app: a}", "{app: a}") POLICY("{app: a}") SUBSET("{app: a}"),
		1, 1, true, NULL},
	{SELECTING("{app: b}") ENTRY("{app: a}", "{app: b}") POLICY("{app: a}") SUBSET("{app: a}"),
		0, 0, false, NULL},
	{SELECTING("{app: a}") ENTRY("{istio-locality: r.z1}", "{app: a}") POLICY("{app: b}")
			SUBSET("{app: a}"),
		1, 1, false, "z1"},
	{SELECTING("{app: a}") ENTRY("{istio-locality: r.z1}", "{app: a, istio-locality: r.z2}")
			POLICY("{app: b}") SUBSET("{app: a}"),
		1, 1, false, "z1"},
	/* A written locality counts. */
	{SELECTING("{app: a}") WRITTEN("{istio-locality: r.z1}", "r/z3") POLICY("{app: b}")
			SUBSET("{app: a}"),
		1, 1, false, "z3"},
};

static void of_both_places(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		const struct mt_cluster *c;
		bool good;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, "outbound|80||a.x");
		good = c->n_eps == rows[i].n_eps && (c->guards && c->guards[0]) == rows[i].guarded;
		if (good && rows[i].zone)
			good = strcmp(mt_endpoint_zone(c, &c->eps[0]), rows[i].zone) == 0;
		good &= cluster(b.s, "outbound|80|s|a.x")->n_eps == rows[i].n_subset;
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu: %u endpoints\n", i, c->n_eps);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

const struct mt_test labels_tests[] = {
	{"of_both_places", of_both_places},
	{0},
};
