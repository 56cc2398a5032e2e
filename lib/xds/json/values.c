/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of JSON values to the types of fields, and errors for invalid ones. */
#include "mt_pb_json_priv.h"

#include "mt_fields.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool mt_pj_bad(struct mt_pb_reader *r, const char *wanted)
{
	if (r->of_text)
		r->of_text->wrong(r, r->line, NULL, wanted);
	else
		mt_err(r->why, -EINVAL, "%s: %s", r->at.text, wanted);
	return false;
}

bool mt_pj_bad_type(struct mt_pb_reader *r, const Xds__Value *v, const char *wanted)
{
	const struct mt_ynode *n = mt_pj_node(r, v);
	char what[80];

	if (n)
		snprintf(what, sizeof(what), "must be %s, is %s", wanted, mt_yaml_type_str(n));
	else
		snprintf(what, sizeof(what), "not %s", wanted);
	r->line = n ? n->line : 0;
	return mt_pj_bad(r, what);
}

void *mt_pj_take(struct mt_pb_reader *r, size_t size)
{
	void *p = mt_region_alloc(&r->arena->region, size);

	if (!p)
		mt_pj_bad(r, "it needs too much memory");
	return p;
}

/* Precedes every message in memory. */
struct place {
	_Alignas(16) uint32_t line;
};

void *mt_pj_new(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type)
{
	struct place *p = mt_pj_take(r, sizeof(*p) + type->sizeof_message);

	if (!p)
		return NULL;
	p->line = r->line;
	protobuf_c_message_init(type, (ProtobufCMessage *)(p + 1));
	return p + 1;
}

uint32_t mt_pb_line(const void *message)
{
	return ((const struct place *)message)[-1].line;
}

/* A string is accepted as well, because protobuf's JSON has 64-bit numbers as strings. */
bool mt_pj_whole(struct mt_pb_reader *r, const Xds__Value *v, double min, double max, double *out)
{
	char *end;

	if (v->kind_case == XDS__VALUE__KIND_NUMBER_VALUE)
		*out = v->number_value;
	else if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE && *v->string_value &&
		 strlen(v->string_value) <= 20 &&
		 strspn(v->string_value, "-0123456789") == strlen(v->string_value)) {
		*out = strtod(v->string_value, &end);
		if (*end)
			return mt_pj_bad(r, "not a whole number");
	} else
		return mt_pj_bad(r, "not a whole number");
	if (!(*out >= min && *out <= max) || *out != floor(*out))
		return mt_pj_bad(r, "not a whole number of this range");
	return true;
}

bool mt_pj_double(struct mt_pb_reader *r, const Xds__Value *v, double *out)
{
	char *end;

	if (v->kind_case == XDS__VALUE__KIND_NUMBER_VALUE)
		*out = v->number_value;
	else if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE && *v->string_value &&
		 strspn(v->string_value, "-+.eE0123456789") == strlen(v->string_value)) {
		*out = strtod(v->string_value, &end);
		if (*end)
			return mt_pj_bad(r, "not a number");
	} else
		return mt_pj_bad(r, "not a number");
	return isfinite(*out) || mt_pj_bad(r, "not a finite number");
}

bool mt_pj_int32(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, int32_t *out)
{
	double n;

	if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
		mt_pb_enum(in, f->name, v->string_value, out))
		return true;
	if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
		!strspn(v->string_value, "-0123456789"))
		return mt_pj_bad(r, "not a word that is known here");
	if (!mt_pj_whole(r, v, INT32_MIN, INT32_MAX, &n))
		return false;
	*out = (int32_t)n;
	return true;
}

bool mt_pj_text(struct mt_pb_reader *r, const Xds__Value *v, char **out)
{
	const struct mt_ynode *n = mt_pj_node(r, v);

	if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE)
		*out = v->string_value;
	else if (n && n->type == MT_Y_SCALAR && !mt_yaml_is_null(n))
		*out = (char *)n->text;
	else
		return mt_pj_bad_type(r, v, "a text");
	return true;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* base64 or base64url (RFC 4648 sections 4 and 5); padding is optional. */
bool mt_pj_bytes(struct mt_pb_reader *r, const Xds__Value *v, ProtobufCBinaryData *out)
{
	uint32_t bits = 0;
	int n_bits = 0;
	const char *s;

	if (v->kind_case != XDS__VALUE__KIND_STRING_VALUE)
		return mt_pj_bad(r, "not a text in base64");
	out->data = mt_pj_take(r, strlen(v->string_value) + 1);
	if (!out->data)
		return false;
	for (s = v->string_value; *s && *s != '='; s++) {
		int digit = base64_digit(*s);

		if (digit < 0)
			return mt_pj_bad(r, "not base64");
		bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
		n_bits += 6;
		if (n_bits >= 8)
			out->data[out->len++] = (uint8_t)(bits >> (n_bits -= 8));
	}
	return strspn(s, "=") == strlen(s) || mt_pj_bad(r, "not base64");
}

/* Reads a duration with the units of documents: "500ms", "1m". */
static void *duration_of_text(struct mt_pb_reader *r, const Xds__Value *v)
{
	Xds__Duration *d = mt_pj_new(r, &xds__duration__descriptor);
	const struct mt_ynode *n = mt_pj_node(r, v);
	char what[96];
	uint64_t ms;
	int rc;

	if (!d)
		return NULL;
	if (n->type != MT_Y_SCALAR) {
		mt_pj_bad_type(r, v, "a duration");
		return NULL;
	}
	rc = mt_duration_parse(n->text, &ms);
	if (rc) {
		snprintf(what, sizeof(what),
			rc == -ERANGE ? "%.64s is too long" : "\"%.64s\" is not a duration",
			n->text);
		r->of_text->wrong(
			r, n->line, "write a number with its unit: 500ms, 10s, 1m, 1h30m", what);
		return NULL;
	}
	d->seconds = (int64_t)(ms / 1000);
	d->nanos = (int32_t)(ms % 1000 * MT_MSEC);
	return d;
}

/* "3.5s": seconds with up to nine decimal places, as in protobuf's JSON. */
void *mt_pj_duration(struct mt_pb_reader *r, const Xds__Value *v)
{
	Xds__Duration *d;
	const char *s = v->kind_case == XDS__VALUE__KIND_STRING_VALUE ? v->string_value : "";
	bool minus = *s == '-';
	int32_t unit = 100000000;
	size_t digits;

	if (mt_pj_node(r, v))
		return duration_of_text(r, v);
	d = mt_pj_new(r, &xds__duration__descriptor);
	if (!d)
		return NULL;
	s += minus;
	digits = strspn(s, "0123456789");
	if (!digits || digits > 12)
		goto no;
	d->seconds = strtoll(s, NULL, 10);
	s += digits;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s) && unit; s++, unit /= 10)
			d->nanos += (*s - '0') * unit;
	if (strcmp(s, "s") != 0)
		goto no;
	if (minus) {
		d->seconds = -d->seconds;
		d->nanos = -d->nanos;
	}
	return d;
no:
	mt_pj_bad(r, "not a duration in seconds, \"1.5s\"");
	return NULL;
}
