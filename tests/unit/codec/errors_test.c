/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of error replies: by their numbers and texts, whole and cut. */
#include "codec_test.h"

#include <stdio.h>

#define OUT MT_DIR_UP

/* Class of the first error reply in p[0..n), which arrives in such pieces. */
static enum mt_msg_status class_of(
	const struct mt_codec *codec, const uint8_t *p, uint32_t n, uint32_t piece)
{
	enum mt_msg_status status;
	struct mt_chain c = {0};
	struct mt_msg msg;

	env_append(&c, p, n, piece);
	CU_ASSERT_EQUAL_FATAL(env_decode(codec, OUT, &c, &msg), MT_DECODE_DONE);
	status = mt_codec_classify(codec, &msg, &c);
	mt_chain_free(&c);
	return status;
}

static const struct {
	const char *vector;
	enum mt_msg_status status;
} vectors[] = {
	{"dubbo/reply-hello", MT_STATUS_OK},
	{"dubbo/reply-exception", MT_STATUS_APP_ERROR},
	{"dubbo/reply-service-error", MT_STATUS_CALLER_ERROR}, /* 70, of a service it lacks */
	{"dubbo/error-reply", MT_STATUS_SERVER_ERROR},
	{"thrift/framed-binary-reply", MT_STATUS_OK},
	{"thrift/framed-binary-exception", MT_STATUS_SERVER_ERROR},
	{"thrift/framed-compact-exception", MT_STATUS_SERVER_ERROR},
	{"thrift/unframed-binary-exception", MT_STATUS_SERVER_ERROR},
	{"thrift/unframed-binary-old-exception", MT_STATUS_SERVER_ERROR},
};

static const struct mt_codec *codec_of(const char *vector)
{
	return strncmp(vector, "dubbo", 5) == 0 ? &mt_codec_dubbo : &mt_codec_thrift;
}

static void captured(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++) {
		uint8_t p[VECTOR_MAX];
		uint32_t n = env_vector(vectors[i].vector, p);

		for (uint32_t piece = 0; piece < 30; piece++)
			CU_ASSERT_EQUAL(class_of(codec_of(vectors[i].vector), p, n, piece),
				vectors[i].status);
	}
}

/* A Dubbo reply of the status with a short text. */
static enum mt_msg_status dubbo(uint8_t status, const char *text)
{
	uint8_t p[64] = {0xda, 0xbb, 2, status};
	uint32_t len = (uint32_t)strlen(text);

	mt_put_be32(p + 12, 1 + len);
	p[16] = (uint8_t)len;
	memcpy(p + 17, text, len);
	return class_of(&mt_codec_dubbo, p, 17 + len, 0);
}

static void dubbo_numbers(void)
{
	CU_ASSERT_EQUAL(dubbo(31, "late"), MT_STATUS_DEADLINE);
	CU_ASSERT_EQUAL(dubbo(35, ""), MT_STATUS_UNAVAILABLE);
	CU_ASSERT_EQUAL(dubbo(50, ""), MT_STATUS_SERVER_ERROR);
	CU_ASSERT_EQUAL(dubbo(70, "fails"), MT_STATUS_SERVER_ERROR);
	CU_ASSERT_EQUAL(dubbo(80, ""), MT_STATUS_SERVER_ERROR);
	CU_ASSERT_EQUAL(dubbo(100, "full"), MT_STATUS_OVERLOAD);
	CU_ASSERT_EQUAL(dubbo(40, ""), MT_STATUS_CALLER_ERROR);
	CU_ASSERT_EQUAL(dubbo(60, ""), MT_STATUS_CALLER_ERROR);
	CU_ASSERT_EQUAL(dubbo(7, ""), MT_STATUS_CALLER_ERROR);
	/* Only at the text's start. */
	CU_ASSERT_EQUAL(dubbo(100, "meltemi: overload"), MT_STATUS_REFUSED);
	CU_ASSERT_EQUAL(dubbo(100, "no meltemi: overload"), MT_STATUS_OVERLOAD);
}

/* A framed exception: strict binary with its fields in either order; compact with or without text. */
static enum mt_msg_status thrift(bool compact, bool text_last, uint8_t number)
{
	static const uint8_t binary[] = {0x80, 1, 0, 3, 0, 0, 0, 1, 'm', 0, 0, 0, 9};
	static const uint8_t short_head[] = {0x82, 0x61, 9, 1, 'm'};
	uint8_t p[64] = {0}, *at = p + 4;
	const uint8_t *head = compact ? short_head : binary;
	uint32_t n = compact ? sizeof(short_head) : sizeof(binary);

	memcpy(at, head, n);
	at += n;
	if (compact) { /* ids are distances, so the text is first, if there is one */
		memcpy(at, "\x18\x00", 2);
		at += text_last ? 0 : 2;
		*at++ = text_last ? 0x25 : 0x15;
		*at++ = (uint8_t)(number << 1);
	} else {
		memcpy(at + (text_last ? 7 : 0), "\x0b\x00\x01\x00\x00\x00\x00", 7);
		memcpy(at + (text_last ? 0 : 7), "\x08\x00\x02\x00\x00\x00", 6);
		at[text_last ? 6 : 13] = number;
		at += 14;
	}
	*at++ = 0;
	mt_put_be32(p, (uint32_t)(at - p - 4));
	return class_of(&mt_codec_thrift, p, (uint32_t)(at - p), 0);
}

static void thrift_numbers(void)
{
	static const uint8_t of[] = {[0] = MT_STATUS_SERVER_ERROR,
		[1] = MT_STATUS_CALLER_ERROR,
		[4] = MT_STATUS_SERVER_ERROR,
		[5] = MT_STATUS_SERVER_ERROR,
		[6] = MT_STATUS_SERVER_ERROR,
		[7] = MT_STATUS_CALLER_ERROR,
		[10] = MT_STATUS_CALLER_ERROR,
		[11] = MT_STATUS_CALLER_ERROR};

	for (uint8_t n = 0; n < MT_ARRAY_LEN(of); n++) {
		if (!of[n])
			continue;
		CU_ASSERT_EQUAL(thrift(false, false, n), of[n]);
		CU_ASSERT_EQUAL(thrift(false, true, n), of[n]);
		CU_ASSERT_EQUAL(thrift(true, false, n), of[n]);
		CU_ASSERT_EQUAL(thrift(true, true, n), of[n]);
	}
}

/*
 * An exception that repeats its text has no known number, because a server could otherwise cause a
 * search through all buffers for each 7 bytes.
 */
static void thrift_fields_are_bounded(void)
{
	uint8_t p[128] = {0, 0, 0, 0, 0x80, 1, 0, 3, 0, 0, 0, 1, 'm', 0, 0, 0, 9}, *at = p + 17;

	for (int i = 0; i < 8; i++, at += 7)
		memcpy(at, "\x0b\x00\x01\x00\x00\x00\x00", 7);
	memcpy(at, "\x08\x00\x02\x00\x00\x00\x01", 7); /* the caller's error */
	at += 8;
	mt_put_be32(p, (uint32_t)(at - p - 4));
	CU_ASSERT_EQUAL(
		class_of(&mt_codec_thrift, p, (uint32_t)(at - p), 0), MT_STATUS_SERVER_ERROR);
}

/* Each local reply is a server's error to the next Meltemi, and refusals are known as such. */
static void chained(void)
{
	static const struct mt_codec *const codecs[] = {&mt_codec_dubbo, &mt_codec_thrift};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(codecs) * MT_REPLY_N; i++) {
		enum mt_local_reply what = (enum mt_local_reply)(i / MT_ARRAY_LEN(codecs));
		const struct mt_codec *codec = codecs[i % MT_ARRAY_LEN(codecs)];
		struct mt_seed seed = {.id = 7, .variant = codec == &mt_codec_dubbo ? 2 : 0x10};
		bool refusal = what == MT_REPLY_DENIED || what == MT_REPLY_OVER_LIMIT ||
			       what == MT_REPLY_OVERLOAD;
		struct mt_chain c = {0};
		uint8_t p[1200];
		uint32_t n;

		CU_ASSERT_EQUAL(
			codec->write.reply(codec, &seed, what, "a text", &c, &env_pools), 0);
		n = c.len;
		mt_chain_read(&c, 0, p, n);
		mt_chain_free(&c);
		for (uint32_t piece = 0; piece < 9; piece++)
			CU_ASSERT_EQUAL(class_of(codec, p, n, piece) == MT_STATUS_REFUSED, refusal);
	}
}

/* Text of any length; a mark that a text has already is not written twice. */
static void texts(void)
{
	char to[20], longer[40];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CU_ASSERT_EQUAL(mt_codec_local_text(MT_REPLY_TIMEOUT, "late", to, sizeof(to)), 4);
	CU_ASSERT_EQUAL(mt_codec_local_text(MT_REPLY_DENIED, "by a", to, sizeof(to)), 13);
	CU_ASSERT_NSTRING_EQUAL(to, "meltemi: by a", 13);
	CU_ASSERT_EQUAL(mt_codec_local_text(MT_REPLY_DENIED, "meltemi: x", to, sizeof(to)), 10);
	CU_ASSERT_EQUAL(mt_codec_local_text(MT_REPLY_DENIED, longer, to, sizeof(to)), sizeof(to));
}

/* Error replies that end anywhere, or whose lengths are wrong, have some class. */
static void malformed(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++) {
		const struct mt_codec *codec = codec_of(vectors[i].vector);
		uint8_t p[VECTOR_MAX];
		uint32_t n = env_vector(vectors[i].vector, p);

		for (uint32_t at = 0; at < MT_MIN(n, 80u); at++) {
			for (uint32_t bit = 0; bit < 8; bit++) {
				struct mt_chain c = {0};
				struct mt_msg msg = {0};

				p[at] ^= (uint8_t)(1u << bit);
				env_append(&c, p, n, bit);
				if (env_decode(codec, OUT, &c, &msg) == MT_DECODE_DONE)
					CU_ASSERT(mt_codec_classify(codec, &msg, &c) < MT_STATUS_N);
				mt_chain_free(&c);
				p[at] ^= (uint8_t)(1u << bit);
			}
		}
	}
}

/* The page of the protocol has each row. */
static void pages(void)
{
	for (const struct mt_codec *const *codec = mt_codecs; *codec; codec++) {
		static char page[65536];
		char path[300];
		size_t n;
		FILE *f;

		if (!(*codec)->errors.read)
			continue;
		snprintf(path, sizeof(path), MT_DOCS "/protocols/%s.md", (*codec)->name);
		f = fopen(path, "r");
		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		n = fread(page, 1, sizeof(page) - 1, f);
		page[n] = '\0';
		fclose(f);
		for (uint32_t i = 0; i < (*codec)->errors.n_classes; i++) {
			const struct mt_error_class *r = &(*codec)->errors.classes[i];
			char row[200];

			snprintf(row, sizeof(row), "\n| %u | %s%s%s%s | %s |", r->number, r->name,
				r->contains ? ", \"" : "", r->contains ? r->contains : "",
				r->contains ? "\"" : "",
				mt_msg_status_name((enum mt_msg_status)r->status));
			CU_ASSERT_PTR_NOT_NULL(strstr(page, row));
			if (!strstr(page, row))
				fprintf(stderr, "%s lacks:%s\n", path, row);
		}
	}
}

const struct mt_test error_tests[] = {{"captured", captured}, {"Dubbo's numbers", dubbo_numbers},
	{"Thrift's numbers", thrift_numbers}, {"fields are bounded", thrift_fields_are_bounded},
	{"chained", chained}, {"texts", texts}, {"malformed", malformed}, {"pages", pages}, {0}};
