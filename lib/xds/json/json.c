/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_pb_json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool read_one(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, void *to);
static bool read_message(struct mt_pb_reader *r, ProtobufCMessage *m, const Xds__Struct *s);

/* ---- where ---------------------------------------------------------------------------------------- */

static uint32_t step(struct mt_pb_path *p, int n)
{
	uint32_t mark = p->len;

	p->len = MT_MIN(p->len + (uint32_t)MT_MAX(n, 0), (uint32_t)sizeof(p->text) - 1);
	return mark;
}

uint32_t mt_pb_in(struct mt_pb_path *p, const char *field)
{
	return step(p, snprintf(p->text + p->len, sizeof(p->text) - p->len, "%s%.64s",
			       p->len ? "." : "", field));
}

uint32_t mt_pb_at(struct mt_pb_path *p, const char *field, size_t index)
{
	return step(p, snprintf(p->text + p->len, sizeof(p->text) - p->len, "%s%.64s[%zu]",
			       p->len ? "." : "", field, index));
}

void mt_pb_out(struct mt_pb_path *p, uint32_t mark)
{
	p->len = mark;
	p->text[mark] = '\0';
}

/* ---- values --------------------------------------------------------------------------------------- */

static bool bad(struct mt_pb_reader *r, const char *wanted)
{
	mt_err(r->why, -EINVAL, "%s: %s", r->at.text, wanted);
	return false;
}

static void *take(struct mt_pb_reader *r, size_t size)
{
	void *p = mt_region_alloc(&r->arena->region, size);

	if (!p)
		bad(r, "it needs too much memory");
	return p;
}

static void *new_message(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *m = take(r, type->sizeof_message);

	if (m)
		protobuf_c_message_init(type, m);
	return m;
}

/* A whole number within bounds, also written as a text: that is how JSON has those of 64 bits. */
static bool read_whole(
	struct mt_pb_reader *r, const Xds__Value *v, double min, double max, double *out)
{
	char *end;

	if (v->kind_case == XDS__VALUE__KIND_NUMBER_VALUE)
		*out = v->number_value;
	else if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE && *v->string_value &&
		 strlen(v->string_value) <= 20 &&
		 strspn(v->string_value, "-0123456789") == strlen(v->string_value)) {
		*out = strtod(v->string_value, &end);
		if (*end)
			return bad(r, "not a whole number");
	} else
		return bad(r, "not a whole number");
	if (!(*out >= min && *out <= max) || *out != floor(*out))
		return bad(r, "not a whole number of this range");
	return true;
}

static bool read_double(struct mt_pb_reader *r, const Xds__Value *v, double *out)
{
	char *end;

	if (v->kind_case == XDS__VALUE__KIND_NUMBER_VALUE)
		*out = v->number_value;
	else if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE && *v->string_value &&
		 strspn(v->string_value, "-+.eE0123456789") == strlen(v->string_value)) {
		*out = strtod(v->string_value, &end);
		if (*end)
			return bad(r, "not a number");
	} else
		return bad(r, "not a number");
	return isfinite(*out) || bad(r, "not a finite number");
}

static bool read_int32(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, int32_t *out)
{
	double n;

	if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
		mt_pb_enum(in, f->name, v->string_value, out))
		return true;
	if (v->kind_case == XDS__VALUE__KIND_STRING_VALUE &&
		!strspn(v->string_value, "-0123456789"))
		return bad(r, "not a word that is known here");
	if (!read_whole(r, v, INT32_MIN, INT32_MAX, &n))
		return false;
	*out = (int32_t)n;
	return true;
}

static int base64_digit(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c == '-' ? '+' : c == '_' ? '/' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* RFC 4648 sections 4 and 5; padding may be left out. */
static bool read_bytes(struct mt_pb_reader *r, const Xds__Value *v, ProtobufCBinaryData *out)
{
	uint32_t bits = 0;
	int n_bits = 0;
	const char *s;

	if (v->kind_case != XDS__VALUE__KIND_STRING_VALUE)
		return bad(r, "not a text in base64");
	out->data = take(r, strlen(v->string_value) + 1);
	if (!out->data)
		return false;
	for (s = v->string_value; *s && *s != '='; s++) {
		int digit = base64_digit(*s);

		if (digit < 0)
			return bad(r, "not base64");
		bits = (bits << 6 | (uint32_t)digit) & 0xffffff;
		n_bits += 6;
		if (n_bits >= 8)
			out->data[out->len++] = (uint8_t)(bits >> (n_bits -= 8));
	}
	return strspn(s, "=") == strlen(s) || bad(r, "not base64");
}

/* "3.5s": seconds with up to nine places, as JSON has durations. */
static void *read_duration(struct mt_pb_reader *r, const Xds__Value *v)
{
	Xds__Duration *d = new_message(r, &xds__duration__descriptor);
	const char *s = v->kind_case == XDS__VALUE__KIND_STRING_VALUE ? v->string_value : "";
	bool minus = *s == '-';
	int32_t unit = 100000000;
	size_t digits;

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
	bad(r, "not a duration in seconds, \"1.5s\"");
	return NULL;
}

/* ---- messages ------------------------------------------------------------------------------------- */

static const Xds__Value *get(const Xds__Struct *s, const char *key)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, key) == 0)
			return s->fields[i]->value;
	return NULL;
}

static bool is_special(const ProtobufCMessageDescriptor *d)
{
	static const ProtobufCMessageDescriptor *const special[] = {&xds__duration__descriptor,
		&xds__struct__descriptor, &xds__value__descriptor, &xds__list_value__descriptor,
		&xds__uint32_value__descriptor, &xds__uint64_value__descriptor,
		&xds__bool_value__descriptor, &xds__double_value__descriptor,
		&xds__string_value__descriptor};

	for (size_t i = 0; i < MT_ARRAY_LEN(special); i++)
		if (special[i] == d)
			return true;
	return false;
}

/* Messages that JSON has as plain values. */
static void *read_special(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Value *v)
{
	ProtobufCMessage *m;

	if (type == &xds__duration__descriptor)
		return read_duration(r, v);
	if (type == &xds__value__descriptor)
		return (void *)v;
	if (type == &xds__struct__descriptor) {
		if (v->kind_case == XDS__VALUE__KIND_STRUCT_VALUE)
			return v->struct_value;
		bad(r, "not a map");
		return NULL;
	}
	if (type == &xds__list_value__descriptor) {
		if (v->kind_case == XDS__VALUE__KIND_LIST_VALUE)
			return v->list_value;
		bad(r, "not a list");
		return NULL;
	}
	m = new_message(r, type);
	if (!m || !read_one(r, type, &type->fields[0], v, (char *)m + type->fields[0].offset))
		return NULL;
	return m;
}

/* What "@type" names becomes bytes again; of a type that is unknown only its name is kept. */
static void *read_any(struct mt_pb_reader *r, const Xds__Struct *s)
{
	Xds__Any *any = new_message(r, &xds__any__descriptor);
	const Xds__Value *url = get(s, "@type"), *v = get(s, "value");
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *m;

	if (!any)
		return NULL;
	if (!url || url->kind_case != XDS__VALUE__KIND_STRING_VALUE) {
		bad(r, "no \"@type\" says what it is");
		return NULL;
	}
	any->type_url = url->string_value;
	type = mt_pb_type(any->type_url);
	if (!type)
		return any;
	if (is_special(type))
		m = v ? read_special(r, type, v) : new_message(r, type);
	else
		m = mt_pb_from_struct(r, type, s);
	if (!m)
		return NULL;
	any->value.len = protobuf_c_message_get_packed_size(m);
	any->value.data = take(r, any->value.len);
	if (!any->value.data)
		return NULL;
	protobuf_c_message_pack(m, any->value.data);
	return any;
}

static void *read_below(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Value *v)
{
	if (is_special(type))
		return read_special(r, type, v);
	if (v->kind_case != XDS__VALUE__KIND_STRUCT_VALUE) {
		bad(r, "not a map of fields");
		return NULL;
	}
	if (type == &xds__any__descriptor)
		return read_any(r, v->struct_value);
	return mt_pb_from_struct(r, type, v->struct_value);
}

/* One value of a field's type. */
static bool read_one(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, void *to)
{
	double n;

	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		*(void **)to = read_below(r, f->descriptor, v);
		return *(void **)to != NULL;
	case PROTOBUF_C_TYPE_STRING:
		if (v->kind_case != XDS__VALUE__KIND_STRING_VALUE)
			return bad(r, "not a text");
		*(char **)to = v->string_value;
		return true;
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes(r, v, to);
	case PROTOBUF_C_TYPE_BOOL:
		if (v->kind_case != XDS__VALUE__KIND_BOOL_VALUE)
			return bad(r, "not true or false");
		*(protobuf_c_boolean *)to = v->bool_value;
		return true;
	case PROTOBUF_C_TYPE_INT32:
		return read_int32(r, in, f, v, to);
	case PROTOBUF_C_TYPE_UINT32:
		if (!read_whole(r, v, 0, UINT32_MAX, &n))
			return false;
		*(uint32_t *)to = (uint32_t)n;
		return true;
	case PROTOBUF_C_TYPE_INT64:
		/* Beyond 2^53 neither JSON nor a double is exact. */
		if (!read_whole(r, v, -9007199254740992.0, 9007199254740992.0, &n))
			return false;
		*(int64_t *)to = (int64_t)n;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
		if (!read_whole(r, v, 0, 9007199254740992.0, &n))
			return false;
		*(uint64_t *)to = (uint64_t)n;
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
		return read_double(r, v, to);
	default:
		return bad(r, "of a type that is not read");
	}
}

/* What one item of an array takes. */
static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
		return 4;
	default:
		return 8;
	}
}

static bool read_map(
	struct mt_pb_reader *r, const ProtobufCFieldDescriptor *f, const Xds__Struct *s, void **to)
{
	const ProtobufCMessageDescriptor *type = f->descriptor;

	if (type->fields[0].type != PROTOBUF_C_TYPE_STRING)
		return s->n_fields == 0 || bad(r, "a map by numbers is not read");
	for (size_t i = 0; i < s->n_fields; i++) {
		ProtobufCMessage *entry = new_message(r, type);
		uint32_t mark = mt_pb_in(&r->at, s->fields[i]->key);

		if (!entry || !(s->fields[i]->value || bad(r, "without a value")) ||
			!read_one(r, type, &type->fields[1], s->fields[i]->value,
				(char *)entry + type->fields[1].offset))
			return false;
		*(char **)((char *)entry + type->fields[0].offset) = s->fields[i]->key;
		to[i] = entry;
		mt_pb_out(&r->at, mark);
	}
	return true;
}

static bool read_list(struct mt_pb_reader *r, ProtobufCMessage *m,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v)
{
	bool map = f->type == PROTOBUF_C_TYPE_MESSAGE && mt_pb_is_entry(f->descriptor);
	size_t size = size_of(f->type), n, *count = (void *)((char *)m + f->quantifier_offset);
	char *items;

	if (map && v->kind_case != XDS__VALUE__KIND_STRUCT_VALUE)
		return bad(r, "not a map");
	if (!map && v->kind_case != XDS__VALUE__KIND_LIST_VALUE)
		return bad(r, "not a list");
	n = map ? v->struct_value->n_fields : v->list_value->n_values;
	items = take(r, n * size);
	if (!items)
		return false;
	if (map && !read_map(r, f, v->struct_value, (void **)items))
		return false;
	for (size_t i = 0; !map && i < n; i++) {
		char index[24];
		uint32_t mark = r->at.len;

		snprintf(index, sizeof(index), "[%zu]", i);
		step(&r->at, snprintf(r->at.text + mark, sizeof(r->at.text) - mark, "%s", index));
		if (!read_one(r, m->descriptor, f, v->list_value->values[i], items + i * size))
			return false;
		mt_pb_out(&r->at, mark);
	}
	*(void **)((char *)m + f->offset) = items;
	*count = n;
	return true;
}

/* protobuf's JSON name of a field, "consecutive5xx" of "consecutive_5xx", or the name itself. */
static bool is_name(const char *json, const char *name)
{
	if (strcmp(json, name) == 0)
		return true;
	for (; *name; name++) {
		bool up = *name == '_';

		name += up;
		if (*json++ != (up ? toupper((unsigned char)*name) : *name) || !*name)
			return false;
	}
	return *json == '\0';
}

static const ProtobufCFieldDescriptor *find(
	const ProtobufCMessageDescriptor *type, const char *json)
{
	for (unsigned int i = 0; i < type->n_fields; i++)
		if (is_name(json, type->fields[i].name))
			return &type->fields[i];
	return NULL;
}

static bool read_field(struct mt_pb_reader *r, ProtobufCMessage *m,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v)
{
	uint32_t *chosen = (void *)((char *)m + f->quantifier_offset);

	if (!v || v->kind_case == XDS__VALUE__KIND_NULL_VALUE ||
		v->kind_case == XDS__VALUE__KIND__NOT_SET)
		return true;
	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(r, m, f, v);
	if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*chosen && *chosen != f->id)
			return bad(r, "only one of several fields may be there, and another is");
		*chosen = f->id;
	}
	return read_one(r, m->descriptor, f, v, (char *)m + f->offset);
}

static bool read_message(struct mt_pb_reader *r, ProtobufCMessage *m, const Xds__Struct *s)
{
	/* Only that it is there counts. */
	if (m->descriptor == &xds__unread__descriptor)
		return true;
	for (size_t i = 0; i < s->n_fields; i++) {
		const char *key = s->fields[i]->key;
		const ProtobufCFieldDescriptor *f = find(m->descriptor, key);
		uint32_t mark;

		if (!f) {
			if (r->unknown && strcmp(key, "@type") != 0)
				r->unknown(r->arg, &r->at, key);
			continue;
		}
		mark = mt_pb_in(&r->at, f->name);
		if (!read_field(r, m, f, s->fields[i]->value))
			return false;
		mt_pb_out(&r->at, mark);
	}
	return true;
}

void *mt_pb_from_struct(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Struct *s)
{
	ProtobufCMessage *m = new_message(r, type);

	return m && read_message(r, m, s) ? m : NULL;
}
