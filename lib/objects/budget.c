/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits what a translation into the model costs, by owner. Objects times objects, or the lists of
 * one object that aliases repeat, would otherwise fill the memory of the model, so that the load
 * of everything fails, or keep the control thread busy for minutes.
 */
#include "mt_objects_priv.h"

#include "mt_share.h"

static bool begin(struct mt_budget *b, const char *owner)
{
	b->own = mt_share_account(&b->owners, b->region, owner, sizeof(*b->own));
	b->full = !b->own;
	b->work = 0;
	b->from = b->region->used;
	if (!b->own)
		return false;
	b->left.memory = mt_share_left(b->most.memory, b->used.memory, b->own->memory);
	b->left.work = mt_share_left(b->most.work, b->used.work, b->own->work);
	return true;
}

bool mt_budget_begin_row(struct mt_budget *b, const struct mt_object_row *row)
{
	return begin(b, mt_object_owner(row->o));
}

bool mt_budget_begin(struct mt_budget *b, const struct mt_meta *meta)
{
	const struct mt_object_row *row = mt_table_row(b->t, meta->serial);

	return row ? mt_budget_begin_row(b, row) : begin(b, meta->ns);
}

bool mt_budget_has(struct mt_budget *b, uint64_t work)
{
	b->work += work;
	b->full |= b->work > b->left.work || b->region->used - b->from >= b->left.memory;
	return !b->full;
}

bool mt_budget_end(struct mt_budget *b)
{
	uint64_t memory = b->region->used - b->from;

	b->used.memory += memory;
	b->used.work += b->work;
	if (!b->own)
		return false;
	b->own->memory += memory;
	b->own->work += b->work;
	return !b->full;
}

void mt_budget_fini(struct mt_budget *b)
{
	mt_strmap_fini(&b->owners);
}
