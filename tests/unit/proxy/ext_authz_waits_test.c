/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events while a call waits for an external authorization decision: it gives up its retained
 * request.
 */
#include "judged.h"
#include "mirror_scene.h"

static void reject(struct fake_conn *s)
{
	toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
	scene_buf[2] = TOY_OVERLOAD;
	lab_feed(s, scene_buf, 40);
}

/*
 * A call gives up its retained request while its second attempt waits for a decision. That attempt
 * is still the second one: no mirror gets another copy, and there is no third one.
 */
static void disarmed_while_it_waits(void)
{
	static const struct mt_retry again = {
		.on = MT_RETRY_OVERLOAD, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct mt_route_action *route;
	struct mt_extauthz_call *q;
	struct fake_conn *c;

	judged_start(false);
	mirror_in(lab.snap, 3, 1000000);
	route = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[3].protos->services[0]->routes, 0);
	route->retry = &again;
	route->retries = true;
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 2000);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	reject(mirror_connected(false, 0));
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	q = judged_question();
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RETAINED] > 0);
	lab_evict(c, MT_CLASS_RETAINED);
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	reject(mirror_connected(false, 0));
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, TOY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	CU_ASSERT_PTR_NULL(mt_extauthz_lane_asked(judged.lane));
	lab_close(mirror_connected(true, 0), MT_CLOSE_RESET);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mt_cluster_release(&lab.snap->clusters[1]);
	judged_stop();
}

const struct mt_test ext_authz_waits_tests[] = {
	{"disarmed while it waits", disarmed_while_it_waits},
	{0},
};
