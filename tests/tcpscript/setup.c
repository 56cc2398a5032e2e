/* SPDX-License-Identifier: Apache-2.0 */
/* What a script says before and while it makes its state: limits, numbers, handshakes. */
#include "stack.h"

#include <string.h>

#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct mt_tcp_conf, name), sizeof(((struct mt_tcp_conf *)0)->name) \
	}

static const struct {
	const char *name;
	size_t at, size;
} fields[] = {FIELD(max_conns), FIELD(max_half_open), FIELD(max_time_wait), FIELD(time_wait_ms),
	FIELD(rx_window_init), FIELD(rx_window_max), FIELD(tx_high), FIELD(connect_ms),
	FIELD(keepalive_idle_s), FIELD(half_closed_s), FIELD(delack_ms), FIELD(min_rto_ms),
	FIELD(retries_max), FIELD(mss4), FIELD(mss6), FIELD(port_lo), FIELD(port_hi),
	FIELD(resets_per_s), FIELD(cc_newreno), FIELD(cookies_always), FIELD(ecn)};

bool sc_verb_conf(struct sc_run *r, const char *p)
{
	char name[SC_WORD_MAX];
	int64_t v;

	while (sc_word(&p, name)) {
		size_t i = 0;

		while (i < MT_ARRAY_LEN(fields) && !sc_is(fields[i].name, name))
			i++;
		if (i == MT_ARRAY_LEN(fields))
			return sc_fail(r, "`%s` is no field of struct mt_tcp_conf", name);
		if (!sc_number(r, &p, name, &v))
			return false;
		memcpy((char *)&r->conf + fields[i].at, &v, fields[i].size); /* little endian */
	}
	return true;
}

bool sc_verb_mtu(struct sc_run *r, const char *p)
{
	int64_t v;

	if (!sc_number(r, &p, "the MTU", &v))
		return false;
	r->mtu = (uint16_t)v;
	return true;
}

/* `isn peer N`, `isn ours N` (of an accepted connection), `isn ours N connect`. */
bool sc_verb_isn(struct sc_run *r, const char *p)
{
	char who[SC_WORD_MAX], more[SC_WORD_MAX];
	int64_t v;

	if (!sc_need(r, &p, who, "`peer` or `ours`") || !sc_number(r, &p, "the number", &v))
		return false;
	if (sc_is(who, "peer")) {
		r->irs = r->cur->irs = (uint32_t)v;
		return true;
	}
	r->iss_fixed = true;
	r->iss = (uint32_t)v;
	r->iss_active = sc_word(&p, more) && sc_is(more, "connect");
	return sc_is(who, "ours") || sc_fail(r, "`isn %s`: of whom?", who);
}

bool sc_verb_fixed(struct sc_run *r, const char *p)
{
	return true;
}

/* The peer's timestamp clock. */
bool sc_verb_tsval(struct sc_run *r, const char *p)
{
	int64_t v;

	if (!sc_number(r, &p, "the peer's first timestamp", &v))
		return false;
	r->peer_ts0 = (uint32_t)v;
	return true;
}

/* ---- handshakes ---- */

struct shake {
	int64_t mss, ws, win;
	bool no_ws, no_sack, active;
	uint64_t rtt;
};

static bool parse_shake(struct sc_run *r, const char *p, struct shake *h)
{
	char word[SC_WORD_MAX];
	uint64_t hi;

	*h = (struct shake){.mss = 1000, .ws = 7, .win = 64000};
	while (sc_word(&p, word)) {
		if (sc_is(word, "active"))
			h->active = true;
		else if (sc_is(word, "nosack"))
			h->no_sack = true;
		else if (sc_is(word, "nowscale"))
			h->no_ws = true;
		else if (sc_is(word, "mss")) {
			if (!sc_number(r, &p, word, &h->mss))
				return false;
		} else if (sc_is(word, "wscale")) {
			if (!sc_number(r, &p, word, &h->ws))
				return false;
		} else if (sc_is(word, "win")) {
			if (!sc_number(r, &p, word, &h->win))
				return false;
		} else if (sc_is(word, "rtt")) {
			if (!sc_need(r, &p, word, "the round trip") ||
				!sc_span(r, word, &h->rtt, &hi))
				return false;
		} else {
			return sc_fail(r, "`%s` is not known of a connection", word);
		}
	}
	return true;
}

/* The peer's SYN, or its answer to ours. */
static bool peer_syn(struct sc_run *r, const struct shake *h)
{
	char text[256], ws[32] = "";
	struct sc_spec s;

	if (!h->no_ws)
		snprintf(ws, sizeof(ws), ", ws %d", (int)h->ws);
	snprintf(text, sizeof(text), "%s win %lld [mss %lld%s%s, %s]",
		h->active ? "SA 0 ack 1" : "S 0", (long long)h->win,
		(long long)h->mss + (r->v.ts ? 12 : 0), h->no_sack ? "" : ", sackok", ws,
		r->v.ts ? "ts" : "nots");
	if (!sc_parse_spec(r, text, false, &s))
		return false;
	sc_inject(r, &s);
	sc_turn(r);
	return !r->failed;
}

static bool passive(struct sc_run *r, const struct shake *h)
{
	struct sc_spec s;

	sc_listening(r, true, false);
	if (!peer_syn(r, h) || !sc_take_out(r, SC_SYN | SC_ACK))
		return false;
	sc_pass(r, sc_now(r) + h->rtt, false);
	if (!sc_parse_spec(r, "A 1 ack 1", false, &s))
		return false;
	sc_inject(r, &s);
	sc_turn(r);
	return sc_verb_event(r, "accept");
}

static bool active(struct sc_run *r, const struct shake *h)
{
	if (!sc_open(r, r->cur, 0))
		return sc_fail(r, "the connection could not be opened");
	sc_turn(r);
	if (!sc_take_out(r, SC_SYN))
		return false;
	sc_pass(r, sc_now(r) + h->rtt, false);
	return peer_syn(r, h) && sc_take_out(r, SC_ACK) && sc_verb_event(r, "connected");
}

/*
 * A connection after its handshake. `mss` is what a segment carries: the peer announces more by the
 * length of the timestamps option where there is one, so that a script's numbers hold in both variants.
 */
bool sc_verb_established(struct sc_run *r, const char *p)
{
	struct shake h;

	return parse_shake(r, p, &h) && (h.active ? active(r, &h) : passive(r, &h));
}

bool sc_verb_connect(struct sc_run *r, const char *p)
{
	char word[SC_WORD_MAX];
	uint64_t lo = 0, hi;

	if (sc_word(&p, word) && (!sc_is(word, "within") || !sc_need(r, &p, word, "the limit") ||
					 !sc_span(r, word, &lo, &hi)))
		return sc_fail(r, "connect [within TIME]");
	sc_open(r, r->cur, (uint32_t)(lo / MT_MSEC));
	sc_turn(r);
	return !r->failed;
}

/* ---- the stack begins ---- */

static void forget(struct sc_run *r)
{
	r->n_flows = r->n_log = r->n_seen = r->n_events = r->next_event = 0;
	r->cur = sc_flow(r, 4000);
}

/* The clock at which our initial sequence number is the one that is wanted: it moves every 4.096 us. */
static bool find_start(struct sc_run *r, uint64_t *start)
{
	struct sc_spec s;
	uint32_t iss;

	if (!sc_stack_up(r, &r->conf, r->mtu, SC_START))
		return false;
	if (r->iss_active) {
		sc_open(r, r->cur, 0);
	} else {
		sc_listening(r, true, false);
		if (!sc_parse_spec(r, "S 0", false, &s))
			return false;
		sc_inject(r, &s);
	}
	sc_turn(r);
	iss = r->cur->iss;
	if (!r->cur->iss_known)
		return sc_fail(r, "no SYN left when the initial number was looked for");
	sc_stack_down(r);
	forget(r);
	*start = SC_START + ((uint64_t)(uint32_t)(r->iss - iss) << 12);
	return !r->failed;
}

bool sc_begin(struct sc_run *r)
{
	uint64_t start = SC_START;

	if (r->iss_fixed && !find_start(r, &start))
		return false;
	return sc_stack_up(r, &r->conf, r->mtu, start);
}
