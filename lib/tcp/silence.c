/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A path that is silent: for a stream with silent_ms, and something that waits for an answer, as long as nothing
 * comes for that time, or for three retransmission timeouts if they are longer. Those as the path was measured, not as
 * they were doubled: in a second, three doubled ones let three copies of a lone request go, and where one packet in ten
 * is lost each way, all of them or their ACKs are lost once in 150 times. So the path is asked eight times meanwhile, by
 * one octet of what waits; then it is once in some 100,000. What the back-off of RFC 6298 §5.5 protects is safe:
 * the connection ends by it, and sends nothing more.
 */
#include "mt_tcp_priv.h"

#define EIGHTHS 8
/* Linux answers two probes without data in a second, so they need more time; least if data goes again meanwhile. */
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

/* The last probe has not left, for want of a buffer or of a place in the port's ring: the path is not to blame. */
static bool held_up(const struct mt_tcp_conn *c)
{
	if (!(c->flags & MT_CF_PROBE_DUE))
		return false;
	if (c->flags & MT_CF_WAITS)
		return c->wait_for != MT_TCP_WAIT_NEIGH;
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
	/* Should it come back, what was sent need not be served. */
	c->flags |= MT_CF_RST_DUE;
	mt_tcp_mark(t, c);
}

void mt_tcp_ask_path(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t step = step_of(t, c), gone = c->doubts + 1u;

	if (!c->retries || t->now_ms - c->rcvd_ms < gone * step)
		return; /* it was answered; the next timeout doubts again */
	if (held_up(c)) {
		c->at[MT_TCP_AT_LIMIT] = mt_tcp_in(t, step);
		return;
	}
	if (is_unfed(t, step)) {
		c->doubts = 0; /* that worker needs time to hand over what has come meanwhile */
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
