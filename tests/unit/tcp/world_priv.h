/* SPDX-License-Identifier: Apache-2.0 */
/* Between world.c (the stack's life and its user), world_net.c (what leaves) and world_rx.c (what arrives). */
#pragma once

#include "world.h"

/* Of Ethernet and IP. */
#define HEAD(ip6) (14u + ((ip6) ? 40u : 20u))

/* The byte at a place of either stream. */
static inline uint8_t pattern(uint32_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13 + 3);
}

/* Forgets what is to arrive. */
void rx_nothing(void);
