/* SPDX-License-Identifier: Apache-2.0 */
/* The two kinds of peers: hosts on lib/tcp, and stripped ones. */
#include "path.h"

#include "bench_counters.h"

#include <stdlib.h>

#include <rte_cycles.h>

#define MAX_CONNS 65536

static const char *address(bool server, bool prefix)
{
	if (server)
		return prefix ? PATH_SERVER "/16" : PATH_SERVER;
	return prefix ? "10.1.0.2/16" : "10.1.0.2";
}

static void open_host(struct path_peer *p, const struct path_peer_conf *c)
{
	/*
	 * A short TIME-WAIT, or churn would run out of ports; the bench's network delays no packet.
	 */
	const struct mt_tcp_conf tcp = {
		.max_conns = MAX_CONNS, .tx_high = 8 << 20, .time_wait_ms = c->o->churn ? 5 : 0};
	struct bench_net net;
	struct bench_host_conf conf = {.codec = c->o->codec,
		.size = c->o->size,
		.server = c->server,
		.net = &net.conf,
		.port = c->port,
		.pools = c->pools,
		.steer = c->steer,
		.node = c->node,
		.worker = c->worker,
		.tcp = &tcp,
		.outstanding = c->o->outstanding,
		.now = c->now,
		.tls = c->tls};
	struct mt_err e;

	if (bench_net_make(&net, address(c->server, true), "240.240.0.0/16",
		    c->server ? NULL : BENCH_CLIENTS, &e))
		bench_die("peer", &e);
	p->host = bench_host_create(&conf, &e);
	if (!p->host)
		bench_die("peer", &e);
}

/* Makes a stripped peer. The bytes before the id are the same in all messages. */
static void open_stripped(struct path_peer *p, const struct path_peer_conf *c)
{
	struct bench_stripped_conf conf = {.port = c->port,
		.pools = c->pools,
		.max_conns = MAX_CONNS,
		.hold = c->o->link == BENCH_RING,
		.client = !c->server,
		.once = c->o->churn,
		.outstanding = c->o->outstanding,
		.node = c->node,
		.worker = c->worker,
		.seed = 11 + c->server};
	struct mt_err e;

	bench_request(c->o->codec, c->o->size, c->server ? &p->in : &p->out);
	bench_reply(c->o->codec, c->o->size, c->server ? &p->out : &p->in);
	conf.exchange = (struct bench_exchange){.in = p->in.bytes,
		.out = p->out.bytes,
		.in_len = p->in.len,
		.out_len = p->out.len,
		.same = p->in.id_at & ~3u, /* whole words */
		.copies = {{(uint16_t)p->in.id_at, (uint16_t)p->out.id_at, (uint16_t)p->in.id_len}},
		.n_copies = 1};
	mt_addr_parse(address(c->server, false), &conf.address);
	mt_addr_parse(BENCH_CLIENTS, &conf.gateway);
	p->stripped = bench_stripped_create(&conf, &e);
	if (!p->stripped)
		bench_die("--peer stripped", &e);
}

void path_peer_open(struct path_peer *p, const struct path_peer_conf *c)
{
	*p = (struct path_peer){.o = c->o};
	if (c->o->peer == PATH_STRIPPED)
		open_stripped(p, c);
	else
		open_host(p, c);
}

void path_peer_close(struct path_peer *p)
{
	if (p->stripped)
		bench_stripped_destroy(p->stripped);
	else
		bench_host_destroy(p->host);
	free(p->in.bytes);
	free(p->out.bytes);
}

void path_peer_turn(struct path_peer *p, uint64_t now)
{
	uint64_t t0 = rte_rdtsc();

	if (p->stripped)
		bench_stripped_turn(p->stripped, now);
	else
		bench_host_turn(p->host, now);
	p->cycles += rte_rdtsc() - t0;
}

void path_peer_connect(struct path_peer *p, const struct mt_addr *vip, uint32_t max)
{
	enum bench_life life = p->o->churn ? BENCH_ONCE_LET_GO : BENCH_STAYS;

	if (p->stripped) {
		while (max-- > 0 && bench_stripped_used(p->stripped) < p->o->conns)
			if (!bench_stripped_open(p->stripped, vip, BENCH_PORT))
				return;
		return;
	}
	while (max-- > 0 && bench_host_counts(p->host)->open < p->o->conns)
		if (!bench_host_open(p->host, vip, BENCH_PORT, life))
			return;
}

uint32_t path_peer_connected(const struct path_peer *p)
{
	return p->stripped ? bench_stripped_connected(p->stripped)
			   : bench_host_counts(p->host)->connected;
}

uint64_t path_peer_replies(const struct path_peer *p)
{
	return p->stripped ? bench_stripped_messages(p->stripped)
			   : bench_host_counts(p->host)->replies;
}

uint64_t path_peer_errors(const struct path_peer *p)
{
	return p->stripped ? bench_stripped_errors(p->stripped)
			   : bench_host_counts(p->host)->errors;
}

uint64_t path_peer_packets(const struct path_peer *p)
{
	const uint64_t *n = p->stripped ? bench_stripped_counters(p->stripped) : NULL;

	return n ? n[BENCH_STRIPPED_packets_in] + n[BENCH_STRIPPED_packets_out] : 0;
}

void path_peer_tell(const struct path_peer *p)
{
	if (p->stripped) {
		bench_tell(&bench_stripped_outcomes, bench_stripped_counters(p->stripped));
		return;
	}
	fprintf(stderr, "  host errors: %lu, of them without buffers: %lu\n",
		bench_host_counts(p->host)->errors, bench_host_counts(p->host)->no_memory);
	bench_tell(&mt_tcp_outcomes, mt_tcp_counters(bench_host_tcp(p->host)));
}
