/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_steer.h"

/* Words of a Toeplitz input: IPv4 or IPv6 source, destination, then both ports. */
#define MT_STEER_WORDS4 3
#define MT_STEER_WORDS6 9

/* Writes the hash input of a tuple, in host byte order; returns the number of words. */
uint32_t mt_steer_words(const struct mt_tuple *t, uint32_t in[MT_STEER_WORDS6]);
