/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/proxy with the real codecs over the unit tests' fake transport: the input is a list of what
 * clients and servers do, in any order: bytes, whole calls, answers, FINs, resets, pauses. Whatever
 * they do, a Dubbo client that only makes whole calls, and stays, is answered once for each; and when
 * all have left nothing is kept.
 *
 * Bytes: verb (low four bits) and whom it is about (high four bits), then what the verb needs.
 */
#include "../unit/proxy/fake_tcp.h"
#include "fuzz.h"
#include "mt_snapshot.h"

#include "mt_codec_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS 16
#define PORT	1000
#define EPS	2
#define CONNS_LEFT                                                                                 \
	100 /* connections that the fake transport has left when no client comes any more */
#define CALLS	   64
#define RX_MAX	   65536
#define TIMEOUT_MS 1000

static const struct mt_codec *const codecs[] = {
	&mt_codec_dubbo, &mt_codec_thrift, &mt_codec_awesomerpc, &mt_codec_opaque};

#define N_CODECS MT_ARRAY_LEN(codecs)

struct client {
	struct fake_conn *c;
	bool exact; /* Dubbo, whole calls only */
	uint64_t owed;
	uint8_t rx[RX_MAX];
	uint32_t rx_len;
};

static struct client clients[CLIENTS];
static const uint8_t *at;
static size_t left;

/* ---- what is served ---- */

static struct mt_ep_state states[EPS] mt_cache_aligned;
static struct mt_endpoint eps[EPS];
static struct mt_cluster cluster = {.name = "all", .id = 7, .eps = eps, .n_eps = EPS};
static struct mt_service services[N_CODECS];
static struct mt_service *service_ptrs[N_CODECS];
static struct mt_listener listeners[N_CODECS];
static struct mt_filter_chain chains[N_CODECS];
static struct mt_filter_chain_proto protos[N_CODECS];
static uint32_t holds[MT_HOLD_STRIDE];
static struct mt_snapshot snapshot = {.version = 1,
	.listeners = listeners,
	.n_listeners = N_CODECS,
	.clusters = &cluster,
	.n_clusters = 1,
	.holds = holds};

static void make_service(uint32_t i)
{
	struct mt_route_dest dest = {.cluster = 0, .weight = 1};
	struct mt_route_action act = {
		.name = "all", .dests = &dest, .n_dests = 1, .total_weight = 1};
	struct mt_route_builder *b;
	char err[128];

	services[i] = (struct mt_service){.name = codecs[i]->name,
		.index = i,
		.id = i + 1,
		.owner = i + 1,
		.early_ok = true,
		.timeout_ms = TIMEOUT_MS};
	service_ptrs[i] = &services[i];
	listeners[i] = (struct mt_listener){.port = (uint16_t)(PORT + i),
		.id = i + 1,
		.chains = &chains[i],
		.n_chains = 1,
		.protos = &protos[i],
		.n_protos = 1};
	chains[i] = (struct mt_filter_chain){.name = "", .n_protos = 1};
	protos[i] = (struct mt_filter_chain_proto){
		.codec = codecs[i], .services = &service_ptrs[i], .n_services = 1};
	mt_addr_parse("240.240.0.1", &listeners[i].addr);
	if (codecs[i]->opaque)
		return;
	b = mt_route_builder_new(codecs[i]);
	MT_ASSERT(mt_route_builder_add(b, NULL, 0, &act, err, sizeof(err)) == 0);
	services[i].routes = mt_route_builder_done(b);
}

static void make_snapshot(void)
{
	cluster.lb = MT_LB_ROUND_ROBIN;
	for (uint32_t i = 0; i < EPS; i++) {
		mt_addr_parse("198.51.100.1", &eps[i].addr);
		eps[i].addr.b[15] = (uint8_t)(i + 1);
		eps[i].port = 20880;
		eps[i].weight = 1;
		eps[i].state = &states[i];
	}
	MT_ASSERT(mt_cluster_build(&cluster) == 0);
	for (uint32_t i = 0; i < N_CODECS; i++)
		make_service(i);
	MT_ASSERT(mt_snapshot_index(&snapshot) == 0);
}

static void open_lab(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 32, .max_up = 32, .max_exchanges = 512};
	static struct mt_pools pools;

	if (!pools.data) {
		pools = *fuzz_pools();
		make_snapshot();
	}
	memset(&lab, 0, sizeof(lab));
	memset(states, 0, sizeof(states));
	memset(clients, 0, sizeof(clients));
	memset(holds, 0, sizeof(holds));
	for (uint32_t i = 0; i < EPS; i++) {
		states[i].id = 100 + i;
		states[i].index = i;
	}
	lab.pools = pools;
	lab.now = MT_SEC;
	lab.snap = &snapshot;
	lab.p = mt_proxy_create(&conf, 0, 1, &lab.pools, 42, lab.now);
	MT_ASSERT(lab.p);
	mt_proxy_attach(lab.p, &lab_transport);
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, lab.snap);
	lab_advance(1);
}

static void close_lab(void)
{
	lab_flush_detached();
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].live)
			lab_close(&lab.conns[i], MT_CLOSE_OK);
	MT_ASSERT(lab.p->downs.in_use == 0 && lab.p->ups.in_use == 0);
	MT_ASSERT(lab.p->exchanges.in_use == 0 && lab.p->rings.in_use == 0);
	MT_ASSERT(lab.p->pairs.in_use == 0 && lab.p->connecting.in_use == 0);
	for (uint32_t i = 0; i < EPS; i++)
		MT_ASSERT(lab.p->lb.outstanding[i] == 0);
	MT_ASSERT(lab.p->pending[0] == 0 && lab.p->pending_size[0] == 0);
	MT_ASSERT(lab.p->cluster_conns[0] == 0);
	MT_ASSERT(holds[0] == 1); /* the proxy itself names the newest */
	mt_proxy_destroy(lab.p);
	fuzz_check_pools();
}

/* ---- the input ---- */

static uint32_t u8(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

/* As many bytes as the next one says, times four. */
static const uint8_t *some(uint32_t *n)
{
	const uint8_t *p;

	*n = u8() * 4;
	*n = (uint32_t)MT_MIN((size_t)*n, left);
	p = at;
	at += *n;
	left -= *n;
	return p;
}

/* ---- Dubbo ---- */

#define HEADER 16

static void put_header(uint8_t *p, uint8_t flags, uint8_t status, uint64_t id, uint32_t len)
{
	p[0] = 0xda;
	p[1] = 0xbb;
	p[2] = flags;
	p[3] = status;
	for (int i = 0; i < 8; i++)
		p[4 + i] = (uint8_t)(id >> (56 - 8 * i));
	for (int i = 0; i < 4; i++)
		p[12 + i] = (uint8_t)(len >> (24 - 8 * i));
}

static uint32_t body_len(const uint8_t *p)
{
	return (uint32_t)p[12] << 24 | (uint32_t)p[13] << 16 | (uint32_t)p[14] << 8 | p[15];
}

static void call(struct client *k, uint32_t id)
{
	static const char body[] = "\x05"
				   "2.0.2\x01s\x05"
				   "1.0.0\x01m\x00HZ";
	uint8_t b[HEADER + sizeof(body) - 1];

	id %= CALLS;
	if (k->owed >> id & 1)
		return;
	put_header(b, 0xc2, 0, id, sizeof(body) - 1);
	memcpy(b + HEADER, body, sizeof(body) - 1);
	k->owed |= 1ull << id;
	MT_ASSERT(lab_feed(k->c, b, sizeof(b)));
}

/* Whole replies at the head of what came: each to a call that is owed one. */
static void replies(struct client *k)
{
	while (k->rx_len >= HEADER && k->rx_len >= HEADER + body_len(k->rx)) {
		uint32_t len = HEADER + body_len(k->rx);

		MT_ASSERT(k->rx[0] == 0xda && k->rx[1] == 0xbb);
		if (!(k->rx[2] & 0x20)) { /* no event */
			MT_ASSERT(!(k->rx[2] & 0x80) && !k->rx[4] && k->rx[11] < CALLS);
			MT_ASSERT(k->owed >> k->rx[11] & 1);
			k->owed &= ~(1ull << k->rx[11]);
		}
		k->rx_len -= len;
		memmove(k->rx, k->rx + len, k->rx_len);
	}
}

static void client_takes(struct client *k, uint32_t max)
{
	uint32_t room = RX_MAX - k->rx_len;

	k->rx_len += lab_take(k->c, k->rx + k->rx_len, MT_MIN(room, max));
	if (k->exact)
		replies(k);
	else
		k->rx_len = 0;
}

/* The server takes what it was sent, and answers the whole requests at its head. */
static void server_answers(struct fake_conn *c)
{
	static uint8_t rx[RX_MAX], out[HEADER + 1];
	uint32_t n = lab_take(c, rx, sizeof(rx));

	for (uint32_t i = 0; i + HEADER <= n && c->live && !c->s.rx_eof;) {
		uint64_t id = 0;

		if (rx[i] != 0xda || rx[i + 1] != 0xbb)
			return;
		for (int k = 0; k < 8; k++)
			id = id << 8 | rx[i + 4 + (uint32_t)k];
		put_header(out, rx[i + 2] & 0x20 ? 0x22 : 0x02, 20, id, 1);
		out[HEADER] = rx[i + 2] & 0x20 ? 'N' : 0x95;
		if (rx[i + 2] & 0x80 && rx[i + 2] & 0x40 && !lab_feed(c, out, sizeof(out)))
			return;
		if (body_len(rx + i) > RX_MAX)
			return;
		i += HEADER + body_len(rx + i);
	}
}

/* ---- verbs ---- */

static void client_step(struct client *k, uint32_t verb)
{
	const uint8_t *p;
	uint32_t n;

	if (!k->c || !k->c->live || k->c->detached) {
		n = u8();
		if (lab.n + CONNS_LEFT > MT_ARRAY_LEN(lab.conns))
			return;
		memset(k, 0, sizeof(*k));
		k->exact = n & 128 && n % N_CODECS == 0;
		k->c = lab_client((uint16_t)(PORT + n % N_CODECS));
		return;
	}
	switch (verb) {
	case 0:
		p = some(&n);
		if (!k->exact && !k->c->s.rx_eof)
			lab_feed(k->c, p, n);
		break;
	case 1:
		n = u8();
		if (k->exact && !k->c->s.rx_eof)
			call(k, n);
		break;
	case 2:
		client_takes(k, u8() * 16);
		break;
	case 3:
		if (!k->c->s.rx_eof)
			lab_fin(k->c);
		break;
	default:
		lab_close(k->c, verb == 4 ? MT_CLOSE_RESET : MT_CLOSE_TIMEOUT);
	}
}

static void server_step(struct fake_conn *c, uint32_t verb)
{
	static uint8_t sink[4096];
	const uint8_t *p;
	uint32_t n;

	if (!c)
		return;
	if (!c->connected) {
		if (verb == 11)
			lab_close(c, MT_CLOSE_REFUSED);
		else
			lab_connect(c);
		return;
	}
	switch (verb) {
	case 7:
		p = some(&n);
		if (!c->s.rx_eof)
			lab_feed(c, p, n);
		break;
	case 8:
		server_answers(c);
		break;
	case 9:
		lab_take(c, sink, MT_MIN(u8() * 16, (uint32_t)sizeof(sink)));
		break;
	case 10:
		if (!c->s.rx_eof)
			lab_fin(c);
		break;
	default:
		lab_close(c, verb == 11 ? MT_CLOSE_RESET : MT_CLOSE_TIMEOUT);
	}
}

static void step(void)
{
	uint32_t verb = u8(), who = verb >> 4;

	verb &= 15;
	if (verb < 6)
		client_step(&clients[who], verb);
	else if (verb == 6)
		lab_advance((who + 1) * 100 * MT_MSEC);
	else if (verb == 13)
		lab.refuse_open = who & 1;
	else if (verb < 13)
		server_step(lab_server(who), verb);
}

/* Nobody does anything but read until all times are over; then each call is answered, once. */
static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		lab_advance(MT_SEC / 4);
		for (int k = 0; k < CLIENTS; k++)
			if (clients[k].c && clients[k].c->live)
				client_takes(&clients[k], RX_MAX);
	}
	for (int k = 0; k < CLIENTS; k++) {
		struct client *c = &clients[k];

		if (c->c && c->c->live && !c->c->detached) {
			MT_ASSERT(!c->exact || c->c->shut || c->owed == 0);
			lab_close(c->c, MT_CLOSE_RESET);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	at = data;
	left = size;
	open_lab();
	while (left)
		step();
	settle();
	close_lab();
	return 0;
}
