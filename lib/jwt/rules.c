/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_region.h"
#include "mt_token.h"

#include <stdlib.h>
#include <string.h>

static uint64_t last_id;

static const char *const *copy_texts(struct mt_region *m, const char *const *from, uint32_t n)
{
	const char **to = mt_region_alloc(m, sizeof(*to) * MT_MAX(n, 1u));

	for (uint32_t i = 0; to && i < n; i++)
		to[i] = mt_region_strdup(m, from[i]);
	return to;
}

static struct mt_token_output *copy_outputs(
	struct mt_region *m, const struct mt_token_output *from, uint32_t n)
{
	struct mt_token_output *to = mt_region_alloc(m, sizeof(*to) * MT_MAX(n, 1u));

	for (uint32_t i = 0; to && i < n; i++) {
		uint8_t *path = mt_region_alloc(m, MT_MAX(from[i].path.len, 1u));

		if (path)
			memcpy(path, from[i].path.p, from[i].path.len);
		to[i].key = mt_region_strdup(m, from[i].key);
		to[i].path = (struct mt_slice){path, from[i].path.len};
	}
	return to;
}

static void copy_rule(
	struct mt_region *m, struct mt_token_rule *to, const struct mt_token_rule *from)
{
	*to = *from;
	to->by = mt_region_strdup(m, from->by);
	to->issuer = mt_region_strdup(m, from->issuer);
	to->audiences = copy_texts(m, from->audiences, from->n_audiences);
	to->spaced = copy_texts(m, from->spaced, from->n_spaced);
	to->payload_to = from->payload_to ? mt_region_strdup(m, from->payload_to) : NULL;
	to->outputs = copy_outputs(m, from->outputs, from->n_outputs);
	mt_jwks_source_hold(to->keys);
}

static void sanitize(struct mt_token_rules *r, const char *key)
{
	const char **slot;

	for (uint32_t i = 0; i < r->n_sanitized; i++)
		if (strcasecmp(r->sanitized[i], key) == 0)
			return;
	slot = mt_region_push(r->mem, (void **)&r->sanitized, &r->n_sanitized, sizeof(*slot));
	if (slot)
		*slot = key;
}

static void copy(struct mt_token_rules *r, const struct mt_token_rule *rules, uint32_t n,
	const struct mt_token_place *places, uint32_t n_places)
{
	r->rules = mt_region_alloc(r->mem, sizeof(*r->rules) * MT_MAX(n, 1u));
	r->places = mt_region_alloc(r->mem, sizeof(*r->places) * MT_MAX(n_places, 1u));
	for (; r->rules && r->n < n; r->n++) {
		struct mt_token_rule *to = &r->rules[r->n];

		copy_rule(r->mem, to, &rules[r->n]);
		if (to->payload_to)
			sanitize(r, to->payload_to);
		for (uint32_t k = 0; to->outputs && k < to->n_outputs; k++)
			if (to->outputs[k].key)
				sanitize(r, to->outputs[k].key);
	}
	for (; r->places && r->n_places < n_places; r->n_places++) {
		struct mt_token_place *to = &r->places[r->n_places];

		to->key = mt_region_strdup(r->mem, places[r->n_places].key);
		to->prefix = mt_region_strdup(r->mem, places[r->n_places].prefix);
		to->rules = places[r->n_places].rules;
	}
}

struct mt_token_rules *mt_token_rules_new(const struct mt_token_rule *rules, uint32_t n,
	const struct mt_token_place *places, uint32_t n_places)
{
	struct mt_token_rules *r = calloc(1, sizeof(*r));
	struct mt_region *m = r ? calloc(1, sizeof(*m)) : NULL;

	if (!m) {
		free(r);
		return NULL;
	}
	mt_region_init(m, 0);
	r->refs = 1;
	r->mem = m;
	r->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
	MT_ASSERT(n <= MT_TOKEN_RULES);
	copy(r, rules, n, places, n_places);
	if (!m->failed)
		return r;
	mt_token_rules_drop(r);
	return NULL;
}

struct mt_token_rules *mt_token_rules_hold(struct mt_token_rules *r)
{
	__atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void mt_token_rules_drop(struct mt_token_rules *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint32_t i = 0; i < r->n; i++)
		mt_jwks_source_drop(r->rules[i].keys);
	mt_region_fini(r->mem);
	free(r->mem);
	free(r);
}
