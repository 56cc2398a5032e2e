/* SPDX-License-Identifier: Apache-2.0 */
/* What the vectors cannot show: errors' texts, absent attributes, what an expression uses, and the heap. */
#include "suites.h"

#include "heap_used.h"

static struct mt_cel_frame frame;

static struct mt_cel *compiled(const char *text)
{
	struct mt_err e = {""};
	struct mt_cel *cel = mt_cel_new(text, strlen(text), &cel_attributes, &e);

	if (!cel)
		printf("\n  `%s`: %s\n", text, e.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cel);
	return cel;
}

static void errors(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"", "column 1: the expression is empty; write true for everything"},
		{"response.code >", "column 16: the expression ends where a value is missing"},
		{"true && request.pth == 'x'", "column 9: `request.pth` is not an attribute here; "
					       "attributes are request.path, "
					       "request.method"},
		{"nothing", "column 1: `nothing` is not an attribute here; attributes are "
			    "request.path"},
		{"request == 1", "column 1: `request` is not an attribute here"},
		{"response.code == '5'", "column 15: `==` does not take int and string; convert "
					 "one, as in int(x) or string(x)"},
		{"-'a'", "column 1: `-` does not take string; convert it"},
		{"size(1)", "column 1: `size` does not take int"},
		{"response.code = 5", "column 15: `=` is not an operator; write `==`"},
		{"true & false", "column 6: `&` is not an operator; write `&&`"},
		{"[1].exists(x, x > 0)",
			"column 5: the macro `exists` is not supported; use has(), `in`"},
		{"foo(1)", "column 1: there is no function `foo`; functions are size, startsWith"},
		{"startsWith('a', 'b')",
			"column 1: there is no function `startsWith`; write it after its value"},
		{"'a'.int()", "column 5: there is no function `int`; write it before its value"},
		{"'a'.contains()", "column 5: `contains` takes two texts"},
		{"request.time.getHours(1, 2, 3)", "takes a time and possibly a zone"},
		{"has(1)", "column 1: has() takes a member"},
		{"has(metadata)", "column 1: has() takes a member"},
		{"has(request['path'])", "column 1: has() takes a member"},
		{"[[1]] < 1", "column 7: `<` does not take list(list(int)) and int"},
		{"{'a': 1}", "column 1: maps and messages cannot be written here"},
		{"'abc", "column 1: the text is not closed; write ' at its end"},
		{"'\\q'", "column 2: `\\q` is not an escape; write \\\\ for a backslash"},
		{"99999999999999999999", "column 1: the number is too large"},
		{"request.path.matches('(')", "column 22: bad regex: missing )"},
		{"request.path.matches('a)(b')", "column 22: bad regex: unexpected )"},
		{"request.path.matches(request.method)",
			"column 22: the regex of matches() must be a text in quotes"},
		{"request.path.matches(true ? 'a' : 'b')",
			"the regex of matches() must be a text in quotes"},
		{"(1", "column 3: the expression ends; `)` is missing after an expression in "
		       "parentheses"},
		{"[1, 2", "column 6: the expression ends; `,` is missing between elements, or `]`"},
		{"1 2", "column 3: found `2` after the expression; write an operator before it"},
		{"true ? 1 : 'a'", "column 6: the values of `?` are int and string; convert one"},
		{"'a' ? 1 : 2", "column 5: the condition of `?` is string; compare it"},
		{"request.path.x", "column 14: string has no member `x`; only maps have members"},
		{"if", "column 1: `if` is a reserved word; write a value"},
		{"$a", "column 1: `$` has no meaning in CEL; remove it"},
		{"\x01", "column 1: byte 0x01 has no meaning in CEL"},
		{"'\xff'", "column 1: the expression is not UTF-8; write \\x escapes"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_err e = {""};
		struct mt_cel *cel = mt_cel_new(t[i].text, strlen(t[i].text), &cel_attributes, &e);

		CU_ASSERT_PTR_NULL(cel);
		mt_cel_free(cel);
		if (!strstr(e.text, t[i].want))
			printf("\n  `%s`: %s\n", t[i].text, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].want));
	}
}

/* An attribute without a value is an error, which has() and the operators avoid. */
static void absent(void)
{
	static const struct {
		const char *text;
		bool want;
	} t[] = {
		{"has(request.path)", true},
		{"has(test.absent)", false},
		{"test.absent == ''", false},
		{"test.absent != ''", false},
		{"!(test.absent == '')", false},
		{"test.absent == '' || true", true},
		{"!has(test.absent) || test.absent == ''", true},
		{"(has(test.absent) ? test.absent : 'unknown') == 'unknown'", true},
		{"request['path'] == request.path && request[\"headers\"].host == 'demo'", true},
	};
	struct mt_cel *cel;
	struct mt_cel_value v;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		cel = compiled(t[i].text);
		CU_ASSERT_EQUAL(mt_cel_is_true(cel, &frame, NULL), t[i].want);
		mt_cel_free(cel);
	}
	cel = compiled("true && test.absent == ''");
	v = mt_cel_run(cel, &frame, NULL);
	CU_ASSERT_EQUAL(v.type, MT_CEL_ERROR);
	CU_ASSERT_EQUAL(v.column, 9);
	CU_ASSERT_STRING_EQUAL(v.why, "the attribute has no value");
	mt_cel_free(cel);
}

static void uses(void)
{
	struct mt_cel *cel = compiled("has(request.path) && response.code in [1, 2]");

	CU_ASSERT(mt_cel_uses(cel, 0) && !mt_cel_uses(cel, 1) && mt_cel_uses(cel, 6));
	CU_ASSERT(!mt_cel_uses_matches(cel));
	CU_ASSERT_EQUAL(mt_cel_result(cel), MT_CEL_BOOL);
	mt_cel_free(cel);
	cel = compiled("request.path.matches('x') ? metadata.n : 1");
	CU_ASSERT(mt_cel_uses_matches(cel) && mt_cel_uses(cel, 14));
	CU_ASSERT_EQUAL(mt_cel_result(cel), MT_CEL_DYN);
	mt_cel_free(cel);
}

/* A result has the type that the compiler found, also where two types meet. */
static void joined_types(void)
{
	static const struct {
		const char *text;
		enum mt_cel_type want, type;
	} t[] = {
		{"(connection.mtls ? metadata : request.headers).n", MT_CEL_DYN, MT_CEL_INT},
		{"(connection.mtls ? request.headers : metadata).host", MT_CEL_DYN, MT_CEL_STRING},
		{"(connection.mtls ? request.headers : request.headers).host", MT_CEL_STRING,
			MT_CEL_STRING},
		{"([null] + [request.time])[1]", MT_CEL_TIMESTAMP, MT_CEL_TIMESTAMP},
		{"[null, request.time][1]", MT_CEL_TIMESTAMP, MT_CEL_TIMESTAMP},
		{"([[1]] + [[dyn('a')]])[1][0]", MT_CEL_DYN, MT_CEL_STRING},
		{"([] + [1])[0]", MT_CEL_DYN, MT_CEL_INT},
		{"-metadata.d", MT_CEL_DYN, MT_CEL_DOUBLE},
		{"-(-metadata.n)", MT_CEL_DYN, MT_CEL_INT},
		{"metadata.s + metadata.s", MT_CEL_DYN, MT_CEL_STRING},
		{"[1] + dyn([2])", MT_CEL_DYN, MT_CEL_LIST},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_cel *cel = compiled(t[i].text);

		CU_ASSERT_EQUAL(mt_cel_result(cel), t[i].want);
		CU_ASSERT_EQUAL(mt_cel_run(cel, &frame, NULL).type, t[i].type);
		mt_cel_free(cel);
	}
}

/* The names that are read from maps; "?": a name that evaluation makes. */
static void names(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"request.headers['a'] == 'b' && has(request.headers.c)", "a c "},
		{"'a' in request.headers || request.headers.b.startsWith('c')", "a b "},
		{"request.headers[request.path] == ''", "? "},
		{"request.headers['a' + 'b'] == '' || ('a' + 'b') in request.headers", "? ? "},
		{"(connection.mtls ? 'a' : 'b') in request.headers", "? "},
		{"(connection.mtls ? request.headers : request.headers)['a'] == 'b'", "? a "},
		{"has(request.headers) && metadata.n == 7", ""},
		{"[1, 2][1] == 2", ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_cel *cel = compiled(t[i].text);
		struct mt_cel_name use;
		char got[64] = "";

		for (uint32_t k = 0; mt_cel_name(cel, 5, k, &use); k++) {
			strncat(got, use.name.p ? (const char *)use.name.p : "?",
				use.name.p ? use.name.len : 1);
			strcat(got, " ");
		}
		if (strcmp(got, t[i].want) != 0)
			printf("\n  `%s` names %s\n", t[i].text, got);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		mt_cel_free(cel);
	}
}

/* Each kind of operator without matches(). */
static void heap(void)
{
	static const char *const texts[] = {
		"request.path.contains('Demo') && request.headers['x-user'] != string(metadata.n)",
		"(upstream.zones + ['c'])[2] in ['c'] && size(upstream.zones) == 2",
		"string(upstream.load * 3.0) == '0.75' && double('0.5') < 1.0 && int('7') == 7",
		"string(request.time + duration('1h')) < string(timestamp('2027-01-01T00:00:00Z'))",
		"request.time.getHours('+01:00') == 4 && metadata.deep.k == 'v'",
	};
	size_t before;

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct mt_cel *cel = compiled(texts[i]);
		bool all = true;

		mt_cel_run(cel, &frame, NULL);
		before = heap_used();
		for (uint32_t k = 0; k < 100; k++)
			all = mt_cel_is_true(cel, &frame, NULL) && all;
		CU_ASSERT_EQUAL(heap_used(), before);
		if (!all)
			printf("\n  `%s` is not true\n", texts[i]);
		CU_ASSERT(all);
		mt_cel_free(cel);
	}
}

const struct mt_test cel_tests[] = {{"errors", errors}, {"absent attributes", absent},
	{"what it uses", uses}, {"types that meet", joined_types}, {"names", names}, {"heap", heap},
	{0}};
