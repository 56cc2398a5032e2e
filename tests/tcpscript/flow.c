/* SPDX-License-Identifier: Apache-2.0 */
/* Flows, the log of segments, the application's events. */
#include "stack.h"

#include <string.h>

/* Before a SYN has told: what relative numbers count from. */
#define ISS_UNKNOWN 0x10000000u
#define WINDOW	    64000u

uint8_t sc_pattern_ours(uint32_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13 + 3);
}

uint8_t sc_pattern_theirs(uint32_t pos)
{
	return (uint8_t)(pos * 11 + (pos >> 8) * 5 + 9);
}

struct sc_flow *sc_flow(struct sc_run *r, uint16_t port)
{
	struct sc_flow *f = r->flows;

	for (uint32_t i = 0; i < r->n_flows; i++)
		if (r->flows[i].port == port)
			return &r->flows[i];
	if (r->n_flows == SC_FLOWS)
		sc_fail(r, "more than %u flows", SC_FLOWS);
	else
		f = &r->flows[r->n_flows++];
	*f = (struct sc_flow){
		.port = port,
		.lport = SC_LISTEN_PORT,
		.iss = ISS_UNKNOWN,
		.irs = r->irs,
		.win = WINDOW,
		.reading = true,
	};
	return f;
}

bool sc_flow_ts(const struct sc_flow *f)
{
	return f->ours.has_ts && f->theirs.has_ts;
}

bool sc_flow_scaled(const struct sc_flow *f)
{
	return f->ours.has_ws && f->theirs.has_ws;
}

uint32_t sc_flow_mss(const struct sc_run *r, const struct sc_flow *f)
{
	uint32_t path = sc_mtu(r) - (r->v.v6 ? 60u : 40u), theirs = r->v.v6 ? 1220 : 536;

	if (f->theirs.has_mss)
		theirs = f->theirs.mss;
	return MT_MIN(path, theirs) - (sc_flow_ts(f) ? 12 : 0);
}

uint32_t sc_peer_ts(const struct sc_run *r)
{
	return r->peer_ts0 + (uint32_t)(sc_elapsed(r) / MT_MSEC);
}

void sc_log(struct sc_run *r, const struct sc_seg *s)
{
	struct sc_flow *f = sc_flow(r, s->port);

	if (r->n_log == SC_LOG) {
		sc_fail(r, "more than %u segments", SC_LOG);
		return;
	}
	r->log[r->n_log++] = *s;
	if (s->flags & SC_SYN) {
		if (s->out)
			f->ours = s->o;
		else
			f->theirs = s->o;
	}
	if (s->out && s->o.has_ts && !(s->flags & SC_RST))
		f->last_tsval = s->o.tsval;
}

static const char *const event_names[] = {
	[SC_EV_ACCEPT] = "accept",
	[SC_EV_CONNECTED] = "connected",
	[SC_EV_READABLE] = "readable",
	[SC_EV_EOF] = "eof",
	[SC_EV_WRITABLE] = "writable",
	[SC_EV_CLOSED] = "closed",
};

const char *sc_event_name(enum sc_event_kind kind)
{
	return event_names[kind];
}

void sc_event(struct sc_run *r, enum sc_event_kind kind, uint16_t port, enum mt_close_reason why)
{
	if (r->n_events < SC_EVENTS)
		r->events[r->n_events++] = (struct sc_event){kind, port, why};
	else
		sc_fail(r, "more than %u events", SC_EVENTS);
}

/* ---- words ---- */

static size_t put(char *buf, size_t size, size_t at, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf + at, size > at ? size - at : 0, fmt, ap);
	va_end(ap);
	return MT_MIN(at + (size_t)MT_MAX(n, 0), size - 1);
}

static size_t show_opts(const struct sc_opts *o, uint32_t base, char *buf, size_t size, size_t at)
{
	const char *sep = " [";

	if (o->has_mss) {
		at = put(buf, size, at, "%smss %u", sep, o->mss);
		sep = ", ";
	}
	if (o->has_sackok) {
		at = put(buf, size, at, "%ssackok", sep);
		sep = ", ";
	}
	if (o->has_ts) {
		at = put(buf, size, at, "%sts %u:%u", sep, o->tsval, o->tsecr);
		sep = ", ";
	}
	if (o->has_ws) {
		at = put(buf, size, at, "%sws %u", sep, o->ws);
		sep = ", ";
	}
	if (o->n_sack) {
		at = put(buf, size, at, "%ssack", sep);
		sep = ", ";
	}
	for (uint32_t i = 0; i < o->n_sack; i++)
		at = put(buf, size, at, " %u-%u", o->sack[2 * i] - base, o->sack[2 * i + 1] - base);
	return *sep == ',' ? put(buf, size, at, "]") : at;
}

void sc_show(struct sc_run *r, const struct sc_seg *s, char *buf, size_t size)
{
	struct sc_flow *f = sc_flow(r, s->port);
	uint32_t mine = s->out ? f->iss : f->irs, other = s->out ? f->irs : f->iss;
	static const char letters[] = "SFRPAUEC";
	static const uint8_t bits[] = {
		SC_SYN, SC_FIN, SC_RST, SC_PSH, SC_ACK, SC_URG, SC_ECE, SC_CWR};
	char flags[9];
	size_t at, n = 0;

	for (int i = 0; i < 8; i++)
		if (s->flags & bits[i])
			flags[n++] = letters[i];
	if (n == 0)
		flags[n++] = '-';
	flags[n] = 0;
	at = put(buf, size, 0, "%c %s %u", s->out ? '>' : '<', flags, s->seq - mine);
	if (s->len)
		at = put(buf, size, at, "(%u)", s->len);
	if (s->flags & SC_ACK)
		at = put(buf, size, at, " ack %u", s->ack - other);
	at = put(buf, size, at, " wnd %u", s->wnd);
	if (s->flags & SC_URG)
		at = put(buf, size, at, " urg %u", s->urg);
	if (s->ecn)
		at = put(buf, size, at, " ecn %u", s->ecn);
	if (s->port != r->cur->port)
		at = put(buf, size, at, " port %u", s->port);
	at = show_opts(&s->o, other, buf, size, at);
	if (s->out && !s->payload_ok)
		put(buf, size, at, " WRONG PAYLOAD");
}
