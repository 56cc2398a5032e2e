/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RequestAuthentications in front of an instance, as one object that its calls' tokens are verified by. Who has the same ones has the same
 * object, also in the next snapshot: what workers found of tokens by it still holds then.
 */
#include "mt_conf_policy_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What was made of documents of these serials. */
struct mt_conf_tokens_entry {
	char *key;
	struct mt_token_rules *rules;
	uint64_t made; /* the build that made it */
	uint64_t turn; /* the build that used it last */
};

int mt_conf_tokens_init(struct mt_conf_tokens *t)
{
	t->store = mt_jwks_store_new();
	return t->store ? 0 : -ENOMEM;
}

static void free_entry(struct mt_conf_tokens_entry *e)
{
	if (e)
		mt_token_rules_drop(e->rules);
	if (e)
		free(e->key);
	free(e);
}

void mt_conf_tokens_fini(struct mt_conf_tokens *t)
{
	struct mt_conf_tokens_entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&t->all, &pos, NULL)))
		free_entry(e);
	mt_strmap_fini(&t->all);
	mt_jwks_store_free(t->store);
}

void mt_conf_tokens_begin(struct mt_conf_tokens *t)
{
	t->turn++;
}

void mt_conf_tokens_end(struct mt_conf_tokens *t, bool failed)
{
	struct mt_conf_tokens_entry *e;
	uint32_t pos = 0;

	while ((e = mt_strmap_next(&t->all, &pos, NULL)))
		if (failed ? e->made == t->turn : e->turn != t->turn) {
			mt_strmap_del(&t->all, e->key);
			free_entry(e);
		}
}

/* ---- what is written -------------------------------------------------------------------------------- */

/* While they are copied from here. */
struct writing {
	struct mt_build *b;
	struct mt_token_rule rules[MT_TOKEN_RULES];
	struct mt_token_place *places;
	uint32_t n, n_places;
};

static const char *const *texts(struct mt_build *b, const struct mt_texts *l, uint32_t *n)
{
	const char **v = mt_region_alloc(&b->tmp, sizeof(*v) * (l->n + 2));

	for (uint32_t i = 0; v && i < l->n; i++)
		v[i] = l->v[i].s;
	*n = v ? l->n : 0;
	return v;
}

/* As Istio asks Envoy. */
static const char *const *spaced(struct mt_build *b, const struct mt_texts *l, uint32_t *n)
{
	const char **v = (const char **)texts(b, l, n);

	if (!v)
		return NULL;
	v[(*n)++] = "scope";
	v[(*n)++] = "permission";
	return v;
}

/* "a.b": b of a. */
static struct mt_slice path_of(struct mt_build *b, const char *claim)
{
	uint8_t *path = mt_region_alloc(&b->tmp, MT_CLAIMS_PATH);
	uint32_t len = 0;

	for (; path && claim; claim = strchr(claim, '.') ? strchr(claim, '.') + 1 : NULL) {
		uint32_t n = mt_claims_path(path, len, claim, (uint32_t)strcspn(claim, "."));

		if (!n)
			break;
		len = n;
	}
	return (struct mt_slice){path, len};
}

static struct mt_token_output *outputs(struct mt_build *b, const struct mt_jwt_rule *r)
{
	struct mt_token_output *v = mt_region_alloc(&b->tmp, sizeof(*v) * MT_MAX(r->n_outputs, 1u));

	for (uint32_t i = 0; v && i < r->n_outputs; i++)
		v[i] = (struct mt_token_output){
			r->outputs[i].header.s, path_of(b, r->outputs[i].claim.s)};
	return v;
}

static void place(struct writing *w, const char *key, const char *prefix)
{
	struct mt_token_place *p = NULL;

	prefix = prefix ? prefix : "";
	for (uint32_t i = 0; i < w->n_places && !p; i++)
		if (strcasecmp(w->places[i].key, key) == 0 &&
			strcasecmp(w->places[i].prefix, prefix) == 0)
			p = &w->places[i];
	if (!p) {
		p = mt_region_push(&w->b->tmp, (void **)&w->places, &w->n_places, sizeof(*p));
		if (!p)
			return;
		*p = (struct mt_token_place){key, prefix, 0};
	}
	p->rules |= UINT64_C(1) << w->n;
}

/* false: told, and it takes no token. */
static bool add_rule(struct writing *w, const struct mt_policy *p, const struct mt_jwt_rule *j)
{
	const struct mt_jwks_said said = {.ns = p->meta->ns,
		.text = j->jwks.s,
		.uri = j->jwks_uri.s,
		.issuer = j->issuer.s,
		.timeout_ms = j->timeout.set ? j->timeout.v : 0};
	struct mt_token_rule *to = &w->rules[w->n];
	struct mt_err e = {""};

	*to = (struct mt_token_rule){.issuer = j->issuer.s,
		.payload_to = j->payload_to.s,
		.n_outputs = j->n_outputs,
		.outputs = outputs(w->b, j),
		.forward = j->forward.v != 0,
		.keys = mt_jwks_store_get(w->b->conf->tokens.store, &said, &e)};
	to->by =
		mt_region_printf(&w->b->tmp, "%s %s/%s", p->meta->kind, p->meta->ns, p->meta->name);
	to->audiences = texts(w->b, &j->audiences, &to->n_audiences);
	to->spaced = spaced(w->b, &j->spaced, &to->n_spaced);
	if (!to->keys) {
		mt_b_error(w->b, p->meta, j->issuer.line, "spec.jwtRules", "write jwks or jwksUri",
			"the keys of \"%.64s\": %s", j->issuer.s, e.text);
		return false;
	}
	if (!j->n_headers && !j->params.n && !j->cookies.n)
		place(w, "authorization", "Bearer ");
	for (uint32_t k = 0; k < j->n_headers; k++)
		place(w, j->headers[k].name.s, j->headers[k].prefix.s);
	w->n++;
	return true;
}

static struct mt_token_rules *make(struct mt_build *b, struct mt_policy *const *v, uint32_t n)
{
	struct writing *w = mt_region_alloc(&b->tmp, sizeof(*w));
	struct mt_token_rules *rules = NULL;

	if (!w)
		return NULL;
	w->b = b;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < v[i]->of.tokens->n_rules; k++)
			(void)add_rule(w, v[i], &v[i]->of.tokens->rules[k]);
	if (!b->tmp.failed)
		rules = mt_token_rules_new(w->rules, w->n, w->places, w->n_places);
	for (uint32_t i = 0; i < w->n; i++)
		mt_jwks_source_drop(w->rules[i].keys);
	return rules;
}

/* ---- found again ------------------------------------------------------------------------------------ */

static char *key_of(struct mt_build *b, struct mt_policy *const *v, uint32_t n)
{
	size_t size = 24 * (size_t)n + 1, len = 0;
	char *key = mt_region_alloc(&b->tmp, size);

	for (uint32_t i = 0; key && i < n; i++)
		len += (size_t)snprintf(
			key + len, size - len, "%llu ", (unsigned long long)v[i]->meta->serial);
	return key;
}

static struct mt_token_rules *remember(
	struct mt_conf_tokens *t, const char *key, struct mt_token_rules *rules)
{
	struct mt_conf_tokens_entry *e = calloc(1, sizeof(*e));

	if (e)
		e->key = strdup(key);
	if (!e || !e->key || mt_strmap_put(&t->all, e->key, e, NULL)) {
		if (e)
			free(e->key);
		free(e);
		mt_token_rules_drop(rules);
		return NULL;
	}
	e->rules = rules;
	e->made = e->turn = t->turn;
	return rules;
}

uint32_t mt_b_tokens_count(struct mt_policy *const *v, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += v[i]->of.tokens->n_rules;
	return sum;
}

struct mt_token_rules *mt_b_tokens(struct mt_build *b, struct mt_policy *const *v, uint32_t n)
{
	struct mt_conf_tokens *t = &b->conf->tokens;
	char *key = key_of(b, v, n);
	struct mt_conf_tokens_entry *e = key ? mt_strmap_get(&t->all, key) : NULL;
	struct mt_token_rules *rules = e ? e->rules : NULL, **slot;

	if (e)
		e->turn = t->turn;
	else if (key && (rules = make(b, v, n)))
		rules = remember(t, key, rules);
	slot = rules ? mt_region_push(&b->snap->region, (void **)&b->snap->tokens,
			       &b->snap->n_tokens, sizeof(*slot))
		     : NULL;
	if (!slot) {
		b->tmp.failed = true;
		return NULL;
	}
	return *slot = mt_token_rules_hold(rules);
}
