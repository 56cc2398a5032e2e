/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions: int(), uint(), double(), string(), bytes(), bool(), timestamp(), duration(). */
#include "mt_cel_priv.h"

#include "mt_utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct mt_cel_value refused(void)
{
	return mt_cel_error("the value cannot be converted");
}

static struct mt_cel_value to_int(const struct mt_cel_value *v)
{
	int64_t n;

	switch (v->type) {
	case MT_CEL_INT:
	case MT_CEL_TIMESTAMP:
	case MT_CEL_DURATION:
		return mt_cel_int(v->n);
	case MT_CEL_UINT:
		return v->u > INT64_MAX ? mt_cel_error(MT_CEL_RANGE) : mt_cel_int((int64_t)v->u);
	case MT_CEL_DOUBLE: /* without the borders: a double there may stand for a number outside */
		return v->real > -0x1p63 && v->real < 0x1p63 ? mt_cel_int((int64_t)v->real)
							     : mt_cel_error(MT_CEL_RANGE);
	case MT_CEL_STRING:
		return mt_cel_parse_int(v->text, &n) ? mt_cel_int(n) : refused();
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value to_uint(const struct mt_cel_value *v)
{
	struct mt_cel_value to = {.type = MT_CEL_UINT};

	switch (v->type) {
	case MT_CEL_UINT:
		return *v;
	case MT_CEL_INT:
		to.u = (uint64_t)v->n;
		return v->n < 0 ? mt_cel_error(MT_CEL_RANGE) : to;
	case MT_CEL_DOUBLE:
		if (!(v->real >= 0 && v->real < 0x1p64))
			return mt_cel_error(MT_CEL_RANGE);
		to.u = (uint64_t)v->real;
		return to;
	case MT_CEL_STRING:
		return mt_cel_parse_uint(v->text, &to.u) ? to : refused();
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value to_double(const struct mt_cel_value *v)
{
	struct mt_cel_value to = {.type = MT_CEL_DOUBLE};

	switch (v->type) {
	case MT_CEL_DOUBLE:
		return *v;
	case MT_CEL_INT:
		to.real = (double)v->n;
		return to;
	case MT_CEL_UINT:
		to.real = (double)v->u;
		return to;
	case MT_CEL_STRING:
		return mt_cel_parse_double(v->text, &to.real) ? to : refused();
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value copied(struct mt_cel_frame *f, const char *text, uint32_t n)
{
	uint8_t *to = mt_cel_scratch(f, n);

	if (!to)
		return mt_cel_error("the texts are longer than 4096 bytes");
	memcpy(to, text, n);
	return mt_cel_text((struct mt_slice){to, n});
}

static struct mt_cel_value to_string(struct mt_cel_frame *f, const struct mt_cel_value *v)
{
	char text[MT_CEL_NUMBER];
	uint32_t n;

	switch (v->type) {
	case MT_CEL_STRING:
		return *v;
	case MT_CEL_BYTES:
		if (!mt_cel_work(f, v->text.len))
			return mt_cel_error(MT_CEL_TOO_MUCH);
		return mt_is_utf8(v->text) ? mt_cel_text(v->text)
					   : mt_cel_error("the bytes are not UTF-8");
	case MT_CEL_BOOL:
		return copied(f, v->yes ? "true" : "false", v->yes ? 4 : 5);
	case MT_CEL_INT:
		return copied(f, text, (uint32_t)snprintf(text, sizeof(text), "%" PRId64, v->n));
	case MT_CEL_UINT:
		return copied(f, text, (uint32_t)snprintf(text, sizeof(text), "%" PRIu64, v->u));
	case MT_CEL_DOUBLE:
		return copied(f, text, mt_cel_double_text(text, v->real, false));
	case MT_CEL_DURATION:
		n = mt_cel_double_text(
			text, (double)(v->n / MT_CEL_NS) + (double)(v->n % MT_CEL_NS) / 1e9, true);
		text[n] = 's';
		return copied(f, text, n + 1);
	case MT_CEL_TIMESTAMP:
		return mt_cel_time_text(f, v);
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value to_bool(const struct mt_cel_value *v)
{
	static const char *const words[] = {
		"f", "F", "0", "false", "FALSE", "False", "t", "T", "1", "true", "TRUE", "True"};

	if (v->type == MT_CEL_BOOL)
		return *v;
	if (v->type != MT_CEL_STRING)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (v->text.len == strlen(words[i]) &&
			memcmp(v->text.p, words[i], v->text.len) == 0)
			return mt_cel_bool(i >= 6);
	return refused();
}

static struct mt_cel_value to_time(uint8_t op, const struct mt_cel_value *v)
{
	bool is_duration = op == MT_CEL_OP_TO_DURATION;

	if (v->type == (is_duration ? MT_CEL_DURATION : MT_CEL_TIMESTAMP))
		return *v;
	if (v->type == MT_CEL_INT && !is_duration)
		return mt_cel_timestamp(v->n, 0);
	if (v->type != MT_CEL_STRING)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	return is_duration ? mt_cel_parse_duration(v->text) : mt_cel_parse_time(v->text);
}

struct mt_cel_value mt_cel_convert(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a)
{
	struct mt_cel_value v = *a;

	/* Texts that stay texts are not read. */
	if (a->type == MT_CEL_STRING && op != MT_CEL_OP_TO_STRING && op != MT_CEL_OP_TO_BYTES &&
		!mt_cel_work(f, a->text.len))
		return mt_cel_error(MT_CEL_TOO_MUCH);
	switch (op) {
	case MT_CEL_OP_TO_INT:
		return to_int(a);
	case MT_CEL_OP_TO_UINT:
		return to_uint(a);
	case MT_CEL_OP_TO_DOUBLE:
		return to_double(a);
	case MT_CEL_OP_TO_STRING:
		return to_string(f, a);
	case MT_CEL_OP_TO_BOOL:
		return to_bool(a);
	case MT_CEL_OP_TO_BYTES:
		if (a->type != MT_CEL_STRING && a->type != MT_CEL_BYTES)
			return mt_cel_error(MT_CEL_NO_OVERLOAD);
		v.type = MT_CEL_BYTES;
		return v;
	default:
		return to_time(op, a);
	}
}
