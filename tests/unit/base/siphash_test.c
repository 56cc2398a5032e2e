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

/* SipHash-1-3 of the same key and input, by another implementation. */
static const struct {
	size_t len;
	uint64_t want;
} vectors13[] = {
	{0, 0xabac0158050fc4dcull},
	{1, 0xc9f49bf37d57ca93ull},
	{7, 0xd3927d989bb11140ull},
	{8, 0x369095118d299a8eull},
	{9, 0x25a48eb36c063de4ull},
	{15, 0xd320d86d2a519956ull},
	{16, 0xcc4fdd1a7d908b66ull},
	{63, 0x9d199062b7bbb3a8ull},
};

static void fewer_rounds(void)
{
	uint8_t key[16], in[64];
	struct mt_sip init;
	uint64_t word;

	for (uint8_t i = 0; i < 64; i++)
		in[i] = i;
	memcpy(key, in, sizeof(key));
	init = mt_sip_init(key);
	for (size_t i = 0; i < MT_ARRAY_LEN(vectors13); i++)
		CU_ASSERT_EQUAL(mt_siphash13(&init, in, vectors13[i].len), vectors13[i].want);
	/* Seven bytes are one word with their length. */
	memcpy(&word, in, 8);
	word = (word & ~(UINT64_C(0xff) << 56)) | UINT64_C(7) << 56;
	CU_ASSERT_EQUAL(mt_sip13_one(&init, word), vectors13[2].want);
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

const struct mt_test siphash_tests[] = {{"reference vectors", reference_vectors},
	{"fewer rounds", fewer_rounds}, {"secret hashes", secret_hashes}, {0}};
