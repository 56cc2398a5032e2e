/* SPDX-License-Identifier: Apache-2.0 */
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

const struct mt_test siphash_tests[] = {{"reference vectors", reference_vectors}, {0}};
