/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log, with --log: each call of a client, and each message that is refused
 * without one, leaves one, which ends as the call did. They are read after each loop iteration,
 * with the names that they point to. A log changes nothing: a seed has the same trace without it.
 */
#pragma once

#include "sim.h"

struct mesh;
struct rpc_set;

/* What is kept of an entry of a call or message. */
struct entry_heard {
	uint64_t started, ended;
	uint32_t bytes_in;
	uint8_t ending; /* enum mt_ending */
	bool of_call;	/* false: of a message that was refused without one */
	bool taken;	/* entries_calls.c: such a message's client is known */
	char method;	/* 'a', 'b', or 0: another one or none */
};

/* Makes a ring for each worker, before the workers. */
void entries_init(struct mesh *m);
/* Reads what the worker has written. */
void entries_turn(struct mesh *m, unsigned int worker);
/* When nothing is under way any more: there are as many entries as calls. */
void entries_check(struct mesh *m);
void entries_fini(struct mesh *m);
/* The same: calls have entries that end as clients and servers know it (entries_calls.c). */
void entries_of_calls(struct mesh *m, const struct rpc_set *set);

/*
 * entries_seen.c: rows of endings.def. Prints those that came about, and why the others did not;
 * false if one is missing that so many seeds must produce, or one came about that cannot.
 */
bool entries_seen(const uint64_t n[MT_N_ENDINGS], uint64_t seeds, const struct sim_options *o);
