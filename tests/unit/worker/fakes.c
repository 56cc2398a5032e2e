/* SPDX-License-Identifier: Apache-2.0 */
#include "fakes.h"

#include <string.h>

struct fake fakes[2];

/* Handles are the fake's address, offset by the room. */
#define NET(w)	((struct mt_netw *)(void *)&fakes[w])
#define FAKE(p) ((struct fake *)(uintptr_t)(p))

void fakes_reset(void)
{
	memset(fakes, 0, sizeof(fakes));
	for (int i = 0; i < 2; i++) {
		fakes[i].tcp_next = fakes[i].proxy_next = fakes[i].net_next = MT_NEVER;
		fakes[i].l4_next = MT_NEVER;
		fakes[i].pressure_told = UINT32_MAX;
		fakes[i].proxy_listener = -1;
	}
}

static void note(const void *handle, const char *call)
{
	struct fake *f = FAKE(handle);

	if (strlen(f->calls) + strlen(call) + 2 < sizeof(f->calls)) {
		strcat(f->calls, call);
		strcat(f->calls, " ");
	}
}

/* ---- net ---- */

struct mt_netw *mt_netw_create(struct mt_net *net, uint16_t worker, struct mt_pools *pools,
	const struct mt_net_events *events, void *events_arg, uint64_t seed)
{
	return NET(worker);
}

void mt_netw_set_events(struct mt_netw *w, const struct mt_net_events *events, void *events_arg)
{
	note(w, events && events_arg ? "events" : "no-events");
}

void mt_netw_destroy(struct mt_netw *w)
{
	note(w, "net-destroy");
}

void mt_net_begin(struct mt_netw *w, uint64_t now)
{
	note(w, "net-begin");
}

/* Only 10.99.0.1 is an address of the node. */
bool mt_net_is_local(const struct mt_netw *w, const struct mt_addr *a)
{
	const struct mt_addr own = mt_addr4(rte_cpu_to_be_32(0x0a630001));

	return mt_addr_eq(a, &own);
}

static struct rte_mbuf *forwarded[2][64];
static uint16_t n_forwarded[2];

static void leave(const struct mt_netw *w, struct rte_mbuf *m)
{
	size_t i = (size_t)(FAKE(w) - fakes);

	forwarded[i][n_forwarded[i]++] = m;
}

struct rte_mbuf **mt_net_forwarded(struct mt_netw *w, uint16_t *n)
{
	size_t i = (size_t)(FAKE(w) - fakes);

	*n = n_forwarded[i];
	n_forwarded[i] = 0;
	return forwarded[i];
}

/* Packets of 60 bytes are TCP, others are dealt with. */
uint16_t mt_net_input(struct mt_netw *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n,
	struct rte_mbuf **tcp)
{
	uint16_t kept = 0;

	note(w, "net-input");
	FAKE(w)->net_input += n;
	for (uint16_t i = 0; i < n; i++) {
		if (pkts[i]->pkt_len == 60)
			tcp[kept++] = pkts[i];
		else if (pkts[i]->pkt_len == FAKE_FORWARDED)
			leave(w, pkts[i]);
		else
			mt_buf_free(pkts[i]);
	}
	return kept;
}

uint16_t mt_net_input_handed(
	struct mt_netw *w, struct rte_mbuf **pkts, uint16_t n, struct rte_mbuf **tcp)
{
	uint16_t kept = 0;

	note(w, "net-handed");
	FAKE(w)->handed_input += n;
	for (uint16_t i = 0; i < n; i++) {
		if (pkts[i]->pkt_len == FAKE_FORWARDED)
			leave(w, pkts[i]);
		else
			tcp[kept++] = pkts[i];
	}
	return kept;
}

/* ---- l4 ---- */

struct mt_l4 *mt_l4_create(const struct mt_l4_worker_conf *c)
{
	return (struct mt_l4 *)NET(c->worker);
}

void mt_l4_destroy(struct mt_l4 *l)
{
	if (l)
		note(l, "l4-destroy");
}

void mt_l4_begin(struct mt_l4 *l, uint64_t now, const struct mt_l4_set *set)
{
	note(l, "l4-begin");
}

void mt_l4_input(struct mt_l4 *l, struct rte_mbuf **pkts, uint16_t n)
{
	note(l, "l4-input");
	FAKE(l)->l4_input += n;
	mt_buf_free_bulk(pkts, n);
}

uint32_t mt_l4_tick(struct mt_l4 *l)
{
	note(l, "l4-tick");
	return 0;
}

uint64_t mt_l4_next(const struct mt_l4 *l)
{
	return FAKE(l)->l4_next;
}

uint32_t mt_l4_flows(const struct mt_l4 *l)
{
	return 0;
}

void mt_l4_echo(struct mt_l4 *l, const struct mt_net_echo *e)
{
	note(l, "l4-echo");
}

void mt_l4_checked(struct mt_l4 *l, uint32_t index, uint32_t token, enum mt_l4_verdict verdict,
	const char *why)
{
}

void mt_proxy_ep_checked(struct mt_proxy *p, const struct mt_ep_checked *c)
{
}

void mt_net_tick(struct mt_netw *w)
{
	note(w, "net-tick");
}

void mt_net_flush(struct mt_netw *w)
{
	note(w, "net-flush");
}

uint64_t mt_net_next(const struct mt_netw *w)
{
	return FAKE(w)->net_next;
}

void mt_netw_set_udp(struct mt_netw *w, mt_net_udp_fn fn, void *arg)
{
	FAKE(w)->udp = fn;
	FAKE(w)->udp_arg = arg;
}

uint16_t mt_net_udp_room(const struct mt_netw *w, const struct mt_net_from *to)
{
	return FAKE(w)->udp_room ? FAKE(w)->udp_room : MT_NET_UDP_MAX;
}

struct rte_mbuf *mt_net_udp_new(struct mt_netw *w, uint8_t **data)
{
	struct rte_mbuf *m = FAKE(w)->pools ? mt_buf_data(FAKE(w)->pools) : NULL;

	if (m)
		*data = rte_pktmbuf_mtod(m, uint8_t *);
	return m;
}

/* The last one sent is kept. */
void mt_net_udp_send(
	struct mt_netw *w, const struct mt_net_from *to, struct rte_mbuf *m, uint16_t len)
{
	FAKE(w)->udp_sent++;
	FAKE(w)->udp_to = *to;
	FAKE(w)->udp_len = len;
	memcpy(FAKE(w)->udp_bytes, rte_pktmbuf_mtod(m, uint8_t *), len);
	mt_buf_free(m);
}

/* ---- tcp ---- */

struct mt_tcp *mt_tcp_create(const struct mt_tcp_conf *conf, uint16_t worker,
	const struct mt_steer *steer, struct mt_netw *net, struct mt_pools *pools,
	const struct mt_listen_ops *listen, void *listen_arg, const uint8_t secret[32],
	uint64_t seed, uint64_t now)
{
	fakes[worker].listen = listen;
	fakes[worker].listen_arg = listen_arg;
	return (struct mt_tcp *)(void *)NET(worker);
}

struct mt_transport *mt_tcp_transport(struct mt_tcp *t)
{
	return NULL;
}

void mt_tcp_destroy(struct mt_tcp *t)
{
	note(t, "tcp-destroy");
}

void mt_tcp_begin(struct mt_tcp *t, uint64_t now)
{
	note(t, "tcp-begin");
}

void mt_tcp_input(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n)
{
	note(t, "tcp-input");
	FAKE(t)->tcp_input += n;
	mt_buf_free_bulk(pkts, n);
}

uint32_t mt_tcp_timers(struct mt_tcp *t, uint32_t budget)
{
	note(t, "tcp-timers");
	return MT_MIN(FAKE(t)->timers, budget);
}

void mt_tcp_deliver(struct mt_tcp *t)
{
	note(t, "tcp-deliver");
}

uint32_t mt_tcp_evict(struct mt_tcp *t, uint32_t budget)
{
	note(t, "tcp-evict");
	return 0;
}

void mt_tcp_flush(struct mt_tcp *t)
{
	note(t, "tcp-flush");
}

uint64_t mt_tcp_next(struct mt_tcp *t)
{
	return FAKE(t)->tcp_next;
}

void mt_tcp_neigh_event(struct mt_tcp *t, uint32_t neigh, bool ok)
{
	note(t, "neigh");
}

void mt_tcp_icmp_event(struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t seq,
	enum mt_net_icmp kind, uint16_t mtu)
{
	note(t, "icmp");
}

void mt_netw_set_trace(struct mt_netw *w, struct mt_trace *t)
{
	note(w, t ? "net-trace" : "net-no-trace");
}

void mt_tcp_set_trace(struct mt_tcp *t, struct mt_trace *trace)
{
	note(t, trace ? "tcp-trace" : "tcp-no-trace");
}

uint32_t mt_proxy_asks(const struct mt_proxy *p)
{
	return FAKE(p)->proxy_asks;
}

void mt_proxy_set_trace(struct mt_proxy *p, struct mt_trace *t)
{
	note(p, t ? "proxy-trace" : "proxy-no-trace");
}

void mt_tcp_pressure(struct mt_tcp *t, uint32_t free_pct)
{
	note(t, "tcp-pressure");
	FAKE(t)->pressure_told = free_pct;
}

uint32_t mt_tcp_reset_all(struct mt_tcp *t, uint32_t *idx, uint32_t budget)
{
	uint32_t n = MT_MIN(FAKE(t)->conns, budget);

	note(t, "tcp-reset-all");
	FAKE(t)->conns -= n;
	*idx += n;
	return n;
}

/* ---- proxy ---- */

static int proxy_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return FAKE(arg)->proxy_listener;
}

static bool proxy_accept(void *arg, struct mt_stream *s, int listener)
{
	FAKE(arg)->proxy_accepted++;
	return true;
}

const struct mt_listen_ops mt_proxy_listen_ops = {proxy_lookup, proxy_accept};

struct mt_proxy *mt_proxy_create(const struct mt_proxy_conf *conf, uint16_t worker,
	uint16_t workers, struct mt_pools *pools, uint64_t seed, uint64_t now)
{
	return (struct mt_proxy *)(void *)NET(worker);
}

struct mt_filter_inbox *mt_proxy_inbox(const struct mt_proxy *p)
{
	return NULL;
}

void mt_proxy_attach_tls(struct mt_proxy *p, struct mt_tls_layer *tls)
{
	(void)p;
	(void)tls;
}

void mt_proxy_attach(struct mt_proxy *p, struct mt_transport *out)
{
	note(p, "attach");
}

struct mt_ledger *mt_tcp_ledger(struct mt_tcp *t)
{
	(void)t;
	return NULL;
}

void mt_proxy_attach_ledger(struct mt_proxy *p, struct mt_ledger *l)
{
	(void)p;
	(void)l;
}

void mt_proxy_destroy(struct mt_proxy *p)
{
	note(p, "proxy-destroy");
}

void mt_proxy_adopt(struct mt_proxy *p, struct mt_snapshot *s)
{
	note(p, "adopt");
	FAKE(p)->adopted = s;
}

void mt_proxy_begin(struct mt_proxy *p, uint64_t now, uint64_t wall)
{
	note(p, "proxy-begin");
}

uint32_t mt_proxy_timers(struct mt_proxy *p, uint32_t budget)
{
	note(p, "proxy-timers");
	return 0;
}

uint64_t mt_proxy_next(struct mt_proxy *p)
{
	return FAKE(p)->proxy_next;
}

void mt_proxy_pressure(struct mt_proxy *p, uint32_t free_pct)
{
	note(p, "proxy-pressure");
}

void mt_tcp_set_coalesce(struct mt_tcp *t, uint16_t bytes)
{
	FAKE(t)->coalesce = bytes;
}

uint16_t mt_tcp_coalesce(const struct mt_tcp *t)
{
	return FAKE(t)->coalesce;
}

void mt_proxy_set_sampling(struct mt_proxy *p, uint32_t ms)
{
	FAKE(p)->sampling_ms = ms;
}

uint32_t mt_proxy_sampling(const struct mt_proxy *p)
{
	return FAKE(p)->sampling_ms;
}

/* ---- images ---- */

void mt_netw_image(struct mt_netw *w, struct mt_image *im)
{
	note(w, "net-image");
}

void mt_netw_take_over(struct mt_netw *w)
{
	note(w, "take-over");
}

void mt_tcp_image_parts(struct mt_tcp *t, struct mt_image *im)
{
	note(t, "tcp-parts");
}

void mt_tcp_image(struct mt_tcp *t, struct mt_image *im)
{
	note(t, "tcp-image");
}

void mt_proxy_image_parts(struct mt_proxy *p, struct mt_image *im)
{
	note(p, "proxy-parts");
}

void mt_proxy_image(struct mt_proxy *p, struct mt_image *im, const struct mt_proxy_names *names)
{
	note(p, "proxy-image");
}

void mt_proxy_image_snapshot(
	struct mt_image *im, const struct mt_proxy_names *names, struct mt_snapshot **s)
{
}

void mt_proxy_moved(struct mt_proxy *p)
{
	note(p, "moved");
}

void mt_proxy_attach_asks(struct mt_proxy *p, struct mt_extauthz_lane *lane)
{
}

int mt_proxy_attach_limits(
	struct mt_proxy *p, struct mt_callout_lane *lane, struct mt_rls_grants *grants)
{
	return 0;
}

void mt_proxy_attach_log(struct mt_proxy *p, struct mt_byte_ring *ring)
{
}

int mt_proxy_attach_tokens(struct mt_proxy *p, struct mt_token_lane *lane)
{
	return 0;
}
