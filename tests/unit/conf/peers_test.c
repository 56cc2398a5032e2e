/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of the destination of Istio's metrics, from documents. */
#include "conf_test.h"

#include "mt_model_resource.h"
#include "mt_peer.h"

#include <string.h>

#define SELECTING                                                                                  \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"shop}\nspec:\n  hosts: [a.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: " \
	"[{number: 80, name: tcp}]\n  workloadSelector: {labels: {app: a}}\n"
#define INLINE(location, endpoints)                                                                \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"shop}\nspec:\n  hosts: [a.x]\n  location: " location                                      \
	"\n  resolution: STATIC\n  ports: [{number: 80, name: tcp}]\n  endpoints: [" endpoints     \
	"]\n"
#define ENTRY(name, address, more)                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " name     \
	", namespace: shop}\nspec: {address: " address ", labels: {app: a, " more "}}\n"
#define SUBSET                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d, "     \
	"namespace: shop}\nspec: {host: a.x, subsets: [{name: s, labels: {version: v1}}]}\n"

/* Labels as "workload;namespace;cluster;app;version;service;revision", "-" for unknown ones. */
static const struct {
	const char *text, *cluster, *labels;
	bool not_bare;
} rows[] = {
	{SELECTING ENTRY("w1", "192.0.2.1", "version: v1"), "outbound|80||a.x",
		"w1;shop;-;a;v1;a;v1", false},
	/* Only what they share. */
	{SELECTING ENTRY("w1", "192.0.2.1", "version: v1") ENTRY("w2", "192.0.2.2", "version: v2"),
		"outbound|80||a.x", "-;shop;-;a;-;a;-", false},
	{SELECTING ENTRY("w1", "192.0.2.1", "version: v1") ENTRY("w2", "192.0.2.2", "version: v2")
			SUBSET,
		"outbound|80|s|a.x", "w1;shop;-;a;v1;a;v1", false},
	/* Endpoints of a ServiceEntry have its name. */
	{INLINE("MESH_INTERNAL", "{address: 192.0.2.1}"), "outbound|80||a.x",
		"a;shop;-;-;-;a;latest", false},
	{INLINE("MESH_EXTERNAL", "{address: 192.0.2.1}"), "outbound|80||a.x",
		"a;shop;-;-;-;a;latest", true},
	{INLINE("MESH_INTERNAL", "{address: 192.0.2.1}, {address: 192.0.2.2, labels: "
				 "{security.istio.io/tlsMode: istio}}"),
		"outbound|80||a.x", "a;shop;-;-;-;a;latest", true},
};

static void put(char *to, size_t size, const struct mt_peer *p)
{
	size_t at = 0;

	for (int i = 0; i < MT_PEER_SHOWN; i++)
		at += (size_t)snprintf(to + at, size - at, "%s%s", i ? ";" : "",
			p && p->label[i] ? p->label[i] : "-");
}

static void documents(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		const struct mt_cluster *c;
		char text[256];

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, rows[i].cluster);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		put(text, sizeof(text), c->peer);
		CU_ASSERT_STRING_EQUAL(text, rows[i].labels);
		CU_ASSERT_EQUAL(c->not_bare, rows[i].not_bare);
		if (strcmp(text, rows[i].labels) != 0 || c->not_bare != rows[i].not_bare)
			printf("\n  row %zu: %s %d\n", i, text, c->not_bare);
		CU_ASSERT_STRING_EQUAL(service(b.s, "a.x")->ns, "shop");
		unbuild(&b);
	}
}

/* Another label makes another cluster; the same documents do not. */
static void changed(void)
{
	struct mt_conf *conf = new_conf();

	for (int i = 0; i < 3; i++) {
		const struct mt_cluster *c;
		struct mt_err err;
		struct built b;

		b = build_text(conf, i < 2 ? SELECTING ENTRY("w1", "192.0.2.1", "version: v1")
					   : SELECTING ENTRY("w1", "192.0.2.1", "version: v2"));
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, "outbound|80||a.x");
		CU_ASSERT_STRING_EQUAL(c->peer->label[MT_PEER_VERSION], i < 2 ? "v1" : "v2");
		CU_ASSERT_PTR_NOT_NULL_FATAL(c->workloads);
		CU_ASSERT_STRING_EQUAL(
			c->workloads->peers[1].label[MT_PEER_VERSION], i < 2 ? "v1" : "v2");
		CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, b.s, NOW, NULL, &err), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	mt_conf_destroy(conf);
}

/* ---- workloads by endpoint ------------------------------------------------------------------- */

/* "NAME/VERSION" of each endpoint's workload, "-" for what is not known. */
static const struct {
	const char *text, *workloads;
} by_endpoint[] = {
	{SELECTING ENTRY("w1", "192.0.2.1", "version: v1") ENTRY("w2", "192.0.2.2", "version: v2"),
		"w1/v1 w2/v2"},
	{INLINE("MESH_INTERNAL", "{address: 192.0.2.1, labels: {version: v1}}, {address: "
				 "192.0.2.2, labels: {version: v2}}, {address: 192.0.2.3, labels: "
				 "{version: v1}}"),
		"a/v1 a/v2 a/v1"},
	/* Two workloads with an address: calls do not show which of them it is for. */
	{SELECTING ENTRY("w1", "192.0.2.1", "version: v1") ENTRY("w2", "192.0.2.1", "version: v2")
			ENTRY("w3", "192.0.2.3", "version: v3"),
		"-/- w3/v3"},
};

static void put_workloads(char *to, size_t size, const struct mt_cluster *c)
{
	size_t at = 0;

	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct mt_peer *p = &c->workloads->peers[c->workloads->of[i]];
		const char *name = p->label[MT_PEER_WORKLOAD], *version = p->label[MT_PEER_VERSION];

		CU_ASSERT_EQUAL(mt_endpoint_workload(c, &c->eps[i]), mt_peer_id(p));
		at += (size_t)snprintf(to + at, size - at, "%s%s/%s", i ? " " : "",
			name ? name : "-", version ? version : "-");
	}
}

static void of_endpoints(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(by_endpoint); i++) {
		struct built b = build_text(NULL, by_endpoint[i].text);
		const struct mt_cluster *c;
		char text[256] = "";

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, "outbound|80||a.x");
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c->workloads);
		put_workloads(text, sizeof(text), c);
		CU_ASSERT_STRING_EQUAL(text, by_endpoint[i].workloads);
		unbuild(&b);
	}
}

/* A service of too many workloads is one, with the labels that they share. */
static void too_many(void)
{
	static char text[16384];
	const struct mt_cluster *c;
	struct built b;
	int at = snprintf(text, sizeof(text), "%s", SELECTING);

	for (uint32_t i = 0; i <= MT_RES_PEERS; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			ENTRY("w%u", "192.0.2.%u", "version: v1"), i, i + 1);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|80||a.x");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->workloads);
	CU_ASSERT_EQUAL(c->workloads->n, 2);
	CU_ASSERT_PTR_NULL(c->workloads->peers[1].label[MT_PEER_WORKLOAD]);
	CU_ASSERT_STRING_EQUAL(c->workloads->peers[1].label[MT_PEER_VERSION], "v1");
	for (uint32_t i = 0; i < c->n_eps; i++)
		CU_ASSERT_EQUAL(
			mt_endpoint_workload(c, &c->eps[i]), mt_peer_id(&c->workloads->peers[1]));
	unbuild(&b);
}

const struct mt_test peers_tests[] = {{"documents", documents}, {"changed", changed},
	{"workloads of endpoints", of_endpoints}, {"too many workloads", too_many}, {0}};
