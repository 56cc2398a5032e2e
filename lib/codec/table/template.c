/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of Meltemi's own: local replies, heartbeats, their answers, and goaway. A template is a
 * list of parts. The sizes of all parts are found first, those of lengths in rounds in which they
 * only grow, because a length may count itself. Checksums are computed last, by the program that
 * would check them.
 */
#include "look.h"
#include "write.h"

#include <errno.h>

/* Few lengths count others, and each needs few sizes. */
#define ROUNDS 32

struct render {
	const struct mt_codec_table *t;
	const struct mt_ct_piece *parts;
	uint32_t n;
	const struct mt_seed *seed;
	uint64_t id, code;
	uint32_t text_len;
	char text[MT_CT_MESSAGE]; /* printable ASCII */
	uint64_t value[MT_CT_TEMPLATE_PIECES];
	uint32_t size[MT_CT_TEMPLATE_PIECES];
};

/* ---- the request ----------------------------------------------------------------------------- */

static bool save(struct table_run *r, const struct mt_ct_save *s, uint8_t *to)
{
	const struct mt_ct_place *p = &r->t->places[s->place];
	struct table_slot at;
	const uint8_t *from;
	uint64_t v;

	if (!s->most) {
		if (table_number(r, p, &v) != TABLE_GOT)
			return false;
		memcpy(to, &v, sizeof(v));
		return true;
	}
	if (table_locate(r, p, &at) != TABLE_GOT || at.len > s->most ||
		(uint64_t)at.off + at.len > r->arrived)
		return false;
	*to++ = (uint8_t)at.len;
	for (uint32_t n; at.len > 0; to += n, at.off += n, at.len -= n) {
		n = table_piece(r, at.off, at.off + at.len, &from);
		if (n == 0)
			return false;
		memcpy(to, from, n);
	}
	return true;
}

void table_save_from(const struct table_source *in, struct mt_seed *seed)
{
	const struct mt_codec_table *t = table_of(in->self);
	const uint8_t *near;
	struct table_state s;
	struct mt_cursor cur;
	struct table_run r;
	uint32_t n;
	uint64_t v;

	seed->id = in->msg->id;
	seed->variant = in->msg->variant;
	seed->flags = in->msg->flags;
	seed->aux = 0;
	if (!t->n_saves)
		return;
	near = table_near(in, &n);
	r.t = NULL;
	for (uint32_t i = 0; i < t->n_saves; i++) {
		const struct mt_ct_save *at = &t->saves[i];

		if (at->variant != in->msg->variant || !(at->kinds >> in->msg->kind & 1))
			continue;
		if (!at->most && table_number_near(near, n, &t->places[at->place], &v)) {
			memcpy(seed->bytes + at->off, &v, sizeof(v));
			seed->aux |= 1u << i;
			continue;
		}
		if (!r.t)
			r = table_look(in, &s, &cur);
		if (save(&r, at, seed->bytes + at->off))
			seed->aux |= 1u << i;
	}
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* A number that is high or negative has the same bytes in binary, but not in digits. */
static struct mt_ct_place form_of(const struct mt_ct_piece *part, uint64_t v)
{
	bool may = part->type != MT_CT_DECIMAL || part->is_signed;

	return (struct mt_ct_place){.type = part->type,
		.size = part->type == MT_CT_JCE ? 0 : part->size,
		.mask = UINT64_MAX,
		.flags = may && (int64_t)v < 0 ? MT_CT_SIGNED : 0};
}

uint32_t write_part_width(const struct mt_ct_piece *part, uint64_t v)
{
	struct mt_ct_place form = form_of(part, v);
	uint8_t head[2];
	uint32_t len = mt_ct_jce_head(part->tag, 0, head), n;

	n = write_number_width(&form, head, part->type == MT_CT_JCE ? len : 0, v, false);
	if (part->type != MT_CT_JCE || !part->size)
		return n;
	return n <= len + part->size ? len + part->size : 0;
}

static uint32_t message_size(const struct render *r, const struct mt_ct_piece *part)
{
	uint32_t len = MT_MIN(r->text_len, part->len), n = len;

	if (part->escape == MT_CT_HESSIAN_TEXT)
		return len + (len < 32 ? 1 : 2);
	for (uint32_t i = 0; part->escape == MT_CT_JSON_TEXT && i < len; i++)
		n += r->text[i] == '"' || r->text[i] == '\\';
	return n;
}

static bool is_saved(const struct render *r, const struct mt_ct_piece *part)
{
	return r->seed && r->seed->aux >> part->n & 1;
}

static bool number(struct render *r, uint32_t i)
{
	const struct mt_ct_piece *part = &r->parts[i];
	uint64_t v = 0;

	if (part->source == MT_CT_SOURCE_SAVED) {
		if (!is_saved(r, part))
			return false;
		memcpy(&v, r->seed->bytes + r->t->saves[part->n].off, sizeof(v));
	} else if (part->source == MT_CT_SOURCE_ID) {
		v = r->id;
	} else if (part->source == MT_CT_SOURCE_CODE) {
		v = r->code;
	}
	r->value[i] = write_part_value(part, v);
	r->size[i] = write_part_width(part, r->value[i]);
	return r->size[i] != 0;
}

static bool is_length(const struct mt_ct_piece *part)
{
	return part->code == MT_CT_PIECE_NUMBER && part->source == MT_CT_SOURCE_LENGTH;
}

/* The size of a part that does not depend on others. */
static bool measure(struct render *r, uint32_t i)
{
	const struct mt_ct_piece *part = &r->parts[i];

	if (is_length(part)) {
		r->size[i] = write_part_width(part, 0);
		return r->size[i] != 0;
	}
	if (part->code == MT_CT_PIECE_NUMBER)
		return number(r, i);
	if (part->code == MT_CT_PIECE_MESSAGE) {
		r->size[i] = message_size(r, part);
		return true;
	}
	if (part->code == MT_CT_PIECE_BYTES) {
		r->size[i] = part->len;
		return true;
	}
	if (!is_saved(r, part))
		return false;
	r->size[i] = r->seed->bytes[r->t->saves[part->n].off];
	return true;
}

/* Computes a length. False: no number of this form. *moved: its size has changed. */
static bool follow(struct render *r, uint32_t i, bool *moved)
{
	const struct mt_ct_piece *part = &r->parts[i];
	int64_t sum = (int64_t)part->add;
	uint32_t need;

	for (uint32_t k = 0; k < part->n; k++)
		sum += r->size[part->first + k];
	if (sum < 0 || sum % part->unit)
		return false;
	r->value[i] = (uint64_t)sum / part->unit;
	need = write_part_width(part, r->value[i]);
	*moved |= need > r->size[i];
	r->size[i] = MT_MAX(need, r->size[i]);
	return need != 0;
}

static bool settle(struct render *r)
{
	bool moved = true;

	for (uint32_t i = 0; i < r->n; i++)
		if (!measure(r, i))
			return false;
	for (uint32_t round = 0; moved && round < ROUNDS; round++) {
		moved = false;
		for (uint32_t i = 0; i < r->n; i++)
			if (is_length(&r->parts[i]) && !follow(r, i, &moved))
				return false;
	}
	return !moved;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void write_message(const struct render *r, const struct mt_ct_piece *part, uint8_t *to)
{
	uint32_t len = MT_MIN(r->text_len, part->len);

	if (part->escape == MT_CT_HESSIAN_TEXT && len >= 32)
		*to++ = (uint8_t)(0x30 | len >> 8);
	if (part->escape == MT_CT_HESSIAN_TEXT)
		*to++ = (uint8_t)len;
	for (uint32_t i = 0; i < len; i++) {
		char b = r->text[i];

		if (part->escape == MT_CT_JSON_TEXT && (b == '"' || b == '\\'))
			*to++ = '\\';
		*to++ = (uint8_t)b;
	}
}

void write_part_number(const struct mt_ct_piece *part, uint64_t v, uint8_t *to, uint32_t size)
{
	struct mt_ct_place form = form_of(part, v);
	uint8_t head[2];
	uint32_t len = part->type == MT_CT_JCE ? mt_ct_jce_head(part->tag, 0, head) : 0;

	write_number(&form, head, len, v, to, size);
}

static void write_part(const struct render *r, uint32_t i, uint8_t *to)
{
	const struct mt_ct_piece *part = &r->parts[i];

	switch ((enum mt_ct_piece_code)part->code) {
	case MT_CT_PIECE_NUMBER:
		write_part_number(part, r->value[i], to, r->size[i]);
		return;
	case MT_CT_PIECE_MESSAGE:
		write_message(r, part, to);
		return;
	case MT_CT_PIECE_PLACE:
		memcpy(to, r->seed->bytes + r->t->saves[part->n].off + 1, r->size[i]);
		return;
	default:
		memcpy(to, r->t->text + part->text, r->size[i]);
	}
}

/* Writes the checksums that the message should have. False: it contradicts the table. */
static bool write_sums(
	const struct mt_codec_table *t, enum mt_dir dir, uint8_t *message, uint32_t n)
{
	struct table_trace trace;
	struct table_state s;
	struct mt_msg msg;
	bool wrong = true;

	/* A sum may be part of what another one covers. */
	for (uint32_t round = 0; wrong && round <= MT_CT_SUMS; round++) {
		struct table_run r = {.trace = &trace, .s = &s};

		if (table_flat(&r, t, dir, message, n, &msg))
			return false;
		wrong = false;
		for (uint32_t i = 0; i < trace.n; i++) {
			const struct table_event *e = &trace.event[i];
			const struct mt_ct_place *form = &t->places[e->place];
			uint8_t *at = message + e->at.off;

			if (e->op->code != MT_CT_SUM || !e->wrong)
				continue;
			if (!e->there || write_number_width(form, at, e->at.len, e->value, false) !=
						 e->at.len)
				return false;
			write_number(form, at, e->at.len, e->value, at, e->at.len);
			wrong = true;
		}
	}
	return !wrong;
}

/* ---- templates ------------------------------------------------------------------------------- */

const struct mt_ct_template *write_template(const struct mt_codec_table *t, uint32_t variant,
	enum mt_ct_use use, enum mt_local_reply what)
{
	for (uint32_t i = 0; i < t->n_templates; i++) {
		const struct mt_ct_template *k = &t->templates[i];

		if (k->use == use && k->variant == variant &&
			(use != MT_CT_USE_REPLY || k->reasons >> what & 1))
			return k;
	}
	return NULL;
}

/* The text in printable ASCII: no character of it can end a line, or need more than one byte. */
static void set_text(struct render *r, enum mt_local_reply what, const char *text)
{
	r->text_len = mt_codec_local_text(what, text, r->text, MT_CT_MESSAGE);
	for (uint32_t i = 0; i < r->text_len; i++) {
		uint8_t b = (uint8_t)r->text[i];

		if (b < ' ' || b == 0x7f)
			r->text[i] = ' ';
		else if (b > 0x7f)
			r->text[i] = '?';
	}
}

enum mt_dir mt_ct_use_dir(enum mt_ct_use use, const struct mt_seed *seed)
{
	if (use == MT_CT_USE_ANSWER)
		return seed->flags == MT_DIR_DOWN ? MT_DIR_UP : MT_DIR_DOWN;
	return use == MT_CT_USE_HEARTBEAT ? MT_DIR_DOWN : MT_DIR_UP;
}

uint32_t mt_codec_table_write(const struct mt_codec_table *t, enum mt_ct_use use,
	const struct mt_seed *seed, enum mt_local_reply what, const char *text, uint8_t *to)
{
	const struct mt_ct_template *k = write_template(t, seed->variant, use, what);
	struct render r = {.t = t, .seed = seed, .id = seed->id};
	uint32_t n = 0;

	if (!k)
		return 0;
	r.parts = t->parts + k->first;
	r.n = k->n;
	if (use == MT_CT_USE_REPLY) {
		r.code = (uint64_t)k->codes[what];
		set_text(&r, what, text);
	}
	if (!settle(&r))
		return 0;
	for (uint32_t i = 0; i < r.n; i++) {
		if (r.size[i] > MT_CT_TEMPLATE_MAX - n)
			return 0;
		write_part(&r, i, to + n);
		n += r.size[i];
	}
	if (t->n_sums && !write_sums(t, mt_ct_use_dir(use, seed), to, n))
		return 0;
	return n;
}

static int append(const struct mt_codec_table *t, enum mt_ct_use use, const struct mt_seed *seed,
	enum mt_local_reply what, const char *text, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t message[MT_CT_TEMPLATE_MAX];
	uint32_t n = mt_codec_table_write(t, use, seed, what, text, message);

	return n ? mt_chain_write(out, p, message, n) : -ENOTSUP;
}

int table_reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	return append(table_of(self), MT_CT_USE_REPLY, seed, what, text, out, p);
}

int table_heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	const struct mt_seed seed = {.id = id};

	return append(table_of(self), MT_CT_USE_HEARTBEAT, &seed, 0, "", out, p);
}

int table_heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p)
{
	const struct table_source in = {self, msg, c, NULL};
	struct mt_seed seed;

	table_save_from(&in, &seed);
	return append(table_of(self), MT_CT_USE_ANSWER, &seed, 0, "", out, p);
}

int table_goaway(const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	const struct mt_seed seed = {.id = id};

	return append(table_of(self), MT_CT_USE_GOAWAY, &seed, 0, "", out, p);
}

void table_finish_templates(struct mt_codec_table *t)
{
	struct mt_codec_write *w = &t->codec.write;

	for (uint32_t i = 0; i < t->n_templates; i++) {
		uint32_t use = t->templates[i].use;

		if (use == MT_CT_USE_REPLY)
			w->reply = table_reply;
		else if (use == MT_CT_USE_GOAWAY)
			w->goaway = table_goaway;
		else if (use == MT_CT_USE_ANSWER)
			w->heartbeat_reply = table_heartbeat_reply;
		else
			w->heartbeat = table_heartbeat;
	}
}

/* ---- checks ---------------------------------------------------------------------------------- */

static bool part_ok(const struct mt_codec_table *t, const struct mt_ct_piece *part, uint32_t n)
{
	bool fixed = part->type == MT_CT_BIG || part->type == MT_CT_LITTLE;

	if (part->code >= MT_CT_PIECE_CODES || part->escape >= MT_CT_ESCAPES)
		return false;
	if (part->code == MT_CT_PIECE_BYTES)
		return part->text <= t->n_text && part->len <= t->n_text - part->text;
	if (part->code == MT_CT_PIECE_PLACE)
		return part->n < t->n_saves && t->saves[part->n].most;
	if (part->code != MT_CT_PIECE_NUMBER)
		return true;
	if (part->type >= MT_CT_TYPES || part->type == MT_CT_BYTES ||
		part->source >= MT_CT_SOURCES || part->size > (fixed ? 8 : WRITE_NUMBER) ||
		(fixed && !part->size))
		return false;
	/* A JCE integer has 1, 2, 4 or 8 bytes. */
	if (part->type == MT_CT_JCE && part->size &&
		(part->size > 8 || part->size & (part->size - 1)))
		return false;
	if ((part->type == MT_CT_VARINT || part->type == MT_CT_ZIGZAG) && part->size)
		return false;
	if (part->source == MT_CT_SOURCE_SAVED)
		return part->n < t->n_saves && !t->saves[part->n].most;
	return part->source != MT_CT_SOURCE_LENGTH ||
	       (part->unit && (uint32_t)part->first + part->n <= n &&
		       (int64_t)part->add >= INT32_MIN && (int64_t)part->add <= INT32_MAX);
}

static bool template_ok(const struct mt_codec_table *t, const struct mt_ct_template *k)
{
	if (k->use >= MT_CT_USES || k->n > MT_CT_TEMPLATE_PIECES ||
		(uint32_t)k->first + k->n > t->n_parts)
		return false;
	for (uint32_t i = 0; i < k->n; i++)
		if (!part_ok(t, &t->parts[k->first + i], k->n))
			return false;
	return true;
}

bool table_templates_ok(const struct mt_codec_table *t)
{
	if (t->n_parts > MT_CT_PIECES || t->n_templates > MT_CT_TEMPLATES ||
		t->n_saves > MT_CT_SAVES)
		return false;
	for (uint32_t i = 0; i < t->n_saves; i++) {
		const struct mt_ct_save *s = &t->saves[i];
		uint32_t need = s->most ? 1u + s->most : (uint32_t)sizeof(uint64_t);

		if (s->place >= t->n_places || s->off + need > MT_CT_SEED ||
			!table_is_kept(&t->places[s->place]))
			return false;
	}
	for (uint32_t i = 0; i < t->n_templates; i++)
		if (!template_ok(t, &t->templates[i]))
			return false;
	return true;
}
