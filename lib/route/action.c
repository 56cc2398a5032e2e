/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions: the builder's copies, so that a table outlives the documents from which it was made, and
 * the weighted choice.
 */
#include "mt_route_priv.h"

#include <errno.h>

/* Keys and values are bytes with lengths, not strings. A NULL value means "remove". */
static struct mt_mutation *copy_mutations(
	struct mt_arena *a, const struct mt_mutation *from, uint32_t n, bool *ok)
{
	struct mt_mutation *to = mt_arena_dup(a, from, sizeof(*from) * n);

	if (!to) {
		*ok = false;
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++) {
		to[i].key = mt_arena_dup(a, from[i].key, from[i].key_len);
		if (from[i].value)
			to[i].value = mt_arena_dup(a, from[i].value, from[i].value_len);
		if (!to[i].key || (from[i].value && !to[i].value))
			*ok = false;
	}
	return to;
}

static struct mt_key *copy_keys(struct mt_arena *a, const struct mt_key *from, uint32_t n, bool *ok)
{
	struct mt_key *to = mt_arena_dup(a, from, sizeof(*from) * n);

	for (uint32_t i = 0; to && i < n; i++)
		to[i].name = mt_arena_str(a, from[i].name, ok);
	*ok &= to != NULL;
	return to;
}

static const char **copy_texts(struct mt_arena *a, const char *const *from, uint32_t n, bool *ok)
{
	const char **to = mt_arena_dup(a, from, sizeof(*from) * n);

	for (uint32_t i = 0; to && i < n; i++)
		to[i] = mt_arena_str(a, from[i], ok);
	*ok &= to != NULL || !n;
	return to;
}

int mt_action_copy(
	struct mt_arena *a, const struct mt_route_action *from, struct mt_route_action *to)
{
	bool ok = true;

	*to = *from;
	to->name = mt_arena_str(a, from->name, &ok);
	to->file = mt_arena_str(a, from->file, &ok);
	to->dests = mt_arena_dup(a, from->dests, sizeof(*from->dests) * from->n_dests);
	to->idle = copy_texts(a, from->idle, from->n_idle, &ok);
	to->req_mut = copy_mutations(a, from->req_mut, from->n_req_mut, &ok);
	to->mirrors = mt_arena_dup(a, from->mirrors, sizeof(*from->mirrors) * from->n_mirrors);
	to->rsp_mut = copy_mutations(a, from->rsp_mut, from->n_rsp_mut, &ok);
	to->retry = from->retry ? mt_arena_dup(a, from->retry, sizeof(*from->retry)) : NULL;
	to->retries = to->retry != NULL;
	ok &= to->retry || !from->retry;
	to->hash.keys = copy_keys(a, from->hash.keys, from->hash.n_keys, &ok);
	/*
	 * Computed here once, because the configured total may differ from the sum of the weights.
	 */
	to->total_weight = 0;
	for (uint32_t i = 0; i < from->n_dests; i++)
		to->total_weight += from->dests[i].weight;
	return ok && to->dests && (to->mirrors || !to->n_mirrors) ? 0 : -ENOMEM;
}

uint32_t mt_route_pick(const struct mt_route_action *a, uint64_t rnd)
{
	uint64_t at;

	if (mt_unlikely(a->n_dests == 0))
		return MT_ROUTE_NO_CLUSTER;
	if (a->n_dests == 1 || a->total_weight == 0)
		return a->dests[0].cluster;
	/* rnd belongs to the exchange, so a retry chooses the same destination. */
	at = rnd % a->total_weight;
	for (uint32_t i = 0; i < a->n_dests; i++) {
		if (at < a->dests[i].weight)
			return a->dests[i].cluster;
		at -= a->dests[i].weight;
	}
	return a->dests[a->n_dests - 1].cluster;
}
