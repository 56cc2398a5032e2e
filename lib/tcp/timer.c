/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one timer of a connection: the wheel's node has the earliest deadline of c->at[], and each
 * deadline has its handler (RFC 6298 §5, RFC 9293 §3.8.3, §3.8.4, §3.8.6.1).
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define KEEP_INTERVAL_MS   75000
#define KEEP_PROBES	   9
#define HALF_CLOSED_PROBES 3
/*
 * A peer that keeps its window closed is dead after both SILENCE_MAX_MS of silence and PROBES_MAX
 * window probes. The count gives R2 (RFC 9293 §3.8.3: at least 100 s) to a peer that was silent for
 * long before the first probe only because nothing was sent to it.
 */
#define PROBES_MAX     12
#define SILENCE_MAX_MS 180000

void mt_tcp_arm_anew(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t best = UINT32_MAX;

	for (int i = 0; i < MT_TCP_N_DEADLINES; i++) {
		int32_t left = (int32_t)(c->at[i] - t->now_ms);

		if (c->at[i])
			best = MT_MIN(best, (uint32_t)MT_MAX(left, 0));
	}
	mt_wheel_arm(&t->wheel, &c->timer,
		best == UINT32_MAX ? MT_NEVER : (t->now / MT_MSEC + best) * MT_MSEC);
}

static void handshake_timeout(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_cell(c->state, MT_TCP_CELL_HANDSHAKE);
	c->retries++;
	mt_tcp_rto_backoff(c);
	c->flags |= MT_CF_SYN_DUE;
	c->rtt_at = 0;
	mt_tcp_note(t, MT_TCP_syn_retransmits);
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	mt_tcp_mark(t, c);
}

/*
 * Marks what was sent longer than a round trip ago as lost; slow start from one segment (RFC 5681
 * §3.1, 8985 §6.3).
 */
static void retransmission_timeout(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_loss *l;

	mt_tcp_cell(c->state, MT_TCP_CELL_RTO);
	if (c->retries++ >= t->conf.retries_max && !mt_mutant(MT_BREAK_retries_for_ever)) {
		mt_tcp_note(t, MT_TCP_gave_up);
		mt_tcp_conn_fail(t, c, MT_CLOSE_TIMEOUT);
		return;
	}
	mt_tcp_note(t, MT_TCP_timeouts);
	l = mt_tcp_loss_get(t, c);
	/* RFC 5681 §3.1: ssthresh is unchanged while the same segment times out again */
	if (c->retries == 1) {
		mt_tcp_undo_save(c, l);
		t->cc->loss(&c->cc, mt_tcp_flight(c));
	}
	t->cc->timeout(&c->cc);
	c->mode = MT_TCP_LOSS;
	c->dup_acks = 0;
	c->recover = c->snd_nxt;
	l->prr = l->tlp = false;
	/* The peer reneged on what it had SACKed (RFC 2018 §8). */
	if (l->n && l->r[0].start == c->snd_una)
		mt_tcp_sack_forget(c, l);
	mt_tcp_black_hole(t, c, l);
	mt_tcp_lose(t, c, l, c->flags & MT_CF_SACK ? MT_TCP_LOSE_OLD : MT_TCP_LOSE_ALL);
	c->cc.cwnd = mt_tcp_pipe(t, c) + c->cc.mss;
	l->owed = true;
	c->rtt_at = 0;
	mt_tcp_rto_backoff(c);
	mt_tcp_doubt(t, c,
		/* later timeouts: the probes of an earlier one were answered */
		c->retries == 1 ? c->rto_ms / 2 : 0);
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	mt_tcp_mark(t, c);
}

static void persist_timeout(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_cell(c->state, MT_TCP_CELL_PERSIST);
	/*
	 * A peer that answers may keep its window closed for ever (RFC 9293 §3.8.6.1); a silent
	 * peer may not.
	 */
	if ((t->now_ms - c->rcvd_ms > SILENCE_MAX_MS || mt_mutant(MT_BREAK_probe_gives_up)) &&
		c->retries >= PROBES_MAX) {
		mt_tcp_note(t, MT_TCP_gave_up);
		mt_tcp_conn_fail(t, c, MT_CLOSE_TIMEOUT);
		return;
	}
	c->flags &= ~MT_CF_PERSIST;
	c->retries += c->retries < UINT8_MAX;
	if (c->snd_wnd > 0) {
		c->flags |= MT_CF_FORCE;
	} else {
		c->flags |= MT_CF_PROBE_DUE;
		mt_tcp_doubt(t, c, 0);
	}
	mt_tcp_mark(t, c);
}

static void rto(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD)
		handshake_timeout(t, c);
	else if (c->flags & MT_CF_PERSIST)
		persist_timeout(t, c);
	else if (c->flags & MT_CF_REO)
		mt_tcp_rack_timeout(t, c);
	else if (c->flags & MT_CF_TLP)
		mt_tcp_pto_timeout(t, c);
	else if (mt_tcp_flight(c))
		retransmission_timeout(t, c);
	else
		mt_tcp_mark(t, c); /* it was armed to try again after the neighbour had failed */
}

static void delayed_ack(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->flags & MT_CF_ACK_DELAY) {
		mt_tcp_cell(c->state, MT_TCP_CELL_DELACK);
		c->flags |= MT_CF_ACK_NOW;
		mt_tcp_note(t, MT_TCP_delayed_acks);
	}
	mt_tcp_mark(t, c);
}

/* Time without a segment from the peer after which it is probed. */
static uint32_t keep_patience(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t s = t->conf.keepalive_idle_s;

	return 1000 * (c->state == MT_TCP_CLOSE_WAIT ? MT_MIN(s, t->conf.half_closed_s) : s);
}

void mt_tcp_keep_start(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (t->conf.keepalive_idle_s != MT_TCP_KEEPALIVE_OFF)
		c->at[MT_TCP_AT_KEEP] = mt_tcp_in(t, keep_patience(t, c));
}

/*
 * True while the persist timer decides about a silent peer: data or a FIN waits for more window
 * than there is, and nothing is in flight. MT_CF_PERSIST is clear from the timeout until the probe
 * is sent, and a full port, an unresolved neighbour or a lack of memory delays the probe. Without
 * a route no probe is sent and the persist timer counts none, so that keep-alive decides after
 * twice SILENCE_MAX_MS.
 */
static bool persist_decides(const struct mt_tcp_conn *c, uint32_t idle)
{
	uint32_t unsent = c->tx.len;

	if (c->s.tx_shut && !(c->flags & MT_CF_FIN_SENT))
		unsent++;
	return unsent > c->snd_wnd && idle <= 2 * SILENCE_MAX_MS;
}

/* Checks the time of the last segment, so that traffic need not re-arm the timer. */
static void keep_alive(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t idle = t->now_ms - c->rcvd_ms, limit = keep_patience(t, c);
	/* with a short limit, probe at that interval */
	uint32_t interval = MT_MIN(KEEP_INTERVAL_MS, limit);
	uint32_t probes = c->state == MT_TCP_CLOSE_WAIT ? HALF_CLOSED_PROBES : KEEP_PROBES;

	if (idle < limit) {
		c->at[MT_TCP_AT_KEEP] = mt_tcp_in(t, limit - idle);
		return;
	}
	mt_tcp_cell(c->state, MT_TCP_CELL_KEEPALIVE);
	c->at[MT_TCP_AT_KEEP] = mt_tcp_in(t, interval);
	if (mt_tcp_flight(c)) /* the retransmission timer probes, and gives up in time */
		return;
	/*
	 * The persist timer gives up after R2 (RFC 9293 §3.8.3, RFC 1122 §4.2.3.5). Probes are sent
	 * nevertheless: a host that has dropped the connection answers with a RST.
	 */
	if (idle >= limit + probes * interval && !persist_decides(c, idle) &&
		!mt_mutant(MT_BREAK_keepalive_for_ever)) {
		mt_tcp_note(t, MT_TCP_gave_up);
		mt_tcp_conn_fail(t, c, MT_CLOSE_TIMEOUT);
		return;
	}
	if (!mt_mutant(MT_BREAK_keepalive_silence))
		c->flags |= MT_CF_PROBE_DUE;
	mt_tcp_note(t, MT_TCP_keepalives);
	mt_tcp_mark(t, c);
}

static void limit(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_cell(c->state, MT_TCP_CELL_LIMIT);
	if (mt_mutant(MT_BREAK_connect_for_ever))
		return;
	if (c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD) {
		mt_tcp_note(t, MT_TCP_connect_timeouts);
		mt_tcp_conn_fail(t, c, MT_CLOSE_CONNECT_TIMEOUT);
	} else if (c->flags & MT_CF_REFUSED && c->flags & MT_CF_FIN_ACKED) {
		mt_tcp_note(t, MT_TCP_late_resets);
		mt_tcp_abort(&c->s, MT_ABORT_CANCELLED);
	} else if (c->flags & MT_CF_DETACHED) {
		mt_tcp_note(t, MT_TCP_detach_timeouts);
		mt_tcp_abort(&c->s, MT_ABORT_SLOW);
	} else {
		mt_tcp_ask_path(t, c);
	}
}

static void fire(void *arg, struct mt_timer *timer)
{
	static void (*const handlers[MT_TCP_N_DEADLINES])(struct mt_tcp *, struct mt_tcp_conn *) = {
		[MT_TCP_AT_RTO] = rto,
		[MT_TCP_AT_ACK] = delayed_ack,
		[MT_TCP_AT_KEEP] = keep_alive,
		[MT_TCP_AT_LIMIT] = limit,
	};
	struct mt_tcp *t = arg;
	struct mt_tcp_conn *c = mt_container_of(timer, struct mt_tcp_conn, timer);

	for (int i = 0; i < MT_TCP_N_DEADLINES; i++) {
		if (!c->at[i] || !mt_tcp_due(t, c->at[i]))
			continue;
		c->at[i] = 0;
		handlers[i](t, c);
		if (c->state == MT_TCP_CLOSED)
			return;
	}
	mt_tcp_arm(t, c);
}

uint32_t mt_tcp_timers(struct mt_tcp *t, uint32_t budget)
{
	mt_tcp_half_timers(t);
	mt_tcp_tw_timers(t);
	if (t->sweep_idx != UINT32_MAX)
		mt_tcp_sweep(t);
	return mt_wheel_run(&t->wheel, t->now, budget, fire, t);
}
