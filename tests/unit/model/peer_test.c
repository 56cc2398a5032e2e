/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of workloads for Istio's metrics. */
#include "suites.h"

#include "mt_model_resource.h"
#include "mt_peer.h"
#include "mt_region.h"

#include <stdio.h>
#include <string.h>

static struct mt_kv pairs[3];

static const struct mt_labels *labels(const char *key, const char *value)
{
	static struct mt_labels l = {pairs, 2};

	pairs[0] = (struct mt_kv){.key = "other", .value = "x"};
	pairs[1] = (struct mt_kv){.key = key, .value = value};
	return &l;
}

/* Where istiod takes the canonical service and revision from, for one label of the workload. */
static const struct {
	const char *key, *value, *service, *revision;
} rows[] = {
	{"service.istio.io/canonical-name", "shop", "shop", "latest"},
	{"app.kubernetes.io/name", "shop", "shop", "latest"},
	{"app", "shop", "shop", "latest"},
	{"app", "", "w", "latest"},
	{"service.istio.io/canonical-revision", "v2", "w", "v2"},
	{"app.kubernetes.io/version", "v2", "w", "v2"},
	{"version", "v2", "w", "v2"},
	{"name", "shop", "w", "latest"},
};

static void canonical(void)
{
	struct mt_peer p;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		p = mt_peer_of("w", "ns", labels(rows[i].key, rows[i].value));
		CU_ASSERT_STRING_EQUAL(p.label[MT_PEER_WORKLOAD], "w");
		CU_ASSERT_STRING_EQUAL(p.label[MT_PEER_NAMESPACE], "ns");
		CU_ASSERT_STRING_EQUAL(p.label[MT_PEER_SERVICE], rows[i].service);
		CU_ASSERT_STRING_EQUAL(p.label[MT_PEER_REVISION], rows[i].revision);
	}
	p = mt_peer_of("w", "ns", labels("version", "v2"));
	CU_ASSERT_PTR_NULL(p.label[MT_PEER_APP]);
	CU_ASSERT_STRING_EQUAL(p.label[MT_PEER_VERSION], "v2");
	p = mt_peer_of("w", "ns", NULL);
	CU_ASSERT_PTR_NULL(p.label[MT_PEER_SERVICE]);
	CU_ASSERT_PTR_NULL(p.label[MT_PEER_REVISION]);
}

static void shared(void)
{
	struct mt_peer a = mt_peer_of("w", "ns", labels("version", "v1")), *copy;
	const struct mt_peer b = {.label = {[MT_PEER_WORKLOAD] = "w",
					  [MT_PEER_NAMESPACE] = "other",
					  [MT_PEER_APP] = "shop",
					  [MT_PEER_REVISION] = "v1"}};

	mt_peer_share(&a, &b);
	CU_ASSERT_STRING_EQUAL(a.label[MT_PEER_WORKLOAD], "w");
	CU_ASSERT_STRING_EQUAL(a.label[MT_PEER_REVISION], "v1");
	CU_ASSERT(!a.label[MT_PEER_NAMESPACE] && !a.label[MT_PEER_APP]);
	CU_ASSERT(!a.label[MT_PEER_SERVICE] && !a.label[MT_PEER_CLUSTER]);
	copy = mt_peer_copy(&a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_STRING_EQUAL(copy->label[MT_PEER_WORKLOAD], "w");
	CU_ASSERT_STRING_EQUAL(copy->label[MT_PEER_REVISION], "v1");
	CU_ASSERT_PTR_NULL(copy->label[MT_PEER_NAMESPACE]);
	free(copy);
	CU_ASSERT_PTR_NULL(mt_peer_copy(NULL));
}

/* Workloads have the same id exactly if metrics show them alike. */
static void ids(void)
{
	static const struct mt_peer all[] = {{{0}}, {.label = {[MT_PEER_WORKLOAD] = "w"}},
		{.label = {[MT_PEER_NAMESPACE] = "w"}},
		{.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_VERSION] = "v1"}},
		{.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_VERSION] = "v2"}},
		{.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_REVISION] = "latest"}},
		{.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_APP] = ""}},
		{.label = {[MT_PEER_REVISION] = "v1"}}};
	static const struct mt_peer like[][2] = {
		{{{0}}, {.label = {[MT_PEER_REVISION] = "latest"}}},
		{{.label = {[MT_PEER_WORKLOAD] = "w"}},
			{.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_REVISION] = "unknown"}}}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(all); k++)
			CU_ASSERT_EQUAL(mt_peer_id(&all[i]) == mt_peer_id(&all[k]), i == k);
	CU_ASSERT_EQUAL(mt_peer_id(&all[0]), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(like); i++)
		CU_ASSERT_EQUAL(mt_peer_id(&like[i][0]), mt_peer_id(&like[i][1]));
	CU_ASSERT_STRING_EQUAL(mt_peer_shown(&all[0], MT_PEER_REVISION), "latest");
	CU_ASSERT_STRING_EQUAL(mt_peer_shown(&all[1], MT_PEER_REVISION), "unknown");
	CU_ASSERT_STRING_EQUAL(mt_peer_shown(&all[0], MT_PEER_APP), "unknown");
}

/* Each workload once, unknown ones never, and no more than there is room for. */
static void rows_of_endpoints(void)
{
	struct mt_res_endpoints e = {0};
	struct mt_region r;
	char names[MT_RES_PEERS + 1][4];
	struct mt_peer p;

	mt_region_init(&r, 0);
	CU_ASSERT_EQUAL(mt_res_peer_add(&r, &e, &(struct mt_peer){0}), 0);
	CU_ASSERT_EQUAL(mt_res_peer_find(&e, &(struct mt_peer){0}), 0);
	for (uint32_t i = 0; i < MT_RES_PEERS; i++) {
		snprintf(names[i], sizeof(names[i]), "%u", i);
		p = mt_peer_of(names[i], "ns", NULL);
		CU_ASSERT_EQUAL(mt_res_peer_find(&e, &p), 0);
		CU_ASSERT_EQUAL(mt_res_peer_add(&r, &e, &p), i + 1);
	}
	CU_ASSERT_FALSE(e.many_peers);
	for (uint32_t i = 0; i < MT_RES_PEERS; i++) {
		p = mt_peer_of(names[i], "ns", NULL);
		CU_ASSERT_EQUAL(mt_res_peer_find(&e, &p), i + 1);
		CU_ASSERT_STRING_EQUAL(e.peers[i].p.label[MT_PEER_WORKLOAD], names[i]);
		/* Metrics would show it alike. */
		p.label[MT_PEER_CLUSTER] = "unknown";
		CU_ASSERT_EQUAL(mt_res_peer_find(&e, &p), i + 1);
	}
	p = mt_peer_of("one more", "ns", NULL);
	CU_ASSERT_EQUAL(mt_res_peer_find(&e, &p), 0);
	CU_ASSERT_EQUAL(mt_res_peer_add(&r, &e, &p), 0);
	CU_ASSERT_TRUE(e.many_peers);
	CU_ASSERT_FALSE(r.failed);
	mt_region_fini(&r);
}

const struct mt_test peer_tests[] = {{"canonical", canonical}, {"shared", shared}, {"ids", ids},
	{"rows of endpoints", rows_of_endpoints}, {0}};
