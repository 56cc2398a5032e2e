/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a load that all forwarded ports share: the last quarter is for namespaces of services
 * that have less than a quarter.
 */
#include "mt_conf_forward_priv.h"

#include "mt_conf_numbers_priv.h"
#include "mt_share.h"

/* One namespace may have three quarters: 262,144 ranges (8 MB) and 4,194,304 endpoints. */
uint64_t mt_conf_forward_room[MT_FORWARD_ROOMS] = {
	[MT_FORWARD_RANGES] = (1u << 20) / 3,
	[MT_FORWARD_MEMBERS] = (1u << 24) / 3,
};

bool mt_b_forward_take(struct mt_build *b, const char *ns, enum mt_forward_room room, uint64_t n)
{
	struct mt_forward_used *all = &b->forward_used;
	struct mt_forward_used *own =
		mt_share_account(&b->forward_owners, &b->tmp, ns, sizeof(*own));

	if (!own || mt_share_left(mt_conf_forward_room[room], all->v[room], own->v[room]) < n)
		return false;
	all->v[room] += n;
	own->v[room] += n;
	return true;
}
