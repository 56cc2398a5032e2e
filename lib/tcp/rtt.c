/* SPDX-License-Identifier: Apache-2.0 */
/* Round-trip time and retransmission timeout (RFC 6298 §2). */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define RTO_MAX_MS 60000u

void mt_tcp_rto_reset(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t ms;

	if (c->srtt_us == 0) {
		c->rto_ms = 1000;
		return;
	}
	ms = (c->srtt_us + MT_MAX(1000u, 4 * c->rttvar_us)) / 1000;
	c->rto_ms = MT_MIN(MT_MAX(ms, t->conf.min_rto_ms), RTO_MAX_MS);
}

/* A minimum that slowly increases: a path that became longer shows within some thousand samples. */
static void note_min(struct mt_tcp_conn *c, uint32_t us)
{
	if (c->min_rtt_us == 0 || us < c->min_rtt_us)
		c->min_rtt_us = us;
	else
		c->min_rtt_us += (us - c->min_rtt_us) >> 10;
}

void mt_tcp_rtt_sample(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t us)
{
	note_min(c, us);
	if (c->srtt_us == 0) {
		c->srtt_us = us; /* §2.2 */
		c->rttvar_us = mt_mutant(MT_BREAK_rttvar_not_halved) ? us : us / 2;
	} else {
		uint32_t err = us > c->srtt_us ? us - c->srtt_us : c->srtt_us - us;

		c->rttvar_us = c->rttvar_us - c->rttvar_us / 4 + err / 4; /* §2.3 */
		c->srtt_us = MT_MAX(c->srtt_us - c->srtt_us / 8 + us / 8, 1u);
	}
	mt_tcp_rto_reset(t, c);
}

/*
 * A buffer has the time of its last segment, so it gives a sample only when it is acknowledged
 * completely.
 */
uint32_t mt_tcp_rtt_newest(const struct mt_tcp *t, const struct mt_tcp_conn *c, uint32_t bytes)
{
	const struct rte_mbuf *m = c->tx.head;
	const struct mt_link *l, *whole = NULL;
	int32_t us;

	for (; m && mt_link(m)->len <= bytes; m = l->next) {
		l = whole = mt_link(m);
		bytes -= l->len;
	}
	if (!whole || whole->mark & MT_TX_RETRANS)
		return 0;
	us = (int32_t)(t->now_us - (uint32_t)whole->mark);
	return (uint32_t)MT_MAX(us, 1);
}

uint32_t mt_tcp_rto_base(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	/* otherwise retries counts window probes */
	uint32_t doubled = mt_tcp_flight(c) ? c->retries : 0;

	return MT_MAX(c->rto_ms >> MT_MIN(doubled, 31u), t->conf.min_rto_ms);
}

void mt_tcp_rto_backoff(struct mt_tcp_conn *c)
{
	if (mt_mutant(MT_BREAK_rto_not_doubled))
		return;
	c->rto_ms = MT_MIN(c->rto_ms * 2, RTO_MAX_MS); /* §5.5 */
}
