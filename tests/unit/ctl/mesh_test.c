/* SPDX-License-Identifier: Apache-2.0 */
/* What the shell and the metrics tell of a discovery server, before it was ever reached. */
#include "suites.h"

#include "mt_ctl_metrics_priv.h"

static const char bootstrap[] =
	"node: {id: n, metadata: {NAMESPACE: shop, CLUSTER_ID: \"\", INSTANCES: 3, LABELS: {app: "
	"gate, n: 1}}}\n"
	"admin: {}\n"
	"dynamic_resources:\n"
	"  ads_config: {api_type: GRPC, grpc_services: [{envoy_grpc: {cluster_name: x}}]}\n"
	"  cds_config: {ads: {}}\n"
	"static_resources:\n"
	"  clusters:\n"
	"  - name: x\n"
	"    load_assignment: {endpoints: [{lb_endpoints: [{endpoint: {address: {pipe: {path: "
	"/nonexistent/x}}}}]}]}\n";

struct mesh {
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng;
	struct mt_xds *x;
	struct mt_ctl *c;
};

static const char *identity(void *arg, uint32_t i)
{
	return "spiffe://a/b, valid for 2 h";
}

static void begin(struct mesh *m)
{
	struct mt_xds_conf conf = {.name = "lab"};
	struct mt_diags diags;
	struct mt_err e;

	memset(m, 0, sizeof(*m));
	mt_diags_init(&diags);
	conf.bootstrap = mt_xds_bootstrap_text(&diags, "boot.yaml", bootstrap, strlen(bootstrap));
	CU_ASSERT_PTR_NOT_NULL_FATAL(conf.bootstrap);
	mt_diags_fini(&diags);
	CU_ASSERT_EQUAL_FATAL(mt_fds_init(&m->fds), 0);
	m->names = mt_resolver_new(&m->fds, &e);
	m->x = mt_xds_new(&conf, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m->x);
	m->c = test_ctl(
		&(struct mt_ctl_env){.sources = &m->x, .n_sources = 1, .identity = identity});
}

static void finish(struct mesh *m)
{
	mt_ctl_destroy(m->c);
	mt_xds_free(m->x);
	mt_resolver_free(m->names);
	mt_fds_fini(&m->fds);
}

static bool says(struct mesh *m, const char *command, const char *words)
{
	int code;
	char *out = test_run(m->c, command, &code);
	bool found = code == 0 && strstr(out, words) != NULL;

	free(out);
	return found;
}

static void before_and_after_the_start(void)
{
	const char *said[] = {"boot.yaml", "spiffe://a/b", "not connected", "x", "plaintext",
		"No such file or directory", "admin"};
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(says(&m, "show xds", "not started"));
	CU_ASSERT_TRUE(says(&m, "show resources", "resources: none"));
	CU_ASSERT_EQUAL(
		mt_xds_start(m.x,
			&(struct mt_xds_env){.fds = &m.fds, .names = m.names, .rng = &m.rng},
			MT_SEC),
		0);
	for (uint64_t now = MT_SEC; now < 2 * MT_SEC; now += 100 * MT_MSEC) {
		(void)mt_xds_turn(m.x, now);
		mt_fds_dispatch(&m.fds, 8, 0);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(said); i++) {
		CU_ASSERT_TRUE(says(&m, "show xds wide", said[i]));
		CU_ASSERT_TRUE(says(&m, "--json show xds", said[i]));
	}
	CU_ASSERT_TRUE(says(&m, "show xds | grep lab", "CDS"));
	finish(&m);
}

static void self(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_STRING_EQUAL(mt_xds_self(m.x, "NAMESPACE"), "shop");
	CU_ASSERT_STRING_EQUAL(mt_xds_self_label(m.x, "app"), "gate");
	/* Empty, no text, not there. */
	CU_ASSERT_PTR_NULL(mt_xds_self(m.x, "CLUSTER_ID"));
	CU_ASSERT_PTR_NULL(mt_xds_self(m.x, "INSTANCES"));
	CU_ASSERT_PTR_NULL(mt_xds_self(m.x, "LABELS"));
	CU_ASSERT_PTR_NULL(mt_xds_self(m.x, "app"));
	CU_ASSERT_PTR_NULL(mt_xds_self_label(m.x, "n"));
	CU_ASSERT_PTR_NULL(mt_xds_self_label(m.x, "version"));
	finish(&m);
}

static void metrics(void)
{
	struct mt_text_buf out = {0};
	bool failed;
	struct mt_scrape *scrape;
	struct mesh m;

	begin(&m);
	CU_ASSERT_EQUAL(
		mt_xds_start(m.x,
			&(struct mt_xds_env){.fds = &m.fds, .names = m.names, .rng = &m.rng},
			MT_SEC),
		0);
	scrape = mt_scrape_new(m.c, MT_FORMAT_TEXT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(scrape);
	while (mt_scrape_next(scrape, &(struct mt_sink){.text = &out}, &failed))
		;
	mt_scrape_free(scrape);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		out.p, "meltemi_xds_stream_up{source=\"lab\",server=\"x\",stream=\"ADS\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out.p, "meltemi_xds_resources{source=\"lab\",state=\"active\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "meltemi_xds_changes_total{source=\"lab\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.p, "meltemi_xds_refused_total{source=\"lab\",server="
					     "\"x\",stream=\"ADS\",type=\"CDS\"} "
					     "0\n"));
	mt_text_fini(&out);
	finish(&m);
}

const struct mt_test mesh_tests[] = {
	{"before_and_after_the_start", before_and_after_the_start},
	{"metrics", metrics},
	{"what the node tells of itself", self},
	{0},
};
