/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of workloads for Istio's metrics. */
#include "suites.h"

#include "mt_peer.h"

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

const struct mt_test peer_tests[] = {{"canonical", canonical}, {"shared", shared}, {0}};
