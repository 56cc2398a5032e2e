/* SPDX-License-Identifier: Apache-2.0 */
/* former.c: lane groups of former codecs. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

/*
 * Puts the group into mt_proxy.former if no protocol of the worker's snapshot has its codec;
 * removes it from this list if one has. Call for a new group, and for each group in a new snapshot.
 */
void mt_former_look(struct mt_proxy *p, struct mt_lanes *ln);
/* Drains groups of mt_proxy.former that no call has used lately. Returns the cost, in objects. */
uint32_t mt_former_turn(struct mt_proxy *p);
/* Time of the next mt_former_turn(); mt_proxy.former must not be empty. */
uint64_t mt_former_next(struct mt_proxy *p);

/* Removes the group from mt_proxy.former, if it is there. */
static inline void mt_former_forget(struct mt_lanes *ln)
{
	ln->former = false;
	mt_list_del(&ln->former_node);
}

/* Notes that a call uses the group. */
static inline void mt_former_used(struct mt_proxy *p, struct mt_lanes *ln)
{
	if (mt_likely(!ln->former))
		return;
	ln->used = p->now;
	mt_list_del(&ln->former_node);
	mt_list_add_tail(&p->former, &ln->former_node);
}
