/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a codec file, and the limits that Meltemi has with it. */
#include "codec.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static json_t *kinds_of(uint32_t bits)
{
	json_t *list = json_array();

	for (uint32_t k = 0; k < MT_MSG_N_KINDS; k++)
		if (bits >> k & 1)
			json_array_append_new(
				list, json_string(mt_codecfile_kind((enum mt_msg_kind)k)));
	return list;
}

static json_t *variants(const struct codec_test *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->view.n_variants; i++)
		json_array_append_new(
			list, json_pack("{s:s?, s:o, s:o}", "name", t->view.variant[i].name,
				      "client", kinds_of(t->view.variant[i].kinds[MT_DIR_DOWN]),
				      "server", kinds_of(t->view.variant[i].kinds[MT_DIR_UP])));
	return list;
}

static json_t *places(const struct codec_test *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->view.n_places; i++) {
		const struct mt_codecfile_place *p = &t->view.places[i];

		json_array_append_new(list,
			json_pack("{s:s, s:i, s:s?, s:b}", "name", p->name, "line", (int)p->line,
				"variant", t->view.variant[p->variant].name, "read", p->read));
	}
	return list;
}

static json_t *metadata(const struct codec_test *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->table->n_keys; i++)
		json_array_append_new(list, json_string(t->table->codec.keys[i]));
	return list;
}

/* The reasons that each variant has a local reply for. */
static uint32_t replied(const struct codec_test *t)
{
	uint32_t all = (1u << MT_REPLY_N) - 1;

	for (uint32_t v = 0; v < t->view.n_variants; v++) {
		uint32_t has = 0;

		for (uint32_t i = 0; i < t->table->n_templates; i++)
			if (t->table->templates[i].use == MT_CT_USE_REPLY &&
				t->table->templates[i].variant == v)
				has |= t->table->templates[i].reasons;
		all &= has;
	}
	return all;
}

static json_t *reasons_of(uint32_t bits)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < MT_REPLY_N; i++)
		if (bits >> i & 1)
			json_array_append_new(
				list, json_string(mt_codecfile_reason((enum mt_local_reply)i)));
	return list;
}

/* A message that needs nothing of a request, with id 1; null: the file has none. */
static json_t *own_message(const struct codec_test *t, enum mt_ct_use use)
{
	const struct mt_seed seed = {.id = 1};
	uint8_t message[MT_CT_TEMPLATE_MAX];
	uint32_t n = mt_codec_table_write(t->table, use, &seed, MT_REPLY_NO_ROUTE, "", message);

	return n ? codec_hex(t, message, n) : json_null();
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void limit(json_t *list, const char *why, const char *fmt, ...) mt_printf(3, 4);
static void limit(json_t *list, const char *why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_array_append_new(
		list, json_pack("{s:o, s:s}", "what", json_vsprintf(fmt, ap), "why", why));
	va_end(ap);
}

static bool any_kind(const struct codec_test *t, enum mt_msg_kind kind)
{
	bool any = false;

	for (uint32_t i = 0; i < t->view.n_variants; i++)
		any |= (t->view.variant[i].kinds[0] | t->view.variant[i].kinds[1]) >> kind & 1;
	return any;
}

static bool has_use(const struct codec_test *t, enum mt_ct_use use)
{
	for (uint32_t i = 0; i < t->table->n_templates; i++)
		if (t->table->templates[i].use == use)
			return true;
	return false;
}

/* Words in a row, with commas. */
static void listed(char *to, size_t size, const json_t *words)
{
	size_t n = 0, i;
	json_t *word;

	*to = '\0';
	json_array_foreach(words, i, word) if (n < size) n +=
		(size_t)snprintf(to + n, size - n, "%s%s", i ? ", " : "", json_string_value(word));
}

static void reply_limits(const struct codec_test *t, json_t *list)
{
	uint32_t left = ~replied(t) & ((1u << MT_REPLY_N) - 1);
	json_t *words = reasons_of(left);
	char text[512];

	listed(text, sizeof(text), words);
	json_decref(words);
	if (left)
		limit(list, "localReplies has no reply for it",
			"the client's connection is closed without an error for %s", text);
	for (uint32_t i = 0; i < t->view.n_variants; i++) {
		const char *name = t->view.variant[i].name;

		if (!t->view.variant[i].status)
			limit(list, name ? "the variant has no status" : "the file has no status",
				"each reply%s%s counts as a success, for retries and outlier "
				"detection too",
				name ? " of " : "", name ? name : "");
		if (t->view.variant[i].lacks)
			limit(list, "the place has no default", "replies without %s count as %s",
				t->view.variant[i].lacks, t->view.variant[i].lacking);
		if (!t->view.variant[i].deadline)
			limit(list,
				name ? "the variant has no deadline" : "the file has no deadline",
				"time-outs that clients send%s%s are not read", name ? " in " : "",
				name ? name : "");
	}
}

static void metadata_limits(const struct codec_test *t, json_t *list)
{
	const struct mt_codec *c = &t->table->codec;
	json_t *words = metadata(t);
	char text[2048];

	listed(text, sizeof(text), words);
	json_decref(words);
	if (!t->table->n_keys && !t->table->n_searches)
		limit(list, "the file has no metadata and no search",
			"calls cannot be routed, limited or authorized by their content");
	else if (t->table->n_keys)
		limit(list, "they have places of their own, and calls are routed by them",
			"these metadata cannot be changed: %s", text);
	if (!t->table->n_searches)
		limit(list, "the file has no search", "metadata cannot be added");
	else if (!c->rewrite.mutate)
		limit(list, "the file searches maps of JCE only", "metadata cannot be changed");
	if (!c->service_key)
		limit(list, "the file has no service",
			"calls have no service in routes and metrics");
	if (!c->method_key.name)
		limit(list, "the file has no method", "calls have no method in routes and metrics");
	if (c->executes_other && (c->service_key || c->method_key.name))
		limit(list, "executes is unknown, so servers may execute another one",
			"authorization by service or method denies each call");
	if (c->executes_other && !c->executed_keys && (t->table->n_keys || t->table->n_searches))
		limit(list, "executes has no keys, so servers may use others",
			"authorization by metadata denies each call");
}

static void connection_limits(const struct codec_test *t, json_t *list)
{
	if (t->table->codec.correlation == MT_CORR_SERIAL)
		limit(list, "calls is serial", "a server connection has one call at a time");
	if (any_kind(t, MT_MSG_HEARTBEAT) && !has_use(t, MT_CT_USE_ANSWER))
		limit(list, "the file has no heartbeat.answer", "heartbeats are not answered");
	if (!has_use(t, MT_CT_USE_HEARTBEAT))
		limit(list,
			t->view.n_variants > 1 ? "a file with variants has no heartbeat.send"
					       : "the file has no heartbeat.send",
			"servers that are silent while a call waits get no heartbeat");
	if (!has_use(t, MT_CT_USE_GOAWAY))
		limit(list,
			t->view.n_variants > 1 ? "a file with variants has no goaway"
					       : "the file has no goaway",
			"clients get no notice before a drain");
	for (uint32_t i = 0; i < t->view.n_places; i++)
		if (!t->view.places[i].read)
			limit(list, "no other key uses it", "place %s (line %u) is not read",
				t->view.places[i].name, t->view.places[i].line);
}

static json_t *limits(const struct codec_test *t)
{
	json_t *list = json_array();

	reply_limits(t, list);
	metadata_limits(t, list);
	connection_limits(t, list);
	return list;
}

/* ---------------------------------------------------------------------------------------------- */

json_t *codec_file(const struct codec_test *t)
{
	const struct mt_codec *c = &t->table->codec;
	json_t *j = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o, s:b}", "file", t->file, "codec",
		c->name, "calls", c->correlation == MT_CORR_SERIAL ? "serial" : "multiplexed",
		"longest_message", (json_int_t)c->max_message, "variants", variants(t), "places",
		places(t), "metadata", metadata(t), "search", t->table->n_searches > 0);

	json_object_set_new(
		j, "service", c->service_key ? json_string(c->service_key) : json_null());
	json_object_set_new(
		j, "method", c->method_key.name ? json_string(c->method_key.name) : json_null());
	json_object_set_new(j, "ids",
		c->id_max ? json_pack("{s:I, s:I}", "least", (json_int_t)c->id_min, "most",
				    (json_int_t)c->id_max)
			  : json_null());
	json_object_set_new(j, "checksums", json_integer(t->table->n_sums));
	json_object_set_new(j, "local_replies", reasons_of(replied(t)));
	json_object_set_new(j, "heartbeat", own_message(t, MT_CT_USE_HEARTBEAT));
	json_object_set_new(j, "goaway", own_message(t, MT_CT_USE_GOAWAY));
	json_object_set_new(j, "limits", limits(t));
	return j;
}
