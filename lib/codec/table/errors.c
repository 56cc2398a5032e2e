/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of errors: the file's own, which decode() has found by its `status`, and refusals of
 * another Meltemi. These are local replies of this file, so the mark counts only where such a reply
 * has its text: servers may echo texts of clients in their errors.
 */
#include "jce.h"
#include "look.h"
#include "write.h"

static const struct mt_error_class classes[] = {
	{MT_CT_CLASS_SERVER, MT_STATUS_SERVER_ERROR, "server", NULL},
	{MT_CT_CLASS_OVERLOAD, MT_STATUS_OVERLOAD, "overload", NULL},
	{MT_CT_CLASS_UNAVAILABLE, MT_STATUS_UNAVAILABLE, "unavailable", NULL},
	{MT_CT_CLASS_DEADLINE, MT_STATUS_DEADLINE, "deadline", NULL},
	{MT_CT_CLASS_CALLER, MT_STATUS_CALLER_ERROR, "caller", NULL},
};

/* An error, which is read by the parts of a local reply. */
struct reply {
	const struct mt_codec_table *t;
	const struct mt_ct_piece *parts;
	uint32_t n_parts;
	uint64_t code; /* of the reason */
	const uint8_t *p;
	uint32_t n, at;
	uint32_t size[MT_CT_TEMPLATE_PIECES]; /* of parts with a length in front; else UINT32_MAX */
	struct table_slot sums[MT_CT_SUMS];   /* where checksums are */
	uint32_t n_sums;
	bool unfound; /* some checksum may be anywhere */
};

/* ---- parts ----------------------------------------------------------------------------------- */

static uint32_t decimal_len(const uint8_t *p, uint32_t n)
{
	uint32_t len = n > 0 && p[0] == '-';

	while (len < n && p[len] >= '0' && p[len] <= '9')
		len++;
	return len;
}

/* Bytes of a number at p in the form that the part writes. 0: there is none. */
static uint32_t number_len(const struct mt_ct_piece *part, const uint8_t *p, uint32_t n)
{
	uint64_t v;

	if (part->type == MT_CT_JCE)
		return table_jce_integer(p, n);
	if (part->type == MT_CT_VARINT || part->type == MT_CT_ZIGZAG)
		return (uint32_t)MT_MAX(table_varint(p, n, &v), 0);
	return part->size ? part->size : decimal_len(p, n);
}

/* A length of `len` bytes gives the size of the part that it counts. */
static void read_length(struct reply *r, const struct mt_ct_piece *part, uint32_t len)
{
	const struct mt_ct_place at = {.base = MT_CT_START,
		.type = part->type,
		.size = (uint8_t)len,
		.at = (int32_t)r->at,
		.mask = UINT64_MAX};
	struct mt_msg msg = {.len = r->n};
	struct table_state s = {0};
	struct table_run run = {.t = r->t,
		.msg = &msg,
		.s = &s,
		.may = UINT32_MAX,
		.head = r->p,
		.head_len = r->n,
		.arrived = r->n};
	uint64_t v;

	if (part->n == 1 && len <= r->n - r->at && table_number(&run, &at, &v) == TABLE_GOT)
		r->size[part->first] = (uint32_t)MT_MIN(v * part->unit - part->add, UINT32_MAX);
}

static bool is_code(const struct reply *r, const struct mt_ct_piece *part, uint32_t *len)
{
	uint8_t want[WRITE_NUMBER];
	uint64_t v = write_part_value(part, r->code);

	*len = write_part_width(part, v);
	if (*len == 0 || *len > sizeof(want) || *len > r->n - r->at)
		return false;
	write_part_number(part, v, want, *len);
	return memcmp(r->p + r->at, want, *len) == 0;
}

static bool number(struct reply *r, const struct mt_ct_piece *part, uint32_t *len)
{
	if (part->source == MT_CT_SOURCE_CODE)
		return is_code(r, part, len);
	*len = number_len(part, r->p + r->at, r->n - r->at);
	if (part->source == MT_CT_SOURCE_LENGTH)
		read_length(r, part, *len);
	return *len > 0;
}

/* A text of the request, which has a length, or ends where the next constant part begins. */
static bool text(struct reply *r, uint32_t i, uint32_t *len)
{
	const struct mt_ct_piece *next = i + 1 < r->n_parts ? &r->parts[i + 1] : NULL;
	const uint8_t *from = r->p + r->at, *end;

	*len = r->size[i];
	if (*len != UINT32_MAX)
		return true;
	*len = r->t->places[r->t->saves[r->parts[i].n].place].size;
	if (*len)
		return true;
	if (!next || next->code != MT_CT_PIECE_BYTES)
		return false;
	end = memmem(from, r->n - r->at, r->t->text + next->text, next->len);
	*len = end ? (uint32_t)(end - from) : 0;
	return end != NULL;
}

/* The reply's text is at r->at. A hessian string has one or two bytes with its length. */
static bool is_marked(struct reply *r, const struct mt_ct_piece *part)
{
	static const uint32_t mark = sizeof(MT_REFUSAL_MARK) - 1;

	if (part->escape == MT_CT_HESSIAN_TEXT && r->at < r->n)
		r->at += r->p[r->at] < 32 ? 1 : 2;
	return r->at <= r->n && r->n - r->at >= mark &&
	       memcmp(r->p + r->at, MT_REFUSAL_MARK, mark) == 0;
}

static bool is_summed(const struct reply *r, uint32_t off)
{
	for (uint32_t i = 0; i < r->n_sums; i++)
		if (off >= r->sums[i].off && off - r->sums[i].off < r->sums[i].len)
			return true;
	return false;
}

/* Bytes that checksums replace may be other ones. */
static bool is_constant(const struct reply *r, const struct mt_ct_piece *part, uint32_t *len)
{
	const uint8_t *want = r->t->text + part->text, *p = r->p + r->at;

	*len = part->len;
	if (*len > r->n - r->at)
		return false;
	for (uint32_t i = 0; i < *len && !r->unfound; i++)
		if (p[i] != want[i] && !is_summed(r, r->at + i))
			return false;
	return true;
}

/* ---- the codec's function -------------------------------------------------------------------- */

/* True if the reply has the parts of the template, and the mark where its text begins. */
static bool is_refusal(struct reply *r)
{
	for (uint32_t i = 0; i < r->n_parts; i++) {
		const struct mt_ct_piece *part = &r->parts[i];
		uint32_t len = 0;
		bool ok = false;

		if (part->code == MT_CT_PIECE_MESSAGE)
			return is_marked(r, part);
		if (part->code == MT_CT_PIECE_BYTES)
			ok = is_constant(r, part, &len);
		else if (part->code == MT_CT_PIECE_NUMBER)
			ok = number(r, part, &len);
		else if (part->code == MT_CT_PIECE_PLACE)
			ok = text(r, i, &len);
		if (!ok || len > r->n - r->at)
			return false;
		r->at += len;
	}
	return false;
}

/* Finds the checksums. Slots that only decode() has are lost. */
static void find_sums(struct reply *r, const struct table_source *in)
{
	struct mt_cursor cur;
	struct table_state s;
	struct table_run run = table_look(in, &s, &cur);

	for (uint32_t i = 0; i < r->t->n_sums; i++) {
		const struct mt_ct_place *p = &r->t->places[r->t->sums[i].place];

		if (!table_is_kept(p))
			r->unfound = true;
		else if (table_locate(&run, p, &r->sums[r->n_sums]) == TABLE_GOT)
			r->n_sums++;
	}
}

static bool refuses(struct reply *r, uint32_t variant, enum mt_local_reply what)
{
	const struct mt_ct_template *k = write_template(r->t, variant, MT_CT_USE_REPLY, what);

	if (!k)
		return false;
	r->parts = r->t->parts + k->first;
	r->n_parts = k->n;
	r->code = (uint64_t)k->codes[what];
	r->at = 0;
	memset(r->size, 0xff, sizeof(r->size));
	return is_refusal(r);
}

static void read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	static const enum mt_local_reply reasons[] = {
		MT_REPLY_DENIED, MT_REPLY_OVER_LIMIT, MT_REPLY_OVERLOAD};
	const struct table_source in = {self, msg, c, NULL};
	struct reply r = {.t = table_of(self), .p = (const uint8_t *)e->text};

	e->number = msg->aux;
	mt_error_text(e, c, msg, 0, sizeof(e->text));
	r.n = e->len;
	if (r.t->n_sums)
		find_sums(&r, &in);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(reasons); i++) {
		if (!refuses(&r, msg->variant, reasons[i]))
			continue;
		e->len -= r.at;
		memmove(e->text, e->text + r.at, e->len);
		return;
	}
	e->len = 0;
}

void table_finish_errors(struct mt_codec_table *t)
{
	t->codec.errors = (struct mt_codec_errors){
		.classes = classes,
		.n_classes = MT_ARRAY_LEN(classes),
		.others = MT_STATUS_SERVER_ERROR,
		.read = read_error,
	};
}
