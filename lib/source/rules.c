/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by VirtualService, MetaRouter and EnvoyFilter: conditions, destinations, weights, buckets.
 */
#include "mt_fields.h"

#include <stdio.h>
#include <string.h>

struct mt_cond *mt_add_cond(struct mt_fctx *c, const struct mt_ynode *n, struct mt_rule_match *m)
{
	struct mt_cond *cond = mt_region_push(
		&c->model->region, (void **)&m->conds, &m->n_conds, sizeof(*m->conds));

	if (cond)
		cond->origin = (struct mt_origin){c->file, n->line};
	return cond;
}

/* Finds the operator of a StringMatch by its name in the ecosystem. False: unknown. */
static bool match_word(const char *key, enum mt_cond_op *op)
{
	static const char *const words[] = {
		[MT_COND_EXACT] = "exact", [MT_COND_PREFIX] = "prefix", [MT_COND_REGEX] = "regex"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (words[i] && strcmp(key, words[i]) == 0) {
			*op = (enum mt_cond_op)i;
			return true;
		}
	return false;
}

bool mt_looks_like_string_match(const struct mt_ynode *n)
{
	enum mt_cond_op op;

	return n->type == MT_Y_MAP && n->n > 0 && match_word(n->first->key, &op);
}

static void read_match_word(struct mt_fctx *c, const struct mt_ynode *k, struct mt_cond *cond)
{
	struct mt_suggest near = {.word = k->key};
	enum mt_cond_op op;
	char remedy[64] = "write exact, prefix or regex";

	if (strcmp(k->key, "ignoreCase") == 0) {
		struct mt_num yes = {0};

		if (mt_read_bool(c, k, &yes))
			cond->ignore_case = yes.v;
		return;
	}
	if (!match_word(k->key, &op)) {
		mt_suggest_offer(&near, "exact");
		mt_suggest_offer(&near, "prefix");
		mt_suggest_offer(&near, "regex");
		if (near.best)
			snprintf(remedy, sizeof(remedy), "did you mean %s?", near.best);
		mt_f_error(c, k->key_line, remedy, "unknown field");
		return;
	}
	if (cond->value.s)
		mt_f_error(c, k->key_line, "keep one of them", "two conditions on one key");
	else if (mt_want_scalar(c, k, "a text")) {
		cond->op = op;
		cond->value = (struct mt_text){k->text, k->line};
	}
}

/* Reads the condition on one key: {exact|prefix|regex: TEXT}. Empty, or the regex "*": presence. */
void mt_read_string_match(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_rule_match *m, bool invert)
{
	struct mt_cond *cond = mt_add_cond(c, n, m);

	if (!cond)
		return;
	cond->key = (struct mt_text){n->key, n->key_line};
	cond->op = MT_COND_PRESENT;
	cond->invert = invert;
	if (*n->key == '\0')
		mt_f_error(c, n->key_line, "name a metadata key", "the key is empty");
	if (mt_yaml_is_null(n) || !mt_want_map(c, n, "a map: {exact: TEXT}"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		read_match_word(c, k, cond);
		mt_path_pop(c, mark);
	}
	if (cond->op == MT_COND_REGEX && strcmp(cond->value.s, "*") == 0)
		cond->op = MT_COND_PRESENT;
}

void mt_read_string_matches(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	bool invert = strcmp(n->key, "withoutHeaders") == 0;

	if (!mt_want_map(c, n, "a map of metadata keys"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		mt_read_string_match(c, k, obj, invert);
		mt_path_pop(c, mark);
	}
}

static const struct mt_field dest_port_fields[] = {
	{"number", MT_F_NUM, AT(struct mt_dest_port, number), .min = 1, .max = 65535,
		.required = true, .help = "a port of the destination host"},
};

const struct mt_section mt_sec_dest_port = {"destination's port", sizeof(struct mt_dest_port),
	MT_ARRAY_LEN(dest_port_fields), .fields = dest_port_fields};

#define DEST_FIELDS                                                                                \
	{"host", MT_F_TEXT, AT(struct mt_dest, host), .required = true, .host = true,              \
		.help = "the service to call"},                                                    \
		{"subset", MT_F_TEXT, AT(struct mt_dest, subset),                                  \
			.help = "a subset of its DestinationRule; default: all endpoints"},        \
	{                                                                                          \
		"port", MT_F_OBJECT, AT(struct mt_dest, port),                                     \
			.sub = &mt_sec_dest_port,                                                  \
			.help = "the port to call; default: the port of the call, else the only "  \
				"one"                                                              \
	}

static const struct mt_field dest_fields[] = {
	DEST_FIELDS,
	{"weight", MT_F_NUM, AT(struct mt_dest, weight_inside), .max = MT_WEIGHT_MAX,
		.help = "the same as `weight` next to `destination`"},
};

const struct mt_section mt_sec_dest = {
	"destination", sizeof(struct mt_dest), MT_ARRAY_LEN(dest_fields), .fields = dest_fields};

static const struct mt_field mirror_dest_fields[] = {
	DEST_FIELDS,
	{"weight", MT_F_LATER,
		.help = "`mirrorPercentage`, or `percentage` in `mirrors`, sets the share of "
			"copies"},
};

const struct mt_section mt_sec_mirror_dest = {"destination", sizeof(struct mt_dest),
	MT_ARRAY_LEN(mirror_dest_fields), .fields = mirror_dest_fields};

/*
 * Reads a percentage with fractions and stores it in millionths, the unit in which the ecosystem
 * sends it to proxies.
 */
static void read_percent(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule_percent *p = obj;
	char *end;
	double v;

	if (!mt_want_scalar(c, n, "a percentage"))
		return;
	v = strtod(n->text, &end);
	if (end == n->text || *end || !(v >= 0 && v <= 100)) {
		mt_f_error(c, n->line, "write a number from 0 to 100",
			"\"%.64s\" is not a percentage", n->text);
		return;
	}
	p->ppm = (struct mt_num){(uint32_t)(v * 10000 + 0.5), n->line, true};
}

static const struct mt_field percent_fields[] = {
	{"value", MT_F_CUSTOM, .custom = read_percent,
		.help = "0 to 100, in steps of 0.0001; 0, or absent: no copies"},
};

const struct mt_section mt_sec_percent = {"percentage", sizeof(struct mt_rule_percent),
	MT_ARRAY_LEN(percent_fields), .fields = percent_fields};

static const struct mt_field mutation_fields[] = {
	{"key", MT_F_TEXT, AT(struct mt_rule_mutation, key), .required = true,
		.help = "the metadata key to set"},
	{"value", MT_F_TEXT, AT(struct mt_rule_mutation, value), .required = true,
		.help = "its new value"},
};

static void check_mutation(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_rule_mutation *m = obj;

	/* The same limits as for a header in Envoy's API (core.v3.HeaderValue). */
	if ((m->key.s && strlen(m->key.s) > 16384) || (m->value.s && strlen(m->value.s) > 16384))
		mt_f_error(c, n->line, "16,384 bytes at most", "too long");
}

const struct mt_section mt_sec_mutation = {"mutation", sizeof(struct mt_rule_mutation),
	MT_ARRAY_LEN(mutation_fields), .fields = mutation_fields, .after = check_mutation};

static const struct mt_field bucket_fields[] = {
	{"maxTokens", MT_F_NUM, AT(struct mt_bucket_conf, max_tokens), .min = 1, .max = INT32_MAX,
		.required = true, .help = "most calls that a full bucket admits"},
	{"tokensPerFill", MT_F_NUM, AT(struct mt_bucket_conf, tokens_per_fill), .min = 1,
		.max = INT32_MAX, .help = "calls that each interval adds; default: 1"},
	{"fillInterval", MT_F_DURATION, AT(struct mt_bucket_conf, fill_ms), .min = 50,
		.required = true, .help = "time between additions, at least 50ms"},
};

void mt_check_bucket(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_bucket_conf *b = obj;

	if (!b->tokens_per_fill.set)
		b->tokens_per_fill.v = 1;
}

const struct mt_section mt_sec_bucket = {"token bucket", sizeof(struct mt_bucket_conf),
	MT_ARRAY_LEN(bucket_fields), .fields = bucket_fields, .snake = true,
	.after = mt_check_bucket};

/* Weights of several destinations must total 100, as Aeraki's admission requires. */
void mt_rule_weights(struct mt_fctx *c, struct mt_rule *rule)
{
	uint32_t sum = 0, at = rule->origin.line;
	bool over = false;

	if (rule->n_dests < 2)
		return;
	for (uint32_t i = 0; i < rule->n_dests; i++) {
		const struct mt_rule_dest *d = &rule->dests[i];

		sum += d->weight.v;
		if (!over)
			at = d->weight.set ? d->weight.line : d->origin.line;
		over = sum > 100;
	}
	if (sum == 100)
		return;
	for (uint32_t i = 0; i < rule->n_dests; i++)
		if (!rule->dests[i].weight.set) {
			mt_f_error(c, rule->dests[i].origin.line,
				"give each destination a weight, 100 in all",
				"a destination has no weight");
			return;
		}
	mt_f_error(c, at, "the weights of one route must total 100", "weights total %u", sum);
}

/*
 * Istio's weights are relative, and a missing one is 0. Reports an error if the weights of several
 * destinations are all 0.
 */
void mt_rule_shares(struct mt_fctx *c, struct mt_rule *rule)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rule->n_dests; i++)
		sum += rule->dests[i].weight.v;
	if (rule->n_dests > 1 && sum == 0)
		mt_f_error(c, rule->origin.line, "give one of the destinations a weight",
			"all weights are 0");
}
