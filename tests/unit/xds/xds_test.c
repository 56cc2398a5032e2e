/* SPDX-License-Identifier: Apache-2.0 */
/* What a living source makes of responses: order, warming, what is kept, what is asked for, what outlives it. */
#include "xds_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EDS_CLUSTER(name)                                                                          \
	"{'name': '" name "', 'type': 'EDS', 'eds_cluster_config': {'eds_config': {'ads': {}}}, "  \
	"'connect_timeout': '1s'}"
#define ENDPOINT(addr)                                                                             \
	"{'endpoint': {'address': {'socket_address': {'address': '" addr "', 'port_value': 80}}}}"
#define ENDPOINTS(name, addr)                                                                      \
	"{'cluster_name': '" name "', 'endpoints': [{'lb_endpoints': [" ENDPOINT(addr) "]}]}"
#define NO_ENDPOINTS(name) "{'cluster_name': '" name "'}"
#define CHAIN(filter)                                                                              \
	", 'address': {'socket_address': {'address': '192.0.2.80', 'port_value': 80}}, "           \
	"'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "                  \
	"'type.googleapis.com/" filter "}}]}]}"
#define TCP_LISTENER(name, cluster)                                                                \
	"{'name': '" name "'" CHAIN("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "    \
				    "'stat_prefix': 's', 'cluster': '" cluster "'")
#define META_LISTENER_FROM(name, route, source)                                                    \
	"{'name': '" name                                                                          \
	"'" CHAIN("aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy', 'stat_prefix': 's', "    \
		  "'application_protocol': 'dubbo', 'codec': {'name': "                            \
		  "'aeraki.meta_protocol.codec.dubbo'}, 'rds': {'route_config_name': '" route      \
		  "', 'config_source': {" source "}}")
#define META_LISTENER(name, route)                                                                 \
	META_LISTENER_FROM(name, route,                                                            \
		"'api_config_source': {'api_type': 'GRPC', 'grpc_services': [{'envoy_grpc': "      \
		"{'cluster_name': 'aeraki-xds'}}]}")
#define ROUTES(name, cluster)                                                                      \
	"{'name': '" name                                                                          \
	"', 'virtual_hosts': [{'name': 'dummy', 'domains': ['*'], 'routes': [{'name': 'r', "       \
	"'match': {'prefix': '/'}, 'route': {'cluster': '" cluster "'}}]}]}"
#define NO_ROUTES(name) "{'name': '" name "'}"
#define DNS_CLUSTER(name, host)                                                                    \
	"{'name': '" name "', 'type': 'STRICT_DNS', 'connect_timeout': '1s', 'load_assignment': "  \
	"{'cluster_name': '" name "', 'endpoints': [{'lb_endpoints': [" ENDPOINT(host) "]}]}}"

#define BAD(name) "{'name': '" name "-of-a-name-that-is-as-long-as-those-of-a-mesh-are', 'type': 9}"
#define WHILE	  (100 * MT_MSEC)

static void clusters_wait_for_endpoints(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), NULL);
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 2);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	CU_ASSERT_STRING_EQUAL(
		mesh_state(&m, MT_XDS_CDS, "a"), "waiting: waits for EDS a, 15 s at most");
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	/* The other one never comes: its time passes. */
	CU_ASSERT_EQUAL(mesh_wait(&m, 15 * MT_SEC), 1);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a");
	/* The server repeats itself, and is not listened to. */
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("b"), EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	mesh_finish(&m);
}

static void bad_ones_hold_nobody_back(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, WHILE);
	/* An address that is none; beside it a sound one of another cluster, that nobody wants. */
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("z", "192.0.2.1"), ENDPOINTS("a", "192.0.2.300"), NULL);
	CU_ASSERT_FALSE(m.ok);
	CU_ASSERT_PTR_NOT_NULL(strstr(m.why.text, "a: endpoints[0].lb_endpoints[0]"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_EDS, "a"),
		"refused, the last good one is in force: endpoints[0]"));
	/* Each is told, as far as there is room. */
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), BAD("c"), BAD("d"), BAD("e"),
		BAD("f"), BAD("g"), BAD("h"), BAD("i"), BAD("j"), BAD("k"), BAD("l"), NULL);
	/* One of them is new, and is looked at first. */
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_CDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_CDS), "c-of-a-name"));
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_CDS), "; d-of-a-name"));
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_CDS), " more)"));
	CU_ASSERT(strlen(mesh_why(&m, MT_XDS_CDS)) < sizeof(m.why.text) - 1);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	/* The same again is refused again, and costs nothing. */
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.300"), NULL);
	CU_ASSERT_FALSE(m.ok);
	/* The good one is back. */
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_EDS, "a"), "active");
	mesh_finish(&m);
}

static void make_before_break(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "a"), NULL);
	CU_ASSERT_TRUE(m.ok);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l");
	/* To another cluster, which is told at the same time and has no endpoints yet. */
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("b"), NULL);
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "b"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l");
	CU_ASSERT_STRING_EQUAL(
		mesh_state(&m, MT_XDS_LDS, "l"), "new one waits: waits for CDS b, 15 s at most");
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_CDS, "a"), "gone: "));
	/* Even an empty answer is no place to lead anybody to. */
	mesh_say(&m, MT_XDS_EDS, NO_ENDPOINTS("b"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_live(&m), "CDS a"));
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("b", "192.0.2.2"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS b, EDS b, LDS l");
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 1);
	mesh_finish(&m);
}

static void routes_of_another_server(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	if (!m.ok)
		fprintf(stderr, "%s\n", m.why.text);
	CU_ASSERT_TRUE(m.ok);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 1);
	/* Nobody else is asked, so nobody else is believed. */
	mesh_say(&m, MT_XDS_RDS, ROUTES("h_80", "z"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	mesh_say_from(&m, "aeraki-xds", MT_XDS_RDS, ROUTES("h_80", "a"));
	CU_ASSERT_TRUE(m.ok);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l, RDS h_80");
	/* No resource, or one without routes: what is there stays. */
	mesh_say_from(&m, "aeraki-xds", MT_XDS_RDS, NULL);
	mesh_say_from(&m, "aeraki-xds", MT_XDS_RDS, NO_ROUTES("h_80"));
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_RDS, "h_80"), "active: "));
	/* The listener goes, and its route table is not asked for any more. */
	mesh_say(&m, MT_XDS_LDS, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 0);
	mesh_finish(&m);
}

/* A listener's routes come from another server from now on: it is asked, and what there is stays until it answers. */
static void sources_of_resources_move(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER_FROM("l", "h_80", "'ads': {}"), NULL);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 1);
	mesh_say(&m, MT_XDS_RDS, ROUTES("h_80", "a"), NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 1);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l, RDS h_80");
	mesh_say_from(&m, "aeraki-xds", MT_XDS_RDS, ROUTES("h_80", "a"));
	CU_ASSERT_TRUE(m.ok);
	/* And back, while something is wrong with all of it: the listener in force says whom to ask. */
	m.failing = "it cannot be";
	mesh_say(&m, MT_XDS_LDS, META_LISTENER_FROM("l", "h_80", "'ads': {}"), NULL);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 1);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_LDS, "l"), "refused"));
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 1);
	m.failing = NULL;
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER_FROM("l", "h_80", "'ads': {}"), NULL);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 0);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 1);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER_FROM("l", "h_80", "'ads': {}"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "mesh", MT_XDS_RDS), 1);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 0);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l, RDS h_80");
	mesh_finish(&m);
}

/* A cluster that a route in force names stays, whatever the server says. */
static void clusters_outlive_their_routes(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_say(&m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	mesh_say_from(&m, "aeraki-xds", MT_XDS_RDS, ROUTES("h_80", "a"));
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_CDS, NULL);
	(void)mesh_wait(&m, 60 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l, RDS h_80");
	mesh_gone(&m, MT_XDS_LDS, "l");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 0);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "");
	mesh_finish(&m);
}

static void say_clusters(struct mesh *m, uint32_t n)
{
	char name[16], text[512];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		snprintf(text, sizeof(text), EDS_CLUSTER("%s"), name);
		mesh_say_named(m, MT_XDS_CDS, name, text);
	}
}

static void say_endpoints(struct mesh *m, uint32_t i, const char *addr)
{
	char name[16], text[512];

	snprintf(name, sizeof(name), "c%u", i);
	snprintf(text, sizeof(text), ENDPOINTS("%s", "%s"), name, addr);
	mesh_say_named(m, MT_XDS_EDS, name, text);
}

static uint32_t count_live(struct mesh *m, enum mt_xds_type type)
{
	struct mt_list *n;
	uint32_t live = 0;

	mt_list_foreach (n, &m->x->types[type].all)
		live += mt_list_entry(n, struct xds_res, node)->live != NULL;
	return live;
}

/* One's endpoints move, and one's only is looked at. */
static void one_moves(struct mesh *m, uint32_t i)
{
	m->x->looked = 0;
	say_endpoints(m, i, "192.0.2.2");
	CU_ASSERT_EQUAL(mesh_wait(m, WHILE), 1);
	CU_ASSERT(m->x->looked > 0 && m->x->looked < 10);
}

/* What a change costs does not depend on how much there is. */
static void passes_are_of_what_waits(void)
{
	enum { MANY = 200 };
	struct mesh m;

	mesh_begin(&m);
	say_clusters(&m, MANY);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(count_live(&m, MT_XDS_CDS), 0);
	/* More of them wait than are known one by one; the last one goes on waiting. */
	for (uint32_t i = 0; i < MANY - 1; i++)
		say_endpoints(&m, i, "192.0.2.1");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(count_live(&m, MT_XDS_CDS), MANY - 1);
	CU_ASSERT_EQUAL(count_live(&m, MT_XDS_EDS), MANY - 1);
	one_moves(&m, 7);
	CU_ASSERT_EQUAL(mesh_wait(&m, 15 * MT_SEC), 1);
	CU_ASSERT_EQUAL(count_live(&m, MT_XDS_CDS), MANY);
	/* One goes: everybody is asked who names it, and nobody after that. */
	mesh_gone(&m, MT_XDS_CDS, "c7");
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 1);
	CU_ASSERT_EQUAL(count_live(&m, MT_XDS_CDS), MANY - 1);
	say_endpoints(&m, 8, "192.0.2.2");
	(void)mesh_wait(&m, WHILE);
	one_moves(&m, 9);
	mesh_finish(&m);
}

static void changes_are_gathered(void)
{
	char told[512];
	struct mesh m;
	uint32_t n = 0;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, WHILE);
	/* A change every 10 ms for a second: every 200 ms it is enough. */
	for (int i = 0; i < 100; i++) {
		snprintf(told, sizeof(told), ENDPOINTS("a", "192.0.2.%d"), i + 2);
		mesh_say(&m, MT_XDS_EDS, told, NULL);
		n += mesh_wait(&m, 10 * MT_MSEC);
	}
	CU_ASSERT(n >= 4 && n <= 6);
	mesh_finish(&m);
}

/* There and back before it was in force: nothing has changed. */
static void a_change_that_is_taken_back(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.2"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_EDS, "a"), "active");
	mesh_finish(&m);
}

/* A pass in which endpoints end leads nobody to them. */
static void endpoints_that_end_now(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_say_for(&m, MT_XDS_EDS, ENDPOINTS("b", "192.0.2.2"), 5 * MT_SEC);
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "a"), NULL);
	(void)mesh_wait(&m, 4990 * MT_MSEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a, EDS b, LDS l");
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "b"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a, LDS l");
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_LDS, "l"), "waits for CDS b"));
	mesh_finish(&m);
}

static void time_to_live(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say_for(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), 5 * MT_SEC);
	(void)mesh_wait(&m, 4 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	mesh_say_for(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), 5 * MT_SEC);
	(void)mesh_wait(&m, 4 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	(void)mesh_wait(&m, 2 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a");
	mesh_finish(&m);
}

/* How long there is no stream does not begin again with each attempt. */
static void silent_for_long(void)
{
	struct mt_xds_stream_info info;
	struct mesh m;
	uint32_t pos = 0;

	mesh_begin(&m);
	(void)mesh_wait(&m, 90 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(mt_xds_stream_next(m.x, &pos, &info));
	CU_ASSERT_STRING_NOT_EQUAL(info.why, "");
	CU_ASSERT(m.now - info.since_ns >= 89 * MT_SEC);
	mesh_finish(&m);
}

/* A server that renews what nobody has must not be believed that it is had, nor fill our memory with its name. */
static void renewed_and_not_there(void)
{
	struct mt_ads_resource items[] = {{.name = "ghost", .version = "1", .ttl_ns = MT_SEC},
		{.name = "a", .version = "1", .ttl_ns = MT_SEC}};
	const struct mt_ads_update clusters = {
		.type = MT_XDS_CDS, .version = "1", .items = items, .n = 2};
	struct mt_ads_update endpoints = clusters;
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_hear(&m, &clusters);
	CU_ASSERT_TRUE(items[0].refused);
	CU_ASSERT_FALSE(items[1].refused);
	CU_ASSERT_PTR_NULL(xds_find(m.x, MT_XDS_CDS, "ghost"));
	endpoints.type = MT_XDS_EDS;
	mesh_hear(&m, &endpoints);
	CU_ASSERT_TRUE(items[0].refused);
	CU_ASSERT_TRUE(items[1].refused); /* wanted, and never said */
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	mesh_hear(&m, &endpoints);
	CU_ASSERT_FALSE(items[1].refused);
	mesh_finish(&m);
}

#define TLS_MODE                                                                                   \
	", 'metadata': {'filter_metadata': {'envoy.transport_socket_match': {'tlsMode': "          \
	"'istio'}}}"
#define DNS_CLUSTER_OF(name, host, more)                                                           \
	"{'name': '" name "', 'type': 'STRICT_DNS', 'connect_timeout': '1s', 'load_assignment': "  \
	"{'cluster_name': '" name                                                                  \
	"', 'endpoints': [{'lb_endpoints': [{'endpoint': {'address': {'socket_address': "          \
	"{'address': '" host "', 'port_value': 80}}}" more "}]}]}}"

/* Whether an instance is to be called by TLS is said of its name, and holds for what that leads to. */
static bool first_asks_for_tls(struct mesh *m)
{
	struct mt_model *model = mt_model_new();
	const struct mt_res_endpoints *e;
	bool tls;

	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	CU_ASSERT_EQUAL_FATAL(model->res_endpoints.n, 1);
	e = model->res_endpoints.v[0];
	CU_ASSERT_EQUAL_FATAL(e->n_eps, 1);
	tls = e->localities[0].eps[0].tls;
	mt_model_free(model);
	return tls;
}

static void names_are_looked_up(void)
{
	struct mesh m;

	mesh_begin(&m);
	/* An address needs no server to be looked up; the other name does not exist (RFC 6761). */
	mesh_say(&m, MT_XDS_CDS, DNS_CLUSTER("d", "192.0.2.7"), NULL);
	if (!m.ok)
		fprintf(stderr, "%s\n", m.why.text);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS d, EDS d");
	CU_ASSERT_FALSE(first_asks_for_tls(&m));
	mesh_say(&m, MT_XDS_CDS, DNS_CLUSTER_OF("d", "192.0.2.7", TLS_MODE), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_TRUE(first_asks_for_tls(&m));
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("d"), NULL);
	mesh_say(&m, MT_XDS_EDS, NO_ENDPOINTS("d"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS d, EDS d");
	mesh_finish(&m);
}

/* ---- the state file ---------------------------------------------------------------------------------- */

static void remember(struct mesh *m)
{
	mesh_begin(m);
	mesh_say(m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), NULL);
	mesh_say(m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), ENDPOINTS("b", "192.0.2.2"), NULL);
	mesh_say(m, MT_XDS_LDS, META_LISTENER("l", "h_80"), NULL);
	mesh_say_from(m, "aeraki-xds", MT_XDS_RDS, ROUTES("h_80", "a"));
	(void)mesh_wait(m, 5 * MT_SEC);
}

#define ALL "CDS a, CDS b, EDS a, EDS b, LDS l, RDS h_80"

static void a_restart_without_a_server(void)
{
	struct mesh m;
	struct stat st;
	char path[96];

	remember(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), ALL);
	snprintf(path, sizeof(path), "%s/xds-mesh.bin", m.dir);
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	mesh_restart(&m);
	/* At once, before anybody is asked. */
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), ALL);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "active, as kept");
	mesh_start(&m);
	(void)mesh_wait(&m, 3600 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), ALL);
	CU_ASSERT_EQUAL(mesh_wanted(&m, NULL, MT_XDS_EDS), 2);
	CU_ASSERT_EQUAL(mesh_wanted(&m, "aeraki-xds", MT_XDS_RDS), 1);
	/* The server is back, and has another idea of it. */
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a, LDS l, RDS h_80");
	mesh_finish(&m);
}

static void damaged_state_is_told_and_left(void)
{
	static const struct {
		off_t at; /* negative: from the end; a byte there is changed */
		bool cut;
		const char *words;
	} t[] = {{0, false, "it is not a file of this program"},
		{7, false, "it is of another version of this program"},
		{-1, false, "it is damaged"}, {-1, true, "it is truncated"},
		{10, true, "it is not a file of this program"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_xds_info info;
		struct stat st;
		struct mesh m;
		char path[96], byte;
		int fd;

		remember(&m);
		/* What is still to be written is. */
		mt_xds_free(m.x);
		snprintf(path, sizeof(path), "%s/xds-mesh.bin", m.dir);
		fd = open(path, O_RDWR);
		CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
		if (t[i].cut) {
			CU_ASSERT_EQUAL(
				ftruncate(fd, t[i].at < 0 ? st.st_size + t[i].at : t[i].at), 0);
		} else {
			off_t at = t[i].at < 0 ? st.st_size + t[i].at : t[i].at;

			CU_ASSERT_EQUAL(pread(fd, &byte, 1, at), 1);
			byte ^= 1;
			CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);
		m.x = NULL;
		mesh_restart(&m);
		CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
		mt_xds_info(m.x, &info);
		CU_ASSERT_PTR_NOT_NULL(strstr(info.kept, t[i].words));
		mesh_finish(&m);
	}
}

/* The directory is gone, as a full disk would have it: the source goes on, and tells. */
static void state_that_cannot_be_written(void)
{
	struct mt_xds_info info;
	struct mesh m;

	mesh_begin(&m);
	rmdir(m.dir);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	mt_xds_info(m.x, &info);
	CU_ASSERT_PTR_NOT_NULL(strstr(info.kept, "cannot be written: No such file or directory"));
	CU_ASSERT_EQUAL(mkdir(m.dir, 0700), 0);
	(void)mesh_wait(&m, 60 * MT_SEC);
	mt_xds_info(m.x, &info);
	CU_ASSERT_PTR_NOT_NULL(strstr(info.kept, "bytes are kept"));
	mesh_finish(&m);
}

/* What is in the state file is not in memory as well, and is found there: also when the file has been removed. */
static void bodies_are_in_the_file(void)
{
	const struct xds_res *a, *b;
	struct mesh m;
	char path[96];

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, WHILE);
	a = xds_find(m.x, MT_XDS_CDS, "a");
	b = xds_find(m.x, MT_XDS_EDS, "a");
	CU_ASSERT_PTR_NOT_NULL(a->live->raw);
	(void)mesh_wait(&m, 5 * MT_SEC);
	CU_ASSERT_PTR_NULL(a->live->raw);
	CU_ASSERT_PTR_NULL(b->live->raw);
	snprintf(path, sizeof(path), "%s/xds-mesh.bin", m.dir);
	unlink(path);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.2"), NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	mesh_restart(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS a");
	CU_ASSERT_PTR_NULL(xds_find(m.x, MT_XDS_CDS, "a")->live->raw);
	/* The same again is the same, although its bytes are elsewhere. */
	mesh_start(&m);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.2"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	mesh_finish(&m);
}

/* In the file, not in the next one, and kept again later: its bytes are not lost in between. */
static void bodies_return_to_the_file(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("b"), NULL);
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "b"), NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	/* It still waits when it is taken away, and stays as the listener names it. */
	mesh_say(&m, MT_XDS_CDS, NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	(void)mesh_wait(&m, 10 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS b, LDS l");
	mesh_say(&m, MT_XDS_LDS, TCP_LISTENER("l", "b"), TCP_LISTENER("k", "b"), NULL);
	(void)mesh_wait(&m, 30 * MT_SEC);
	mesh_restart(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS b, LDS l, LDS k");
	mesh_finish(&m);
}

static const char *kept_words(struct mesh *m, bool *troubled)
{
	static char words[512];
	struct mt_xds_info info;

	mt_xds_info(m->x, &info);
	snprintf(words, sizeof(words), "%s", info.kept);
	*troubled = info.kept_troubled;
	return words;
}

/* The bytes of one that is in force, in the file as it lies there. */
static void damage(const struct mesh *m, const struct xds_body *b)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/xds-mesh.bin", m->dir);
	fd = open(path, O_WRONLY);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pwrite(fd, "?", 1, b->file_at + 3), 1);
	close(fd);
}

/* Damaged where it lies: what is in force stays, it is told, and kept again once a server has said it. */
static void bytes_that_a_disk_lost(void)
{
	bool troubled;
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), ENDPOINTS("b", "192.0.2.2"), NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	damage(&m, xds_find(m.x, MT_XDS_CDS, "a")->live);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("b", "192.0.2.3"), NULL);
	(void)mesh_wait(&m, 5 * MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a, EDS b");
	CU_ASSERT_PTR_NOT_NULL(strstr(kept_words(&m, &troubled), "was damaged: 1 resources"));
	CU_ASSERT_TRUE(troubled);
	/* The same again changes nothing but that it is kept. */
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), EDS_CLUSTER("b"), NULL);
	CU_ASSERT_EQUAL(mesh_wait(&m, 5 * MT_SEC), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(kept_words(&m, &troubled), "bytes are kept"));
	CU_ASSERT_FALSE(troubled);
	mesh_restart(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a, EDS b");
	mesh_finish(&m);
}

/* What a load could not use is seen beside what the server said. */
static void what_loads_leave_out(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_CLUSTER("a"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS("a", "192.0.2.1"), NULL);
	(void)mesh_wait(&m, WHILE);
	mt_xds_load_begin(m.x, m.now);
	mt_xds_told(m.x, "Cluster", "a", MT_DIAG_WARNING, "serves in part");
	mt_xds_told(m.x, "Cluster", "a", MT_DIAG_LEFT_OUT, "its ring is too large");
	mt_xds_told(m.x, "Cluster", "unknown", MT_DIAG_LEFT_OUT, "x");
	mt_xds_told(m.x, "Something", "a", MT_DIAG_LEFT_OUT, "x");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "left out: its ring is too large");
	mt_xds_load_begin(m.x, m.now);
	mt_xds_told(m.x, "Cluster", "a", MT_DIAG_NOT_SERVED, "TLS");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "not served: TLS");
	mt_xds_load_begin(m.x, m.now);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_CDS, "a"), "active");
	mesh_finish(&m);
}

const struct mt_test xds_tests[] = {
	{"clusters_wait_for_endpoints", clusters_wait_for_endpoints},
	{"bad_ones_hold_nobody_back", bad_ones_hold_nobody_back},
	{"make_before_break", make_before_break},
	{"routes_of_another_server", routes_of_another_server},
	{"sources_of_resources_move", sources_of_resources_move},
	{"clusters_outlive_their_routes", clusters_outlive_their_routes},
	{"passes_are_of_what_waits", passes_are_of_what_waits},
	{"changes_are_gathered", changes_are_gathered},
	{"a_change_that_is_taken_back", a_change_that_is_taken_back},
	{"endpoints_that_end_now", endpoints_that_end_now},
	{"time_to_live", time_to_live},
	{"silent_for_long", silent_for_long},
	{"renewed_and_not_there", renewed_and_not_there},
	{"names_are_looked_up", names_are_looked_up},
	{"a_restart_without_a_server", a_restart_without_a_server},
	{"damaged_state_is_told_and_left", damaged_state_is_told_and_left},
	{"state_that_cannot_be_written", state_that_cannot_be_written},
	{"bodies_are_in_the_file", bodies_are_in_the_file},
	{"bodies_return_to_the_file", bodies_return_to_the_file},
	{"bytes_that_a_disk_lost", bytes_that_a_disk_lost},
	{"what_loads_leave_out", what_loads_leave_out},
	{0},
};
