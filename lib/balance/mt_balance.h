/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/balance: pure tables that turn a hash, a random number or a counter into the index of an endpoint.
 * Built on the control thread, read by workers; used by L4 and L7 alike. Know nothing of endpoints but
 * a name and a weight.
 */
#pragma once

#include "mt_base.h"

/* Maglev (Eisenbud et al., NSDI 2016): few keys move when a backend leaves. */
struct mt_maglev {
	uint32_t size; /* prime, >= 100 n and >= 251 */
	uint32_t *slots;
};

/* names[i] identifies backend i whatever its place; weights may be NULL (equal). 0 or -ENOMEM. */
int mt_maglev_build(
	struct mt_maglev *m, const char *const *names, const uint32_t *weights, uint32_t n);
void mt_maglev_free(struct mt_maglev *m);

static inline uint32_t mt_maglev_pick(const struct mt_maglev *m, uint64_t hash)
{
	return m->slots[hash % m->size];
}

/* XXH64 of the value seeded with `seed` (0 first, then the previous result for more keys). */
uint64_t mt_balance_hash(const void *p, size_t len, uint64_t seed);
