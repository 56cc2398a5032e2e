/* SPDX-License-Identifier: Apache-2.0 */
/* idring.c, match.c: ids of calls, and which call a reply answers. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

/* idring.c */
/*
 * True if the connection has given this id to one of its calls; true for every id once its ids have
 * come round.
 */
bool mt_id_given(const struct mt_up *u, uint64_t id);
/* The connection's next id, without a slot of a ring. */
uint64_t mt_id_next(struct mt_up *u);
/* Bytes of a ring: its slots, and a bit for each that is busy. */
size_t mt_ring_size(uint32_t slots);
/* Takes a free slot for the attempt of this exchange. Returns the slot's id; 0: none is free. */
uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref exchange);
/* The slot whose whole id matches; NULL: none. */
struct mt_slot *mt_ring_find(struct mt_proxy *p, struct mt_up *u, uint64_t id);
void mt_ring_release(struct mt_up *u, struct mt_slot *slot);
/* The attempt ended before its reply: the id stays taken. */
void mt_ring_bury(struct mt_up *u, struct mt_slot *slot);

/* match.c: which call a reply answers */
enum mt_whose {
	MT_WHOSE_CALL, /* the call that holds the slot or the connection; its client may have left */
	MT_WHOSE_LATE,	 /* no call that waits: the reply is skipped */
	MT_WHOSE_CLIENT, /* an unanswered call of the client that the connection is bound to */
	MT_WHOSE_NONE,	 /* no call of this connection: the connection ends */
};

/*
 * Whether a server of serial connections echoes ids, as this connection has shown, or else its
 * group.
 */
static inline enum mt_ids mt_ids_known(const struct mt_up *u)
{
	return mt_likely(u->ids != MT_IDS_UNKNOWN) ? u->ids : u->lanes->ids;
}
/*
 * True if the call may take the connection. Where servers do not echo ids, a reply is matched by
 * its position, and a server may answer one-way calls, too. So one-way and other calls take
 * different connections there, and until the first reply has shown that the server echoes ids.
 */
static mt_inline bool mt_up_suits(const struct mt_up *u, const struct mt_exchange *ex)
{
	if (mt_likely(u->ids == MT_IDS_ECHOED))
		return true;
	return mt_ids_known(u) == MT_IDS_ECHOED || u->unanswered == ex->oneway;
}
/* A reply has shown it. If ids are echoed, calls that wait may take more connections. */
void mt_ids_learn(struct mt_proxy *p, struct mt_up *u, enum mt_ids ids);
/*
 * Finds the call that u->msg answers. *ex: its exchange, NULL if its client has left. Counts
 * replies that are skipped.
 */
enum mt_whose mt_match(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex);
/*
 * True if the reply u->msg, which has id 0, may answer the call that is out: the connection has
 * shown no other id, and no earlier call on it can still be answered.
 */
bool mt_match_by_position(const struct mt_up *u);
