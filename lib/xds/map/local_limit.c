/* SPDX-License-Identifier: Apache-2.0 */
/* Maps local rate limits, which the node counts by itself: of calls, and of connections. */
#include "mt_xds_map_priv.h"

#define FILL_MIN_MS    50u
#define CONDITIONS_MAX 1000u

static struct mt_bucket_conf *bucket(
	struct mt_xmap *m, const char *field, const Xds__TokenBucket *t)
{
	struct mt_bucket_conf *b = mt_xm_alloc(m, sizeof(*b));
	uint32_t mark = mt_xm_in(m, field);

	if (!b)
		return NULL;
	b->origin.file = m->out->meta->origin.file;
	b->max_tokens = (struct mt_num){.v = t->max_tokens, .set = true};
	b->tokens_per_fill = (struct mt_num){.v = 1, .set = t->tokens_per_fill != NULL};
	b->fill_ms.set = true;
	if (t->max_tokens < 1 || t->max_tokens > INT32_MAX) {
		mt_xm_bad(m, "max_tokens", "%u is not within 1 and %d", t->max_tokens, INT32_MAX);
		return NULL;
	}
	if (!t->fill_interval) {
		mt_xm_bad(m, "fill_interval", "missing");
		return NULL;
	}
	if (!mt_xm_u32(m, "tokens_per_fill", t->tokens_per_fill, 1, INT32_MAX,
		    &b->tokens_per_fill.v) ||
		!mt_xm_ms(m, "fill_interval", t->fill_interval, FILL_MIN_MS, &b->fill_ms.v))
		return NULL;
	mt_xm_out(m, mark);
	return b;
}

/* ---- Aeraki's filter ------------------------------------------------------------------------- */

static bool condition(
	struct mt_xmap *m, const Xds__MetaLocalRateLimit__Condition *c, struct mt_limit_cond *out)
{
	out->origin.file = m->out->meta->origin.file;
	out->match = mt_xm_alloc(m, sizeof(*out->match));
	if (!out->match)
		return false;
	if (!c->match)
		return mt_xm_bad(m, "match", "missing");
	if (!c->token_bucket)
		return mt_xm_bad(m, "token_bucket", "missing");
	if (!mt_xm_headers(
		    m, "match.metadata", c->match->metadata, c->match->n_metadata, out->match))
		return false;
	out->bucket = bucket(m, "token_bucket", c->token_bucket);
	return out->bucket != NULL;
}

bool mt_xm_limit(struct mt_xmap *m, const Xds__MetaLocalRateLimit *l, struct mt_limit_conf **out)
{
	struct mt_limit_conf *to = mt_xm_alloc(m, sizeof(*to));

	if (!to)
		return false;
	if (*out)
		return mt_xm_bad(m, NULL, "a second local rate limit");
	to->origin.file = m->out->meta->origin.file;
	if (!l->token_bucket && !l->n_conditions)
		return mt_xm_bad(m, NULL, "neither token_bucket nor conditions");
	if (l->n_conditions > CONDITIONS_MAX)
		return mt_xm_bad(m, "conditions", "more than %u", CONDITIONS_MAX);
	if (l->token_bucket) {
		to->bucket = bucket(m, "token_bucket", l->token_bucket);
		if (!to->bucket)
			return false;
	}
	to->conds = mt_xm_array(m, l->n_conditions, sizeof(*to->conds));
	if (!to->conds)
		return false;
	for (size_t i = 0; i < l->n_conditions; i++) {
		uint32_t mark = mt_xm_at(m, "conditions", i);

		if (!condition(m, l->conditions[i], &to->conds[to->n_conds++]))
			return false;
		mt_xm_out(m, mark);
	}
	*out = to;
	return true;
}

/* ---- Envoy's network filter ------------------------------------------------------------------ */

/*
 * As in Envoy, filters with the same key and the same bucket have one bucket. It is not of a
 * service, and its numbers are a part of its name.
 */
static bool share(struct mt_xmap *m, const char *key, struct mt_limit_conf *to)
{
	const struct mt_bucket_conf *b = to->bucket;
	struct mt_text words = {0};

	if (!*key)
		return true;
	if (!mt_xm_words(m, "share_key", key, MT_XM_NAME_MAX, &words))
		return false;
	to->shared = mt_region_printf(m->r, MT_LIMIT_SHARED "%s", words.s);
	to->label = mt_region_printf(m->r, "%u tokens, %u per %u ms", b->max_tokens.v,
		b->tokens_per_fill.v, b->fill_ms.v);
	return (to->shared && to->label) || mt_xm_no_memory(m);
}

bool mt_xm_network_local(
	struct mt_xmap *m, const Xds__NetworkLocalRateLimit *l, struct mt_limit_conf **out)
{
	const Xds__RuntimeFeatureFlag *enabled = l->runtime_enabled;
	struct mt_limit_conf *to = mt_xm_alloc(m, sizeof(*to));

	if (!to)
		return false;
	if (*out)
		return mt_xm_bad(m, NULL, "a second local rate limit");
	to->origin.file = m->out->meta->origin.file;
	if (!l->token_bucket)
		return mt_xm_bad(m, "token_bucket", "missing");
	to->bucket = bucket(m, "token_bucket", l->token_bucket);
	if (!to->bucket || !share(m, l->share_key, to))
		return false;
	if (enabled && !enabled->default_value)
		return mt_xm_bad(m, "runtime_enabled.default_value", "missing");
	if (!enabled || enabled->default_value->value)
		*out = to;
	return true;
}

bool mt_xm_label_limit(struct mt_xmap *m, const char *listener, size_t at, struct mt_limit_conf *l)
{
	if (!l || l->label)
		return true;
	if (at == MT_XM_FALLBACK)
		l->label = mt_region_printf(m->r, "listener %s, default_filter_chain", listener);
	else if (at)
		l->label = mt_region_printf(m->r, "listener %s, filter_chains[%zu]", listener, at);
	else
		l->label = mt_region_printf(m->r, "listener %s", listener);
	return l->label || mt_xm_no_memory(m);
}
