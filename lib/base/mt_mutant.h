/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known bugs that can be switched on to prove that the simulator, or a packet script, finds them.
 * Only their build of the libraries defines MT_MUTANTS. Everywhere else mt_mutant() is the constant
 * false, and its branch is not compiled. Usage, in one line at the place of the bug:
 *
 * 	if (mt_mutant(MT_MUTANT_lost_fin))
 * 		return;
 */
#pragma once

#include "mt_base.h"

enum mt_mutant {
	MT_MUTANT_NONE,
#define MT_MUTANT(n, w) MT_MUTANT_##n,
#include "mutants.def"
#undef MT_MUTANT
	MT_MUTANT_N,
/* Rules that packet scripts break (tests/tcpscript); the simulator does not test them. */
#define MT_BREAK(n, w) MT_BREAK_##n,
#include "breaks.def"
#undef MT_BREAK
	MT_BREAK_END,
/* For the simulator of control planes (tests/meshsim). */
#define MT_XDS_MUTANT(n, w) MT_MUTANT_##n,
#include "mutants_xds.def"
#undef MT_XDS_MUTANT
	MT_XDS_MUTANT_END,
/* For the unit tests of lib/keyed (tests/unit/keyed). */
#define MT_KEYED_MUTANT(n, w) MT_MUTANT_##n,
#include "mutants_keyed.def"
#undef MT_KEYED_MUTANT
	MT_KEYED_MUTANT_END,
/* For the unit tests of single files (tests/unit/mutants). */
#define MT_UNIT_MUTANT(n, w) MT_MUTANT_##n,
#include "mutants_unit.def"
#undef MT_UNIT_MUTANT
	MT_UNIT_MUTANT_END
};

/*
 * mt_cell(): a segment met a state. The simulator counts which cells of the table were visited; in
 * other builds it is empty.
 */
#ifdef MT_MUTANTS
extern enum mt_mutant mt_mutant_on;
#define mt_mutant(m) mt_unlikely(mt_mutant_on == (m))
void mt_cell(uint32_t state, const char *name, uint8_t tcp_flags, bool payload);
#else
#define mt_mutant(m) false
#define mt_cell(state, name, tcp_flags, payload)                                                   \
	do {                                                                                       \
	} while (0)
#endif
