/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_pb_json_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool read_one(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, void *to);

/* ---- paths ----------------------------------------------------------------------------------- */

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

/* ---- messages -------------------------------------------------------------------------------- */

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

/* Reads a message that JSON represents as a plain value. */
static void *read_special(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Value *v)
{
	ProtobufCMessage *m;

	if (type == &xds__duration__descriptor)
		return mt_pj_duration(r, v);
	if (type == &xds__value__descriptor)
		return (void *)v;
	if (type == &xds__struct__descriptor) {
		if (v->kind_case == XDS__VALUE__KIND_STRUCT_VALUE)
			return v->struct_value;
		mt_pj_bad_type(r, v, "a map");
		return NULL;
	}
	if (type == &xds__list_value__descriptor) {
		if (v->kind_case == XDS__VALUE__KIND_LIST_VALUE)
			return v->list_value;
		mt_pj_bad_type(r, v, "a list");
		return NULL;
	}
	m = mt_pj_new(r, type);
	if (!m || !read_one(r, type, &type->fields[0], v, (char *)m + type->fields[0].offset))
		return NULL;
	return m;
}

/* Reads an Any. The message is serialized again; for an unknown type only type_url is set. */
static void *read_any(struct mt_pb_reader *r, const Xds__Struct *s)
{
	Xds__Any *any = mt_pj_new(r, &xds__any__descriptor);
	const Xds__Value *url = get(s, "@type"), *v = get(s, "value");
	const ProtobufCMessageDescriptor *type;
	ProtobufCMessage *m;

	if (!any)
		return NULL;
	if (!url || url->kind_case != XDS__VALUE__KIND_STRING_VALUE) {
		/* With of_text the caller reports a missing "@type", if it needs one. */
		if (r->of_text)
			return any;
		mt_pj_bad(r, "it has no \"@type\"");
		return NULL;
	}
	any->type_url = url->string_value;
	type = mt_pb_type(any->type_url);
	if (!type)
		return any;
	if (is_special(type))
		m = v ? read_special(r, type, v) : mt_pj_new(r, type);
	else
		m = mt_pb_from_struct(r, type, s);
	if (!m)
		return NULL;
	any->value.len = protobuf_c_message_get_packed_size(m);
	any->value.data = mt_pj_take(r, any->value.len);
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
		mt_pj_bad_type(r, v, "a map of fields");
		return NULL;
	}
	if (type == &xds__any__descriptor)
		return read_any(r, v->struct_value);
	return mt_pb_from_struct(r, type, v->struct_value);
}

/* Reads one value of a field's type into *to. */
static bool read_one(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *in,
	const ProtobufCFieldDescriptor *f, const Xds__Value *v, void *to)
{
	double n;

	if (mt_pj_node(r, v))
		r->line = mt_pj_node(r, v)->line;
	switch (f->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		*(void **)to = read_below(r, f->descriptor, v);
		return *(void **)to != NULL;
	case PROTOBUF_C_TYPE_STRING:
		return mt_pj_text(r, v, to);
	case PROTOBUF_C_TYPE_BYTES:
		return mt_pj_bytes(r, v, to);
	case PROTOBUF_C_TYPE_BOOL:
		if (v->kind_case != XDS__VALUE__KIND_BOOL_VALUE)
			return mt_pj_bad(r, "not true or false");
		*(protobuf_c_boolean *)to = v->bool_value;
		return true;
	case PROTOBUF_C_TYPE_INT32:
		return mt_pj_int32(r, in, f, v, to);
	case PROTOBUF_C_TYPE_UINT32:
		if (!mt_pj_whole(r, v, 0, UINT32_MAX, &n))
			return false;
		*(uint32_t *)to = (uint32_t)n;
		return true;
	case PROTOBUF_C_TYPE_INT64:
		/* Beyond 2^53 neither JSON nor a double is exact. */
		if (!mt_pj_whole(r, v, -9007199254740992.0, 9007199254740992.0, &n))
			return false;
		*(int64_t *)to = (int64_t)n;
		return true;
	case PROTOBUF_C_TYPE_UINT64:
		if (!mt_pj_whole(r, v, 0, 9007199254740992.0, &n))
			return false;
		*(uint64_t *)to = (uint64_t)n;
		return true;
	case PROTOBUF_C_TYPE_DOUBLE:
		return mt_pj_double(r, v, to);
	default:
		return mt_pj_bad(r, "of a type that is not read");
	}
}

/* Size of an array item. */
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
		return s->n_fields == 0 || mt_pj_bad(r, "a map by numbers is not read");
	for (size_t i = 0; i < s->n_fields; i++) {
		ProtobufCMessage *entry = mt_pj_new(r, type);
		uint32_t mark = mt_pb_in(&r->at, s->fields[i]->key);

		if (!entry || !(s->fields[i]->value || mt_pj_bad(r, "without a value")) ||
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
	bool ok = true;

	if (map && v->kind_case != XDS__VALUE__KIND_STRUCT_VALUE)
		return mt_pj_bad_type(r, v, "a map");
	if (!map && v->kind_case != XDS__VALUE__KIND_LIST_VALUE)
		return mt_pj_bad_type(r, v, "a list");
	n = map ? v->struct_value->n_fields : v->list_value->n_values;
	items = mt_pj_take(r, n * size);
	if (!items)
		return false;
	if (map && !read_map(r, f, v->struct_value, (void **)items))
		return false;
	for (size_t i = 0; !map && i < n; i++) {
		char index[24];
		uint32_t mark = r->at.len;

		snprintf(index, sizeof(index), "[%zu]", i);
		step(&r->at, snprintf(r->at.text + mark, sizeof(r->at.text) - mark, "%s", index));
		ok = read_one(r, m->descriptor, f, v->list_value->values[i], items + i * size) &&
		     ok;
		if (!ok && !r->of_text)
			return false;
		mt_pb_out(&r->at, mark);
	}
	*(void **)((char *)m + f->offset) = items;
	*count = n;
	return ok;
}

bool mt_pb_is_name(const char *json, const char *name)
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
		if (mt_pb_is_name(json, type->fields[i].name))
			return &type->fields[i];
	return NULL;
}

static bool one_too_many(struct mt_pb_reader *r, const Xds__Value *v)
{
	static const char what[] = "only one of several fields may be there, and another is";

	if (!r->of_text)
		return mt_pj_bad(r, what);
	r->of_text->wrong(r, mt_pj_node(r, v)->key_line, "keep one of them", what);
	return false;
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
			return one_too_many(r, v);
		*chosen = f->id;
	}
	return read_one(r, m->descriptor, f, v, (char *)m + f->offset);
}

/*
 * True if a field of a text is to be read. `seen` has the line of each field that was seen; 0:
 * none.
 */
static bool is_wanted(struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type,
	const ProtobufCFieldDescriptor *f, const struct mt_ynode *n, uint32_t seen[])
{
	uint32_t *first = f ? &seen[f - type->fields] : NULL;
	char what[48];

	if (first && *first) {
		snprintf(what, sizeof(what), "written twice, first on line %u", *first);
		r->of_text->wrong(r, n->key_line, "keep one of them", what);
		return false;
	}
	if (first)
		*first = n->key_line;
	return r->of_text->want(r, type, f, n);
}

#define FIELDS_MAX 64

static bool read_entry(struct mt_pb_reader *r, ProtobufCMessage *m,
	const Xds__Struct__FieldsEntry *e, uint32_t seen[])
{
	const ProtobufCFieldDescriptor *f = find(m->descriptor, e->key);
	uint32_t mark;
	bool ok;

	if (!f && strcmp(e->key, "@type") == 0)
		return true;
	if (!f && !r->of_text) {
		if (r->unknown)
			r->unknown(r->arg, &r->at, e->key);
		return true;
	}
	mark = mt_pb_in(&r->at, r->of_text ? e->key : f->name);
	if (r->of_text && !is_wanted(r, m->descriptor, f, mt_pj_node(r, e->value), seen))
		ok = true;
	else
		ok = read_field(r, m, f, e->value);
	if (ok || r->of_text)
		mt_pb_out(&r->at, mark);
	return ok;
}

static bool read_message(struct mt_pb_reader *r, ProtobufCMessage *m, const Xds__Struct *s)
{
	uint32_t seen[FIELDS_MAX] = {0};
	bool ok = true;

	MT_ASSERT(m->descriptor->n_fields <= FIELDS_MAX);
	/* Only its presence counts. */
	if (m->descriptor == &xds__unread__descriptor)
		return true;
	for (size_t i = 0; i < s->n_fields && (ok || r->of_text); i++)
		ok = read_entry(r, m, s->fields[i], seen) && ok;
	return ok;
}

void *mt_pb_from_struct(
	struct mt_pb_reader *r, const ProtobufCMessageDescriptor *type, const Xds__Struct *s)
{
	uint32_t line = r->line;
	ProtobufCMessage *m = mt_pj_new(r, type);
	bool ok = m && read_message(r, m, s);

	if (r->of_text)
		r->of_text->whole(r, type, s, line);
	return ok ? m : NULL;
}
