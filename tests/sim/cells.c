/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include "link.h"
#include "mt_mutant.h"

#include <inttypes.h>

enum { EV_SYN, EV_SYN_ACK, EV_ACK, EV_DATA, EV_FIN, EV_FIN_DATA, EV_RST, EV_OTHER, EV_N };

static const char *const event_names[EV_N] = {
	"SYN", "SYN+ACK", "ACK", "data", "FIN", "FIN+data", "RST", "other"};

#define STATES 16
static uint64_t cells[STATES][EV_N];
static const char *state_names[STATES];

static uint32_t event_of(uint8_t flags, bool payload)
{
	if (flags & SIM_RST)
		return EV_RST;
	if (flags & SIM_SYN)
		return flags & SIM_ACK ? EV_SYN_ACK : EV_SYN;
	if (flags & SIM_FIN)
		return payload ? EV_FIN_DATA : EV_FIN;
	if (!(flags & SIM_ACK))
		return EV_OTHER;
	return payload ? EV_DATA : EV_ACK;
}

/* Called by lib/tcp for each segment that arrives. */
void mt_cell(uint32_t state, const char *name, uint8_t tcp_flags, bool payload)
{
	if (state >= STATES)
		return;
	state_names[state] = name;
	cells[state][event_of(tcp_flags, payload)]++;
}

uint32_t sim_cells_visited(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < STATES; i++)
		for (uint32_t e = 0; e < EV_N; e++)
			n += cells[i][e] != 0;
	return n;
}

void sim_cells_print(void)
{
	printf("segments by state and event:\n  %-12s", "");
	for (uint32_t e = 0; e < EV_N; e++)
		printf(" %9s", event_names[e]);
	printf("\n");
	for (uint32_t i = 0; i < STATES; i++) {
		uint64_t any = 0;

		for (uint32_t e = 0; e < EV_N; e++)
			any |= cells[i][e];
		if (!any)
			continue;
		printf("  %-12s", state_names[i]);
		for (uint32_t e = 0; e < EV_N; e++)
			printf(" %9" PRIu64, cells[i][e]);
		printf("\n");
	}
}
