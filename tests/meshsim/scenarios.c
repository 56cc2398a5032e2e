/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of a certain kind, one after the other, and what is said of each. */
#include "world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define MINUTE (60 * MT_SEC)
#define STEP   (100 * MT_MSEC)

/* ---- a small mesh ----------------------------------------------------------------------------------- */

static struct body *set(struct world *w, enum mt_xds_type type, uint32_t name, uint32_t target)
{
	struct body *b = plane_body(&w->plane, type, name);

	b->n_eps = 2;
	b->meta = type == MT_XDS_LDS && name == 0;
	b->n_targets = type == MT_XDS_LDS || type == MT_XDS_RDS;
	b->targets[0] = target;
	plane_set(&w->plane, b);
	return b;
}

static void listener_of(struct world *w, uint32_t name, uint32_t table)
{
	struct body *b = plane_body(&w->plane, MT_XDS_LDS, name);

	b->meta = true;
	b->n_targets = 1;
	b->targets[0] = table;
	plane_set(&w->plane, b);
}

/* l0 by r0 to c0; l1 to c1. */
static void begin(struct world *w)
{
	for (uint32_t i = 0; i < 3; i++) {
		set(w, MT_XDS_CDS, i, 0);
		set(w, MT_XDS_EDS, i, 0);
	}
	set(w, MT_XDS_RDS, 0, 0);
	set(w, MT_XDS_LDS, 0, 0);
	set(w, MT_XDS_LDS, 1, 1);
	wire_up(&w->plane.wire);
	world_start(w);
	world_pass(w, 2 * MT_SEC, STEP);
	if (!w->force.serial[MT_XDS_LDS][0] || !w->force.serial[MT_XDS_LDS][1])
		world_wrong(w, "the mesh does not come into force");
}

/* The stream's state and trouble hold these words. */
static void says(struct world *w, const char *state, const char *why)
{
	struct mt_xds_stream_info s;
	uint32_t pos = 0;

	if (!mt_xds_stream_next(w->x, &pos, &s) || !strstr(s.state, state) || !strstr(s.why, why))
		world_wrong(w, "not \"%s\" with \"%s\", but \"%s\" with \"%s\"", state, why,
			s.state, s.why);
}

static void source_is(struct world *w, const char *state)
{
	struct mt_xds_info info;

	mt_xds_info(w->x, &info);
	if (strcmp(info.state, state) != 0)
		world_wrong(w, "the source is \"%s\", not \"%s\"", info.state, state);
}

static void kept_is(struct world *w, const char *words)
{
	struct mt_xds_info info;

	mt_xds_info(w->x, &info);
	if (!strstr(info.kept, words))
		world_wrong(w, "of the state file it says \"%s\", not \"%s\"", info.kept, words);
}

static void in_force(struct world *w, const struct body *b, const char *when)
{
	if (w->force.serial[b->type][b->name] != b->serial)
		world_wrong(w, "%s %s is not serial %u, but %u, %s", mt_xds_name(b->type),
			name_of(b->type, b->name), b->serial, w->force.serial[b->type][b->name],
			when);
}

static void between(struct world *w, const char *what, uint32_t n, uint32_t least, uint32_t most)
{
	if (n < least || n > most)
		world_wrong(w, "%u %s, not %u to %u", n, what, least, most);
}

/* ---- scenarios -------------------------------------------------------------------------------------- */

static void away_for_an_hour(struct world *w)
{
	struct in_force before;
	uint32_t publishes, accepted;

	begin(w);
	before = w->force;
	publishes = w->publishes;
	wire_down(&w->plane.wire);
	world_pass(w, 30 * MINUTE, STEP);
	source_is(w, "not connected");
	says(w, "waiting", "No such file");
	/* Somebody takes connections there, and ends them: once in 15 to 30 s. */
	wire_up(&w->plane.wire);
	w->plane.wire.slam = true;
	accepted = w->plane.wire.accepted;
	world_pass(w, 30 * MINUTE, STEP);
	between(w, "connections in half an hour", w->plane.wire.accepted - accepted, 58, 125);
	if (w->publishes != publishes || memcmp(&before, &w->force, sizeof(before)) != 0)
		world_wrong(w, "what is in force has changed in an hour without a server");
	w->plane.wire.slam = false;
	set(w, MT_XDS_RDS, 0, 1);
	world_pass(w, 32 * MT_SEC, STEP);
	source_is(w, "synced");
	says(w, "up", "");
	check_end(w);
}

/* Waits until the connection has broken; false: it did not, all that is said takes fewer bytes. */
static bool breaks(struct world *w, struct minute *connects)
{
	for (int i = 0; i < 450 && w->plane.wire.cut >= 0 && !w->wrong[0]; i++) {
		uint32_t n = w->plane.wire.accepted;

		world_pass(w, STEP, STEP);
		for (; n < w->plane.wire.accepted; n++)
			minute_add(connects, w->now);
	}
	return w->plane.wire.cut < 0;
}

/* Cut after each number of bytes, within frames and between them, before answers and behind them. */
static void flapping(struct world *w)
{
	struct minute connects = {{0}, 0, 0};
	uint32_t whole = 0, seen;
	int64_t bytes = 1;
	uint64_t began;

	begin(w);
	began = w->now;
	seen = w->plane.wire.accepted;
	wire_hang_up(&w->plane.wire);
	for (int i = 0; i < 200; i++, bytes += 8) {
		w->plane.wire.cut = bytes;
		if (breaks(w, &connects))
			continue;
		whole++;
		bytes = 1;
		wire_hang_up(&w->plane.wire);
	}
	between(w, "connections", w->plane.wire.accepted - seen, 195, 215);
	between(w, "connections that were not cut", whole, 0, 10);
	/* After an answer the next one comes within half a second, without one in 15 to 30 s at last. */
	between(w, "seconds for them", (uint32_t)((w->now - began) / MT_SEC), 600, 6000);
	between(w, "connections in the worst minute", connects.most, 4, 200);
	w->plane.wire.cut = -1;
	set(w, MT_XDS_RDS, 0, 1);
	world_pass(w, 60 * MT_SEC, STEP);
	source_is(w, "synced");
	check_end(w);
}

/* Before its first answer every connection ends: tries come further apart, whatever else came. */
static void never_an_answer(struct world *w)
{
	uint64_t last, gaps[12];
	uint32_t n = 0;

	begin(w);
	w->plane.mute = true;
	wire_hang_up(&w->plane.wire);
	last = w->now;
	while (n < 12 && !w->wrong[0]) {
		uint32_t accepted = w->plane.wire.accepted;

		w->plane.wire.cut = 60;
		world_pass(w, 10 * MT_MSEC, 10 * MT_MSEC);
		if (w->plane.wire.accepted == accepted)
			continue;
		gaps[n++] = w->now - last;
		last = w->now;
		world_pass(w, 10 * MT_MSEC, 10 * MT_MSEC);
		wire_hang_up(&w->plane.wire);
	}
	for (uint32_t i = 8; i < n; i++)
		if (gaps[i] < 10 * MT_SEC || gaps[i] > 32 * MT_SEC)
			world_wrong(w,
				"after %u connections without an answer the next one comes in %lu "
				"ms",
				i, (unsigned long)(gaps[i] / MT_MSEC));
	if (gaps[9] == gaps[10] && gaps[10] == gaps[11])
		world_wrong(w, "no jitter");
	w->plane.mute = false;
	w->plane.wire.cut = -1;
	world_pass(w, 60 * MT_SEC, STEP);
	source_is(w, "synced");
}

static void half_open(struct world *w)
{
	begin(w);
	w->plane.wire.silent = true;
	world_pass(w, 55 * MT_SEC, STEP);
	says(w, "up", "");
	world_pass(w, 20 * MT_SEC, STEP);
	says(w, "", "has not answered a ping");
	/* A connection seems to come up, as somebody queues them: nothing is said on it. */
	world_pass(w, 10 * MINUTE, STEP);
	says(w, "", "has not answered a ping");
	w->plane.wire.silent = false;
	set(w, MT_XDS_RDS, 0, 1);
	world_pass(w, 45 * MT_SEC, STEP);
	source_is(w, "synced");
	check_end(w);
}

/* A server that answers each NACK at once with the same again. */
static void resends(struct world *w)
{
	struct body *bad;
	const struct body *good;

	begin(w);
	w->plane.resend = true;
	bad = plane_body(&w->plane, MT_XDS_CDS, 0);
	bad->bad = BAD_FIELD;
	bad->n_eps = 1;
	plane_set(&w->plane, bad);
	good = set(w, MT_XDS_CDS, 1, 0);
	world_pass(w, 5 * MINUTE, 20 * MT_MSEC);
	in_force(w, good, "beside a refused one");
	between(w, "NACKs in the worst minute", w->plane.nack_minute[MT_XDS_CDS].most, 10, 15);
	w->plane.resend = false;
	good = set(w, MT_XDS_CDS, 0, 0);
	world_pass(w, 10 * MT_SEC, STEP);
	in_force(w, good, "after a refused one");
	check_end(w);
}

/* In one response one listener names a table no more, that waits, and another one begins to. */
static void wanted_again(struct world *w)
{
	const struct body *table;

	begin(w);
	table = set(w, MT_XDS_RDS, 2, 5);
	listener_of(w, 2, 2);
	world_pass(w, 2 * MT_SEC, STEP);
	listener_of(w, 2, 0);
	listener_of(w, 3, 2);
	world_pass(w, 40 * MT_SEC, STEP);
	in_force(w, table, "named by another listener");
	check_end(w);
}

static void life_ends(struct world *w)
{
	struct body *b;

	begin(w);
	if (!w->delta)
		return;
	b = plane_body(&w->plane, MT_XDS_CDS, 2);
	b->n_eps = 1;
	b->fixed = true;
	b->ttl_s = 10;
	plane_set(&w->plane, b);
	world_pass(w, 5 * MT_SEC, STEP);
	in_force(w, b, "in its time");
	wire_down(&w->plane.wire);
	world_pass(w, 10 * MT_SEC, STEP);
	if (w->force.serial[MT_XDS_CDS][2])
		world_wrong(w, "a cluster outlives its time");
	wire_up(&w->plane.wire);
	for (int i = 0; i < 300 && w->force.serial[MT_XDS_CDS][2] != b->serial; i++)
		world_pass(w, STEP, STEP);
	in_force(w, b, "said again");
}

/* ---- the state file --------------------------------------------------------------------------------- */

static void disk_has(rlim_t bytes)
{
	struct rlimit l;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	setrlimit(RLIMIT_FSIZE, &l);
}

/* A life that begins with what was kept, whatever was in force in the last one. */
static void restart(struct world *w)
{
	memset(&w->force, 0, sizeof(w->force));
	w->restarts++;
	w->publishes = 0;
	world_start(w);
}

static void disk_full(struct world *w)
{
	bool trace = w->plane.trace;
	const struct body *good, *later;

	begin(w);
	good = set(w, MT_XDS_RDS, 0, 1);
	world_pass(w, 20 * MT_SEC, STEP);
	kept_is(w, "bytes are kept");
	/* Nothing may be printed while this holds. */
	w->plane.trace = false;
	disk_has(100);
	later = set(w, MT_XDS_RDS, 0, 2);
	world_pass(w, 2 * MINUTE, STEP);
	in_force(w, later, "though the disk is full");
	kept_is(w, "cannot be written: File too large: a restart without a server would serve what "
		   "was "
		   "kept before");
	world_stop(w);
	wire_down(&w->plane.wire);
	restart(w);
	in_force(w, good, "after a restart on a full disk");
	wire_up(&w->plane.wire);
	world_pass(w, 40 * MT_SEC, STEP);
	in_force(w, later, "said again");
	kept_is(w, "cannot be written");
	disk_has(RLIM_INFINITY);
	w->plane.trace = trace;
	world_pass(w, 31 * MT_SEC, STEP);
	kept_is(w, "bytes are kept");
	world_stop(w);
	wire_down(&w->plane.wire);
	restart(w);
	in_force(w, later, "after a restart with room on the disk");
}

/* The file cut off at each place: told, nothing of it is taken, and it is whole again once a server has answered. */
static void cut_off_state(struct world *w)
{
	char path[80];
	struct stat st;

	begin(w);
	world_pass(w, 20 * MT_SEC, STEP);
	snprintf(path, sizeof(path), "%s/xds-mesh.bin", w->dir);
	for (off_t len = 0; len < 600 && !w->wrong[0]; len += 37) {
		world_stop(w);
		wire_down(&w->plane.wire);
		if (truncate(path, len))
			world_wrong(w, "no state file");
		restart(w);
		kept_is(w, len < 32 ? "it is not a file of this program" : "it is truncated");
		if (w->force.serial[MT_XDS_LDS][0])
			world_wrong(w, "half a file is in force");
		wire_up(&w->plane.wire);
		world_pass(w, 60 * MT_SEC, STEP);
		if (!w->force.serial[MT_XDS_LDS][0] || stat(path, &st) || st.st_size < 600)
			world_wrong(w, "it is not whole again");
	}
}

/*
 * What is gone since leaves with the first answer, and what is as it was stays, though a delta server does not say it again; in
 * the state of the world both are seen when all that there is was told.
 */
static void gone_while_away(struct world *w)
{
	begin(w);
	world_pass(w, 20 * MT_SEC, STEP);
	kept_is(w, "bytes are kept");
	world_stop(w);
	wire_down(&w->plane.wire);
	plane_remove(&w->plane, MT_XDS_LDS, 1);
	restart(w);
	if (!w->force.serial[MT_XDS_LDS][1])
		world_wrong(w, "what was kept is not in force");
	wire_up(&w->plane.wire);
	world_pass(w, 3 * MT_SEC, STEP);
	if (w->force.serial[MT_XDS_LDS][1])
		world_wrong(w, "what the server has no more is in force");
	world_pass(w, 2 * MINUTE, STEP);
	if (!w->force.serial[MT_XDS_LDS][0] || !w->force.serial[MT_XDS_CDS][0])
		world_wrong(w, "what the server still has is not");
}

const struct scenario scenarios[] = {
	{"away_for_an_hour", away_for_an_hour,
		"no server for an hour, then one that ends connections"},
	{"flapping", flapping, "200 connections, each cut a few bytes later than the one before"},
	{"never_an_answer", never_an_answer, "connections that come up and end before an answer"},
	{"half_open", half_open, "a server that is dead without a word"},
	{"resends", resends, "a server that answers each NACK with the same again"},
	{"wanted_again", wanted_again, "a name that nobody wants for a moment"},
	{"life_ends", life_ends, "a time to live that passes while the server is away"},
	{"disk_full", disk_full, "no room for the state file, a restart, and room again"},
	{"gone_while_away", gone_while_away, "a listener removed while node and server are away"},
	{"cut_off_state", cut_off_state, "the state file cut off at many places"},
	{0},
};
