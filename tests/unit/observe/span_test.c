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

/*
 * trace/span, or "-" if no trace was read, and the decision: ? none, nothing if sampled, ! unsampled,
 * d debug.
 */
static const char *shown(const struct mt_span *s, bool ok)
{
	static const char *const marks[] = {"?", "", "!", "d"};
	static char text[64];
	char hex[2 * MT_TRACE_ID + 1];

	strcpy(text, ok ? mt_span_hex(s->trace, s->len, hex) : "-");
	if (ok && s->has_id)
		strcat(strcat(text, "/"), mt_span_hex(s->id, MT_SPAN_ID, hex));
	return strcat(text, marks[s->sampling]);
}

struct row {
	const char *value, *want;
};

static void check(const struct row *rows, size_t n, bool (*read)(struct mt_span *, struct mt_slice))
{
	for (size_t i = 0; i < n; i++) {
		struct mt_span s = {.sampling = MT_SPAN_SAMPLED};

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
		{TRACE "-" SPAN, TRACE "/" SPAN "?"},
		{TRACE "-" SPAN "-1", TRACE "/" SPAN},
		{TRACE "-" SPAN "-d-" SPAN, TRACE "/" SPAN "d"},
		{SPAN "-" SPAN "-1", SPAN "/" SPAN},
		{TRACE "-" SPAN "-0", TRACE "/" SPAN "!"},
		{TRACE "-" SPAN "-0-" SPAN, TRACE "/" SPAN "!"},
		{TRACE "-" SPAN "-", "-"},
		{TRACE "-" SPAN "1", "-"},
		{TRACE "-" SPAN "-2", "-"},
		{TRACE "-" SPAN "-01", "-"},
		{TRACE "-" SPAN "-1-", "-"},
		{TRACE "-" SPAN "-1-" NOID, "-"},
		{TRACE "-" SPAN "-1-" SPAN "0", "-"},
		{TRACE "-" SPAN "-1-00F067AA0BA902B7", "-"},
		{TRACE "-00F067AA0BA902B7", "-"},
		{TRACE "-" SPAN "-" SPAN, "-"},
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
		{TRACE, SPAN, TRACE "/" SPAN "?"},
		{TRACE, NULL, TRACE "?"},
		{SPAN, NULL, SPAN "?"},
		{TRACE, "12", "-"},
		{TRACE "00", SPAN, "-"},
		{"", SPAN, "-"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_span s = {.sampling = MT_SPAN_SAMPLED};
		bool ok = mt_span_b3_ids(&s, slice(rows[i].trace), slice(rows[i].id));

		CU_ASSERT_STRING_EQUAL(shown(&s, ok), rows[i].want);
	}
}

/* Which of several keys counts. */
static void test_find(void)
{
	static const struct {
		const char *values[MT_SPAN_ALL_KEYS], *want;
	} rows[] = {
		{{"00-" TRACE "-" SPAN "-01", SPAN "-" SPAN, SPAN, SPAN, "0", "1"}, TRACE "/" SPAN},
		{{"00-" TRACE "-" SPAN "-00", SPAN "-" SPAN}, TRACE "/" SPAN "!"},
		{{"?", SPAN "-" SPAN, TRACE, SPAN}, SPAN "/" SPAN "?"},
		/* A state alone is a decision, before X-B3-*. */
		{{NULL, "0", TRACE, SPAN, "1"}, "-!"},
		{{NULL, "1"}, "-"},
		{{NULL, "d"}, "-d"},
		{{NULL, "2", TRACE, SPAN, "1"}, TRACE "/" SPAN},
		{{NULL, "", TRACE, SPAN, "1"}, TRACE "/" SPAN},
		{{NULL, NULL, TRACE, SPAN}, TRACE "/" SPAN "?"},
		{{NULL, NULL, TRACE, SPAN, "0"}, TRACE "/" SPAN "!"},
		{{NULL, NULL, TRACE, SPAN, "false"}, TRACE "/" SPAN "!"},
		{{NULL, NULL, TRACE, SPAN, "true"}, TRACE "/" SPAN},
		{{NULL, NULL, TRACE, SPAN, "d"}, "-?"},
		{{NULL, NULL, TRACE, SPAN, "yes"}, "-?"},
		{{NULL, NULL, TRACE, SPAN, ""}, "-?"},
		{{NULL, NULL, TRACE, SPAN, "0", "1"}, TRACE "/" SPAN "d"},
		{{NULL, NULL, TRACE, SPAN, "1", "0"}, TRACE "/" SPAN},
		{{NULL, NULL, TRACE}, TRACE "?"},
		{{NULL, NULL, NULL, SPAN, "1"}, "-?"},
		{{NULL, NULL, "x", SPAN, "0"}, "-?"},
		{{NULL, NULL, NULL, NULL, "0"}, "-!"},
		{{NULL, NULL, NULL, NULL, NULL, "1"}, "-d"},
		{{NULL}, "-?"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_span_values values = {.seen = 0};
		struct mt_span s;
		bool found;

		for (uint32_t k = 0; k < MT_SPAN_ALL_KEYS; k++)
			if (rows[i].values[k])
				mt_span_see(&values, (enum mt_span_key)k, slice(rows[i].values[k]));
		found = mt_span_find(&s, &values);
		CU_ASSERT_STRING_EQUAL(shown(&s, found), rows[i].want);
	}
}

/* A context with a key twice counts as absent, also if both values are equal. */
static void test_twice(void)
{
	static const char *const first[MT_SPAN_ALL_KEYS] = {
		"00-" TRACE "-" SPAN "-01", SPAN "-" SPAN "-0", TRACE, SPAN, "1", "1"};
	static const struct {
		uint8_t seen, twice; /* bits of keys */
		const char *want;
	} rows[] = {
		{0x01, 0x01, "-?"},
		{0x03, 0x01, SPAN "/" SPAN "!"},
		{0x3f, 0x02, TRACE "/" SPAN},
		{0x3f, 0x01, SPAN "/" SPAN "!"},
		{0x3f, 0x03, TRACE "/" SPAN "d"},
		{0x1e, 0x02, TRACE "/" SPAN},
		{0x1c, 0x04, "-?"},
		{0x1c, 0x08, "-?"},
		{0x1c, 0x10, "-?"},
		{0x3c, 0x20, "-?"},
		{0x10, 0x10, "-?"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_span_values values = {.seen = 0};
		struct mt_span s;
		bool found;

		for (uint32_t k = 0; k < MT_SPAN_ALL_KEYS; k++)
			for (uint32_t n = (rows[i].seen >> k & 1) + (rows[i].twice >> k & 1); n;
				n--)
				mt_span_see(&values, (enum mt_span_key)k, slice(first[k]));
		found = mt_span_find(&s, &values);
		CU_ASSERT_STRING_EQUAL(shown(&s, found), rows[i].want);
	}
}

const struct mt_test span_tests[] = {
	{"W3C trace context", test_w3c},
	{"B3 in one value", test_b3},
	{"B3 in several values", test_b3_ids},
	{"several keys", test_find},
	{"keys twice", test_twice},
	{NULL, NULL},
};
