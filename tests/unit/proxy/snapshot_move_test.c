/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many publishes while calls and connections of the first configuration live: they move to newer ones,
 * old ones retire, and nothing that moved notices.
 */
#include "scene.h"

#define PUBLISHES 20
#define ALIVE_MAX 8

static void long_times(struct mt_snapshot *s)
{
	for (uint32_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].protos->services[0]->timeout_ms = 1000000;
}

static int gen;
static bool only_first; /* publish() leaves the other listeners out */

static void leave_out(struct mt_snapshot *s)
{
	mt_snapshot_index_free(s);
	s->n_listeners = 1;
	MT_ASSERT(mt_snapshot_index(s) == 0);
}

/* What lib/conf does: the next version, those that nobody holds are freed. Returns how many are alive. */
static uint32_t publish(bool serial)
{
	uint32_t alive = 0;
	struct mt_snapshot *s;
	int next = gen;

	/* In turn, so that what was freed stays unreadable for long. */
	for (int i = CONFIG_GENS - 1; i > 0; i--)
		if (config_holds((gen + i) % CONFIG_GENS) == 0)
			config_free(next = (gen + i) % CONFIG_GENS);
	CU_ASSERT_FATAL(next != gen);
	s = config_make(next, lab.p->snap->version + 1, 2, serial);
	if (only_first)
		leave_out(s);
	long_times(s);
	s->keep_from = s->version > ALIVE_MAX - 2 ? s->version - (ALIVE_MAX - 2) + 1 : 0;
	/* The same endpoints in another order. */
	if (s->version & 1) {
		struct mt_endpoint e = s->clusters[0].eps[0];

		s->clusters[0].eps[0] = s->clusters[0].eps[1];
		s->clusters[0].eps[1] = e;
	}
	gen = next;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	for (int i = 0; i < CONFIG_GENS; i++)
		alive += config_holds(i) > 0;
	return alive;
}

static void publish_many(bool serial)
{
	for (int i = 0; i < PUBLISHES; i++)
		CU_ASSERT_TRUE(publish(serial) <= ALIVE_MAX);
	/* Nothing is held but the newest few. */
	CU_ASSERT_TRUE(config_holds(0) == 0 || gen == 0);
}

static void start(const struct mt_proxy_conf *conf)
{
	static const struct mt_proxy_conf usual = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096};

	scene_start_with(2, conf ? conf : &usual);
	gen = 0;
	only_first = false;
	long_times(lab.snap);
}

static void stop(void)
{
	scene_stop();
	for (int i = 0; i < CONFIG_GENS; i++)
		config_free(i);
}

static void test_answered_after_many(void)
{
	struct fake_conn *c, *opaque, *joined, *s;
	const struct mt_service_stats *st;
	char out[16];
	uint64_t id;

	start(NULL);
	opaque = lab_client(CONFIG_OPAQUE);
	joined = lab_server(0);
	lab_connect(joined);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(1);
	lab_connect(s);
	id = scene_next_sent(s).id;
	publish_many(true);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_exchange_snapshot_moved) >= PUBLISHES / ALIVE_MAX);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_snapshot_lost), 0);
	scene_answer(s, id, 0x21, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x21);
	st = mt_proxy_service_stats(lab.p, 0);
	CU_ASSERT_EQUAL(st->requests, 1);
	CU_ASSERT_EQUAL(st->ok, 1);
	lab_feed(opaque, "still", 5);
	CU_ASSERT_EQUAL(lab_take(joined, out, sizeof(out)), 5);
	lab_feed(joined, "there", 5);
	CU_ASSERT_EQUAL(lab_take(opaque, out, sizeof(out)), 5);
	lab_close(opaque, MT_CLOSE_RESET);
	scene_bye(c);
	stop();
}

/* Its listener and service are gone: it is answered all the same, then the client gets its FIN. */
static void test_service_gone(void)
{
	struct fake_conn *c, *s;
	const struct mt_service_stats *st;

	start(NULL);
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	s = lab_server(0);
	lab_connect(s);
	lab_connect(lab_server(1));
	publish_many(false);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_snapshot_lost), 2);
	scene_answer(s, 1, 0x22, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x22);
	CU_ASSERT_FALSE(c->detached);
	st = mt_proxy_service_stats(lab.p, 2);
	CU_ASSERT_EQUAL(st->requests, 2);
	CU_ASSERT_EQUAL(st->ok, 0);
	/* The other one ends natively, also without its service. */
	lab_close(lab_server(0) == s ? lab_server(1) : lab_server(0), MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_CONN_LOST);
	/* And what comes meanwhile is answered by us. */
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_ROUTE);
	CU_ASSERT_FALSE(c->detached);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached && c->refuses);
	stop();
}

/* A call that waits for its connection, and a byte stream that is being joined, are tried elsewhere. */
static void test_tried_elsewhere(void)
{
	struct fake_conn *c, *opaque, *s[4];
	struct mt_addr first;
	char out[16];

	start(NULL);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s[0] = lab_server(0);
	opaque = lab_client(CONFIG_OPAQUE);
	lab_feed(opaque, "early", 5);
	s[1] = lab_server(1);
	publish_many(true);
	first = s[0]->t.remote;
	lab_close(s[0], MT_CLOSE_REFUSED);
	s[2] = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s[2]);
	CU_ASSERT_FALSE(mt_addr_eq(&s[2]->t.remote, &first));
	lab_connect(s[2]);
	CU_ASSERT_EQUAL(scene_next_sent(s[2]).first, 1);
	first = s[1]->t.remote;
	lab_close(s[1], MT_CLOSE_REFUSED);
	s[3] = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s[3]);
	CU_ASSERT_FALSE(mt_addr_eq(&s[3]->t.remote, &first));
	lab_connect(s[3]);
	CU_ASSERT_EQUAL(lab_take(s[3], out, sizeof(out)), 5);
	lab_close(opaque, MT_CLOSE_RESET);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* The listener goes while its byte stream is being joined: the stream still needs, and holds, its cluster. */
static void test_connecting_without_listener(void)
{
	struct fake_conn *opaque, *s[2];
	struct mt_addr first;
	char out[16];

	start(NULL);
	opaque = lab_client(CONFIG_OPAQUE);
	lab_feed(opaque, "early", 5);
	s[0] = lab_server(0);
	only_first = true;
	publish_many(false);
	first = s[0]->t.remote;
	lab_close(s[0], MT_CLOSE_REFUSED);
	s[1] = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s[1]);
	CU_ASSERT_FALSE(mt_addr_eq(&s[1]->t.remote, &first));
	lab_connect(s[1]);
	CU_ASSERT_EQUAL(lab_take(s[1], out, sizeof(out)), 5);
	/* Joined it needs nothing of any configuration. */
	publish(false);
	CU_ASSERT_EQUAL(config_holds(gen), 1);
	lab_feed(s[1], "there", 5);
	CU_ASSERT_EQUAL(lab_take(opaque, out, sizeof(out)), 5);
	lab_close(opaque, MT_CLOSE_RESET);
	stop();
}

/* A call in the queue of a cluster is counted there until it leaves. */
static void test_queued(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 1};
	struct fake_conn *c, *s[2];

	start(&conf);
	c = lab_client(CONFIG_SERIAL);
	for (uint64_t i = 1; i <= 4; i++)
		scene_send_request(c, 'Q', i, 64);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = lab_server(i);
		lab_connect(s[i]);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	publish_many(true);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 2; i++)
			scene_answer(s[i], scene_next_sent(s[i]).id, 1, 40);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	for (uint64_t i = 1; i <= 4; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	scene_bye(c);
	stop();
}

/* A large configuration is looked through in slices; only then do groups drain that it does not name. */
static void test_large_one_in_slices(void)
{
	enum { MANY = 5000 };
	static struct mt_endpoint many[MANY];
	struct mt_snapshot *s;
	const struct mt_lanes *named, *other;
	struct fake_conn *c;
	int turns = 0;

	start(NULL);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 2; i++) {
		scene_send_request(c, 'Q', i + 1, 64);
		lab_connect(lab_server((uint32_t)i));
		scene_answer(lab_server((uint32_t)i), scene_next_sent(lab_server((uint32_t)i)).id,
			1, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i + 1);
	}
	named = lab.p->lanes_by_ep[0];
	other = lab.p->lanes_by_ep[1];
	CU_ASSERT_FATAL(named && other);
	gen = 1;
	s = config_make(gen, 2, 2, true);
	long_times(s);
	/* The last of them is the only one that is still in use. */
	for (int i = 0; i < MANY; i++) {
		many[i] = s->clusters[0].eps[0];
		many[i].state = i == MANY - 1 ? many[i].state : &config_unused;
	}
	s->clusters[0].eps = many;
	s->clusters[0].n_eps = MANY;
	mt_proxy_adopt(lab.p, s);
	while (lab.p->snap_moving && turns < 100) {
		CU_ASSERT_TRUE(turns > 3 || named->seen == 1);
		CU_ASSERT_TRUE(turns > 3 || !other->gone);
		lab_advance(1);
		turns++;
	}
	CU_ASSERT_TRUE(turns > 4 && turns < 20);
	CU_ASSERT_EQUAL(named->seen, 2);
	CU_ASSERT_FALSE(named->gone);
	CU_ASSERT_PTR_NULL(lab.p->lanes_by_ep[1]);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_bye(c);
	stop();
}

#define CHAINS	4096
#define CLIENTS 24

/* The first listener has chains for other ports, and this one as its last. */
static void give_chains(struct mt_snapshot *s, int gen_, struct mt_filter_chain_match last)
{
	static struct mt_filter_chain chains[2][CHAINS];
	static struct mt_filter_chain_proto protos[2][CHAINS];
	struct mt_listener *l = &s->listeners[0];
	struct mt_filter_chain_proto proto = *l->protos;

	for (uint32_t i = 0; i < CHAINS; i++) {
		chains[gen_][i] = (struct mt_filter_chain){.name = "",
			.n_protos = 1,
			.match = {.dst_port = (uint16_t)(CONFIG_SAFE + 1 + i)}};
		protos[gen_][i] = proto;
	}
	chains[gen_][CHAINS - 1].match = last;
	l->chains = chains[gen_];
	l->protos = protos[gen_];
	l->n_chains = l->n_protos = CHAINS;
	mt_snapshot_index_free(s);
	MT_ASSERT(mt_snapshot_index(s) == 0);
}

/* Adopts another configuration with many chains; returns how many turns it takes to move to it. */
static int turns_to_many(struct mt_filter_chain_match last)
{
	struct mt_snapshot *s = config_make(1, 2, 2, true);
	int turns = 0;

	gen = 1;
	give_chains(s, 1, last);
	long_times(s);
	mt_proxy_adopt(lab.p, s);
	while (lab.p->snap_moving && turns < 1000) {
		lab_advance(1);
		turns++;
	}
	return turns;
}

/*
 * A turn moves few connections if each has to be looked for among thousands of chains: its own
 * chain, or when that is gone one that serves it until its end.
 */
static void test_many_chains(void)
{
	static const struct mt_filter_chain_match same, other = {.dst_port = CONFIG_SAFE};

	for (int changed = 0; changed < 2; changed++) {
		struct fake_conn *c[CLIENTS];
		int turns;

		start(NULL);
		for (int i = 0; i < CLIENTS; i++)
			c[i] = lab_client(CONFIG_SAFE);
		turns = turns_to_many(changed ? other : same);
		CU_ASSERT(turns >= CLIENTS && turns < 4 * CLIENTS);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_chain_changed), changed ? CLIENTS : 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
		for (int i = 0; i < CLIENTS; i++)
			if (c[i]->live)
				scene_bye(c[i]);
		stop();
	}
}

/* The same for clients whose chain is not chosen yet. */
static void test_many_chains_to_choose_from(void)
{
	static const struct mt_filter_chain_match plain = {
		.dst_port = CONFIG_SAFE, .transport = MT_TRANSPORT_PLAIN};
	struct fake_conn *c[CLIENTS];
	int turns;

	start(NULL);
	give_chains(lab.snap, 0, plain);
	for (int i = 0; i < CLIENTS; i++)
		c[i] = lab_client(CONFIG_SAFE);
	CU_ASSERT_EQUAL(lab.p->selections.in_use, CLIENTS);
	turns = turns_to_many(plain);
	CU_ASSERT(turns >= CLIENTS && turns < 4 * CLIENTS);
	CU_ASSERT_EQUAL(lab.p->selections.in_use, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	stop();
}

static struct mt_filter_ticket suspended;

static enum mt_filter_verdict suspend(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	suspended = mt_filter_ticket_of(ctx);
	return MT_FILTER_SUSPEND;
}

/* A filter waits, and the new configuration does not have it: the call cannot go on where it was. */
static void test_suspended(void)
{
	static const struct mt_filter waits = {.name = "waits", .on_request = suspend};
	static struct mt_filter_inst chain[] = {{.type = &waits}};
	struct fake_conn *c;

	start(NULL);
	scene_filters(chain, 1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	publish_many(true);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_ROUTE);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_bye(c);
	stop();
}

const struct mt_test snapshot_move_tests[] = {
	{"answered after many publishes", test_answered_after_many},
	{"service gone", test_service_gone},
	{"tried elsewhere after many publishes", test_tried_elsewhere},
	{"byte stream being joined, listener gone", test_connecting_without_listener},
	{"queued over many publishes", test_queued},
	{"a large one in slices", test_large_one_in_slices},
	{"many chains", test_many_chains},
	{"many chains to choose from", test_many_chains_to_choose_from},
	{"suspended over many publishes", test_suspended},
	{0},
};
