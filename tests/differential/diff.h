/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Differential fuzzing: one generated sequence of segments and calls goes to lib/tcp (in process, on
 * virtual time) and to the kernel's TCP (through a TAP device in a namespace of this process). What each
 * of them did after each step is an observation; observations are compared by meaning. The frames, and
 * the stack under test, are those of the packet scripts (tests/tcpscript).
 */
#pragma once

#include "script.h"

#include "mt_rand.h"

#ifndef DF_STEPS
#define DF_STEPS 20 /* in one sequence */
#endif
#define DF_ISS_NONE 0x10000000 /* what acknowledgements count from before a SYN has told */
#define DF_TS0	    1000000u   /* the peer's timestamp clock at the begin */
#define DF_FILLED   3000001    /* the peer's next number behind DF_FILL, as steps have it */
/* Where a block near the window's right edge begins in observations: the windows are not the same. */
#define DF_BLOCK_AT_EDGE 1000000

/* What a step does. */
enum df_kind {
	DF_SEG,	     /* the peer sends a segment */
	DF_CONNECT,  /* the application opens the connection */
	DF_WRITE,    /* and writes n bytes */
	DF_SHUTDOWN, /* and ends its direction */
	DF_CLOSE,    /* and lets go */
	DF_ABORT,    /* and resets */
	DF_READER,   /* and begins (n = 1) or ceases (n = 0) to read */
	DF_FILL,     /* the peer sends full segments until nothing more is taken */
	DF_WAIT,     /* nothing; n ms more than a step takes (on lib/tcp only) */
};

/* What a sequence number of the peer's counts from. */
enum df_seq_at {
	DF_AT_STREAM, /* its initial number */
	DF_AT_EDGE,   /* the right edge of the window that the stack advertised last */
};

/* What its acknowledgement counts from. */
enum df_ack_at {
	DF_ACK_ALL, /* all that the stack has sent */
	DF_ACK_ISS, /* the stack's initial number */
};

/* Timestamps of a segment, where the SYN offered them. */
enum df_ts {
	DF_TS_GOOD,
	DF_TS_NONE,  /* absent */
	DF_TS_MOVED, /* ts_by away from the peer's clock */
};

enum df_ecr {
	DF_ECR_LAST, /* the newest that the stack sent */
	DF_ECR_ZERO,
	DF_ECR_WRONG,
};

struct df_step {
	uint8_t kind, flags, seq_at, ack_at, ts, ecr, n_sack, n_raw;
	bool badsum;
	int32_t seq, ack; /* relative; see seq_at, ack_at */
	int32_t origin;	  /* relative number of the peer's SYN: where its stream begins */
	int32_t ts_by;
	int32_t sack[6]; /* start, end, ... relative to the stack's initial number */
	uint16_t len, wnd, urg;
	uint8_t raw[16]; /* options as bytes, behind the others */
	uint32_t n;
};

struct df_seq {
	uint64_t seed;
	bool v6, ts, sack, wscale, has_mss;
	uint8_t shift; /* the peer's window scale */
	uint16_t mss, wnd;
	uint32_t irs;
	uint32_t n_steps;
	struct df_step step[DF_STEPS];
};

/* States by the names that both sides have. */
enum df_state {
	DF_CLOSED,
	DF_SYN_SENT,
	DF_SYN_RECEIVED,
	DF_ESTABLISHED,
	DF_FIN_WAIT_1,
	DF_FIN_WAIT_2,
	DF_CLOSE_WAIT,
	DF_CLOSING,
	DF_LAST_ACK,
	DF_TIME_WAIT,
	DF_N_STATES
};
extern const char *const df_state_names[DF_N_STATES];

enum df_err {
	DF_OK,
	DF_RESET,
	DF_REFUSED,
	DF_TIMEOUT,
	DF_OTHER,
};
extern const char *const df_err_names[];

/* What was to be seen after a step. Numbers are relative; those marked * hold since the begin. */
struct df_obs {
	uint8_t state; /* enum df_state */
	/* the application: * */
	bool accepted, connected, eof, wrong;
	bool beyond; /* it sent more than any window allowed */
	uint8_t err; /* enum df_err */
	uint32_t read;
	/* what left in this step */
	uint16_t n_out;
	uint8_t syn_flags, syn_opts; /* of the last SYN: its flags (0: none), what it offered */
	bool rst, rst_acks;
	int32_t rst_seq, rst_ack;
	bool acked;  /* a segment with an ACK, neither SYN nor RST */
	int32_t seq; /* behind what it carried */
	bool again;  /* payload that had left before */
	/* what it said last: * */
	int32_t ack, ecr;
	bool zero, has_ts, ece;
	uint8_t n_sack;
	bool dsack;
	int32_t sack[8]; /* a D-SACK first, then sorted */
	int32_t end;	 /* one behind the last number that left */
	bool fin;
};

/* What the peer knows of one stack while a sequence runs. */
struct df_track {
	const struct df_seq *q;
	uint32_t iss;
	bool iss_known;
	uint16_t port, lport;
	uint32_t end;	      /* one behind the last number that the stack sent */
	uint32_t ack;	      /* its last acknowledgement */
	uint32_t wnd;	      /* its window, in bytes */
	uint32_t edge;	      /* the window's right edge when the last step began */
	int64_t right;	      /* how far the stack may send, from its initial number on */
	bool told_dsack;      /* in this step */
	bool other_stream;    /* began behind DF_FILL: its bytes are not where steps say */
	bool at_edge;	      /* that step was a segment near it */
	uint8_t shift;	      /* its window scale, if both offered one */
	uint32_t tsval;	      /* its newest */
	uint32_t moved;	      /* between the peer's numbers and those of steps */
	uint32_t filled;      /* bytes that DF_FILL put in */
	uint32_t read_before; /* and that were read before it */
	struct df_obs now;
	char *words; /* the segments of this step, if they are to be shown; freed by the user */
};

struct df_trace {
	struct df_obs obs[DF_STEPS];
	char *words[DF_STEPS]; /* NULL unless df_keep_words */
};

extern bool df_keep_words;

/* ---- gen.c ---- */
void df_generate(struct df_seq *q, uint64_t seed);

/* ---- peer.c ---- */
void df_track_init(struct df_track *t, const struct df_seq *q, uint16_t port);
/* The frame of step i; its length. */
uint32_t df_frame(struct df_track *t, uint32_t i, uint8_t *frame);
/* One more segment of DF_FILL; 0: the window is shut. */
uint32_t df_fill(struct df_track *t, uint32_t i, uint8_t *frame);
void df_fill_ends(struct df_track *t, uint32_t began);
/* What the application read, less what DF_FILL put in. */
void df_read(struct df_track *t, uint32_t n);
/* A segment that the stack sent. */
void df_saw(struct df_track *t, const struct sc_seg *s, uint16_t lport);
/* Ends a step: what was seen is in *o. */
void df_observe(struct df_track *t, struct df_obs *o, char **words);

/* ---- words.c ---- */
void df_step_words(const struct df_seq *q, uint32_t i, char *buf, size_t size);
void df_obs_words(const struct df_obs *o, char *buf, size_t size);
void df_seg_words(const struct df_track *t, const struct sc_seg *s, char *buf, size_t size);

/* ---- ours.c ---- */
/* Runs the sequence on lib/tcp; false: the run itself failed, said on stderr. */
bool df_ours(const struct df_seq *q, struct df_trace *trace);
void df_trace_free(struct df_trace *trace);

/* ---- kernel*.c ---- */
/* A namespace, a TAP device, a listener. 77: not permitted here; 1: failed; both said on stderr. */
int df_kernel_up(void);
/* Runs all sequences at once; at most DF_AT_ONCE. */
bool df_kernel(const struct df_seq *const *q, struct df_trace *const *trace, uint32_t n);
#define DF_AT_ONCE 512

/* ---- compare.c ---- */
/* Fields of an observation, as bits. */
#define DF_FIELDS                                                                                  \
	X(STATE, state)                                                                            \
	X(ACCEPT, accepted)                                                                        \
	X(CONNECTED, connected)                                                                    \
	X(FINISHED, eof)                                                                           \
	X(WRONG, wrong)                                                                            \
	X(BEYOND, beyond)                                                                          \
	X(ERR, err)                                                                                \
	X(READ, read)                                                                              \
	X(SYN, syn_flags)                                                                          \
	X(OPTS, syn_opts)                                                                          \
	X(RST, rst)                                                                                \
	X(ACKED, acked)                                                                            \
	X(AGAIN, again)                                                                            \
	X(END, end)                                                                                \
	X(FIN, fin)
enum {
#define X(name, field) DF_BIT_##name,
	DF_FIELDS
#undef X
		DF_BIT_RST_NUMBERS,
	DF_BIT_ACK,
	DF_BIT_SEQ,
	DF_BIT_ZERO,
	DF_BIT_ECR,
	DF_BIT_ECE,
	DF_BIT_SACK,
	DF_BIT_DSACK,
	DF_N_BITS
};
#define DF_F(name) (1u << DF_BIT_##name)

uint32_t df_differ(const struct df_obs *kernel, const struct df_obs *ours);
void df_fields_words(uint32_t fields, char *buf, size_t size);

/* What a rule sees: step i of q, before and after it on both sides. */
struct df_case {
	const struct df_seq *q;
	uint32_t i;
	const struct df_step *st;
	const struct df_trace *kernel, *ours;
	const struct df_obs *k, *o;   /* after it */
	const struct df_obs *kb, *ob; /* before it */
	uint32_t fields;	      /* that differ */
};

enum df_verdict {
	DF_EQUAL,
	DF_EXPLAINED, /* by rules; from one of them on the traces may go apart */
	DF_UNEXPLAINED,
};

struct df_result {
	enum df_verdict verdict;
	uint32_t step;	   /* the first that is unexplained, or where an explained one ended it */
	uint32_t fields;   /* of it, that no rule explains */
	uint32_t compared; /* steps, of both sides: those behind the end of a comparison are not */
	uint64_t rules;	   /* those that were used, as bits */
};
void df_compare(const struct df_seq *q, const struct df_trace *kernel, const struct df_trace *ours,
	struct df_result *res);

/* ---- explained.c ---- */
/*
 * The fields that some rule explains; its number is added to *rules. *end: what follows can not be
 * compared.
 */
uint32_t df_explain(const struct df_case *c, uint64_t *rules, bool *end);
uint32_t df_rules_count(void);
const char *df_rule_name(uint32_t rule);
/*
 * Whether a rule explained something in as many of the sequences as it should: a rule that grew hides
 * something, and where lib/tcp is the stricter one, a rule that shrank was lost there. Only 10,000
 * sequences and more have a floor.
 */
enum df_count { DF_COUNT_GOOD, DF_COUNT_ABOVE, DF_COUNT_BELOW };
enum df_count df_rule_count(uint32_t rule, uint64_t n, uint64_t sequences);
/* -1: no rule is called so. */
int32_t df_rule_find(const char *name);
void df_rules_print(void);

/* ---- shrink.c ---- */
/* Leaves out steps while the same kind of difference remains. */
void df_shrink(struct df_seq *q);
