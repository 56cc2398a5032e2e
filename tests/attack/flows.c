/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resets for connections of others. The flooder overhears what the kernel of its own namespace sends to the
 * target, so it knows addresses and ports, and can know the sequence numbers.
 */
#include "flood.h"

#include <stdio.h>

#define FLOWS 64

static struct flow {
	uint32_t src, next; /* next: the sequence number that follows what was seen */
	uint16_t sport;
} flows[FLOWS];
static uint32_t n_flows;

/* By what carries data; what its sender ended is no target any more. */
static void learn(const struct seen *s)
{
	uint32_t i = 0;

	while (i < n_flows && (flows[i].src != s->src || flows[i].sport != s->sport))
		i++;
	if (s->flags & (FIN | RST)) {
		if (i < n_flows)
			flows[i] = flows[--n_flows];
		return;
	}
	if (i == FLOWS || s->len == 0)
		return;
	if (i == n_flows)
		n_flows++;
	flows[i] = (struct flow){s->src, s->seq + s->len, s->sport};
}

static void overhear(struct flood *f)
{
	struct seen s;

	while (next_seen(f, &s))
		if (s.ours && s.dst == f->to && s.dport == f->port)
			learn(&s);
}

static void reset_flow(struct flood *f, const struct flow *flow, uint32_t seq)
{
	struct seg s = {
		.src = flow->src,
		.dst = f->to,
		.sport = flow->sport,
		.dport = f->port,
		.seq = seq,
		.flags = RST,
	};

	send_seg(f, &s);
}

/* `near`: within the window, but never where a reset is exact by the time it arrives. */
static void resets(struct flood *f, bool near)
{
	uint64_t start = now_ns();
	char more[64];

	for (uint64_t n = 0; pace(f, start, n); n++) {
		uint32_t off;

		if (n % 64 == 0)
			overhear(f);
		if (n_flows == 0)
			continue;
		off = near ? 20000 + draw(f, 30000) : (uint32_t)mt_rand_u64(&f->rand);
		reset_flow(f, &flows[n % n_flows], flows[n % n_flows].next + off);
	}
	snprintf(more, sizeof(more), ", \"flows\": %u", n_flows);
	report(f, more);
}

void run_rst(struct flood *f)
{
	resets(f, false);
}

void run_rst_near(struct flood *f)
{
	resets(f, true);
}

/* One reset that hits, for each connection seen, when it is silent. */
void run_rst_exact(struct flood *f)
{
	uint64_t start = now_ns();
	char more[64];

	for (uint64_t n = 0; pace(f, start, n); n++)
		overhear(f);
	for (uint32_t i = 0; i < n_flows; i++)
		reset_flow(f, &flows[i], flows[i].next);
	snprintf(more, sizeof(more), ", \"flows\": %u", n_flows);
	report(f, more);
}
