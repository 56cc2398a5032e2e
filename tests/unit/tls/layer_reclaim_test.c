/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of a TLS stream may take back: text that is kept, and records that are opened again. */
#include "layer_scene.h"

#include "layer_priv.h"

#include <errno.h>

#define A (&layers.app[CLIENT])
#define B (&layers.app[SERVER])

static bool takes_back(uint64_t first, uint64_t last)
{
	struct mt_chain again = {0};
	int rc = mt_stream_reclaim(A->s, first, last, &again);
	bool same = rc == 0 && scene_is(&again, (uint32_t)first, (uint32_t)(last - first));

	CU_ASSERT_TRUE(rc == 0 || (rc == -ENODATA && again.len == 0));
	CU_ASSERT_EQUAL(rc == 0, same);
	mt_chain_free(&again);
	return same;
}

/* Two ends of which the client has heard the server. */
static void begin_heard(const struct mt_tls_rules *client)
{
	layers_begin(client, NULL);
	layers_connect();
	layers_say(SERVER, 0, 10, 10);
	layers_settle();
}

/* A client's text is kept until it is acknowledged, a server's is not. */
static void test_reclaim(void)
{
	struct mt_chain c = {0};

	begin_heard(NULL);
	layers_say(CLIENT, 0, 10000, 1000);
	layers_settle();
	CU_ASSERT_FALSE(takes_back(0, 100));
	CU_ASSERT_EQUAL(mt_stream_reclaim(B->s, 0, 10, &c), -ENODATA);
	pipes.deaf = true;
	layers_say(CLIENT, 10000, 20000, 1000);
	CU_ASSERT_TRUE(takes_back(10000, 30000) && !takes_back(10000, 30001));
	layers_say(SERVER, 10, 100, 100);
	CU_ASSERT_EQUAL(mt_stream_reclaim(B->s, 10, 110, &c), -ENODATA);
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).acked, 10000);
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).sent, 10000);
	mt_stream_abort(A->s, MT_ABORT_CANCELLED);
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
	layers_end();
}

/*
 * What a client sends while nothing is under way is sealed where it lies, once the server has said something, and opened again for who takes
 * it back; what follows before that is acknowledged is kept.
 */
static void reopened_by(const struct mt_tls_rules *client)
{
	const uint64_t *n = layers.layer[CLIENT].records.counts;
	const struct tls_conn *c;
	uint64_t inplace;

	begin_heard(client);
	c = tls_conn_of(A->s);
	pipes.deaf = true;
	inplace = n[MT_TLS_RECORD_N_INPLACE];
	layers_say(CLIENT, 0, 500, 500);
	CU_ASSERT_EQUAL(n[MT_TLS_RECORD_N_INPLACE], inplace + 1);
	CU_ASSERT_EQUAL(c->plain.truesize, 0);
	CU_ASSERT_TRUE(takes_back(0, 500) && takes_back(0, 500) && takes_back(100, 200));
	for (uint32_t i = 0; i < 30; i++) {
		layers_settle();
		layers_say(CLIENT, 500 + 100 * i, 100, 100);
		CU_ASSERT_TRUE(takes_back(0, 600 + 100 * i) && takes_back(400, 520));
	}
	CU_ASSERT_EQUAL(n[MT_TLS_RECORD_N_INPLACE], inplace + 1);
	CU_ASSERT_FALSE(takes_back(0, 3501));
	/* A part of it has arrived; and all of it. */
	pipes.deaf = false;
	pipes.cut = 1;
	layers_settle();
	CU_ASSERT_TRUE(layers_has(B, 3500));
	pipes.cut = 0;
	layers_say(CLIENT, 3500, 1000, 1000);
	CU_ASSERT_EQUAL(n[MT_TLS_RECORD_N_INPLACE], inplace + 2);
	CU_ASSERT_TRUE(takes_back(3500, 4500) && !takes_back(3499, 3600));
	pipes.cut = 5;
	(void)pipes_step();
	(void)pipes_step();
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).acked, 3500);
	CU_ASSERT_FALSE(takes_back(3500, 4500));
	pipes.cut = 0;
	layers_settle();
	/* Its key is gone. */
	pipes.deaf = true;
	layers_say(CLIENT, 4500, 100, 100);
	layers_settle();
	mt_tls_stream_update(A->s);
	layers_settle();
	layers_say(CLIENT, 4600, 100, 100);
	CU_ASSERT_EQUAL(takes_back(4500, 4600), client != NULL);
	CU_ASSERT_TRUE(takes_back(4600, 4700));
	/* What is due goes before it. */
	if (!client) {
		pipes.deaf = false;
		layers_settle();
		pipes.deaf = true;
		for (uint32_t i = 0; i < 10; i++) {
			mt_tls_stream_update(A->s);
			layers_settle();
		}
		tls_conn_of(A->s)->k->r.due |= MT_TLS_RECORD_DUE_UPDATE;
		layers_say(CLIENT, 4700, 100, 100);
		CU_ASSERT_TRUE(takes_back(4700, 4800));
	} else {
		layers_say(CLIENT, 4700, 100, 100);
	}
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_TRUE(layers_has(B, 4800));
	CU_ASSERT_EQUAL(A->s->tx_queued, 0);
	layers_end_in_order();
	layers_end();
}

static void test_reopened(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT);

	reopened_by(NULL);
	client.max_version = 0x0303; /* without key updates */
	reopened_by(&client);
}

/* A server of TLS 1.2 has judged its client before; one of TLS 1.3 has when it says something. */
static void test_kept_until_heard(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT);

	for (client.max_version = 0x0303; client.max_version <= 0x0304; client.max_version++) {
		layers_begin(&client, NULL);
		layers_connect();
		pipes.deaf = true;
		layers_say(CLIENT, 0, 500, 500);
		CU_ASSERT_EQUAL(
			tls_conn_of(A->s)->plain.len, client.max_version == 0x0304 ? 500 : 0);
		CU_ASSERT_TRUE(takes_back(0, 500));
		pipes.deaf = false;
		layers_end_in_order();
		layers_end();
	}
}

/* Of several buffers, short ones too; without memory nothing is taken back, and nothing is half there. */
static void test_reopened_without_memory(void)
{
	static struct rte_mbuf *held[9000];
	struct mt_chain again = {0};
	uint32_t n = 0;

	begin_heard(NULL);
	pipes.deaf = true;
	layers_say(CLIENT, 0, 300, 30);
	layers_settle();
	layers_say(CLIENT, 300, 600, 200);
	CU_ASSERT_TRUE(takes_back(0, 900) && takes_back(200, 400));
	while (n < MT_ARRAY_LEN(held) && (held[n] = mt_buf_data(&tls_pools)))
		n++;
	CU_ASSERT_EQUAL(mt_stream_reclaim(A->s, 0, 900, &again), -ENOMEM);
	CU_ASSERT_EQUAL(mt_stream_reclaim(A->s, 0, 200, &again), -ENOMEM);
	CU_ASSERT_EQUAL(again.len, 0);
	for (uint32_t i = 0; i < n; i++)
		rte_pktmbuf_free(held[i]);
	CU_ASSERT_TRUE(takes_back(0, 900));
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_TRUE(layers_has(B, 900));
	layers_say(CLIENT, 900, 1400, 450);
	CU_ASSERT_TRUE(layers_has(B, 2300));
	layers_end_in_order();
	layers_end();
}

/* Who does not hear of acknowledgements: they are looked at with the next record, or when notes are used up. */
static void test_nobody_waits(void)
{
	static struct mt_stream_user quiet;
	const struct tls_conn *c[2];

	begin_heard(NULL);
	c[CLIENT] = tls_conn_of(A->s);
	c[SERVER] = tls_conn_of(B->s);
	quiet = *A->s->user;
	quiet.acked = NULL;
	A->s->user = B->s->user = &quiet;
	for (uint32_t i = 0; i < 40; i++) {
		layers_say(CLIENT, 100 * i, 100, 100);
		layers_say(SERVER, 10 + 100 * i, 100, 100);
		layers_settle();
		CU_ASSERT_EQUAL(c[CLIENT]->k->notes.n, 1);
		CU_ASSERT_EQUAL(c[SERVER]->k->notes.many, 0);
		CU_ASSERT_FALSE(takes_back(100 * i, 100 * i + 100));
	}
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).acked, 4000);
	CU_ASSERT_EQUAL(mt_stream_positions(B->s).acked, 4010);
	CU_ASSERT_EQUAL(A->s->tx_queued + B->s->tx_queued, 0);
	CU_ASSERT_TRUE(layers_has(A, 4010) && layers_has(B, 4000));
	layers_end_in_order();
	layers_end();
}

/* A client that takes nothing back: what is kept of it goes with the next record, which is sealed where it lies. */
static void test_no_reclaim(void)
{
	const struct tls_conn *c;
	uint64_t inplace;

	begin_heard(NULL);
	c = tls_conn_of(A->s);
	pipes.deaf = true;
	layers_say(CLIENT, 0, 3000, 1000);
	layers_say(CLIENT, 3000, 500, 500); /* gathered */
	CU_ASSERT_TRUE(c->sealed == 3000 && c->accepted == 3500);
	CU_ASSERT_TRUE(takes_back(0, 3500));
	A->s->no_reclaim = true;
	inplace = layers.layer[CLIENT].records.counts[MT_TLS_RECORD_N_INPLACE];
	layers_settle();
	CU_ASSERT_EQUAL(c->sealed, 3500);
	CU_ASSERT_EQUAL(c->plain.truesize, 0);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].records.counts[MT_TLS_RECORD_N_INPLACE], inplace + 1);
	CU_ASSERT_FALSE(takes_back(0, 3500));
	layers_say(CLIENT, 3500, 20000, 1000);
	CU_ASSERT_FALSE(takes_back(3400, 3600));
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_TRUE(layers_has(B, 23500));
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).acked, 23500);
	CU_ASSERT_EQUAL(A->s->tx_queued, 0);
	layers_end_in_order();
	layers_end();
}

const struct mt_test layer_reclaim_tests[] = {{"reclaim", test_reclaim},
	{"opened again", test_reopened}, {"kept until it is heard", test_kept_until_heard},
	{"opened again without memory", test_reopened_without_memory},
	{"nobody waits for it", test_nobody_waits}, {"nothing is taken back", test_no_reclaim},
	{0}};
