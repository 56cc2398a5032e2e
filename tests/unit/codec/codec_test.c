/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

#include "mt_codec_registry.h"

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

/* Ids have a fixed place, which must be wide enough, or functions that write them. */
static void ids(const struct mt_codec *c)
{
	uint32_t width = c->correlate.id_width;

	if (c->id_max == 0)
		return;
	CU_ASSERT_EQUAL(c->correlate.set_id == NULL, width != 0);
	CU_ASSERT_EQUAL(c->correlate.restore_id == NULL, width != 0);
	CU_ASSERT(width == 0 || width == 4 || width == 8);
	CU_ASSERT(width != 4 || c->id_max <= UINT32_MAX);
	CU_ASSERT(c->correlate.id_at + width <= MT_CHAIN_PREFIX_MAX);
}

/* What the proxy relies on without asking. */
static void traits(void)
{
	for (const struct mt_codec *const *c = mt_codecs; *c; c++) {
		CU_ASSERT((*c)->name && (*c)->name[0]);
		if ((*c)->opaque)
			continue;
		CU_ASSERT((*c)->frame.decode && (*c)->frame.sniff && (*c)->metadata.leading &&
			  (*c)->metadata.index);
		CU_ASSERT((*c)->correlate.save && (*c)->write.reply && (*c)->keys &&
			  (*c)->max_message);
		ids(*c);
		CU_ASSERT_EQUAL((*c)->id_min % 4096, 0);
		CU_ASSERT_EQUAL(((*c)->id_max + 1) % 4096, (*c)->id_max ? 0 : 1);
		CU_ASSERT((*c)->heartbeat_s == 0 || (*c)->write.heartbeat);
	}
}

/* Connections and images keep what has the same identity, wherever it is in memory. */
static void identity(void)
{
	struct mt_codec other = mt_codec_dubbo, data = mt_codec_dubbo;

	CU_ASSERT_TRUE(mt_codec_same(&mt_codec_dubbo, &other));
	other.version++;
	CU_ASSERT_FALSE(mt_codec_same(&mt_codec_dubbo, &other));
	other = mt_codec_dubbo;
	other.name = "dubbo3";
	CU_ASSERT_FALSE(mt_codec_same(&mt_codec_dubbo, &other));
	CU_ASSERT_TRUE(mt_codec_same(NULL, NULL));
	CU_ASSERT_FALSE(mt_codec_same(&mt_codec_dubbo, NULL));
	CU_ASSERT_FALSE(mt_codec_same(NULL, &mt_codec_dubbo));
	data.content = other.content = 7;
	data.version++;
	CU_ASSERT_TRUE(mt_codec_same(&data, &other));
	data.content++;
	CU_ASSERT_FALSE(mt_codec_same(&data, &other));
	for (const struct mt_codec *const *a = mt_codecs; *a; a++) {
		CU_ASSERT_PTR_EQUAL(mt_codec_of(mt_codec_identity(*a)), *a);
		CU_ASSERT_NOT_EQUAL((*a)->version, 0);
		CU_ASSERT_EQUAL((*a)->content, 0);
		for (const struct mt_codec *const *b = mt_codecs; *b; b++)
			CU_ASSERT_EQUAL(mt_codec_same(*a, *b), a == b);
	}
	CU_ASSERT_PTR_NULL(mt_codec_of(0));
}

/* Rules for one version of a codec file are right for messages that another one reads. */
static void versions(void)
{
	static const char *const keys[] = {"user", "method", NULL}, *const fewer[] = {"user", NULL};
	struct mt_codec first = {.name = "acme", .content = 1, .keys = keys}, other = first;

	other.content = 2;
	CU_ASSERT_TRUE(mt_codec_is_version(&first, &other));
	other.keys = fewer;
	CU_ASSERT_FALSE(mt_codec_is_version(&first, &other));
	CU_ASSERT_FALSE(mt_codec_is_version(&other, &first));
	other.keys = keys;
	other.service_key = "user";
	CU_ASSERT_FALSE(mt_codec_is_version(&first, &other));
	first.service_key = "user";
	CU_ASSERT_TRUE(mt_codec_is_version(&first, &other));
	other.executes_other = true;
	CU_ASSERT_FALSE(mt_codec_is_version(&first, &other));
	other.executes_other = false;
	other.executed_keys = fewer;
	CU_ASSERT_FALSE(mt_codec_is_version(&first, &other));
	other.executed_keys = NULL;
	other.name = "acme2";
	CU_ASSERT_FALSE(mt_codec_is_version(&first, &other));
	CU_ASSERT_FALSE(mt_codec_is_version(&mt_codec_dubbo, &mt_codec_dubbo));
}

static void words(void)
{
	for (int i = 0; i < MT_REPLY_N; i++)
		CU_ASSERT(strlen(mt_local_reply_str((enum mt_local_reply)i)) > 3);
	CU_ASSERT_STRING_EQUAL(mt_local_reply_str(MT_REPLY_N), "unknown");
}

/* A registry has the codecs of this build first, and each name once. */
static void registry(void)
{
	const struct mt_codec acme = {.name = "acme",
				      .aeraki_name = "aeraki.meta_protocol.codec.acme"},
			      again = {.name = "Dubbo"},
			      aeraki = {.name = "b",
				      .aeraki_name = "aeraki.meta_protocol.codec.acme"};
	const struct mt_codec *good[] = {&acme}, *bad[] = {&again}, *twice[] = {&acme, &aeraki};
	struct mt_codec_registry *r = mt_codec_registry_new(good, 1), *none;
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	while (mt_codecs[n]) {
		CU_ASSERT_PTR_EQUAL(r->v[n], mt_codecs[n]);
		n++;
	}
	CU_ASSERT_EQUAL(r->n, n + 1);
	CU_ASSERT_EQUAL(mt_codec_registry_built_in()->n, n);
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_find(r, "ACME"), &acme);
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_find(r, acme.aeraki_name), &acme);
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_find(r, "dubbo"), &mt_codec_dubbo);
	CU_ASSERT_PTR_NULL(mt_codec_registry_find(mt_codec_registry_built_in(), "acme"));
	CU_ASSERT_PTR_NULL(mt_codec_registry_new(bad, 1));
	CU_ASSERT_PTR_NULL(mt_codec_registry_new(twice, 2));
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_hold(r), r);
	mt_codec_registry_drop(r);
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_find(r, "acme"), &acme);
	mt_codec_registry_drop(r);
	mt_codec_registry_drop(NULL);
	none = mt_codec_registry_new(NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(none);
	CU_ASSERT_EQUAL(none->n, n);
	mt_codec_registry_drop(none);
}

const struct mt_test codec_tests[] = {
	{"find", find},
	{"registry", registry},
	{"keys", keys},
	{"traits", traits},
	{"identity", identity},
	{"versions of a codec file", versions},
	{"words", words},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"codec", codec_tests},
#define MT_CODEC(folder) {#folder, folder##_tests},
#include "codecs.def"
#undef MT_CODEC
		{"ending", ending_tests},
		{"errors", error_tests},
		{"invoke", invoke_tests},
		{"thrift values", thrift_value_tests},
		{"metadata index", meta_tests},
		{"golden bytes", golden_tests},
		{"quick", quick_tests},
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
