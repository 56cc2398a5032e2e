/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_span.h"

#include "suites.h"

#include <string.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"
#define NOID  "0000000000000000"

static struct mt_slice slice(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, s ? (uint32_t)strlen(s) : 0};
}

/* trace/span, as it was read, with ! if it is not sampled; "-": it was not read. */
static const char *shown(const struct mt_span *s, bool ok)
{
	static char text[64];
	char hex[2 * MT_TRACE_ID + 1];

	if (!ok)
		return "-";
	strcpy(text, mt_span_hex(s->trace, s->len, hex));
	if (s->has_id)
		strcat(strcat(text, "/"), mt_span_hex(s->id, MT_SPAN_ID, hex));
	return s->unsampled ? strcat(text, "!") : text;
}

struct row {
	const char *value, *want;
};

static void check(const struct row *rows, size_t n, bool (*read)(struct mt_span *, struct mt_slice))
{
	for (size_t i = 0; i < n; i++) {
		struct mt_span s = {0};

		CU_ASSERT_STRING_EQUAL(shown(&s, read(&s, slice(rows[i].value))), rows[i].want);
		/* Refused: as it was. */
		if (rows[i].want[0] == '-')
			CU_ASSERT(s.len == 0 && !s.has_id);
	}
}

static void test_w3c(void)
{
	static const struct row rows[] = {
		{"00-" TRACE "-" SPAN "-01", TRACE "/" SPAN},
		{"00-" TRACE "-" SPAN "-03", TRACE "/" SPAN},
		{"cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like", TRACE "/" SPAN},
		{"cc-" TRACE "-" SPAN "-01.what", "-"},
		{"00-" TRACE "-" SPAN "-01-", "-"},
		{"00-" TRACE "-" SPAN "-00", TRACE "/" SPAN "!"},
		{"ff-" TRACE "-" SPAN "-01", "-"},
		{"00-" NOID NOID "-" SPAN "-01", "-"},
		{"00-" TRACE "-" NOID "-01", "-"},
		{"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", "-"},
		{"00-" TRACE "_" SPAN "-01", "-"},
		{"00-" TRACE "-" SPAN "-0", "-"},
		{"", "-"},
	};

	check(rows, MT_ARRAY_LEN(rows), mt_span_w3c);
}

static void test_b3(void)
{
	static const struct row rows[] = {
		{TRACE "-" SPAN, TRACE "/" SPAN},
		{TRACE "-" SPAN "-1", TRACE "/" SPAN},
		{TRACE "-" SPAN "-d-" SPAN, TRACE "/" SPAN},
		{SPAN "-" SPAN "-1", SPAN "/" SPAN},
		{TRACE "-" SPAN "-0", TRACE "/" SPAN "!"},
		{TRACE "-" SPAN "-0-" SPAN, TRACE "/" SPAN "!"},
		{TRACE "-" SPAN "-", "-"},
		{TRACE "-" SPAN "1", "-"},
		{TRACE "-" NOID, "-"},
		{NOID "-" SPAN, "-"},
		{TRACE, "-"},
		{"0", "-"},
		{"-", "-"},
		{"", "-"},
	};

	check(rows, MT_ARRAY_LEN(rows), mt_span_b3);
}

static void test_b3_ids(void)
{
	static const struct {
		const char *trace, *id, *want;
	} rows[] = {
		{TRACE, SPAN, TRACE "/" SPAN},
		{TRACE, NULL, TRACE},
		{SPAN, NULL, SPAN},
		{TRACE, "12", "-"},
		{TRACE "00", SPAN, "-"},
		{"", SPAN, "-"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_span s = {0};
		bool ok = mt_span_b3_ids(&s, slice(rows[i].trace), slice(rows[i].id));

		CU_ASSERT_STRING_EQUAL(shown(&s, ok), rows[i].want);
	}
	CU_ASSERT_TRUE(mt_span_b3_unsampled(slice("0")));
	CU_ASSERT_TRUE(mt_span_b3_unsampled(slice("false")));
	CU_ASSERT_FALSE(mt_span_b3_unsampled(slice("1")));
	CU_ASSERT_FALSE(mt_span_b3_unsampled(slice("")));
}

/* Which of several keys counts. */
static void test_find(void)
{
	static const struct {
		const char *values[MT_SPAN_KEYS], *want;
	} rows[] = {
		{{"00-" TRACE "-" SPAN "-01", SPAN "-" SPAN, SPAN, SPAN, "0"}, TRACE "/" SPAN},
		{{"00-" TRACE "-" SPAN "-00", SPAN "-" SPAN}, TRACE "/" SPAN "!"},
		{{"?", SPAN "-" SPAN, TRACE, SPAN}, SPAN "/" SPAN},
		{{NULL, "0", TRACE, SPAN, "1"}, TRACE "/" SPAN},
		{{NULL, NULL, TRACE, SPAN, "false"}, TRACE "/" SPAN "!"},
		{{NULL, NULL, TRACE}, TRACE},
		{{NULL, NULL, NULL, SPAN, "1"}, "-"},
		{{NULL}, "-"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_slice values[MT_SPAN_KEYS];
		struct mt_span s = {0};

		for (uint32_t k = 0; k < MT_SPAN_KEYS; k++)
			values[k] = slice(rows[i].values[k]);
		CU_ASSERT_STRING_EQUAL(shown(&s, mt_span_find(&s, values)), rows[i].want);
	}
}

const struct mt_test span_tests[] = {
	{"W3C trace context", test_w3c},
	{"B3 in one value", test_b3},
	{"B3 in several values", test_b3_ids},
	{"several keys", test_find},
	{NULL, NULL},
};
