/* SPDX-License-Identifier: Apache-2.0 */
/* After a change of a codec file: clients and server connections of the earlier version, until they end. */
#include "scene.h"

#include "mt_proxy_priv.h"

static struct mt_codec versions[2];
static struct fake_conn *c, *s;
static int gen;

static void begin(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		versions[i] = toy_codec;
		versions[i].content = 1 + i;
	}
	gen = 0;
	scene_start(1);
	config_speak(lab.snap, 0, &versions[0], 0);
	c = lab_client(CONFIG_SAFE);
}

/* A snapshot with this version of the codec, which no worker has. */
static struct mt_snapshot *next_with(const struct mt_codec *codec)
{
	struct mt_snapshot *next = config_make(++gen, lab.p->snap->version + 1, 1, true);

	config_speak(next, 0, codec, 0);
	return next;
}

/* The client is told to end. */
static void adopt(struct mt_snapshot *next)
{
	mt_proxy_adopt(lab.p, next);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
}

/* One call of the client, and the reply to it, on the connection `s`. */
static void call(uint64_t id)
{
	struct toy t;

	scene_send_request(c, 'Q', id, 64);
	if (!s)
		s = scene_connected_server(lab_n_servers() - 1);
	t = scene_next_sent(s);
	CU_ASSERT_EQUAL(t.kind, 'Q');
	scene_answer(s, t.id, id, 40);
	t = scene_next_sent(c);
	CU_ASSERT(t.kind == 'P' && t.first == id);
}

static void finish(void)
{
	s = NULL;
	scene_stop();
	for (; gen > 0; gen--)
		config_free(gen);
}

/* The listener has another chain, before that of the client, whose protocol finds no service for its calls. */
static void with_another_chain(struct mt_listener *l)
{
	static const char *const names[] = {"a.example"};
	static struct mt_filter_chain_proto protos[2];
	static struct mt_filter_chain chains[2];

	protos[0] = (struct mt_filter_chain_proto){
		.codec = l->protos->codec, .service_key = {.name = "service", .len = 7, .id = -1}};
	protos[1] = l->protos[0];
	chains[0] = (struct mt_filter_chain){
		.n_protos = 1, .match = {.server_names = names, .n_server_names = 1}};
	chains[1] = l->chains[0];
	l->protos = protos;
	l->chains = chains;
	l->n_protos = l->n_chains = 2;
	mt_listener_link(l);
}

/* The client stays with its chain, and drains. */
static void test_own_chain(void)
{
	struct mt_snapshot *next;

	begin();
	call(1);
	next = next_with(&versions[1]);
	with_another_chain(&next->listeners[0]);
	adopt(next);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_chain_changed), 1);
	call(2);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
	finish();
}

/* The server connections of the earlier version end soon after its last client, and so does what names them. */
static void test_unused_groups(void)
{
	begin();
	call(1);
	for (uint32_t i = 1; i < 8; i++) {
		struct fake_conn *of_old = s;

		adopt(next_with(&versions[i % 2]));
		call(1 + i);
		scene_quiet();
		CU_ASSERT_TRUE(c->detached);
		c = lab_client(CONFIG_SAFE);
		s = NULL;
		call(1);
		CU_ASSERT_PTR_NOT_EQUAL(s, of_old);
		lab_advance(2 * MT_SEC);
		CU_ASSERT_TRUE(of_old->detached);
		CU_ASSERT_EQUAL(lab.p->lanes.in_use, 1);
	}
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->former));
	lab_close(c, MT_CLOSE_RESET);
	finish();
}

/* A call that waits for its reply keeps nothing of the group from draining, and is not lost. */
static void test_long_call(void)
{
	struct toy t;

	begin();
	scene_patient();
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	t = scene_next_sent(s);
	adopt(next_with(&versions[1]));
	lab_advance(2100 * MT_MSEC);
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->former));
	CU_ASSERT_FALSE(s->detached);
	scene_answer(s, t.id, 0x11, 40);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
	finish();
}

/* The earlier version comes back before its group has ended: the group stays. */
static void test_restored(void)
{
	begin();
	call(1);
	adopt(next_with(&versions[1]));
	lab_advance(MT_SEC);
	CU_ASSERT_FALSE(mt_list_empty(&lab.p->former));
	mt_proxy_adopt(lab.p, next_with(&versions[0]));
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->former));
	lab_advance(10 * MT_SEC);
	CU_ASSERT_FALSE(s->detached);
	CU_ASSERT_TRUE(c->detached);
	finish();
}

/* No protocol has the file any more, because it was removed. */
static void test_removed(void)
{
	begin();
	call(1);
	adopt(next_with(&toy_codec));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	lab_advance(2100 * MT_MSEC);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 0);
	finish();
}

static int next_heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t m[TOY_HEADER];

	toy_make(m, 'H', id, "next", sizeof(m));
	return mt_chain_write(out, p, m, sizeof(m));
}

/* The endpoint is ejected; its health check is due in half a second, and the file has changed. */
static struct mt_ep_state *ejected(void)
{
	struct mt_ep_state *ep;
	struct mt_ep_where at;

	begin();
	call(1);
	ep = lab.snap->clusters[0].eps[0].state;
	versions[1].write.heartbeat = next_heartbeat;
	at = mt_lanes_where(lab.p->lanes_by_ep[ep->index]);
	for (uint32_t i = 0; i < 3; i++)
		mt_ep_blame(lab.p, ep, NULL, &at, MT_CLOSE_RESET, NULL);
	CU_ASSERT_EQUAL(ep->back, MT_EP_BACK_ASKED);
	lab_advance(ep->ejected_until - lab.now - MT_SEC / 2);
	adopt(next_with(&versions[1]));
	return ep;
}

/* Connection of the health check; it has sent the heartbeat of the version in force. */
static struct fake_conn *checked(void)
{
	struct fake_conn *check;
	struct toy t;

	lab_advance(MT_SEC / 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_probe_sent), 1);
	check = scene_connected_server(lab_n_servers() - 1);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(check, s);
	t = scene_next_sent(check);
	CU_ASSERT_EQUAL(t.kind, 'H');
	CU_ASSERT_STRING_EQUAL(t.method, "next");
	return check;
}

static void test_health_check(void)
{
	struct mt_ep_state *ep = ejected();
	struct fake_conn *check = checked();
	uint8_t m[TOY_HEADER];

	toy_make(m, 'h', 4096, "next", sizeof(m));
	lab_feed(check, m, sizeof(m));
	CU_ASSERT_EQUAL(ep->back, MT_EP_BACK_NOW);
	lab_advance(2 * MT_SEC);
	finish();
}

/* A server that does not know the heartbeat leaves it unanswered, or ends the connection. */
static void test_health_check_in_vain(void)
{
	struct mt_ep_state *ep = ejected();

	checked();
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_EQUAL(ep->back, MT_EP_BACK_TRIAL);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_probe_sent), 1);
	finish();
	ep = ejected();
	lab_fin(checked());
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_EQUAL(ep->back, MT_EP_BACK_TRIAL);
	finish();
}

/* The version in force has no heartbeat, or no group of the endpoint is left: the endpoint returns by a call. */
static void test_no_health_check(void)
{
	struct mt_ep_state *ep;

	for (uint32_t i = 0; i < 2; i++) {
		ep = ejected();
		if (i == 0)
			versions[1].write.heartbeat = NULL;
		else
			mt_lanes_drain(lab.p, lab.p->lanes_by_ep[ep->index]);
		lab_advance(MT_SEC);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_probe_sent), 0);
		CU_ASSERT_EQUAL(ep->back, MT_EP_BACK_TRIAL);
		lab_advance(2 * MT_SEC);
		finish();
	}
}

const struct mt_test codec_versions_tests[] = {{"their chain among others", test_own_chain},
	{"unused lane groups", test_unused_groups}, {"a long call", test_long_call},
	{"restored", test_restored}, {"removed", test_removed}, {"health check", test_health_check},
	{"health check in vain", test_health_check_in_vain},
	{"no health check", test_no_health_check}, {0}};
