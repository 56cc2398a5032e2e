/* SPDX-License-Identifier: Apache-2.0 */
/* An index of items by namespace and label, so that a selector is compared with few of them. */
#pragma once

#include "mt_idmap.h"
#include "mt_model.h"

struct mt_bag {
	void **v;
	uint32_t n;
};

/* Set `region`, which contains the bags and must outlive the index. */
struct mt_by_label {
	struct mt_idmap map; /* struct mt_bag, by a keyed hash of namespace and label */
	struct mt_region *region;
};

/* Adds an item under each of its labels. Without memory the region has failed. */
void mt_by_label_add(
	struct mt_by_label *x, const char *ns, const struct mt_labels *labels, void *thing);
/*
 * Returns the items that have the rarest label of `want`; the caller must compare the other labels.
 * No item if `want` is empty.
 */
const struct mt_bag *mt_by_label_find(
	const struct mt_by_label *x, const char *ns, const struct mt_labels *want);
void mt_by_label_fini(struct mt_by_label *x);

/* Work to match labels, in comparisons: 1 if there are usually many. */
uint64_t mt_work_of_match(const struct mt_labels *want, const struct mt_labels *have);
