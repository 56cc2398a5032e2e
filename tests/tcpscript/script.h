/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet scripts: literal conversations with the real lib/tcp and lib/net on virtual time. A script is a
 * text file; each of its lines is a verb (docs/testing/tcpscript.md has the language). This header is
 * what the files of the runner share: the run of one script in one variant, its flows, its segments.
 */
#pragma once

#include "mt_tcp.h"

#include <stdio.h>

#define SC_FRAME_MAX 9300
#define SC_WORD_MAX  128
#define SC_LOG	     4096 /* segments that one run may see */
#define SC_FLOWS     512
#define SC_EVENTS    512

#define SC_FIN 0x01
#define SC_SYN 0x02
#define SC_RST 0x04
#define SC_PSH 0x08
#define SC_ACK 0x10
#define SC_URG 0x20
#define SC_ECE 0x40
#define SC_CWR 0x80

/* What a segment's options said. */
struct sc_opts {
	bool has_mss, has_ws, has_sackok, has_ts;
	uint16_t mss;
	uint8_t ws;
	uint8_t n_sack; /* blocks */
	uint32_t tsval, tsecr;
	uint32_t sack[8]; /* start, end, ... as on the wire */
};

/* A segment as it was on the wire; `port` is the peer's. */
struct sc_seg {
	uint64_t at; /* virtual time, ns */
	bool out;    /* sent by the stack under test */
	uint16_t port;
	uint8_t flags, ecn;
	uint16_t wnd, urg;
	uint32_t seq, ack, len;
	struct sc_opts o;
	bool payload_ok; /* out: every byte is the one that the application wrote at this place */
};

/* One tuple: the peer's port names it. Numbers in scripts are relative to iss and irs. */
struct sc_flow {
	uint16_t port, lport;
	uint32_t iss, irs; /* of the stack under test, of the peer */
	bool iss_known;
	struct sc_opts ours, theirs; /* what the SYNs offered */
	uint32_t win;		     /* bytes that the peer offers until it says another number */
	uint32_t last_tsval;	     /* the newest that the stack sent: what the peer echoes */
	struct mt_stream *s;	     /* NULL: none, or it has ended */
	bool reading;		     /* the application takes what arrives */
	bool data_wrong;	     /* it got a byte that the peer had not sent at this place */
	uint32_t written, read;	     /* bytes by the application, so far */
};

enum sc_event_kind {
	SC_EV_ACCEPT,
	SC_EV_CONNECTED,
	SC_EV_READABLE,
	SC_EV_EOF,
	SC_EV_WRITABLE,
	SC_EV_CLOSED,
};

struct sc_event {
	enum sc_event_kind kind;
	uint16_t port;
	enum mt_close_reason reason;
};

/* One way to run a script. */
struct sc_variant {
	bool v6, ts, slow;
};

struct sc_script {
	char name[64];
	char path[256];
	char title[128]; /* the first comment line */
	char *text;
	bool fix_family, v6, fix_ts, ts; /* what the script itself asks for */
};

struct sc_stack; /* stack.c */

/* One run of one script. */
struct sc_run {
	const struct sc_script *script;
	struct sc_variant v;
	struct sc_stack *st;
	uint32_t line;
	int64_t i; /* of `times` */
	struct sc_flow flows[SC_FLOWS];
	uint32_t n_flows;
	struct sc_flow *cur;
	struct sc_seg log[SC_LOG];
	uint32_t n_log, n_seen; /* n_seen: everything before was expected or skipped */
	struct sc_event events[SC_EVENTS];
	uint32_t n_events, next_event;
	/* what the script's first lines set, before there is a stack */
	struct mt_tcp_conf conf;
	uint16_t mtu;
	uint32_t irs, peer_ts0; /* the peer's first number, and its timestamp clock at the begin */
	bool iss_fixed, iss_active; /* our own initial number shall be `iss` (of a connect) */
	uint32_t iss;
	struct sc_base {
		char name[128];
		uint64_t value;
	} base[32]; /* counters as they were when they were last looked at */
	uint32_t n_base;
	bool failed;
	char error[4096];
};

/* ---- run.c ---- */
int sc_load(struct sc_script *s, const char *path);
/* true: passed; else r->error says why. */
bool sc_run(struct sc_run *r, const struct sc_script *s, struct sc_variant v);
/* The first failure counts; later ones are silent. Returns false. */
bool sc_fail(struct sc_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- verbs.c ---- */
/* One line of a script. */
bool sc_line(struct sc_run *r, const char *line);
/* Nothing may have left that no line expects. */
bool sc_quiet(struct sc_run *r);
/* The script is over: nothing may be left that it did not name. */
bool sc_end(struct sc_run *r);
/* Makes the stack when the first verb needs it. */
bool sc_begin(struct sc_run *r);

/* ---- setup.c, app.c ---- */
/* A verb gets the rest of its line. */
bool sc_verb_conf(struct sc_run *r, const char *p);
bool sc_verb_mtu(struct sc_run *r, const char *p);
bool sc_verb_isn(struct sc_run *r, const char *p);
bool sc_verb_fixed(struct sc_run *r, const char *p); /* family, ts: sc_load() has read them */
bool sc_verb_tsval(struct sc_run *r, const char *p);
bool sc_verb_established(struct sc_run *r, const char *p);
bool sc_verb_connect(struct sc_run *r, const char *p);
bool sc_verb_write(struct sc_run *r, const char *p);
bool sc_verb_read(struct sc_run *r, const char *p);
bool sc_verb_reader(struct sc_run *r, const char *p);
bool sc_verb_shutdown(struct sc_run *r, const char *p);
bool sc_verb_close(struct sc_run *r, const char *p);
bool sc_verb_abort(struct sc_run *r, const char *p);
bool sc_verb_state(struct sc_run *r, const char *p);
bool sc_verb_event(struct sc_run *r, const char *p);
bool sc_verb_counter(struct sc_run *r, const char *p);
bool sc_verb_info(struct sc_run *r, const char *p);

/* The next segment that left and that nobody looked at; NULL: none. */
struct sc_seg *sc_next_out(struct sc_run *r);
/* Takes it; false (failed): there is none. */
bool sc_take_out(struct sc_run *r, uint8_t flags);

/* ---- flow.c ---- */
struct sc_flow *sc_flow(struct sc_run *r, uint16_t port);
/* Both SYNs offered timestamps; window scales. */
bool sc_flow_ts(const struct sc_flow *f);
bool sc_flow_scaled(const struct sc_flow *f);
/* M in expressions: payload of a full segment of ours. */
uint32_t sc_flow_mss(const struct sc_run *r, const struct sc_flow *f);
/* Keeps the segment and what it says about its flow. */
void sc_log(struct sc_run *r, const struct sc_seg *s);
void sc_event(struct sc_run *r, enum sc_event_kind kind, uint16_t port, enum mt_close_reason why);
const char *sc_event_name(enum sc_event_kind kind);
/* The segment in the script's own words, numbers relative. */
void sc_show(struct sc_run *r, const struct sc_seg *s, char *buf, size_t size);
uint8_t sc_pattern_ours(uint32_t pos);
uint8_t sc_pattern_theirs(uint32_t pos);
uint32_t sc_peer_ts(const struct sc_run *r);

/* ---- lex.c ---- */
/* The next word of *p; words end at blanks, and each of [ ] , is one. false: none. */
bool sc_word(const char **p, char word[SC_WORD_MAX]);
/* The word must be there. */
bool sc_need(struct sc_run *r, const char **p, char word[SC_WORD_MAX], const char *what);
bool sc_is(const char *word, const char *what);
/* 1+2*M, 0xffff, 1440/1420 (IPv4/IPv6); i counts `times`. */
bool sc_expr(struct sc_run *r, const char *text, int64_t *v);
/* The next word as a number. */
bool sc_number(struct sc_run *r, const char **p, const char *what, int64_t *v);
/* 1000 or 1000..2000 */
bool sc_range(struct sc_run *r, const char *text, int64_t *lo, int64_t *hi);
/* 200ms, 1s, 24d, 200..260ms: nanoseconds. */
bool sc_span(struct sc_run *r, const char *text, uint64_t *lo, uint64_t *hi);

/* ---- segment.c, expect.c ---- */
/* A segment in words: what is to be sent, or what is expected. */
struct sc_spec {
	uint8_t flags;
	bool any_psh, any_seq, any_len, any_ack;
	bool has_ack, has_win, has_urg, has_ecn, has_ecr;
	uint16_t port;
	int64_t seq, ack, len, win_lo, win_hi, urg, ecn, ecr;
	/* expected options */
	struct sc_opts o;
	bool no_mss, no_ws, no_sackok, ts, no_ts, any_sack;
	/* sent */
	bool badsum, own_ts;
	int64_t doff;
	int fill;
	uint8_t opts[60];
	uint32_t n_opts;
};
bool sc_parse_spec(struct sc_run *r, const char *text, bool out, struct sc_spec *s);
/* Whether the segment that left is the one that is meant; if not, *why says what differs. */
bool sc_matches(
	struct sc_run *r, const struct sc_spec *want, const struct sc_seg *got, const char **why);
/* Puts it on the wire; it arrives with the next turn. */
void sc_inject(struct sc_run *r, const struct sc_spec *s);
bool sc_inject_icmp(struct sc_run *r, const char *text);

/* ---- breaks.c ---- */
void sc_breaks_list(void);
uint32_t sc_breaks_count(void);
const char *sc_break_name(uint32_t i);
bool sc_break_select(const char *name);
/* Cells of the state × flags table that segments met. */
uint32_t sc_cells(void);
