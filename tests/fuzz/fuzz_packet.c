/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/net under outside bytes: a node of three workers gets a conversation of frames. The input is a
 * list of records: how to deliver the frame (one byte), its length (one byte, times 8), the frame.
 */
#include "../unit/net/fixture.h"
#include "fuzz.h"

#include <string.h>

#define HOW_WORKER 0x03 /* which worker's queue */
#define HOW_PORT   0x04
#define HOW_RESUM  0x08 /* make the checksums right first: how else would random bytes get deep? */
#define HOW_PIECES 0x10 /* scattered over mbufs of 33 bytes */
#define HOW_TIME   0x20 /* a turn, 500 ms later, before it */
#define HOW_SEND   0x40 /* the node opens towards whoever is the frame's source */

static struct fx f;

/* Packets that wait in hand-off rings reach their owner. */
static void hand_over(void)
{
	for (uint16_t to = 0; to < f.workers; to++) {
		struct rte_mbuf *pkts[64];
		uint16_t next = 0, n = mt_steer_pop(&f.steer, to, &next, pkts, 64);

		n = mt_net_input_handed(f.w[to], pkts, n, pkts);
		mt_buf_free_bulk(pkts, n);
	}
}

/* Datagrams to port 53 are served: what came goes back. */
static bool on_datagram(
	void *arg, const struct mt_net_from *from, const uint8_t *data, uint16_t len)
{
	struct rte_mbuf *m;
	uint8_t *out;

	if (from->lport != 53)
		return false;
	len = MT_MIN(len, mt_net_udp_room(arg, from));
	m = mt_net_udp_new(arg, &out);
	if (!m)
		return true;
	memcpy(out, data, len);
	mt_net_udp_send(arg, from, m, len);
	return true;
}

static void deliver(uint8_t how, const uint8_t *bytes, uint16_t len)
{
	struct fx_pkt p = {.len = len};
	struct rte_mbuf *m;

	memcpy(p.b, bytes, len);
	if (how & HOW_RESUM)
		fx_resum(&p, how & HOW_PORT ? 18 : 14);
	if (how & HOW_TIME)
		fx_turn(&f, 500 * MT_MSEC);
	if (how & HOW_SEND && len >= 30) {
		struct mt_net_dst dst = {0};
		struct mt_addr a = mt_addr4(0);

		memcpy(&a.w[3], bytes + 26, 4);
		mt_net_route(f.w[0], NULL, &a, &dst);
	}
	m = fx_mbuf(&f, p.b, len, how & HOW_PIECES ? 33 : 0);
	m = fx_in_keep(&f, (how & HOW_WORKER) % 3, (how & HOW_PORT) != 0, m);
	if (m) {
		/* What the header promises of a segment. */
		MT_ASSERT(m->l3_len >= 20 && m->l4_len >= 20);
		MT_ASSERT((uint32_t)(m->l2_len + m->l3_len + m->l4_len) <= m->data_len);
		MT_ASSERT(m->data_len <= m->pkt_len && m->pkt_len <= len);
	}
	mt_buf_free(m);
}

static void close_pools(void)
{
	mt_pools_fini(&f.pools);
}

static void open_pools(void)
{
	fx_eal();
	fx_open(&f, 3);
	fx_close_node(&f);
	atexit(close_pools);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!f.pools.data)
		open_pools();
	fx_open_node(&f, 3);
	for (uint16_t w = 0; w < f.workers; w++)
		mt_netw_set_udp(f.w[w], on_datagram, f.w[w]);
	while (size > 2) {
		uint8_t how = data[0];
		size_t len = data[1] * 8u;

		data += 2;
		size -= 2;
		len = MT_MIN(MT_MIN(len, size), (size_t)1600);
		if (len > 0)
			deliver(how, data, (uint16_t)len);
		data += len;
		size -= len;
	}
	hand_over();
	fx_turn(&f, 5 * MT_SEC);
	MT_ASSERT(fx_close_node(&f));
	return 0;
}
