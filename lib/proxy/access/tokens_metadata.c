/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens in metadata: finds and removes them, and adds metadata with their claims. */
#include "access/mt_access_priv.h"

#include <string.h>

/* ---- search ---------------------------------------------------------------------------------------- */

static void found(struct mt_tokens_found *f, uint64_t rules, struct mt_slice t, char *token)
{
	if (t.len > MT_TOKEN_MAX) {
		f->too_long = true;
		return;
	}
	/*
	 * The same token in two places counts once; only rules that read both places may accept it.
	 */
	if (f->n && (t.len != f->len || memcmp(t.p, token, t.len) != 0)) {
		f->n = 2;
		return;
	}
	f->allowed = f->n ? f->allowed & rules : rules;
	f->n = MT_MAX(f->n, 1u);
	f->len = t.len;
	if (t.len)
		memcpy(token, t.p, t.len);
}

static bool find_at(const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	uint32_t place, char *token, struct mt_tokens_found *f)
{
	const struct mt_token_place *at = &t->rules->places[place];

	for (uint32_t pos = 0; pos != MT_AUTHZ_LAST;) {
		struct mt_slice v = {0}, one;

		f->read = mt_authorize_metadata(ask, &t->places[place], &pos, &v);
		if (f->read != MT_AUTHZ_READ)
			return false;
		if (!v.p)
			return true;
		if (mt_token_in(at->prefix, v, &one))
			found(f, at->rules, one, token);
	}
	return true;
}

void mt_tokens_find(const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	char *token, struct mt_tokens_found *f)
{
	*f = (struct mt_tokens_found){.read = MT_AUTHZ_READ};
	for (uint32_t i = 0; i < t->rules->n_places; i++)
		if (!find_at(ask, t, i, token, f))
			return;
}

const char *mt_tokens_explain(const struct mt_authorize_request *ask,
	const struct mt_authz_tokens *t, int64_t now_s, const struct mt_claims **claims)
{
	static char token[MT_TOKEN_MAX];
	static struct mt_token_result r;
	struct mt_tokens_found f;

	*claims = NULL;
	mt_tokens_find(ask, t, token, &f);
	if (f.read != MT_AUTHZ_READ)
		return "its metadata cannot be read, where a token may be";
	if (f.too_long || f.n > 1)
		return mt_token_words(f.too_long ? MT_TOKEN_too_long : MT_TOKEN_several);
	if (!f.n)
		return NULL;
	mt_token_verify(t->rules, f.allowed, token, f.len, now_s, &r);
	if (r.outcome != MT_TOKEN_valid)
		return mt_token_words(r.outcome);
	*claims = &r.claims;
	return NULL;
}

/* ---- changes --------------------------------------------------------------------------------------- */

/* Copies a text; the copy is valid until the view shows another call. NULL: no room. */
static char *keep(struct mt_proxy *p, const void *text, uint32_t len)
{
	char *to = p->filters.text + p->filters.text_used;

	if (len > UINT16_MAX || len > sizeof(p->filters.text) - p->filters.text_used)
		return NULL;
	memcpy(to, text, len);
	p->filters.text_used += len;
	return to;
}

/* Sets a key in the view. `value` NULL: removes the key with all its duplicates. */
static bool change(struct mt_proxy *p, const void *key, uint32_t key_len, const void *value,
	uint32_t value_len)
{
	struct mt_mutation m = {.key = keep(p, key, key_len),
		.key_len = (uint16_t)key_len,
		.value_len = (uint16_t)value_len};

	if (value)
		m.value = keep(p, value, value_len);
	return m.key && (m.value || !value) && mt_filter_change(&p->filters, &p->view, &m);
}

static bool is_named(const struct mt_key *key, const void *name, uint32_t len)
{
	return len == key->len && strncasecmp(name, key->name, len) == 0;
}

/* True if the message of a codec file has the key at a place of its own, which is not changed. */
static bool has_at_place(struct mt_proxy *p, const struct mt_key *key)
{
	const struct mt_codec *codec = p->view.codec;
	uint8_t *scratch = p->authorize_scratch.value;
	struct mt_slice value;

	for (uint32_t i = 0; codec->content && codec->keys && codec->keys[i]; i++) {
		const char *name = codec->keys[i];
		struct mt_key k;

		if (!is_named(key, name, (uint32_t)strlen(name)))
			continue;
		k = mt_key_make(codec, name);
		k.id = (int16_t)i;
		if (codec->metadata.leading(codec, p->view.msg, p->view.chain, &k, &value, scratch))
			return true;
	}
	return false;
}

/* Removes the key from changes and entries. */
static bool strip(struct mt_proxy *p, const struct mt_key *key)
{
	struct mt_view *v = &p->view;
	uint32_t n = v->n_mutations;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_mutation *m = &v->mutations[i];

		if (m->value && is_named(key, m->key, m->key_len) &&
			!change(p, m->key, m->key_len, NULL, 0))
			return false;
	}
	if (mt_authorize_unreadable(v))
		return false;
	if (v->meta.state != MT_META_READ)
		return true;
	for (uint32_t i = 0; (i = mt_meta_next(&v->meta, key, i)) != UINT32_MAX; i++)
		if (!change(p, v->meta.entry[i].key, v->meta.entry[i].key_len, NULL, 0))
			return false;
	return true;
}

bool mt_metadata_strip(struct mt_proxy *p, const struct mt_key *key)
{
	return !has_at_place(p, key) && !mt_authorize_lacks(&p->view, key) &&
	       !mt_authz_is_elsewhere(p->view.codec, key) && strip(p, key);
}

bool mt_tokens_sanitize(struct mt_proxy *p, const struct mt_authz_tokens *t)
{
	for (uint32_t i = 0; i < t->rules->n_sanitized; i++)
		if (!mt_metadata_strip(p, &t->sanitized[i]))
			return false;
	return true;
}

/* Adds a claim as metadata. A claim with several values is not added, as in Envoy. */
static bool output(
	struct mt_proxy *p, const struct mt_token_output *o, const struct mt_claims *claims)
{
	struct mt_claims_at at = {0};
	struct mt_claim c, other;

	if (!mt_claims_find(claims, o->path, &at, &c) || !c.value.len ||
		mt_claims_find(claims, o->path, &at, &other))
		return true;
	return change(p, o->key, (uint32_t)strlen(o->key), c.value.p, c.value.len);
}

/* Adds the token's payload (its second part), still encoded. */
static bool payload(struct mt_proxy *p, const char *key, uint32_t len)
{
	const char *t = p->tokens.token, *end = t + len, *from = memchr(t, '.', len),
		   *to = from ? memchr(from + 1, '.', (size_t)(end - from - 1)) : NULL;

	return to && change(p, key, (uint32_t)strlen(key), from + 1, (uint32_t)(to - from - 1));
}

bool mt_tokens_adorn(struct mt_proxy *p, const struct mt_authz_tokens *t, uint32_t rule,
	const struct mt_claims *claims, uint32_t len)
{
	const struct mt_token_rule *r = &t->rules->rules[rule];
	/*
	 * If the protocol's metadata cannot be changed, the server gets the token; a warning about
	 * the policy reports this.
	 */
	bool strips = !r->forward && p->view.codec->rewrite.mutate, ok = mt_tokens_sanitize(p, t);

	for (uint32_t i = 0; strips && ok && i < t->rules->n_places; i++)
		if (t->rules->places[i].rules >> rule & 1)
			ok = strip(p, &t->places[i]);
	if (ok && r->payload_to)
		ok = payload(p, r->payload_to, len);
	for (uint32_t i = 0; ok && i < r->n_outputs; i++)
		ok = output(p, &r->outputs[i], claims);
	return ok;
}
