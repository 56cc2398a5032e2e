/* SPDX-License-Identifier: Apache-2.0 */
/* Real vdevs that need no root: null, ring and pcap. */
#include "mt_port_priv.h"
#include "../../outcomes_seen.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void close_port(struct mt_port *p)
{
	for (uint32_t i = 0; i < p->n_workers; i++)
		outcomes_seen(&mt_port_outcomes, p->workers[i].counters);
	mt_port_close(p);
}

static struct mt_port *open_port(const char *device, uint16_t workers, struct mt_err *e)
{
	struct mt_port_conf c = {.name = "p0", .device = device};
	struct mt_port *p = NULL;

	e->text[0] = '\0';
	if (mt_port_open(&c, 0, workers, &p, e) == 0 &&
		mt_port_start(p, test_pools, NULL, e) != 0) {
		close_port(p);
		p = NULL;
	}
	if (!p)
		printf("\n%s\n", e->text);
	return p;
}

/* A packet of `segs` segments of `len` bytes, filled with a running number. */
static struct rte_mbuf *packet(uint16_t segs, uint16_t len)
{
	struct rte_mbuf *head = NULL, **tail = &head;
	uint8_t v = 0;

	for (uint16_t s = 0; s < segs; s++) {
		struct rte_mbuf *m = mt_buf_data(test_pools[0]);
		uint8_t *at = (uint8_t *)rte_pktmbuf_append(m, len);

		for (uint16_t i = 0; i < len; i++)
			at[i] = v++;
		*tail = m;
		tail = &m->next;
	}
	head->nb_segs = segs;
	head->pkt_len = (uint32_t)segs * len;
	return head;
}

static bool running(const struct rte_mbuf *m, uint32_t n)
{
	const uint8_t *at = rte_pktmbuf_mtod(m, const uint8_t *);

	for (uint32_t i = 0; i < n; i++)
		if (at[i] != (uint8_t)i)
			return false;
	return true;
}

static uint32_t in_use(void)
{
	return rte_mempool_in_use_count(test_pools[0]->data) +
	       rte_mempool_in_use_count(test_pools[1]->data);
}

static void null_takes_everything(void)
{
	struct mt_err e;
	struct mt_port *p = open_port("net_null0", 1, &e);
	struct rte_mbuf *m[2];

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->ops->rx(p, 0, m, 2), 0);
	m[0] = packet(1, 60);
	m[1] = packet(2, 700);
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, m, 2), 2);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_packets), 2);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_bytes), 1460);
	CU_ASSERT_TRUE(p->link_up);
	close_port(p);
	CU_ASSERT_EQUAL(in_use(), 0);
}

/* A device that hashes gets the key's and the table's owner, and reads both back. */
static void rss_is_read_back(void)
{
	static uint8_t key[52] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25,
		0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77,
		0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01,
		0xfa};
	char sheet[] = "/tmp/mt_rss_XXXXXX";
	struct mt_port_rss_state s;
	uint16_t reta[128];
	const struct mt_port_rss rss = {key, sizeof(key), reta, 128};
	struct mt_port_conf c = {.name = "p0", .device = "net_null7", .profile = sheet};
	struct mt_port *p = NULL;
	struct mt_err e = {""};
	FILE *f = fdopen(mkstemp(sheet), "w");

	fputs("profile: x\ndrivers: [net_null]\nmtu: {default: 1500}\n"
	      "queues: {model: rss, max: 4}\ndevice-args: {no-rx: 1}\n",
		f);
	fclose(f);
	for (uint16_t i = 0; i < 128; i++)
		reta[i] = i % 3 == 0;
	CU_ASSERT_EQUAL_FATAL(mt_port_open(&c, 0, 2, &p, &e), 0);
	CU_ASSERT_TRUE(p->caps.rss);
	CU_ASSERT_EQUAL(mt_port_start(p, test_pools, &rss, &e), 0);
	CU_ASSERT_TRUE(p->caps.rss);
	CU_ASSERT_TRUE(p->caps.rss_udp);
	CU_ASSERT_EQUAL(mt_port_rss_read(p, &s), 0);
	CU_ASSERT_EQUAL(s.key_len, 40);
	CU_ASSERT_EQUAL(memcmp(s.key, key, 40), 0);
	CU_ASSERT(s.reta_len > 0 && s.reta_len % 128 == 0);
	for (uint16_t i = 0; i < s.reta_len; i++)
		CU_ASSERT_EQUAL(s.reta[i], reta[i % 128]);
	/* one that claims nothing is not asked */
	p->caps.rss = false;
	CU_ASSERT_EQUAL(mt_port_rss_read(p, &s), -ENOTSUP);
	close_port(p);
	unlink(sheet);
}

static void ring_hands_over_the_same_mbuf(void)
{
	struct mt_err e;
	struct mt_port *p = open_port("net_ring0", 2, &e);
	struct rte_mbuf *m[4], *sent;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->n_rxq, 2);
	CU_ASSERT_TRUE(mt_port_polls(p, 0, 2, 0) && mt_port_polls(p, 1, 2, 1));
	CU_ASSERT_FALSE(mt_port_polls(p, 0, 2, 1) || mt_port_polls(p, 1, 2, 2));
	CU_ASSERT_TRUE(p->caps.rx_shared && p->caps.tx_chains);
	m[0] = sent = packet(3, 400);
	mt_buf_hold(sent);
	CU_ASSERT_EQUAL(p->ops->tx(p, 1, m, 1), 1);
	CU_ASSERT_EQUAL(p->ops->rx(p, 0, m, 4), 0);
	CU_ASSERT_EQUAL_FATAL(p->ops->rx(p, 1, m, 4), 1);
	CU_ASSERT_PTR_EQUAL(m[0], sent);
	CU_ASSERT_FALSE(mt_buf_writable(m[0]));
	CU_ASSERT_EQUAL(p->workers[1].counters[MT_PORT_rx_packets], 1);
	CU_ASSERT_EQUAL(p->workers[0].counters[MT_PORT_rx_packets], 0);
	rte_mbuf_refcnt_update(sent, -1);
	mt_buf_free(m[0]);
	close_port(p);
	CU_ASSERT_EQUAL(in_use(), 0);
}

/* A ring made to behave as another driver's sheet says. */
static void sheet_is_obeyed(void)
{
	struct mt_err e;
	struct mt_port *p = open_port("net_ring1", 1, &e);
	struct rte_mbuf *m[4];

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	p->caps.tx_chains = false;
	p->caps.tx_min_len = 60;
	m[0] = packet(3, 400);	/* copied into one */
	m[1] = packet(1, 1600); /* fits the buffer of this port */
	m[2] = packet(1, 20);	/* padded */
	m[3] = packet(2, 1100); /* longer than a buffer: dropped */
	p->caps.max_frame = 2100;
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, m, 4), 4);
	CU_ASSERT_EQUAL_FATAL(p->ops->rx(p, 0, m, 4), 3);
	CU_ASSERT_EQUAL(m[0]->nb_segs, 1);
	CU_ASSERT_EQUAL(m[0]->pkt_len, 1200);
	/* `packet` counts across segments, so the copy must, too. */
	CU_ASSERT_TRUE(running(m[0], 1200));
	CU_ASSERT_EQUAL(m[1]->pkt_len, 1600);
	CU_ASSERT_EQUAL(m[2]->pkt_len, 60);
	CU_ASSERT_TRUE(running(m[2], 20));
	for (int i = 20; i < 60; i++)
		CU_ASSERT_EQUAL(rte_pktmbuf_mtod(m[2], uint8_t *)[i], 0);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_linearised), 1);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_padded), 1);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_too_long), 1);
	mt_buf_free_bulk(m, 3);
	close_port(p);
	CU_ASSERT_EQUAL(in_use(), 0);
}

/* Padding never writes an mbuf that somebody else holds. */
static void shared_mbufs_are_not_padded_in_place(void)
{
	struct mt_err e;
	struct mt_port *p = open_port("net_ring2", 1, &e);
	struct rte_mbuf *m[1], *sent;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	p->caps.tx_min_len = 60;
	m[0] = sent = packet(1, 30);
	mt_buf_hold(sent);
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, m, 1), 1);
	CU_ASSERT_EQUAL(sent->pkt_len, 30);
	CU_ASSERT_EQUAL_FATAL(p->ops->rx(p, 0, m, 1), 1);
	CU_ASSERT_PTR_NOT_EQUAL(m[0], sent);
	CU_ASSERT_EQUAL(m[0]->pkt_len, 60);
	mt_buf_free(m[0]);
	mt_buf_free(sent);
	close_port(p);
	CU_ASSERT_EQUAL(in_use(), 0);
}

static void superframes_are_dropped(void)
{
	struct mt_err e;
	struct mt_port *p = open_port("net_ring3", 1, &e);
	struct rte_mbuf *m[3];

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	p->caps.rx_superframes = true;
	m[0] = packet(1, 1518);
	m[1] = packet(1, 1519);
	m[2] = packet(1, 60);
	CU_ASSERT_EQUAL(p->ops->tx(p, 0, m, 3), 3);
	CU_ASSERT_EQUAL_FATAL(p->ops->rx(p, 0, m, 3), 2);
	CU_ASSERT_EQUAL(m[0]->pkt_len, 1518);
	CU_ASSERT_EQUAL(m[1]->pkt_len, 60);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_rx_superframe), 1);
	mt_buf_free_bulk(m, 2);
	close_port(p);
	CU_ASSERT_EQUAL(in_use(), 0);
}

/* One device queue, two workers: worker 1 sends through worker 0. */
static void workers_share_a_queue(void)
{
	struct mt_err e;
	struct mt_port *p;
	struct rte_mbuf *m[4];
	char device[128], file[] = "/tmp/mt_pcap_XXXXXX";

	CU_ASSERT_TRUE_FATAL(mkstemp(file) >= 0);
	snprintf(device, sizeof(device), "net_pcap0,tx_pcap=%s", file);
	p = open_port(device, 2, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(p->n_txq, 1);
	m[0] = packet(1, 100);
	m[1] = packet(2, 100);
	CU_ASSERT_EQUAL(p->ops->tx(p, 1, m, 2), 2);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_tx_forwarded), 2);
	CU_ASSERT_FALSE(p->caps.tx_chains); /* this driver offers none, so the chain is copied */
	CU_ASSERT_EQUAL(in_use(), 2);
	CU_ASSERT_EQUAL(p->ops->rx(p, 0, m, 4), 0); /* worker 0's turn sends them */
	CU_ASSERT_EQUAL(in_use(), 0);
	close_port(p);
	unlink(file);
}

static void wrong_ports_are_refused(void)
{
	static const char *const net[] = {"10.0.0.1/24"};
	static const struct {
		struct mt_port_conf c;
		int rc;
		const char *words;
	} rows[] = {
		{{.name = "p0", .device = "net_nothing0"}, -ENOENT,
			"no profile for driver net_nothing"},
		{{.name = "p0", .device = "net_null9", .profile = "nul"}, -ENOENT, "profile nul"},
		{{.name = "p0", .device = "0000:3b:00.0"}, -EINVAL, "needs `profile:`"},
		{{.name = "p0", .device = "net_null9", .mtu = 9999}, -EINVAL,
			"mtu 9999 is not between"},
		{{.name = "p0", .device = "net_af_packet0"}, -EINVAL, "names no interface"},
		{{.name = "p0", .device = "net_af_packet0,iface=mt-none"}, -ENODEV,
			"no interface mt-none"},
		{{.name = "p0", .device = "net_af_packet0,iface=averyveryverylongname"}, -EINVAL,
			"names no interface"},
		{{.name = "p0", .device = "net_tap0,iface=lo"}, -EEXIST, "the name lo belongs to"},
		{{.name = "p0",
			 .device = "net_null9",
			 .kernel_addresses = net,
			 .n_kernel_addresses = 1},
			-EINVAL, "kernelAddresses"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_port *p = NULL;
		struct mt_err e = {""};

		CU_ASSERT_EQUAL(mt_port_open(&rows[i].c, 0, 1, &p, &e), rows[i].rc);
		if (!strstr(e.text, rows[i].words))
			printf("\nrow %zu: \"%s\"\n", i, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, rows[i].words));
		CU_ASSERT_PTR_NULL(p);
	}
}

static void a_device_is_taken_once(void)
{
	struct mt_port_conf c = {.name = "p1", .device = "net_null3"};
	struct mt_err e;
	struct mt_port *p = open_port("net_null3", 1, &e), *q = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	CU_ASSERT_EQUAL(mt_port_open(&c, 1, 1, &q, &e), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "taken by another port"));
	close_port(p);
}

const struct mt_test device_tests[] = {
	{"null_takes_everything", null_takes_everything},
	{"rss_is_read_back", rss_is_read_back},
	{"ring_hands_over_the_same_mbuf", ring_hands_over_the_same_mbuf},
	{"sheet_is_obeyed", sheet_is_obeyed},
	{"shared_mbufs_are_not_padded_in_place", shared_mbufs_are_not_padded_in_place},
	{"superframes_are_dropped", superframes_are_dropped},
	{"workers_share_a_queue", workers_share_a_queue},
	{"wrong_ports_are_refused", wrong_ports_are_refused},
	{"a_device_is_taken_once", a_device_is_taken_once},
	{0},
};
