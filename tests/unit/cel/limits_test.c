/* SPDX-License-Identifier: Apache-2.0 */
/* Each limit: the largest that fits, and one more. */
#include "suites.h"

static struct mt_cel_frame frame;
static char text[2 * MT_CEL_TEXT];

static void repeat(const char *part, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		strcat(text, part);
}

/* Compiles `text`; want: NULL, or the error's start. */
static struct mt_cel *try(const char *want)
{
	struct mt_err e = {""};
	struct mt_cel *cel = mt_cel_new(text, strlen(text), &cel_attributes, &e);

	if (want ? !strstr(e.text, want) : !cel)
		printf("\n  %.40s...: %s\n", text, e.text);
	CU_ASSERT(want ? !cel && strstr(e.text, want) : cel != NULL);
	return cel;
}

/* `head`, then n times `part`, then `tail`. */
static void sized(
	const char *head, const char *part, uint32_t n, const char *tail, const char *want)
{
	text[0] = '\0';
	strcat(text, head);
	repeat(part, n);
	strcat(text, tail);
	mt_cel_free(try(want));
}

static void lengths(void)
{
	sized("'", "x", MT_CEL_TEXT - 2, "'", NULL);
	sized("'", "x", MT_CEL_TEXT - 1, "'",
		"column 4097: the expression is longer than 4096 bytes; divide it");
	sized("true", "||true", MT_CEL_CONSTS - 1, "", NULL);
	sized("true", "||true", MT_CEL_CONSTS, "",
		"more than 256 constants; divide the expression");
	sized("1 in [", "response.code,", MT_CEL_CELLS, "1",
		"the lists have more than 256 elements");
	sized("request.path.matches('x')", "||request.path.matches('x')", MT_CEL_MATCHES - 1, "",
		NULL);
	sized("request.path.matches('x')", "||request.path.matches('x')", MT_CEL_MATCHES, "",
		"more than 8 calls of matches(); join regexes by |");
}

static void depths(void)
{
	static const char *const parts[][3] = {{"(", "1", ")"}, {"-", "(1)", ""}, {"!", "true", ""},
		{"[", "1", "]"}, {"size([", "1", "])"}, {"has(", "request.path", ")"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
		for (uint32_t n = 1; n < 200; n += 40) {
			struct mt_err e = {""};
			struct mt_cel *cel;

			text[0] = '\0';
			repeat(parts[i][0], n);
			strcat(text, parts[i][1]);
			repeat(parts[i][2], n);
			cel = mt_cel_new(text, strlen(text), &cel_attributes, &e);
			CU_ASSERT(n == 1 ? cel != NULL
					 : strstr(e.text, "nested deeper than 32") != NULL);
			mt_cel_free(cel);
		}
	sized("", "(", MT_CEL_DEPTH - 1, "1)))))))))))))))))))))))))))))))", NULL);
	sized("", "(", MT_CEL_DEPTH, "1))))))))))))))))))))))))))))))))",
		"column 33: nested deeper than 32");
	/* Operands that wait, by the looseness of their operators. */
	sized("", "true||true&&1==1+1*(1==1?1:", 20, "", "values wait for an operator");
}

/* Steps are at most the number of instructions, also where all are run. */
static void steps(void)
{
	struct mt_cel *cel;

	text[0] = '\0';
	strcat(text, "connection.mtls");
	repeat("&&connection.mtls", 200);
	cel = try(NULL);
	CU_ASSERT(cel && mt_cel_is_true(cel, &frame, NULL));
	CU_ASSERT_EQUAL(frame.steps, mt_cel_steps(cel));
	CU_ASSERT_EQUAL(frame.steps, 601);
	CU_ASSERT(mt_cel_steps(cel) <= MT_CEL_CODE);
	mt_cel_free(cel);
	/* One jump skips the rest. */
	text[0] = '\0';
	strcat(text, "true || (1 / 0 == 1)");
	cel = try(NULL);
	CU_ASSERT(cel && mt_cel_is_true(cel, &frame, NULL));
	CU_ASSERT_EQUAL(frame.steps, 2);
	mt_cel_free(cel);
	sized("has(metadata.a)", "&&!has(metadata.a)", 204, "", NULL);
	sized("has(metadata.a)", "&&!has(metadata.a)", 205, "",
		"more than 1024 operations; divide it");
}

/* Work with texts and lists that attributes bring is limited, too. */
static void work(void)
{
	static uint8_t bytes[MT_CEL_WORK + 1];
	struct mt_cel_value long_text = mt_cel_text((struct mt_slice){bytes, sizeof(bytes)}), v;
	static const struct {
		const char *text;
		uint32_t len;
		enum mt_cel_type want;
	} t[] = {
		{"int(test.arg)", MT_CEL_WORK, MT_CEL_INT},
		{"int(test.arg)", MT_CEL_WORK + 1, MT_CEL_ERROR},
		{"timestamp('2026-01-02T03:04:05.' + test.arg + 'Z')", 64, MT_CEL_TIMESTAMP},
		{"request.time.getHours('+' + test.arg + '1:00')", 27, MT_CEL_INT},
		{"request.time.getHours('+' + test.arg + '1:00')", 28, MT_CEL_ERROR},
		{"size(string(test.arg))", MT_CEL_WORK, MT_CEL_INT},
		{"size(string(test.arg))", MT_CEL_WORK + 1, MT_CEL_ERROR},
		{"test.arg.contains('x') || test.arg.contains('y')", MT_CEL_WORK / 2 - 1,
			MT_CEL_BOOL},
		{"test.arg.contains('x') || test.arg.contains('y')", MT_CEL_WORK / 2, MT_CEL_ERROR},
		{"test.arg == test.arg", MT_CEL_WORK, MT_CEL_ERROR},
		{"test.arg.startsWith('x')", MT_CEL_WORK + 1, MT_CEL_BOOL},
		{"test.arg + ''", MT_CEL_SCRATCH, MT_CEL_STRING},
		{"test.arg + 'x'", MT_CEL_SCRATCH, MT_CEL_ERROR},
		{"test.arg + '' + ''", MT_CEL_SCRATCH, MT_CEL_ERROR},
	};

	memset(bytes, '0', sizeof(bytes));
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_err e = {""};
		struct mt_cel *cel = mt_cel_new(t[i].text, strlen(t[i].text), &cel_attributes, &e);

		long_text.text.len = t[i].len;
		CU_ASSERT_PTR_NOT_NULL_FATAL(cel);
		v = mt_cel_run(cel, &frame, &long_text);
		if (v.type != t[i].want)
			printf("\n  `%s` of %u bytes: %s\n", t[i].text, t[i].len,
				mt_cel_type_str(v.type));
		CU_ASSERT_EQUAL(v.type, t[i].want);
		mt_cel_free(cel);
	}
}

/* The longest number keeps its last digit after a minus. */
static void long_number(void)
{
	struct mt_cel_value v;
	struct mt_cel *cel;

	text[0] = '\0';
	strcat(text, "-1.");
	repeat("0", 393);
	strcat(text, "e100");
	cel = try(NULL);
	v = mt_cel_run(cel, &frame, NULL);
	CU_ASSERT(v.type == MT_CEL_DOUBLE && v.real == -1e100);
	mt_cel_free(cel);
	sized("1.", "0", 394, "e100", "the number is longer than 399 bytes");
}

static void list_sums(void)
{
	struct mt_cel_value v;
	struct mt_cel *cel;

	text[0] = '\0';
	strcat(text, "upstream.zones");
	repeat("+upstream.zones", 14);
	cel = try(NULL);
	v = mt_cel_run(cel, &frame, NULL);
	CU_ASSERT(v.type == MT_CEL_LIST && v.list.n == 30);
	mt_cel_free(cel);
	repeat("+upstream.zones", 10);
	cel = try(NULL);
	v = mt_cel_run(cel, &frame, NULL);
	CU_ASSERT_EQUAL(v.type, MT_CEL_ERROR);
	CU_ASSERT_STRING_EQUAL(v.why, "the lists have more than 256 elements");
	mt_cel_free(cel);
}

const struct mt_test limit_tests[] = {{"lengths", lengths}, {"depths", depths}, {"steps", steps},
	{"work", work}, {"a long number", long_number}, {"sums of lists", list_sums}, {0}};
