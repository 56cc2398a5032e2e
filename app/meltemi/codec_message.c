/* SPDX-License-Identifier: Apache-2.0 */
/* One message: its places, metadata, and the messages that Meltemi would write because of it. */
#include "codec.h"

#include "mt_log.h"

#include <stdio.h>
#include <string.h>

json_t *codec_hex(const struct codec_test *t, const uint8_t *p, uint32_t n)
{
	uint32_t shown = t->all ? n : MT_MIN(n, (uint32_t)MT_CT_TEMPLATE_MAX);
	char *text = malloc(2 * (size_t)shown + 1);
	json_t *j;

	if (!text)
		return json_null();
	for (uint32_t i = 0; i < shown; i++)
		sprintf(text + 2 * (size_t)i, "%02x", p[i]);
	text[2 * (size_t)shown] = '\0';
	j = json_string(text);
	free(text);
	return j;
}

/* A text without control characters; NULL: the bytes are none. */
static json_t *as_text(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f ||
			(p[i] == 0xc2 && i + 1 < n && p[i + 1] >= 0x80 && p[i + 1] < 0xa0))
			return NULL;
	/* Checks UTF-8. */
	return json_stringn((const char *)p, n);
}

/* A value of metadata: its text, or else \xNN for each byte that is none. */
static json_t *value_text(const struct codec_test *t, struct mt_slice v)
{
	uint32_t n = t->all ? v.len : MT_MIN(v.len, 4u * CODEC_BYTES);
	json_t *j = as_text(v.p, n);
	char *text = j ? NULL : malloc(4 * (size_t)n + 1), *to = text;

	if (j || !text)
		return j ? j : json_null();
	for (uint32_t i = 0; i < n; i++)
		to += v.p[i] >= ' ' && v.p[i] < 0x7f && v.p[i] != '\\'
			      ? sprintf(to, "%c", v.p[i])
			      : sprintf(to, "\\x%02x", v.p[i]);
	j = json_string(text);
	free(text);
	return j;
}

/* Numbers above 2^63 - 1 are texts, because JSON readers have no such integers. */
static json_t *number(uint64_t v, bool is_signed)
{
	char text[24];

	if (is_signed || v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	return json_string(text);
}

/* ---- places ---------------------------------------------------------------------------------- */

static json_t *field(const struct codec_test *t, uint32_t i, const uint8_t *p)
{
	const struct mt_ct_found *f = &t->found[i];
	uint32_t n = t->all ? f->len : MT_MIN(f->len, (uint32_t)CODEC_BYTES);
	json_t *j, *text;

	if (f->absent)
		return json_pack("{s:s, s:o, s:b}", "place", t->view.places[i].name, "number",
			number(f->value, f->is_signed), "default", 1);
	j = json_pack("{s:s, s:I, s:I}", "place", t->view.places[i].name, "at", (json_int_t)f->off,
		"bytes", (json_int_t)f->len);
	text = f->number ? NULL : as_text(p + f->off, n);
	if (f->number)
		json_object_set_new(j, "number", number(f->value, f->is_signed));
	if (text)
		json_object_set_new(j, "text", text);
	json_object_set_new(j, "hex", codec_hex(t, p + f->off, n));
	if (n < f->len)
		json_object_set_new(j, "cut", json_true());
	return j;
}

static json_t *fields(const struct codec_test *t, const struct mt_msg *msg, const uint8_t *p)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->view.n_places; i++)
		if (t->view.places[i].variant == msg->variant && t->view.places[i].read &&
			(t->found[i].there || t->found[i].absent))
			json_array_append_new(list, field(t, i, p));
	return list;
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void add_value(
	const struct codec_test *t, json_t *list, struct mt_slice key, struct mt_slice value)
{
	json_array_append_new(list,
		json_pack("{s:o, s:o}", "key", value_text(t, key), "value", value_text(t, value)));
}

static json_t *metadata(struct codec_test *t, const struct mt_msg *msg, const uint8_t *p)
{
	uint8_t scratch[MT_META_SCRATCH];
	json_t *list = json_array();
	struct mt_slice v;

	for (uint32_t i = 0; i < t->table->n_keys; i++) {
		const char *key = t->table->codec.keys[i];
		const struct mt_slice name = {(const uint8_t *)key, (uint32_t)strlen(key)};

		if (mt_codec_table_value(t->table, msg, p, key, t->meta, &v, scratch))
			add_value(t, list, name, v);
	}
	mt_codec_table_index(t->table, msg, p, t->meta);
	for (uint32_t i = 0; t->meta->state == MT_META_READ && i < t->meta->n; i++) {
		const struct mt_meta_entry *e = &t->meta->entry[i];

		if (e->key && mt_meta_value(t->meta, i, &v, scratch))
			add_value(t, list, (struct mt_slice){e->key, e->key_len}, v);
	}
	return list;
}

static json_t *named(
	struct codec_test *t, const struct mt_msg *msg, const uint8_t *p, const char *key)
{
	uint8_t scratch[MT_META_SCRATCH];
	struct mt_slice v;

	if (!key || !mt_codec_table_value(t->table, msg, p, key, t->meta, &v, scratch))
		return json_null();
	return value_text(t, v);
}

/* Why policies, routes and limits cannot read the containers of `search`; NULL: they can. */
static const char *unread(struct codec_test *t, const struct mt_msg *msg, const uint8_t *p)
{
	mt_codec_table_index(t->table, msg, p, t->meta);
	if (t->meta->state == MT_META_BROKEN)
		return "a container of search breaks its format: refused as bad_request if a rule "
		       "of its service searches metadata";
	if (t->meta->state == MT_META_TOO_LARGE)
		return "more than Meltemi searches: refused as too_large if a rule of its service "
		       "searches metadata";
	return NULL;
}

/* ---- messages of Meltemi's own --------------------------------------------------------------- */

static bool has_template(
	const struct codec_test *t, enum mt_ct_use use, uint32_t variant, enum mt_local_reply what)
{
	for (uint32_t i = 0; i < t->table->n_templates; i++) {
		const struct mt_ct_template *k = &t->table->templates[i];

		if (k->use == use && k->variant == variant &&
			(use != MT_CT_USE_REPLY || k->reasons >> what & 1))
			return true;
	}
	return false;
}

/* Adds `hex`, or why there are none. */
static void write_one(const struct codec_test *t, json_t *to, enum mt_ct_use use,
	const struct mt_seed *seed, enum mt_local_reply what)
{
	uint8_t message[MT_CT_TEMPLATE_MAX];
	uint32_t n = mt_codec_table_write(t->table, use, seed, what, "", message);

	if (n)
		json_object_set_new(to, "hex", codec_hex(t, message, n));
	else if (has_template(t, use, seed->variant, what))
		json_object_set_new(to, "none",
			json_string("a place that it copies is missing or longer than its max"));
	else
		json_object_set_new(to, "none",
			json_string(use == MT_CT_USE_REPLY ? "localReplies has none for it"
							   : "the file has no heartbeat.answer"));
}

/* The messages that clients get in place of a reply of the server, by reason. */
static json_t *replies(const struct codec_test *t, const struct mt_msg *msg, const uint8_t *p)
{
	json_t *list = json_array();
	struct mt_seed seed = {0};

	mt_codec_table_seed(t->table, msg, p, &seed);
	for (uint32_t i = 0; i < MT_REPLY_N; i++) {
		json_t *one;

		if (msg->refuse && msg->refuse != 1 + i)
			continue;
		one = json_pack("{s:s}", "reason", mt_codecfile_reason((enum mt_local_reply)i));
		write_one(t, one, MT_CT_USE_REPLY, &seed, (enum mt_local_reply)i);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *answer(const struct codec_test *t, const struct mt_msg *msg, const uint8_t *p)
{
	struct mt_seed seed = {0};
	json_t *one = json_object();

	mt_codec_table_seed(t->table, msg, p, &seed);
	write_one(t, one, MT_CT_USE_ANSWER, &seed, MT_REPLY_NO_ROUTE);
	return one;
}

/* ---------------------------------------------------------------------------------------------- */

static void of_kind(struct codec_test *t, const struct mt_msg *msg, const uint8_t *p, json_t *j)
{
	static const char *const events[] = {"ignore", "drain", "resume"};

	if (msg->kind == MT_MSG_REQUEST)
		json_object_set_new(j, "local_replies", replies(t, msg, p));
	else if (msg->kind == MT_MSG_HEARTBEAT)
		json_object_set_new(j, "answer", answer(t, msg, p));
	else if (msg->kind == MT_MSG_EVENT)
		json_object_set_new(j, "event", json_string(events[msg->event]));
	else if (msg->kind == MT_MSG_REPLY && t->view.variant[msg->variant].status)
		json_object_set_new(
			j, "status", json_string(mt_ct_class_str((enum mt_ct_class)msg->aux)));
}

static void calls(struct codec_test *t, const struct mt_msg *msg, const uint8_t *p, json_t *j)
{
	const struct mt_codec *c = &t->table->codec;

	if (msg->kind != MT_MSG_REQUEST && msg->kind != MT_MSG_ONEWAY)
		return;
	json_object_set_new(j, "service", named(t, msg, p, c->service_key));
	json_object_set_new(j, "method", named(t, msg, p, c->method_key.name));
	if (msg->timeout_ms)
		json_object_set_new(j, "deadline_ms", json_integer(msg->timeout_ms));
}

json_t *codec_message(
	struct codec_test *t, enum mt_dir from, const struct mt_msg *msg, const uint8_t *p)
{
	json_t *j = json_pack("{s:s, s:s, s:I}", "from", from == MT_DIR_DOWN ? "client" : "server",
		"kind", mt_codecfile_kind(msg->kind), "bytes", (json_int_t)msg->len);

	if (t->view.variant[msg->variant].name)
		json_object_set_new(j, "variant", json_string(t->view.variant[msg->variant].name));
	if (msg->can_reply && t->table->codec.id_max)
		json_object_set_new(j, "id", number(msg->id, false));
	if (msg->refuse)
		json_object_set_new(j, "refused",
			json_string(mt_codecfile_reason((enum mt_local_reply)(msg->refuse - 1))));
	json_object_set_new(j, "places", fields(t, msg, p));
	if (!msg->refuse) {
		const char *why = unread(t, msg, p);

		calls(t, msg, p, j);
		json_object_set_new(j, "metadata", metadata(t, msg, p));
		if (why)
			json_object_set_new(j, "unread", json_string(why));
	}
	of_kind(t, msg, p, j);
	return j;
}
