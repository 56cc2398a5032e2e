/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a server connection. Rows: state; columns: the next one. */
#include "mt_states.h"

/* clang-format off */
static const uint8_t may[][MT_STATES_MAX] = {
	/*                      connecting open draining gone */
	/* gone: the connection could not be opened */
	[MT_UP_CONNECTING]  = { 0,         1,   1,       1 },
	[MT_UP_OPEN]        = { 0,         0,   1,       0 },
	/* draining: again for another reason; gone: the end of the connection */
	[MT_UP_DRAINING]    = { 0,         0,   1,       1 },
	[MT_UP_N_STATES]    = { 0 },
};
/* clang-format on */

static const char *const names[] = {
	[MT_UP_CONNECTING] = "connecting",
	[MT_UP_OPEN] = "open",
	[MT_UP_DRAINING] = "draining",
	[MT_UP_N_STATES] = "gone",
};

static uint8_t seen[MT_ARRAY_LEN(may)][MT_STATES_MAX];

const struct mt_states mt_up_states = {"server", names, MT_ARRAY_LEN(may), may, seen};
