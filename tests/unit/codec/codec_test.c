/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

#include <ctype.h>
#include <stdio.h>

static void find(void)
{
	CU_ASSERT_PTR_EQUAL(mt_codec_find("dubbo"), &mt_codec_dubbo);
	CU_ASSERT_PTR_EQUAL(mt_codec_find("Dubbo"), &mt_codec_dubbo);
	CU_ASSERT_PTR_EQUAL(mt_codec_find("aeraki.meta_protocol.codec.thrift"), &mt_codec_thrift);
	CU_ASSERT_PTR_EQUAL(mt_codec_find("awesomerpc"), &mt_codec_awesomerpc);
	CU_ASSERT_PTR_EQUAL(mt_codec_find("tcp"), &mt_codec_opaque);
	CU_ASSERT_PTR_NULL(mt_codec_find("dubb"));
	CU_ASSERT_PTR_NULL(mt_codec_find(""));
}

static void keys(void)
{
	struct mt_key k = mt_key_make(&mt_codec_dubbo, "method");

	CU_ASSERT_EQUAL(k.id, 1);
	CU_ASSERT_EQUAL(k.len, 6);
	k = mt_key_make(&mt_codec_dubbo, "user-id");
	CU_ASSERT_EQUAL(k.id, -1);
}

/* What the proxy relies on without asking. */
static void traits(void)
{
	for (const struct mt_codec *const *c = mt_codecs; *c; c++) {
		CU_ASSERT((*c)->name && (*c)->name[0]);
		if ((*c)->opaque)
			continue;
		CU_ASSERT((*c)->decode && (*c)->sniff && (*c)->metadata && (*c)->index);
		CU_ASSERT((*c)->save && (*c)->reply && (*c)->keys && (*c)->max_message);
		CU_ASSERT((*c)->id_max == 0 || ((*c)->set_id && (*c)->restore_id));
		CU_ASSERT_EQUAL((*c)->id_min % 4096, 0);
		CU_ASSERT_EQUAL(((*c)->id_max + 1) % 4096, (*c)->id_max ? 0 : 1);
		CU_ASSERT((*c)->heartbeat_s == 0 || (*c)->heartbeat);
	}
}

static void words(void)
{
	for (int i = 0; i < MT_REPLY_N; i++)
		CU_ASSERT(strlen(mt_local_reply_str((enum mt_local_reply)i)) > 3);
	CU_ASSERT_STRING_EQUAL(mt_local_reply_str(MT_REPLY_N), "unknown");
}

const struct mt_test codec_tests[] = {
	{"find", find},
	{"keys", keys},
	{"traits", traits},
	{"words", words},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"codec", codec_tests},
		{"awesomerpc", awesomerpc_tests},
		{"dubbo", dubbo_tests},
		{"invoke", invoke_tests},
		{"thrift", thrift_tests},
		{"thrift values", thrift_value_tests},
		{"metadata index", meta_tests},
		{"random", random_tests},
		{0},
	};

	int rc;

	if (env_init())
		return EXIT_FAILURE;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&env_pools);
	return rc;
}
