/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a sequence: a connection that opens, carries data and closes by its own numbers, mixed with
 * retransmissions, reordering and segments that a forger, a restarted host or an old connection
 * sends.
 */
#include "conntrack.h"
#include "mt_rand.h"

#include <string.h>

enum phase { CLOSED, SYN_IS_SENT, SYN_ACK_IS_SENT, OPEN };

struct talk {
	struct mt_rand r;
	struct ct_sequence *q;
	uint32_t next[2]; /* number that the side sends next */
	uint32_t got[2];  /* number that it expects next */
	bool fin[2];	  /* it has sent its FIN */
	uint32_t stamp;	  /* of the client; 0: no timestamps */
	enum phase phase;
};

static uint32_t below(struct talk *t, uint32_t n)
{
	return mt_rand_below(&t->r, n);
}

static void put(struct talk *t, struct ct_segment g)
{
	if (t->q->n == CT_SEGMENTS)
		return;
	if (!(g.flags & CT_ACK))
		g.ack = 0;
	if (t->stamp && g.from == 0)
		g.stamp = t->stamp += below(t, 3);
	t->q->at[t->q->n++] = g;
}

/* Sends what is next; one segment of twelve is lost after the node. */
static void send(struct talk *t, uint8_t from, uint8_t flags, uint16_t len)
{
	struct ct_segment g = {.seq = t->next[from],
		.ack = t->got[from],
		.len = len,
		.from = from,
		.flags = flags};

	put(t, g);
	t->next[from] = ct_end(&g);
	t->fin[from] |= (flags & CT_FIN) != 0;
	if (below(t, 12))
		t->got[!from] = t->next[from];
}

/* A segment of this side that does not belong to the connection. */
static void stray(struct talk *t, uint8_t from, uint8_t flags, uint32_t seq, uint32_t ack)
{
	put(t, (struct ct_segment){.seq = seq, .ack = ack, .from = from, .flags = flags});
}

/* ---- what the ends do ------------------------------------------------------------------------ */

static void open_again(struct talk *t)
{
	static const int32_t ahead[] = {1, 5000, 1 << 30, -5000, -(1 << 30)};

	t->next[0] += (uint32_t)ahead[below(t, 5)];
	if (t->stamp && below(t, 4) == 0)
		t->stamp -= 1000;
	t->fin[0] = t->fin[1] = false;
	t->phase = SYN_IS_SENT;
	send(t, 0, CT_SYN, 0);
	t->got[1] = t->next[0];
}

static void answer(struct talk *t)
{
	t->next[1] = (uint32_t)mt_rand_u64(&t->r);
	t->phase = SYN_ACK_IS_SENT;
	send(t, 1, CT_SYN | CT_ACK, 0);
	t->got[0] = t->next[1];
}

static void go_on(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);
	uint32_t what = below(t, 100);

	if (t->fin[0] && t->fin[1] && what < 30)
		open_again(t);
	else if (t->fin[from] || what < 35)
		send(t, from, CT_ACK, 0);
	else if (what < 70)
		send(t, from, CT_ACK, (uint16_t)(1 + below(t, 100)));
	else
		send(t, from, CT_FIN | CT_ACK, (uint16_t)(below(t, 3) ? 0 : 10));
}

static void advance(struct talk *t)
{
	switch (t->phase) {
	case CLOSED:
		open_again(t);
		break;
	case SYN_IS_SENT:
		answer(t);
		break;
	case SYN_ACK_IS_SENT:
		t->phase = OPEN;
		send(t, 0, CT_ACK, (uint16_t)(below(t, 3) ? 0 : 50));
		break;
	case OPEN:
		go_on(t);
	}
}

/* ---- what else arrives ----------------------------------------------------------------------- */

static void retransmission(struct talk *t)
{
	struct ct_segment g;

	if (t->q->n == 0)
		return;
	g = t->q->at[below(t, t->q->n)];
	put(t, g);
	t->got[!g.from] = t->next[g.from];
}

static void reset(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);

	stray(t, from, CT_RST | (below(t, 2) ? CT_ACK : 0), t->got[!from], t->got[from]);
	if (below(t, 2))
		t->phase = CLOSED;
}

static void inexact_reset(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);
	uint32_t off = below(t, 2) ? 1 + below(t, 1000) : (uint32_t)mt_rand_u64(&t->r);

	stray(t, from, CT_RST, t->got[!from] + off, 0);
}

static void refusal(struct talk *t)
{
	stray(t, 1, CT_RST | CT_ACK, 0, t->next[0]);
	if (t->phase == SYN_IS_SENT)
		t->phase = CLOSED;
}

/* One of a forger, or of a client that has forgotten its connection. */
static void another_syn(struct talk *t)
{
	if (below(t, 2))
		open_again(t);
	else
		stray(t, 0, CT_SYN, (uint32_t)mt_rand_u64(&t->r), 0);
}

static void odd_syn(struct talk *t)
{
	switch (below(t, 3)) {
	case 0:
		stray(t, 1, CT_SYN, (uint32_t)mt_rand_u64(&t->r), 0);
		break;
	case 1:
		stray(t, 1, CT_SYN | CT_ACK, t->next[1], t->next[0] + 1 + below(t, 1000));
		break;
	default:
		stray(t, 0, CT_SYN | CT_ACK, t->next[0], t->got[0]);
	}
}

static void challenge(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);

	stray(t, from, CT_ACK, t->next[from], t->got[from]);
}

/* Numbers outside the windows of both ends. */
static void outside(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);
	uint32_t far = 200000 + below(t, 1u << 30);
	bool seq = below(t, 2);

	stray(t, from, CT_ACK | (below(t, 4) ? 0 : CT_FIN), t->next[from] + (seq ? far : 0),
		t->got[from] + (seq ? 0 : far));
}

static void beyond_fin(struct talk *t)
{
	uint8_t from = (uint8_t)below(t, 2);

	put(t, (struct ct_segment){.seq = t->next[from],
		       .ack = t->got[from],
		       .len = 20,
		       .from = from,
		       .flags = CT_ACK});
	t->next[from] += 20;
	t->fin[from] = false;
}

static void bad_flags(struct talk *t)
{
	static const uint8_t flags[] = {
		0, CT_FIN, CT_SYN | CT_FIN, CT_SYN | CT_RST, CT_SYN | CT_ACK | CT_FIN};
	uint8_t from = (uint8_t)below(t, 2);

	stray(t, from, flags[below(t, sizeof(flags))], t->next[from], t->got[from]);
}

static const struct {
	void (*make)(struct talk *t);
	uint32_t weight;
} disturbances[] = {{retransmission, 10}, {reset, 4}, {inexact_reset, 3}, {refusal, 1},
	{another_syn, 5}, {odd_syn, 2}, {challenge, 5}, {outside, 2}, {beyond_fin, 1},
	{bad_flags, 1}};

static void disturb(struct talk *t)
{
	uint32_t sum = 0, at;

	for (size_t i = 0; i < MT_ARRAY_LEN(disturbances); i++)
		sum += disturbances[i].weight;
	at = below(t, sum);
	for (size_t i = 0; i < MT_ARRAY_LEN(disturbances); i++) {
		if (at < disturbances[i].weight) {
			disturbances[i].make(t);
			return;
		}
		at -= disturbances[i].weight;
	}
}

void ct_make(uint64_t seed, struct ct_sequence *q)
{
	struct talk t = {.q = q};
	uint32_t n, disturbed, at;
	struct ct_segment g;

	mt_rand_seed(&t.r, seed);
	*q = (struct ct_sequence){.seed = seed};
	t.next[0] = (uint32_t)mt_rand_u64(&t.r);
	t.stamp = below(&t, 3) ? 0 : 1000000;
	n = 4 + below(&t, CT_SEGMENTS - 4);
	disturbed = below(&t, 3) * 15; /* of 100 segments */
	if (below(&t, 40) == 0)
		stray(&t, 0, CT_ACK, t.next[0], 1);
	open_again(&t);
	while (q->n < n)
		if (below(&t, 100) < disturbed)
			disturb(&t);
		else
			advance(&t);
	if (below(&t, 4) || q->n < 3)
		return;
	/* Two neighbours arrive in the other order. */
	at = 1 + below(&t, q->n - 2);
	g = q->at[at];
	q->at[at] = q->at[at + 1];
	q->at[at + 1] = g;
}
