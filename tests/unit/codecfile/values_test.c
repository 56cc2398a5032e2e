/* SPDX-License-Identifier: Apache-2.0 */
/* Values that places never have, values that are written twice, and ids over other parts. */
#include "codecfile_test.h"

/* `part` replaces one line of the document. */
static const struct {
	const char *line, *part;
	const char *expect; /* NULL: nothing is wrong */
} rows[] = {
	{"", "", NULL},
	/* numbers */
	{"match", "{magic: 0xac3e00}",
		"magic never has such a value, so the condition never holds"},
	{"match", "{magic: {not: 0xac3e00}}", "the condition always holds"},
	{"match", "{magic: {min: 0x10000}}", "magic never has such a value"},
	{"match", "{magic: {min: 1, max: 0x10000}}", NULL},
	{"match", "{kind: [1, 300]}", "kind never has such a value"},
	{"match", "{kind: -1}", "kind never has such a value"},
	{"match", "{kind: {mask: 1, is: 2}}", "kind never has such a value"},
	{"match", "{kind: {mask: 0x81, is: 0x80}}", NULL},
	{"match", "{below: -128}", NULL},
	{"match", "{below: -129}", "below never has such a value"},
	{"match", "{below: 128}", "below never has such a value"},
	{"match", "{below: {max: -129}}", "below never has such a value"},
	{"match", "{some: 1000}", NULL},
	{"match", "{some: 10000}", "some never has such a value"},
	{"match", "{some: -1}", NULL},
	{"match", "{high: 0x10}", NULL},
	{"match", "{high: 0x11}", "high never has such a value"},
	{"check", "{last: 300}", NULL}, /* its default */
	{"check", "{last: 301}", "last never has such a value"},
	{"match", "{word: abc}", NULL},
	{"match", "{word: ab}", "word never has such a value"},
	{"match", "{word: \"\"}", "word never has such a value"},
	{"frame", "{length: total, also: {when: {kind: 256}, add: 1}, max: 100}",
		"kind never has such a value"},
	{"status", "{place: result, ok: 0, overload: [7, 65536], other: server}",
		"result never has such a number"},
	/* twice */
	{"status", "{place: result, ok: 0, overload: [7, 0], other: server}",
		"the number has a class already (remove one of both)"},
	{"status", "{place: result, ok: [0, 0], other: server}", "the number has a class already"},
	{"metadata", "{command: {place: command, names: {1: login, 0x1: fetch}}}",
		"the number has a name already"},
	{"metadata", "{command: {place: command, names: {1: login, 65536: fetch}}}",
		"command never has such a number"},
	{"metadata", "{\"\": command}", "names of metadata have a character"},
	{"metadata", "{\"a\\nb\": command}", "names of metadata have a character"},
	/* keys */
	{"executes", "{keys: [user]}", NULL},
	{"executes", "{keys: [\"*\"]}", NULL},
	{"executes", "{keys: [nobody]}", "there is no metadata \"nobody\" (add it to metadata)"},
	{"executes", "{keys: [command]}",
		"servers execute another service and method than \"command\" has"},
	/* ids */
	{"id", "total", "it has bytes of total, which would change with each id of Meltemi's"},
	{"id", "{place: id, copies: [total]}", "it has bytes of total"},
	{"id", "over", "it has bytes of magic"},
	{"id", "late", "it has bytes of command"},
	{"id", "user_id", "it has bytes of user"},
	{"id", "[{place: id, for: request}, {place: answers, for: reply}]", NULL},
	/* elements */
	{"more", "{in: body, find: 255}", NULL},
	{"more", "{in: body, find: 256}", "not a number of this range"},
	{"more", "{in: head, find: Name}", NULL},
	{"more", "{in: head, find: \"Name:\"}", "no key has this character there"},
	{"more", "{in: head, find: \" Name\"}", "no key has this character there"},
	{"more", "{in: pairs, find: \"a;b\"}", "no key has this character there"},
};

static const struct {
	const char *key, *value;
} lines[] = {
	{"calls", "multiplexed"},
	{"method", "command"},
	{"places", ""},
	{"  magic", "{at: 0, size: 2}"},
	{"  kind", "{at: 2, size: 1}"},
	{"  over", "{at: 1, size: 4}"},
	{"  id", "{at: 4, size: 4}"},
	{"  total", "{at: 8, size: 4}"},
	{"  result", "{at: 12, size: 2}"},
	{"  late", "{after: total, size: 4}"},
	{"  command", "{at: 14, size: 2}"},
	{"  answers", "{at: 14, size: 4}"}, /* of replies, which have no command */
	{"  below", "{at: 18, size: 1, signed: true}"},
	{"  high", "{at: 19, size: 1, mask: 0xf0}"},
	{"  some", "{at: 20, size: 4, type: decimal}"},
	{"  word", "{at: 24, size: 3, type: text}"},
	{"  user", "{at: 28, count: 2}"},
	{"  user_id", "{at: 29, size: 4}"},
	{"  last", "{after: user, size: 1, default: 300}"},
	{"  body", "{after: user, to: 0, holds: {tlv: {tag: 1, length: 2}}}"},
	{"  head", "{after: user, to: 0, holds: headers}"},
	{"  pairs", "{after: user, to: 0, holds: {lines: {between: \"=\", end: \";\"}}}"},
	{"  more", "{in: body, find: 1}"},
	{"match", "{magic: 0xac3e}"},
	{"frame", "{length: total, max: 1000}"},
	{"messages",
		"[{is: request, from: client, when: {kind: 1}}, {is: reply, from: server, when: "
		"{kind: 2}}]"},
	{"id", "id"},
	{"status", "{place: result, ok: 0, overload: [7, 8], other: server}"},
	{"metadata",
		"{command: {place: command, names: {1: login, 2: fetch}}, user: user, more: more}"},
	{"check", "{kind: {min: 1}}"},
	{"executes", "named"},
};

static void document(char *to, size_t size, const char *line, const char *part)
{
	size_t n = (size_t)snprintf(to, size,
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: values}\nspec:\n");

	for (size_t i = 0; i < MT_ARRAY_LEN(lines) && n < size; i++) {
		bool place = lines[i].key[0] == ' ', this;

		this = strcmp(line, lines[i].key + (place ? 2 : 0)) == 0 &&
		       place == (strcmp(line, "more") == 0);
		n += (size_t)snprintf(
			to + n, size - n, "  %s: %s\n", lines[i].key, this ? part : lines[i].value);
	}
}

static void values(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[4096], line[1024] = "";
		struct mt_region region;
		struct mt_diags diags;
		bool ok;

		document(text, sizeof(text), rows[i].line, rows[i].part);
		mt_region_init(&region, 0);
		mt_diags_init(&diags);
		ok = !mt_codecfile_text(&region, &diags, "values.yaml", text, strlen(text)) ==
		     (rows[i].expect != NULL);
		if (rows[i].expect && diags.n)
			mt_diag_format(&diags.items[0], line, sizeof(line));
		ok = ok && (!rows[i].expect || strstr(line, rows[i].expect));
		CU_ASSERT(ok);
		if (!ok) {
			fprintf(stderr, "%s: %s: not \"%s\" but:\n", rows[i].line, rows[i].part,
				rows[i].expect ? rows[i].expect : "nothing");
			mt_diags_print(&diags, stderr);
		}
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

/* One mistake has one error. */
static void once(void)
{
	static const struct {
		const char *line, *part, *expect;
	} docs[] = {
		{"more", "{at: 30, size: 0}", "more.size: 0 is out of range"},
		{"more", "{at: 30, count: 9}", "more.count: 9 is out of range"},
		{"more", "{at: \"1.5\", size: 1}", "more.at: \"1.5\" is not a number"},
		{"more", "{at: 30, until: \"\"}", "more: it has no end"},
		{"more", "{at: 30, size: }", "more: it has no end"},
		{"more", "{after: user, to: 0, holds: xml}",
			"(one of protobuf, jce, json, words, headers, hessian, map, pairs, lines, "
			"tlv)"},
		{"more", "{after: user, to: 0, holds: tlv}",
			"more.holds: tlv has parameters (write a map of the format to its "
			"parameters)"},
		{"match", "{kind: []}", "match.kind: it is compared with nothing"},
		{"messages",
			"[{is: request, from: client, when: {kind: []}}, {is: oneway, from: "
			"client}, {is: reply, from: server}]",
			"when.kind: it is compared with nothing"},
		{"executes", "{keys: []}", "executes: it has no keys (name metadata, or write "},
		{"executes", "{keys: 1}", "executes.keys: "},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		char text[4096], line[1024] = "";
		struct mt_region region;
		struct mt_diags diags;

		document(text, sizeof(text), docs[i].line, docs[i].part);
		mt_region_init(&region, 0);
		mt_diags_init(&diags);
		CU_ASSERT_PTR_NULL(
			mt_codecfile_text(&region, &diags, "values.yaml", text, strlen(text)));
		if (diags.n)
			mt_diag_format(&diags.items[0], line, sizeof(line));
		CU_ASSERT_EQUAL(diags.errors, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(line, docs[i].expect));
		if (diags.errors != 1 || !strstr(line, docs[i].expect))
			mt_diags_print(&diags, stderr);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

const struct mt_test value_tests[] = {{"values", values}, {"once", once}, {0}};
