/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks between loop iterations, for tests and the simulator, that some event or timer will wake
 * each object that waits.
 */
#include "mt_proxy_priv.h"

/* If a server connection is paused, its reply is in the list of the client for which it waits. */
static const char *check_up(struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_exchange *ex = mt_slab_get(&p->exchanges, u->reply);

	if (!mt_ref_is_none(u->reply) &&
		(!ex || ex->attempt.receive != MT_RECEIVE_BODY || !ex->attempt.reply_left ||
			!mt_ref_eq(ex->attempt.up, u->self) || u->skip.left))
		return "a server connection forwards a reply to a call that does not receive it";
	if (!u->paused)
		return NULL;
	if (!ex || !mt_exchange_down(p, ex))
		return "a server connection is paused without a client that waits";
	return mt_reply_waits(ex) ? NULL
				  : "a server connection is paused and its client does not know";
}

/* The held bytes of a client are those of its waiting replies, and each reply can continue. */
static const char *check_held(struct mt_proxy *p, const struct mt_down *d)
{
	uint32_t held = d->after.truesize;
	const struct mt_list *n;

	mt_list_foreach (n, &d->waiting) {
		const struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, queue_node);
		const struct mt_up *u = mt_exchange_up(p, ex);

		if (!mt_reply_waits(ex) || mt_exchange_down(p, ex) != d)
			return "a waiting item of a client is not a reply to it";
		if (ex->rsp.len == 0 && !ex->rsp_complete && !(u && u->paused))
			return "a reply waits for its client and is not here";
		held += ex->rsp.truesize;
	}
	return held == d->held ? NULL : "a client's held replies are not what was counted";
}

/* A reply at which a filter waits is charged, and has a time-out. */
static const char *check_filtering(const struct mt_exchange *ex)
{
	if (!ex->filters || !ex->side || ex->filter_at <= MT_FILTER_WAIT_OF_REPLY)
		return "a reply waits and no filter is known for it";
	if (ex->attempt.state || ex->retained || ex->armed)
		return "a reply waits for a filter and has an attempt";
	if (!ex->pending || ex->rsp.len == 0)
		return "a reply waits for a filter and is not charged";
	return mt_list_linked(&ex->deadline.node) ? NULL
						  : "a reply waits for a filter without a time-out";
}

/* The sums that a client is charged are those of its waiting, retained and backed-off calls. */
static const char *check_pending(const struct mt_proxy *p, const struct mt_down *d)
{
	uint32_t pending = 0, retained = 0, backing_off = 0;
	bool owed = d->owed == &d->exchanges;
	const char *wrong = NULL;
	const struct mt_list *n;

	mt_list_foreach (n, &d->exchanges) {
		const struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);

		owed |= n == d->owed;
		if (!ex->oneway && (!owed || d->owed == &d->exchanges))
			return "a reply that is owed is not seen";
		if (ex->pending && ex->pending != mt_exchange_truesize(p, ex))
			return "a call that waits is not charged what it is";
		if (ex->req.truesize && !ex->pending)
			return "a request is kept and not charged";
		/* The call's run was put off (run.c); side.c removes the call from the list. */
		if (ex->state == MT_EX_ROUTING && (!mt_list_linked(&ex->queue_node) || !ex->side))
			return "a call that is routed is in no list";
		if (ex->changes_kept && !ex->retained && ex->state > MT_EX_SUSPENDED &&
			ex->state != MT_EX_FILTERING)
			return "changes are kept of a call that is not suspended";
		wrong = ex->state == MT_EX_FILTERING ? check_filtering(ex) : NULL;
		if (wrong)
			return wrong;
		if (ex->armed && !ex->retained)
			return "a retry policy applies to a call that is not retained";
		if (ex->state == MT_EX_BACKOFF && !ex->armed)
			return "a call waits for an attempt and has no request";
		if (ex->budgeted && (!ex->side || ex->state >= MT_EX_FILTERING))
			return "a call that is answered has a unit of a retry budget";
		pending += ex->pending;
		if (!ex->retained)
			continue;
		retained += mt_side_truesize(mt_exchange_side(p, ex));
		if (ex->state == MT_EX_BACKOFF)
			backing_off += mt_side_truesize(mt_exchange_side(p, ex));
	}
	if (backing_off != d->backing_off)
		return "a client's calls in back-off are not what was counted";
	if (d->paused_by_bytes && d->s && !(pending | backing_off) &&
		!mt_reading_waits(&d->reading))
		return "a client is paused because of calls that wait, and none does";
	if (retained != d->retained)
		return "a client's retained requests are not what was counted";
	return pending == d->pending ? NULL : "a client's waiting calls are not what was counted";
}

/* If replies wait for a client, its next event or the end of an earlier reply continues them. */
static const char *check_down(struct mt_proxy *p, struct mt_down *d)
{
	bool waits = !mt_list_empty(&d->waiting) || d->after.len;

	if (!d->s || !waits)
		return d->held && d->s ? "a client's held replies wait nowhere" : NULL;
	if (mt_reply_next(p, d)) {
		if (!d->s->want_writable || d->s->tx_queued == 0)
			return "a reply is in turn and its client's window will not wake it";
	} else if (!mt_slab_get(&p->exchanges, d->streaming) &&
		   (!d->ordered || mt_list_empty(&d->exchanges))) {
		return "replies wait for an earlier one that there is not";
	}
	return check_held(p, d);
}

/* True if the connection could take a waiting call now. */
static bool could_take(const struct mt_proxy *p, const struct mt_up *u)
{
	if (u->state != MT_UP_OPEN || !u->s || u->s->rx_eof)
		return false;
	if (!mt_up_shares(u))
		return !u->busy && !u->bound;
	if (u->s->want_writable && u->s->tx_queued)
		return false; /* an acknowledgement comes, or the connection ends */
	return u->outstanding < p->conf.ring_slots && u->s->tx_queued < u->s->tx_high / 2;
}

/* True if a call that waits for a bulk connection has a share left (mt_lane_has_share()). */
static bool any_has_share(struct mt_proxy *p, const struct mt_lanes *ln)
{
	const struct mt_list *n;

	mt_list_foreach (n, &ln->bulk)
		if (mt_lane_has_share(
			    p, ln, mt_attempt_exchange(mt_list_entry(n, struct mt_attempt, node))))
			return true;
	return false;
}

/*
 * True if the idle connection may stay although calls wait: it does not suit the next call, and
 * another connection gives way to that call and closes no later than this one could (lane.c,
 * make_room()).
 */
static bool may_stay(const struct mt_lanes *ln, const struct mt_up *u)
{
	const struct mt_attempt *next = mt_queue_head(ln, MT_FAIR_NARROW);
	const struct mt_up *closing = mt_lane_gives_way(ln);

	if (u->role != MT_UP_SERIAL || !next || !closing ||
		mt_up_suits(u, mt_attempt_exchange(next)))
		return false;
	return !mt_list_empty(&u->unacked) ||
	       (mt_up_nothing_awaited(closing) && mt_timer_armed(&closing->timer));
}

/* Calls wait only for connections that are busy, connect or drain; their events feed the queue. */
static const char *check_queue(struct mt_proxy *p, const struct mt_lanes *ln, enum mt_up_role role)
{
	const struct mt_list *n;

	if (mt_list_linked(&ln->hungry_node))
		return NULL;
	if (role == MT_UP_BULK && !any_has_share(p, ln))
		return NULL;
	if (role <= MT_UP_WIDE && mt_lanes_taking(ln, role) == 0 &&
		mt_lanes_taking(ln, mt_lane_other(role)))
		role = mt_lane_other(role);
	if (ln->n_conns[role] == 0)
		return "calls wait for a connection and there is none";
	mt_list_foreach (n, &ln->conns[role])
		if (could_take(p, mt_list_entry(n, struct mt_up, node)))
			return "calls wait and a connection could take one";
	mt_list_foreach (n, &ln->idle[role]) {
		const struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (could_take(p, u) && !may_stay(ln, u))
			return "calls wait and a connection is idle";
	}
	return NULL;
}

/* True if the endpoint is gone and no call or connection is left whose end frees the group. */
static bool is_forgotten(const struct mt_lanes *ln)
{
	if (!ln->gone || ln->pinned || ln->n_queued)
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->n_conns); i++)
		if (ln->n_conns[i])
			return false;
	return true;
}

static const char *check_lanes(struct mt_proxy *p, const struct mt_lanes *ln)
{
	bool safe = mt_correlation_of(ln->codec, ln->codec_opts) == MT_CORR_SAFE;
	const char *wrong = NULL;

	if (is_forgotten(ln))
		return "a lane group of a removed endpoint has neither calls nor connections";
	if (ln->fair[MT_FAIR_NARROW])
		wrong = check_queue(p, ln, safe ? MT_UP_SHARED : MT_UP_SERIAL);
	if (!wrong && ln->fair[MT_FAIR_WIDE])
		wrong = check_queue(p, ln, MT_UP_WIDE);
	if (!wrong && !mt_list_empty(&ln->bulk))
		wrong = check_queue(p, ln, MT_UP_BULK);
	return wrong;
}

/*
 * An opaque stream has a server connection, or waits for a filter or its cluster. A stream
 * without a connection, or with a FIN that waits, has a timer. A stream that lost a side has the
 * other one and a timer.
 */
static const char *check_pair(const struct mt_proxy *p, const struct mt_pair *pr)
{
	const struct mt_connecting *j = mt_connecting_of(p, pr);

	if (pr->cut)
		return !pr->down == !pr->up || !mt_timer_armed(&pr->timer)
			       ? "an opaque connection that lost a side has two sides, none, or no "
				 "timer"
			       : NULL;
	if (!pr->up && !(j && (j->on_demand || j->filter_at)))
		return "an opaque connection has no server and requests none";
	if ((pr->fin_waits || !pr->up) && !mt_timer_armed(&pr->timer))
		return "an opaque connection waits without a wake-up";
	return NULL;
}

/* All copies are counted, and the waiting ones are charged. */
static const char *check_copies(struct mt_proxy *p)
{
	const struct mt_mirror *m = &p->mirror;
	uint64_t bytes = 0, waits = 0;
	const struct mt_exchange *ex;
	uint32_t n = 0, i = 0;

	while ((ex = mt_slab_next(&p->exchanges, &i))) {
		if (ex->origin != MT_CALL_OF_MIRROR)
			continue;
		if (mt_exchange_down(p, ex) || !ex->side || ex->state == MT_EX_READY)
			return "a copy has a client, or a reply";
		if (ex->pending != (ex->req.len ? mt_exchange_truesize(p, ex) : 0))
			return "a copy that waits is not charged what it is";
		n++;
		bytes += mt_exchange_side(p, ex)->copied;
		waits += ex->pending;
	}
	if (n != m->n || bytes != m->bytes)
		return "other copies are counted than are there";
	return waits == m->waits ? NULL : "waiting copies are not what was charged";
}

/* A worker has no unit of a node's limit that it does not use: the other workers would lack it. */
static const char *check_units(const struct mt_proxy *p)
{
	for (uint32_t i = 0; p->snap && i < p->snap->n_clusters; i++) {
		uint32_t at = p->snap->clusters[i].index;

		if (mt_units_own(mt_conns_units(p, at))->used > p->cluster_conns[at] ||
			mt_units_own(mt_pending_units(p, at))->used > p->pending[at])
			return "more is taken of a limit of the node than is used";
	}
	return NULL;
}

const char *mt_proxy_check(struct mt_proxy *p)
{
	const char *wrong = NULL;
	uint32_t i = 0;
	void *o;

	while (!wrong && (o = mt_slab_next(&p->ups, &i)))
		wrong = check_up(p, o);
	i = 0;
	while (!wrong && (o = mt_slab_next(&p->downs, &i))) {
		wrong = check_down(p, o);
		if (!wrong)
			wrong = check_pending(p, o);
	}
	i = 0;
	while (!wrong && (o = mt_slab_next(&p->selections, &i)))
		if (!mt_timer_armed(&((struct mt_chain_selection *)o)->timer))
			wrong = "a client in chain selection waits for its bytes only";
	i = 0;
	while (!wrong && (o = mt_slab_next(&p->pairs, &i)))
		wrong = check_pair(p, o);
	i = 0;
	while (!wrong && (o = mt_slab_next(&p->lanes, &i)))
		wrong = check_lanes(p, o);
	if (!wrong)
		wrong = check_copies(p);
	return wrong ? wrong : check_units(p);
}
