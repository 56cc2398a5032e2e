/* SPDX-License-Identifier: Apache-2.0 */
/* Completion in expressions: fields, and the values that each can have now. */
#include "names.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNS "=!<>~"

/* Values of a field: live names, or fixed words. */
static const struct values {
	enum mt_expr_field field;
	enum mt_names names;
	const char *words[7];
} table[] = {
	{MT_EXPR_service, MT_NAMES_SERVICE, {NULL}},
	{MT_EXPR_route, MT_NAMES_ROUTE, {NULL}},
	{MT_EXPR_cluster, MT_NAMES_CLUSTER, {NULL}},
	{MT_EXPR_endpoint, MT_NAMES_ENDPOINT, {NULL}},
	{MT_EXPR_port, MT_NAMES_PORT, {NULL}},
	{MT_EXPR_worker, MT_NAMES_WORKER, {NULL}},
	{MT_EXPR_direction, MT_NAMES_NONE, {"rx", "tx"}},
	{MT_EXPR_side, MT_NAMES_NONE, {"client", "server"}},
	{MT_EXPR_tls, MT_NAMES_NONE, {"yes", "no", "1.2", "1.3"}},
	{MT_EXPR_cipher, MT_NAMES_NONE, {"AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"}},
	{MT_EXPR_status, MT_NAMES_NONE,
		{"ok", "app_error", "proto_error", "client_closed", "reset", "oneway"}},
};

static void protocols(const struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_codec_registry *r = mt_ctl_codecs(c);

	for (uint32_t i = 0; i < r->n; i++)
		mt_offer(o, r->v[i]->name, "protocol");
}

static void packet_protocols(struct mt_offers *o)
{
	static const char *const words[] = {"tcp", "udp", "icmp", "arp", "other"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		mt_offer(o, words[i], "protocol");
}

static void outcomes(struct mt_offers *o)
{
	static const struct mt_outcome_set *const sets[] = {&mt_net_outcomes, &mt_tcp_outcomes};

	for (size_t s = 0; s < MT_ARRAY_LEN(sets); s++)
		for (uint32_t i = 0; i < sets[s]->n; i++)
			mt_offer(o, sets[s]->rows[i].name, sets[s]->rows[i].words);
}

static void values_of(
	struct mt_ctl *c, enum mt_expr_field field, uint64_t fields, struct mt_offers *o)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(table); i++) {
		if (table[i].field != field)
			continue;
		mt_offer_names(c, table[i].names, o);
		for (const char *const *w = table[i].words; *w; w++)
			mt_offer(o, *w, mt_expr_fields[field].words);
	}
	if (field == MT_EXPR_status)
		for (int i = 0; i < MT_REPLY_N; i++)
			mt_offer(o, mt_local_reply_name(i), mt_local_reply_str(i));
	if (field == MT_EXPR_outcome)
		outcomes(o);
	if (field == MT_EXPR_proto && fields & MT_EXPR_BIT(service))
		protocols(c, o);
	else if (field == MT_EXPR_proto)
		packet_protocols(o);
}

/* Offers the words of `sub`, each after the first `n` bytes of the part; frees them. */
static void offer_behind(struct mt_offers *o, size_t n, struct mt_offers *sub)
{
	char word[MT_CTL_LINE + 1];
	const char *value;
	json_t *help;

	json_object_foreach(sub->words, value, help)
	{
		snprintf(word, sizeof(word), "%.*s%s", (int)n, o->part, value);
		mt_offer(o, word, json_string_value(help));
	}
	o->more |= sub->more;
	json_decref(sub->words);
}

/*
 * True if an operator usually looks for large values of the field; completion then offers `>`
 * instead of `=`.
 */
static bool by_size(enum mt_expr_field f)
{
	switch (f) {
	case MT_EXPR_sport:
	case MT_EXPR_dport:
	case MT_EXPR_worker:
	case MT_EXPR_mss:
		return false;
	default:
		return mt_expr_fields[f].type == MT_EXPR_NUMBER ||
		       mt_expr_fields[f].type == MT_EXPR_TIME;
	}
}

static void fields_of(const struct mt_ctl *c, uint64_t fields, struct mt_offers *o)
{
	char word[64];

	for (uint32_t f = 0; f < MT_EXPR_meta0; f++) {
		if (!(fields >> f & 1))
			continue;
		snprintf(
			word, sizeof(word), "%s%s", mt_expr_fields[f].name, by_size(f) ? ">" : "=");
		mt_offer(o, word, mt_expr_fields[f].words);
	}
	if (fields & MT_EXPR_BIT(meta0))
		mt_offer_keys(c, o);
	mt_offer(o, "not", "the condition after it must be false");
	mt_offer(o, "or", "the conditions before it, or those after it");
}

void mt_offer_keys(const struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_codec_registry *r = mt_ctl_codecs(c);
	char word[96];

	if (o->part[0] != '.') {
		mt_offer(o, ".", mt_expr_fields[MT_EXPR_meta0].words);
		return;
	}
	for (uint32_t i = 0; i < r->n; i++)
		for (const char *const *k = r->v[i]->keys; k && *k; k++) {
			snprintf(word, sizeof(word), ".%s=", *k);
			mt_offer(o, word, r->v[i]->name);
		}
}

void mt_offer_values(struct mt_ctl *c, enum mt_expr_field field, uint64_t fields, size_t before,
	struct mt_offers *o)
{
	struct mt_offers sub = {.part = o->part + before, .words = json_object()};

	values_of(c, field, fields, &sub);
	offer_behind(o, before, &sub);
}

void mt_offer_expression(struct mt_ctl *c, uint64_t fields, struct mt_offers *o)
{
	size_t open = strspn(o->part, "("), name = strcspn(o->part + open, SIGNS);
	size_t value = open + name + strspn(o->part + open + name, SIGNS);
	struct mt_offers sub = {.part = o->part + open};

	if (!o->part[open + name]) {
		sub.words = json_object();
		fields_of(c, fields, &sub);
		offer_behind(o, open, &sub);
		return;
	}
	for (uint32_t f = 0; f < MT_EXPR_meta0; f++)
		if (fields >> f & 1 && strlen(mt_expr_fields[f].name) == name &&
			strncasecmp(mt_expr_fields[f].name, sub.part, name) == 0)
			mt_offer_values(c, f, fields, value, o);
}
