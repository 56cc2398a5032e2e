/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_secret_hash.h"
#include "mt_siphash.h"
#include "suites.h"

/* From the reference implementation: key 00..0f, input 00, 01, 02, ... of the given length. */
static const struct {
	size_t len;
	uint64_t want;
} vectors[] = {
	{0, 0x726fdb47dd0e0e31ull},
	{1, 0x74f839c593dc67fdull},
	{8, 0x93f5f5799a932462ull},
	{15, 0xa129ca6149be45e5ull},
};

static void reference_vectors(void)
{
	uint8_t key[16], in[16];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = in[i] = i;
	for (size_t i = 0; i < MT_ARRAY_LEN(vectors); i++)
		CU_ASSERT_EQUAL(mt_siphash(key, in, vectors[i].len), vectors[i].want);
}

/* Without a key that was set, it is random: the hash of nothing is not that of any constant key. */
static void secret_hashes(void)
{
	const uint8_t keys[2][16] = {{1}, {2}};
	uint64_t first = mt_secret_hash(NULL, 0, 0), one;

	CU_ASSERT_EQUAL(mt_secret_hash(NULL, 0, 0), first);
	mt_secret_hash_set_key(keys[0]);
	one = mt_secret_hash("ab", 2, 7);
	CU_ASSERT_NOT_EQUAL(mt_secret_hash(NULL, 0, 0), first);
	CU_ASSERT_EQUAL(mt_secret_hash_text("ab", 7), one);
	CU_ASSERT_NOT_EQUAL(mt_secret_hash_text("ab", 8), one);
	CU_ASSERT_NOT_EQUAL(mt_secret_hash_text("b", mt_secret_hash_text("a", 7)), one);
	mt_secret_hash_set_key(keys[1]);
	CU_ASSERT_NOT_EQUAL(mt_secret_hash_text("ab", 7), one);
	mt_secret_hash_set_key(keys[0]);
	CU_ASSERT_EQUAL(mt_secret_hash_text("ab", 7), one);
}

const struct mt_test siphash_tests[] = {
	{"reference vectors", reference_vectors}, {"secret hashes", secret_hashes}, {0}};
