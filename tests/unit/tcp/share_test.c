/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections and one port that takes a few packets a turn. What is counted is work: how often the
 * port was asked before segments were built, and whose segments left.
 */
#include "world.h"

#define CROWD	10000
#define MSS	1440
#define QUANTUM 16384

/* A pool of its own: each connection queues a buffer. Made once. */
static struct mt_pools crowd_pools;
static struct mt_stream *crowd[CROWD];
static uint32_t sent_of[CROWD]; /* packets in this turn */
static uint32_t total_of[CROWD];

static void many_buffers(void)
{
	if (!crowd_pools.data &&
		mt_pools_init(&crowd_pools, "crowd", 16383, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
	w.pools = crowd_pools;
}

static void crowd_up(uint32_t n)
{
	struct mt_addr peer;

	bool two_ports = w.two_ports;

	up(&(struct mt_tcp_conf){.max_conns = CROWD + 8, .port_lo = 20000, .port_hi = 60000});
	w.two_ports = two_ports;
	mt_addr_parse("10.0.0.2", &peer);
	mt_tcp_begin(w.t, w.now);
	for (uint32_t i = 0; i < n; i++) {
		struct mt_tcp_conn *c;

		peer.b[15] = w.two_ports ? (uint8_t)(2 + i % 2) : 2;
		crowd[i] = mt_stream_open(mt_tcp_transport(w.t),
			&(struct mt_stream_to){.remote = &peer,
				.port = (uint16_t)(1 + i),
				.user = &mt_tcp_user_none},
			&w.why);
		CU_ASSERT_PTR_NOT_NULL_FATAL(crowd[i]);
		c = mt_tcp_conn_of(crowd[i]);
		/* As if the handshake were over. */
		c->flags &= ~MT_CF_SYN_DUE;
		c->snd_una = c->snd_nxt;
		c->snd_wnd = c->max_wnd = 1u << 20;
		c->mss_peer = MSS;
		mt_tcp_established(w.t, c);
		c->cc.cwnd = 1u << 20;
	}
	memset(total_of, 0, sizeof(total_of));
	turn();
	CU_ASSERT_EQUAL(w.n_out, 0);
}

static void queue_on(uint32_t i, uint32_t n)
{
	w.s = crowd[i];
	w.tx_seq = 0;
	send_written(n, MSS);
	w.s = NULL;
}

/* A turn in which the port takes n packets; what was asked of it. */
static uint32_t turn_of(uint32_t n)
{
	uint32_t from = w.n_out;

	CU_ASSERT_TRUE(n <= MT_ARRAY_LEN(w.out));
	w.room = n;
	w.asked = 0;
	memset(sent_of, 0, sizeof(sent_of));
	turn();
	for (; from < w.n_out; from++) {
		uint32_t i = w.out[from % MT_ARRAY_LEN(w.out)].rport - 1u;

		sent_of[i]++;
		total_of[i]++;
	}
	w.next_out = w.n_out;
	return w.asked;
}

/* What a turn costs is what the port took of it, however many wait. */
static void work_by_what_is_taken(void)
{
	uint32_t asked, before;

	crowd_up(CROWD);
	many_buffers();
	for (uint32_t i = 0; i < CROWD; i++)
		queue_on(i, MSS);
	asked = turn_of(16); /* this turn marked all of them */
	CU_ASSERT_TRUE(asked <= CROWD + 2 * 16 + 2);
	for (uint32_t k = 1; k <= 100; k++) {
		before = w.n_out;
		asked = turn_of(16);
		CU_ASSERT_EQUAL(w.n_out - before, 16);
		CU_ASSERT_TRUE(asked <= 4 * 16 + 2);
	}
	for (uint32_t k = 0; k < 100; k++)
		CU_ASSERT_TRUE(turn_of(0) <= 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_retransmits), 0);
	for (uint32_t k = 0; k < CROWD / 400; k++)
		turn_of(400);
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_EQUAL(total_of[i], 1);
	CU_ASSERT_EQUAL(w.t->waiting, 0);
	down();
}

/* Bulk, each with more than it may send: round robin, a quantum each. */
static void a_quantum_each(void)
{
	const uint32_t n = 40, each = (QUANTUM + MSS - 1) / MSS;
	uint32_t least = UINT32_MAX, most = 0;

	crowd_up(n);
	many_buffers();
	for (uint32_t i = 0; i < n; i++)
		queue_on(i, 100 * MSS);
	for (uint32_t k = 0; k < n * 50 / 20; k++)
		turn_of(20);
	for (uint32_t i = 0; i < n; i++) {
		least = MT_MIN(least, total_of[i]);
		most = MT_MAX(most, total_of[i]);
	}
	/* The port was full from the first turn on; who was first had a turn's room alone. */
	CU_ASSERT_TRUE(least >= 50 - 2 * each);
	CU_ASSERT_TRUE(most <= 50 + 2 * each + 20);
	down();
}

/* One whose ACKs come in all the time does not keep those who wait from the port. */
static void ack_clocked_passes_nobody(void)
{
	const uint32_t n = 20;

	crowd_up(n + 1);
	many_buffers();
	for (uint32_t i = 0; i < n; i++)
		queue_on(i, 50 * MSS);
	turn_of(10);
	for (uint32_t k = 0; k < 60; k++) {
		queue_on(
			n, 10 * MSS); /* marked anew in each turn, with as much as the port takes */
		turn_of(10);
	}
	for (uint32_t i = 0; i < n; i++)
		CU_ASSERT_TRUE(total_of[i] >= 10);
	CU_ASSERT_TRUE(total_of[n] <= 60 * 10 / 5);
	CU_ASSERT_TRUE(total_of[n] >= 10);
	down();
}

/* A short segment does not stand behind ten thousand, nor does the tenth of them within a round. */
static void little_goes_first(void)
{
	crowd_up(CROWD);
	many_buffers();
	for (uint32_t i = 0; i + 1 < CROWD; i++)
		queue_on(i, MSS);
	turn_of(16);
	for (uint32_t k = 0; k < 10; k++) {
		queue_on(CROWD - 1, 100);
		turn_of(16);
		CU_ASSERT_EQUAL(sent_of[CROWD - 1], 1);
	}
	for (uint32_t k = 0; k < CROWD / 400 + 2; k++)
		turn_of(400);
	down();
}

/* A port that is full holds up only those who send by it. */
static void other_ports_go_on(void)
{
	w.two_ports = true;
	crowd_up(100);
	for (uint32_t i = 0; i < 100; i++)
		queue_on(i, MSS);
	w.room_1 = 1000;
	turn_of(0);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(sent_of[i], i % 2);
	CU_ASSERT_EQUAL(w.t->waiting, 1);
	turn_of(50);
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(total_of[i], 1);
	w.two_ports = false;
	down();
}

/* Who ends while it waits leaves the queue; its RST does not wait behind the others. */
static void ends_while_it_waits(void)
{
	crowd_up(1000);
	many_buffers();
	for (uint32_t i = 0; i < 1000; i++)
		queue_on(i, MSS);
	turn_of(0);
	CU_ASSERT_EQUAL(w.t->wait[0].n, 1000);
	for (uint32_t i = 0; i < 1000; i += 2)
		mt_stream_abort(crowd[i], MT_ABORT_CANCELLED);
	CU_ASSERT_EQUAL(w.t->wait[0].n, 500);
	turn_of(500);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(sent_of[i], i % 2 == 0);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 500);
	turn_of(500);
	for (uint32_t i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(sent_of[i], i % 2);
	CU_ASSERT_EQUAL(w.t->waiting, 0);
	down();
}

/* Without a buffer nobody spins: another try comes with the timer. */
static void no_memory_while_port_is_full(void)
{
	crowd_up(3);
	for (uint32_t i = 0; i < 3; i++)
		queue_on(i, 2 * MSS);
	turn_of(0);
	take_pool(0);
	take_ctrl(0);
	w.caps.tx_chains = false;
	for (uint32_t i = 0; i < 3; i++) /* held: nothing may be sent in place */
		for (struct rte_mbuf *m = mt_tcp_conn_of(crowd[i])->tx.head; m;
			m = mt_link(m)->next)
			rte_mbuf_refcnt_update(m, 1);
	turn_of(100);
	CU_ASSERT_EQUAL(counter(MT_TCP_tx_no_memory), 3);
	CU_ASSERT_EQUAL(w.t->waiting, 0);
	for (uint32_t i = 0; i < 3; i++)
		for (struct rte_mbuf *m = mt_tcp_conn_of(crowd[i])->tx.head; m;
			m = mt_link(m)->next)
			rte_mbuf_refcnt_update(m, -1);
	give_pool();
	w.room = 100;
	w.n_out = 0;
	later(20);
	CU_ASSERT_EQUAL(w.n_out, 6);
	w.next_out = w.n_out;
	down();
}

const struct mt_test share_tests[] = {
	{"work by what is taken", work_by_what_is_taken},
	{"a quantum each", a_quantum_each},
	{"ACK-clocked ones pass nobody", ack_clocked_passes_nobody},
	{"little goes first", little_goes_first},
	{"other ports go on", other_ports_go_on},
	{"ends while it waits", ends_while_it_waits},
	{"no memory, full port", no_memory_while_port_is_full},
	{0},
};
