/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers with a TCP stack that acknowledges and an application that does not respond. (lib/tcp
 * detects dead paths.)
 * - Heartbeats, in protocols that have them: a shared connection with outstanding calls sends one
 *   after max(1 s, 4 times the endpoint's 99th percentile) without a byte. It also sends one when a
 *   call times out and nothing was received since the call was sent. At most one is outstanding and
 *   at most one starts per second. No further heartbeat is sent until the server's TCP stack has
 *   acknowledged the last one.
 * - Answered: the server is alive, however long its calls take. The next heartbeats follow after 2,
 *   4, 8 s and so on, up to the codec's heartbeat_s, while nothing else arrives and no call is
 *   sent. So a long poll of 300 s costs ten heartbeats and no ejection.
 * - Not answered within 1 s of being acknowledged: the endpoint is ejected and the connection
 *   reset. Provably unread calls are sent to another endpoint, others get a local reply. If the
 *   worker checks more than 250 ms late, it waits half a second more, because the answer may be
 *   waiting unread.
 * - Not deliverable: nothing is in flight, and the server's TCP stack has taken nothing for 5 s,
 *   because its application has not opened the window. Then, too, the endpoint is ejected and the
 *   connection reset. A server that reads slowly is only slow.
 * - Servers without heartbeat support are not ejected for a missing answer. The first answer sets
 *   mt_ep_state.beats. A refused health check clears it, because another program may start. While
 *   it is not set, each shared connection sends one heartbeat when it has been open for 1 s.
 * - Without heartbeat support, and for calls that have a connection alone, lib/upstream counts
 *   consecutive time-outs. Only calls count that were sent completely, or that waited for a shared
 *   connection's window. A server's FIN after ours (oneway.c) starts the count again.
 * - In these cases, a client that closes its connection while a call waits is evidence, too,
 *   because its own time-out may be shorter. The call must have been sent completely and have
 *   waited for the endpoint's 99th percentile, or 1 s while that is not known. Such calls of two
 *   clients, by address, are needed, and any reply starts the count again.
 */
#include "mt_strmap.h"
#include "pool/mt_pool_priv.h"

#define ANSWER	(1 * MT_SEC) /* time for the answer to a heartbeat */
#define SLOWEST 4	     /* times the endpoint's 99th percentile */
#define FULL	(5 * MT_SEC) /* time for which the server may leave its window closed */
#define LATE                                                                                       \
	(MT_SEC / 4) /* If the worker checks later than this, the answer may be waiting unread. */

/*
 * The 99th percentile of the endpoint's latencies, ns. 0: unknown, or the index has another
 * endpoint.
 */
static uint64_t p99(const struct mt_proxy *p, const struct mt_lanes *ln)
{
	const struct mt_ep_hist *h = &p->ep_hists[ln->ep_index];
	uint32_t all = 0, above = 0, b = MT_EP_LATENCY_BUCKETS;

	if (h->ep_id != ln->ep_id)
		return 0;
	for (uint32_t i = 0; i < MT_EP_LATENCY_BUCKETS; i++)
		all += h->latency[i];
	while (b > 0 && above * 100 <= all)
		above += h->latency[--b];
	return all ? mt_hist_low(b + 1, MT_EP_LATENCY_BITS) * MT_USEC : 0;
}

static struct mt_ep_state *state_of(const struct mt_lanes *ln)
{
	return __atomic_load_n(&ln->state->id, __ATOMIC_RELAXED) == ln->ep_id ? ln->state : NULL;
}

bool mt_ep_beats(const struct mt_lanes *ln)
{
	return state_of(ln) && __atomic_load_n(&ln->state->beats, __ATOMIC_RELAXED);
}

/*
 * True if a heartbeat is needed to learn if the endpoint answers heartbeats: it has answered none,
 * and none was sent on this connection.
 */
static bool to_be_learnt(const struct mt_up *u)
{
	return u->silence.asked_end == 0 && !mt_ep_beats(u->lanes);
}

uint64_t mt_silence_due(const struct mt_up *u)
{
	const struct mt_silence *s = &u->silence;
	uint64_t at;

	if (u->eof || !mt_up_shares(u) || !u->lanes->codec->write.heartbeat)
		return MT_NEVER;
	if (s->asked_at)
		return s->asked_at + ANSWER;
	if (mt_unlikely(to_be_learnt(u)))
		return s->not_before;
	if (mt_up_nothing_awaited(u))
		return MT_NEVER;
	at = u->last_rx + MT_MAX(s->quiet, s->gap);
	/*
	 * No byte has come since the first outstanding call was sent: the longer gap does not
	 * apply.
	 */
	if (s->first_sent >= u->last_rx)
		at = MT_MIN(at, s->first_sent + s->quiet);
	return MT_MAX(at, s->not_before);
}

static void ask(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_silence *s = &u->silence;
	struct mt_chain out = {0};

	s->not_before = p->now + MT_SILENCE_LEAST;
	/* The server has not acknowledged the last heartbeat: do not queue another one. */
	if (mt_stream_positions(u->s).acked < s->asked_end) {
		s->asked_at = s->moved = p->now;
		return;
	}
	if (codec->write.heartbeat(codec, mt_id_next(u), &out, p->pools)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_chain_free(&out);
		return;
	}
	mt_count(p->counters, MT_PROXY_heartbeat_sent);
	mt_up_send(u, &out);
	u->last_tx = s->asked_at = s->moved = p->now;
	s->asked_end = u->given;
}

/* Delays the next heartbeat: doubles the gap, up to the codec's heartbeat_s. */
static void rest(struct mt_up *u)
{
	struct mt_silence *s = &u->silence;
	uint64_t longest = u->lanes->codec->heartbeat_s * MT_SEC;

	s->asked_at = s->first_sent = 0;
	s->vouched = u->last_rx;
	s->gap = MT_MIN(MT_MAX(2 * s->gap, 2 * MT_SILENCE_LEAST), longest);
}

void mt_silence_answered(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ep_state *ep = state_of(u->lanes);

	if (ep && !__atomic_load_n(&ep->beats, __ATOMIC_RELAXED))
		__atomic_store_n(&ep->beats, true, __ATOMIC_RELAXED);
	if (ep)
		mt_ep_heard(ep);
	rest(u);
	mt_up_arm(p, u);
}

void mt_silence_heard(const struct mt_lanes *ln)
{
	struct mt_ep_state *ep = state_of(ln);

	if (ep)
		mt_ep_heard(ep);
}

static void give_up(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_blame b = mt_up_blame(p, u);
	struct mt_ep_where at = mt_lanes_where(u->lanes);

	b.ep = state_of(u->lanes);
	/* Eject first, so that unread calls are sent to other endpoints. */
	if (b.ep && mt_ep_talks(b.ep, at.way) && mt_ep_silent(b.ep, b.rule, p->now))
		mt_ejection_begin_silent(
			p, b.ep, b.rule, &at, "no answer to a heartbeat", "1 s without an answer");
	mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_silent);
}

/* Delays the next heartbeat. Does not eject the endpoint, because it may not support heartbeats. */
static void not_to_blame(struct mt_proxy *p, struct mt_up *u)
{
	rest(u);
	u->silence.not_before = p->now + u->silence.gap;
}

/*
 * True if the heartbeat is not acknowledged yet and may still be. Otherwise it is acknowledged, or
 * nothing is in flight and the server's TCP stack has taken nothing for FULL: its window is closed,
 * and the application does not read.
 */
static bool on_its_way(const struct mt_proxy *p, struct mt_up *u)
{
	struct mt_silence *s = &u->silence;
	struct mt_stream_pos pos = mt_stream_positions(u->s);

	if (pos.acked >= s->asked_end)
		return false;
	if (pos.acked != s->acked || pos.sent > pos.acked)
		s->moved = p->now;
	s->acked = pos.acked;
	return p->now - s->moved < FULL;
}

/* Evaluates the outstanding heartbeat. */
static void check_answer(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_silence *s = &u->silence;
	uint64_t due = s->asked_at + ANSWER;

	if (u->last_rx > s->asked_at) {
		s->asked_at = 0;
		return;
	}
	if (p->now < due)
		return;
	/*
	 * Wait on while the heartbeat is in transit: lib/tcp ends the connection if the path is
	 * dead.
	 */
	if (on_its_way(p, u))
		s->asked_at = p->now;
	else if (p->now - due > LATE)
		s->asked_at = p->now - ANSWER / 2;
	else if (mt_ep_beats(u->lanes))
		give_up(p, u);
	else
		not_to_blame(p, u);
}

void mt_silence_look(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_silence *s = &u->silence;
	uint64_t due = mt_silence_due(u);

	if (due == MT_NEVER)
		return;
	if (s->asked_at) {
		check_answer(p, u);
		return;
	}
	if (u->last_rx != s->vouched)
		s->gap = 0; /* something other than answers to heartbeats came */
	if (p->now >= due)
		s->quiet = MT_MAX(MT_SILENCE_LEAST, SLOWEST * p99(p, u->lanes));
	if (p->now >= mt_silence_due(u))
		ask(p, u);
}

/* True if only the server's window delays the call, because an open connection has a free id. */
static bool is_shut_out(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	enum mt_up_role role = mt_lane_role(ln, ex);
	const struct mt_list *n;

	if (role > MT_UP_WIDE)
		return false;
	mt_list_foreach (n, &ln->conns[role]) {
		const struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (u->state == MT_UP_OPEN && u->outstanding < p->conf.ring_slots)
			return true;
	}
	return false;
}

/*
 * Returns the lane group of the server that has the call, or delays it by a closed window. NULL:
 * the time-out is not known to be the server's fault.
 */
static const struct mt_lanes *waits_for(struct mt_proxy *p, const struct mt_exchange *ex,
	const struct mt_attempt *a, const struct mt_up *u)
{
	const struct mt_lanes *ln;

	if (u)
		return a->state == MT_ATTEMPT_SENT ? u->lanes : NULL;
	ln = a && a->state == MT_ATTEMPT_QUEUED ? mt_slab_get(&p->lanes, a->lanes) : NULL;
	return ln && is_shut_out(p, ln, ex) ? ln : NULL;
}

void mt_silence_timed_out(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	const struct mt_outlier_rule *rule =
		ex->attempt.cluster ? &ex->attempt.cluster->outlier : NULL;
	struct mt_up *u = mt_exchange_up(p, ex);
	struct mt_ep_state *ep = a ? mt_attempt_ep(a) : NULL;
	const struct mt_lanes *ln = waits_for(p, ex, a, u);
	bool beats = ln && (!u || mt_up_shares(u)) && ln->codec->write.heartbeat;
	struct mt_ep_where at;

	if (!ln || !ep)
		return;
	at = mt_lanes_where(ln);
	if (beats && u && !u->silence.asked_at && !u->eof && u->last_rx <= ex->attempt.sent &&
		p->now >= u->silence.not_before)
		ask(p, u);
	/*
	 * If an endpoint answers heartbeats, only a missing answer ejects it, unless the rule of
	 * the cluster counts failures.
	 */
	if (beats && mt_ep_beats(ln) && !(rule && rule->failures))
		return;
	if (mt_ep_talks(ep, at.way) && mt_ep_timed_out(ep, rule, p->now))
		mt_ejection_begin_silent(p, ep, rule, &at, "calls time out",
			rule && rule->failures ? NULL : "5 time-outs in a row");
}

/* Identifies a client by its address (IPv6: its /64), equally on all workers. */
static uint32_t client_of(const struct mt_stream *s)
{
	struct mt_addr a = mt_client_holder(s);

	return (uint32_t)mt_hash_bytes(&a, sizeof(a), 0);
}

void mt_silence_given_up(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_stream *client)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	const struct mt_outlier_rule *rule =
		ex->attempt.cluster ? &ex->attempt.cluster->outlier : NULL;
	const struct mt_up *u = mt_exchange_up(p, ex);
	struct mt_ep_state *ep = a ? mt_attempt_ep(a) : NULL;
	bool own_rule = rule && rule->failures;
	struct mt_ep_where at;
	uint64_t least;

	if (!u || !ep || ex->oneway || ex->status || a->state != MT_ATTEMPT_SENT)
		return;
	at = mt_lanes_where(u->lanes);
	if (mt_up_shares(u) && at.codec->write.heartbeat && mt_ep_beats(u->lanes) && !own_rule)
		return;
	least = p99(p, u->lanes);
	if (p->now - ex->attempt.sent < (least ? least : MT_SILENCE_LEAST) ||
		!mt_ep_talks(ep, at.way))
		return;
	if (mt_ep_given_up(ep, rule, client_of(client), p->now))
		mt_ejection_begin_silent(p, ep, rule, &at, "clients give up their calls",
			own_rule ? NULL : "5 calls in a row, of 2 clients");
}

void mt_silence_replied(const struct mt_lanes *ln)
{
	struct mt_ep_state *ep = state_of(ln);

	if (ep)
		mt_ep_replied(ep);
}
