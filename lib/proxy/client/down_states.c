/* SPDX-License-Identifier: Apache-2.0 */
/* The phases of ending a client connection (drain.c). Rows: state; columns: next state. */
#include "mt_states.h"

/* clang-format off */
static const uint8_t may[][MT_STATES_MAX] = {
	/*                      goes_on draining last refuses closing gone */
	[MT_DOWN_GOES_ON]   = { 0,      1,       1,   0,      1,      1 },
	[MT_DOWN_DRAINING]  = { 0,      0,       1,   0,      1,      1 },
	[MT_DOWN_LAST]      = { 0,      0,       0,   1,      1,      1 },
	[MT_DOWN_REFUSES]   = { 0,      0,       0,   0,      1,      1 },
	/* closing again: a second reason to close, or the pseudo-client of a mirrored copy */
	[MT_DOWN_CLOSING]   = { 0,      0,       0,   0,      1,      1 },
	[MT_DOWN_N_STATES]  = { 0 },
};
/* clang-format on */

static const char *const names[] = {
	[MT_DOWN_GOES_ON] = "goes_on",
	[MT_DOWN_DRAINING] = "draining",
	[MT_DOWN_LAST] = "last",
	[MT_DOWN_REFUSES] = "refuses",
	[MT_DOWN_CLOSING] = "closing",
	[MT_DOWN_N_STATES] = "gone",
};

static uint8_t seen[MT_ARRAY_LEN(may)][MT_STATES_MAX];

const struct mt_states mt_down_states = {"client", names, MT_ARRAY_LEN(may), may, seen};
