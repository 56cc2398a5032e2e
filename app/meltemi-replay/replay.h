/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meltemi-replay: a recorded conversation is held again, with the real lib/net and lib/tcp in the place
 * of the server, on a virtual clock. What the recorded clients sent is fed; what the recorded server
 * sent is not, but tells which bytes the application behind the stack sends, and when.
 */
#pragma once

#include "mt_net.h"
#include "mt_tcp.h"

#include <stdio.h>

/* ---- capture.c ----------------------------------------------------------------------------- */

/* One recorded frame, as untagged Ethernet. */
struct frame {
	uint64_t ns; /* since the first one */
	uint8_t *b;
	uint32_t len;
	bool ip, is4;
	bool group;		 /* sent to a group of stations */
	struct mt_addr src, dst; /* if ip */
	/* if tcp */
	bool tcp;
	uint8_t flags;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint32_t l4;		 /* where the TCP header begins */
	uint32_t data, data_len; /* payload; data_len 0 when there is none */
};

struct capture {
	struct frame *frames;
	uint32_t n, cap;
	uint32_t skipped; /* of no use: cut off by the recorder, or no Ethernet nor IP */
};

#define CAPTURE_MAX (4u << 20) /* frames */

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/* Reads pcap or pcapng: Ethernet, raw IP, or Linux "any" captures. 0 or -errno with words. */
int capture_read(struct capture *c, const char *path, struct mt_err *e);
void capture_free(struct capture *c);
/* Parses b and len again. */
void frame_parse(struct frame *f);

/* ---- conns.c ------------------------------------------------------------------------------- */

/* One recorded connection, and what became of it here. */
struct conn {
	struct conn *next;
	struct mt_tuple tuple; /* local: the served address */
	struct mt_stream *s;   /* NULL before it is accepted and after its end */
	/* the recorded server's side */
	bool isn_known, syn_ack;
	bool took_wscale, took_sack, took_ts; /* what its SYN-ACK agreed to */
	uint32_t isn;
	uint32_t sent; /* bytes of its stream that were sent here, too */
	bool fin;
	/* ours */
	bool our_isn_known;
	uint32_t our_isn, our_tsval;
	uint64_t bytes_in, bytes_out;
	uint32_t segs_in, segs_out;
	bool accepted;
	const char *end; /* NULL: still there */
};

struct conns {
	struct conn *bucket[4096];
	struct conn **all; /* in order of appearance */
	uint32_t n, cap;
	struct mt_addr *locals;
	uint32_t n_locals;
};

/*
 * Finds the connections of a capture, and (unless `locals` were given) the addresses that are served:
 * those that the recorded SYNs went to. 0 or -ENOMEM.
 */
int conns_build(struct conns *cs, const struct capture *c);
int conns_add_local(struct conns *cs, const struct mt_addr *a);
bool conns_is_local(const struct conns *cs, const struct mt_addr *a);
struct conn *conns_find(const struct conns *cs, const struct mt_tuple *t);
void conns_free(struct conns *cs);

/* ---- mend.c -------------------------------------------------------------------------------- */

/*
 * The recorded client answers the recorded server's numbers: acknowledgments, SACK blocks and timestamp
 * echoes are changed to those of the stack; options that the recorded server did not agree to are
 * taken out of its SYN. Checksums are made right again (only if they were, or `always`: a capture on
 * the sending machine shows them before the device filled them in).
 */
void mend(struct frame *f, struct conn *c, bool always);
/* Learns the stack's numbers from a segment that it sent. */
void mend_learn(struct conn *c, const struct frame *f);

/* ---- stack.c ------------------------------------------------------------------------------- */

struct stack {
	struct mt_pools pools;
	struct mt_port port;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *w;
	struct mt_tcp *tcp;
	struct conns *conns;
	uint64_t begin, now;
	uint64_t frames_in, frames_out, turns;
	uint64_t trace;		      /* FNV-1a over time and bytes of all that was sent */
	struct rte_mbuf *answers[64]; /* ARP and ND replies of the recorded stations */
	uint32_t n_answers;
	/* Every frame that was fed or sent, in order. */
	void (*watch)(void *arg, const struct frame *f, uint64_t ns, bool out);
	void *watch_arg;
};

/* The EAL, and a stack that serves conns->locals. 0 or -errno with words. */
int stack_open(struct stack *s, struct conns *conns, const struct mt_tcp_conf *tcp, uint64_t seed,
	struct mt_err *e);
/* Buffers that were not given back; 0 when nothing leaked. */
uint32_t stack_close(struct stack *s);
/* Runs timers until `ns` after the beginning. */
void stack_advance(struct stack *s, uint64_t ns);
/* A frame of a client, now. */
void stack_feed(struct stack *s, const struct frame *f);
/* What the recorded server sent: its application does the same here. */
void stack_serve(struct stack *s, struct conn *c, const struct frame *f);

/* ---- report.c ------------------------------------------------------------------------------ */

void report_frame(FILE *to, const struct conns *cs, const struct frame *f, uint64_t ns, bool out);
void report_text(const struct stack *s, const struct capture *c, uint32_t unmatched);
void report_json(const struct stack *s, const struct capture *c, uint32_t unmatched);
