/* SPDX-License-Identifier: Apache-2.0 */
/* What decoding may take of a turn, messages that are looked through, and changes that wait with their call. */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>
#include <string.h>

/* As many as a connection may decode in a turn, and some. */
#define MANY  600u
#define SHORT 40u

static struct mt_service *service(void)
{
	return lab.snap->listeners[0].protos->services[0];
}

static void feed_many(struct fake_conn *c, uint32_t n)
{
	static uint8_t all[MANY * SHORT];

	for (uint32_t i = 0; i < n; i++)
		toy_make(all + i * SHORT, 'O', i, "call", SHORT);
	lab_feed(c, all, n * SHORT);
}

/* Servers take what there is. */
static void drain_servers(void)
{
	for (uint32_t i = 0; lab_server(i); i++) {
		if (!lab_server(i)->connected)
			lab_connect(lab_server(i));
		while (lab_take(lab_server(i), scene_buf, SCENE_BUF) > 0)
			;
	}
}

/* Turns until nothing waits. */
static uint32_t turns_until_read(void)
{
	uint32_t n = 0;

	while (mt_proxy_next(lab.p) == lab.p->now && n++ < 1000) {
		drain_servers();
		lab_advance(1);
	}
	drain_servers();
	return n;
}

/* More than a turn's worth from one client: the rest is read in the next turns, and nobody else waits. */
static void test_portions(void)
{
	struct fake_conn *greedy, *other;
	uint64_t first;

	scene_start(1);
	greedy = lab_client(CONFIG_SAFE);
	other = lab_client(CONFIG_SAFE);
	feed_many(greedy, MANY);
	first = scene_counted(MT_PROXY_exchange_started);
	CU_ASSERT(first > 0 && first < MANY / 2);
	CU_ASSERT(scene_counted(MT_PROXY_reading_paused) > 0);
	CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.p->now);
	feed_many(other, 1);
	CU_ASSERT(scene_counted(MT_PROXY_exchange_started) > first);
	CU_ASSERT(turns_until_read() > 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), MANY + 1);
	/* The FIN is minded when what came before it has been read. */
	feed_many(greedy, MANY);
	lab_fin(greedy);
	CU_ASSERT_TRUE(greedy->live && !greedy->detached);
	turns_until_read();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2 * MANY + 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_truncated), 0);
	CU_ASSERT_TRUE(greedy->detached);
	/* A client that leaves meanwhile is forgotten. */
	feed_many(other, MANY);
	lab_close(other, MT_CLOSE_RESET);
	turns_until_read();
	scene_stop();
}

/* All of them together: a turn has an end, and each gets his part. */
static void test_round_robin(void)
{
	struct fake_conn *c[8];

	scene_start(1);
	for (uint32_t i = 0; i < 8; i++)
		c[i] = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 8; i++)
		feed_many(c[i], MANY);
	for (uint32_t i = 0; i < 8; i++)
		lab_fin(c[i]);
	turns_until_read();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 8 * MANY);
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_FALSE(c[i]->aborted);
	lab_advance(MT_SEC);
	scene_stop();
}

static struct mt_reading *reading_of(const struct fake_conn *c)
{
	return &((struct mt_down *)mt_slab_at(&lab.p->downs, c->s.owner_idx))->reading;
}

/* Clients that have work for many turns do not hold up one whose only request has found no steps left. */
static void test_nobody_starves(void)
{
	static uint8_t all[5 * MANY * SHORT];
	struct fake_conn *greedy[5], *other;
	uint32_t turn;

	scene_start(1);
	other = lab_client(CONFIG_SAFE);
	feed_many(other, 1);
	drain_servers();
	for (uint32_t i = 0; i < 5 * MANY; i++)
		toy_make(all + i * SHORT, 'O', i, "call", SHORT);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(greedy); i++) {
		greedy[i] = lab_client(CONFIG_SAFE);
		CU_ASSERT_TRUE_FATAL(lab_feed(greedy[i], all, sizeof(all)));
	}
	CU_ASSERT_EQUAL(mt_chain_write(&other->s.rx, &lab.pools, all, SHORT), 0);
	other->touched = true;
	mt_reading_wait(lab.p, reading_of(other));
	turn = lab.p->readings.turn;
	while (mt_reading_waits(reading_of(other)) && lab.p->readings.turn - turn < 20)
		lab_advance(1);
	CU_ASSERT(lab.p->readings.turn - turn <= 4); /* a step of time is two turns here */
	CU_ASSERT_EQUAL(other->s.rx.len, 0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(greedy); i++)
		CU_ASSERT_TRUE(mt_reading_waits(reading_of(greedy[i])));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(greedy); i++)
		lab_close(greedy[i], MT_CLOSE_RESET);
	lab_close(other, MT_CLOSE_RESET);
	turns_until_read();
	scene_stop();
}

/* A reply's bytes are read in portions, too. */
static void test_server(void)
{
	static uint8_t all[MANY * SHORT];
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_next_sent(s);
	for (uint32_t i = 0; i < MANY; i++)
		toy_make(all + i * SHORT, 'P', 1, "none", SHORT);
	lab_feed(s, all, sizeof(all));
	CU_ASSERT(scene_counted(MT_PROXY_up_unknown_reply) < MANY / 2);
	lab_fin(s);
	turns_until_read();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), MANY);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_eof), 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A long message whose service asks for what is behind: looked through over several turns. */
static void test_look_through(void)
{
	struct fake_conn *c, *other;

	scene_start(1);
	memset(&toy_noted, 0, sizeof(toy_noted));
	service()->searches = true;
	c = lab_client(CONFIG_SAFE);
	other = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, 60000);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 0);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 1);
	scene_send_request(other, 'O', 2, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 1);
	CU_ASSERT(turns_until_read() > 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2);
	CU_ASSERT(toy_noted.most <= 16384);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 0);
	/* As it arrives; then its client leaves. */
	toy_make(scene_buf, 'O', 3, "call", 60000);
	lab_feed(c, scene_buf, 30000);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 1);
	lab_feed(c, scene_buf + 30000, 1000);
	turns_until_read();
	toy_noted.most = 0;
	lab_feed(c, scene_buf + 31000, 29000);
	CU_ASSERT(toy_noted.most <= 16384);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 0);
	scene_bye(other);
	scene_stop();
}

/* When begins of messages have to come again: one that is whole only waits for us; nothing is kept of one that is not. */
static void test_look_through_in_a_crowd(void)
{
	struct fake_conn *c;

	scene_start(1);
	service()->searches = true;
	c = lab_client(CONFIG_SAFE);
	lab.puts_back = true;
	scene_send_request(c, 'O', 1, 60000);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 1);
	turns_until_read();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 1);
	toy_tired = true;
	scene_send_request(c, 'O', 2, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 1);
	turns_until_read();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2);
	toy_make(scene_buf, 'O', 3, "call", 60000);
	lab_feed(c, scene_buf, 30000);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	CU_ASSERT_EQUAL(lab.p->scans.in_use, 0);
	CU_ASSERT_EQUAL(turns_until_read(), 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* More metadata than are looked through: refused where they are asked for, and the connection goes on. */
static void test_too_large(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	service()->searches = true;
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "huge", 64);
	lab_feed(c, scene_buf, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TOO_LARGE);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_too_large), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	service()->searches = false;
	toy_make(scene_buf, 'Q', 2, "huge", 64);
	lab_feed(c, scene_buf, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 7, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_too_large), 1);
	scene_bye(c);
	scene_stop();
}

/* ---- changes ------------------------------------------------------------------------------ */

static struct mt_filter_ticket suspended;
static char first_value[8], seen[64];

static enum mt_filter_verdict changes_first(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_mutation m[] = {{"a", first_value, 1, 3}, {"gone", NULL, 4, 0}};

	mt_filter_mutate(ctx->fw, v, m, 2);
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict waits(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	suspended = mt_filter_ticket_of(ctx);
	return MT_FILTER_SUSPEND;
}

static enum mt_filter_verdict changes_more(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	static const struct mt_mutation m[] = {{"b", "2", 1, 1}};
	struct mt_key key = {.name = "a", .len = 1, .id = -1};
	struct mt_slice value;

	if (mt_view_get(v, &key, &value))
		snprintf(seen, sizeof(seen), "%.*s", (int)value.len, (const char *)value.p);
	mt_filter_mutate(ctx->fw, v, m, 1);
	return MT_FILTER_NEXT;
}

/* What was changed before a filter waited is changed after it, whatever has become of who said it. */
static void test_changes_wait(void)
{
	static const struct mt_filter types[] = {{.name = "first", .on_request = changes_first},
		{.name = "waits", .on_request = waits},
		{.name = "more", .on_request = changes_more}};
	static struct mt_filter_inst chain[] = {
		{.type = &types[0]}, {.type = &types[1]}, {.type = &types[2]}};
	struct fake_conn *c;

	scene_start(1);
	memset(&toy_noted, 0, sizeof(toy_noted));
	scene_filters(chain, 3);
	c = lab_client(CONFIG_SAFE);
	strcpy(first_value, "one");
	scene_send_request(c, 'O', 1, 64);
	strcpy(first_value, "xxx");
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	CU_ASSERT_STRING_EQUAL(seen, "one");
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "a=one;gone;b=2;");
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	lab_connect(lab_server(0));
	/* Its client leaves while it waits. */
	scene_send_request(c, 'O', 2, 64);
	lab_close(c, MT_CLOSE_RESET);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	scene_stop();
}

static enum mt_filter_verdict denies(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	if (v->msg->len != 50)
		return MT_FILTER_NEXT;
	ctx->reply = MT_REPLY_DENIED;
	ctx->reply_text = "not this one";
	return MT_FILTER_REPLY;
}

/* A filter answers in a reply's place; the connection to the server goes on. */
static void test_reply_verdict(void)
{
	static const struct mt_filter type = {.name = "denies", .on_reply = denies};
	static struct mt_filter_inst chain[] = {{.type = &type}};
	struct fake_conn *c, *s;

	scene_start(1);
	scene_filters(chain, 1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 7, 50);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_denied), 1);
	scene_send_request(c, 'Q', 2, 64);
	scene_answer(s, scene_next_sent(s).id, 7, 51);
	CU_ASSERT_EQUAL(scene_next_sent(c).len, 51);
	scene_bye(c);
	scene_stop();
}

const struct mt_test reading_tests[] = {
	{"decoding in portions", test_portions},
	{"decoding round robin", test_round_robin},
	{"decoding starves nobody", test_nobody_starves},
	{"replies in portions", test_server},
	{"looked through over turns", test_look_through},
	{"look through in a crowd", test_look_through_in_a_crowd},
	{"too many metadata", test_too_large},
	{"changes wait with their call", test_changes_wait},
	{"a reply is denied", test_reply_verdict},
	{0},
};
