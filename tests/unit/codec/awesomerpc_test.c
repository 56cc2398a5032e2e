/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

static const struct expect vectors[] = {
	{"awesomerpc/request-v0", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 7, "cmd=300 user=-"},
	{"awesomerpc/request-v2", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 0x01020304,
		"cmd=12 user=Jason trace=7 use=- body=-"},
	{"awesomerpc/request-v2-empty", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 8, "cmd=1 user=-"},
	{"awesomerpc/reply-v2", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 0x01020304, "cmd=12"},
	{"awesomerpc/reply-error", MT_DIR_UP, MT_MSG_REPLY, MT_STATUS_APP_ERROR, 0, 7, "cmd=300"},
};

static void decode_and_ids(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++) {
		env_expect(&mt_codec_awesomerpc, &vectors[i]);
		env_round_trip(&mt_codec_awesomerpc, &vectors[i], 0xfedcba98);
	}
}

static void error_reply(void)
{
	struct mt_seed seed = {.id = 7, .aux = 300};
	struct mt_chain out = {0};
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("awesomerpc/reply-error", p);

	CU_ASSERT_EQUAL(mt_codec_awesomerpc.write.reply(&mt_codec_awesomerpc, &seed,
				MT_REPLY_TIMEOUT, "", &out, &env_pools),
		0);
	CU_ASSERT(env_equal(&out, p, n));
	mt_chain_free(&out);
}

static void refuse_malformed(void)
{
	static const uint8_t bad[][17] = {
		{3, 0, 0, 0, 1, 0, 0, 0, 13},			     /* version */
		{0, 0, 0, 0, 1, 0, 0, 0, 12},			     /* shorter than a header */
		{0, 0, 0, 0, 1, 0x7f},				     /* above the limit */
		{2, 0, 0, 0, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0},	     /* half a length */
		{2, 0, 0, 0, 1, 0, 0, 0, 16, 0, 0, 0, 0, 0, 2, 'a'}, /* metadata beyond the body */
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct mt_chain c = {0};
		struct mt_msg msg;

		env_append(&c, bad[i], sizeof(bad[i]), 1);
		CU_ASSERT_EQUAL(
			env_decode(&mt_codec_awesomerpc, MT_DIR_DOWN, &c, &msg), MT_DECODE_BAD);
		mt_chain_free(&c);
	}
}

const struct mt_test awesomerpc_tests[] = {
	{"awesomerpc_vectors", decode_and_ids},
	{"awesomerpc_error_reply", error_reply},
	{"awesomerpc_malformed", refuse_malformed},
	{0},
};
