/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allowed changes of objects' states. Each object with states has a const table, in a file of its
 * own, and one function here that changes its state. The tables dispatch nothing: builds
 * with MT_STATES (debug builds and the simulator) stop at a change that the table does not have,
 * and note the changes that happen, so that a test can list those that never do
 * (tests/lint/state_changes.py). Other builds only store the new state.
 */
#pragma once

#include "mt_proxy_types.h"

#define MT_STATES_MAX 9

struct mt_states {
	const char *object; /* its name */
	const char *const *names;
	uint32_t n; /* states, with the object's end if it has one */
	/* [from][to]: 1: may follow. */
	const uint8_t (*may)[MT_STATES_MAX];
	/* [from][to], of this process. Any worker may write a 1. */
	uint8_t (*seen)[MT_STATES_MAX];
};

extern const struct mt_states
	mt_exchange_states; /* call/exchange_states.c; its end: MT_EX_N_STATES */
extern const struct mt_states mt_attempt_states, mt_receive_states; /* call/attempt_states.c */
extern const struct mt_states mt_down_states; /* client/down_states.c; its end: MT_DOWN_N_STATES */
extern const struct mt_states mt_up_states;   /* pool/up_states.c; its end: MT_UP_N_STATES */

/* All tables of states, for tests; NULL ends the list. */
extern const struct mt_states *const mt_states_all[];

/* Notes the change; aborts if the table does not have it. */
void mt_states_note(const struct mt_states *t, uint32_t from, uint32_t to);

static inline void mt_states_change(const struct mt_states *t, uint32_t from, uint32_t to)
{
#ifdef MT_STATES
	mt_states_note(t, from, to);
#endif
}

static inline void mt_exchange_becomes(struct mt_exchange *ex, enum mt_ex_state to)
{
	mt_states_change(&mt_exchange_states, ex->state, to);
	ex->state = to;
}

static inline void mt_attempt_becomes(struct mt_attempt *a, enum mt_attempt_state to)
{
	mt_states_change(&mt_attempt_states, a->state, to);
	a->state = to;
}

static inline void mt_attempt_receives(struct mt_attempt *a, enum mt_receive to)
{
	mt_states_change(&mt_receive_states, a->receive, to);
	a->receive = to;
}

static inline void mt_down_becomes(struct mt_down *d, enum mt_down_ending to)
{
	mt_states_change(&mt_down_states, d->ending, to);
	d->ending = (uint8_t)to;
}

static inline void mt_up_becomes(struct mt_up *u, enum mt_up_state to)
{
	mt_states_change(&mt_up_states, u->state, to);
	u->state = to;
}
