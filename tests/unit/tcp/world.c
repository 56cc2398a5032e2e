/* SPDX-License-Identifier: Apache-2.0 */
#include "world_priv.h"

#include "../../eal_unpinned.h"
#include "../../outcomes_seen.h"

#include <stdio.h>

struct world w;
bool slow_path_only;

static struct rte_mbuf *taken[4096];
static uint32_t n_taken;

/* ---- the user ---- */

static void log_event(const char *fmt, ...)
{
	size_t at = strlen(w.events);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.events + at, sizeof(w.events) - at, fmt, ap);
	va_end(ap);
}

static void on_connected(struct mt_stream *s)
{
	log_event("connected ");
}

void read_first(uint32_t left)
{
	uint8_t bytes[65536];

	while (left > 0) {
		uint32_t n = MT_MIN(left, (uint32_t)sizeof(bytes));

		mt_chain_read(&w.s->rx, 0, bytes, n);
		for (uint32_t i = 0; i < n; i++)
			w.read_ok &= bytes[i] == pattern(w.read + i);
		w.read += n;
		left -= n;
		mt_stream_drop(w.s, n);
	}
}

void read_all(void)
{
	read_first(w.s->rx.len);
}

int reclaim(struct mt_stream *s, uint64_t first, uint64_t last)
{
	mt_chain_free(&w.reclaimed);
	return mt_stream_reclaim(s, first, last, &w.reclaimed);
}

bool reclaimed(uint64_t first, uint64_t last)
{
	uint8_t byte;

	if (w.reclaimed.len != last - first)
		return false;
	for (uint32_t i = 0; i < w.reclaimed.len; i++) {
		mt_chain_read(&w.reclaimed, i, &byte, 1);
		if (byte != pattern((uint32_t)first + i))
			return false;
	}
	return true;
}

static void on_readable(struct mt_stream *s)
{
	log_event("readable:%u ", s->rx.len);
	if (!w.stop_reading)
		read_all();
}

static void on_eof(struct mt_stream *s)
{
	log_event("eof ");
}

static void on_writable(struct mt_stream *s)
{
	log_event("writable ");
}

static void on_acked(struct mt_stream *s, uint32_t bytes)
{
	log_event("acked:%u ", bytes);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	log_event("closed:%s ", mt_close_reason_str(reason));
	mt_stream_end(s, &w.end);
	if (w.reclaims)
		w.reclaim_rc = reclaim(s, w.end.pos.acked, w.end.pos.accepted);
	if (w.s == s)
		w.s = NULL;
}

static const struct mt_stream_user user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.acked = on_acked,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return w.listening && lport == 80 ? 3 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	CU_ASSERT_EQUAL(listener, 3);
	if (w.refuse)
		return false;
	log_event("accept ");
	s->user = &user;
	w.s = s;
	return true;
}

static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

/* ---- life ---- */

static struct mt_pools pools; /* one for all tests; each leaves it full */

static void free_pools(void)
{
	mt_pools_fini(&pools);
}

static void init_eal(void)
{
	static bool done;
	char *args[] = {"unit_tcp", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (done)
		return;
	done = true;
	if (eal_init_unpinned(MT_ARRAY_LEN(args), args) < 0 || mt_buf_init())
		abort();
	if (mt_pools_init(&pools, "unit", 1023, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
	atexit(free_pools);
}

static const uint8_t secret[32] = "a secret that everybody knows...";

void up(const struct mt_tcp_conf *conf)
{
	struct mt_tcp_conf c = conf ? *conf : (struct mt_tcp_conf){0};

	init_eal();
	memset(&w, 0, sizeof(w));
	w.now = 1000 * MT_SEC;
	w.mtu = 1500;
	w.lport = 80;
	w.rport = 4000;
	w.irs = 5000;
	w.listening = w.read_ok = true;
	w.caps.tx_chains = true;
	w.room = UINT32_MAX / 2;
	w.steer.workers = 1;
	rx_nothing();
	w.pools = pools;
	if (!c.max_conns)
		c.max_conns = 64;
	c.slow_path_only = slow_path_only;
	w.t = mt_tcp_create(&c, 0, &w.steer, NULL, &w.pools, &listen_ops, NULL, secret, 1, w.now);
	if (!w.t)
		abort();
}

/* What a port holds may not be written by anybody. */
void release_held(void)
{
	while (w.n_held) {
		struct rte_mbuf *m = w.held[--w.n_held];
		const uint8_t *h = rte_pktmbuf_mtod_offset(m, uint8_t *, HEAD(w.ip6));

		if (w.held_head[w.n_held][12])
			CU_ASSERT_EQUAL(memcmp(h, w.held_head[w.n_held], 20), 0);
		mt_buf_free(m);
	}
}

static void give(void)
{
	while (n_taken)
		mt_buf_free(taken[--n_taken]);
}

void down(void)
{
	CU_ASSERT_TRUE(w.read_ok);
	release_held();
	mt_chain_free(&w.reclaimed);
	give();
	outcomes_seen(&mt_tcp_outcomes, mt_tcp_counters(w.t));
	mt_tcp_destroy(w.t);
	mt_pools_sample(&w.pools);
	CU_ASSERT_EQUAL(w.pools.data_free, w.pools.data_total);
	CU_ASSERT_EQUAL(w.pools.ctrl_free, w.pools.ctrl_total);
}

void take_pool(uint32_t leave)
{
	for (mt_pools_sample(&w.pools); w.pools.data_free > leave; mt_pools_sample(&w.pools))
		taken[n_taken++] = mt_buf_data(&w.pools);
}

void take_ctrl(uint32_t leave)
{
	for (mt_pools_sample(&w.pools); w.pools.ctrl_free > leave; mt_pools_sample(&w.pools))
		taken[n_taken++] = mt_buf_ctrl(&w.pools);
}

void give_pool(void)
{
	give();
}

/* ---- shorthand ---- */

void accepted_with(struct say syn)
{
	struct say ack = {.flags = A, .seq = 1, .ack = 1, .wnd = syn.wnd, .tsval = syn.tsval};

	syn.flags = S;
	rx_say(syn);
	if (syn.tsval) {
		ack.tsval++;
		ack.tsecr = w.out[(w.n_out - 1) % 512].tsval;
	}
	rx_say(ack);
	skip_all();
	w.events[0] = 0;
}

void accepted(void)
{
	accepted_with((struct say){.mss = 1460});
}

void opened(void)
{
	struct mt_addr peer;

	mt_addr_parse(w.ip6 ? "2001:db8::2" : "10.0.0.2", &peer);
	mt_tcp_begin(w.t, w.now);
	w.s = mt_stream_open(mt_tcp_transport(w.t),
		&(struct mt_stream_to){
			.remote = &peer, .port = w.rport, .user = &user, .owner_idx = 9},
		&w.why);
	turn();
}

void send_written(uint32_t n, uint32_t piece)
{
	struct mt_chain c = {0};

	while (n > 0) {
		uint32_t part = MT_MIN(n, piece);
		struct rte_mbuf *m = mt_buf_data(&w.pools);
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

		for (uint32_t i = 0; i < part; i++)
			p[i] = pattern(w.tx_seq + i);
		mt_chain_append(&c, m, m->data_off, part);
		w.tx_seq += part;
		n -= part;
	}
	mt_stream_send(w.s, &c);
}

void send_bytes(uint32_t n)
{
	send_written(n, 1440);
	turn();
}

uint64_t counter(enum mt_tcp_outcome o)
{
	return mt_count_read(&mt_tcp_counters(w.t)[o]);
}

struct mt_tcp_conn *conn(void)
{
	return mt_tcp_conn_of(w.s);
}
