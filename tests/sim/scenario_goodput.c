/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast lib/tcp carries bulk data over a bad path, in virtual time: one stream of 32 MB between two of
 * our stacks with their default settings. The figures do not depend on the machine, so a floor can hold
 * them: a lost retransmission that waits for a timeout, or a reordering that is taken for loss, shows here.
 */
#include "app_stream.h"
#include "own.h"
#include "scenario.h"

#include <inttypes.h>

#define PORT  80
#define BYTES (32u << 20)
/* 100 Mbit/s: segments arrive one by one, and so do ACKs. */
#define RATE .bytes_per_sec = 12500000, .queue_bytes = 500000

/* The path is the same both ways. */
struct path {
	uint64_t delay, reorder_by;
	uint32_t loss, reorder, duplicate, corrupt; /* per million */
	uint64_t bytes_per_sec;
	uint32_t queue_bytes, mark_bytes;
	uint64_t floor;		  /* bytes per second of virtual time */
	uint64_t max_retransmits; /* 0: any number */
	uint32_t chunk;		  /* written at a time, every `pace`; 0: 4096, as fast as it goes */
	uint64_t pace;
};

struct world {
	struct sim_net net;
	struct stream_set set;
	struct own host[2];
};

static void build_host(struct sim *s, struct world *w, uint32_t i, const struct path *p)
{
	static const char *const names[] = {"from", "to"};
	struct mt_tcp_conf conf = {
		.max_conns = 16, .ecn = p->mark_bytes ? MT_TCP_ECN_ASK : MT_TCP_ECN_OFF};

	own_init(&w->host[i], s, names[i], (uint8_t)(10 + i), 1, i, &conf);
	w->host[i].port.nic.wire = (struct sim_wire){
		.delay = p->delay,
		.reorder_by = p->reorder_by,
		.loss = p->loss,
		.reorder = p->reorder,
		.duplicate = p->duplicate,
		.corrupt = p->corrupt,
		.bytes_per_sec = p->bytes_per_sec,
		.queue_bytes = p->queue_bytes,
		.mark_bytes = p->mark_bytes,
	};
}

static void plan(struct sim *s, struct world *w, const struct path *path)
{
	struct stream_plan *p = &w->set.plan[0];

	w->set.sim = s;
	w->set.n = 1;
	p->host = &w->host[0].host;
	p->server = &w->host[1].host;
	p->to = p->server->addr4;
	p->port = PORT;
	p->start = s->now;
	p->part[STREAM_CLIENT] = (struct stream_part){.plan = p,
		.len = BYTES,
		.chunk = path->chunk ? path->chunk : 4096,
		.pace = path->pace,
		.finish = STREAM_SHUT};
	p->part[STREAM_SERVER] = (struct stream_part){
		.plan = p, .side = STREAM_SERVER, .chunk = 4096, .finish = STREAM_SHUT_AFTER};
	stream_listen(&w->set, p->server, PORT);
}

static void judge(struct sim *s, struct world *w, const struct path *p, uint64_t ns)
{
	const uint64_t *n = mt_tcp_counters(w->host[0].w[0].tcp);
	uint64_t rate = BYTES * MT_SEC / ns;

	printf("seed %" PRIu64 " %s: %" PRIu64 " bytes/s, sent again %" PRIu64
	       ", recoveries %" PRIu64 ", undone %" PRIu64 ", tail probes %" PRIu64
	       ", timeouts %" PRIu64 ", duplicates told %" PRIu64 "\n",
		s->seed, s->scenario->name, rate, n[MT_TCP_retransmits], n[MT_TCP_fast_recoveries],
		n[MT_TCP_undone], n[MT_TCP_tail_probes], n[MT_TCP_timeouts], n[MT_TCP_dsacks_in]);
	if (s->failed)
		return;
	if (rate < p->floor)
		sim_fail(s, "%" PRIu64 " bytes/s, the floor is %" PRIu64, rate, p->floor);
	else if (p->mark_bytes &&
		 !n[MT_TCP_ecn_slowed]) /* once may last: CUBIC needs 6 s to be back */
		sim_fail(s, "no mark slowed it down");
	else if (p->max_retransmits && n[MT_TCP_retransmits] > p->max_retransmits)
		sim_fail(s, "%" PRIu64 " segments sent again, not more than %" PRIu64 " expected",
			n[MT_TCP_retransmits], p->max_retransmits);
}

static void run(struct sim *s, const struct path *p)
{
	struct world *w = calloc(1, sizeof(*w));
	uint64_t began = s->now;

	MT_ASSERT(w);
	s->net = &w->net;
	w->net.spare_arp = true;
	build_host(s, w, 0, p);
	build_host(s, w, 1, p);
	plan(s, w, p);
	stream_start(&w->set);
	sim_run(s, s->now + 3000 * MT_SEC, stream_done, &w->set);
	stream_check(&w->set);
	judge(s, w, p, s->now - began);
	sim_run(s, s->now + 120 * MT_SEC, NULL, NULL);
	sim_events_drop(s);
	for (uint32_t i = 0; i < 2; i++)
		own_fini(&w->host[i]);
	for (uint32_t i = 0; i < 2; i++)
		own_check_pools(&w->host[i]);
	free(w);
}

static void run_loss(struct sim *s)
{
	run(s, &(struct path){.delay = 20 * MT_MSEC, RATE, .loss = 10000, .floor = 360000});
}

static void run_reorder(struct sim *s)
{
	run(s, &(struct path){.delay = 20 * MT_MSEC,
		       RATE,
		       .loss = 10000,
		       .reorder = 30000,
		       .reorder_by = 4 * MT_MSEC,
		       .floor = 350000});
}

static void run_late(struct sim *s)
{
	run(s, &(struct path){.delay = 20 * MT_MSEC,
		       RATE,
		       .reorder = 30000,
		       .reorder_by = 30 * MT_MSEC,
		       .floor = 3500000,
		       .max_retransmits = 500});
}

static void run_near(struct sim *s)
{
	run(s, &(struct path){.delay = 500 * MT_USEC,
		       RATE,
		       .loss = 10000,
		       .duplicate = 3000,
		       .reorder = 5000,
		       .reorder_by = 4 * MT_MSEC,
		       .corrupt = 2000,
		       .floor = 8000000});
}

static void run_clean(struct sim *s)
{
	run(s, &(struct path){
		       .delay = 20 * MT_MSEC, RATE, .floor = 10200000, .max_retransmits = 1});
}

static void run_bursts(struct sim *s)
{
	run(s, &(struct path){.delay = 20 * MT_MSEC,
		       .bytes_per_sec = 12500000,
		       .queue_bytes = 30000,
		       .chunk = 120000,
		       .pace = 100 * MT_MSEC,
		       .floor = 1180000,
		       .max_retransmits = 100});
}

static void run_ecn(struct sim *s)
{
	run(s, &(struct path){.delay = 20 * MT_MSEC,
		       .bytes_per_sec = 12500000,
		       .queue_bytes = 400000,
		       .mark_bytes = 100000,
		       .floor = 5500000,
		       .max_retransmits = 1});
}

const struct sim_scenario scenario_goodput_loss = {
	.name = "goodput_loss",
	.words = "32 MB over 1 % loss and 20 ms each way: a floor under bytes per virtual second",
	.run = run_loss,
	.must_hurt = true,
};

const struct sim_scenario scenario_goodput_reorder = {
	.name = "goodput_reorder",
	.words = "the same with 3 % of frames up to 4 ms late",
	.run = run_reorder,
	.must_hurt = true,
};

const struct sim_scenario scenario_goodput_late = {
	.name = "goodput_late",
	.words = "32 MB, nothing is lost, but 3 % of frames are most of a round trip late",
	.run = run_late,
	.must_hurt = true,
};

const struct sim_scenario scenario_goodput_near = {
	.name = "goodput_near",
	.words = "32 MB over 1 ms with loss, duplicates, corruption, and frames later than a round "
		 "trip",
	.run = run_near,
	.must_hurt = true,
};

const struct sim_scenario scenario_goodput_clean = {
	.name = "goodput_clean",
	.words = "32 MB over 100 Mbit/s with a deep queue: slow start must not overrun it",
	.run = run_clean,
};

const struct sim_scenario scenario_goodput_bursts = {
	.name = "goodput_bursts",
	.words = "32 MB, 120,000 bytes each 100 ms, over a router whose queue holds a quarter of "
		 "that",
	.run = run_bursts,
};

const struct sim_scenario scenario_goodput_ecn = {
	.name = "goodput_ecn",
	.words = "32 MB over a router that marks before its queue is full: nothing may get lost",
	.run = run_ecn,
};
