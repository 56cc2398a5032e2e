/* SPDX-License-Identifier: Apache-2.0 */
/* When a row of explained.def explains a difference. */
#include "rules.h"

#define LAG 65535u

static bool is_closing(uint8_t kernel)
{
	return kernel >= CT_FIN_WAIT && kernel <= CT_TIME_WAIT;
}

static bool is_syn(const struct ct_event *e)
{
	return e->g->from == 0 && e->g->flags == CT_SYN;
}

bool ct_flags_bad(const struct ct_event *e)
{
	return ct_is_bad(e->g->flags) && e->k == e->k0;
}

bool ct_server_opens(const struct ct_event *e)
{
	return e->g->from == 1 && e->g->flags == CT_SYN && e->l == e->l0 &&
	       (e->k == CT_SYN_SENT2 || e->k == CT_REVERSED);
}

bool ct_reset_in_time_wait(const struct ct_event *e)
{
	return e->g->flags & CT_RST && e->l0 == MT_L4_TIME_WAIT && e->l == MT_L4_TIME_WAIT &&
	       (e->k == CT_CLOSE || e->k == CT_NONE);
}

bool ct_reset_inexact(const struct ct_event *e)
{
	return e->l == MT_L4_RESET && !e->now.accepted && e->k != CT_CLOSE &&
	       (e->g->flags & CT_RST || e->g->from == e->now.reset_by);
}

/* The state that the flow had before a reset, changed by the segment that restores it. */
static bool is_restored(const struct ct_event *e)
{
	if (e->now.handshake == CT_COMPLETE)
		return e->l == ct_closing(&e->now);
	if (e->now.kept && e->l == MT_L4_ESTABLISHED)
		return true;
	return e->l == (e->now.handshake == CT_SYN_SEEN ? MT_L4_SYN_SENT : MT_L4_SYN_RECEIVED);
}

bool ct_reset_undone(const struct ct_event *e)
{
	if (!e->now.accepted || !is_restored(e) || is_syn(e))
		return false;
	/* Also after a SYN that the ends did not accept either. */
	return e->l0 == MT_L4_RESET ? e->g->from != e->was.reset_by
				    : e->l0 == MT_L4_SYN_SENT && e->was.syn_since;
}

bool ct_reset_missed(const struct ct_event *e)
{
	return e->l0 == MT_L4_RESET && e->was.missed && !e->was.accepted && is_restored(e);
}

bool ct_syn_after_reset(const struct ct_event *e)
{
	return e->l == MT_L4_SYN_SENT && e->now.syn_since && e->now.handshake == CT_SYN_SEEN;
}

bool ct_syn_ack_of_nothing(const struct ct_event *e)
{
	return e->k == CT_SYN_RECV && e->l == e->l0 && e->g->from == 1 &&
	       e->g->flags == (CT_SYN | CT_ACK) && e->now.syn_end - e->g->ack > LAG;
}

bool ct_handshake_ack(const struct ct_event *e)
{
	return e->l == MT_L4_SYN_RECEIVED && e->k0 == CT_SYN_RECV && e->g->from == 0 &&
	       !(e->g->flags & (CT_SYN | CT_RST)) && e->g->ack - e->now.syn_ack_end > LAG;
}

bool ct_before_handshake(const struct ct_event *e)
{
	return e->l == MT_L4_SYN_RECEIVED && e->k == CT_FIN_WAIT && e->g->from == 1 &&
	       e->g->flags & CT_FIN;
}

bool ct_fin_again(const struct ct_event *e)
{
	return e->l == MT_L4_HALF_CLOSED && ct_closing(&e->now) == e->l && e->now.again &&
	       (e->k == CT_LAST_ACK || e->k == CT_TIME_WAIT);
}

bool ct_fin_not_acked(const struct ct_event *e)
{
	return e->l == MT_L4_CLOSING && ct_closing(&e->now) == e->l && e->k == CT_TIME_WAIT;
}

bool ct_fin_taken_back(const struct ct_event *e)
{
	return e->now.taken_back && ct_closing(&e->now) == e->l && is_closing(e->k);
}

bool ct_ack_after_syn(const struct ct_event *e)
{
	return e->l == MT_L4_TIME_WAIT && ct_closing(&e->now) == e->l && e->k == CT_LAST_ACK;
}

/* A SYN that is newer than the connection that has ended. */
static bool is_newer(const struct ct_event *e)
{
	return ct_is_after(e->g->seq, e->was.fin_end[0]) ||
	       (e->g->stamp && ct_is_after(e->g->stamp, e->was.stamp));
}

bool ct_old_syn(const struct ct_event *e)
{
	return e->l == MT_L4_TIME_WAIT && e->k == CT_SYN_SENT && e->now.syn_again &&
	       !(is_syn(e) && is_newer(e));
}

bool ct_syn_before_end(const struct ct_event *e)
{
	return e->k == CT_SYN_SENT && e->now.syn_again && e->l == ct_closing(&e->now) &&
	       (e->l == MT_L4_HALF_CLOSED || e->l == MT_L4_CLOSING || e->now.taken_back);
}

bool ct_opened_again(const struct ct_event *e)
{
	return e->l == MT_L4_ESTABLISHED && e->k == CT_SYN_RECV && e->was.kept &&
	       ct_closing(&e->now) == e->l;
}

/* The server answers a SYN after the handshake, and the kernel does not notice. */
static bool is_unnoticed(const struct ct_event *e)
{
	return (e->l == MT_L4_SYN_RECEIVED || (e->l == MT_L4_ESTABLISHED && e->was.kept)) &&
	       e->k == e->k0 && e->g->flags == (CT_SYN | CT_ACK) && e->g->from == 1 &&
	       (e->was.syn_again || e->was.syn_since) && e->now.handshake == CT_SYN_ACK_SEEN;
}

bool ct_late_syn_ack(const struct ct_event *e)
{
	return is_unnoticed(e) && !e->was.syn_is_last;
}

bool ct_syn_ack_of_part(const struct ct_event *e)
{
	return is_unnoticed(e) && e->g->ack != e->now.syn_end;
}

bool ct_answer_to_first(const struct ct_event *e)
{
	const struct ct_history *h = &e->was;

	return (e->l == MT_L4_SYN_RECEIVED || (e->l == MT_L4_ESTABLISHED && h->kept)) &&
	       e->k == e->k0 && e->g->flags == (CT_SYN | CT_ACK) && e->g->from == 1 &&
	       h->unanswered && e->g->ack - h->first_syn <= h->first_end - h->first_syn;
}

bool ct_data_after_end(const struct ct_event *e)
{
	return e->l0 == MT_L4_TIME_WAIT && (e->l == MT_L4_HALF_CLOSED || e->l == MT_L4_CLOSING) &&
	       e->g->from == 0 && !(e->g->flags & (CT_SYN | CT_RST)) &&
	       ct_is_after(ct_end(e->g), e->was.fin_end[0]);
}
