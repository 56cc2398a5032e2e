/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters that are asked for when a call leads to them: when, how often, how long, and what outlives a restart. */
#include "xds_fixture.h"

#include <stdio.h>
#include <string.h>

#define CLUSTER(name)                                                                              \
	"{'name': '" name "', 'type': 'EDS', 'eds_cluster_config': {'eds_config': {'ads': {}}}, "  \
	"'connect_timeout': '1s'}"
#define ENDPOINTS(name)                                                                            \
	"{'cluster_name': '" name                                                                  \
	"', 'endpoints': [{'lb_endpoints': [{'endpoint': {'address': {'socket_address': "          \
	"{'address': '192.0.2.1', 'port_value': 80}}}}]}]}"
#define LISTENER(name, cluster)                                                                    \
	"{'name': '" name                                                                          \
	"', 'address': {'socket_address': {'address': '192.0.2.80', 'port_value': 80}}, "          \
	"'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "                  \
	"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "           \
	"'stat_prefix': 's', 'cluster': '" cluster "'}}]}]}"

#define WHILE (100 * MT_MSEC)

static const struct mt_xds_demand_conf conf = {.timeout_ns = MT_SEC,
	.idle_ns = 60 * MT_SEC,
	.absent_ns = 10 * MT_SEC,
	.names = 3,
	.per_second = 10};

/* Four services of which the names are known. */
static void begin(struct mesh *m)
{
	mesh_begin_demand(m, &conf);
	mesh_say(m, MT_XDS_LDS, LISTENER("la", "a"), LISTENER("lb", "b"), LISTENER("lc", "c"),
		LISTENER("ld", "d"), NULL);
	CU_ASSERT_TRUE(m->ok);
	CU_ASSERT_EQUAL(mesh_wait(m, WHILE), 1);
}

/* Of a cluster in the model: how long a call waits for it, 0 when it is there; -1: it is not in the model. */
static int waits(struct mesh *m, const char *name)
{
	struct mt_model *model = mt_model_new();
	int ms = -1;

	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	for (uint32_t i = 0; i < model->res_clusters.n; i++) {
		const struct mt_res_cluster *c = model->res_clusters.v[i];

		if (strcmp(c->meta.name, name) != 0)
			continue;
		CU_ASSERT_EQUAL(ms, -1);
		ms = (int)c->demand_ms;
	}
	mt_model_free(model);
	return ms;
}

static bool demand(struct mesh *m, const char *name)
{
	bool ours = mt_xds_demand(m->x, name, m->now);

	(void)mt_xds_turn(m->x, m->now);
	return ours;
}

static void tell(struct mesh *m, const char *cluster, const char *endpoints)
{
	mesh_say_from(m, "mesh", MT_XDS_CDS, cluster);
	CU_ASSERT_TRUE(m->ok);
	mesh_say_from(m, "mesh", MT_XDS_EDS, endpoints);
	CU_ASSERT_TRUE(m->ok);
	(void)mesh_wait(m, WHILE);
}

static struct mt_xds_demand_stats stats(struct mesh *m)
{
	struct mt_xds_info info;

	mt_xds_info(m->x, &info);
	return info.demand;
}

static void fetched_at_the_first_call(void)
{
	struct mt_xds_info info;
	struct mesh m;

	begin(&m);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 0);
	CU_ASSERT_EQUAL(waits(&m, "a"), 1000);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"),
		"on demand: routes name it, and no call has used it");
	mt_xds_info(m.x, &info);
	CU_ASSERT_TRUE(info.on_demand);
	CU_ASSERT_EQUAL(info.n_named, 4);
	CU_ASSERT_EQUAL(info.n_known, 4);
	CU_ASSERT_FALSE(demand(&m, "nobody-names-it"));
	/* A hundred calls are one question. */
	for (int i = 0; i < 100; i++)
		CU_ASSERT_TRUE(demand(&m, "a"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	CU_ASSERT_EQUAL(stats(&m).asked, 1);
	/* Its endpoints are waited for. */
	mesh_say_from(&m, "mesh", MT_XDS_CDS, CLUSTER("a"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(waits(&m, "a"), 1000);
	mesh_say_from(&m, "mesh", MT_XDS_EDS, ENDPOINTS("a"));
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	CU_ASSERT_EQUAL(waits(&m, "b"), 1000);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "active");
	CU_ASSERT_STRING_EQUAL(m.answered, "a");
	CU_ASSERT_EQUAL(m.absent_until, 0);
	mesh_finish(&m);
}

static void who_was_not_asked_for_is_not_taken(void)
{
	struct mesh m;

	begin(&m);
	mesh_say_from(&m, "mesh", MT_XDS_CDS, CLUSTER("b"));
	mesh_say_from(&m, "mesh", MT_XDS_CDS, CLUSTER("z"));
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_EQUAL(waits(&m, "b"), 1000);
	CU_ASSERT_EQUAL(waits(&m, "z"), -1);
	mesh_finish(&m);
}

static void one_that_does_not_exist(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	mesh_gone(&m, MT_XDS_CDS, "a");
	CU_ASSERT_EQUAL(m.answers, 1);
	CU_ASSERT_EQUAL(m.absent_until, m.now + conf.absent_ns);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "does not have it"));
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_CDS, "a"), "absent: no such cluster"));
	/* Who did not hear of it hears it again; nobody is asked. */
	CU_ASSERT_TRUE(demand(&m, "a"));
	CU_ASSERT_EQUAL(m.answers, 2);
	CU_ASSERT_EQUAL(stats(&m).asked, 1);
	/* It appears, and is taken without another question. */
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	CU_ASSERT_EQUAL(m.absent_until, 0);
	/* Of another one the time passes: the server is not asked any more, until a call comes. */
	CU_ASSERT_TRUE(demand(&m, "b"));
	mesh_gone(&m, MT_XDS_CDS, "b");
	(void)mesh_wait(&m, conf.absent_ns - WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 2);
	(void)mesh_wait(&m, 2 * WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	CU_ASSERT_TRUE(demand(&m, "b"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 2);
	mesh_finish(&m);
}

static void nobody_answers(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	(void)mesh_wait(&m, conf.timeout_ns - 2 * WHILE);
	CU_ASSERT_EQUAL(m.answers, 0);
	(void)mesh_wait(&m, 3 * WHILE);
	CU_ASSERT_EQUAL(m.answers, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "in time"));
	CU_ASSERT_EQUAL(stats(&m).unanswered, 1);
	/* Late is not never. */
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	/* What cannot be used is said at once. */
	CU_ASSERT_TRUE(demand(&m, "b"));
	mesh_say_from(&m, "mesh", MT_XDS_CDS, "{'name': 'b', 'type': 9}");
	CU_ASSERT_FALSE(m.ok);
	(void)mesh_wait(&m, conf.timeout_ns + WHILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "cannot be used"));
	mesh_finish(&m);
}

static bool use(void *arg, const char *name, struct mt_xds_use *u)
{
	const char *busy = arg;

	u->busy = strcmp(name, busy) == 0;
	u->calls = 7;
	return true;
}

static void unused_ones_leave(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	CU_ASSERT_TRUE(demand(&m, "b"));
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	tell(&m, CLUSTER("b"), ENDPOINTS("b"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 2);
	/* "a" goes on being used; the calls of "b" were made before anybody looked. */
	for (int i = 0; i < 70; i++) {
		(void)mesh_wait(&m, MT_SEC);
		mt_xds_use(m.x, use, "a", m.now);
	}
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	CU_ASSERT_EQUAL(waits(&m, "b"), 1000);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 1);
	CU_ASSERT_EQUAL(stats(&m).left, 1);
	/* It comes back. */
	CU_ASSERT_TRUE(demand(&m, "b"));
	tell(&m, CLUSTER("b"), ENDPOINTS("b"));
	CU_ASSERT_EQUAL(waits(&m, "b"), 0);
	/* The last route that names it goes. */
	mesh_say(&m, MT_XDS_LDS, LISTENER("la", "a"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(waits(&m, "b"), -1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "b"), "");
	mesh_finish(&m);
}

static void as_many_as_are_allowed(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	CU_ASSERT_TRUE(demand(&m, "b"));
	CU_ASSERT_TRUE(demand(&m, "c"));
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	m.answers = 0;
	CU_ASSERT_TRUE(demand(&m, "d"));
	CU_ASSERT_EQUAL(m.answers, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "onDemand.names"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 3);
	CU_ASSERT_EQUAL(stats(&m).full, 1);
	/* One that does not exist makes room. */
	mesh_gone(&m, MT_XDS_CDS, "b");
	CU_ASSERT_TRUE(demand(&m, "d"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 3);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "b"),
		"on demand: routes name it, and no call has used it");
	mesh_finish(&m);
}

/* A second's worth of questions at once, the others when it is their turn. */
static void no_faster_than_allowed(void)
{
	const struct mt_xds_demand_conf slow = {.timeout_ns = 30 * MT_SEC,
		.idle_ns = 60 * MT_SEC,
		.absent_ns = 10 * MT_SEC,
		.names = 100,
		.per_second = 2};
	struct mesh m;

	mesh_begin_demand(&m, &slow);
	mesh_say(&m, MT_XDS_LDS, LISTENER("la", "a"), LISTENER("lb", "b"), LISTENER("lc", "c"),
		LISTENER("ld", "d"), LISTENER("le", "e"), LISTENER("lf", "f"), NULL);
	(void)mesh_wait(&m, WHILE);
	for (const char *name = "a\0b\0c\0d\0e\0f\0"; *name; name += 2)
		CU_ASSERT_TRUE(demand(&m, name));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 3);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_CDS, "f"), "will be requested"));
	(void)mesh_wait(&m, MT_SEC);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 5);
	(void)mesh_wait(&m, MT_SEC);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 6);
	mesh_finish(&m);
}

static void a_restart_has_what_was_in_use(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	(void)mesh_wait(&m, 5 * MT_SEC);
	mesh_restart(&m);
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	CU_ASSERT_EQUAL(waits(&m, "b"), 1000);
	mesh_start(&m);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 1);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "active, as kept");
	/* Nobody uses it any more. */
	(void)mesh_wait(&m, conf.idle_ns);
	CU_ASSERT_EQUAL(waits(&m, "a"), 1000);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 0);
	mesh_finish(&m);
}

/* Of a model: where the only route of a table leads; "": there is no such table. */
static const char *leads_to(struct mesh *m, const char *table)
{
	static char buf[128];
	struct mt_model *model = mt_model_new();

	buf[0] = '\0';
	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	for (uint32_t i = 0; i < model->res_routes.n; i++) {
		const struct mt_res_routes *t = model->res_routes.v[i];

		if (strcmp(t->meta.name, table) == 0 && t->list.n_rules == 1)
			snprintf(buf, sizeof(buf), "%s", t->list.rules[0].dests[0].cluster.s);
	}
	mt_model_free(model);
	return buf;
}

#define META_LISTENER(name, routes)                                                                \
	"{'name': '" name                                                                          \
	"', 'address': {'socket_address': {'address': '192.0.2.80', 'port_value': 80}}, "          \
	"'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "                  \
	"'type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', "             \
	"'stat_prefix': 's', 'application_protocol': 'dubbo', 'codec': {'name': "                  \
	"'aeraki.meta_protocol.codec.dubbo'}, 'rds': {'route_config_name': '" routes               \
	"', 'config_source': {'ads': {}}}}}]}]}"
#define ROUTES(name, cluster)                                                                      \
	"{'name': '" name                                                                          \
	"', 'virtual_hosts': [{'name': 'dummy', 'domains': ['*'], 'routes': [{'name': 'r', "       \
	"'match': {'prefix': '/'}, 'route': {'cluster': '" cluster "'}}]}]}"

/* Before its first call a service is its listener; the call asks for the table, then for the cluster. */
static void route_tables_as_well(void)
{
	struct mt_xds_demand_conf with_routes = conf;
	struct mesh m;

	with_routes.routes = true;
	mesh_begin_demand(&m, &with_routes);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "a.example_80"), META_LISTENER("o", "odd"),
		NULL);
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_RDS), 0);
	CU_ASSERT_STRING_EQUAL(leads_to(&m, "a.example_80"), "outbound|80|(routes)|a.example");
	CU_ASSERT_STRING_EQUAL(leads_to(&m, "odd"), "(routes)|odd");
	CU_ASSERT_EQUAL(waits(&m, "outbound|80|(routes)|a.example"), 1000);
	CU_ASSERT_FALSE(demand(&m, "outbound|81|(routes)|a.example"));
	CU_ASSERT_FALSE(demand(&m, "a.example_80"));
	CU_ASSERT_TRUE(demand(&m, "outbound|80|(routes)|a.example"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_RDS), 1);
	mesh_say(&m, MT_XDS_RDS, ROUTES("a.example_80", "a"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_STRING_EQUAL(leads_to(&m, "a.example_80"), "a");
	CU_ASSERT_EQUAL(waits(&m, "outbound|80|(routes)|a.example"), -1);
	CU_ASSERT_EQUAL(waits(&m, "a"), 1000);
	CU_ASSERT_TRUE(demand(&m, "a"));
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	CU_ASSERT_EQUAL(waits(&m, "a"), 0);
	/* As long as the cluster is used the table is; then both leave. */
	for (int i = 0; i < 70; i++) {
		(void)mesh_wait(&m, MT_SEC);
		mt_xds_use(m.x, use, "a", m.now);
	}
	CU_ASSERT_STRING_EQUAL(leads_to(&m, "a.example_80"), "a");
	(void)mesh_wait(&m, conf.idle_ns + MT_SEC);
	CU_ASSERT_STRING_EQUAL(leads_to(&m, "a.example_80"), "outbound|80|(routes)|a.example");
	CU_ASSERT_EQUAL(waits(&m, "a"), -1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_RDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 0);
	/* One that does not exist, and one without routes. */
	CU_ASSERT_TRUE(demand(&m, "(routes)|odd"));
	mesh_gone(&m, MT_XDS_RDS, "odd");
	CU_ASSERT_STRING_EQUAL(m.answered, "(routes)|odd");
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "no such route table"));
	CU_ASSERT_TRUE(demand(&m, "outbound|80|(routes)|a.example"));
	mesh_say(&m, MT_XDS_RDS, "{'name': 'a.example_80'}", NULL);
	(void)mesh_wait(&m, 2 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(m.answered, "outbound|80|(routes)|a.example");
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "cannot be used"));
	mesh_finish(&m);
}

/* What a load cannot use is no cluster to wait for. */
static void left_out_by_a_load(void)
{
	struct mesh m;

	begin(&m);
	CU_ASSERT_TRUE(demand(&m, "a"));
	tell(&m, CLUSTER("a"), ENDPOINTS("a"));
	mt_xds_load_begin(m.x, m.now);
	mt_xds_told(m.x, "Cluster", "a", MT_DIAG_LEFT_OUT, "its ring is too large");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.answer, "cannot be used"));
	CU_ASSERT(m.absent_until > m.now);
	mesh_finish(&m);
}

#define LIMITED                                                                                    \
	"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.81', 'port_value': "     \
	"80}}, 'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "            \
	"'type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', 'codec': "    \
	"{'name': 'dubbo'}, 'route_config': {'routes': [{'route': {'cluster': 'a'}}]}, "           \
	"'meta_protocol_filters': [{'name': 'x', 'config': {'@type': 'type.googleapis.com/"        \
	"aeraki.meta_protocol_proxy.filters.ratelimit.v1alpha.RateLimit', 'domain': 'd', "         \
	"'rate_limit_service': {'grpc_service': {'envoy_grpc': {'cluster_name': 'limits'}}}, "     \
	"'descriptors': [{'property': 'method', 'descriptor_key': 'm'}]}}]}}]}]}"

/* The node itself queries the service that counts calls: it comes without any, and stays. */
static void a_service_that_is_queried(void)
{
	struct mesh m;

	mesh_begin_demand(&m, &conf);
	mesh_say(&m, MT_XDS_LDS, LIMITED, NULL);
	CU_ASSERT_TRUE(m.ok);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 1);
	tell(&m, CLUSTER("limits"), ENDPOINTS("limits"));
	CU_ASSERT_EQUAL(waits(&m, "limits"), 0);
	CU_ASSERT_EQUAL(waits(&m, "a"), 1000);
	(void)mesh_wait(&m, 3 * conf.idle_ns);
	CU_ASSERT_EQUAL(waits(&m, "limits"), 0);
	/* Without the listener nothing needs it. */
	mesh_say(&m, MT_XDS_LDS, LISTENER("l", "a"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(waits(&m, "limits"), -1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_CDS), 0);
	mesh_finish(&m);
}

const struct mt_test demand_tests[] = {
	{"a_service_that_is_queried", a_service_that_is_queried},
	{"fetched_at_the_first_call", fetched_at_the_first_call},
	{"who_was_not_asked_for_is_not_taken", who_was_not_asked_for_is_not_taken},
	{"one_that_does_not_exist", one_that_does_not_exist},
	{"nobody_answers", nobody_answers},
	{"unused_ones_leave", unused_ones_leave},
	{"as_many_as_are_allowed", as_many_as_are_allowed},
	{"no_faster_than_allowed", no_faster_than_allowed},
	{"a_restart_has_what_was_in_use", a_restart_has_what_was_in_use},
	{"route_tables_as_well", route_tables_as_well},
	{"left_out_by_a_load", left_out_by_a_load},
	{0},
};
