/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of resources, which a server may change without their content. */
#include "xds_fixture.h"

#include <stdio.h>
#include <string.h>

#define CLUSTER(name)                                                                              \
	"{'name': '" name "', 'type': 'EDS', 'eds_cluster_config': {'eds_config': {'ads': {}}}, "  \
	"'connect_timeout': '1s'}"
#define ENDPOINTS(name, addr)                                                                      \
	"{'cluster_name': '" name                                                                  \
	"', 'endpoints': [{'lb_endpoints': [{'endpoint': {'address': {'socket_address': "          \
	"{'address': '" addr "', 'port_value': 80}}}}]}]}"
#define LISTENER(name, cluster)                                                                    \
	"{'name': '" name                                                                          \
	"', 'address': {'socket_address': {'address': '192.0.2.80', 'port_value': 80}}, "          \
	"'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "                  \
	"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "           \
	"'stat_prefix': 's', 'cluster': '" cluster "'}}]}]}"
#define WHILE (100 * MT_MSEC)
#define KEPT  (5 * MT_SEC) /* until the state file is written */

static const struct told {
	enum mt_xds_type type;
	const char *name, *text, *other; /* two contents */
} all[] = {
	{MT_XDS_CDS, "a", CLUSTER("a"), NULL},
	{MT_XDS_EDS, "a", ENDPOINTS("a", "192.0.2.1"), ENDPOINTS("a", "192.0.2.2")},
	{MT_XDS_LDS, "l", LISTENER("l", "a"), LISTENER("l", "b")},
};
#define LIVE "CDS a, EDS a, LDS l"

static void say_all(struct mesh *m, const char *version)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		mesh_say_version(m, all[i].type, all[i].name, version, all[i].text);
}

/* The version that `show xds` has of it. */
static const char *version_of(struct mesh *m, enum mt_xds_type type, const char *name)
{
	static char buf[64];
	struct mt_xds_resource_info info;

	CU_ASSERT_TRUE_FATAL(mt_xds_resource_find(m->x, mt_xds_name(type), name, &info));
	snprintf(buf, sizeof(buf), "%s", info.version);
	return buf;
}

static void check_all(struct mesh *m, const char *version)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		CU_ASSERT_STRING_EQUAL(version_of(m, all[i].type, all[i].name), version);
}

/* In force, with its bytes in memory and then in the state file alone. */
static void in_force(void)
{
	struct mesh m;

	mesh_begin(&m);
	say_all(&m, "1");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), LIVE);
	check_all(&m, "1");
	say_all(&m, "2");
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	check_all(&m, "2");
	(void)mesh_wait(&m, KEPT);
	CU_ASSERT_PTR_NULL(xds_find(m.x, MT_XDS_CDS, "a")->live->raw);
	say_all(&m, "3");
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	check_all(&m, "3");
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), LIVE);
	mesh_finish(&m);
}

/* Not in force yet: its cluster, or its endpoints, are missing. */
static void waiting(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say_version(&m, MT_XDS_CDS, "a", "1", CLUSTER("a"));
	mesh_say_version(&m, MT_XDS_LDS, "l", "1", LISTENER("l", "a"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	mesh_say_version(&m, MT_XDS_CDS, "a", "2", CLUSTER("a"));
	mesh_say_version(&m, MT_XDS_LDS, "l", "2", LISTENER("l", "a"));
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_CDS, "a"), "2");
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_LDS, "l"), "2");
	mesh_say_version(&m, MT_XDS_EDS, "a", "7", ENDPOINTS("a", "192.0.2.1"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), LIVE);
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_CDS, "a"), "2");
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_LDS, "l"), "2");
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_EDS, "a"), "7");
	mesh_finish(&m);
}

/* A change that is taken back before it is in force: the version is the last message's. */
static void there_and_back(void)
{
	struct mesh m;

	mesh_begin(&m);
	say_all(&m, "1");
	(void)mesh_wait(&m, WHILE);
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		if (!all[i].other)
			continue;
		mesh_say_version(&m, all[i].type, all[i].name, "2", all[i].other);
		CU_ASSERT_STRING_EQUAL(version_of(&m, all[i].type, all[i].name), "2");
		mesh_say_version(&m, all[i].type, all[i].name, "3", all[i].text);
		CU_ASSERT_STRING_EQUAL(version_of(&m, all[i].type, all[i].name), "3");
	}
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), LIVE);
	mesh_finish(&m);
}

/* The state file has the version of the last message, too. */
static void kept(void)
{
	struct mesh m;

	mesh_begin(&m);
	say_all(&m, "1");
	(void)mesh_wait(&m, KEPT);
	say_all(&m, "2");
	/* Another resource: the file is written anew. */
	mesh_say_version(&m, MT_XDS_CDS, "b", "9", CLUSTER("b"));
	mesh_say_version(&m, MT_XDS_EDS, "b", "9", ENDPOINTS("b", "192.0.2.9"));
	(void)mesh_wait(&m, KEPT);
	mesh_restart(&m);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS a, EDS b, LDS l");
	check_all(&m, "2");
	CU_ASSERT_STRING_EQUAL(version_of(&m, MT_XDS_EDS, "b"), "9");
	mesh_start(&m);
	say_all(&m, "3");
	CU_ASSERT_EQUAL(mesh_wait(&m, WHILE), 0);
	check_all(&m, "3");
	mesh_finish(&m);
}

const struct mt_test version_tests[] = {
	{"in_force", in_force},
	{"waiting", waiting},
	{"there_and_back", there_and_back},
	{"kept", kept},
	{0},
};
