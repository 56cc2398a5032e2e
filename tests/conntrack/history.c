/* SPDX-License-Identifier: Apache-2.0 */
/* A connection by the numbers of its segments, for the rules. */
#include "rules.h"

#include <string.h>

/* As much an acknowledgement may differ from the number that it answers in a handshake. */
#define LAG 65535u

bool ct_is_bad(uint8_t flags)
{
	return !(flags & (CT_SYN | CT_ACK | CT_RST)) ||
	       ((flags & CT_SYN) && (flags & (CT_FIN | CT_RST)));
}

uint8_t ct_closing(const struct ct_history *h)
{
	if (h->fin[0] && h->fin[1])
		return h->acked[0] && h->acked[1] ? MT_L4_TIME_WAIT : MT_L4_CLOSING;
	return h->fin[0] || h->fin[1] ? MT_L4_HALF_CLOSED : MT_L4_ESTABLISHED;
}

static void forget_fins(struct ct_history *h)
{
	memset(h->fin, 0, sizeof(h->fin));
	memset(h->acked, 0, sizeof(h->acked));
	h->again = h->taken_back = false;
}

static void add_reset(struct ct_event *e)
{
	struct ct_history *h = &e->now;

	if (e->l0 == MT_L4_TIME_WAIT)
		return;
	if (e->l0 != MT_L4_RESET) {
		h->reset_by = e->g->from;
		h->before = e->l0;
		h->missed = false;
	}
	h->reset = true;
	h->accepted = e->k == CT_CLOSE || e->k == CT_NONE;
}

static void add_syn(struct ct_event *e)
{
	struct ct_history *h = &e->now;

	h->syn_end = ct_end(e->g);
	/* In TIME-WAIT the SYN has begun another flow, which knows no other SYN. */
	if (!h->unanswered || (e->l0 == MT_L4_TIME_WAIT && e->l == MT_L4_SYN_SENT)) {
		h->first_syn = e->g->seq + 1;
		h->first_end = h->syn_end;
	}
	h->unanswered = true;
	h->syn_again |= h->kept || h->handshake == CT_COMPLETE;
	h->syn_since |= h->reset;
	if (e->l == MT_L4_SYN_SENT)
		h->handshake = CT_SYN_SEEN;
}

static bool answers_first(const struct ct_history *h, uint32_t ack)
{
	return h->unanswered && ack - h->first_syn <= h->first_end - h->first_syn;
}

/* The server may have answered the client's SYN or a forged one, and the other one follows. */
static void note_answer(struct ct_history *h, uint32_t ack)
{
	bool last = h->syn_end - ack <= LAG;

	h->unanswered = h->unanswered && !(last && answers_first(h, ack));
	if (last)
		return;
	h->first_syn = h->first_end = h->syn_end;
	h->syn_end = ack;
}

static void add_syn_ack(struct ct_event *e)
{
	struct ct_history *h = &e->now;
	uint32_t end = ct_end(e->g);

	if (h->syn_end - e->g->ack > LAG && !answers_first(h, e->g->ack))
		return;
	if (h->handshake == CT_COMPLETE && !h->syn_again)
		return;
	note_answer(h, e->g->ack);
	h->other_syn_ack_end = h->handshake == CT_SYN_ACK_SEEN ? h->syn_ack_end : end;
	h->handshake = CT_SYN_ACK_SEEN;
	h->syn_ack_end = end;
	h->reset = h->syn_since = h->syn_again = false;
	forget_fins(h);
}

static void add_fins(struct ct_history *h, const struct ct_segment *g)
{
	uint8_t own = g->from, other = !own;
	uint32_t end = ct_end(g);

	if (g->flags & CT_FIN) {
		h->again |= h->fin[own];
		if (!h->fin[own] || ct_is_after(end, h->fin_end[own])) {
			h->fin[own] = true;
			h->fin_end[own] = end;
			h->acked[own] = false;
		}
	} else if (h->fin[own] && ct_is_after(end, h->fin_end[own])) {
		h->fin[own] = h->acked[own] = false;
		h->taken_back = true;
	}
	if (h->fin[other] && g->flags & CT_ACK && !ct_is_after(h->fin_end[other], g->ack))
		h->acked[other] = true;
}

static void add_other(struct ct_event *e)
{
	const struct ct_segment *g = e->g;
	struct ct_history *h = &e->now;

	/* The ends of an older connection go on, because they have accepted no other one. */
	if (h->kept)
		h->handshake = CT_COMPLETE;
	if (h->handshake == CT_SYN_ACK_SEEN && g->from == 0 &&
		(g->ack - h->syn_ack_end <= LAG || g->ack - h->other_syn_ack_end <= LAG))
		h->handshake = CT_COMPLETE;
	if (h->handshake == CT_COMPLETE && e->l0 == MT_L4_SYN_RECEIVED)
		h->syn_again = h->unanswered = false;
	/* A connection that has ended stays so. */
	if (h->handshake == CT_COMPLETE && ct_closing(h) != MT_L4_TIME_WAIT)
		add_fins(h, g);
	h->kept = h->handshake == CT_COMPLETE && ct_closing(h) != MT_L4_TIME_WAIT;
}

void ct_history_add(struct ct_event *e)
{
	const struct ct_segment *g = e->g;
	struct ct_history *h = &e->now;
	bool syn = g->from == 0 && g->flags == CT_SYN;

	h->syn_is_last = syn;
	if (e->l0 == MT_L4_RESET && g->from == h->reset_by && !syn && !(g->flags & CT_RST))
		h->missed = true;
	else if (g->flags & CT_RST)
		add_reset(e);
	else if (syn)
		add_syn(e);
	else if (g->from == 1 && g->flags == (CT_SYN | CT_ACK))
		add_syn_ack(e);
	else if (!(g->flags & CT_SYN))
		add_other(e);
	if (g->from == 0 && g->stamp)
		h->stamp = g->stamp;
}
