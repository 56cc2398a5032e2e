/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of which filters know go on in another proxy: one that is out, one that is held back for a time, one that waits for
 * another thread. Streams stay where they are; the simulator moves those, too.
 */
#include "moved.h"
#include "scene.h"

#include "mt_filter_fault.h"
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

/* ---- calls -------------------------------------------------------------------------------------- */

/* The filter learns of its end once, and finds its bytes. */
static void test_out(void)
{
	struct fake_conn *c, *s;

	start(false, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 4, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(ended, 1);
	ended = 0;
	scene_send_request(c, 'Q', 5, 64);
	CU_ASSERT_EQUAL(asked, 2);
	moved_to_another(NULL);
	CU_ASSERT_EQUAL(ended, 0);
	/* The workloads' calls moved, too. */
	CU_ASSERT_EQUAL(scene_portion(CONFIG_SAFE).stats.ok, 1);
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
	moved_to_another(NULL);
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
	moved_to_another(NULL);
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
	im = moved_save();
	lab.snap->version++; /* the image names one that is gone */
	to = moved_create(NULL);
	CU_ASSERT_EQUAL(moved_load(to, &im), -ENOENT);
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
