/* SPDX-License-Identifier: Apache-2.0 */
#include "../../../lib/ctl/names.h"
#include "../../../lib/ctl/view.h"
#include "suites.h"

#include <errno.h>

static const char rows[] = "{\"rows\": [{\"name\": \"b\", \"n\": 5, \"state\": \"open\", \"note\": "
			   "null, \"list\": [5, 7], "
			   "\"mixed\": \"5\", \"up\": false, \"load\": 0.333333}, "
			   "{\"name\": \"a\", \"n\": 1500, \"state\": \"closed\", \"note\": \"two "
			   "words\", \"list\": [], "
			   "\"mixed\": 3, \"up\": true, \"load\": 1}, "
			   "{\"name\": \"c\", \"n\": 5, \"state\": \"Open\", \"note\": null, "
			   "\"list\": [7], \"mixed\": 3, "
			   "\"up\": false, \"load\": 0}], \"total\": 3}";

/* What is left of the rows behind `line`, as "name name", or the error. */
static void view(const char *line, char *got, size_t size)
{
	json_t *j = json_loads(rows, 0, NULL), *row;
	struct mt_ctl_view v;
	struct mt_request r;
	struct mt_err e = {""};
	size_t i, n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	got[0] = '\0';
	CU_ASSERT_EQUAL(mt_request_parse(&r, line, strlen(line), &e), 0);
	if (mt_view_cut(&v, &r, true, &e) < 0 || mt_view_apply(&v, &j, &e) < 0) {
		snprintf(got, size, "%s", e.text);
		json_decref(j);
		return;
	}
	if (v.count)
		n = (size_t)snprintf(
			got, size, "%lld", json_integer_value(json_object_get(j, "rows")));
	json_array_foreach(json_object_get(j, "rows"), i, row) n += (size_t)snprintf(got + n,
		size - n, "%s%s", n ? " " : "", json_string_value(json_object_get(row, "name")));
	/* Words that are the command's own stay. */
	for (uint32_t k = 0; k < r.n; k++)
		n += (size_t)snprintf(got + n, size - n, " %s", r.words[k]);
	json_decref(j);
}

static void test_view(void)
{
	static const struct {
		const char *line, *want;
	} t[] = {
		{"show x", "b a c show x"},
		{"show x where n=5", "b c show x"},
		{"show x where n>5", "a show x"},
		{"show x where n>=1.5k", "a show x"},
		{"show x where n>=1.5Ki", " show x"},
		{"show x where n<1M n!=5", "a show x"},
		{"show x where state=open", "b c show x"},
		{"show x where state=clo*", "a show x"},
		{"show x where st~PEN", "b c show x"},
		{"show x where (n>5 or name=c) not name=b", "a c show x"},
		{"show x where name = b or name = a sort n", "a b show x"},
		{"show x where name!=\"a | b\" | grep open", "b c show x"},
		{"show x where note=-", "b c show x"},
		{"show x where note=\"two words\"", "a show x"},
		{"show x where note=two", " show x"},
		{"show x where list=*7* mixed>4", "b show x"},
		{"show x where up=yes", "a show x"},
		{"show x where up=no load=0.33", "b show x"},
		{"show x sort n", "a b c show x"},
		{"show x sort -n", "b c a show x"},
		{"show x sort name limit 2", "a b show x"},
		{"show x limit 0", " show x"},
		{"show x where n=5 sort -name limit 1", "c show x"},
		{"show x | grep closed", "a show x"},
		{"show x wide", "b a c show x"},
		{"show x wide where n=5 sort -name limit 1", "c show x"},
		{"show x where n=5 wide sort -name", "c b show x"},
		{"show x where n=5 wide | grep b | count", "1 show x"},
		{"show x where name=\"a | wide\" wide", " show x"},
		{"show x where n=5 | count", "2 show x"},
		{"show x limit", "limit needs a number of rows after it"},
		{"show x sort", "sort needs a field after it"},
		{"show x sort | count", "sort needs a field after it"},
		{"show x where | count", "where needs an expression"},
		{"show x where wide", "where needs an expression"},
		{"show x wide oops", "`oops` is out of place"},
		{"show x where", "where needs an expression"},
		{"show x where sort n", "where needs an expression"},
		{"show x where n=5 sort n where n=5", "`where` is given twice"},
		{"show x where n>many", "n: `many` is not a number"},
		{"show x where n!=many", "n: `many` is not a number"},
		{"show x where n~00", "`n` compares by = != < <= > and >= only"},
		{"show x where nowhere=1",
			"`nowhere` is not a field here; fields are: name, n, state,"},
		{"show x sort nmae",
			"`nmae` is not a field here; did you mean `name`? fields are: name, n"},
		{"show x where n", "`n` needs an operator"},
		{"show x where n=5 oops", "`oops` is not a field here"},
		{"show x where n=", "`n` needs a value"},
		{"show x where (n=5", "a parenthesis is not closed"},
		{"show x where name=\"a | grep x", "the quote before"},
		{"show x limit 1 oops", "`oops` is out of place"},
		{"show x limit ten", "limit needs a number of rows, not `ten`"},
		{"show x limit -1", "limit needs a number of rows, not `-1`"},
		{"show x |", "expected `grep WORD`, `count` or `json` after |"},
		{"show x | grep", "expected `grep WORD`, `count` or `json` after |"},
		{"show x | frobnicate", "expected `grep WORD`, `count` or `json` after |"},
		{"show x | count | grep", "expected `grep WORD`, `count` or `json` after |"},
		{"show x where n=1 n=1 n=1 n=1 n=1 n=1 n=1 n=1 n=1 "
		 "n=1 n=1 n=1 n=1 n=1 n=1 n=1 n=1",
			"more than 16 conditions"},
	};
	char got[600];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		view(t[i].line, got, sizeof(got));
		if (strncmp(got, t[i].want, strlen(t[i].want)) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].line, got, t[i].want);
		CU_ASSERT_EQUAL(strncmp(got, t[i].want, strlen(t[i].want)), 0);
	}
}

/* ---- operators together --------------------------------------------------------------------- */

/* What an operator does to `rows`: the names that it keeps, or their order. */
struct step {
	const char *words, *keeps;
};

static const struct step wheres[] = {{"", "abc"}, {" where n=5", "bc"}, {" where st=closed", "a"},
	{" where n=5 state=Open", "bc"}, {" where name=none", ""}};
static const struct step sorts[] = {{"", "bac"}, {" sort name", "abc"}, {" sort -name", "cba"}};
static const struct step limits[] = {
	{"", "9"}, {" limit 2", "2"}, {" limit 1", "1"}, {" limit 0", "0"}};
static const struct step greps[] = {{"", "abc"}, {" | grep open", "bc"}, {" | grep closed", "a"},
	{" | grep open | grep b", "b"}, {" | grep closed | grep open", ""},
	{" | grep nowhere", ""}};

/* The names that are left: conditions come first, then the order, the limit, the filters. */
static void want_names(const struct step *where, const struct step *sort, const struct step *limit,
	const struct step *grep, char names[4])
{
	uint32_t most = (uint32_t)(*limit->keeps - '0'), taken = 0, n = 0;

	for (const char *p = sort->keeps; *p && taken < most; p++) {
		if (!strchr(where->keeps, *p))
			continue;
		taken++;
		if (strchr(grep->keeps, *p))
			names[n++] = *p;
	}
	names[n] = '\0';
}

/* Checks the rows that a line leaves, and that the same line with `| count` gives their number. */
static void check_line(const char *line, const char *names)
{
	char got[600], want[600], counting[600];
	size_t n = 0;

	want[0] = '\0';
	for (const char *p = names; *p; p++)
		n += (size_t)snprintf(want + n, sizeof(want) - n, "%s%c", n ? " " : "", *p);
	snprintf(want + n, sizeof(want) - n, " show x");
	view(line, got, sizeof(got));
	if (strcmp(got, want) != 0)
		printf("\n  %s: `%s`, want `%s`", line, got, want);
	CU_ASSERT_STRING_EQUAL(got, want);
	snprintf(counting, sizeof(counting), "%s | count", line);
	snprintf(want, sizeof(want), "%zu show x", strlen(names));
	view(counting, got, sizeof(got));
	if (strcmp(got, want) != 0)
		printf("\n  %s: `%s`, want `%s`", counting, got, want);
	CU_ASSERT_STRING_EQUAL(got, want);
}

static void test_together(void)
{
	char line[300], names[4];

	for (size_t w = 0; w < MT_ARRAY_LEN(wheres); w++)
		for (size_t s = 0; s < MT_ARRAY_LEN(sorts); s++)
			for (size_t l = 0; l < MT_ARRAY_LEN(limits); l++)
				for (size_t g = 0; g < MT_ARRAY_LEN(greps); g++) {
					snprintf(line, sizeof(line), "show x%s%s%s%s",
						wheres[w].words, sorts[s].words, limits[l].words,
						greps[g].words);
					want_names(&wheres[w], &sorts[s], &limits[l], &greps[g],
						names);
					check_line(line, names);
				}
}

/*
 * An answer with several tables: a column may be in some of them, with a type of its own. What is
 * not there is absent.
 */
static void test_tables(void)
{
	static const struct {
		const char *line, *want;
	} t[] = {
		{"show x where n=5", "a1 b1"},
		{"show x where size>3", "a2"},
		{"show x where size!=3", "a2 b1 b2"},
		{"show x where size=- sort -name", "b2 b1"},
		{"show x where other=x or size=3", "a1 b1"},
		{"show x where n>x", "n: `x` is not a number"},
		{"show x where none=1", "`none` is not a field here"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		json_t *j = json_pack(
			"{s:[{s:s,s:i,s:i},{s:s,s:i,s:i}], s:[{s:s,s:s,s:s},{s:s,s:s,s:s}], s:[]}",
			"first", "name", "a1", "n", 5, "size", 3, "name", "a2", "n", 6, "size", 4,
			"second", "name", "b1", "n", "5", "other", "x", "name", "b2", "n", "x",
			"other", "y", "empty");
		struct mt_err e = {""};
		struct mt_ctl_view v;
		struct mt_request r;
		char got[600] = "";
		json_t *list, *row;
		const char *key;
		size_t k;

		CU_ASSERT_PTR_NOT_NULL_FATAL(j);
		CU_ASSERT_EQUAL(mt_request_parse(&r, t[i].line, strlen(t[i].line), &e), 0);
		CU_ASSERT_EQUAL(mt_view_cut(&v, &r, true, &e), 0);
		if (mt_view_apply(&v, &j, &e) == -EINVAL)
			snprintf(got, sizeof(got), "%.*s", (int)strlen(t[i].want), e.text);
		else
			json_object_foreach(j, key, list) json_array_foreach(list, k, row) snprintf(
				got + strlen(got), sizeof(got) - strlen(got), "%s%s",
				*got ? " " : "", json_string_value(json_object_get(row, "name")));
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].line, got, t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		json_decref(j);
	}
}

/* ---- columns -------------------------------------------------------------------------------- */

/* The columns that text has after `line`: an answer of two tables, of which one is long. */
static void columns_of(const char *line, char *got, size_t size)
{
	json_t *j =
		json_loads("{\"long\": [{\"name\": \"a\", \"n\": 5, \"c\": 1, \"d\": 1, \"e\": 1, "
			   "\"f\": 1, \"g\": 1, \"srtt_us\": 3, \"min_rtt_us\": 2, \"bytes\": 4, "
			   "\"bytes_in\": 4}], \"short\": [{\"x\": 1, \"srtt_us\": 1}]}",
			0, NULL);
	struct mt_ctl_view v;
	struct mt_request r;
	struct mt_err e = {""};
	const char *key, *name;
	json_t *table, *value;
	size_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL(mt_request_parse(&r, line, strlen(line), &e), 0);
	CU_ASSERT_EQUAL(mt_view_cut(&v, &r, true, &e), 0);
	/* What a command that evaluates the expression itself adds: a field that is no column. */
	if (strstr(line, "rtt"))
		mt_view_show(&v, "rtt");
	CU_ASSERT_EQUAL(mt_view_apply(&v, &j, &e), 0);
	if (!v.wide)
		mt_view_narrow(&v, "name c n", j);
	json_object_foreach(j, key, table) json_object_foreach(json_array_get(table, 0), name,
		value) n += (size_t)snprintf(got + n, size - n, "%s%s", n ? " " : "", name);
	json_decref(j);
}

static void test_columns(void)
{
	static const struct {
		const char *line, *want;
	} t[] = {
		{"show x", "name n c x srtt_us"},
		{"show x wide", "name n c d e f g srtt_us min_rtt_us bytes bytes_in x srtt_us"},
		{"show x where f=1", "name n c f"},
		{"show x sort -d", "name n c d x srtt_us"},
		{"show x where e=1 f=1 sort g limit 1", "name n c e f g"},
		/* By the column's own name, not by a part of it. */
		{"show x where bytes=4", "name n c bytes"},
		/* The shortened name. */
		{"show x sort min", "name n c min_rtt_us x srtt_us"},
		{"show x rtt", "name n c srtt_us min_rtt_us x srtt_us"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char got[200] = "";

		columns_of(t[i].line, got, sizeof(got));
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].line, got, t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
	}
}

/* The name of an object: rows of exactly this name, otherwise those whose names contain it. */
static void test_named(void)
{
	static const struct {
		const char *name, *want;
	} t[] = {{"a", "1"}, {"A", "1 2 4"}, {"a.b", "2"}, {"b", "2 3"}, {"x", ""}, {"1", ""}};
	json_t *j;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char got[50] = "";
		json_t *row;
		size_t k;

		j = json_pack("{s:[{s:s,s:i},{s:s,s:i},{s:s,s:i},{s:s,s:i},{s:n,s:i}], s:[{s:s}]}",
			"rows", "name", "a", "n", 1, "name", "a.b", "n", 2, "name", "B.", "n", 3,
			"name", "cA", "n", 4, "name", "n", 5, "others", "of", "a");
		mt_render_named(j, "name", t[i].name);
		json_array_foreach(json_object_get(j, "rows"), k, row)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%lld",
				*got ? " " : "", json_integer_value(json_object_get(row, "n")));
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].name, got, t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "others")), 0);
		json_decref(j);
	}
	j = json_pack("{s:i, s:i, s:i}", "tcp", 1, "tcp_resets", 2, "net", 3);
	mt_render_named(j, "", "tcp_");
	CU_ASSERT(json_object_size(j) == 1 && json_object_get(j, "tcp_resets"));
	json_decref(j);
}

/* Numbers of the rows that an address selects, alone or with its port; a list has several. */
static void test_named_places(void)
{
	static const struct {
		const char *name, *want;
	} t[] = {{"192.0.2.1", "1 2 5"}, {"192.0.2.1:80", "1 5"}, {"192.0.2.1:8", "1 2 5"},
		{"192.0.2.", "1 2 3 5"}, {"2001:db8::1", "4"}, {"[2001:db8::1]:80", "4"},
		{"2001:db8::1:80", ""}, {"192.0.2.3", "5"}, {":443", "3"}, {"192.0.2.1:", "1 2 5"},
		{"192.0.2.3:443", ""}};
	static const char places[] =
		"{\"rows\": [{\"n\": 1, \"address\": \"192.0.2.1\", \"port\": 80},"
		"{\"n\": 2, \"address\": \"192.0.2.1\", \"port\": 8080},"
		"{\"n\": 3, \"address\": \"192.0.2.10\", \"port\": 443},"
		"{\"n\": 4, \"address\": \"2001:db8::1\", \"port\": 80}],"
		"\"rules\": [{\"n\": 5, \"addresses\": [\"192.0.2.3\", \"192.0.2.1\"],"
		" \"port\": 80}, {\"n\": 6, \"addresses\": [], \"port\": null}]}";

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		json_t *j = json_loads(places, 0, NULL), *table, *row;
		const char *key;
		char got[50] = "";
		size_t k;

		mt_render_named(j, "address addresses", t[i].name);
		json_object_foreach(j, key, table) json_array_foreach(table, k, row)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%lld",
				*got ? " " : "", json_integer_value(json_object_get(row, "n")));
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].name, got, t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		json_decref(j);
	}
}

/* Wrong words of an expression are errors of usage, wherever the expression is. */
static void test_codes(void)
{
	static const struct {
		const char *line, *want;
	} t[] = {
		{"show connections rtt>5", "rtt: `5` is not a time"},
		{"show connections where rtt>5", "rtt: `5` is not a time"},
		{"show connections 10.0.0.7", "`10.0.0.7` is not a field here"},
		{"show connections where sied=client",
			"`sied` is not a field here; did you mean `side`?"},
		{"show exchanges where side=client", "`side` is not a field here; "},
		{"show slow sevice=x", "did you mean `service`?"},
		{"show connections side=x", "side: `x` is none of"},
		{"show connections where side=x", "side: `x` is none of"},
		{"show connections top colour", "`colour` is not a field here; fields are: age"},
		{"trace start metod=x", "did you mean `method`?"},
		{"trace start took>5", "took: `5` is not a time"},
		{"show meaning where uint=x", "did you mean `unit`?"},
		{"show meaning sort uint", "did you mean `unit`?"},
	};
	struct mt_ctl *c = test_ctl(NULL);
	int code;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char *out = test_run(c, t[i].line, &code);

		if (code != MT_CTL_USAGE || !strstr(out, t[i].want) || strstr(out, "wrong"))
			printf("\n  %s: %d, `%s`", t[i].line, code, out);
		CU_ASSERT_EQUAL(code, MT_CTL_USAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, t[i].want));
		CU_ASSERT_PTR_NULL(strstr(out, "wrong"));
		free(out);
	}
	mt_ctl_destroy(c);
}

/* Columns that are no fields of connections are known without any connection. */
static void test_columns_without_rows(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	int code;

	free(test_run(c, "show connections where srtt_us>5 local=- side=client", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	free(test_run(c, "show connections side=client where ssthresh>5 or of=x top rate", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_USAGE);
	free(test_run(c, "show connections side=client top rate where ssthresh>5 or of=x", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	free(test_run(c, "show exchanges where age_us>5 client!=x", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	free(test_run(c, "show slow where took_us>5 took>5us", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	mt_ctl_destroy(c);
}

/* An answer without tables: its members are filtered, then counted. */
static void test_members(void)
{
	static const struct {
		const char *line;
		json_int_t want;
	} t[] = {{"show x | count", 4}, {"show x | grep beta | count", 2},
		{"show x | grep beta | grep 7 | count", 1}, {"show x | grep omega | count", 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		json_t *j = json_pack("{s:i, s:i, s:s, s:s}", "alpha", 1, "beta", 7, "gamma",
			"of beta", "delta", "open");
		struct mt_ctl_view v;
		struct mt_request r;
		struct mt_err e = {""};

		CU_ASSERT_PTR_NOT_NULL_FATAL(j);
		CU_ASSERT_EQUAL(mt_request_parse(&r, t[i].line, strlen(t[i].line), &e), 0);
		CU_ASSERT_EQUAL(mt_view_cut(&v, &r, true, &e), 0);
		CU_ASSERT_EQUAL(mt_view_apply(&v, &j, &e), 0);
		CU_ASSERT_EQUAL(json_integer_value(json_object_get(j, "count")), t[i].want);
		json_decref(j);
	}
}

/* The words that may stand there, in their order, and what is wanted. */
static void test_complete(void)
{
	static const struct {
		const char *line;
		char want[64]; /* with a pointer UBSan's check makes gcc warn of NULL */
	} t[] = {
		{"complete sh*", "show/"},
		{"complete show nei*", "neighbours/"},
		{"complete sh con*", "connections config/"},
		{"complete show li*", "listeners limits/"},
		{"complete show po*", "ports policies/"},
		{"complete show en*", "endpoints/"},
		{"complete rel*", "reload/"},
		{"complete nonsense *", "/"},
		{"complete show ports *", "where sort limit wide |/[PORT]"},
		{"complete show ports x *", "where sort limit wide |/"},
		{"complete show listeners *", "where sort limit wide |/[ADDRESS:PORT]"},
		{"complete show forwarding *", "where sort limit wide |/[ADDRESS:PORT]"},
		{"complete show policies *", "where sort limit wide |/[POLICY]"},
		{"complete show ports w*", "where wide/[PORT]"},
		{"complete show ports | *", "grep count json/"},
		{"complete show counters tcp_conns_f*", "tcp_conns_full/[COUNTER]"},
		{"complete show version where uptime*", "/"},
		{"complete help dr*", "drain/[COMMAND...]"},
		{"complete reload *", "|/"},
		{"complete drain listener 192.0.2.1:80 *", "refuse |/[refuse]"},
		{"complete drain service a.x r*", "refuse/[refuse]"},
	};
	struct mt_ctl *c = test_ctl(NULL);
	char line[100], got[600];
	int code;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		json_t *j, *row;
		size_t k, n = 0;
		char *out;

		snprintf(line, sizeof(line), "--json %s", t[i].line);
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, MT_CTL_OK);
		j = json_loads(out, 0, NULL);
		free(out);
		json_array_foreach(json_object_get(j, "words"), k, row) n +=
			(size_t)snprintf(got + n, sizeof(got) - n, "%s%s", k ? " " : "",
				json_string_value(json_object_get(row, "word")));
		snprintf(got + n, sizeof(got) - n, "/%s",
			json_string_value(json_object_get(j, "wants")));
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s: `%s`, want `%s`", t[i].line, got, t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		json_decref(j);
	}
	mt_ctl_destroy(c);
}

/* However many names there are, an answer has an end, and says so. */
/* Without a node: commands, and names from tables. */
static void test_complete_static(void)
{
	static const struct {
		const char *words[4];
		const char *want;
	} t[] = {
		{{"sh"}, "show"},
		{{"show", "nei"}, "neighbours"},
		{{"sh", "con"}, "connections config"},
		{{"ready", "o"}, ""},
		{{"nonsense", ""}, ""},
		{{"show", "services", ""}, "where sort limit wide |"},
		{{"show", "services", "wi"}, "wide"},
		{{"show", "services", "where", ""}, "|"},
		{{"show", "counters", "tcp_conns_f"}, "tcp_conns_full"},
		{{"log", "level", "w"}, "warn worker"},
		{{"drain", ""}, "endpoint service listener |"},
		{{"accept", ""}, "|"},
	};
	const char *many[MT_CTL_WORDS + 2];
	char got[200];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_text_buf out = {0};
		uint32_t n = 0;
		size_t len = 0;

		while (n < MT_ARRAY_LEN(t[i].words) && t[i].words[n])
			n++;
		mt_ctl_complete(t[i].words, n, &out);
		for (const char *p = out.p; p && *p; p = strchr(p, '\n') + 1) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(strchr(p, '\n'));
			len += (size_t)snprintf(got + len, sizeof(got) - len, "%s%.*s",
				len ? " " : "", (int)strcspn(p, "\t"), p);
		}
		got[len] = '\0';
		if (strcmp(got, t[i].want) != 0)
			printf("\n  %s %s: `%s`, want `%s`", t[i].words[0], t[i].words[1], got,
				t[i].want);
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		mt_text_fini(&out);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = "show";
	for (uint32_t n = 0; n <= MT_ARRAY_LEN(many); n += MT_ARRAY_LEN(many)) {
		struct mt_text_buf out = {0};

		mt_ctl_complete(many, n, &out);
		CU_ASSERT_EQUAL(out.p && strstr(out.p, "show\t") != NULL, n == 0);
		mt_text_fini(&out);
	}
}

static void test_bounded(void)
{
	struct mt_offers o = {.part = "a", .words = json_object()};
	char word[16];

	for (int i = 0; i < MT_OFFERS_MAX; i++) {
		snprintf(word, sizeof(word), "a%d", i);
		mt_offer(&o, word, "");
		mt_offer(&o, word, "again");
		mt_offer(&o, "b", "");
		mt_offer(&o, "a blank", "");
	}
	CU_ASSERT(json_object_size(o.words) == MT_OFFERS_MAX && !o.more);
	mt_offer(&o, "a-last", "");
	CU_ASSERT(json_object_size(o.words) == MT_OFFERS_MAX && o.more);
	json_decref(o.words);
}

/* `help` has its sections in this order, each with its commands. */
static void check_sections(struct mt_ctl *c)
{
	static const char *const order[] = {"\nlook:\n", "\nshow version ", "\nexplain:\n",
		"\ntrace start ", "\nchange:\n", "\ndrain endpoint ", "\nrescue:\n", "\nrollback "};
	char *out, *at;
	int code;

	out = at = test_run(c, "help", &code);
	for (size_t i = 0; at && i < MT_ARRAY_LEN(order); i++) {
		at = strstr(at, order[i]);
		CU_ASSERT_PTR_NOT_NULL(at);
	}
	free(out);
}

/* Of every command there is help, by its name and by its first word. */
static void test_help(void)
{
	struct mt_ctl *c = test_ctl(NULL);
	const struct mt_command *cmd;
	char line[100];
	int code;

	for (uint32_t i = 0; (cmd = mt_command_at(i)) != NULL; i++) {
		char *out;

		snprintf(line, sizeof(line), "help %s", cmd->words);
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, MT_CTL_OK);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, cmd->help));
		CU_ASSERT(!cmd->more ||
			  strstr(out, mt_command_role(cmd) == MT_ROLE_VIEW ? "view" : "operate"));
		free(out);
		line[5 + strcspn(cmd->words, " ")] = '\0';
		out = test_run(c, line, &code);
		CU_ASSERT_EQUAL(code, MT_CTL_OK);
		free(out);
	}
	check_sections(c);
	free(test_run(c, "help nonsense", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_FAILED);
	mt_ctl_destroy(c);
}

const struct mt_test view_tests[] = {
	{"conditions, order, limits, filters", test_view},
	{"operators together", test_together},
	{"several tables", test_tables},
	{"columns of text", test_columns},
	{"rows by name", test_named},
	{"rows by address and port", test_named_places},
	{"wrong expressions are wrong usage", test_codes},
	{"columns without rows", test_columns_without_rows},
	{"members, filtered and counted", test_members},
	{"what may stand at a place", test_complete},
	{"completion without a node", test_complete_static},
	{"completion is bounded", test_bounded},
	{"help of every command", test_help},
	{0},
};
