/* SPDX-License-Identifier: Apache-2.0 */
#include "../../outcomes_seen.h"
#include "layer_scene.h"

#include "mt_tls_priv.h"

#include <errno.h>
#include <unistd.h>

#define TURN_NS (10 * MT_USEC)
#define PATIENT 300000 /* turns with nothing to do, 100 us each */

struct layers layers;
static uint32_t buffers;

static uint32_t free_buffers(void)
{
	return rte_mempool_avail_count(tls_pools.data) + rte_mempool_avail_count(tls_pools.ctrl);
}

/* ---- users ---- */

static struct app *app_of(struct mt_stream *s)
{
	return &layers.app[s->owner_idx];
}

static void on_connected(struct mt_stream *s)
{
	struct app *a = app_of(s);

	CU_ASSERT_FALSE(a->connected);
	a->connected = true;
	a->peer = *mt_tls_stream_peer(&layers.layer[s->owner_idx], s);
	a->version = mt_tls_stream_version(s);
}

static void on_readable(struct mt_stream *s)
{
	struct app *a = app_of(s);

	a->rx_most = MT_MAX(a->rx_most, s->rx.len);
	if (!a->greedy)
		return;
	mt_chain_concat(&a->got, &s->rx);
	mt_chain_compact(&a->got, &tls_pools); /* bytes that came one by one */
	mt_stream_consumed(s);
}

static void on_eof(struct mt_stream *s)
{
	CU_ASSERT_FALSE(app_of(s)->eof);
	app_of(s)->eof = true;
}

static void on_writable(struct mt_stream *s)
{
	app_of(s)->writable = true;
}

static void on_acked(struct mt_stream *s, uint32_t bytes)
{
	app_of(s)->acked += bytes;
	CU_ASSERT_EQUAL(app_of(s)->acked, mt_stream_positions(s).acked);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct app *a = app_of(s);

	CU_ASSERT_FALSE(a->closed);
	a->closed = true;
	mt_chain_concat(&a->got, &s->rx);
	a->reason = reason;
	a->why = mt_tls_stream_why(s);
	mt_stream_end(s, &a->end);
	a->reclaimed = mt_stream_reclaim(s, 0, a->end.pos.accepted, &a->again);
	a->s = NULL;
}

static const struct mt_stream_user user = {.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.acked = on_acked,
	.closed = on_closed};

static int lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return 7;
}

static bool accept_it(void *arg, struct mt_stream *s, int listener)
{
	CU_ASSERT_EQUAL(listener, 7);
	if (layers.refuses)
		return false;
	s->user = &user;
	s->owner_idx = SERVER;
	layers.app[SERVER].s = s;
	on_connected(s);
	return true;
}

static const struct mt_listen_ops listen_ops = {lookup, accept_it};

static struct mt_tls_context *choose(void *arg, const struct mt_stream *lower, int listener,
	const struct mt_hello_says *says, uint64_t *tag)
{
	*tag = 77;
	CU_ASSERT_TRUE(mt_slice_eq_str(says->name, "outbound_.80_._.bob"));
	return layers.no_context ? NULL : layers.context[SERVER];
}

/* ---- handshakes, at times not at once ---- */

static int late_accept(void *arg, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out)
{
	if (layers.not_yet) {
		layers.not_yet--;
		return -EAGAIN;
	}
	return mt_tls_lane_hands.accept(arg, c, h, owner, out);
}

static int late_connect(void *arg, struct mt_tls_context *c, const char *sni, struct mt_ref owner,
	struct mt_ref *out)
{
	if (layers.not_yet) {
		layers.not_yet--;
		return -EAGAIN;
	}
	return mt_tls_lane_hands.connect(arg, c, sni, owner, out);
}

static void begin_layer(int who)
{
	static struct mt_tls_hands hands;
	struct mt_tls_layer_conf conf = {.pools = &tls_pools,
		.aead = tls_aead[0],
		.lower = &pipes.transport,
		.hands = &hands,
		.hands_arg = layers.lane[who],
		.streams = 16,
		.mss = 1448};

	hands = mt_tls_lane_hands;
	hands.accept = late_accept;
	hands.connect = late_connect;
	MT_ASSERT(mt_tls_layer_init(&layers.layer[who], &conf, layers.now) == 0);
}

void layers_begin(const struct mt_tls_rules *client, const struct mt_tls_rules *server)
{
	struct mt_tls_rules rules[] = {ends_rules(MT_TLS_CLIENT), ends_rules(MT_TLS_SERVER)};
	struct mt_err e;

	buffers = free_buffers();
	layers = (struct layers){.now = 1000 * MT_SEC};
	layers.pool = mt_tls_pool_new(2, 1, &e);
	MT_ASSERT(layers.pool);
	if (client)
		rules[CLIENT] = *client;
	rules[CLIENT].sni = "outbound_.80_._.bob";
	layers.context[CLIENT] = ends_context(&rules[CLIENT]);
	layers.context[SERVER] = ends_context(server ? server : &rules[SERVER]);
	for (int who = CLIENT; who <= SERVER; who++) {
		layers.lane[who] = mt_tls_pool_lane(layers.pool, (uint32_t)who);
		begin_layer(who);
		layers.app[who].greedy = true;
	}
	layers.door = (struct mt_tls_door){
		.layer = &layers.layer[SERVER], .listen = &listen_ops, .context = choose};
	pipes_begin(&mt_tls_door_ops, &layers.door);
}

void layers_end(void)
{
	CU_ASSERT_TRUE(pipes_over());
	for (int who = CLIENT; who <= SERVER; who++) {
		CU_ASSERT_EQUAL(layers.layer[who].streams.in_use, 0);
		CU_ASSERT_EQUAL(layers.layer[who].keyed.in_use, 0);
		CU_ASSERT_EQUAL(layers.layer[who].peers.in_use, 0);
		CU_ASSERT_EQUAL(layers.lane[who]->n_used, 0);
		outcomes_seen(&mt_tls_outcomes, layers.layer[who].counts);
		mt_tls_layer_fini(&layers.layer[who]);
		mt_chain_free(&layers.app[who].got);
		mt_chain_free(&layers.app[who].again);
	}
	mt_tls_pool_free(layers.pool);
	for (int who = CLIENT; who <= SERVER; who++) {
		CU_ASSERT_EQUAL(layers.context[who]->refs, 1);
		mt_tls_context_drop(layers.context[who]);
	}
	CU_ASSERT_EQUAL(free_buffers(), buffers);
}

void layers_open(uint32_t connect_ms)
{
	struct mt_addr remote = {0};
	struct mt_stream_to to = {.remote = &remote,
		.connect_ms = connect_ms,
		.tls = layers.context[CLIENT],
		.user = &user,
		.owner_idx = CLIENT};
	enum mt_close_reason why;

	layers.app[CLIENT].s = mt_stream_open(&layers.layer[CLIENT].transport, &to, &why);
	MT_ASSERT(layers.app[CLIENT].s);
	layers.app[CLIENT].s->tx_high = 65536;
}

void layers_connect(void)
{
	layers_open(0);
	layers_until(&layers.app[CLIENT].connected);
	layers_until(&layers.app[SERVER].connected);
}

static bool turn(void)
{
	bool any = false;

	layers.now += TURN_NS;
	for (int who = CLIENT; who <= SERVER; who++) {
		mt_tls_layer_turn(&layers.layer[who], layers.now);
		if (!layers.handshakes_stop && mt_tls_lane_rung(layers.lane[who]))
			any |= mt_tls_lane_take(layers.lane[who], 16, mt_tls_layer_event,
				       &layers.layer[who]) > 0;
	}
	any |= pipes_step();
	for (int who = CLIENT; who <= SERVER; who++)
		mt_tls_lane_flush(layers.lane[who]);
	return any;
}

void layers_until(const bool *b)
{
	for (uint32_t idle = 0; !*b && idle < PATIENT;)
		if (!turn()) {
			idle++;
			usleep(100);
		}
	CU_ASSERT_TRUE_FATAL(*b);
}

void layers_settle(void)
{
	for (uint32_t idle = 0; idle < 3; idle++)
		while (turn())
			idle = 0;
}

void layers_pass(uint64_t ns)
{
	for (uint64_t until = layers.now + ns; layers.now < until; layers.now += MT_MSEC)
		turn();
	layers_settle();
}

void layers_say(int who, uint32_t from, uint32_t n, uint32_t piece)
{
	static uint8_t text[200000];
	struct mt_chain c = {0};

	MT_ASSERT(n <= sizeof(text));
	scene_fill(text, n, from);
	scene_append(&c, text, n, piece);
	mt_stream_send(layers.app[who].s, &c);
}

/* The client's is opened first. */
struct pipe_end *layers_lower(int who)
{
	return &pipes.ends[who];
}

void layers_both_closed(void)
{
	for (int who = CLIENT; who <= SERVER; who++) {
		layers_until(&layers.app[who].closed);
		CU_ASSERT_EQUAL(layers.app[who].reason, MT_CLOSE_OK);
	}
}

void layers_end_in_order(void)
{
	mt_stream_shutdown(layers.app[CLIENT].s);
	mt_stream_shutdown(layers.app[SERVER].s);
	layers_both_closed();
	CU_ASSERT_TRUE(layers.app[CLIENT].eof && layers.app[SERVER].eof);
}

bool layers_has(const struct app *a, uint32_t n)
{
	for (uint32_t i = 0; a->got.len < n && i < 100000; i++)
		layers_settle();
	return scene_is(&a->got, 0, n);
}
