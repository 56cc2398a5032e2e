/* SPDX-License-Identifier: Apache-2.0 */
/* What loads refuse: told to the server by name, never in force in place of what was good, tried again when it may help. */
#include "xds_fixture.h"

#include <string.h>

#define CLUSTER(name)                                                                              \
	"{'name': '" name "', 'type': 'STATIC', 'load_assignment': {'cluster_name': '" name        \
	"', 'endpoints': [{'lb_endpoints': [{'endpoint': {'address': {'socket_address': "          \
	"{'address': '192.0.2.1', 'port_value': 80}}}}]}]}}"
#define LISTENER(name, address, port)                                                              \
	"{'name': '" name "', 'address': {'socket_address': {'address': '" address                 \
	"', 'port_value': " port                                                                   \
	"}}, 'filter_chains': [{'filters': [{'name': 'f', 'typed_config': {'@type': "              \
	"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "           \
	"'stat_prefix': 's', 'cluster': 'a'}}]}]}"
#define GOOD  LISTENER("l", "192.0.2.80", "80")
#define WRONG LISTENER("l", "192.0.2.80", "666")
#define WHILE (100 * MT_MSEC)

static void with_cluster(struct mesh *m)
{
	mesh_begin(m);
	mesh_say(m, MT_XDS_CDS, CLUSTER("a"), NULL);
	(void)mesh_wait(m, WHILE);
}

/* The port of a listener in force; 0: it is not. */
static uint32_t port_of(struct mesh *m, const char *name)
{
	struct mt_model *model = mt_model_new();
	uint32_t port = 0;

	CU_ASSERT_EQUAL(mt_xds_share(m->x, model), 0);
	for (uint32_t i = 0; i < model->res_listeners.n; i++) {
		const struct mt_res_listener *l = model->res_listeners.v[i];

		if (strcmp(l->meta.name, name) == 0)
			port = l->addresses[0].port;
	}
	mt_model_free(model);
	return port;
}

static void the_last_good_one_goes_on(void)
{
	struct mesh m;
	uint32_t compiled;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "l: address: in use");
	CU_ASSERT_EQUAL(port_of(&m, "l"), 80);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "l"),
		"refused, the last good one is in force: address: in use");
	/* A server that says it again is answered at once, and nothing is compiled for it. */
	compiled = m.compiled;
	for (int i = 0; i < 100; i++) {
		mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
		CU_ASSERT_FALSE(m.ok);
		CU_ASSERT_STRING_EQUAL(m.why.text, "l: address: in use");
		(void)mesh_wait(&m, WHILE);
	}
	CU_ASSERT_EQUAL(m.compiled, compiled);
	/* What is in force again was never another one. */
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	CU_ASSERT_TRUE(m.ok);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "l"), "active");
	mesh_say(&m, MT_XDS_LDS, LISTENER("l", "192.0.2.80", "81"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(port_of(&m, "l"), 81);
	mesh_finish(&m);
}

/* The state file has what is good. */
static void what_was_refused_is_not_kept(void)
{
	/* Before the good one is in the file, and when it is only there. */
	for (uint64_t quiet = WHILE; quiet <= 5 * MT_SEC; quiet += 5 * MT_SEC - WHILE) {
		struct mesh m;

		with_cluster(&m);
		mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
		(void)mesh_wait(&m, quiet);
		mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
		(void)mesh_wait(&m, 5 * MT_SEC);
		mesh_restart(&m);
		CU_ASSERT_EQUAL(port_of(&m, "l"), 80);
		mesh_finish(&m);
	}
}

/* Nothing was there before: it waits, refused, until loads can use it. */
static void the_first_one(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, LISTENER("a", "192.0.2.80", "80"),
		LISTENER("b", "192.0.2.80", "80"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "b: address: in use");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "b"), "left out: address: in use");
	mesh_say(&m, MT_XDS_LDS, LISTENER("b", "192.0.2.80", "80"), NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, LDS b");
	mesh_say(&m, MT_XDS_LDS, LISTENER("b", "192.0.2.80", "80"), NULL);
	CU_ASSERT_TRUE(m.ok);
	mesh_finish(&m);
}

/* Two that change places, one after the other: each is in the other's way until both are tried together. */
static void two_that_change_places(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, LISTENER("a", "192.0.2.80", "80"),
		LISTENER("b", "192.0.2.80", "81"), NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say_from(&m, NULL, MT_XDS_LDS, LISTENER("a", "192.0.2.80", "81"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(port_of(&m, "a") + port_of(&m, "b"), 161);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_LDS), ""));
	mesh_say_from(&m, NULL, MT_XDS_LDS, LISTENER("b", "192.0.2.80", "80"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(port_of(&m, "a"), 81);
	CU_ASSERT_EQUAL(port_of(&m, "b"), 80);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "a"), "active");
	mesh_finish(&m);
}

#define EDS_OF(name, service)                                                                      \
	"{'name': '" name "', 'type': 'EDS', 'eds_cluster_config': {'eds_config': {'ads': {}}, "   \
	"'service_name': '" service "'}}"
#define ENDPOINTS_AT(name, address)                                                                \
	"{'cluster_name': '" name "', 'endpoints': [{'lb_endpoints': [{'endpoint': {'address': "   \
	"{'socket_address': {'address': '" address "', 'port_value': 80}}}}]}]}"

/*
 * Several things came into force since the last load, and none of it can be: one that goes back takes the last that was named by
 * what it was away, which is on trial itself.
 */
static void one_goes_with_another(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_CDS, EDS_OF("a", "e1"), EDS_OF("b", "e2"), NULL);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS_AT("e1", "192.0.2.1"), ENDPOINTS_AT("e2", "192.0.2.2"),
		NULL);
	(void)mesh_wait(&m, MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, CDS b, EDS e1, EDS e2");
	mesh_say(&m, MT_XDS_CDS, EDS_OF("a", "e2"), EDS_OF("b", "e2"), NULL);
	xds_settle(m.x);
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS_AT("e2", "192.0.2.3"), NULL);
	xds_settle(m.x);
	mesh_say(&m, MT_XDS_CDS, EDS_OF("a", "e3"), NULL);
	xds_settle(m.x);
	CU_ASSERT_EQUAL(m.x->n_trials, 2);
	m.failing = "the documents are wrong";
	(void)mesh_wait(&m, MT_SEC);
	CU_ASSERT_EQUAL(m.x->n_trials, 0);
	m.failing = NULL;
	mesh_say(&m, MT_XDS_EDS, ENDPOINTS_AT("e3", "192.0.2.4"), NULL);
	(void)mesh_wait(&m, MT_SEC);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, EDS e3");
	mesh_finish(&m);
}

/* Two loads at most for a refusal, and none for what is refused while others change. */
static void refusals_are_cheap(void)
{
	struct mesh m;
	uint32_t compiled;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	(void)mesh_wait(&m, WHILE);
	compiled = m.compiled;
	mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(m.compiled, compiled + 2);
	mesh_say(&m, MT_XDS_CDS, CLUSTER("a"), CLUSTER("b"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(m.compiled, compiled + 3);
	mesh_finish(&m);
}

/* The answer does not wait for what somebody else has to say. */
static void waiting_is_no_reason(void)
{
	struct mesh m;

	mesh_begin(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_state(&m, MT_XDS_LDS, "l"), "waiting: waits for CDS a"));
	mesh_finish(&m);
}

/* What was in the way goes with the very response that says the other one again: that one is judged when both are known. */
static void a_conflict_ends_by_removal(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, LISTENER("l0", "192.0.2.80", "80"), NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_LDS, LISTENER("l0", "192.0.2.80", "80"),
		LISTENER("l1", "192.0.2.80", "80"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "l1: address: in use");
	/* The same again is refused at once: no load would say anything else. */
	mesh_say(&m, MT_XDS_LDS, LISTENER("l0", "192.0.2.80", "80"),
		LISTENER("l1", "192.0.2.80", "80"), NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "l1: address: in use");
	mesh_say(&m, MT_XDS_LDS, LISTENER("l1", "192.0.2.80", "80"), NULL);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "later");
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "l1"), "active");
	CU_ASSERT_EQUAL(port_of(&m, "l0"), 0);
	mesh_finish(&m);
}

/* The reason of the body before is none of the one that waits. */
static void a_good_one_that_waits(void)
{
	static const char waits[] =
		"{'name': 'l', 'address': {'socket_address': {'address': '192.0.2.81', "
		"'port_value': 80}}, 'filter_chains': [{'filters': [{'name': 'f', "
		"'typed_config': {'@type': "
		"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "
		"'stat_prefix': 's', 'cluster': 'b'}}]}]}";
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "l: address: in use");
	mesh_say(&m, MT_XDS_LDS, waits, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	mesh_say(&m, MT_XDS_CDS, CLUSTER("a"), CLUSTER("b"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "l"), "active");
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	mesh_finish(&m);
}

/*
 * Sound when it came, acknowledged, and left out when what it waited for is there: the server hears of that, once, and again
 * when it is so once more.
 */
static void left_out_behind_the_verdict(void)
{
	static const char waits[] =
		"{'name': 'm', 'address': {'socket_address': {'address': '192.0.2.80', "
		"'port_value': 80}}, 'filter_chains': [{'filters': [{'name': 'f', "
		"'typed_config': {'@type': "
		"'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', "
		"'stat_prefix': 's', 'cluster': 'b'}}]}]}";
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, waits, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	CU_ASSERT_EQUAL(mesh_told_late(&m, MT_XDS_LDS), 0);
	mesh_say(&m, MT_XDS_CDS, CLUSTER("a"), CLUSTER("b"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "m"), "left out: address: in use");
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "m: address: in use");
	CU_ASSERT_EQUAL(mesh_told_late(&m, MT_XDS_LDS), 1);
	/* Other loads find the same. */
	mesh_say(&m, MT_XDS_CDS, CLUSTER("a"), CLUSTER("b"), CLUSTER("c"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(mesh_told_late(&m, MT_XDS_LDS), 1);
	/* Out of its way, and in its way again: over the same stream, without a word of it. */
	mesh_say_from(&m, NULL, MT_XDS_LDS, LISTENER("l", "192.0.2.81", "80"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "m"), "active");
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "");
	CU_ASSERT_EQUAL(mesh_told_late(&m, MT_XDS_LDS), 1);
	mesh_finish(&m);
}

static void refused_as_a_whole(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	(void)mesh_wait(&m, WHILE);
	m.failing = "too large";
	mesh_say(&m, MT_XDS_LDS, LISTENER("l", "192.0.2.80", "81"),
		LISTENER("n", "192.0.2.81", "81"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_EQUAL(port_of(&m, "l"), 80);
	CU_ASSERT_EQUAL(port_of(&m, "n"), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_LDS), "l: too large"));
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_LDS), "n: too large"));
	mesh_finish(&m);
}

/* What a good one names stays as long as it may be wanted again, and leaves then. */
static void clusters_of_the_last_good_one(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say(&m, MT_XDS_LDS, WRONG, NULL);
	mesh_say(&m, MT_XDS_CDS, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, LDS l");
	mesh_say(&m, MT_XDS_LDS, NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "");
	mesh_finish(&m);
}

/* It may be the one that seems to be gone. */
static void bytes_without_a_name(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say(&m, MT_XDS_LDS, GOOD, NULL);
	(void)mesh_wait(&m, WHILE);
	mesh_say_and_noise(&m, MT_XDS_LDS, LISTENER("k", "192.0.2.80", "81"));
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_why(&m, MT_XDS_LDS), "LDS: a resource without a usable name");
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, LDS l, LDS k");
	mesh_say(&m, MT_XDS_LDS, LISTENER("k", "192.0.2.80", "81"), NULL);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, LDS k");
	mesh_finish(&m);
}

static void another_name_than_its_own(void)
{
	struct mesh m;

	with_cluster(&m);
	mesh_say_named(&m, MT_XDS_LDS, "l", GOOD);
	mesh_say_named(&m, MT_XDS_LDS, "other", GOOD);
	mesh_say_named(&m, MT_XDS_LDS, "", GOOD);
	(void)mesh_wait(&m, WHILE);
	CU_ASSERT_STRING_EQUAL(mesh_live(&m), "CDS a, LDS l");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "l"), "active");
	CU_ASSERT_STRING_EQUAL(mesh_state(&m, MT_XDS_LDS, "other"),
		"refused: name: the resource calls itself \"l\"");
	CU_ASSERT_PTR_NOT_NULL(strstr(mesh_why(&m, MT_XDS_LDS), "other: name: "));
	mesh_finish(&m);
}

const struct mt_test trial_tests[] = {
	{"the_last_good_one_goes_on", the_last_good_one_goes_on},
	{"what_was_refused_is_not_kept", what_was_refused_is_not_kept},
	{"the_first_one", the_first_one},
	{"one_goes_with_another", one_goes_with_another},
	{"two_that_change_places", two_that_change_places},
	{"refusals_are_cheap", refusals_are_cheap},
	{"waiting_is_no_reason", waiting_is_no_reason},
	{"a_conflict_ends_by_removal", a_conflict_ends_by_removal},
	{"a_good_one_that_waits", a_good_one_that_waits},
	{"left_out_behind_the_verdict", left_out_behind_the_verdict},
	{"refused_as_a_whole", refused_as_a_whole},
	{"clusters_of_the_last_good_one", clusters_of_the_last_good_one},
	{"bytes_without_a_name", bytes_without_a_name},
	{"another_name_than_its_own", another_name_than_its_own},
	{0},
};
