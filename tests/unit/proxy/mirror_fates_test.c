/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies of calls for mirrors, in each of their states, when connections are evicted, drain or are
 * in doubt, when a snapshot retires, and when another worker continues. A call is answered once by
 * its own server, whatever becomes of its copy.
 */
#include "mirror_scene.h"
#include "moved.h"
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>

enum copy { CONNECTING, SENT, ANSWERING, IN_DOUBT, COPIES };
enum event {
	MIRROR_EVICTED,
	CLIENT_EVICTED,
	CLIENT_LEAVES,
	MIRROR_DRAINS,
	NODE_DRAINS,
	RETIRES,
	MOVES,
	EVENTS
};

static const char *const copy_names[COPIES] = {"connecting", "sent", "being answered", "in doubt"};
static const char *const event_names[EVENTS] = {"mirror evicted", "client evicted", "client leaves",
	"mirror drains", "node drains", "snapshot retires", "worker moves"};

/*
 * What becomes of two copies: answered or failed, those that are left before the mirror answers;
 * and of its connection then. The copies of IN_DOUBT have a connection each.
 */
static const char *const lines[COPIES][EVENTS] = {
	[CONNECTING] = {NULL, "2 left, 2 answered, 0 failed; open; 0 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls", NULL,
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls"},
	[SENT] = {"2 left, 2 answered, 0 failed; closed; 2 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls",
		"2 left, 2 answered, 0 failed; closed; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls"},
	[ANSWERING] = {"1 left, 1 answered, 1 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls",
		"0 left, 0 answered, 2 failed; closed; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls"},
	[IN_DOUBT] = {"1 left, 1 answered, 1 failed; aborted; 2 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls",
		"2 left, 2 answered, 0 failed; open; 0 calls", NULL,
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls",
		"2 left, 2 answered, 0 failed; open; 2 calls"},
};

#define LONG 3000

static struct fake_conn *client, *mirror, *second; /* second: of the second copy */
static uint64_t ids[2];

/* Two calls whose copies are out, and are not answered. */
static void begin(enum copy state)
{
	uint32_t listener = state == IN_DOUBT ? 3 : 0;

	mirror_start(listener, 1000000);
	lab.snap->listeners[listener].protos->services[0]->timeout_ms = 5000;
	client = lab_client(state == IN_DOUBT ? CONFIG_NAMED : CONFIG_SAFE);
	for (uint64_t i = 0; i < 2; i++)
		scene_send_request(client, 'Q', 1 + i, 64);
	mirror = second = mirror_server_of(true, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mirror);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 2);
	if (state == CONNECTING)
		return;
	mirror_connected(true, 0);
	ids[0] = scene_next_sent(mirror).id;
	if (state == IN_DOUBT)
		second = mirror_connected(true, 1);
	ids[1] = scene_next_sent(second).id;
	if (state != ANSWERING)
		return;
	toy_make(scene_buf, 'P', ids[0], "call", LONG);
	lab_feed(mirror, scene_buf, LONG / 2);
}

static struct mt_cluster retired;

static void retire(uint32_t listener)
{
	struct mt_snapshot *s = config_make(2, 2, 1, true);

	retired = lab.snap->clusters[1];
	mirror_in(s, listener, 1000000);
	s->keep_from = 2;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	mt_cluster_release(&retired);
	config_free(0);
	lab.snap = s;
}

static void happens(enum event e, enum copy state)
{
	switch (e) {
	case MIRROR_EVICTED:
		lab_evict(mirror, MT_CLASS_REPLYING);
		break;
	case CLIENT_EVICTED:
		lab_evict(client, MT_CLASS_REPLYING);
		break;
	case CLIENT_LEAVES:
		lab_close(client, MT_CLOSE_RESET);
		break;
	case MIRROR_DRAINS:
		if (state != ANSWERING)
			scene_send_request(mirror, 'D', 0, TOY_HEADER);
		else
			lab_fin(mirror);
		break;
	case NODE_DRAINS:
		mt_proxy_drain(lab.p);
		lab_advance(MT_MSEC);
		break;
	case RETIRES:
		retire(state == IN_DOUBT ? 3 : 0);
		break;
	default:
		moved_to_another(NULL);
	}
}

/* The mirror answers all that it can. */
static void answer_copies(enum copy state)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct fake_conn *m = i ? second : mirror;

		if (!m->live || m->detached)
			continue;
		if (!m->connected)
			lab_connect(m);
		if (state == CONNECTING)
			ids[i] = scene_next_sent(m).id;
		toy_make(scene_buf, 'P', ids[i], "call", LONG);
		if (state == ANSWERING && i == 0)
			lab_feed(m, scene_buf + LONG / 2, LONG / 2);
		else
			lab_feed(m, scene_buf, LONG);
	}
}

/* Both calls are answered by their own server, and nothing else comes. */
static void answer_calls(void)
{
	struct fake_conn *s = mirror_connected(false, 0);

	while (client->live && !client->detached) {
		struct toy q = scene_next_sent(s), r;

		if (q.kind != 'Q')
			break;
		mirror_answer(s, q.id);
		do
			r = scene_next_sent(client);
		while (r.kind == 'D');
		CU_ASSERT_EQUAL(r.status, 0);
		CU_ASSERT_EQUAL(r.first, 0x51);
	}
	CU_ASSERT_EQUAL(client->sent.len, 0);
}

static void finish(enum event e)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_flush_detached();
	lab_advance(20 * MT_SEC);
	mirror_stop();
	if (e == RETIRES)
		config_free(2);
}

static void check(enum copy state, enum event e)
{
	char line[128];
	uint32_t left;

	begin(state);
	happens(e, state);
	left = mt_proxy_copies(lab.p);
	answer_copies(state);
	snprintf(line, sizeof(line), "%u left, %u answered, %u failed; %s; %u calls", left,
		(unsigned int)scene_counted(MT_PROXY_mirror_answered),
		(unsigned int)scene_counted(MT_PROXY_mirror_failed),
		mirror->aborted	   ? "aborted"
		: mirror->detached ? "closed"
		: mirror->shut	   ? "shut"
		: mirror->live	   ? "open"
				   : "gone",
		lab.p->exchanges.in_use - mt_proxy_copies(lab.p));
	CU_ASSERT_STRING_EQUAL(line, lines[state][e]);
	if (strcmp(line, lines[state][e]) != 0)
		fprintf(stderr, "%s x %s:\n   is \"%s\",\n  not \"%s\"\n", copy_names[state],
			event_names[e], line, lines[state][e]);
	answer_calls();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2);
	finish(e);
}

static void test_copies(void)
{
	for (int state = 0; state < COPIES; state++)
		for (int e = 0; e < EVENTS; e++)
			if (lines[state][e])
				check((enum copy)state, (enum event)e);
}

const struct mt_test mirror_fates_tests[] = {{"mirror: each state of a copy", test_copies}, {0}};
