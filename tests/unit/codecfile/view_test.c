/* SPDX-License-Identifier: Apache-2.0 */
/* What tools show of a document and of the messages at the start of a stream. */
#include "codecfile_test.h"

#include <stdio.h>

static const char doc[] =
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: seen}\nspec:\n"
	"  calls: multiplexed\n  places:\n"
	"    magic: {at: 0, size: 1}\n    total: {at: 1, size: 1}\n    kind: {at: 2, size: 1}\n"
	"    id: {at: 3, size: 4}\n    delta: {at: 7, size: 1, signed: true}\n"
	"    name: {at: 8, count: 1}\n    unused: {at: 2, size: 2}\n"
	"    never: {after: name, count: 1}\n"
	"  frame: {length: total, min: 8, max: 100}\n  messages:\n"
	"  - {is: request, from: client, when: {kind: 1}}\n"
	"  - {is: reply, from: server, when: {kind: 2}}\n"
	"  id: id\n  metadata: {name: name, delta: delta}\n"
	"  samples: {from: client, is: request, hex: \"a00b 01 00000005 ff 02 6162\"}\n";

static const uint8_t two[] = {0xa0, 11, 1, 0, 0, 0, 5, 0xff, 2, 'a', 'b', 0xa0, 8, 2};

static const struct mt_codec_table *read_doc(
	struct mt_region *region, struct mt_codecfile_view *view)
{
	const struct mt_codec_table *t;
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_region_init(region, 0);
	*view = (struct mt_codecfile_view){0};
	t = mt_codecfile_read(region, &diags, "seen.yaml", doc, strlen(doc), view);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return t;
}

static const struct mt_codecfile_place *named(const struct mt_codecfile_view *v, const char *name)
{
	for (uint32_t i = 0; i < v->n_places; i++)
		if (strcmp(v->places[i].name, name) == 0)
			return &v->places[i];
	CU_FAIL_FATAL("no such place");
	return NULL;
}

static void view(void)
{
	struct mt_codecfile_view v;
	struct mt_region region;
	const struct mt_codec_table *t = read_doc(&region, &v), *plain;

	CU_ASSERT(v.n_variants == 1 && v.n_places == 8 && v.n_samples == 1);
	CU_ASSERT(named(&v, "unused")->read && !named(&v, "never")->read);
	CU_ASSERT_EQUAL(named(&v, "never")->line, 14);
	CU_ASSERT_EQUAL(v.variant[0].kinds[MT_DIR_DOWN], 1u << MT_MSG_REQUEST);
	CU_ASSERT_EQUAL(v.variant[0].kinds[MT_DIR_UP], 1u << MT_MSG_REPLY);
	CU_ASSERT(!v.variant[0].status && !v.variant[0].deadline && !v.variant[0].name);
	CU_ASSERT(v.samples[0].n == 11 && memcmp(v.samples[0].bytes, two, 11) == 0);
	/* The view is no part of the codec. */
	plain = file_compile(&region, doc);
	CU_ASSERT(mt_codec_same(&t->codec, &plain->codec));
	mt_region_fini(&region);
}

static struct mt_ct_found at(const struct mt_codec_table *t, const struct mt_codecfile_view *v,
	const char *name, uint32_t n)
{
	struct mt_ct_found found;
	struct mt_msg msg;
	struct mt_ct_cause why;

	mt_codec_table_first(t, MT_DIR_DOWN, two, n, &named(v, name)->at, 1, &found, &msg, &why);
	return found;
}

static void places(void)
{
	struct mt_codecfile_view v;
	struct mt_region region;
	const struct mt_codec_table *t = read_doc(&region, &v);
	struct mt_ct_found f = at(t, &v, "name", sizeof(two));

	CU_ASSERT(f.there && f.off == 9 && f.len == 2 && !f.number);
	f = at(t, &v, "delta", sizeof(two));
	CU_ASSERT(f.there && f.off == 7 && f.number && f.is_signed && (int64_t)f.value == -1);
	f = at(t, &v, "unused", sizeof(two));
	CU_ASSERT(f.there && f.off == 2 && f.len == 2 && f.value == 0x100);
	/* No byte that has not arrived is read. */
	f = at(t, &v, "id", 5);
	CU_ASSERT(!f.there);
	mt_region_fini(&region);
}

/*
 * The view adds places to the array of those that the table uses, which can move it. Each number of
 * places before has its turn.
 */
static void moved(void)
{
	static const char head[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: moved}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 1}\n";
	static const char tail[] =
		"  frame: {length: total, min: 1, max: 100}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n";
	static uint8_t message[64] = {64};

	for (uint32_t n = 1; n < 40; n++) {
		static struct mt_ct_found found[64];
		struct mt_codecfile_view v = {0};
		struct mt_region region;
		struct mt_diags diags;
		const struct mt_codec_table *t;
		char text[4096];
		struct mt_msg msg;
		struct mt_ct_cause why;
		int len = snprintf(text, sizeof(text), "%s", head);

		for (uint32_t i = 1; i <= n; i++)
			len += snprintf(text + len, sizeof(text) - (size_t)len,
				"    p%u: {at: %u, size: 1}\n", i, i);
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s", tail);
		mt_diags_init(&diags);
		mt_region_init(&region, 0);
		t = mt_codecfile_read(&region, &diags, "moved.yaml", text, (size_t)len, &v);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		for (uint32_t i = 0; i < v.n_places; i++) {
			mt_codec_table_first(t, MT_DIR_DOWN, message, sizeof(message),
				&v.places[i].at, 1, &found[i], &msg, &why);
			CU_ASSERT(found[i].there && found[i].off == i && found[i].len == 1);
		}
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

static void first(void)
{
	struct mt_codecfile_view v;
	struct mt_region region;
	const struct mt_codec_table *t = read_doc(&region, &v);
	struct mt_msg msg;
	struct mt_ct_cause why;

	CU_ASSERT_EQUAL(
		mt_codec_table_first(t, MT_DIR_DOWN, two, sizeof(two), NULL, 0, NULL, &msg, &why),
		MT_DECODE_DONE);
	CU_ASSERT(msg.len == 11 && msg.id == 5);
	CU_ASSERT_EQUAL(mt_codec_table_first(t, MT_DIR_DOWN, two, 10, NULL, 0, NULL, &msg, &why),
		MT_DECODE_MORE);
	CU_ASSERT_EQUAL(msg.len, 11);
	CU_ASSERT_EQUAL(mt_codec_table_first(t, MT_DIR_DOWN, two, 1, NULL, 0, NULL, &msg, &why),
		MT_DECODE_MORE);
	CU_ASSERT_EQUAL(msg.len, 0);
	CU_ASSERT_EQUAL(
		mt_codec_table_first(t, MT_DIR_UP, two, sizeof(two), NULL, 0, NULL, &msg, &why),
		MT_DECODE_BAD);
	CU_ASSERT_STRING_EQUAL(why.fault, "codec file: no kind of message matches");
	mt_region_fini(&region);
}

/* Its entries are read, so that no limit of the file is to be named. */
static void searched_map(void)
{
	static const char map[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: map}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 1}\n"
		"    body: {at: 1, to: 0, holds: jce}\n    context: {in: body, find: 1, holds: "
		"map}\n"
		"    other: {in: body, find: 2, holds: map}\n"
		"  frame: {length: total, min: 1, max: 100}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n  search: "
		"context\n";
	struct mt_codecfile_view v = {0};
	struct mt_region region;
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_region_init(&region, 0);
	CU_ASSERT_PTR_NOT_NULL(
		mt_codecfile_read(&region, &diags, "map.yaml", map, strlen(map), &v));
	mt_diags_print(&diags, stderr);
	CU_ASSERT_EQUAL(v.n_places, 3);
	CU_ASSERT(!named(&v, "other")->read);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
}

const struct mt_test view_tests[] = {{"view", view}, {"places", places}, {"moved", moved},
	{"first", first}, {"searched map", searched_map}, {0}};
