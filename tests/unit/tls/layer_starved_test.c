/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS streams that receive while no buffer is left. They try again by themselves, because the peer
 * may send nothing more.
 */
#include "layer_scene.h"

#define FIRST 10  /* bytes that the user has and has not taken */
#define EACH  100 /* and of each record that waits below it */

static struct rte_mbuf *held[9000];
static uint32_t n_held;

static void take_buffers(void)
{
	for (n_held = 0; (held[n_held] = mt_buf_data(&tls_pools)); n_held++)
		MT_ASSERT(n_held + 1 < MT_ARRAY_LEN(held));
}

static void give_buffers(void)
{
	while (n_held)
		mt_buf_free(held[--n_held]);
}

/* Why a record is not opened in place. */
enum { TWO_IN_A_BUFFER, SHARED, WAYS };

/*
 * Gives the user `to` FIRST bytes that it does not take; whole records arrive after them and wait in
 * the lower stream, in one buffer. Returns the number of all bytes.
 */
static uint32_t let_records_wait(int to, int way)
{
	uint32_t sent = FIRST;

	layers_begin(NULL, NULL);
	layers_connect();
	layers_settle();
	layers.app[to].greedy = false;
	layers_say(!to, 0, FIRST, FIRST);
	layers_settle();
	CU_ASSERT_EQUAL(layers.app[to].s->rx.len, FIRST);
	pipes.unplugged = true;
	for (int i = 0; i < (way == TWO_IN_A_BUFFER ? 2 : 1); i++, sent += EACH) {
		layers_say(!to, sent, EACH, EACH);
		layers_settle();
	}
	pipes.unplugged = false;
	layers_settle();
	CU_ASSERT_EQUAL(layers.app[to].s->rx.len, FIRST);
	CU_ASSERT(layers_lower(to)->s.rx.len > sent - FIRST);
	CU_ASSERT_EQUAL_FATAL(layers_lower(to)->s.rx.segs, 1);
	return sent;
}

/* After the user has taken its bytes only time passes: the lower stream has no event. */
static void receive_without_buffers(int to, int way)
{
	uint32_t sent = let_records_wait(to, way);
	struct rte_mbuf *shared = way == SHARED ? layers_lower(to)->s.rx.head : NULL;
	struct app *a = &layers.app[to];

	if (shared)
		mt_buf_hold(shared);
	take_buffers();
	a->greedy = true;
	mt_chain_concat(&a->got, &a->s->rx);
	mt_stream_consumed(a->s);
	layers_settle();
	CU_ASSERT_EQUAL(a->got.len, FIRST);
	/* More than one try fails. */
	layers_pass(50 * MT_MSEC);
	CU_ASSERT_EQUAL(a->got.len, FIRST);
	CU_ASSERT_FALSE(a->closed);
	give_buffers();
	layers_pass(10 * MT_MSEC);
	CU_ASSERT_EQUAL(a->got.len, sent);
	CU_ASSERT_TRUE(scene_is(&a->got, 0, sent));
	if (shared)
		mt_buf_free(shared);
	layers_end_in_order();
	layers_end();
}

static void test_received(void)
{
	for (int way = 0; way < WAYS; way++) {
		receive_without_buffers(CLIENT, way);
		receive_without_buffers(SERVER, way);
	}
}

/* The user ends the stream while it waits for a buffer: nothing is tried again. */
static void test_ended(void)
{
	for (int way = 0; way < WAYS; way++) {
		struct app *a = &layers.app[SERVER];

		(void)let_records_wait(SERVER, way);
		take_buffers();
		mt_chain_concat(&a->got, &a->s->rx);
		mt_stream_consumed(a->s);
		layers_settle();
		mt_stream_abort(a->s, MT_ABORT_CANCELLED);
		give_buffers();
		layers_pass(10 * MT_MSEC);
		CU_ASSERT_EQUAL(a->got.len, FIRST);
		CU_ASSERT_TRUE(layers.app[CLIENT].closed);
		layers_end();
	}
}

const struct mt_test layer_starved_tests[] = {
	{"received without a buffer", test_received}, {"ended without a buffer", test_ended}, {0}};
