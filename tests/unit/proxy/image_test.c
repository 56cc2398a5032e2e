/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of which filters know go on in another proxy: one that is out, one that is held back for a time, one that waits for
 * another thread. Streams stay where they are; the simulator moves those, too.
 */
#include "scene.h"

#include "mt_filter_fault.h"
#include "mt_proxy_image.h"
#include "mt_proxy_priv.h"

#include <errno.h>
#include <string.h>

static uint32_t asked, ended;
static enum mt_filter_ended how;
static struct mt_filter_ticket ticket;
static bool waits;

static enum mt_filter_verdict asks(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_mutation change = {
		.key = "asked", .key_len = 5, .value = "yes", .value_len = 3};

	(void)f;
	/* Kept with a call that waits. */
	CU_ASSERT_TRUE(mt_filter_change(ctx->fw, v, &change));
	asked++;
	memset(ctx->own, 0xa5, 8);
	ticket = mt_filter_ticket_of(ctx);
	return waits ? MT_FILTER_SUSPEND : MT_FILTER_NEXT;
}

static void ends(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	(void)f;
	ended++;
	how = (enum mt_filter_ended)end->how;
	for (int i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(ctx->own[i], 0xa5);
}

static const struct mt_filter asking = {
	.name = "asking", .on_request = asks, .on_end = ends, .bytes = 8};
static struct mt_filter_inst filters[2];

static void start(bool other_thread, uint32_t delay_ms)
{
	const struct mt_fault_conf fault = {.delay_ms = delay_ms, .delay_ppm = MT_FAULT_ALL};

	scene_start(1);
	memset(&toy_noted, 0, sizeof(toy_noted));
	asked = ended = 0;
	waits = other_thread;
	filters[0] = (struct mt_filter_inst){.type = &asking};
	filters[1] = (struct mt_filter_inst){
		.type = mt_filter_find("fault"), .conf = mt_fault_compile(&fault)};
	scene_filters(filters, delay_ms ? 2 : 1);
}

static void stop(void)
{
	scene_stop();
	filters[1].type->free_conf(filters[1].conf);
}

/* ---- from one proxy to another ---------------------------------------------------------------- */

static struct mt_snapshot *snapshot_of(void *arg, uint64_t version)
{
	(void)arg;
	return version == lab.snap->version ? lab.snap : NULL;
}

static struct mt_ep_state *endpoint_of(void *arg, uint32_t index)
{
	(void)arg;
	return index < lab.snap->clusters[0].n_eps ? lab.snap->clusters[0].eps[index].state : NULL;
}

static const struct mt_codec *codec_of(void *arg, uint64_t identity)
{
	(void)arg;
	for (uint32_t i = 0; i < lab.snap->n_listeners; i++)
		if (mt_codec_identity(lab.snap->listeners[i].protos->codec) == identity)
			return lab.snap->listeners[i].protos->codec;
	return NULL;
}

static const struct mt_proxy_names names = {
	.snapshot = snapshot_of,
	.endpoint = endpoint_of,
	.codec = codec_of,
	.n_endpoints = CONFIG_EPS,
	.n_clusters = 1,
};

static void parts(struct mt_proxy *p, struct mt_image *im)
{
	mt_image_space(im, &lab, sizeof(lab)); /* streams */
	mt_proxy_image_parts(p, im);
}

static int load(struct mt_proxy *to, const struct mt_image *saved)
{
	struct mt_image im;

	CU_ASSERT_EQUAL_FATAL(mt_image_open(&im, saved->bytes, saved->len, &lab.pools), 0);
	parts(to, &im);
	mt_proxy_image(to, &im, &names);
	return mt_image_end(&im);
}

static struct mt_proxy *another(void)
{
	struct mt_proxy *p = mt_proxy_create(&lab.p->conf, 0, 1, &lab.pools, 43, lab.now);

	MT_ASSERT(p);
	mt_proxy_attach(p, &lab_transport);
	return p;
}

static struct mt_image saved_image(void)
{
	struct mt_image im;

	mt_image_begin(&im);
	parts(lab.p, &im);
	mt_proxy_image(lab.p, &im, &names);
	CU_ASSERT_EQUAL_FATAL(mt_image_seal(&im), 0);
	return im;
}

static void move(void)
{
	struct mt_proxy *from = lab.p, *to = another();
	struct mt_image im = saved_image();

	CU_ASSERT_EQUAL_FATAL(load(to, &im), 0);
	mt_image_free(&im);
	lab.p = to;
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].s.user_ctx == from)
			lab.conns[i].s.user_ctx = to;
	mt_proxy_moved(from);
	mt_proxy_destroy(from);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}

/* ---- calls -------------------------------------------------------------------------------------- */

/* The filter learns of its end once, and finds its bytes. */
static void test_out(void)
{
	struct fake_conn *c, *s;

	start(false, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(asked, 1);
	move();
	CU_ASSERT_EQUAL(ended, 0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(ended, 1);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_OK);
	scene_bye(c);
	stop();
}

static void test_held_back(void)
{
	struct fake_conn *c, *s;

	start(false, 50);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	move();
	lab_advance(49 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(2 * MT_MSEC);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(asked, 1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "asked=yes;");
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(ended, 1);
	scene_bye(c);
	stop();
}

/* Who was asked is told that the worker is gone; the call is answered when its time is over. */
static void test_waits_for_another_thread(void)
{
	const struct mt_filter_completion done = {.size = sizeof(done), .verdict = MT_FILTER_NEXT};
	struct fake_conn *c;

	start(true, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	move();
	CU_ASSERT_EQUAL(mt_filter_complete(&ticket, &done), -ESHUTDOWN);
	lab_advance(1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(ended, 1);
	scene_bye(c);
	stop();
}

/* What cannot be loaded changes nothing for the one that was saved. */
static void test_refused(void)
{
	struct mt_proxy *to;
	struct mt_image im;
	struct fake_conn *c, *s;

	start(false, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	s = scene_connected_server(0);
	im = saved_image();
	lab.snap->version++; /* the image names one that is gone */
	to = another();
	CU_ASSERT_EQUAL(load(to, &im), -ENOENT);
	mt_proxy_destroy(to);
	lab.snap->version--;
	mt_image_free(&im);
	CU_ASSERT_EQUAL(ended, 0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(ended, 1);
	scene_bye(c);
	stop();
}

const struct mt_test image_tests[] = {
	{"a call that is out", test_out},
	{"a call that a filter holds back", test_held_back},
	{"a call that waits for another thread", test_waits_for_another_thread},
	{"an image that is refused", test_refused},
	{0},
};
