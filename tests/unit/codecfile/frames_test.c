/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each NAME.yaml of tests/codecfiles/files, codecs/ and docs/tutorials/codecs compiles, and decodes
 * the messages of messages/NAME.tsv as their lines contain: whole, byte by byte, and cut in two at
 * every byte.
 */
#include "codecfile_test.h"

#include <stdio.h>

static const char *const kinds[MT_MSG_N_KINDS] = {
	[MT_MSG_REQUEST] = "request",
	[MT_MSG_REPLY] = "reply",
	[MT_MSG_ONEWAY] = "oneway",
	[MT_MSG_HEARTBEAT] = "heartbeat",
	[MT_MSG_HEARTBEAT_REPLY] = "heartbeat-reply",
	[MT_MSG_EVENT] = "event",
};

/* What the test is about, for messages. */
static const char *at_file;
static const struct line *at_line;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		bool ok_ = (x);                                                                    \
                                                                                                   \
		CU_ASSERT(ok_);                                                                    \
		if (!ok_)                                                                          \
			fprintf(stderr, "%s: %s: %s (line %d)\n", at_file, at_line->name, #x,      \
				__LINE__);                                                         \
	} while (0)

/* ---- checks ---------------------------------------------------------------------------------- */

static void check_meta(const struct mt_codec *codec, const struct line *l, struct mt_msg *msg,
	const struct mt_chain *c, bool leading)
{
	char copy[2048], *save = NULL;

	snprintf(copy, sizeof(copy), "%s", l->meta);
	for (char *k = strtok_r(copy, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
		char *v = strchr(k, '=');
		const char *is;

		if (!v)
			continue;
		*v++ = '\0';
		if (strcmp(k, "timeout") == 0) {
			CHECK(msg->timeout_ms == (uint32_t)atoi(v));
			continue;
		}
		if (leading && mt_key_make(codec, k).id < 0)
			continue;
		is = env_meta(codec, msg, c, k);
		CHECK(strcmp(is, v) == 0);
		if (strcmp(is, v) != 0)
			fprintf(stderr, "\t%s is \"%s\", not \"%s\"\n", k, is, v);
	}
}

/* The proxy's class of a reply is the file's, whose name is the beginning of the other one. */
static bool is_class(const struct mt_codec *codec, const struct mt_msg *msg, const char *name)
{
	const struct mt_chain none = {0};
	enum mt_msg_status status = mt_codec_classify(codec, msg, &none);

	return strcmp(mt_ct_class_str((enum mt_ct_class)msg->aux), name) == 0 &&
	       strncmp(mt_msg_status_name(status), name, strlen(name)) == 0;
}

static void check_kind(const struct mt_codec *codec, const struct line *l, const struct mt_msg *msg)
{
	char want[64];
	const char *class = strchr(l->kind, ':');
	bool refused = strchr(l->kind, '!') != NULL;

	snprintf(want, sizeof(want), "%.*s", (int)strcspn(l->kind, ":!"), l->kind);
	CHECK(kinds[msg->kind] && strcmp(kinds[msg->kind], want) == 0);
	CHECK((msg->refuse != 0) == refused);
	CHECK(msg->id == l->id);
	if (class)
		CHECK(is_class(codec, msg, class + 1));
}

static void check(const struct mt_codec *codec, const struct line *l, struct mt_msg *msg,
	const struct mt_chain *c, bool leading)
{
	check_kind(codec, l, msg);
	CHECK(msg->len == l->n);
	CHECK(msg->lead_len <= msg->len && (!leading || msg->lead_len <= c->len));
	if (!msg->refuse)
		check_meta(codec, l, msg, c, leading);
}

/* ---- decoding -------------------------------------------------------------------------------- */

struct feeding {
	struct mt_chain c;
	struct mt_decoder d;
	struct mt_msg msg;
	uint32_t leading;
	bool look; /* at metadata */
};

static enum mt_decode feed(
	struct feeding *f, const struct line *l, uint32_t from, uint32_t to, uint32_t piece)
{
	enum mt_decode rc;

	env_append(&f->c, l->bytes + from, to - from, piece);
	rc = mt_decoder_run(&f->d, &f->msg);
	if (rc == MT_DECODE_LEADING) {
		f->leading++;
		if (f->look)
			check(f->d.codec, l, &f->msg, &f->c, true);
		rc = mt_decoder_run(&f->d, &f->msg);
	}
	CHECK(rc != MT_DECODE_LEADING);
	return rc;
}

static void begin(struct feeding *f, const struct mt_codec *codec, const struct line *l, bool look)
{
	*f = (struct feeding){.look = look};
	mt_decoder_init(&f->d, codec, l->dir, 0, &f->c);
}

static void end(struct feeding *f, const struct line *l, enum mt_decode rc)
{
	bool bad = strcmp(l->kind, "bad") == 0;

	CHECK(rc == (bad ? MT_DECODE_BAD : MT_DECODE_DONE));
	if (rc == MT_DECODE_BAD && !bad)
		fprintf(stderr, "\t%s\n", f->d.why);
	CHECK(f->leading <= 1);
	if (rc == MT_DECODE_DONE && !bad) {
		if (f->look)
			check(f->d.codec, l, &f->msg, &f->c, false);
		else
			check_kind(f->d.codec, l, &f->msg);
	}
	mt_chain_free(&f->c);
}

/* Whole, with a second message behind it. */
static void whole(const struct mt_codec *codec, const struct line *l)
{
	struct feeding f;
	enum mt_decode rc;

	begin(&f, codec, l, true);
	env_append(&f.c, l->bytes, l->n, 0);
	rc = feed(&f, l, 0, MT_MIN(l->n, 1000u), 0);
	if (rc == MT_DECODE_DONE)
		CHECK(f.msg.len == l->n);
	end(&f, l, rc);
}

static void byte_by_byte(const struct mt_codec *codec, const struct line *l)
{
	enum mt_decode rc = MT_DECODE_MORE;
	struct feeding f;

	begin(&f, codec, l, true);
	for (uint32_t i = 0; i < l->n && rc == MT_DECODE_MORE; i++) {
		rc = feed(&f, l, i, i + 1, 1);
		CHECK(rc != MT_DECODE_DONE || i + 1 == l->n);
	}
	end(&f, l, rc);
}

static void cut(const struct mt_codec *codec, const struct line *l, uint32_t at)
{
	struct feeding f;
	enum mt_decode rc;

	/* A look at each cut costs too much for long messages. */
	begin(&f, codec, l, l->n < 400);
	rc = feed(&f, l, 0, at, 0);
	if (rc == MT_DECODE_MORE)
		rc = feed(&f, l, at, l->n, 0);
	end(&f, l, rc);
}

/* Few steps for each call: the result is the same. */
static void few_steps(const struct mt_codec *codec, const struct line *l)
{
	enum mt_decode rc = MT_DECODE_MORE;
	struct feeding f;

	begin(&f, codec, l, true);
	env_append(&f.c, l->bytes, l->n, 100);
	for (uint32_t i = 0; i < 100000 && rc == MT_DECODE_MORE; i++) {
		f.d.steps = 9;
		rc = mt_decoder_run(&f.d, &f.msg);
	}
	end(&f, l, rc);
}

/* A run over all bytes of a message ends it, or leaves no steps, however many it had. */
static void no_steps_left(const struct mt_codec *codec, const struct line *l)
{
	enum mt_decode rc = MT_DECODE_MORE;
	struct feeding f;

	for (uint32_t steps = 9; steps < 2000 && rc == MT_DECODE_MORE; steps++) {
		begin(&f, codec, l, false);
		env_append(&f.c, l->bytes, l->n, 100);
		f.d.steps = steps;
		rc = mt_decoder_run(&f.d, &f.msg);
		CHECK(rc != MT_DECODE_MORE || f.d.steps == 0);
		mt_chain_free(&f.c);
	}
}

static void one(const struct mt_codec *codec, const struct line *l)
{
	at_line = l;
	whole(codec, l);
	byte_by_byte(codec, l);
	few_steps(codec, l);
	no_steps_left(codec, l);
	for (uint32_t at = 1; at < l->n; at++)
		cut(codec, l, at);
}

static void sniff(const struct mt_codec *codec, const struct line *l)
{
	uint32_t need = 0;

	if (l->dir != MT_DIR_DOWN || strcmp(l->kind, "bad") == 0)
		return;
	CHECK(codec->frame.sniff(codec, l->bytes, l->n, &need) == MT_SNIFF_YES);
	for (uint32_t n = 0; n < l->n; n++) {
		enum mt_sniff s = codec->frame.sniff(codec, l->bytes, n, &need);

		CHECK(s == MT_SNIFF_YES || (s == MT_SNIFF_MORE && need > n && need <= l->n));
	}
}

/* Each file decodes its messages. Returns how many. */
static uint32_t lines(const struct mt_codec *codec, const char *name)
{
	static struct line l;
	char path[128], *text, *next;
	uint32_t n = 0;
	size_t len;

	snprintf(path, sizeof(path), "messages/%s.tsv", name);
	text = file_slurp(path, &len);
	if (!text) {
		CU_FAIL("a file without messages");
		fprintf(stderr, "%s: missing\n", path);
		return 0;
	}
	while ((next = strsep(&text, "\n"))) {
		if (!*next || *next == '#')
			continue;
		if (!line_parse(next, &l)) {
			CU_FAIL("a line that cannot be read");
			fprintf(stderr, "%s: %.40s\n", path, next);
			continue;
		}
		one(codec, &l);
		sniff(codec, &l);
		n++;
	}
	return n;
}

static uint32_t file(const char *name)
{
	struct mt_region region;
	struct mt_diags diags;
	const struct mt_codec_table *t;
	char path[128], *text;
	uint32_t n = 0;
	size_t len = 0;

	at_file = name;
	text = file_text(name, path, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	mt_region_init(&region, 0);
	mt_diags_init(&diags);
	t = mt_codecfile_text(&region, &diags, path, text, len);
	CU_ASSERT_PTR_NOT_NULL(t);
	CU_ASSERT_EQUAL(mt_diags_count(&diags), 0);
	mt_diags_print(&diags, stderr);
	if (t)
		n = lines(&t->codec, name);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	return n;
}

/* The files that describe real protocols, with captures of real peers. */
static const char *const real[] = {"bolt", "brpc", "dubbo2", "memcached_binary", "mongodb", "motan",
	"tars", "thrift_framed_binary", "trpc"};

static void protocols(void)
{
	uint32_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(real); i++)
		n += file(real[i]);
	CU_ASSERT(n >= 160);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

static bool is_protocol(const char *name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(real); i++)
		if (strcmp(real[i], name) == 0)
			return true;
	return false;
}

/* All others, which are about one part of the grammar each. */
static void grammar(void)
{
	uint32_t n = 0;

	for (const char *const *name = file_names(); *name; name++)
		if (!is_protocol(*name))
			n += file(*name);
	CU_ASSERT(n > 0);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* Servers of tRPC in C++ read 10,000,000 bytes. A longer request is refused when its head is there. */
static void longest(void)
{
	static uint8_t head[] = {0x09, 0x30, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0x18, 7};

	for (uint32_t more = 0; more < 2; more++)
		for (uint32_t dir = 0; dir < 2; dir++) {
			bool refused = more && dir == MT_DIR_DOWN;
			struct mt_msg msg = {0};
			struct mt_chain c = {0};
			struct mt_region region;
			struct mt_decoder d;

			mt_region_init(&region, 0);
			mt_put_be32(head + 4, 10000000 + more);
			env_append(&c, head, sizeof(head), 0);
			mt_decoder_init(
				&d, &file_compile(&region, "trpc")->codec, (enum mt_dir)dir, 0, &c);
			CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_LEADING);
			CU_ASSERT_EQUAL(msg.refuse, refused ? 1 + MT_REPLY_TOO_LARGE : 0);
			mt_chain_free(&c);
			mt_region_fini(&region);
		}
}

const struct mt_test frames_tests[] = {
	{"longest messages of tRPC", longest},
	{"protocols", protocols},
	{"grammar", grammar},
	{0},
};
