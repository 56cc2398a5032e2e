/* SPDX-License-Identifier: Apache-2.0 */
/* Segments and ICMP errors of the peer's: read from the script, put on the wire. */
#include "frame.h"
#include "stack.h"

#include <stdlib.h>
#include <string.h>

static bool parse_flags(struct sc_run *r, const char *word, struct sc_spec *s)
{
	static const char letters[] = "FSRPAUEC";

	for (const char *c = word; *c; c++) {
		const char *at = strchr(letters, *c);

		if (*c == 'p')
			s->any_psh = true;
		else if (at)
			s->flags |= (uint8_t)(1u << (at - letters));
		else if (!sc_is(word, "-"))
			return sc_fail(r, "`%s` are no flags (FSRPAUEC, p: PSH or not, -)", word);
	}
	return true;
}

/* 1001(1000), 5, *, *(1000), 1(*) */
static bool parse_place(struct sc_run *r, char *word, struct sc_spec *s)
{
	size_t n = strlen(word);
	char *open = n && word[n - 1] == ')' ? strrchr(word, '(') : NULL;

	if (open) {
		word[n - 1] = 0;
		*open = 0;
		s->any_len = sc_is(open + 1, "*");
		if (!s->any_len && !sc_expr(r, open + 1, &s->len))
			return false;
	}
	s->any_seq = sc_is(word, "*");
	return s->any_seq || sc_expr(r, word, &s->seq);
}

/* ---- options ---- */

static void opt_bytes(struct sc_run *r, struct sc_spec *s, const uint8_t *b, uint32_t n)
{
	if (s->n_opts + n > 40)
		sc_fail(r, "more than 40 bytes of options");
	else
		memcpy(s->opts + s->n_opts, b, n);
	s->n_opts += r->failed ? 0 : n;
}

static void opt_ts(struct sc_run *r, struct sc_spec *s)
{
	struct sc_flow *f = sc_flow(r, s->port);
	uint8_t b[12] = {1, 1, 8, 10};
	uint32_t echo = s->flags & SC_ACK ? f->last_tsval + (uint32_t)s->ecr : 0;

	s->o.has_ts = true;
	s->o.tsval += sc_peer_ts(r);
	s->o.tsecr = echo;
	sc_put32(b + 4, s->o.tsval);
	sc_put32(b + 8, s->o.tsecr);
	opt_bytes(r, s, b, sizeof(b));
}

/* `1001..2001 3001..4001`: relative to what the other side counts from. */
static bool opt_sack(struct sc_run *r, const char **p, bool out, struct sc_spec *s)
{
	struct sc_flow *f = sc_flow(r, s->port);
	uint32_t base = out ? f->irs : f->iss;
	uint8_t b[4 + 64] = {1, 1, 5, 2};
	char word[SC_WORD_MAX];
	const char *before;
	int64_t from, to;

	for (before = *p; sc_word(p, word) && !strchr(",]", word[0]); before = *p) {
		if (sc_is(word, "*")) {
			s->any_sack = true;
			return true;
		}
		if (s->o.n_sack == 4 || !sc_range(r, word, &from, &to))
			return sc_fail(r, "`%s` is no SACK block, or the fifth", word);
		s->o.sack[2 * s->o.n_sack] = base + (uint32_t)from;
		s->o.sack[2 * s->o.n_sack + 1] = base + (uint32_t)to;
		sc_put32(b + 4 + 8 * s->o.n_sack, base + (uint32_t)from);
		sc_put32(b + 8 + 8 * s->o.n_sack, base + (uint32_t)to);
		s->o.n_sack++;
	}
	*p = before;
	b[3] = (uint8_t)(2 + 8 * s->o.n_sack);
	if (!out)
		opt_bytes(r, s, b, 4u + 8u * s->o.n_sack);
	return true;
}

static bool opt_raw(struct sc_run *r, const char **p, struct sc_spec *s)
{
	char word[SC_WORD_MAX];

	if (!sc_need(r, p, word, "the option's bytes in hexadecimal"))
		return false;
	for (const char *c = word; c[0] && c[1]; c += 2) {
		char two[3] = {c[0], c[1], 0};
		uint8_t b = (uint8_t)strtoul(two, NULL, 16);

		opt_bytes(r, s, &b, 1);
	}
	s->own_ts = true;
	return !r->failed;
}

/* `ts`, `ts -100`: whether a number follows. */
static bool optional(struct sc_run *r, const char **p, int64_t *v)
{
	const char *before = *p;
	char word[SC_WORD_MAX];

	*v = 0;
	if (!sc_word(p, word) || strchr(",]", word[0])) {
		*p = before;
		return true;
	}
	return sc_expr(r, word, v);
}

static bool opt_number(
	struct sc_run *r, const char **p, bool out, const char *name, struct sc_spec *s)
{
	uint8_t b[4];
	int64_t v;

	if (!sc_number(r, p, name, &v))
		return false;
	if (sc_is(name, "mss")) {
		s->o.has_mss = true;
		s->o.mss = (uint16_t)v;
		sc_put32(b, 0x02040000u | s->o.mss);
	} else {
		s->o.has_ws = true;
		s->o.ws = (uint8_t)v;
		sc_put32(b, 0x01030300u | s->o.ws);
	}
	if (!out)
		opt_bytes(r, s, b, 4);
	return true;
}

static bool opt_times(
	struct sc_run *r, const char **p, bool out, const char *name, struct sc_spec *s)
{
	int64_t v;

	if (!optional(r, p, &v))
		return false;
	if (sc_is(name, "ecr")) {
		s->has_ecr = true;
		s->ecr = v;
		return true;
	}
	s->ts = true;
	s->own_ts = true;
	s->o.tsval = (uint32_t)v;
	if (!out && r->v.ts)
		opt_ts(r, s);
	return true;
}

static bool parse_opt(
	struct sc_run *r, const char **p, const char *name, bool out, struct sc_spec *s)
{
	if (sc_is(name, "mss") || sc_is(name, "ws"))
		return opt_number(r, p, out, name, s);
	if (sc_is(name, "ts") || sc_is(name, "ecr"))
		return opt_times(r, p, out, name, s);
	if (sc_is(name, "sack"))
		return opt_sack(r, p, out, s);
	if (sc_is(name, "raw") && !out)
		return opt_raw(r, p, s);
	if (sc_is(name, "sackok")) {
		s->o.has_sackok = true;
		if (!out)
			opt_bytes(r, s, (const uint8_t[]){1, 1, 4, 2}, 4);
	} else if (sc_is(name, "nots")) {
		s->no_ts = s->own_ts = true;
	} else if (sc_is(name, "nomss") && out) {
		s->no_mss = true;
	} else if (sc_is(name, "nows") && out) {
		s->no_ws = true;
	} else if (sc_is(name, "nosackok") && out) {
		s->no_sackok = true;
	} else {
		return sc_fail(r, "`%s` is no option", name);
	}
	return true;
}

static bool parse_opts(struct sc_run *r, const char **p, bool out, struct sc_spec *s)
{
	char word[SC_WORD_MAX];

	while (sc_need(r, p, word, "`]`") && !sc_is(word, "]"))
		if (!sc_is(word, ",") && !parse_opt(r, p, word, out, s))
			return false;
	return !r->failed;
}

/* ---- the segment ---- */

static bool parse_win(struct sc_run *r, const char **p, struct sc_spec *s)
{
	char word[SC_WORD_MAX];

	s->has_win = true;
	return sc_need(r, p, word, "the window") && sc_range(r, word, &s->win_lo, &s->win_hi);
}

static bool parse_ack(struct sc_run *r, const char **p, struct sc_spec *s)
{
	char word[SC_WORD_MAX];

	if (!sc_need(r, p, word, "the number that is acknowledged"))
		return false;
	s->has_ack = true;
	s->any_ack = sc_is(word, "*");
	return s->any_ack || sc_expr(r, word, &s->ack);
}

static bool parse_field(
	struct sc_run *r, const char **p, const char *name, bool out, struct sc_spec *s)
{
	int64_t v;

	if (sc_is(name, "["))
		return parse_opts(r, p, out, s);
	if (sc_is(name, "ack"))
		return parse_ack(r, p, s);
	if (sc_is(name, "win"))
		return parse_win(r, p, s);
	if (sc_is(name, "badsum") && !out)
		return s->badsum = true;
	if (!sc_number(r, p, name, &v))
		return false;
	if (sc_is(name, out ? "to" : "from"))
		s->port = (uint16_t)v;
	else if (sc_is(name, "urg")) {
		s->has_urg = true;
		s->urg = v;
	} else if (sc_is(name, "ecn")) {
		s->has_ecn = true;
		s->ecn = v;
	} else if (sc_is(name, "fill") && !out)
		s->fill = (uint8_t)v;
	else if (sc_is(name, "doff") && !out)
		s->doff = v;
	else
		return sc_fail(r, "`%s` is not known in a segment", name);
	return true;
}

bool sc_parse_spec(struct sc_run *r, const char *text, bool out, struct sc_spec *s)
{
	char word[SC_WORD_MAX];

	*s = (struct sc_spec){.fill = -1, .port = r->cur->port};
	if (!sc_need(r, &text, word, "the flags") || !parse_flags(r, word, s) ||
		!sc_need(r, &text, word, "the sequence number") || !parse_place(r, word, s))
		return false;
	while (sc_word(&text, word))
		if (!parse_field(r, &text, word, out, s))
			return false;
	if (s->flags & SC_ACK && !s->has_ack)
		return sc_fail(r, "the flags say ACK, but what is acknowledged?");
	if (!out && (s->any_seq || s->any_ack || s->any_len || s->any_psh))
		return sc_fail(r, "what arrives has no wildcards");
	return true;
}

static uint16_t window_field(const struct sc_flow *f, uint8_t flags)
{
	uint32_t shift = !(flags & SC_SYN) && sc_flow_scaled(f) ? f->theirs.ws : 0;

	return (uint16_t)MT_MIN(f->win >> MT_MIN(shift, 14u), 65535u);
}

void sc_inject(struct sc_run *r, const struct sc_spec *spec)
{
	struct sc_flow *f = sc_flow(r, spec->port);
	struct sc_spec s = *spec;
	struct sc_wire w = {.v6 = r->v.v6,
		.lport = f->lport,
		.doff = (uint8_t)s.doff,
		.badsum = s.badsum,
		.fill = s.fill,
		.pos = (uint32_t)s.seq - 1};
	uint8_t frame[SC_FRAME_MAX];
	struct sc_seg seg = {0};

	if (sc_flow_ts(f) && !s.own_ts && !(s.flags & SC_SYN))
		opt_ts(r, &s);
	if (s.has_win)
		f->win = (uint32_t)s.win_lo;
	seg = (struct sc_seg){
		.at = sc_now(r),
		.port = s.port,
		.flags = s.flags,
		.ecn = (uint8_t)s.ecn,
		.wnd = window_field(f, s.flags),
		.urg = (uint16_t)s.urg,
		.seq = f->irs + (uint32_t)s.seq,
		.ack = s.has_ack ? f->iss + (uint32_t)s.ack : 0,
		.len = (uint32_t)s.len,
		.o = s.o,
	};
	memcpy(w.opts, s.opts, s.n_opts);
	w.opt_len = (s.n_opts + 3) & ~3u;
	if (seg.len + 100 > 2040) {
		sc_fail(r, "%u bytes do not fit in one frame of the peer's", seg.len);
		return;
	}
	sc_log(r, &seg);
	r->log[r->n_log - 1].payload_ok = true;
	sc_queue_frame(r, frame, sc_frame_tcp(frame, &seg, &w));
}

/* ---- ICMP ---- */

static const struct {
	const char *name;
	uint8_t type4, code4, type6, code6;
} icmp_kinds[] = {
	{"frag-needed", 3, 4, 2, 0},
	{"net-unreach", 3, 0, 1, 0},
	{"host-unreach", 3, 1, 1, 3},
	{"proto-unreach", 3, 2, 4, 1},
	{"port-unreach", 3, 3, 1, 4},
	{"prohibited", 3, 13, 1, 1},
	{"time-exceeded", 11, 0, 3, 0},
	{"param-problem", 12, 0, 4, 0},
	{"source-quench", 4, 0, 200, 0},
};

bool sc_inject_icmp(struct sc_run *r, const char *text)
{
	struct sc_flow *f = r->cur;
	struct sc_icmp m = {.v6 = r->v.v6, .lport = f->lport, .port = f->port, .seq = f->iss};
	uint8_t frame[SC_FRAME_MAX];
	char word[SC_WORD_MAX];
	size_t i = 0;
	int64_t v;

	if (!sc_need(r, &text, word, "the kind of ICMP error"))
		return false;
	while (i < MT_ARRAY_LEN(icmp_kinds) && !sc_is(icmp_kinds[i].name, word))
		i++;
	if (i == MT_ARRAY_LEN(icmp_kinds))
		return sc_fail(r, "`%s` is no kind of ICMP error", word);
	m.type = m.v6 ? icmp_kinds[i].type6 : icmp_kinds[i].type4;
	m.code = m.v6 ? icmp_kinds[i].code6 : icmp_kinds[i].code4;
	while (sc_word(&text, word)) {
		if (sc_is(word, "badsum")) {
			m.badsum = true;
			continue;
		}
		if (!sc_number(r, &text, word, &v))
			return false;
		if (sc_is(word, "mtu"))
			m.mtu = (uint32_t)v;
		else if (sc_is(word, "seq"))
			m.seq = f->iss + (uint32_t)v;
		else if (sc_is(word, "port"))
			m.port = (uint16_t)v;
		else
			return sc_fail(r, "`%s` is not known in an ICMP error", word);
	}
	sc_queue_frame(r, frame, sc_frame_icmp(frame, &m));
	return !r->failed;
}
