/* SPDX-License-Identifier: Apache-2.0 */
/* What lib/tcp's segments and events are, in words of the table. */
#include "cells.h"

#include "mt_tcp_priv.h"

uint32_t sim_isn_near;

uint32_t mt_tcp_cell_isn(uint32_t isn)
{
	return sim_isn_near ? sim_isn_near - (isn & 0x7fff) : isn;
}

void mt_tcp_cell(uint32_t state, enum mt_tcp_cell_event e)
{
	sim_cell(state, (enum sim_cell)(CELL_OTHER + e));
}

bool sim_view_of(enum mt_tcp_state state, const void *object, struct sim_view *v)
{
	if (state == MT_TCP_HALF_OPEN) {
		const struct mt_tcp_half *h = object;

		*v = (struct sim_view){.una = h->iss, .nxt = h->iss + 1, .rcv = h->irs + 1};
		v->edge = v->rcv + 8192;
		v->ts = h->has_ts;
		v->ts_recent = h->ts_recent;
	} else if (state == MT_TCP_TIME_WAIT) {
		const struct mt_tcp_tw *tw = object;

		*v = (struct sim_view){.una = tw->snd_nxt, .nxt = tw->snd_nxt, .rcv = tw->rcv_nxt};
		v->edge = v->rcv;
		v->ts = tw->ts_recent;
		v->ts_recent = tw->ts_recent;
	} else if (object) {
		const struct mt_tcp_conn *c = object;

		*v = (struct sim_view){.una = c->snd_una, .nxt = c->snd_nxt, .rcv = c->rcv_nxt};
		v->edge = c->rcv_nxt + mt_tcp_rcv_wnd(c);
		v->snd_wnd = c->snd_wnd;
		v->scale = c->snd_scale;
		v->ts = c->flags & MT_CF_TS;
		v->ts_recent = c->ts_recent;
		v->oldest = MT_MAX(c->max_wnd, 65535u);
	}
	return object && state != MT_TCP_SYN_SENT;
}

static enum sim_cell reset(
	enum mt_tcp_state state, bool known, const struct sim_view *v, const struct mt_tcp_seg *seg)
{
	if (state == MT_TCP_SYN_SENT)
		return seg->flags & MT_TCP_ACK && seg->ack == v->nxt ? CELL_RST_EXACT
								     : CELL_RST_OUT;
	if (!known)
		return CELL_RST_OUT;
	if (seg->seq == v->rcv)
		return CELL_RST_EXACT;
	return mt_seq_gt(seg->seq, v->rcv) && mt_seq_leq(seg->seq, v->edge) ? CELL_RST_IN_WINDOW
									    : CELL_RST_OUT;
}

static void place(enum mt_tcp_state state, const struct sim_view *v, const struct mt_tcp_seg *seg)
{
	uint32_t end = seg->seq + seg->len;

	if (seg->flags & MT_TCP_FIN)
		sim_cell(state, end == v->rcv || seg->seq == v->rcv ? CELL_FIN
				: mt_seq_gt(end, v->rcv)	    ? CELL_FIN_AHEAD
								    : CELL_FIN_OLD);
	if (seg->len == 0) {
		if (!(seg->flags & MT_TCP_FIN))
			sim_cell(state, CELL_EMPTY);
	} else if (seg->seq == v->rcv) {
		sim_cell(state, CELL_IN_ORDER);
	} else if (mt_seq_gt(seg->seq, v->rcv)) {
		sim_cell(state, mt_seq_lt(seg->seq, v->edge) ? CELL_AHEAD : CELL_BEYOND);
	} else {
		sim_cell(state, mt_seq_gt(end, v->rcv) ? CELL_OVERLAP : CELL_OLD);
	}
}

static void window(enum mt_tcp_state state, const struct sim_view *v, const struct mt_tcp_seg *seg)
{
	uint32_t wnd = (uint32_t)seg->wnd << v->scale;

	if (wnd == 0)
		sim_cell(state, CELL_WND_ZERO);
	if (seg->ack == v->una && wnd > v->snd_wnd)
		sim_cell(state, CELL_WND_UPDATE);
	if (mt_seq_geq(seg->ack, v->una) && mt_seq_lt(seg->ack + wnd, v->una + v->snd_wnd))
		sim_cell(state, CELL_WND_SHRUNK);
}

static void acknowledges(
	enum mt_tcp_state state, const struct sim_view *v, const struct mt_tcp_seg *seg)
{
	if (mt_seq_gt(seg->ack, v->nxt))
		sim_cell(state, CELL_ACK_UNSENT);
	else if (mt_seq_gt(seg->ack, v->una))
		sim_cell(state, CELL_ACK_NEW);
	else if (mt_seq_lt(seg->ack, v->una - v->oldest))
		sim_cell(state, CELL_ACK_ANCIENT);
	else if (mt_seq_lt(seg->ack, v->una))
		sim_cell(state, CELL_ACK_OLD);
	else if (v->una != v->nxt && seg->len == 0 && !(seg->flags & MT_TCP_FIN))
		sim_cell(state, CELL_ACK_DUP);
	if (seg->n_sack)
		sim_cell(state, mt_seq_leq(seg->sack[0].end, seg->ack) ? CELL_DSACK : CELL_SACK);
	if (seg->flags & MT_TCP_ECE)
		sim_cell(state, CELL_ECE);
	if (seg->flags & MT_TCP_CWR)
		sim_cell(state, CELL_CWR);
}

void mt_tcp_cell_segment(enum mt_tcp_state state, const void *object, const struct mt_tcp_seg *seg)
{
	struct sim_view v = {0};
	bool known = sim_view_of(state, object, &v);

	if (seg->has & MT_TCP_HAS_CE)
		sim_cell(state, CELL_CE);
	if (seg->flags & MT_TCP_RST) {
		sim_cell(state, reset(state, known, &v, seg));
	} else if (seg->flags & MT_TCP_SYN) {
		sim_cell(state, seg->flags & MT_TCP_ACK ? CELL_SYN_ACK : CELL_SYN);
	} else if (!(seg->flags & MT_TCP_ACK)) {
		sim_cell(state, CELL_NO_ACK);
	} else if (!known) {
		sim_cell(state, seg->len		  ? CELL_BEYOND
				: seg->flags & MT_TCP_FIN ? CELL_FIN_AHEAD
							  : CELL_EMPTY);
	} else if (v.ts && !(seg->has & MT_TCP_HAS_TS)) {
		sim_cell(state, CELL_TS_MISSING);
	} else if (v.ts && mt_seq_lt(seg->tsval, v.ts_recent)) {
		sim_cell(state, CELL_PAWS);
	} else {
		place(state, &v, seg);
		acknowledges(state, &v, seg);
		window(state, &v, seg);
	}
}
