/* SPDX-License-Identifier: Apache-2.0 */
/* Single calls as examples of latency: when one is taken, which stays, and that none is read half written. */
#include "mt_proxy_priv.h"

#include "scene.h"

#include <pthread.h>
#include <string.h>

/* One that is answered after `ms` at the server. */
static void call(struct fake_conn *c, struct fake_conn *s, uint32_t ms)
{
	struct toy q;

	scene_send_request(c, 'Q', 7, 64);
	q = scene_next_sent(s);
	lab_advance(ms * MT_MSEC);
	scene_answer(s, q.id, 9, 40);
	(void)scene_next_sent(c);
}

/* Places that are taken, as bits. */
static uint32_t places(void)
{
	struct mt_exemplar e;
	uint32_t found = 0;

	for (uint32_t i = 0; i < MT_EXEMPLARS; i++)
		found |= (uint32_t)mt_proxy_exemplar(lab.p, 0, i, &e) << i;
	return found;
}

static void test_places(void)
{
	struct fake_conn *c, *s;
	struct mt_exemplar e;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	/* 0 us; then, less than a millisecond after the one before, none. */
	CU_ASSERT_EQUAL(places(), 1);
	call(c, s, 5);
	CU_ASSERT_EQUAL(places(), 1);
	call(c, s, 5);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	call(c, s, 7);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	CU_ASSERT_TRUE_FATAL(mt_proxy_exemplar(lab.p, 0, 12, &e));
	CU_ASSERT_EQUAL(e.us, 7000);
	CU_ASSERT_EQUAL(e.span.len, 0);
	CU_ASSERT_NOT_EQUAL(e.exchange.gen, 0);
	/* Turned: none, then one in ten milliseconds. */
	mt_proxy_set_sampling(lab.p, 0);
	for (int i = 0; i < 5; i++)
		call(c, s, 40);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 12);
	mt_proxy_set_sampling(lab.p, 10);
	call(c, s, 1);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 9 | 1u << 12);
	call(c, s, 3);
	CU_ASSERT_EQUAL(places(), 1 | 1u << 9 | 1u << 12);
	mt_proxy_set_sampling(lab.p, MT_EXEMPLAR_MS);
	CU_ASSERT_FALSE(mt_proxy_exemplar(lab.p, MT_PROXY_SERVICES_MAX, 0, &e));
	CU_ASSERT_FALSE(mt_proxy_exemplar(lab.p, 0, MT_EXEMPLARS, &e));
	scene_bye(c);
	scene_stop();
}

/* ---- places by themselves ---------------------------------------------------------------------- */

#define CHANGES 500

static struct mt_exemplars room[1];
static struct mt_service service = {.id = 77};
static struct mt_proxy *proxy;
static bool done;

static struct mt_exchange *alone(void)
{
	proxy = calloc(1, sizeof(*proxy));
	memset(room, 0, sizeof(room));
	proxy->exemplars = room;
	proxy->exemplar_ms = MT_EXEMPLAR_MS;
	CU_ASSERT_EQUAL_FATAL(
		mt_slab_init(&proxy->exchanges, "exchange", sizeof(struct mt_exchange), 1), 0);
	return mt_slab_alloc(&proxy->exchanges, NULL);
}

static void over(struct mt_exchange *ex)
{
	mt_slab_free(&proxy->exchanges, ex);
	mt_slab_fini(&proxy->exchanges);
	free(proxy);
}

static uint8_t first_of(uint32_t place)
{
	struct mt_exemplar e = {0};

	(void)mt_proxy_exemplar(proxy, 0, place, &e);
	return e.span.trace[0];
}

/* A trace that can be looked up is worth more than a name, for a while. */
static void test_stays(void)
{
	struct mt_exchange *ex = alone();

	ex->service = &service;
	proxy->wall = MT_SEC;
	ex->span = (struct mt_span){.len = MT_TRACE_ID, .trace = {1}};
	mt_exemplar_keep(proxy, ex, 100);
	ex->span = (struct mt_span){.len = MT_TRACE_ID, .trace = {2}};
	mt_exemplar_keep(proxy, ex, 100);
	CU_ASSERT_EQUAL(first_of(6), 2);
	ex->span = (struct mt_span){0};
	proxy->wall += 59 * MT_SEC;
	mt_exemplar_keep(proxy, ex, 100);
	CU_ASSERT_EQUAL(first_of(6), 2);
	proxy->wall += MT_SEC;
	mt_exemplar_keep(proxy, ex, 100);
	CU_ASSERT_EQUAL(first_of(6), 0);
	mt_exemplar_keep(proxy, ex, UINT64_MAX);
	CU_ASSERT_TRUE(mt_proxy_exemplar(proxy, 0, MT_EXEMPLARS - 1, &(struct mt_exemplar){0}));
	over(ex);
}

/* All parts of an exemplar say the same number. */
static void *write_on(void *arg)
{
	struct mt_exchange *ex = arg;

	for (uint32_t i = 0; !__atomic_load_n(&done, __ATOMIC_ACQUIRE); i++) {
		proxy->wall = i & 63;
		memset(ex->span.trace, (int)(i & 63), sizeof(ex->span.trace));
		ex->span.len = MT_TRACE_ID;
		mt_exemplar_keep(proxy, ex, 64 + (i & 63));
	}
	return NULL;
}

static void test_whole(void)
{
	struct mt_exchange *ex = alone();
	uint32_t changes = 0, torn = 0;
	struct mt_exemplar e;
	uint64_t last = 0;
	pthread_t writer;

	ex->service = &service;
	done = false;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_on, ex), 0);
	while (changes < CHANGES) {
		if (!mt_proxy_exemplar(proxy, 0, 6, &e))
			continue;
		changes += e.us != last;
		last = e.us;
		torn += e.us != e.wall + 64 || e.span.trace[0] != e.wall ||
			e.span.trace[15] != e.wall;
	}
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	pthread_join(writer, NULL);
	CU_ASSERT_EQUAL(torn, 0);
	over(ex);
}

const struct mt_test exemplar_tests[] = {
	{"when one is taken", test_places},
	{"which one stays", test_stays},
	{"none is torn", test_whole},
	{NULL, NULL},
};
