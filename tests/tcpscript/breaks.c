/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that can be broken in this build of the rooms, and the cells that segments met. */
#include "script.h"

#include "mt_mutant.h"
#include "mt_tcp_cell_priv.h"

#include <string.h>

#define STATES	16
#define COLUMNS 32 /* FIN, SYN, RST, ACK, payload */

enum mt_mutant mt_mutant_on;
static uint32_t cells[STATES];

static const struct {
	const char *name;
	enum mt_mutant value;
	const char *words;
} breaks[] = {
#define MT_BREAK(n, w) {#n, MT_BREAK_##n, w},
#include "breaks.def"
#undef MT_BREAK
};

/* Those of the simulator's mutants that one connection can show. */
static const char *const shared[] = {"checksum_not_verified", "ack_of_unsent", "stale_window",
	"lost_fin", "forgotten_timer", "no_probe", "mss_without_options", "window_stays_shut",
	"window_taken_back", "leaked_mbuf", "overlap_not_trimmed", "reset_out_of_window",
	"deaf_half_closed", "early_eof", "impatient_cookie", "no_reorder_window", "dsack_ignored",
	"undo_missing", "timestamp_unchecked", "syn_window_scaled"};

static const char *const mutants[MT_MUTANT_N] = {
#define MT_MUTANT(n, w) [MT_MUTANT_##n] = #n,
#include "mutants.def"
#undef MT_MUTANT
};

uint32_t sc_breaks_count(void)
{
	return MT_ARRAY_LEN(breaks) + MT_ARRAY_LEN(shared);
}

const char *sc_break_name(uint32_t i)
{
	return i < MT_ARRAY_LEN(breaks) ? breaks[i].name : shared[i - MT_ARRAY_LEN(breaks)];
}

void sc_breaks_list(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(breaks); i++)
		printf("%-28s %s\n", breaks[i].name, breaks[i].words);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(shared); i++)
		printf("%-28s as in the simulator\n", shared[i]);
}

static bool select_mutant(const char *name)
{
	for (uint32_t i = 1; i < MT_MUTANT_N; i++)
		if (sc_is(mutants[i], name)) {
			mt_mutant_on = (enum mt_mutant)i;
			return true;
		}
	return false;
}

bool sc_break_select(const char *name)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(breaks); i++)
		if (sc_is(breaks[i].name, name)) {
			mt_mutant_on = breaks[i].value;
			return true;
		}
	return select_mutant(name);
}

/* Called by lib/tcp for each segment. */
void mt_cell(uint32_t state, const char *name, uint8_t flags, bool payload)
{
	uint32_t column = (flags & 7u) | (flags & SC_ACK ? 8u : 0u) | (payload ? 16u : 0u);

	if (state < STATES)
		cells[state] |= 1u << column;
}

/* The simulator counts these. */
void mt_tcp_cell_segment(enum mt_tcp_state state, const void *object, const struct mt_tcp_seg *seg)
{
}

void mt_tcp_cell(uint32_t state, enum mt_tcp_cell_event e)
{
}

/* `isn` of a script sets the clock. */
uint32_t mt_tcp_cell_isn(uint32_t isn)
{
	return isn;
}

uint32_t sc_cells(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < STATES; i++)
		n += (uint32_t)__builtin_popcount(cells[i]);
	return n;
}
