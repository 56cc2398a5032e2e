/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known bugs that can be switched on to prove that the simulator finds them. Only the simulator's build
 * of the rooms defines MT_MUTANTS; everywhere else mt_mutant() is the constant false and its branch is
 * not compiled. Usage, in one line at the place that the bug would be:
 *
 *	if (mt_mutant(MT_MUTANT_lost_fin))
 *		return;
 */
#pragma once

#include "mt_base.h"

enum mt_mutant {
	MT_MUTANT_NONE,
#define MT_MUTANT(n, w) MT_MUTANT_##n,
#include "mutants.def"
#undef MT_MUTANT
	MT_MUTANT_N
};

#ifdef MT_MUTANTS
extern enum mt_mutant mt_mutant_on;
#define mt_mutant(m) mt_unlikely(mt_mutant_on == (m))
#else
#define mt_mutant(m) false
#endif
