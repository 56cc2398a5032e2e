/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "codec_file.h"
#include "dialect.h"
#include "entries.h"

#include <inttypes.h>
#include <string.h>

/*
 * What seeds 1 to 500 must do at least, and any longer range that begins with seed 1: each kind of fault fires, so many
 * cells are visited, ... Other ranges are too short or drawn by date, where a rare event may be missing by chance.
 */
#define FLOOR_SEEDS	 500
#define FLOOR_DIALECT	 2000
#define FLOOR_LIMIT	 10000
#define FLOOR_CHANGES	 50
#define FLOOR_LAYER	 1   /* of each that layers do */
#define FLOOR_AGAIN	 2   /* byte streams that are joined again */
#define FLOOR_BEATS	 150 /* of clients; of servers */
#define FLOOR_BEATS_UP	 10  /* of the proxy, on connections where calls wait for long */
#define FLOOR_UNANSWERED 1   /* of servers that do not read */
#define FLOOR_RETRY	 20 /* of each that happens to retries, in as many seeds of retries_mixed */
#define FLOOR_MOVED	 1
#define FLOOR_TRANSPLANT 100

static const struct {
	uint64_t seeds, cells;
} cell_floors[] = {{20000, 360}, {1000, 345}, {FLOOR_SEEDS, 310}};

/* Structs of uint64_t only. */
static void add_all(void *to, const void *from, size_t bytes)
{
	uint64_t *sum = to;
	const uint64_t *more = from;

	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		sum[i] += more[i];
}

static uint64_t seed_hash(const struct sim *s)
{
	uint64_t h = (s->trace.hash ^ s->seed * 0xbf58476d1ce4e5b9ull) * 0x9e3779b97f4a7c15ull;

	return h ^ h >> 31;
}

void sim_report_add(struct sim_report *r, const struct sim *s)
{
	/* In one piece, because other processes print, too. */
	if (s->opt->trace_hash) {
		printf("%s %" PRIu64 " %016" PRIx64 "\n", s->scenario->name, s->seed,
			s->trace.hash);
		fflush(stdout);
	}
	r->seeds++;
	if (s->failed && r->failed < REPORT_FAILED)
		r->failed_seed[r->failed] = s->seed;
	r->failed += s->failed;
	add_all(&r->sum, &s->st, sizeof(r->sum));
	r->hash += seed_hash(s);
}

void sim_report_merge(struct sim_report *r, const struct sim_report *o)
{
	for (uint64_t i = 0; i < MT_MIN(o->failed, (uint64_t)REPORT_FAILED); i++)
		if (r->failed + i < REPORT_FAILED)
			r->failed_seed[r->failed + i] = o->failed_seed[i];
	r->seeds += o->seeds;
	r->failed += o->failed;
	r->hash += o->hash;
	add_all(&r->sum, &o->sum, sizeof(r->sum));
	add_all(&r->cells, &o->cells, sizeof(r->cells));
}

void sim_report_failure(const struct sim *s)
{
	sim_trace_dump(s, stdout);
	printf("seed %" PRIu64 " FAILED: %s\n", s->seed, s->why);
	printf("replay: build/tests/sim/sim --seeds %" PRIu64 " --workers %u --scenario %s",
		s->seed, s->workers, s->scenario->name);
	printf(s->opt->mutant ? " --mutant %s --verbose\n" : " --verbose\n", s->opt->mutant);
}

static bool at_least(const char *what, uint64_t n, uint64_t floor)
{
	if (n < floor)
		printf("floor: %s: %" PRIu64 ", expected %" PRIu64 " or more\n", what, n, floor);
	return n >= floor;
}

static bool dialect_floors(const struct sim_report *r)
{
	bool ok = true;

	for (uint32_t i = 0; i < DIALECTS; i++)
		if (dialect_is_drawn(i))
			ok &= at_least(dialect_name(i), r->sum.dialect[i], FLOOR_DIALECT);
	return ok;
}

/* Codec files take the place of protocols whose clients send heartbeats. */
static bool rpc_floors(const struct sim_report *r)
{
	bool ok = dialect_floors(r);

	if (sim_codec_file(false) || sim_codec_file(true))
		return ok;
	ok &= at_least("heartbeats of clients", r->sum.heartbeats, FLOOR_BEATS);
	ok &= at_least("calls that a limit admits", r->sum.limit_admitted, FLOOR_LIMIT);
	ok &= at_least("calls that a limit refuses", r->sum.limit_refused, FLOOR_LIMIT);
	ok &= at_least("limits that change", r->sum.limit_changes, FLOOR_CHANGES);
	ok &= at_least("streams joined again", r->sum.streams_again, FLOOR_AGAIN);
	for (uint32_t i = 0; i < SIM_LAYER_N; i++)
		ok &= at_least(sim_layer_event_names[i], r->sum.layer[i], FLOOR_LAYER);
	ok &= at_least("heartbeats of servers", r->sum.heartbeats_back, FLOOR_BEATS);
	ok &= at_least("heartbeats of the proxy", r->sum.heartbeats_up, FLOOR_BEATS_UP);
	ok &= at_least(
		"heartbeats without an answer", r->sum.heartbeats_unanswered, FLOOR_UNANSWERED);
	return ok;
}

static uint64_t cells_of(uint64_t seeds)
{
	uint32_t i = 0;

	while (seeds < cell_floors[i].seeds)
		i++;
	return cell_floors[i].cells;
}

/* Seeds of retries_mixed; clients are held back in retries_waits. */
static bool retry_floors(const struct sim_report *r)
{
	bool ok = true;

	for (uint32_t i = 0; i < SIM_RETRY_HELD_BACK; i++)
		ok &= at_least(sim_retry_names[i], r->sum.retries[i],
			i == SIM_RETRY_MOVED ? FLOOR_MOVED : FLOOR_RETRY);
	return ok;
}

static bool floors(const struct sim_report *r, const struct sim_options *o)
{
	bool ok = sim_cells_check(&r->cells) || o->mutant;

	if (o->log)
		ok &= entries_seen(r->sum.endings, r->seeds, o);
	if (o->scenario && !strcmp(o->scenario, "retries_mixed") && r->seeds >= FLOOR_SEEDS &&
		!o->mutant)
		ok &= retry_floors(r);
	if (o->seed_from != 1 || r->seeds < FLOOR_SEEDS || o->scenario || o->mutant || o->cases)
		return ok;
	for (uint32_t i = 0; i < SIM_F_N; i++)
		if (!r->sum.faults[i]) {
			printf("floor: fault %s never fired\n", sim_fault_names[i]);
			ok = false;
		}
	ok &= at_least("transplants of workers", r->sum.transplants, FLOOR_TRANSPLANT);
	ok &= at_least("cells visited", sim_cells_visited(&r->cells), cells_of(r->seeds));
	return rpc_floors(r) && ok;
}

static void print_json(const struct sim_report *r)
{
	printf("{\"seeds\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"failed_seeds\":[", r->seeds,
		r->failed);
	for (uint64_t i = 0; i < MT_MIN(r->failed, (uint64_t)REPORT_FAILED); i++)
		printf("%s%" PRIu64, i ? "," : "", r->failed_seed[i]);
	printf("],\"calls\":%" PRIu64 ",\"exchanges\":%" PRIu64 ",\"connections\":%" PRIu64
	       ",\"stream_bytes\":%" PRIu64 ",\"streams_again\":%" PRIu64 ",\"frames\":%" PRIu64
	       ",\"events\":%" PRIu64 ",\"turns\":%" PRIu64 ",\"transplants\":%" PRIu64
	       ",\"virtual_s\":%" PRIu64 ",\"faults\":{",
		r->sum.calls, r->sum.exchanges, r->sum.connections, r->sum.bytes,
		r->sum.streams_again, r->sum.frames, r->sum.events, r->sum.turns,
		r->sum.transplants, (uint64_t)(r->sum.virtual_ns / MT_SEC));
	for (uint32_t i = 0; i < SIM_F_N; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", sim_fault_names[i], r->sum.faults[i]);
	printf("},\"dialects\":{");
	for (uint32_t i = 0; i < DIALECTS; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", dialect_name(i), r->sum.dialect[i]);
	printf("},\"heartbeats\":{\"clients\":%" PRIu64 ",\"servers\":%" PRIu64
	       ",\"proxy\":%" PRIu64 ",\"unanswered\":%" PRIu64,
		r->sum.heartbeats, r->sum.heartbeats_back, r->sum.heartbeats_up,
		r->sum.heartbeats_unanswered);
	printf("},\"limits\":{\"admitted\":%" PRIu64 ",\"refused\":%" PRIu64
	       ",\"changes\":%" PRIu64,
		r->sum.limit_admitted, r->sum.limit_refused, r->sum.limit_changes);
	printf("},\"layers\":{");
	for (uint32_t i = 0; i < SIM_LAYER_N; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", sim_layer_event_names[i],
			r->sum.layer[i]);
	printf("},\"retries\":{");
	for (uint32_t i = 0; i < SIM_RETRY_N; i++)
		printf("%s\"%s\":%" PRIu64, i ? "," : "", sim_retry_names[i], r->sum.retries[i]);
	printf("},\"cells_visited\":%u,\"cells_possible\":%u,\"trace_hash\":\"%016" PRIx64 "\"}\n",
		sim_cells_visited(&r->cells), sim_cells_possible(), r->hash);
}

bool sim_report_print(const struct sim_report *r, const struct sim_options *o)
{
	bool ok = floors(r, o);

	if (!o->json) {
		printf("faults fired:\n");
		for (uint32_t i = 0; i < SIM_F_N; i++)
			printf("  %-24s %10" PRIu64 "\n", sim_fault_names[i], r->sum.faults[i]);
		sim_cells_print(&r->cells);
	}
	print_json(r);
	return ok;
}
