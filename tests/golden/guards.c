/* SPDX-License-Identifier: Apache-2.0 */
/* What policies contain: rules with their conditions, and the rules of tokens. */
#include "golden.h"

#include "mt_authz.h"
#include "mt_filter_priv.h"
#include "mt_jwks_store_priv.h"
#include "mt_token.h"

#include "local_ratelimit/limit.h"

#include <ctype.h>
#include <stdio.h>

#define TEXT(s) (int)(s).len, (const char *)(s).p

/* A claim's path has lengths in it. */
static const char *path_text(struct mt_slice path)
{
	static char text[512];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < path.len && len + 5 < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			isprint(path.p[i]) ? "%c" : "<%u>", path.p[i]);
	return text;
}

static void add_value(json_t *list, const char *sign, const struct mt_authz_value *v)
{
	char net[MT_ADDR_STRLEN];

	add_text(list, "%smatch %u/%u \"%.*s\" \"%.*s\" port %u net %s/%u", sign, v->match,
		v->sub_match, TEXT(v->text), TEXT(v->sub), v->port, mt_addr_str(&v->net, net),
		v->bits);
}

static json_t *conditions(const struct mt_authz_conds *all)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_authz_cond *c = &all->v[i];
		json_t *one = json_array();

		add_text(one, "field %u key \"%.*s\"%s claim \"%s\"", c->field, (int)c->key.len,
			c->key.name ? c->key.name : "", c->key.icase ? " in any case" : "",
			path_text(c->path));
		for (uint32_t k = 0; k < c->n_values; k++)
			add_value(one, "", &c->values[k]);
		for (uint32_t k = 0; k < c->n_nots; k++)
			add_value(one, "not ", &c->nots[k]);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *rule(const struct mt_authz_rule *r)
{
	json_t *one = json_object(), *from = json_array(), *to = json_array();

	for (uint32_t i = 0; i < r->n_from; i++)
		json_array_append_new(from, conditions(&r->from[i]));
	for (uint32_t i = 0; i < r->n_to; i++)
		json_array_append_new(to, conditions(&r->to[i]));
	put_json(one, "from", from);
	put_json(one, "to", to);
	put_json(one, "when", conditions(&r->when));
	return one;
}

static json_t *policy(const struct mt_authz_policy *p)
{
	json_t *one = json_object(), *rules = json_array();

	for (uint32_t i = 0; i < p->n_rules; i++)
		json_array_append_new(rules, rule(&p->rules[i]));
	put_text(one, "by", p->by);
	put_number(one, "action", p->action);
	put_true(one, "queries a provider", p->asks != NULL);
	put_json(one, "rules", rules);
	return one;
}

static json_t *token_rule(const struct mt_token_rule *r)
{
	json_t *one = json_object(), *texts = json_array();

	put_text(one, "by", r->by);
	put_text(one, "issuer", r->issuer);
	put_text(one, "keys", r->keys ? r->keys->name : NULL);
	put_text(one, "payload to", r->payload_to);
	put_true(one, "forwards", r->forward);
	for (uint32_t i = 0; i < r->n_audiences; i++)
		add_text(texts, "audience %s", r->audiences[i]);
	for (uint32_t i = 0; i < r->n_spaced; i++)
		add_text(texts, "list %s", r->spaced[i]);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		add_text(texts, "%s from %s", r->outputs[i].key, path_text(r->outputs[i].path));
	put_json(one, "texts", texts);
	return one;
}

static json_t *tokens(const struct mt_token_rules *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->n; i++)
		json_array_append_new(list, token_rule(&t->rules[i]));
	for (uint32_t i = 0; i < t->n_places; i++)
		add_text(list, "in %s after \"%s\"", t->places[i].key, t->places[i].prefix);
	for (uint32_t i = 0; i < t->n_sanitized; i++)
		add_text(list, "removes %s", t->sanitized[i]);
	return list;
}

json_t *golden_rules(const struct mt_authz *a)
{
	json_t *list = json_array();

	for (; a; a = a->also) {
		for (uint32_t i = 0; i < a->n_deny; i++)
			json_array_append_new(list, policy(a->deny[i]));
		for (uint32_t i = 0; i < a->n_allow; i++)
			json_array_append_new(list, policy(a->allow[i]));
		if (a->tokens)
			json_array_append_new(list, tokens(a->tokens->rules));
		if (a->limit) {
			const struct mt_limit *l = a->limit->conf;

			add_text(list, "limited by %u conditions%s", l->n,
				l->own ? " and a bucket" : "");
		}
	}
	return list;
}
