/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames that tests/codecfiles/random_frames.py has made and read, in the file MT_CODECFILES_IN:
 * lib/codec must find the same in them, whole and in pieces. Without the variable nothing is done.
 */
#include "codecfile_test.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME, SIDE, KIND, ID, LENGTH, TIMEOUT, META, BYTES, GIVEN_FIELDS };

struct given {
	char *field[GIVEN_FIELDS];
	uint8_t bytes[FRAME_MAX];
	uint32_t n;
	bool wrong;
};

static const char *const kinds[MT_MSG_N_KINDS] = {
	[MT_MSG_REQUEST] = "request",
	[MT_MSG_REPLY] = "reply",
	[MT_MSG_ONEWAY] = "oneway",
	[MT_MSG_HEARTBEAT] = "heartbeat",
	[MT_MSG_HEARTBEAT_REPLY] = "heartbeat-reply",
	[MT_MSG_EVENT] = "event",
};

static uint32_t unhex(const char *s, uint8_t *to, uint32_t most)
{
	uint32_t n = 0;
	unsigned int b;

	for (; n < most && sscanf(s, "%2x", &b) == 1 && s[1]; s += 2)
		to[n++] = (uint8_t)b;
	return n;
}

static void differs(struct given *g, const char *what, uint32_t piece)
{
	static uint32_t n;

	g->wrong = true;
	if (n++ < 20)
		fprintf(stderr, "%s, %s, pieces of %u: another %s: %s\n", g->field[NAME],
			g->field[SIDE], piece, what, g->field[BYTES]);
}

static bool has(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c,
	const char *key, const uint8_t *want, uint32_t n)
{
	static struct mt_view view;
	struct mt_key k = mt_key_make(codec, key);
	struct mt_slice v;

	mt_view_bind(&view, codec, msg, c);
	return mt_view_get(&view, &k, &v) && v.len == n && memcmp(v.p, want, n) == 0;
}

/* Pairs of hexadecimal digits: KEY=VALUE KEY=VALUE. */
static void check_meta(struct given *g, const struct mt_codec *codec, struct mt_msg *msg,
	struct mt_chain *c, uint32_t piece)
{
	static uint8_t key[FRAME_MAX + 1], value[FRAME_MAX];
	char copy[4 * FRAME_MAX], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", g->field[META]);
	for (char *k = strtok_r(copy, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
		char *v = strchr(k, '=');

		if (!v)
			continue;
		*v++ = '\0';
		key[unhex(k, key, FRAME_MAX)] = '\0';
		if (!has(codec, msg, c, (const char *)key, value, unhex(v, value, FRAME_MAX)))
			differs(g, (const char *)key, piece);
	}
}

static void check(struct given *g, const struct mt_codec *codec, struct mt_msg *msg,
	struct mt_chain *c, uint32_t piece)
{
	size_t n = strcspn(g->field[KIND], "!");
	const char *kind = kinds[msg->kind];

	if (!kind || strlen(kind) != n || memcmp(kind, g->field[KIND], n) != 0)
		differs(g, "kind", piece);
	else if ((g->field[KIND][n] == '!') != (msg->refuse != 0))
		differs(g, "verdict", piece);
	else if (msg->id != strtoull(g->field[ID], NULL, 10))
		differs(g, "id", piece);
	else if (msg->len != strtoul(g->field[LENGTH], NULL, 10))
		differs(g, "length", piece);
	else if (!msg->refuse && msg->timeout_ms != strtoul(g->field[TIMEOUT], NULL, 10))
		differs(g, "deadline", piece);
	else if (!msg->refuse)
		check_meta(g, codec, msg, c, piece);
}

/* In calls of `piece` bytes, each in a buffer of its own. */
static void decode(struct given *g, const struct mt_codec *codec, uint32_t piece)
{
	enum mt_dir dir = strcmp(g->field[SIDE], "server") == 0 ? MT_DIR_UP : MT_DIR_DOWN;
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	mt_decoder_init(&d, codec, dir, 0, &c);
	for (uint32_t at = 0, n; at < g->n && rc == MT_DECODE_MORE; at += n) {
		n = MT_MIN(piece, g->n - at);
		env_append(&c, g->bytes + at, n, piece);
		rc = mt_decoder_run(&d, &msg);
		if (rc == MT_DECODE_LEADING)
			rc = mt_decoder_run(&d, &msg);
	}
	if (rc == MT_DECODE_BAD) {
		/* The first bytes of a message may already be wrong. */
		if (strcmp(g->field[KIND], "bad") != 0 && strcmp(g->field[KIND], "more") != 0)
			differs(g, d.why, piece);
	} else if (rc == MT_DECODE_MORE) {
		if (strcmp(g->field[KIND], "more") != 0)
			differs(g, "end", piece);
	} else {
		check(g, codec, &msg, &c, piece);
	}
	mt_chain_free(&c);
}

static bool parse(char *line, struct given *g)
{
	for (uint32_t i = 0; i < GIVEN_FIELDS; i++) {
		g->field[i] = strsep(&line, "\t\n");
		if (!g->field[i])
			return false;
	}
	g->n = unhex(g->field[BYTES], g->bytes, FRAME_MAX);
	g->wrong = false;
	return g->n > 0;
}

static void frames(void)
{
	static char line[8 * FRAME_MAX];
	static struct given g;
	const char *path = getenv("MT_CODECFILES_IN");
	FILE *f = path ? fopen(path, "r") : NULL;
	const struct mt_codec_table *t = NULL;
	struct mt_region region;
	char name[64] = "";
	uint32_t n = 0, wrong = 0;

	if (!path)
		return;
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	mt_region_init(&region, 0);
	while (fgets(line, sizeof(line), f)) {
		CU_ASSERT_FATAL(parse(line, &g));
		if (strcmp(name, g.field[NAME]) != 0) {
			snprintf(name, sizeof(name), "%s", g.field[NAME]);
			t = file_compile(&region, name);
		}
		decode(&g, &t->codec, 2000);
		decode(&g, &t->codec, 1);
		decode(&g, &t->codec, 2 + n % 30);
		n++;
		wrong += g.wrong;
	}
	fclose(f);
	mt_region_fini(&region);
	printf("%u frames, %u of them differ\n", n, wrong);
	CU_ASSERT(n > 0 && wrong == 0);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test given_tests[] = {{"given frames", frames}, {0}};
