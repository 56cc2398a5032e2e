/* SPDX-License-Identifier: Apache-2.0 */
/* Setup and teardown of Meltemi between stub peers. */
#include "path.h"

#include "bench_counters.h"
#include "mt_call_tracing.h"
#include "mt_codec_registry.h"
#include "mt_codecfile.h"
#include "mt_node_limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CONNECT_LIMIT (20 * MT_SEC)
/* Buffers per pool: with one worker, and with several, which have three pools each. */
#define MBUFS_ALONE  65535
#define MBUFS_BESIDE 16383
#define FLOWS	     65536u

void path_die_stalled(struct path_lane *l, const char *what)
{
	fputs("client:\n", stderr);
	path_peer_tell(&l->client);
	fputs("server:\n", stderr);
	path_peer_tell(&l->server);
	fputs("Meltemi:\n", stderr);
	bench_die_stalled(l->worker, what);
}

/*
 * Buffers per pool. All messages may be in flight at once, and a quarter is reserved for receive.
 */
static uint32_t pool_size(const struct path_options *o)
{
	uint32_t n = o->workers == 1 ? MBUFS_ALONE : MBUFS_BESIDE;
	uint64_t need = (uint64_t)o->conns * o->outstanding * (o->size / (o->mtu - 72u) + 1);
	struct mt_err e;

	/* For jumbo frames no more buffers than fit in the same memory. */
	if (bench_wire_room(o->mtu) > MT_BUF_DATA_ROOM)
		n /= 4;
	if (need <= n / 4 * 3)
		return n;
	mt_err(&e, -ENOBUFS,
		"%u x %u messages of %u bytes in segments of MTU %u need %lu buffers on each side, "
		"and there are %u: lower --conns, --outstanding or --size, or raise --mtu",
		o->conns, o->outstanding, o->size, o->mtu, need, n / 4 * 3);
	bench_die("too much under way", &e);
}

static void make_pools(struct path_node *b)
{
	static const char *const names[] = {"meltemi", "client", "server"};
	uint32_t n = pool_size(&b->o);
	uint16_t room = bench_wire_room(b->o.mtu);

	for (uint32_t i = 0; i < 3 * b->o.workers; i++) {
		char name[24];

		snprintf(name, sizeof(name), "%s%u", names[i % 3], i / 3);
		if (mt_pools_init(&b->lanes[i / 3].pools[i % 3], name, n, n, room, SOCKET_ID_ANY))
			bench_die("no memory for mbufs", NULL);
	}
}

/*
 * Connects one link after the other, because memif devices of one process that connect at once can
 * wait for ever.
 */
static void join(struct path_node *b, int i, const char *name)
{
	struct mt_pools *meltemi[MT_WORKERS_MAX], *peers[MT_WORKERS_MAX];
	struct bench_wire_conf c = {.name = name,
		.link = b->o.link,
		.index = (uint16_t)i,
		.queues = (uint16_t)b->o.workers,
		.mtu = b->o.mtu,
		.steer = &b->steer};
	uint64_t start = mt_clock_now(&b->clock);
	struct mt_err e;

	for (uint32_t l = 0; l < b->o.workers; l++) {
		meltemi[l] = &b->lanes[l].pools[0];
		peers[l] = &b->lanes[l].pools[1 + i];
	}
	if (bench_wire_open(&b->wire[i], &c, &e) ||
		bench_wire_start(&b->wire[i], meltemi, peers, &e))
		bench_die("link", &e);
	while (!bench_wire_up(&b->wire[i], mt_clock_now(&b->clock))) {
		if (mt_clock_now(&b->clock) - start > CONNECT_LIMIT)
			bench_die("the link does not come up", NULL);
		usleep(10000);
	}
}

/* NULL: this end uses plaintext. */
static const struct bench_tls_end *tls_end(const struct path_node *b, uint16_t lane, uint32_t end)
{
	static const uint8_t wants[] = {
		PATH_TLS_BOTH, PATH_TLS_DOWN, PATH_TLS_UP}; /* Meltemi, client, server */

	return b->o.tls & wants[end] ? &b->tls.ends[3 * lane + end] : NULL;
}

static void make_worker(struct path_node *b, uint16_t i, uint64_t now)
{
	static const struct mt_tcp_conf tcp = {.max_conns = 131072};
	const struct mt_proxy_conf proxy = {
		.max_up = 32768, .max_exchanges = 262144, .node_limits = b->node_limits};
	static const uint8_t secret[32] = "bench: not a secret";
	struct mt_port *ports[] = {b->wire[0].meltemi, b->wire[1].meltemi};
	const struct bench_tls_end *tls = tls_end(b, i, 0);
	struct mt_worker_conf wc = {.index = i,
		.workers = (uint16_t)b->o.workers,
		.ports = ports,
		.n_ports = 2,
		.steer = &b->steer,
		.net = b->net,
		.pools = &b->lanes[i].pools[0],
		.tcp = &tcp,
		.proxy = &proxy,
		/* Flows without a reply have a quarter of the table. */
		.flows = b->o.forwarding ? FLOWS + 4 * b->o.flows : 0,
		.log = b->lanes[i].log,
		.secret = secret,
		.seed = 5 + 100u * i,
		.now = now,
		.current = mt_conf_slot(b->conf),
		.clock = &b->clock};

	if (tls) {
		wc.tls.lane = tls->lane;
		wc.tls.aead = tls->aead;
		wc.tls.streams = tcp.max_conns;
	}
	b->lanes[i].worker = mt_worker_create(&wc);
	if (!b->lanes[i].worker)
		bench_die("worker: no memory", NULL);
}

/*
 * Checks that each object written by a worker starts at a cache line boundary; allocation rounds
 * sizes up to lines.
 */
static void check_apart(const struct path_lane *l)
{
	uintptr_t at = (uintptr_t)l->worker | (uintptr_t)mt_worker_net(l->worker) |
		       (uintptr_t)mt_worker_tcp(l->worker) | (uintptr_t)mt_worker_proxy(l->worker);

	if (at % MT_CACHE_LINE)
		bench_die("workers share a cache line", NULL);
}

/* All hosts of one side have the same address, because each has its own queue. */
static void make_lane(struct path_node *b, uint16_t i, uint64_t now)
{
	struct path_lane *l = &b->lanes[i];
	struct path_peer_conf peer = {.o = &b->o,
		.port = b->wire[0].peers[i],
		.steer = &b->peers_steer,
		.node = &b->steer,
		.worker = i,
		.pools = &l->pools[1],
		.tls = tls_end(b, i, 1),
		.now = now};

	l->o = &b->o;
	l->clock = &b->clock;
	l->log = b->o.log ? path_log_new(b->o.log_full) : NULL;
	make_worker(b, i, now);
	mt_rand_seed(&l->rand, 1 + i);
	path_peer_open(&l->client, &peer);
	peer.server = true;
	peer.port = b->wire[1].peers[i];
	peer.pools = &l->pools[2];
	peer.tls = tls_end(b, i, 2);
	path_peer_open(&l->server, &peer);
	l->perf_fd = bench_instructions_open();
	check_apart(l);
}

/* Lets lib/net separate the packets of the forwarded port. */
static void expose(struct path_node *b)
{
	const struct mt_snapshot *s = mt_conf_current(b->conf);
	struct mt_addr vips[2] = {b->vip};
	struct mt_net_vips *set;

	mt_addr_parse(PATH_OTHER, &vips[1]);
	set = mt_net_vips_new(vips, 2, 0);
	if (!s->l4 || !set || mt_l4_expose(s->l4, set))
		bench_die("nothing is forwarded", NULL);
	mt_net_vips_use(b->net, set, NULL);
}

/* Reads the codec file, and completes `o` by the name of its codec. Until the program ends. */
static struct mt_codec_registry *read_codec(struct path_options *o)
{
	static char text[64 * 1024];
	static struct mt_region region;
	const struct mt_codec_table *t;
	const struct mt_codec *codec;
	struct mt_codec_registry *r;
	struct mt_diags diags;
	FILE *f = fopen(o->codec_file, "r");
	size_t n = f ? fread(text, 1, sizeof(text), f) : 0;

	if (f)
		fclose(f);
	mt_diags_init(&diags);
	mt_region_init(&region, 0);
	t = mt_codecfile_text(&region, &diags, o->codec_file, text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	codec = t ? &t->codec : NULL;
	r = codec ? mt_codec_registry_new(&codec, 1) : NULL;
	if (!r)
		bench_die("the codec file cannot be used", NULL);
	o->protocol = codec->name;
	return r;
}

/* The only listener's service has tracing. */
static void trace_calls(struct path_node *b)
{
	static struct mt_call_tracing t = {
		.attempts = true, .rule = {.write = MT_TRACING_W3C, .trace_len = MT_TRACE_ID}};
	const struct mt_filter_chain_proto *proto = mt_conf_current(b->conf)->listeners->protos;

	if (b->o.traced == PATH_TRACED_ALL)
		t.rule.threshold = MT_TRACING_ALWAYS;
	mt_call_tracing_keys(&t, proto->codec);
	proto->services[0]->tracing = &t;
}

void path_node_up(struct path_node *b)
{
	struct mt_eal_info info;
	uint64_t now;

	bench_eal(b->o.pages, 1024, b->o.workers, &info);
	if (!b->o.json)
		printf("%s\n", info.memory);
	if (mt_steer_init(&b->steer, (uint16_t)b->o.workers, 1024) ||
		mt_steer_init(&b->peers_steer, 1, 64))
		bench_die("steer: no memory", NULL);
	mt_clock_init(&b->clock);
	now = b->o.turn_ns ? PATH_BEGIN : mt_clock_now(&b->clock);
	make_pools(b);
	join(b, 0, "down");
	join(b, 1, "up");
	mt_addr_parse(PATH_VIP, &b->vip);
	b->net = bench_node_net(b->wire, b->o.workers, &b->steer, &b->vip, 1);
	if (b->o.tls)
		bench_tls_make(&b->tls, b->o.workers, b->o.cipher);
	b->conf = bench_node_conf(b->o.workers, b->tls.meltemi,
		b->o.codec_file ? read_codec(&b->o) : NULL, path_documents, &b->o, now);
	if (b->o.forwarding)
		expose(b);
	if (b->o.traced)
		trace_calls(b);
	b->node_limits = mt_node_limits_new((uint16_t)b->o.workers);
	if (!b->node_limits)
		bench_die("limits: no memory", NULL);
	for (uint16_t i = 0; i < b->o.workers; i++)
		make_lane(b, i, now);
}

void path_node_down(struct path_node *b)
{
	for (uint32_t i = 0; i < b->o.workers; i++) {
		path_peer_close(&b->lanes[i].client);
		path_peer_close(&b->lanes[i].server);
		mt_worker_destroy(b->lanes[i].worker);
		path_log_free(b->lanes[i].log);
	}
	mt_node_limits_free(b->node_limits);
	mt_conf_destroy(b->conf);
	bench_tls_free(&b->tls);
	mt_net_destroy(b->net);
	mt_steer_fini(&b->steer);
	mt_steer_fini(&b->peers_steer);
	bench_wire_close(&b->wire[0]);
	bench_wire_close(&b->wire[1]);
	mt_eal_stop();
}
