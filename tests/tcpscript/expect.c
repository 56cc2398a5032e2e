/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a segment that left is the one that the script expects. */
#include "stack.h"

#include <string.h>

static bool flags_ok(const struct sc_spec *want, const struct sc_seg *got)
{
	uint8_t mask = want->any_psh ? (uint8_t)~SC_PSH : 0xff;

	return (want->flags & mask) == (got->flags & mask);
}

static bool window_ok(const struct sc_flow *f, const struct sc_spec *want, const struct sc_seg *got)
{
	uint32_t shift = !(got->flags & SC_SYN) && sc_flow_scaled(f) ? f->ours.ws : 0;
	int64_t lo = MT_MIN(want->win_lo >> shift, 65535),
		hi = MT_MIN(want->win_hi >> shift, 65535);

	return got->wnd >= lo && got->wnd <= hi;
}

/* What was named must be there; of a SYN nothing else is looked at. */
static const char *syn_opts(struct sc_run *r, const struct sc_spec *want, const struct sc_seg *got)
{
	const struct sc_opts *w = &want->o, *g = &got->o;

	if ((w->has_mss && (!g->has_mss || g->mss != w->mss)) || (want->no_mss && g->has_mss))
		return "the MSS";
	if ((w->has_ws && (!g->has_ws || g->ws != w->ws)) || (want->no_ws && g->has_ws))
		return "the window scale";
	if ((w->has_sackok && !g->has_sackok) || (want->no_sackok && g->has_sackok))
		return "SACK permitted";
	if ((want->ts && g->has_ts != r->v.ts) || (want->no_ts && g->has_ts))
		return "timestamps";
	return NULL;
}

/* RFC 7323 §3.2: once agreed on, every segment but a RST has timestamps. */
static const char *data_opts(
	const struct sc_flow *f, const struct sc_spec *want, const struct sc_seg *got)
{
	const struct sc_opts *w = &want->o, *g = &got->o;

	if (!(got->flags & SC_RST) && g->has_ts != sc_flow_ts(f))
		return "timestamps";
	if (g->has_mss || g->has_ws || g->has_sackok)
		return "options that only a SYN may have";
	if (want->any_sack)
		return NULL;
	if (g->n_sack != w->n_sack || memcmp(g->sack, w->sack, 8u * w->n_sack))
		return "the SACK blocks";
	return NULL;
}

static const char *differs(struct sc_run *r, const struct sc_spec *want, const struct sc_seg *got)
{
	const struct sc_flow *f = sc_flow(r, got->port);

	if (got->port != want->port)
		return "the peer's port";
	if (!flags_ok(want, got))
		return "the flags";
	if (!want->any_seq && got->seq != f->iss + (uint32_t)want->seq)
		return "the sequence number";
	if (!want->any_len && got->len != (uint32_t)want->len)
		return "the length";
	if (want->has_ack && !want->any_ack && got->ack != f->irs + (uint32_t)want->ack)
		return "the acknowledgment";
	if (!want->has_ack && got->ack != 0)
		return "the acknowledgment field without ACK";
	if (want->has_win && !window_ok(f, want, got))
		return "the window";
	if (got->urg != (uint16_t)want->urg)
		return "the urgent pointer";
	if (want->has_ecn && got->ecn != want->ecn)
		return "the ECN bits of the IP header";
	if (want->has_ecr && sc_flow_ts(f) && got->o.tsecr != sc_peer_ts(r) + (uint32_t)want->ecr)
		return "the timestamp echo";
	if (!got->payload_ok)
		return "the payload's bytes";
	return got->flags & SC_SYN ? syn_opts(r, want, got) : data_opts(f, want, got);
}

bool sc_matches(
	struct sc_run *r, const struct sc_spec *want, const struct sc_seg *got, const char **why)
{
	*why = differs(r, want, got);
	return !*why;
}
