/* SPDX-License-Identifier: Apache-2.0 */
/* Shared between maglev.c, which fills tables, and maglev_share.c, which keeps them. */
#pragma once

#include "mt_balance.h"

/*
 * Fills `slots` with indexes of backends. `size` is a prime, at least 16 n; weights are > 0, except
 * those of excluded backends, and one at least is > 0. Returns 0 or -ENOMEM.
 */
int mt_maglev_fill(uint32_t *slots, uint32_t size, const char *const *names,
	const uint32_t *weights, uint32_t n);
