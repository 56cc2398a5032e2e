/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection of a silent path, for streams with silent_ms: data or our FIN is unacknowledged and
 * nothing valid arrives for that time, or for three retransmission timeouts if those are longer.
 * The timeouts are the measured ones, without back-off. The stream ends with MT_CLOSE_TIMEOUT and a
 * RST.
 *
 * Retransmissions alone are too few: with back-off three copies of a lone request go out in a
 * second. Where one packet in ten is lost each way, all of them or their ACKs are lost once in 150
 * times. So the path is probed eight times meanwhile with the first unacknowledged octet, which
 * every TCP answers at once; then all are lost only once in some 100,000 times. The purpose of the
 * back-off of RFC 6298 §5.5 is kept, because the connection then ends and sends nothing more.
 * - More than 536 bytes wait: probes carry no data, because a delivered octet would hide an MTU
 *   black hole. The time doubles, because Linux answers such probes at most twice a second.
 * - Closed window: the time triples and starts at an unanswered window probe, because nothing else
 *   is sent.
 * - Data that was not sent (full port, no buffer) does not count.
 * - The worker that distributes packets does not poll: the time restarts, because answers may wait
 *   in its queues (mt_steer_is_fed()).
 * - A detached connection has its own limit of one minute.
 *
 * The suspicion uses AT_LIMIT, which is free after the handshake, and three bits (`doubts`). It
 * starts in timeout handlers, so answered data costs nothing.
 */
#include "mt_tcp_priv.h"

#define EIGHTHS 8
/*
 * Multiples of the time for paths that can only be probed without data, because Linux answers only
 * two such probes per second. Less is enough while data is in flight, which is retransmitted
 * meanwhile.
 */
#define LONG_TIMES 2
#define SHUT_TIMES 3

static uint32_t step_of(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t ms = MT_MAX(c->s.silent * UINT32_C(100), 3 * mt_tcp_rto_base(t, c));

	if (!mt_tcp_flight(c))
		ms *= SHUT_TIMES;
	else if (!mt_tcp_octet_goes(c))
		ms *= LONG_TIMES;
	return (ms + EIGHTHS - 1) / EIGHTHS;
}

void mt_tcp_doubt(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ms)
{
	uint32_t step;

	if (!c->s.silent || c->at[MT_TCP_AT_LIMIT])
		return;
	step = step_of(t, c);
	ms = MT_MIN(ms, t->now_ms - c->rcvd_ms);
	c->doubts = MT_MIN(ms / step, EIGHTHS - 1u) & (EIGHTHS - 1);
	c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, step);
}

/*
 * The last probe was not sent, for lack of a buffer or of room in the port's ring: not the path's
 * fault.
 */
static bool held_up(const struct mt_tcp_conn *c)
{
	if (!(c->flags & MT_CF_PROBE_DUE))
		return false;
	if (c->flags & MT_CF_WAITS)
		return c->wait_for < MT_TCP_WAIT_NEIGH;
	return c->at[MT_TCP_AT_ACK] != 0;
}

/*
 * True if answers may lie in the queues of a worker that has not polled them since the last probe
 * but one.
 */
static bool is_unfed(const struct mt_tcp *t, uint32_t step)
{
	return !mt_steer_is_fed(t->steer, t->worker, t->now - 2 * step * (uint64_t)MT_MSEC);
}

static void end(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_note(t, MT_TCP_path_silent);
	mt_tcp_conn_fail(t, c, MT_CLOSE_TIMEOUT);
	/* If the path recovers, the RST keeps the peer from processing what was sent. */
	c->flags |= MT_CF_RST_DUE;
	mt_tcp_mark(t, c);
}

void mt_tcp_ask_path(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t step = step_of(t, c), gone = c->doubts + 1u;

	if (!c->retries || t->now_ms - c->rcvd_ms < gone * step)
		return; /* the probe was answered; the next timeout starts again */
	if (held_up(c)) {
		c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, step);
		return;
	}
	if (is_unfed(t, step)) {
		c->doubts = 0; /* that worker needs time to hand over what arrived meanwhile */
		c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, step);
		return;
	}
	if (gone == EIGHTHS) {
		end(t, c);
		return;
	}
	c->doubts = gone & (EIGHTHS - 1);
	c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, step);
	c->flags |= MT_CF_PROBE_DUE;
	mt_tcp_note(t, MT_TCP_path_probes);
	mt_tcp_mark(t, c);
}
