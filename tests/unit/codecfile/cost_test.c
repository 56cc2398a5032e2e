/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the compiler counts for each byte of a message, and the steps of messages of 64 KiB whose
 * elements are the dearest of their format: the shortest ones, and those that are wanted.
 */
#include "codecfile_test.h"

#include <stdio.h>
#include <stdlib.h>

#define BYTES_MAX 65000u
#define FINDS	  6

struct row {
	const char *holds; /* of the container, in which elements are wanted by `finds`... */
	const char *const *finds;
	const char *spec; /* ...or NULL: the places, with the rest of the document */
	const char *before, *element, *after;
	uint32_t n_before, n_element, n; /* n: elements; 0: as many as have room */
	enum mt_dir dir;
};

static const char *const numbers[FINDS] = {"1", "2", "3", "4", "5", "6"};
static const char *const names[FINDS] = {"a", "b", "c", "d", "e", "f"};
static const char *const fields[FINDS] = {"1.1.1", "1.1.2", "1.2.1", "1.2.2", "1.3.1", "1.3.2"};
static const char *const members[FINDS] = {"a.b.c", "a.b.d", "a.e.f", "a.e.g", "a.h.i", "a.h.j"};

#define IN(holds, finds, element, dir)                                                             \
	{                                                                                          \
		holds, finds, NULL, "", element, "", 0, sizeof(element) - 1, 0, dir                \
	}
#define OBJECT(element, dir)                                                                       \
	{                                                                                          \
		"json", members, NULL, "{", element, "\"z\":0}", 1, sizeof(element) - 1, 0, dir    \
	}
#define LINES "{lines: {between: \"=\", end: \"\\n\"}}"

static const struct row rows[] = {
	IN("protobuf", numbers, "\x08\x00", MT_DIR_DOWN),
	IN("protobuf", fields, "\x08\x00", MT_DIR_DOWN),
	/* A message that is entered. */
	IN("protobuf", fields, "\x0a\x00", MT_DIR_DOWN),
	IN("jce", numbers, "\x0c", MT_DIR_DOWN),
	IN("{tlv: {tag: 1, length: 1}}", numbers, "\x00\x00", MT_DIR_DOWN),
	IN("{tlv: {tag: 1, length: 1}}", numbers, "\x01\x00", MT_DIR_DOWN),
	IN("{pairs: {length: 1}}", names, "\x00\x00", MT_DIR_DOWN),
	IN("{pairs: {length: 1}}", names, "\x01\x61\x00", MT_DIR_DOWN),
	IN(LINES, names, "\n", MT_DIR_DOWN),
	IN(LINES, names, "=\n", MT_DIR_DOWN),
	IN(LINES, names, "a=\n", MT_DIR_DOWN),
	IN("headers", names, "a:\n", MT_DIR_DOWN),
	IN("headers", names, "a\n", MT_DIR_DOWN),
	/* Blanks after a key, each of which could end it. */
	IN("headers", names, "a :\n", MT_DIR_UP),
	IN("words", numbers, "a ", MT_DIR_DOWN),
	IN("{words: {between: \",\"}}", numbers, ",", MT_DIR_DOWN),
	OBJECT("\"\":0,", MT_DIR_DOWN),
	OBJECT("\"y\":[[],[]],", MT_DIR_DOWN),
	/* Only servers may repeat a name. */
	OBJECT("\"a\":0,", MT_DIR_UP),
	OBJECT("\"a\":{},", MT_DIR_UP),
	OBJECT("\"a\":{\"b\":{}},", MT_DIR_UP),
	{NULL, NULL, "    text: {at: 4, until: \"\\n\", max: 65000}\n", "", "x", "\n", 0, 1, 0,
		MT_DIR_DOWN},
	{NULL, NULL, "    body: {at: 4, to: 0, holds: hessian}\n    text: {in: body, find: 1}\n",
		"S\xea\x60", "x", "", 3, 1, 60000, MT_DIR_DOWN},
};

/* The document of a row, with conditions that hold, on all that is wanted. */
static void make_document(const struct row *row, char *doc, size_t size)
{
	size_t n = (size_t)snprintf(doc, size,
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: cost}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 4}\n");

	if (row->spec)
		n += (size_t)snprintf(doc + n, size - n, "%s", row->spec);
	else
		n += (size_t)snprintf(
			doc + n, size - n, "    body: {at: 4, to: 0, holds: %s}\n", row->holds);
	for (uint32_t i = 0; row->finds && i < FINDS; i++)
		n += (size_t)snprintf(
			doc + n, size - n, "    p%u: {in: body, find: %s}\n", i, row->finds[i]);
	n += (size_t)snprintf(doc + n, size - n,
		"  frame: {length: total, min: 4, max: 70000}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n  check: {");
	for (uint32_t i = 0; row->finds && i < FINDS; i++)
		n += (size_t)snprintf(doc + n, size - n, "p%u: {not: zz}, ", i);
	snprintf(doc + n, size - n, "%s}\n", row->spec ? "text: {not: zz}" : "total: {min: 4}");
}

/* Returns the bytes of the row's message. */
static uint32_t make_message(const struct row *row, uint8_t *to)
{
	uint32_t n = 4, n_after = (uint32_t)strlen(row->after);

	memcpy(to + n, row->before, row->n_before);
	n += row->n_before;
	for (uint32_t i = 0; row->n ? i < row->n : n + row->n_element + n_after <= BYTES_MAX;
		i++, n += row->n_element)
		memcpy(to + n, row->element, row->n_element);
	memcpy(to + n, row->after, n_after);
	n += n_after;
	for (uint32_t i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> 8 * (3 - i));
	return n;
}

/* Decodes the row's message once. *cost: what the compiler counts for it. Returns its steps. */
static uint64_t steps_of(const struct row *row, uint64_t *cost)
{
	static uint8_t bytes[BYTES_MAX];
	uint32_t n = make_message(row, bytes);
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_ct_cost of;
	struct mt_msg msg;
	char doc[2048];

	make_document(row, doc, sizeof(doc));
	mt_region_init(&region, 0);
	t = file_compile(&region, doc);
	of = mt_codec_table_cost(t, row->dir);
	*cost = of.steps + (uint64_t)of.per_byte * n;
	env_append(&c, bytes, n, 0);
	mt_decoder_init(&d, &t->codec, row->dir, 0, &c);
	d.steps = UINT32_MAX;
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.refuse, 0);
	mt_chain_free(&c);
	mt_region_fini(&region);
	return UINT32_MAX - d.steps;
}

/* With MT_PRINT=1 each row is printed. */
static void dearest(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint64_t cost, steps = steps_of(&rows[i], &cost);
		bool right = steps <= cost && steps >= cost / 6;

		CU_ASSERT(right);
		if (!right || getenv("MT_PRINT"))
			fprintf(stderr, "row %zu, %s: %lu steps, %lu by the compiler\n", i,
				rows[i].holds ? rows[i].holds : rows[i].spec, (unsigned long)steps,
				(unsigned long)cost);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test cost_tests[] = {{"dearest elements", dearest}, {0}};
