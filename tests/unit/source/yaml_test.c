/* SPDX-License-Identifier: Apache-2.0 */
#include "source_test.h"

#include <errno.h>
#include <stdio.h>

struct bad_yaml {
	const char *text, *expect;
};

/* Syntax and bounds: the line and the words that must be in the message. */
static const struct bad_yaml bad_texts[] = {
	{"a: [1, 2\nb: 3\n", "2: warning:"},
	{"a: b: c\n", "1: warning: mapping values"},
	{"a:\n\t- b\n",
		"2: warning: found character that cannot start any token (indent with spaces"},
	{"a: b\nc: d\ne: \x01\nf: g\n", "3: warning: control characters are not allowed (0x01) "
					"(write the document as UTF-8"},
	{"a: b\nc: \xc3\x28\n", "2: warning: invalid trailing UTF-8 octet (0x28)"},
	{"kind: *x\n", "1: warning: unknown alias"},
	{"kind: &x [*x]\n", "1: warning: unknown alias"},
	{"? [a]\n: b\n", "1: warning: a key must be a text"},
	{"a: {<<: {b: c}}\n", "1: warning: merge keys"},
	{"kind: \"a\\0b\"\n", "1: warning: a text holds a NUL byte"},
	/* What says whose it is, is a mistake in an object of ours. */
	{"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: [\n",
		"5: error:"},
	{"{\"apiVersion\": \"security.istio.io/v1\", \"kind\": \"AuthorizationPolicy\"\n",
		"2: error:"},
};

static void bad_syntax(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(bad_texts); i++) {
		struct loaded l = load_text(bad_texts[i].text);

		CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), bad_texts[i].expect));
		if (!strstr(first_diag(&l), bad_texts[i].expect))
			fprintf(stderr, "%zu: %s\n", i, first_diag(&l));
		CU_ASSERT(l.diags.errors + l.diags.warnings >= 1);
		unload(&l);
	}
}

static void nothing_is_no_error(void)
{
	static const char *const texts[] = {
		"", "\n\n", "---\n", "---\n---\n", "# words\n", "null\n"};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct loaded l = load_text(texts[i]);

		CU_ASSERT_EQUAL(l.diags.errors + l.diags.warnings, 0);
		unload(&l);
	}
}

/* Ten levels of nine aliases each would be 9^10 values. */
static void alias_bomb(void)
{
	char text[2048] = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
	size_t len = strlen(text);
	struct loaded l;

	for (int i = 1; i < 10; i++) {
		len += (size_t)snprintf(text + len, sizeof(text) - len, "a%d: &a%d [", i, i);
		for (int j = 0; j < 9; j++)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s*a%d", j ? "," : "", i - 1);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "]\n");
	}
	l = load_text(text);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), "aliases expand to too many values"));
	CU_ASSERT(l.m->region.used < 1 << 20);
	unload(&l);
}

static void depth_limit(void)
{
	char text[400];
	struct loaded l;

	for (int depth = 60; depth <= 70; depth += 10) {
		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		text[2 * depth] = '\0';
		l = load_text(text);
		CU_ASSERT_EQUAL(strstr(first_diag(&l), "nested too deeply") != NULL, depth > 65);
		CU_ASSERT_EQUAL(l.diags.warnings, depth > 65);
		unload(&l);
	}
}

/* One anchored list stands for several, each with its own neighbours. */
static void aliases_share(void)
{
	struct loaded l = load_text("apiVersion: networking.istio.io/v1\n"
				    "kind: ServiceEntry\n"
				    "metadata: {name: a}\n"
				    "spec:\n"
				    "  hosts: [a]\n"
				    "  ports: [{number: 1, name: tcp}]\n"
				    "  resolution: STATIC\n"
				    "  endpoints:\n"
				    "  - address: 192.0.2.1\n"
				    "    labels: &l {version: v1, zone: z}\n"
				    "  - address: 192.0.2.2\n"
				    "    labels: *l\n");
	const struct mt_service_entry *se;

	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_EQUAL_FATAL(l.m->service_entries.n, 1);
	se = l.m->service_entries.v[0];
	CU_ASSERT_EQUAL_FATAL(se->n_endpoints, 2);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(se->endpoints[i].labels.n_kv, 2);
		CU_ASSERT_STRING_EQUAL(mt_labels_get(&se->endpoints[i].labels, "zone"), "z");
	}
	unload(&l);
}

struct duration_case {
	const char *text;
	int rc;
	uint64_t ms;
};

static const struct duration_case durations[] = {
	{"10s", 0, 10000},
	{"60s", 0, 60000},
	{"1h30m", 0, 5400000},
	{"1.5s", 0, 1500},
	{"100ms", 0, 100},
	{"1us", 0, 1},
	{"0s", 0, 0},
	{"2h", 0, 7200000},
	{"10", -EINVAL, 0},
	{"", -EINVAL, 0},
	{"s", -EINVAL, 0},
	{"-5s", -EINVAL, 0},
	{"0x10s", -EINVAL, 0},
	{"infs", -EINVAL, 0},
	{"1.2.3s", -EINVAL, 0},
	{"5 s", -EINVAL, 0},
	{"5sec", -EINVAL, 0},
	{"99999999h", -ERANGE, 0},
};

int mt_duration_parse(const char *text, uint64_t *ms);

static void duration_table(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(durations); i++) {
		uint64_t ms = 0;

		CU_ASSERT_EQUAL(mt_duration_parse(durations[i].text, &ms), durations[i].rc);
		CU_ASSERT_EQUAL(ms, durations[i].ms);
	}
}

static void edit_distance(void)
{
	CU_ASSERT_EQUAL(mt_edit_distance("host", "hsot", 9), 1);
	CU_ASSERT_EQUAL(mt_edit_distance("host", "hosts", 9), 1);
	CU_ASSERT_EQUAL(mt_edit_distance("Number", "number", 9), 0);
	CU_ASSERT_EQUAL(mt_edit_distance("kitten", "sitting", 9), 3);
	CU_ASSERT_EQUAL(mt_edit_distance("kitten", "sitting", 2), 2);
	CU_ASSERT_EQUAL(mt_edit_distance("", "abc", 9), 3);
}

const struct mt_test yaml_tests[] = {
	{"bad_syntax", bad_syntax},
	{"nothing_is_no_error", nothing_is_no_error},
	{"alias_bomb", alias_bomb},
	{"depth_limit", depth_limit},
	{"aliases_share", aliases_share},
	{"duration_table", duration_table},
	{"edit_distance", edit_distance},
	{0},
};
