/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attacker off the path (RFC 5961, 5927, 4953): it knows addresses and ports, it sees nothing, and
 * guesses numbers. Its segments are made from the victim's own state the moment before they are
 * processed, so that each kind is exactly what it claims: in the window but not exact, acknowledging what was
 * never sent, and so on. None may have an effect, so streams are judged as without it.
 */
#pragma once

#include "app_stream.h"
#include "own.h"

#define ATTACK_VICTIMS 2

struct attack {
	struct sim *sim;
	struct own *victim[ATTACK_VICTIMS];
	uint32_t victims, left; /* left: shots */
	uint64_t pace;
	struct stream_set *set;
};

/* Shoots until its shots or the streams are over. `a` outlives the run. */
void attack_start(struct attack *a, struct sim *s, struct stream_set *set);
