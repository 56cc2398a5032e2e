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

static struct mt_forward_used *used_by(struct mt_build *b, const char *ns)
{
	struct mt_forward_used *u = mt_strmap_get(&b->forward_owners, ns);

	if (u)
		return u;
	u = mt_region_alloc(&b->tmp, sizeof(*u));
	if (!u || mt_strmap_put(&b->forward_owners, ns, u, NULL)) {
		b->tmp.failed = true;
		return NULL;
	}
	return u;
}

bool mt_b_forward_take(struct mt_build *b, const char *ns, enum mt_forward_room room, uint64_t n)
{
	struct mt_forward_used *own = used_by(b, ns), *all = &b->forward_used;

	if (!own || mt_share_left(mt_conf_forward_room[room], all->v[room], own->v[room]) < n)
		return false;
	all->v[room] += n;
	own->v[room] += n;
	return true;
}
