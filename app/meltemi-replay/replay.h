/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meltemi-replay: replays a recorded conversation with the real lib/net and lib/tcp in place of the
 * server, on a virtual clock. Segments of the recorded clients are fed to the stack. Those of the
 * recorded server are not, but determine which bytes the application above the stack sends, and
 * when.
 */
#pragma once

#include "mt_net.h"
#include "mt_tcp.h"

#include <stdio.h>

/* ---- capture.c ----------------------------------------------------------------------------- */

/* One recorded frame, converted to untagged Ethernet. */
struct frame {
	uint64_t ns; /* since the first frame */
	uint8_t *b;
	uint32_t len;
	bool ip, is4;
	bool group;		 /* sent to a group address */
	struct mt_addr src, dst; /* if ip */
	/* if tcp */
	bool tcp;
	uint8_t flags;
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint32_t l4;		 /* offset of the TCP header */
	uint32_t data, data_len; /* offset and length of the payload */
};

struct capture {
	struct frame *frames;
	uint32_t n, cap;
	uint32_t skipped; /* unusable: truncated by the recorder, or neither Ethernet nor IP */
};

#define CAPTURE_MAX (4u << 20) /* frames */

#define TCP_FIN 1
#define TCP_SYN 2
#define TCP_RST 4
#define TCP_ACK 16

/*
 * Reads pcap or pcapng: Ethernet, raw IP, or Linux "any" captures. 0, or -errno with the reason in
 * e.
 */
int capture_read(struct capture *c, const char *path, struct mt_err *e);
void capture_free(struct capture *c);
/* Parses the bytes `b` again. */
void frame_parse(struct frame *f);

/* ---- conns.c ------------------------------------------------------------------------------- */

/* One recorded connection, and its state in the replay. */
struct conn {
	struct conn *next;
	struct mt_tuple tuple; /* local: the address of the server */
	struct mt_stream *s;   /* NULL before it is accepted, and after its end */
	/* the recorded server's side */
	bool isn_known, syn_ack;
	bool took_wscale, took_sack, took_ts; /* options that its SYN-ACK accepted */
	uint32_t isn;
	uint32_t sent; /* bytes of its stream that were sent in the replay, too */
	bool fin;
	/* our side */
	bool our_isn_known;
	uint32_t our_isn, our_tsval;
	uint64_t bytes_in, bytes_out;
	uint32_t segs_in, segs_out;
	bool accepted;
	const char *end; /* NULL: not closed */
};

struct conns {
	struct conn *bucket[4096];
	struct conn **all; /* in order of appearance */
	uint32_t n, cap;
	struct mt_addr *locals;
	uint32_t n_locals;
};

/*
 * Finds the connections of a capture and, unless `locals` were given, the addresses to serve: the
 * destinations of recorded SYNs. 0 or -ENOMEM.
 */
int conns_build(struct conns *cs, const struct capture *c);
int conns_add_local(struct conns *cs, const struct mt_addr *a);
bool conns_is_local(const struct conns *cs, const struct mt_addr *a);
struct conn *conns_find(const struct conns *cs, const struct mt_tuple *t);
void conns_free(struct conns *cs);

/* ---- mend.c -------------------------------------------------------------------------------- */

/*
 * Adapts a segment of a recorded client, which refers to the recorded server's numbers. Replaces
 * acknowledgment numbers, SACK blocks and timestamp echoes by those of the stack, and removes
 * options from its SYN that the recorded server did not accept. Corrects the checksum if it was
 * right before, or if `always`: a capture on the sending host has segments whose checksum the
 * device had not yet filled in.
 */
void mend(struct frame *f, struct conn *c, bool always);
/* Learns the stack's numbers from a segment that the stack has sent. */
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
	uint64_t trace;		      /* FNV-1a hash over time and bytes of all sent frames */
	struct rte_mbuf *answers[64]; /* ARP and ND replies of the router */
	uint32_t n_answers;
	/* Called for every frame that was fed or sent, in order. */
	void (*watch)(void *arg, const struct frame *f, uint64_t ns, bool out);
	void *watch_arg;
};

/* Starts the EAL and a stack that serves conns->locals. 0, or -errno with the reason in e. */
int stack_open(struct stack *s, struct conns *conns, const struct mt_tcp_conf *tcp, uint64_t seed,
	struct mt_err *e);
/* Closes the stack. Returns the number of leaked buffers. */
uint32_t stack_close(struct stack *s);
/* Runs timers until `ns` after the start. */
void stack_advance(struct stack *s, uint64_t ns);
/* Feeds a frame of a client, now. */
void stack_feed(struct stack *s, const struct frame *f);
/* Lets the application do what the recorded server did with this segment: send, close or reset. */
void stack_serve(struct stack *s, struct conn *c, const struct frame *f);

/* ---- report.c ------------------------------------------------------------------------------ */

void report_frame(FILE *to, const struct conns *cs, const struct frame *f, uint64_t ns, bool out);
void report_text(const struct stack *s, const struct capture *c, uint32_t unmatched);
void report_json(const struct stack *s, const struct capture *c, uint32_t unmatched);
