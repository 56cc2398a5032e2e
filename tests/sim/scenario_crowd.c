/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flash crowd: ten times as many calls as the servers can answer, all of a sudden. The servers must not work for callers
 * who have given up: what they answer in time stays at their capacity, what is admitted is answered within the callers'
 * time, and what is refused is refused at once.
 */
#include "scenario.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define SERVICE	   (2 * MT_MSEC) /* a server answers 500 calls a second, one after the other */
#define TIMEOUT_MS 1000
#define CROWD	   7 /* clients, beside one that was there before */
#define CALLS	   1700
#define WINDOW	   128
#define TIMES	   10 /* offered, of the capacity */
#define BEFORE	   (500 * MT_MSEC)
#define KEPT	   (RPC_CLIENTS * RPC_CALLS)

/* What must hold. */
#define GOODPUT_PCT   95
#define SLOWEST	      (TIMEOUT_MS * MT_MSEC * 9 / 10) /* p99 of the admitted */
#define SLOWEST_NO    (20 * MT_MSEC)		      /* p99 of the refused */
#define TIMED_OUT_PPM 5000			      /* of the admitted */

struct crowd {
	struct sim *sim;
	struct rpc_set *rpc;
	uint64_t begins, ends; /* the time in which the whole crowd asks; ends 0: it still does */
	uint64_t ok, refused;  /* between the two */
	uint64_t timed_out;    /* of all calls */
	bool rpc_ordered;
	uint32_t n_ok, n_no;
	uint64_t took_ok[KEPT], took_no[KEPT]; /* of all calls */
};

static void answered(
	void *arg, const struct rpc_client *from, const struct rpc_call *call, enum rpc_end how)
{
	struct crowd *c = arg;
	uint64_t now = c->sim->now, took = now - call->at;
	bool late = how == RPC_NATIVE && took >= TIMEOUT_MS * MT_MSEC;

	if (how == RPC_OK)
		c->took_ok[c->n_ok++] = took;
	else if (how == RPC_NATIVE && !late)
		c->took_no[c->n_no++] = took;
	c->timed_out += late;
	for (uint32_t i = 1; i <= CROWD && !c->ends; i++)
		if (c->rpc->client[i].begun == c->rpc->client[i].calls)
			c->ends = now;
	if (now < c->begins || c->ends)
		return;
	c->ok += how == RPC_OK;
	c->refused += how == RPC_NATIVE && !late;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t p99(uint64_t *took, uint32_t n)
{
	qsort(took, n, sizeof(*took), by_size);
	return n ? took[(uint64_t)n * 99 / 100] : 0;
}

static void judge(struct crowd *c, uint32_t servers)
{
	struct sim *s = c->sim;
	uint64_t can = (c->ends - c->begins) * servers / SERVICE;
	uint64_t ok99 = p99(c->took_ok, c->n_ok), no99 = p99(c->took_no, c->n_no);

	sim_trace(s,
		"crowd: %llu of %llu answered, %llu refused, p99 %llu us, of the refused %llu us, "
		"%llu timed out",
		(unsigned long long)c->ok, (unsigned long long)can, (unsigned long long)c->refused,
		(unsigned long long)(ok99 / MT_USEC), (unsigned long long)(no99 / MT_USEC),
		(unsigned long long)c->timed_out);
	/* Where replies go in the order of the requests, a refusal waits for the replies to earlier ones. */
	if (c->rpc_ordered)
		no99 = 0;
	else if (c->refused < 3 * can)
		sim_fail(s, "harness: no crowd: %llu refused, capacity %llu",
			(unsigned long long)c->refused, (unsigned long long)can);
	if (c->ok * 100 < can * GOODPUT_PCT)
		sim_fail(s, "goodput %llu of %llu calls", (unsigned long long)c->ok,
			(unsigned long long)can);
	if (ok99 > SLOWEST)
		sim_fail(s, "p99 of the admitted: %llu us", (unsigned long long)(ok99 / MT_USEC));
	if (no99 > SLOWEST_NO)
		sim_fail(s, "p99 of the refused: %llu us", (unsigned long long)(no99 / MT_USEC));
	if (c->timed_out * 1000000 > (uint64_t)c->n_ok * TIMED_OUT_PPM)
		sim_fail(s, "%llu admitted calls timed out", (unsigned long long)c->timed_out);
}

static void add_client(struct world *w, uint32_t i, uint64_t start, uint64_t pace, uint32_t calls)
{
	w->rpc.client[i] = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = i,
		.host = world_client(w, i),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.calls = calls,
		.window = WINDOW,
		.pace = pace,
		.start = start,
		.mix = {.req_max = 100, .rep_max = 100},
	};
}

static void run_crowd(struct sim *s)
{
	static struct crowd c;
	struct world *w;
	uint32_t servers;
	uint64_t rate;

	s->workers = 1; /* each would have clients of its own only */
	w = world_new_rpc(s, 0, WANT_SAFE);
	servers = 1 + sim_below(&s->plan, 2);
	memset(&c, 0, sizeof(c));
	c.sim = s;
	c.rpc = &w->rpc;
	c.rpc_ordered = w->rpc.protocol.ordered;
	w->config.listener[0].timeout_ms = TIMEOUT_MS;
	w->config.listener[0].cluster_b = 0;
	w->config.cluster[0].n_eps = servers;
	w->config.cluster[0].lb = MT_LB_ROUND_ROBIN;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->rpc.may_native = 1u << MT_REPLY_OVERLOAD | 1u << MT_REPLY_TIMEOUT;
	w->rpc.answered = answered;
	w->rpc.answered_arg = &c;
	world_go(w);
	/* The servers are what is slow here. */
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire = (struct sim_wire){.delay = 50 * MT_USEC};
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++) {
		w->rpc.server[i].service = SERVICE;
		w->rpc.server[i].heartbeats = 0;
	}
	rate = TIMES * servers * MT_SEC / SERVICE;
	c.begins = s->now + BEFORE;
	w->rpc.n_clients = 1 + CROWD;
	add_client(w, 0, s->now, 4 * SERVICE, 400);
	for (uint32_t i = 1; i <= CROWD; i++)
		add_client(w, i, c.begins, CROWD * MT_SEC / rate, CALLS);
	world_calls(w);
	if (!s->failed)
		judge(&c, servers);
}

const struct sim_scenario scenario_flash_crowd = {
	.name = "flash_crowd",
	.words = "ten times as many calls as servers can answer",
	.weight = 1,
	.run = run_crowd,
	.min_exchanges = 1000,
	.min_connections = 4,
};
