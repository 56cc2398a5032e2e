/* SPDX-License-Identifier: Apache-2.0 */
/* Our answers are cel-go's (tests/vectors/cel/answers.txt, made by the program in generator/). */
#include "suites.h"

#include <inttypes.h>

static struct mt_cel_frame frame;

static size_t put_hex(char *to, size_t size, const char *word, struct mt_slice s)
{
	size_t n = (size_t)snprintf(to, size, "%s ", word);

	for (uint32_t i = 0; i < s.len && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%02x", s.p[i]);
	return n;
}

static size_t show(char *to, size_t size, const struct mt_cel_value *v)
{
	size_t n;

	switch (v->type) {
	case MT_CEL_BOOL:
		return (size_t)snprintf(to, size, "bool %s", v->yes ? "true" : "false");
	case MT_CEL_INT:
		return (size_t)snprintf(to, size, "int %" PRId64, v->n);
	case MT_CEL_UINT:
		return (size_t)snprintf(to, size, "uint %" PRIu64, v->u);
	case MT_CEL_DOUBLE:
		if (v->real - v->real == 0)
			return (size_t)snprintf(to, size, "double %.16e", v->real);
		return (size_t)snprintf(to, size, "double %s",
			v->real != v->real ? "NaN"
			: v->real > 0	   ? "+Inf"
					   : "-Inf");
	case MT_CEL_STRING:
	case MT_CEL_BYTES:
		return put_hex(to, size, v->type == MT_CEL_BYTES ? "bytes" : "string", v->text);
	case MT_CEL_TIMESTAMP:
		return (size_t)snprintf(to, size, "timestamp %" PRId64 ".%09u", v->n, v->ns);
	case MT_CEL_DURATION:
		return (size_t)snprintf(to, size, "duration %" PRId64, v->n);
	case MT_CEL_LIST:
		n = (size_t)snprintf(to, size, "list [");
		for (uint32_t i = 0; i < v->list.n && n < size; i++) {
			n += show(to + n, size - n, &v->list.of[i]);
			n += (size_t)snprintf(to + n, size - n, ",");
		}
		return n + (size_t)snprintf(to + n, size - n, "]");
	default:
		return (size_t)snprintf(to, size, "%s", mt_cel_type_str(v->type));
	}
}

/* Changes each ␤ to a line end. */
static void unfold(char *text)
{
	for (char *at = strstr(text, "␤"); at; at = strstr(at, "␤")) {
		*at = '\n';
		memmove(at + 1, at + 3, strlen(at + 3) + 1);
	}
}

/* What differs from cel-go (docs/internals/cel.md). */
static const char *known(const char *want, const char *text)
{
	static const struct {
		const char *text, *ours;
	} t[] = {
		/* A regex is compiled with its expression. */
		{"request.path.matches('[')", "refused"},
		{"request.path.matches('a)(b')", "refused"},
		/* Maps have no size. */
		{"size(metadata.deep)", "error"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		if (strcmp(t[i].text, text) == 0)
			return t[i].ours;
	return want;
}

static bool is_same(const char *want, const char *text)
{
	struct mt_err e = {""};
	char got[2048] = "refused";
	struct mt_cel *cel = mt_cel_new(text, strlen(text), &cel_attributes, &e);
	struct mt_cel_value v;

	if (cel) {
		v = mt_cel_run(cel, &frame, NULL);
		show(got, sizeof(got), &v);
		if (v.type == MT_CEL_ERROR)
			snprintf(e.text, sizeof(e.text), "column %u: %s", v.column, v.why);
	} else if (strncmp(e.text, "column ", 7) != 0) {
		snprintf(got, sizeof(got), "an error without a column");
	}
	mt_cel_free(cel);
	if (strcmp(got, want) == 0)
		return true;
	printf("\n  `%s`: %s, not %s; %s", text, got, want, e.text);
	return false;
}

static void answers(void)
{
	FILE *f = fopen(CEL_ANSWERS, "r");
	char line[1024], *text;
	uint32_t n = 0, wrong = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		text = strchr(line, '\t');
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		*text++ = '\0';
		unfold(text);
		wrong += is_same(known(line, text), text) ? 0 : 1;
		n++;
	}
	fclose(f);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(n >= 1000);
}

const struct mt_test vector_tests[] = {{"cel-go's answers", answers}, {0}};
