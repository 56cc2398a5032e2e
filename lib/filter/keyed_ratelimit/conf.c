/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles rate limits by key. */
#include "keyed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void free_select(struct mt_keyed_select *s)
{
	for (uint32_t i = 0; i < s->n_keys; i++)
		free(s->names[i]);
	mt_matcher_free(s->match);
	free(s->principal);
	free(s->kind);
	free(s->words);
}

void mt_keyed_limit_free(void *conf)
{
	struct mt_keyed_limit *l = conf;

	if (!l)
		return;
	for (uint32_t i = 0; i < l->n; i++) {
		struct mt_keyed_limit_rule *r = &l->rules[i];

		if (r->rule)
			mt_keyed_rule_put(mt_limit_keyed(l->registry, 0), r->rule,
				mt_limit_time(l->registry));
		for (uint32_t k = 0; k < r->n_selects; k++)
			free_select(&r->selects[k]);
		free(r->selects);
		free(r->name);
	}
	free(l->rules);
	free(l);
}

/* ---- selectors ------------------------------------------------------------------------------- */

static bool add_keys(struct mt_keyed_select *s, const struct mt_codec *codec,
	const struct mt_keyed_select_def *def)
{
	for (uint32_t i = 0; i < MT_MIN(def->n_keys, MT_KEYED_SELECT_KEYS); i++) {
		s->names[i] = strdup(def->keys[i]);
		s->n_keys++;
		if (!s->names[i])
			return false;
		/* Streams show no metadata: no key is read. */
		if (!codec->opaque)
			s->keys[i] = mt_key_make_icase(codec, s->names[i]);
	}
	return true;
}

/* "address, principal, metadata user" */
static char *kind_of(const struct mt_keyed_select *s)
{
	static const char *const by[] = {"address", "principal", "connection"};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	const char *sep = "";

	if (!f)
		return NULL;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(by); i++)
		if (s->by >> i & 1) {
			fprintf(f, "%s%s", sep, by[i]);
			sep = ", ";
		}
	for (uint32_t i = 0; i < s->n_keys; i++) {
		fprintf(f, "%smetadata %s", sep, s->names[i]);
		sep = ", ";
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

/* Bits of the network that count; IPv4 addresses are the last 32 bits of mapped ones. */
static struct mt_addr mask_of(const struct mt_keyed_select_def *def)
{
	uint32_t bits = def->prefix + (mt_addr_is4(&def->net) ? 96u : 0u);
	struct mt_addr mask = {.q = {0, 0}};

	for (uint32_t i = 0; i < bits; i++)
		mask.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return mask;
}

static bool add_select(struct mt_keyed_select *s, const struct mt_codec *codec,
	const struct mt_keyed_select_def *def, char *errbuf, size_t errlen)
{
	char words[1024];

	*s = (struct mt_keyed_select){.by = def->by,
		.prefix = def->prefix,
		.has_net = def->has_net,
		.reads = def->n_match || def->n_keys,
		.net = def->net,
		.net4 = mt_addr_is4(&def->net),
		.mask = mask_of(def),
		.principal = def->principal ? strdup(def->principal) : NULL,
		.principal_len = def->principal ? (uint32_t)strlen(def->principal) : 0};
	if (def->n_match && !codec->opaque) {
		s->match = mt_matcher_compile(codec, def->match, def->n_match, errbuf, errlen);
		if (!s->match)
			return false;
	}
	(void)mt_matcher_str(def->match, def->n_match, words, sizeof(words));
	s->words = strdup(words);
	snprintf(errbuf, errlen, "no memory");
	if (!s->words || (def->principal && !s->principal) || !add_keys(s, codec, def))
		return false;
	s->kind = kind_of(s);
	return s->kind != NULL;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Keys that may let their holder do something are not shown. */
static bool is_secret(const char *name)
{
	static const char *const words[] = {
		"authorization", "cookie", "credential", "password", "secret", "token"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcasestr(name, words[i]))
			return true;
	return false;
}

static bool is_hidden(const struct mt_keyed_limit_rule *r)
{
	for (uint32_t i = 0; i < r->n_selects; i++)
		for (uint32_t k = 0; k < r->selects[i].n_keys; k++)
			if (is_secret(r->selects[i].names[k]))
				return true;
	return false;
}

/* A user's name and an address may be the same text. */
static void salt(struct mt_keyed_limit_rule *r)
{
	bool several = false;

	for (uint32_t i = 1; i < r->n_selects; i++)
		several |= strcmp(r->selects[i].kind, r->selects[0].kind) != 0;
	for (uint32_t i = 0; i < r->n_selects; i++) {
		struct mt_keyed_select *s = &r->selects[i];

		s->salted = several && *s->kind;
		s->salt = mt_keyed_hash(r->rule, s->kind, strlen(s->kind));
	}
}

static bool get_rule(struct mt_keyed *t, struct mt_keyed_limit_rule *r,
	const struct mt_keyed_rule_def *def, uint64_t now, char *errbuf, size_t errlen)
{
	const struct mt_keyed_def of = {
		.name = def->name, .numbers = def->numbers, .hidden = is_hidden(r)};
	const char *bad = mt_keyed_numbers_bad(&def->numbers);
	int rc = bad ? -EINVAL : mt_keyed_rule_get(t, &of, now, &r->rule);

	if (rc == 0)
		return true;
	snprintf(errbuf, errlen, "%s",
		bad		? bad
		: rc == -ENOSPC ? "too many rules by key were changed in a short time"
				: "no memory");
	return false;
}

static bool add_rule(struct mt_keyed_limit *l, const struct mt_codec *codec,
	const struct mt_keyed_rule_def *def, uint64_t now, char *errbuf, size_t errlen)
{
	struct mt_keyed_limit_rule *r = &l->rules[l->n++];

	*r = (struct mt_keyed_limit_rule){
		.report_only = def->report_only, .line = def->line, .numbers = def->numbers};
	snprintf(errbuf, errlen, "no memory");
	r->name = strdup(def->name);
	r->selects = calloc(MT_MAX(def->n_selects, 1u), sizeof(*r->selects));
	if (!r->name || !r->selects)
		return false;
	for (uint32_t i = 0; i < def->n_selects; i++) {
		r->n_selects++;
		if (!add_select(&r->selects[i], codec, &def->selects[i], errbuf, errlen))
			return false;
		l->reads |= r->selects[i].reads && !r->report_only;
	}
	if (!get_rule(mt_limit_keyed(l->registry, 0), r, def, now, errbuf, errlen))
		return false;
	r->all = mt_keyed_hash(r->rule, "", 0);
	salt(r);
	return true;
}

static double rate(const struct mt_keyed_numbers *n)
{
	return (double)MT_MIN(n->tokens_per_fill, n->max_tokens) / (double)n->fill_ns;
}

/* The lowest rate, then the smallest bucket, then as written. */
static int by_strictness(const void *a, const void *b)
{
	const struct mt_keyed_limit_rule *x = a, *y = b;

	if (rate(&x->numbers) != rate(&y->numbers))
		return rate(&x->numbers) < rate(&y->numbers) ? -1 : 1;
	if (x->numbers.max_tokens != y->numbers.max_tokens)
		return x->numbers.max_tokens < y->numbers.max_tokens ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

void *mt_keyed_limit_compile(struct mt_limit_registry *r, const struct mt_codec *codec,
	const struct mt_keyed_limit_def *def, uint64_t now, char *errbuf, size_t errlen)
{
	struct mt_keyed_limit *l = calloc(1, sizeof(*l));
	bool ok = l != NULL;

	snprintf(errbuf, errlen, "no memory");
	if (!ok)
		return NULL;
	mt_limit_now(r, now);
	l->registry = r;
	l->closed = def->closed;
	l->opaque = codec->opaque;
	l->rules = calloc(MT_MAX(def->n_rules, 1u), sizeof(*l->rules));
	ok = l->rules && (l->closed || mt_limit_keyed(r, 0));
	for (uint32_t i = 0; ok && !l->closed && i < def->n_rules; i++)
		ok = add_rule(l, codec, &def->rules[i], now, errbuf, errlen);
	if (!ok) {
		mt_keyed_limit_free(l);
		return NULL;
	}
	if (l->n)
		qsort(l->rules, l->n, sizeof(*l->rules), by_strictness);
	return l;
}

bool mt_keyed_limit_at(const void *conf, uint32_t i, struct mt_keyed_limit_info *info)
{
	const struct mt_keyed_limit *l = conf;
	const struct mt_keyed_limit_rule *r = &l->rules[i];

	if (i >= l->n)
		return false;
	*info = (struct mt_keyed_limit_info){.rule = r->rule,
		.kind = r->n_selects ? r->selects[0].kind : "",
		.report_only = r->report_only};
	mt_keyed_describe(r->rule, &info->of);
	return true;
}
