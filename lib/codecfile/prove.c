/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes each template, and decodes what it has written. So a reply with a wrong length, another id
 * or of another kind is a mistake of the document, and not of a client that meets it.
 */
#include "file.h"

#include <stdlib.h>

struct proving {
	struct cf_build *b;
	const struct mt_codec_table *t;
	uint32_t i; /* of the template */
	enum mt_local_reply what;
	struct mt_seed seed;
	uint8_t sample[CF_SAMPLE_MAX], message[MT_CT_TEMPLATE_MAX];
};

static const struct mt_ct_template *of(const struct proving *p)
{
	return &p->t->templates[p->i];
}

static void fails(const struct proving *p, const char *remedy, const char *text)
{
	const struct mt_ct_template *k = of(p);
	bool reply = k->use == MT_CT_USE_REPLY;

	cf_error(p->b, cf_use_paths[k->use], p->b->template_line[p->i], remedy, "%s%s%s",
		reply ? cf_reason_words[p->what] : "", reply ? ": " : "", text);
}

/* True if messages of the kind have an id that Meltemi reads. */
static bool has_id(const struct proving *p, uint32_t kind)
{
	const struct cf_variant *v = &p->b->variants[of(p)->variant];

	for (uint32_t i = 0; i < v->n_ids; i++)
		if (!v->ids[i].kinds.bits || v->ids[i].kinds.bits >> kind & 1)
			return v->ids[i].place.place->number != MT_CT_BYTES;
	return false;
}

/*
 * The id of a reply, or of an answer, is that of the call. Meltemi's own heartbeat may have another
 * one if it is none of the ids of calls, so that its answer is known by it.
 */
static bool id_ok(const struct proving *p, const struct mt_msg *msg)
{
	const struct mt_codec *codec = &p->t->codec;

	if (of(p)->use == MT_CT_USE_GOAWAY || !has_id(p, msg->kind) || msg->id == p->seed.id)
		return true;
	return of(p)->use == MT_CT_USE_HEARTBEAT &&
	       (msg->id < codec->id_min || msg->id > codec->id_max);
}

/* Where heartbeats are calls, their answers are replies. */
static bool kind_ok(const struct proving *p, const struct mt_msg *msg)
{
	static const uint8_t kinds[] = {
		MT_MSG_REPLY, MT_MSG_HEARTBEAT, MT_MSG_HEARTBEAT_REPLY, MT_MSG_EVENT};

	if (msg->variant != of(p)->variant)
		return false;
	return msg->kind == kinds[of(p)->use] ||
	       (of(p)->use == MT_CT_USE_ANSWER && msg->kind == MT_MSG_REPLY);
}

/* True after no mistake. */
static bool one(struct proving *p, const char *text)
{
	uint32_t n = mt_codec_table_write(
		p->t, (enum mt_ct_use)of(p)->use, &p->seed, p->what, text, p->message);
	struct mt_msg msg;
	const char *why;

	if (!n) {
		fails(p, "give numbers more bytes, and texts a smaller max",
			"it cannot be written: a number does not fit, or a text of the request is "
			"too long or missing");
		return false;
	}
	why = mt_codec_table_decode(p->t, mt_ct_use_dir(of(p)->use, &p->seed), p->message, n, &msg);
	if (why)
		fails(p, "compare it with frame and messages", why + strlen("codec file: "));
	else if (!kind_ok(p, &msg))
		fails(p, "compare it with messages", "it is of another kind");
	else if (msg.refuse)
		fails(p, "compare it with check and the formats of containers",
			"it contradicts the file");
	else if (!id_ok(p, &msg))
		fails(p, "write the id where replies have it", "its id is not that of the call");
	else
		return true;
	return false;
}

static void with_seed(struct proving *p)
{
	static char longest[MT_CT_MESSAGE + 1];
	const char *const texts[] = {"", "a \"b\" \\c\n", longest};
	const struct mt_ct_template *k = of(p);

	memset(longest, 'x', MT_CT_MESSAGE);
	for (uint32_t what = 0; what < MT_REPLY_N; what++) {
		p->what = (enum mt_local_reply)what;
		if (k->use == MT_CT_USE_REPLY && !(k->reasons >> what & 1))
			continue;
		for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++)
			if (!one(p, texts[i]))
				return;
		if (k->use != MT_CT_USE_REPLY)
			return;
	}
}

static bool copies(const struct proving *p)
{
	const struct mt_ct_template *k = of(p);

	for (uint32_t i = 0; i < k->n; i++) {
		const struct mt_ct_piece *part = &p->t->parts[k->first + i];

		if (part->code == MT_CT_PIECE_PLACE ||
			(part->code == MT_CT_PIECE_NUMBER && part->source == MT_CT_SOURCE_SAVED))
			return true;
	}
	return false;
}

/* With each sample that the template could be for. Returns how many. */
static uint32_t with_samples(struct proving *p)
{
	const struct mt_ct_template *k = of(p);
	uint32_t kind = k->use == MT_CT_USE_REPLY ? MT_MSG_REQUEST : MT_MSG_HEARTBEAT, found = 0;

	for (uint32_t i = 0; i < p->b->spec->n_samples && !cf_failed(p->b); i++) {
		const struct cf_sample *s = &p->b->spec->samples[i];
		struct mt_msg msg;
		uint32_t n;

		if (!cf_sample_bytes(s, p->sample, &n) ||
			mt_codec_table_decode(p->t, (enum mt_dir)s->from.v, p->sample, n, &msg))
			continue;
		if (msg.kind != kind || msg.variant != k->variant)
			continue;
		found++;
		mt_codec_table_seed(p->t, &msg, p->sample, &p->seed);
		with_seed(p);
	}
	return found;
}

/* For calls that nothing is copied from, or heartbeats that came from this side. */
static void made_up(struct proving *p, enum mt_dir from)
{
	const uint64_t ids[] = {0, 1, p->t->codec.id_max};

	for (size_t i = 0; i < MT_ARRAY_LEN(ids) && !cf_failed(p->b); i++) {
		p->seed = (struct mt_seed){
			.id = ids[i], .variant = of(p)->variant, .flags = (uint8_t)from};
		with_seed(p);
	}
}

static void template(struct proving *p)
{
	const struct cf_variant *v = &p->b->variants[of(p)->variant];
	bool answer = of(p)->use == MT_CT_USE_ANSWER;

	p->what = MT_REPLY_NO_ROUTE;
	if (copies(p)) {
		if (!with_samples(p) && !cf_failed(p->b))
			fails(p,
				of(p)->use == MT_CT_USE_REPLY ? "add a request to samples"
							      : "add a heartbeat to samples",
				"it copies places, but there is no sample to copy from");
		return;
	}
	for (uint32_t dir = 0; dir < 2; dir++)
		if (answer ? cf_kinds_from(v, (enum mt_dir)dir) >> MT_MSG_HEARTBEAT & 1
			   : dir == MT_DIR_DOWN)
			made_up(p, (enum mt_dir)dir);
}

void cf_prove(struct cf_build *b, const struct mt_codec_table *t)
{
	struct proving *p = t->n_templates ? calloc(1, sizeof(*p)) : NULL;

	if (t->n_templates && !p)
		b->region->failed = true;
	for (uint32_t i = 0; p && i < t->n_templates && !cf_failed(b); i++) {
		p->b = b;
		p->t = t;
		p->i = i;
		p->seed = (struct mt_seed){0};
		template(p);
	}
	free(p);
}
