/* SPDX-License-Identifier: Apache-2.0 */
/* Completion inside expressions: fields, and the values that they can have at this moment. */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SIGNS "=!<>"

/* A field's values are live names, or words that never change. */
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
	{MT_EXPR_status, MT_NAMES_NONE,
		{"ok", "app_error", "proto_error", "client_left", "cut_off", "oneway"}},
};

static void protocols(struct mt_offers *o)
{
	for (uint32_t i = 0; mt_codecs[i]; i++)
		mt_offer(o, mt_codecs[i]->name, "protocol");
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
		protocols(o);
	else if (field == MT_EXPR_proto)
		packet_protocols(o);
}

/* Its values are known from the start: another one is a mistake, which would never hold. */
static bool is_fixed(enum mt_expr_field field)
{
	return field == MT_EXPR_status || field == MT_EXPR_direction || field == MT_EXPR_side ||
	       field == MT_EXPR_proto || field == MT_EXPR_outcome;
}

static bool may_hold(const struct mt_expr *x, const struct mt_expr_term *t, const json_t *values)
{
	struct mt_expr one = *x;
	const char *value;
	json_t *help;

	one.n_terms = one.n_ops = 1;
	one.ops[0] = 0;
	one.terms[0] = *t;
	one.terms[0].cmp = MT_EXPR_EQ;
	json_object_foreach((json_t *)values, value, help)
	{
		struct mt_expr_values v = {.known = 0};

		mt_expr_set_text(
			&v, t->field, (struct mt_slice){(const uint8_t *)value, strlen(value)});
		if (mt_expr_eval(&one, &v) == MT_TRI_YES)
			return true;
	}
	return false;
}

static int no_value(const struct mt_expr *x, const struct mt_expr_term *t, const json_t *values,
	struct mt_err *e)
{
	const char *value;
	json_t *help;
	size_t n;

	mt_err(e, -EINVAL, "%s: `%.*s` is none of:", mt_expr_fields[t->field].name,
		(int)MT_MIN(t->len, 40u), x->texts + t->text);
	n = strlen(e->text);
	json_object_foreach((json_t *)values, value, help)
	{
		size_t more = strlen(value) + 1;

		if (n + more + sizeof(" …") > sizeof(e->text)) {
			snprintf(e->text + n, sizeof(e->text) - n, " …");
			break;
		}
		n += (size_t)snprintf(e->text + n, sizeof(e->text) - n, " %s", value);
	}
	return -EINVAL;
}

int mt_ctl_expr(struct mt_expr *x, const char *text, uint64_t fields, struct mt_err *e)
{
	int rc = mt_expr_compile(x, text, fields, e);

	for (uint32_t i = 0; rc == 0 && i < x->n_terms; i++) {
		const struct mt_expr_term *t = &x->terms[i];
		struct mt_offers all = {.part = ""};

		if (!is_fixed(t->field))
			continue;
		all.words = json_object();
		values_of(NULL, t->field, fields, &all);
		if (!all.more && !may_hold(x, t, all.words))
			rc = no_value(x, t, all.words, e);
		json_decref(all.words);
	}
	return rc;
}

/* What `sub` was offered, as ends of words that begin with the first `n` bytes of the part. */
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

/* Large is what they are looked for by. */
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

static void fields_of(uint64_t fields, struct mt_offers *o)
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
		mt_offer_keys(o);
	mt_offer(o, "not", "the condition behind it must not hold");
	mt_offer(o, "or", "the conditions before it, or those behind it");
}

void mt_offer_keys(struct mt_offers *o)
{
	char word[96];

	if (o->part[0] != '.') {
		mt_offer(o, ".", mt_expr_fields[MT_EXPR_meta0].words);
		return;
	}
	for (uint32_t i = 0; mt_codecs[i]; i++)
		for (const char *const *k = mt_codecs[i]->keys; k && *k; k++) {
			snprintf(word, sizeof(word), ".%s=", *k);
			mt_offer(o, word, mt_codecs[i]->name);
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
		fields_of(fields, &sub);
		offer_behind(o, open, &sub);
		return;
	}
	for (uint32_t f = 0; f < MT_EXPR_meta0; f++)
		if (fields >> f & 1 && strlen(mt_expr_fields[f].name) == name &&
			strncasecmp(mt_expr_fields[f].name, sub.part, name) == 0)
			mt_offer_values(c, f, fields, value, o);
}
