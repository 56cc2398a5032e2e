/* SPDX-License-Identifier: Apache-2.0 */
/* The states of an exchange. Rows: state; columns: the next one. */
#include "mt_states.h"

/* clang-format off */
static const uint8_t may[][MT_STATES_MAX] = {
	/*                    routing on_demand suspended backoff trying filtering replying ready ended */
	[MT_EX_ROUTING]   = { 0,      1,        1,        1,      1,     0,        0,       1,    1 },
	[MT_EX_ON_DEMAND] = { 1,      0,        0,        0,      0,     0,        0,       1,    1 },
	[MT_EX_SUSPENDED] = { 1,      0,        0,        0,      0,     0,        0,       1,    1 },
	[MT_EX_BACKOFF]   = { 1,      0,        0,        0,      0,     0,        0,       1,    1 },
	/* to routing: another attempt follows */
	[MT_EX_TRYING]    = { 1,      0,        0,        1,      0,     1,        1,       1,    1 },
	[MT_EX_FILTERING] = { 0,      0,        0,        0,      0,     0,        0,       1,    1 },
	[MT_EX_REPLYING]  = { 0,      0,        0,        0,      0,     0,        0,       0,    1 },
	[MT_EX_READY]     = { 0,      0,        0,        0,      0,     0,        0,       0,    1 },
	[MT_EX_N_STATES]  = { 0 },
};
/* clang-format on */

static const char *const names[] = {
	[MT_EX_ROUTING] = "routing",
	[MT_EX_ON_DEMAND] = "on_demand",
	[MT_EX_SUSPENDED] = "suspended",
	[MT_EX_BACKOFF] = "backoff",
	[MT_EX_TRYING] = "trying",
	[MT_EX_FILTERING] = "filtering",
	[MT_EX_REPLYING] = "replying",
	[MT_EX_READY] = "ready",
	[MT_EX_N_STATES] = "ended",
};

static uint8_t seen[MT_ARRAY_LEN(may)][MT_STATES_MAX];

const struct mt_states mt_exchange_states = {"exchange", names, MT_ARRAY_LEN(may), may, seen};
