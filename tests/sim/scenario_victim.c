/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one client's behaviour does to another one's calls, in time: the worker's clock goes by the steps of its work, wires take
 * 50 us a way. A victim calls alone, then the same beside one attacker who uses no more than half of what the worker can do. The
 * ratio of the two p99 is bounded.
 */
#include "refs.h"
#include "scenario.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define CALLS	 300
#define PACE	 (100 * MT_USEC)
#define SETTLE	 20 /* first calls, which open connections */
#define BUSY_PCT 50 /* of the worker, at most; more is no fair attacker */

enum attacker { NOBODY, PIPELINER, DEAF, DRIBBLER, BIG_CALLER, BEATER, ATTACHER, READER, MEDIUM };

struct victim {
	uint64_t took[CALLS];
	uint32_t n;
	uint64_t began, ended, busy_ns, longest_ns;
	struct world *w;
};

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct victim *v = arg;

	if (c->no != 0 || how != RPC_OK || call->no < SETTLE)
		return;
	v->took[v->n++] = c->set->sim->now - call->at;
	v->ended = c->set->sim->now;
	v->busy_ns = v->w->mesh.busy_ns;
	v->longest_ns = v->w->mesh.longest_ns;
}

static struct rpc_client *add(struct world *w, uint32_t host, uint32_t calls, uint32_t window)
{
	struct rpc_client *c = &w->rpc.client[w->rpc.n_clients];

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = w->rpc.n_clients++,
		.host = world_client(w, host),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now,
		.calls = calls,
		.window = window,
		.write_chunk = 16384,
	};
	return c;
}

/* He goes on for as long as the victim calls, and then leaves. */
static void add_attacker(struct world *w, enum attacker kind)
{
	struct rpc_client *c = add(w, 1, RPC_CALLS, 1);

	c->may_lose = true;
	c->gone_at = c->start + CALLS * PACE;
	c->mix = (struct rpc_mix){.req_max = 20, .rep_max = 20};
	switch (kind) {
	case PIPELINER:
		c->window = 128;
		c->pace = 8 * MT_USEC;
		break;
	case DEAF:
		c->window = 64;
		c->mix.rep_max = 100000;
		c->read_stop = 1000 * MT_SEC;
		break;
	case DRIBBLER:
		c->window = 4;
		c->mix.req_max = 60000;
		c->write_chunk = 300;
		c->write_pace = 20 * MT_USEC;
		break;
	case BIG_CALLER:
		c->window = 4;
		c->mix.req_max = c->mix.rep_max = 500000;
		c->pace = 3 * MT_MSEC;
		break;
	case BEATER:
		c->window = 64;
		c->mix.heartbeat = 1000000;
		c->pace = 8 * MT_USEC;
		break;
	case READER:
		c->window = 4;
		c->mix.rep_max = 500000;
		c->pace = 3 * MT_MSEC;
		break;
	case MEDIUM:
		c->window = 16;
		c->mix.req_max = c->mix.rep_max = 7500;
		c->pace = 60 * MT_USEC;
		break;
	default:
		c->window = 4;
		c->mix.attachments = 2000;
		c->pace = 1 * MT_MSEC;
		break;
	}
}

/* Fast wires without faults; one server that answers at once. */
static void make_even(struct world *w)
{
	world_even(w);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++) {
		w->rpc.server[i].heartbeats = 0;
		w->rpc.server[i].write_max = 16384;
	}
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Connections of the attacker: small messages are many. */
static uint32_t many(enum attacker kind)
{
	if (kind == NOBODY)
		return 0;
	return kind == PIPELINER || kind == BEATER || kind == DRIBBLER || kind == MEDIUM ? 4 : 1;
}

/* The same world each time, but for the attacker. */
static void run_beside(struct sim *s, enum attacker kind, struct victim *v)
{
	struct world *w;
	struct rpc_client *c;

	mt_rand_seed(&s->plan, s->seed);
	sim_refs_begin(); /* the world before is gone */
	s->workers = 1;
	w = world_new_rpc(s, 0, WANT_DUBBO);
	memset(v, 0, sizeof(*v));
	v->w = w;
	w->large_pools = true;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->rpc.answered = answered;
	w->rpc.answered_arg = v;
	w->rpc.may_native = kind == NOBODY ? 0 : 1u << MT_REPLY_OVERLOAD | 1u << MT_REPLY_TOO_LARGE;
	world_go(w);
	make_even(w);
	v->began = s->now;
	c = add(w, 0, CALLS, 8);
	c->pace = PACE;
	c->mix = (struct rpc_mix){.req_max = 200, .rep_max = 200};
	for (uint32_t i = 0; i < many(kind); i++)
		add_attacker(w, kind);
	world_calls(w);
	qsort(v->took, v->n, sizeof(*v->took), by_size);
}

static uint64_t p99(const struct victim *v)
{
	return v->took[(uint64_t)v->n * 99 / 100];
}

static void judge(struct sim *s, enum attacker kind, uint32_t max_pct)
{
	static struct victim alone, beside;
	uint64_t busy, pct;

	run_beside(s, NOBODY, &alone);
	if (!s->failed)
		run_beside(s, kind, &beside);
	if (s->failed)
		return;
	if (alone.n < CALLS - SETTLE || beside.n < CALLS - SETTLE) {
		sim_fail(s, "the victim got %u answers alone, %u beside", alone.n, beside.n);
		return;
	}
	busy = beside.busy_ns * 100 / (beside.ended - beside.began);
	pct = p99(&beside) * 100 / p99(&alone);
	sim_trace(s,
		"victim: p99 %llu us alone, %llu us beside: %llu %%; the worker is busy %llu %%, "
		"longest turn %llu us",
		(unsigned long long)(p99(&alone) / MT_USEC),
		(unsigned long long)(p99(&beside) / MT_USEC), (unsigned long long)pct,
		(unsigned long long)busy, (unsigned long long)(beside.longest_ns / MT_USEC));
	if (busy > BUSY_PCT)
		sim_fail(s, "harness: the attacker takes %llu %% of the worker",
			(unsigned long long)busy);
	if (pct > max_pct)
		sim_fail(s, "the victim's p99 is %llu %% of what it is alone",
			(unsigned long long)pct);
}

/* The last number: percent of the victim's p99 alone that it may be beside this attacker. 200 is the goal; less may only become less. */
#define VICTIM(id, kind, say, max)                                                                 \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		judge(s, kind, max);                                                               \
	}                                                                                          \
	const struct sim_scenario scenario_victim_##id = {                                         \
		.name = "victim_" #id,                                                             \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_exchanges = 2 * CALLS,                                                        \
		.min_connections = 2,                                                              \
	}

VICTIM(pipeliner, PIPELINER, "calls beside one who pipelines", 200);
VICTIM(deaf, DEAF, "calls beside one who reads nothing", 120);
VICTIM(dribbler, DRIBBLER, "calls beside uploads in small pieces", 150);
VICTIM(big_caller, BIG_CALLER, "calls beside large ones", 200);
VICTIM(beater, BEATER, "calls beside heartbeats", 120);
VICTIM(reader, READER, "calls beside ones for long replies", 200);
VICTIM(medium, MEDIUM, "calls beside ones that are just short", 200);
VICTIM(attacher, ATTACHER, "calls beside messages of many attachments", 120);
