/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

static void sniffs_all(void)
{
	const uint8_t any[] = {0xff, 0};
	uint32_t need = 0;

	CU_ASSERT_PTR_EQUAL(mt_codec_bytes(), &mt_codec_opaque);
	CU_ASSERT_EQUAL(mt_codec_opaque.frame.sniff(&mt_codec_opaque, any, 0, &need), MT_SNIFF_YES);
	CU_ASSERT_EQUAL(mt_codec_opaque.frame.sniff(&mt_codec_opaque, any, sizeof(any), &need),
		MT_SNIFF_YES);
	CU_ASSERT_EQUAL(need, 0);
}

static void has_no_messages(void)
{
	CU_ASSERT_TRUE(mt_codec_opaque.opaque);
	CU_ASSERT_PTR_NULL(mt_codec_opaque.frame.decode);
	CU_ASSERT_PTR_NULL(mt_codec_opaque.write.reply);
	CU_ASSERT_EQUAL(mt_codec_opaque.id_max, 0);
}

const struct mt_test opaque_tests[] = {
	{"sniffs all", sniffs_all},
	{"has no messages", has_no_messages},
	{0},
};
