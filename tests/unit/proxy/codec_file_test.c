/* SPDX-License-Identifier: Apache-2.0 */
/* A codec file through the proxy, beside the native codec of the same protocol: awesomeRPC. */
#include "scene.h"

#include "mt_codec_priv.h"
#include "mt_codecfile.h"

#include <string.h>

#define HEADER 13
#define BODY   4
#define WHOLE  (HEADER + BODY)

static struct mt_region region;

/* The codec of tests/codecfiles/files/awesome.yaml. */
static const struct mt_codec *of_file(void)
{
	static char text[8192];
	const struct mt_codec_table *t;
	struct mt_diags diags;
	FILE *f = fopen(MT_CODECFILES "/files/awesome.yaml", "r");
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	mt_diags_init(&diags);
	mt_region_init(&region, 0);
	t = mt_codecfile_text(&region, &diags, "awesome.yaml", text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return &t->codec;
}

static void put(uint8_t *m, uint32_t id, uint16_t cmd, uint16_t result, uint32_t len)
{
	memset(m, (int)cmd, len);
	m[0] = 1;
	mt_put_be32(m + 1, id);
	mt_put_be32(m + 5, len);
	m[9] = (uint8_t)(cmd >> 8);
	m[10] = (uint8_t)cmd;
	m[11] = (uint8_t)(result >> 8);
	m[12] = (uint8_t)result;
}

static void feed(struct fake_conn *c, uint32_t id, uint16_t cmd, uint16_t result)
{
	uint8_t m[WHOLE];

	put(m, id, cmd, result, WHOLE);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, m, WHOLE));
}

/* The next message that was sent has this command and result. Returns its id. */
static uint32_t took(struct fake_conn *c, uint16_t cmd, uint16_t result, uint32_t len)
{
	uint8_t want[WHOLE], m[WHOLE] = {0};
	uint32_t id;

	CU_ASSERT_EQUAL(lab_take(c, m, len), len);
	id = mt_get_be32(m + 1);
	put(want, id, cmd, result, len);
	CU_ASSERT_EQUAL(memcmp(m, want, len), 0);
	return id;
}

/* Calls of two clients with one id, an error of the server, one of Meltemi, and a message in pieces. */
static void calls(const struct mt_codec *codec)
{
	struct fake_conn *a, *b, *s;
	uint8_t m[WHOLE];
	uint32_t id[2];

	scene_start(1);
	config_speak(lab.snap, 0, codec, 0);
	a = lab_client(CONFIG_SAFE);
	b = lab_client(CONFIG_SAFE);
	feed(a, 7, 1, 0);
	feed(b, 7, 2, 0);
	s = scene_connected_server(0);
	id[0] = took(s, 1, 0, WHOLE);
	id[1] = took(s, 2, 0, WHOLE);
	CU_ASSERT_NOT_EQUAL(id[0], id[1]);
	feed(s, id[1], 2, 0);
	feed(s, id[0], 1, 500);
	CU_ASSERT_EQUAL(took(a, 1, 500, WHOLE), 7);
	CU_ASSERT_EQUAL(took(b, 2, 0, WHOLE), 7);
	put(m, 8, 3, 0, WHOLE);
	for (uint32_t i = 0; i < WHOLE; i++)
		CU_ASSERT_TRUE_FATAL(lab_feed(a, m + i, 1));
	id[0] = took(s, 3, 0, WHOLE);
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_EQUAL(took(a, 3, 1, HEADER), 8);
	feed(s, id[0], 3, 0);
	CU_ASSERT_EQUAL(a->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 1);
	/* A length below that of the header. */
	put(m, 9, 4, 0, WHOLE);
	m[8] = HEADER - 1;
	CU_ASSERT_TRUE_FATAL(lab_feed(b, m, WHOLE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	lab_advance(20 * MT_SEC);
	lab_close(a, MT_CLOSE_RESET);
	scene_stop();
}

static void test_native(void)
{
	calls(mt_codec_find("awesomerpc"));
}

static void test_file(void)
{
	calls(of_file());
	mt_region_fini(&region);
}

/* The file is read again: another table with the same identity keeps the connections. */
static void test_file_again(void)
{
	const struct mt_codec *first = of_file(), *again;
	struct mt_region before = region;
	struct mt_snapshot *next;
	struct fake_conn *c, *s;

	scene_start(1);
	config_speak(lab.snap, 0, first, 0);
	c = lab_client(CONFIG_SAFE);
	feed(c, 1, 1, 0);
	s = scene_connected_server(0);
	feed(s, took(s, 1, 0, WHOLE), 1, 0);
	CU_ASSERT_EQUAL(took(c, 1, 0, WHOLE), 1);
	again = of_file();
	CU_ASSERT_PTR_NOT_EQUAL(again, first);
	next = config_make(1, 2, 1, true);
	config_speak(next, 0, again, 0);
	mt_proxy_adopt(lab.p, next);
	lab_advance(MT_MSEC);
	feed(c, 2, 2, 0);
	feed(s, took(s, 2, 0, WHOLE), 2, 0);
	CU_ASSERT_EQUAL(took(c, 2, 0, WHOLE), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
	mt_region_fini(&before);
	mt_region_fini(&region);
}

const struct mt_test codec_file_tests[] = {
	{"the native codec", test_native},
	{"the file", test_file},
	{"the file, read again", test_file_again},
	{0},
};
