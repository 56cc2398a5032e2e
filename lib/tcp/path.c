/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path measurements of connections to one address, kept for the next one (RFC 9040, temporal
 * sharing): round trip and ssthresh. A bounded table per worker. It is read when a handshake is
 * complete, and written when a connection ends that had data acknowledged. So a peer can only write
 * the entry of an address from which it has answered.
 *
 * The congestion window is not inherited: it starts as RFC 6928 specifies. The path's MTU is in a
 * separate table of lib/net (pmtu.c), so that connections, of which peers can open any number, do
 * not evict MTUs.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

#define SETS   256
#define WAYS   4
#define TTL_MS 600000u
/*
 * Many peers may share an address, and any of them can delay its answers at will. So an inherited
 * round trip is limited to this multiple of the handshake's sample, or to one second without a
 * sample.
 */
#define TIMES_SAMPLE  4u
#define NO_SAMPLE_MAX 1000000u

struct mt_tcp_path {
	struct mt_addr remote;
	uint32_t rtt_ms; /* when the round trip was measured; 0: a free entry */
	uint32_t srtt_us, rttvar_us;
	uint32_t ssthresh_ms; /* when ssthresh was measured; 0: never */
	uint32_t ssthresh;
};

size_t mt_tcp_paths_size(void)
{
	return sizeof(struct mt_tcp_path) * SETS * WAYS;
}

static struct mt_tcp_path *set_of(const struct mt_tcp *t, const struct mt_addr *a)
{
	uint64_t x = (a->q[0] ^ mt_rotl64(a->q[1], 31) ^ t->hash_key[0]) * 0x9e3779b97f4a7c15ull;

	return &t->paths[(uint32_t)(x >> 32) % SETS * WAYS];
}

static bool fresh(const struct mt_tcp *t, uint32_t at)
{
	return at && (t->now_ms - at < TTL_MS || mt_mutant(MT_BREAK_path_for_ever));
}

static struct mt_tcp_path *find(const struct mt_tcp *t, const struct mt_addr *remote)
{
	struct mt_tcp_path *p = set_of(t, remote);

	for (int i = 0; i < WAYS; i++)
		if (p[i].rtt_ms && mt_addr_eq(&p[i].remote, remote))
			return &p[i];
	return NULL;
}

/* Entry for this address: a free one, otherwise the one written longest ago. */
static struct mt_tcp_path *place(struct mt_tcp *t, const struct mt_addr *remote)
{
	struct mt_tcp_path *p = set_of(t, remote), *best = p;

	for (int i = 0; i < WAYS && best->rtt_ms; i++)
		if (!p[i].rtt_ms || t->now_ms - p[i].rtt_ms > t->now_ms - best->rtt_ms)
			best = &p[i];
	*best = (struct mt_tcp_path){.remote = *remote};
	return best;
}

/*
 * The handshake's sample is applied after the inherited values: a path that got longer shows in the
 * variance.
 */
static void inherit_rtt(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_path *p)
{
	uint32_t sample = c->srtt_us, most = sample ? TIMES_SAMPLE * sample : NO_SAMPLE_MAX;

	if (!sample && c->retries) /* RFC 6298 §5.7 */
		return;
	c->srtt_us = MT_MIN(p->srtt_us, most);
	c->rttvar_us = MT_MIN(p->rttvar_us, most);
	if (sample)
		mt_tcp_rtt_sample(t, c, sample);
	else
		mt_tcp_rto_reset(t, c);
}

void mt_tcp_path_recall(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	const struct mt_tcp_path *p = find(t, &c->tuple.remote);

	if (!p || mt_mutant(MT_BREAK_path_forgotten))
		return;
	if (fresh(t, p->rtt_ms))
		inherit_rtt(t, c, p);
	if (fresh(t, p->ssthresh_ms))
		c->cc.ssthresh = MT_MAX(p->ssthresh, c->cc.cwnd);
	mt_tcp_note(t, MT_TCP_paths_known);
}

/* Old and new count equally (RFC 9040 §7.1: merge); an expired value does not count. */
static uint32_t merge(const struct mt_tcp *t, uint32_t at, uint32_t old, uint32_t now)
{
	return fresh(t, at) ? old / 2 + now / 2 : now;
}

/*
 * True if this connection measured ssthresh itself: an inherited value that is written back would
 * never expire.
 */
static bool knows_ssthresh(const struct mt_tcp_conn *c)
{
	return c->cc.ssthresh != MT_CC_SSTHRESH_INF &&
	       (c->cc.cwnd > c->cc.ssthresh || c->retransmits);
}

void mt_tcp_path_remember(struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	uint32_t now = t->now_ms ? t->now_ms : 1, ssthresh;
	struct mt_tcp_path *p;

	if (c->state < MT_TCP_ESTABLISHED || !c->srtt_us ||
		(!c->bytes_out && !mt_mutant(MT_BREAK_path_of_silent)))
		return;
	p = find(t, &c->tuple.remote);
	if (!p)
		p = place(t, &c->tuple.remote);
	p->srtt_us = MT_MAX(merge(t, p->rtt_ms, p->srtt_us, c->srtt_us), 1u);
	p->rttvar_us = merge(t, p->rtt_ms, p->rttvar_us, c->rttvar_us);
	p->rtt_ms = now;
	if (!knows_ssthresh(c))
		return;
	/* The ssthresh that a loss would set at the current window, if that is more. */
	ssthresh = MT_MAX(c->cc.ssthresh, c->cc.cwnd / 10 * 7);
	p->ssthresh = merge(t, p->ssthresh_ms, p->ssthresh, ssthresh);
	p->ssthresh_ms = now;
}
