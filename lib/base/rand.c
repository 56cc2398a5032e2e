/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"

#include <sys/random.h>

static uint64_t splitmix64(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

void mt_rand_seed(struct mt_rand *r, uint64_t seed)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(r->s); i++)
		r->s[i] = splitmix64(&seed);
}

void mt_rand_secret(void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		MT_ASSERT(n > 0);
		p += n;
		len -= n;
	}
}
