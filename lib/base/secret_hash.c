/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keyed hashes (mt_secret_hash.h, mt_addr_hash.h). The first call draws the key, unless one was set
 * before.
 */
#include "mt_secret_hash.h"

#include "mt_addr_hash.h"
#include "mt_rand.h"
#include "mt_siphash.h"

#include <pthread.h>
#include <string.h>

static uint8_t secret[16];
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct mt_addr_key mt_addr_key;

static uint64_t word_of_key(uint64_t i)
{
	return mt_siphash(secret, &i, sizeof(i));
}

static void derive(void)
{
	mt_addr_key = (struct mt_addr_key){.q = {word_of_key(0), word_of_key(1)},
		.factor = word_of_key(2) | 1 | UINT64_C(1) << 63};
}

static void make_key(void)
{
	mt_rand_secret(secret, sizeof(secret));
	derive();
}

/* In place of make_key(), so that a later call draws none. */
static void have_key(void)
{
}

uint64_t mt_secret_hash(const void *p, size_t len, uint64_t seed)
{
	uint64_t both[2] = {seed};

	pthread_once(&once, make_key);
	both[1] = mt_siphash(secret, p, len);
	return mt_siphash(secret, both, sizeof(both));
}

uint64_t mt_secret_hash_text(const char *s, uint64_t seed)
{
	return mt_secret_hash(s, strlen(s), seed);
}

void mt_secret_hash_set_key(const uint8_t key[16])
{
	pthread_once(&once, have_key);
	memcpy(secret, key, sizeof(secret));
	derive();
}

void mt_addr_hash_ready(void)
{
	pthread_once(&once, make_key);
}
