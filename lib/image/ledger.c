/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger. Accounts, holders and their lists refer to each other by index; only the hash table
 * is built again.
 */
#include "mt_image.h"

#include <errno.h>

static void find_again(struct mt_image *im, void *holder, void *arg)
{
	struct mt_ledger *l = arg;
	uint32_t idx = mt_slab_idx(&l->holders, holder);

	if (im->loading &&
		mt_table_insert(&l->by_key, l->by_key.hash_of(l->by_key.arg, idx), idx) != 0)
		mt_image_fail(im, -ENOMEM, "there is no space for the holders of memory");
}

void mt_image_ledger(struct mt_image *im, struct mt_ledger *l)
{
	mt_image_section(im, "ledger");
	for (int c = 0; c < MT_N_CLASSES; c++) {
		uint64_t share = l->classes[c].share;

		/* Shares depend on the pools, which are those of this worker. */
		MT_IMAGE(im, l->classes[c]);
		l->classes[c].share = share;
	}
	MT_IMAGE(im, l->key);
	MT_IMAGE(im, l->pressed);
	MT_IMAGE(im, l->wide);
	MT_IMAGE(im, l->again);
	MT_IMAGE(im, l->crowded);
	MT_IMAGE(im, l->crowd_at);
	mt_image_slab(im, &l->accounts, NULL, NULL);
	mt_image_slab(im, &l->places, NULL, NULL);
	mt_image_slab(im, &l->holders, NULL, NULL);
	mt_image_again(im, &l->holders, find_again, l);
}
