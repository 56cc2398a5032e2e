/* SPDX-License-Identifier: Apache-2.0 */
/* Samples: messages in a document, which the finished table decodes as the document expects. */
#include "file.h"

#include <stdlib.h>

/* ---- reading --------------------------------------------------------------------------------- */

static void read_id(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	cf_read_number(c, n, &((struct cf_sample *)obj)->id);
}

static const struct mt_field fields[] = {
	{"from", MT_F_WORD, .required = true, AT(struct cf_sample, from), .words = cf_from_words,
		.help = "client or server"},
	{"hex", MT_F_TEXT, AT(struct cf_sample, hex)},
	{"text", MT_F_TEXT, AT(struct cf_sample, text)},
	{"is", MT_F_WORD, .required = true, AT(struct cf_sample, is), .words = cf_kind_words,
		.help = "its kind"},
	{"refuse", MT_F_WORD, AT(struct cf_sample, refuse), .words = cf_reason_words},
	{"id", MT_F_CUSTOM, .custom = read_id},
	{"metadata", MT_F_LABELS, AT(struct cf_sample, metadata)},
};

static void check(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct cf_sample *s = obj;

	if ((s->hex.s != NULL) == (s->text.s != NULL))
		mt_f_error(c, n->line, "write one of hex and text",
			s->hex.s ? "its bytes are given twice" : "its bytes are not given");
}

static const struct mt_section section = {.what = "sample",
	.size = sizeof(struct cf_sample),
	.n_fields = MT_ARRAY_LEN(fields),
	.fields = fields,
	.after = check};

void cf_read_samples(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->samples = cf_read_many(c, &section, n, &v->n_samples);
}

/* ---- running --------------------------------------------------------------------------------- */

struct running {
	struct cf_build *b;
	const struct mt_codec_table *t;
	const struct cf_sample *s;
	struct mt_metadata meta;
	struct mt_msg msg;
	struct mt_codecfile_view view; /* filled when a cause is first named */
	uint8_t bytes[CF_SAMPLE_MAX], scratch[MT_META_SCRATCH];
	uint32_t n;
};

static void contradicts(const struct running *r, uint32_t line, const char *fmt, ...)
	mt_printf(3, 4);
static void contradicts(const struct running *r, uint32_t line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	cf_error(
		r->b, "spec.samples", line, "correct the sample, or what describes it", "%s", text);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool cf_parse_hex(const char *s, uint8_t *to, uint32_t most, uint32_t *n)
{
	for (*n = 0; *s; s++) {
		int high = digit(s[0]), low = high < 0 ? -1 : digit(s[1]);

		if (*s == ' ' || *s == '\n' || *s == '\t')
			continue;
		if (low < 0 || *n == most)
			return false;
		to[(*n)++] = (uint8_t)(high << 4 | low);
		s++;
	}
	return true;
}

/* Reads the sample again, for its cause. */
static void cause(struct running *r, char *text, size_t size)
{
	struct mt_codecfile_view *v = &r->view;
	struct mt_codecfile_seen seen = {.view = v, .table = r->t, .bytes = r->bytes};
	struct mt_ct_place *places;
	struct mt_ct_found *found;

	*text = '\0';
	if (!v->n_variants)
		cf_view_places(r->b, v);
	places = calloc(v->n_places, sizeof(*places));
	found = calloc(v->n_places, sizeof(*found));
	if (places && found) {
		for (uint32_t i = 0; i < v->n_places; i++)
			places[i] = v->places[i].at;
		mt_codec_table_first(r->t, (enum mt_dir)r->s->from.v, r->bytes, r->n, places,
			v->n_places, found, &seen.msg, &seen.why);
		seen.found = found;
		mt_codecfile_why(&seen, text, size);
	}
	free(places);
	free(found);
}

bool cf_sample_bytes(const struct cf_sample *s, uint8_t *to, uint32_t *n)
{
	size_t len = s->text.s ? strlen(s->text.s) : 0;

	if (!s->text.s)
		return cf_parse_hex(s->hex.s, to, CF_SAMPLE_MAX, n);
	if (len > CF_SAMPLE_MAX)
		return false;
	memcpy(to, s->text.s, len);
	*n = (uint32_t)len;
	return true;
}

/* The line of its bytes. */
static uint32_t line_of(const struct cf_sample *s)
{
	return s->text.s ? s->text.line : s->hex.line;
}

static bool same_kind(const struct running *r)
{
	uint32_t want = r->s->is.v;

	if (cf_kind_of[want] == r->msg.kind)
		return true;
	for (uint32_t i = 0; cf_kind_words[i]; i++)
		if (cf_kind_of[i] == r->msg.kind)
			contradicts(r, r->s->is.line, "the sample is of kind %s, not %s",
				cf_kind_words[i], cf_kind_words[want]);
	return false;
}

static bool same_refusal(struct running *r)
{
	const struct mt_num *want = &r->s->refuse;
	uint32_t is = r->msg.refuse;
	char text[256];

	if (is == (want->set ? 1 + (uint32_t)want->v : 0))
		return true;
	if (want->set) {
		contradicts(r, want->line, "the sample is %s%s, not refused with %s",
			is ? "refused with " : "not refused", is ? cf_reason_words[is - 1] : "",
			cf_reason_words[want->v]);
		return false;
	}
	cause(r, text, sizeof(text));
	contradicts(
		r, line_of(r->s), "the sample is refused (%s): %s", cf_reason_words[is - 1], text);
	return false;
}

static void check_value(struct running *r, const struct mt_kv *want)
{
	struct mt_slice is;
	size_t len = strlen(want->value);

	if (!mt_codec_table_value(r->t, &r->msg, r->bytes, want->key, &r->meta, &is, r->scratch))
		contradicts(
			r, want->origin.line, "the sample has no metadata \"%.64s\"", want->key);
	else if (is.len != len || memcmp(is.p, want->value, len) != 0)
		contradicts(r, want->origin.line,
			"\"%.64s\" of the sample is \"%.*s\", not "
			"\"%.64s\"",
			want->key, (int)MT_MIN(is.len, 64u), (const char *)is.p, want->value);
}

static void run(struct running *r)
{
	const struct cf_sample *s = r->s;
	const char *why;
	char text[256];

	if (!cf_sample_bytes(s, r->bytes, &r->n) || !r->n) {
		cf_error(r->b, "spec.samples", line_of(s),
			"write pairs of hexadecimal digits, or text, for 1 to 16384 bytes",
			"not the bytes of a message");
		return;
	}
	why = mt_codec_table_decode(r->t, (enum mt_dir)s->from.v, r->bytes, r->n, &r->msg);
	if (why) {
		cause(r, text, sizeof(text));
		contradicts(r, line_of(s), "the sample is not a message: %s",
			*text && !r->msg.refuse ? text : why + strlen("codec file: "));
		return;
	}
	if (!same_kind(r))
		return;
	if (!same_refusal(r))
		return;
	if (s->id.set && s->id.v != r->msg.id)
		contradicts(r, s->id.line, "the id of the sample is %llu, not %llu",
			(unsigned long long)r->msg.id, (unsigned long long)s->id.v);
	for (uint32_t i = 0; i < s->metadata.n_kv; i++)
		check_value(r, &s->metadata.kv[i]);
}

void cf_run_samples(struct cf_build *b, const struct mt_codec_table *t)
{
	struct running *r = b->spec->n_samples ? calloc(1, sizeof(*r)) : NULL;

	if (b->spec->n_samples && !r)
		b->region->failed = true;
	for (uint32_t i = 0; r && i < b->spec->n_samples; i++) {
		r->b = b;
		r->t = t;
		r->s = &b->spec->samples[i];
		run(r);
	}
	free(r);
}
