/* SPDX-License-Identifier: Apache-2.0 */
/* idring.c, match.c: ids of calls, and which call a reply answers. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

/* idring.c */
/*
 * True if the connection has given this id to a call, or skipped it; true for every valid id once
 * the connection's ids have come round.
 */
bool mt_id_given(const struct mt_up *u, uint64_t id);
/* Takes the connection's next id, without a slot in the id ring. */
uint64_t mt_id_next(struct mt_up *u);
/* Bytes of an id ring: the slots, and a bit for each slot. */
size_t mt_ring_size(uint32_t slots);
/* Takes a free slot for the exchange's attempt. Returns the id of the call; 0: none is free. */
uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref exchange);
/* The slot whose whole id matches; NULL: none. */
struct mt_slot *mt_ring_find(struct mt_proxy *p, struct mt_up *u, uint64_t id);
void mt_ring_release(struct mt_up *u, struct mt_slot *slot);
/* The attempt ended before its reply: its slot stays busy, as a tombstone. */
void mt_ring_bury(struct mt_up *u, struct mt_slot *slot);

/* match.c: which call a reply answers */
enum mt_whose {
	MT_WHOSE_CALL,	 /* the call of the slot or the connection; it may have ended */
	MT_WHOSE_LATE,	 /* no call waits for the reply, which is skipped */
	MT_WHOSE_CLIENT, /* an unanswered call of the client that the connection is bound to */
	MT_WHOSE_NONE,	 /* no call of this connection, which therefore ends */
};

/*
 * Returns whether the server echoes ids, as replies on this connection have shown; before the first
 * reply, as replies on the group's other connections have.
 */
static inline enum mt_ids mt_ids_known(const struct mt_up *u)
{
	return mt_likely(u->ids != MT_IDS_UNKNOWN) ? u->ids : u->lanes->ids;
}
/*
 * True if the call may take the connection. If a server does not echo ids, a reply is matched by
 * its position, and the server may answer one-way calls, too. So one-way calls and others take
 * different connections, until a reply has shown that the server echoes ids.
 */
static mt_inline bool mt_up_suits(const struct mt_up *u, const struct mt_exchange *ex)
{
	if (mt_likely(u->ids == MT_IDS_ECHOED))
		return true;
	return mt_ids_known(u) == MT_IDS_ECHOED || u->unanswered == ex->oneway;
}
/* Notes whether a reply echoes ids. If so, waiting calls may take more connections. */
void mt_ids_learn(struct mt_proxy *p, struct mt_up *u, enum mt_ids ids);
/*
 * Finds the call that u->msg answers. *ex: its exchange; NULL if the call has ended, or none is
 * found. Counts replies that are skipped.
 */
enum mt_whose mt_match(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex);
/*
 * True if the reply u->msg has id 0 and may answer the outstanding call: no reply on the connection
 * echoed an id, and no one-way call was sent on it, to which this reply may belong.
 */
bool mt_match_by_position(const struct mt_up *u);
