/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the subsets of a DestinationRule that an endpoint may be in, without a comparison of each
 * subset with each endpoint. A subset is found by the rarest of its labels among the subsets of the
 * rule, so the number is an upper bound: the exact one if each subset has one label.
 */
#include "mt_conf_priv.h"

#include "mt_secret_hash.h"

/* An endpoint with more labels may be in all subsets: looking for each label would take longer. */
#define LABELS_MOST 64

/* The subsets of one rule. */
struct of_rule {
	uint32_t n_all; /* without labels: each endpoint is in them */
};

/* One label in the subsets of one rule. */
struct of_label {
	uint32_t n;	 /* subsets that have it */
	uint32_t chosen; /* of these: it is their rarest */
};

static uint64_t id_of(const struct mt_destination_rule *dr, const struct mt_kv *kv)
{
	uint64_t h = mt_secret_hash(&dr, sizeof(dr), kv != NULL);

	if (kv)
		h = mt_secret_hash_text(kv->value, mt_secret_hash_text(kv->key, h));
	return h ? h : 1;
}

/* What belongs to the id: `size` bytes, zero at first. NULL: no memory. */
static void *slot_of(struct mt_build *b, uint64_t id, size_t size)
{
	void *slot = mt_idmap_get(&b->work.subsets, id);

	if (slot)
		return slot;
	slot = mt_region_alloc(&b->tmp, size);
	if (!slot || mt_idmap_put(&b->work.subsets, id, slot)) {
		b->tmp.failed = true;
		return NULL;
	}
	return slot;
}

static struct of_label *label_of(
	struct mt_build *b, const struct mt_destination_rule *dr, const struct mt_kv *kv)
{
	return slot_of(b, id_of(dr, kv), sizeof(struct of_label));
}

/* Counts the subset at its rarest label. */
static void choose(struct mt_build *b, const struct mt_destination_rule *dr,
	const struct mt_labels *labels, struct of_rule *r)
{
	struct of_label *rarest = NULL;

	for (uint32_t i = 0; i < labels->n_kv; i++) {
		struct of_label *l = label_of(b, dr, &labels->kv[i]);

		if (l && (!rarest || l->n < rarest->n))
			rarest = l;
	}
	if (rarest)
		rarest->chosen++;
	else
		r->n_all++;
}

static struct of_rule *index_rule(struct mt_build *b, const struct mt_destination_rule *dr)
{
	struct of_rule *r = slot_of(b, id_of(dr, NULL), sizeof(*r));

	for (uint32_t i = 0; r && i < dr->n_subsets; i++)
		for (uint32_t k = 0; k < dr->subsets[i].labels.n_kv; k++) {
			struct of_label *l = label_of(b, dr, &dr->subsets[i].labels.kv[k]);

			if (l)
				l->n++;
		}
	for (uint32_t i = 0; r && i < dr->n_subsets; i++)
		choose(b, dr, &dr->subsets[i].labels, r);
	return r;
}

uint32_t mt_b_subsets_of(
	struct mt_build *b, const struct mt_destination_rule *dr, const struct mt_labels *labels)
{
	const struct of_rule *r = mt_idmap_get(&b->work.subsets, id_of(dr, NULL));
	uint32_t n;

	if (labels->n_kv > LABELS_MOST)
		return dr->n_subsets;
	if (!r)
		r = index_rule(b, dr);
	n = r ? r->n_all : 0;
	for (uint32_t i = 0; r && i < labels->n_kv; i++) {
		const struct of_label *l =
			mt_idmap_get(&b->work.subsets, id_of(dr, &labels->kv[i]));

		n += l ? l->chosen : 0;
	}
	return n;
}
