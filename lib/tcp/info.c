/* SPDX-License-Identifier: Apache-2.0 */
/* Information for the shell, and the outcome rows. */
#include "mt_tcp_priv.h"

#include <errno.h>
#include <stdio.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "tcp_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_tcp_outcomes = {"tcp", rows, MT_ARRAY_LEN(rows)};

void mt_tcp_set_trace(struct mt_tcp *t, struct mt_trace *trace)
{
	t->trace = trace;
}

uint64_t *mt_tcp_counters(struct mt_tcp *t)
{
	return t->counters;
}

struct mt_transport *mt_tcp_transport(struct mt_tcp *t)
{
	return &t->transport;
}

const struct mt_tuple *mt_tcp_ends(const struct mt_stream *s)
{
	return &mt_container_of(s, struct mt_tcp_conn, s)->tuple;
}

uint32_t mt_tcp_room(const struct mt_stream *s)
{
	const struct mt_tcp_conn *c = mt_container_of(s, struct mt_tcp_conn, s);
	uint32_t admitted = MT_MIN(c->cc.cwnd, c->snd_wnd) + MT_STREAM_AHEAD;

	return c->tx.len < admitted ? admitted - c->tx.len : 0;
}

/* Outstanding data may end with the FIN; a SYN is not a byte of the stream. */
void mt_tcp_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	const struct mt_tcp_conn *c = mt_container_of(s, struct mt_tcp_conn, s);
	uint32_t fin = (c->flags & (MT_CF_FIN_SENT | MT_CF_FIN_ACKED)) == MT_CF_FIN_SENT;
	bool syn = c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD;

	pos->acked = c->bytes_out;
	pos->sent = pos->acked + (syn ? 0 : mt_tcp_flight(c) - fin);
	pos->accepted = pos->acked + c->tx.len;
}

int mt_tcp_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct mt_tcp_conn *c = mt_container_of(s, struct mt_tcp_conn, s);
	uint64_t una = c->bytes_out;

	if (first < una || last > una + c->tx.len)
		return -ENODATA;
	return mt_chain_copy(
		&c->tx, (uint32_t)(first - una), (uint32_t)(last - first), to, mt_tcp_of(s)->pools);
}

/* Position of `seq` in the stream's bytes, of which the FIN is not one. */
static uint64_t position(const struct mt_tcp_conn *c, const struct mt_stream_pos *pos, uint32_t seq)
{
	uint32_t una = c->snd_una - (c->flags & MT_CF_FIN_ACKED ? 1 : 0);

	return MT_MIN(pos->acked + (uint64_t)(int64_t)(int32_t)(seq - una), pos->sent);
}

void mt_tcp_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	const struct mt_tcp_conn *c = mt_container_of(s, struct mt_tcp_conn, s);
	const struct mt_tcp *t = mt_tcp_of(s);

	*e = (struct mt_stream_end){
		.fin = s->rx_eof,
		.quiet = s->rx_eof && t->now_ms - c->rcvd_ms > mt_tcp_rto_base(t, c),
		.reset = c->state == MT_TCP_CLOSED && c->reason == MT_CLOSE_RESET,
		.reset_ack = c->flags & MT_CF_RST_ACK,
	};
	mt_tcp_positions(s, &e->pos);
	e->resent = position(c, &e->pos, mt_tcp_resent_to(t, c));
	if (e->fin)
		e->fin_acked = position(c, &e->pos, c->fin_una);
	if (e->reset_ack)
		e->reset_acked = position(c, &e->pos, c->rst_ack);
}

static void fill(const struct mt_tcp *t, const struct mt_tcp_conn *c, struct mt_tcp_info *info)
{
	const struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);

	*info = (struct mt_tcp_info){
		.index = mt_slab_idx(&t->conns, c),
		.born_ms = c->born_ms,
		.stream = &c->s,
		.tuple = c->tuple,
		.accepted = !(c->flags & MT_CF_ACTIVE),
		.snd_cwnd = c->cc.cwnd,
		.snd_wnd = c->snd_wnd,
		.rcv_wnd = mt_tcp_rcv_wnd(c),
		.srtt_us = c->srtt_us,
		.rto_ms = c->rto_ms,
		.retransmits = c->retransmits,
		.ssthresh = c->cc.ssthresh >= MT_CC_SSTHRESH_INF ? UINT32_MAX : c->cc.ssthresh,
		.rttvar_us = c->rttvar_us,
		.min_rtt_us = c->min_rtt_us,
		.mss = c->cc.mss,
		.unacked = mt_tcp_flight(c),
		.lost = l ? l->lost : 0,
		.timeouts = c->retries,
		.zero_windows = c->zero_windows,
		.rx_bytes = c->s.rx.len,
		.tx_bytes = c->tx.len,
		.ooo_bytes = o ? o->bytes : 0,
		.bytes_in = c->bytes_in,
		.bytes_out = c->bytes_out,
		.age_ns = (uint64_t)(t->now_ms - c->born_ms) * MT_MSEC,
	};
	snprintf(info->state, sizeof(info->state), "%s",
		mt_tcp_state_name((enum mt_tcp_state)c->state));
}

bool mt_tcp_info_next(struct mt_tcp *t, uint32_t *idx, struct mt_tcp_info *info)
{
	const struct mt_tcp_conn *c;

	while ((c = mt_slab_next(&t->conns, idx))) {
		if (c->flags & MT_CF_DEAD)
			continue;
		fill(t, c, info);
		return true;
	}
	return false;
}

uint32_t mt_tcp_slabs(const struct mt_tcp *t, const struct mt_slab **slabs, uint32_t max)
{
	const struct mt_slab *all[] = {&t->conns, &t->halves, &t->tws, &t->ooos, &t->losses};
	uint32_t n = MT_MIN(max, (uint32_t)MT_ARRAY_LEN(all));

	for (uint32_t i = 0; i < n; i++)
		slabs[i] = all[i];
	return n;
}

uint32_t mt_tcp_conn_bytes(void)
{
	/* Buckets of eight are about five eighths full; a slab keeps two numbers per object. */
	return sizeof(struct mt_tcp_conn) + sizeof(struct mt_table_bucket) / 5 +
	       3 * sizeof(uint32_t);
}

const struct mt_table *mt_tcp_table(const struct mt_tcp *t)
{
	return &t->table;
}

void mt_tcp_counts(
	const struct mt_tcp *t, uint32_t *conns, uint32_t *half_open, uint32_t *time_wait)
{
	*conns = t->conns.in_use - t->n_dead;
	*half_open = t->halves.in_use;
	*time_wait = t->tw_live;
}
