/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which call a reply answers.
 * 1. Every call is sent with an id that its connection has chosen. A reply with the id of an
 *    outstanding call answers this call.
 * 2. A reply with another id that the connection has given out is late and is skipped, because no
 *    call waits for it any more.
 * 3. A reply with an id that the connection never gave out answers no call. Where the protocol
 *    tells replies apart by their ids (SHARED, WIDE, BULK) it is skipped. The connection drains
 *    after UNKNOWN_MAX such replies with ids that calls can have, but not for other ids, such as 0,
 *    which servers give to messages that are not replies, and to errors of calls that they could
 *    not read. A SERIAL connection ends, because its replies cannot be trusted, and its call gets
 *    the native error.
 * 4. Some servers answer every call with id 0. A SERIAL connection learns this from its first
 *    reply. On such a connection a reply answers the outstanding call if both have the same method,
 *    and no earlier call of the connection can still be answered.
 * 5. In protocols without ids of Meltemi's (codec files with calls: serial) messages keep the ids
 *    of their clients, if they have any. A reply answers the outstanding call as in 4., but need
 *    not name a method; if it has an id, that must be the call's. A reply on a connection for
 *    one-way calls answers one of these and is skipped.
 */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

/*
 * A connection takes no further call after this number of replies with ids that calls can have, but
 * that it never gave out.
 */
#define UNKNOWN_MAX 16

static void count_late(struct mt_proxy *p)
{
	mt_count(p->counters, MT_PROXY_up_late_reply);
}

/* True if calls to servers can have the id. */
static bool is_of_calls(const struct mt_codec *codec, uint64_t id)
{
	return id >= codec->id_min && id <= codec->id_max;
}

/*
 * Skips the reply, because the protocol tells replies apart by their ids. Called in the decode
 * loop, whose end closes a drained connection.
 */
static mt_noinline enum mt_whose skip(struct mt_proxy *p, struct mt_up *u)
{
	if (mt_id_given(u, u->msg.id)) {
		count_late(p);
		return MT_WHOSE_LATE;
	}
	mt_count(p->counters, MT_PROXY_up_unknown_reply);
	if (is_of_calls(u->lanes->codec, u->msg.id) && ++u->n_unknown == UNKNOWN_MAX)
		mt_up_becomes(u, MT_UP_DRAINING);
	return MT_WHOSE_LATE;
}

mt_noinline void mt_ids_learn(struct mt_proxy *p, struct mt_up *u, enum mt_ids ids)
{
	u->ids = u->lanes->ids = ids;
	if (ids == MT_IDS_ECHOED)
		mt_lane_hungry(p, u->lanes);
}

static enum mt_whose match_shared(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex)
{
	struct mt_slot *slot = mt_ring_find(p, u, u->msg.id);

	if (mt_unlikely(!slot))
		return skip(p, u);
	*ex = mt_pool_exchange(p, slot->exchange);
	/* The slot of an earlier attempt was cleared when that attempt ended. */
	MT_ASSERT(!*ex || mt_ref_eq((*ex)->attempt.up, u->self));
	if (mt_unlikely(!*ex))
		count_late(p);
	return MT_WHOSE_CALL;
}

bool mt_match_by_position(const struct mt_up *u)
{
	return u->msg.id == 0 && u->ids != MT_IDS_ECHOED && !u->unanswered;
}

/* Matches a reply in a protocol without ids of Meltemi's. */
static mt_noinline enum mt_whose match_without_ids(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_exchange *ex = mt_pool_exchange(p, u->exchange);
	uint64_t method;

	/* Other calls do not use this connection (mt_up_suits()). */
	if (u->unanswered) {
		count_late(p);
		return MT_WHOSE_LATE;
	}
	if (!u->out_id)
		return MT_WHOSE_NONE;
	method = mt_method_of_reply(p, u);
	if ((method && method != u->out_method) || (ex && u->msg.id && u->msg.id != ex->seed.id))
		return MT_WHOSE_NONE;
	if (!mt_attempt_of(p, u->exchange))
		mt_up_becomes(u, MT_UP_DRAINING);
	return MT_WHOSE_CALL;
}

/* Matches a reply that does not have the id of the outstanding call. */
static mt_noinline enum mt_whose match_other(struct mt_proxy *p, struct mt_up *u)
{
	if (u->role == MT_UP_BULK)
		return skip(p, u);
	if (!u->lanes->codec->id_max)
		return match_without_ids(p, u);
	if (mt_id_given(u, u->msg.id)) {
		if (u->ids == MT_IDS_UNKNOWN)
			mt_ids_learn(p, u, MT_IDS_ECHOED);
		count_late(p);
		return MT_WHOSE_LATE;
	}
	if (!u->out_id || !mt_match_by_position(u))
		return MT_WHOSE_NONE;
	if (mt_method_of_reply(p, u) != u->out_method && !mt_mutant(MT_MUTANT_reply_method_ignored))
		return MT_WHOSE_NONE;
	mt_ids_learn(p, u, MT_IDS_ABSENT);
	/*
	 * If the call's client has left, this reply does not prove which call it answers, so no other
	 * call may follow on the connection.
	 */
	if (!mt_attempt_of(p, u->exchange))
		mt_up_becomes(u, MT_UP_DRAINING);
	return MT_WHOSE_CALL;
}

/* True if the reply has the id of the outstanding call, and not by accident. */
static mt_inline bool has_own_id(const struct mt_up *u)
{
	return u->msg.id == u->out_id && u->out_id &&
	       (mt_likely(u->ids == MT_IDS_ECHOED) || u->lanes->codec->id_max);
}

/* Matches on SERIAL and BULK connections, which have one outstanding call at a time. */
static enum mt_whose match_own(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex)
{
	enum mt_whose whose;

	if (mt_likely(has_own_id(u)) || (u->out_id && mt_mutant(MT_MUTANT_reply_id_ignored))) {
		if (mt_unlikely(u->ids != MT_IDS_ECHOED))
			mt_ids_learn(p, u, MT_IDS_ECHOED);
	} else {
		whose = match_other(p, u);
		if (whose != MT_WHOSE_CALL)
			return whose;
	}
	*ex = mt_pool_exchange(p, u->exchange);
	if (mt_unlikely(!*ex))
		count_late(p);
	return MT_WHOSE_CALL;
}

enum mt_whose mt_match(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex)
{
	*ex = NULL;
	if (mt_up_shares(u))
		return match_shared(p, u, ex);
	return mt_unlikely(u->in_doubt) ? mt_oneway_match(p, u, ex) : match_own(p, u, ex);
}
