/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_siphash.h"

#include <string.h>

static inline void word(struct mt_sip *s, uint64_t m)
{
	s->v3 ^= m;
	mt_sip_round(s);
	mt_sip_round(s);
	s->v0 ^= m;
}

struct mt_sip mt_sip_init(const uint8_t key[16])
{
	uint64_t k0, k1;

	memcpy(&k0, key, 8);
	memcpy(&k1, key + 8, 8);
	return (struct mt_sip){k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
}

/* The bytes after the last complete word, with the length of all in the highest byte. */
static uint64_t last_word(const uint8_t *rest, size_t len)
{
	uint64_t last = (uint64_t)len << 56;

	for (size_t i = 0; i < len % 8; i++)
		last |= (uint64_t)rest[i] << (8 * i);
	return last;
}

uint64_t mt_siphash(const uint8_t key[16], const void *data, size_t len)
{
	struct mt_sip s = mt_sip_init(key);
	const uint8_t *p = data;
	uint64_t m;

	for (size_t n = len / 8; n > 0; n--, p += 8) {
		memcpy(&m, p, 8);
		word(&s, m);
	}
	word(&s, last_word(p, len));
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		mt_sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t mt_siphash13(const struct mt_sip *init, const void *data, size_t len)
{
	struct mt_sip s = *init;
	const uint8_t *p = data;
	uint64_t m;

	for (size_t n = len / 8; n > 0; n--, p += 8) {
		memcpy(&m, p, 8);
		mt_sip13_word(&s, m);
	}
	mt_sip13_word(&s, last_word(p, len));
	return mt_sip13_end(&s);
}
