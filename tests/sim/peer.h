/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The independent peer: a small TCP of its own on raw frames, written from RFC 9293 without a look at
 * lib/tcp. It is simple (no congestion control beyond slow start and AIMD, go-back-N after a timeout)
 * and it is a referee: it fails the seed when the other side breaks a rule. By seed it misbehaves.
 */
#pragma once

#include "link.h"
#include "host.h"

enum peer_state {
	PEER_CLOSED,
	PEER_SYN_SENT,
	PEER_SYN_RCVD,
	PEER_ESTABLISHED,
	PEER_FIN_WAIT_1,
	PEER_FIN_WAIT_2,
	PEER_CLOSE_WAIT,
	PEER_CLOSING,
	PEER_LAST_ACK,
	PEER_TIME_WAIT,
	PEER_N_STATES
};

extern const char *const peer_state_names[PEER_N_STATES];

/* How this host's TCP behaves; drawn by peer_conduct_draw(). Rates per million segments. */
struct peer_conduct {
	bool timestamps, sack, window_scale, keep_ooo;
	uint8_t shift;	    /* window scale */
	uint16_t mss;	    /* advertised */
	uint32_t rcvbuf;    /* bytes */
	uint32_t ack_every; /* full segments per ACK */
	uint64_t delack;    /* ns; 0: at once */
	uint64_t rto_min;
	bool odd_options;  /* NOPs, unknown kinds, in strange order */
	bool uneven;	   /* segments of any length; repeated ones overlap others */
	uint32_t tiny;	   /* segments of one byte */
	uint32_t replay;   /* an old segment is sent again later */
	uint32_t shrink;   /* the window is taken back (RFC 9293 discourages it) */
	uint32_t zero_wnd; /* a window of 0 for a while */
	uint32_t bad_ack;  /* an ACK for what was never sent, or for long ago */
	uint32_t stray;	   /* a segment outside the window; blind RST and SYN (RFC 5961) */
	bool ecn;	   /* RFC 3168 */
	uint32_t cross;	   /* a SYN is answered as if both had opened at once */
	bool deaf;	   /* and then it may hear nothing for a while */
	bool closes; /* who lets a connection go takes nothing more: data is answered by RST, as Linux does */
	/* Peers that want more than their share, or do not keep their word: peer_lies_draw(). */
	uint32_t divide;     /* many ACKs for one segment (ACK division) */
	uint32_t optimistic; /* ACKs of what has not come yet */
	uint32_t renege;     /* what was SACKed is thrown away (RFC 2018 §8) */
	uint32_t sack_lie;   /* SACK of what did not come, or makes no sense */
	uint32_t dsack_lie;  /* D-SACK of what was not doubled */
	uint32_t overrun;    /* bytes behind our window */
	uint32_t silly;	     /* the window opens by a few bytes */
	bool near_wrap;	     /* sequence numbers begin close to 2^31 or 2^32 */
};

struct peer_ooo {
	struct peer_ooo *next;
	uint32_t seq, len;
	bool fin;
	uint8_t data[];
};

enum peer_timer { PEER_T_RTO, PEER_T_DELACK, PEER_T_TW, PEER_T_KEEP, PEER_T_N };

#define PEER_KEEP_ALIVE (120 * MT_SEC)

struct peer;

struct peer_conn {
	struct sim_sock sock;
	struct peer *peer;
	struct peer_conn *next, *same; /* same: in its bucket */
	enum peer_state state;
	struct mt_addr laddr, raddr;
	uint16_t lport, rport;
	/* send */
	uint32_t iss, una, nxt, max, wnd, wl1, wl2; /* max: highest nxt ever */
	uint8_t *tx;				    /* bytes from una (without SYN) on */
	uint32_t tx_len, cwnd, ssthresh, dup_acks, snd_mss;
	uint8_t snd_shift;
	bool fin_wanted, fin_sent, syn_acked, app_blocked, told_writable;
	/* receive */
	uint32_t irs, rcv, adv; /* rcv.nxt; right edge advertised */
	uint8_t *rx;		/* in order, not taken by the application */
	uint32_t rx_len, rx_cap;
	struct peer_ooo *ooo;
	uint32_t ooo_bytes;
	bool fin_rcvd, shrunk, eof_told;
	uint64_t zero_until;
	uint8_t rcv_shift;
	/* everything received, to compare retransmissions with */
	uint8_t *log;
	uint32_t log_len, log_cap;
	uint32_t their_edge;   /* highest right edge they offered, */
	uint64_t their_serial; /* in the order of sending */
	/* timers and options */
	uint64_t due[PEER_T_N];
	uint64_t stranger_at; /* when a segment out of the window is answered again */
	uint64_t rto, srtt, rttvar, timed_at;
	uint32_t timed_seq;
	bool timing, ts_on, sack_on, ws_on;
	uint32_t stray_iss; /* of a SYN in the middle of a connection: mischief */
	bool stray_syn;
	bool ecn_on, ecn_echo, ecn_cwr; /* peer_ecn.c */
	uint32_t ecn_recover, their_high;
	uint64_t their_high_serial;
	uint64_t deaf_until; /* it hears nothing so long */
	bool lying;	     /* the segment that is written may carry lies */
	uint32_t ts_recent, ts_offset, last_ack_sent, unacked_segs, retries;
	bool closed; /* let go, by a host that closes */
	bool dead;   /* its application has let go; freed with the host */
	enum sim_end end_how;
	bool lingering; /* over, but the application has bytes to read */
	uint32_t wake_gen;
};

struct peer_listener {
	uint16_t port;
	void (*on_accept)(void *ctx, struct sim_sock *k);
	void *ctx;
};

#define PEER_LISTENERS 80
#define PEER_REPLAYS   8
#define PEER_BUCKETS   4096

struct peer {
	struct sim_host host;
	struct sim_nic nic;
	struct sim *sim;
	struct peer_conduct conduct;
	struct peer_conn *conns, *bucket[PEER_BUCKETS]; /* the youngest first */
	uint32_t live;
	struct peer_listener listen[PEER_LISTENERS];
	uint32_t n_listen;
	uint16_t next_port, first_port, ip_id;
	uint8_t tos;	   /* of the next packet */
	uint8_t gw_mac[6]; /* where everything is sent */
	bool dead;	   /* the host is off: hears and says nothing */
	uint16_t networks; /* 0: it has one address; else it connects from so many /24s in turn */
	bool lenient;	   /* the network lies (wild corruption): no referee */
	struct sim_frame *replays[PEER_REPLAYS];
	uint64_t cells[PEER_N_STATES]; /* segments received in each state */
};

/* peer.c: hosts and connections */
void peer_init(struct peer *p, struct sim *s, const char *name, uint8_t number);
void peer_fini(struct peer *p);
/* The machine dies: no FIN, no RST; its sockets end for their applications without a word. */
void peer_kill(struct peer *p);
/* It crashes and is up again at once: its connections are forgotten, listeners and ports are as before. */
void peer_reboot(struct peer *p);
void peer_conduct_draw(struct peer_conduct *c, struct mt_rand *r, uint32_t severity);
/* More mischief on top. `lossless`: nothing gets lost on the way to it. */
void peer_lies_draw(struct peer_conduct *c, struct mt_rand *r, bool lossless);
/* It breaks no rule that its own referee would whistle. */
bool peer_conduct_fair(const struct peer_conduct *c);
struct peer_conn *peer_find(struct peer *p, const struct sim_pkt *k);
struct peer_conn *peer_conn_new(struct peer *p);
/* Its addresses and ports are known: segments find it. */
void peer_conn_named(struct peer_conn *c);
void peer_conn_end(struct peer_conn *c, enum sim_end how);
void peer_arm(struct peer_conn *c, enum peer_timer t, uint64_t at);
uint32_t peer_conns_live(const struct peer *p);

void peer_tell_eof(struct peer_conn *c);

/* peer_in.c */
void peer_input(struct peer *p, struct sim_frame *f, struct sim_pkt *k);

/* peer_lies.c */
/* ACKs that an honest peer would not send, before its own. */
void peer_lie_before_ack(struct peer_conn *c);
void peer_lie_after_ack(struct peer_conn *c);
/* False blocks behind `n` bytes of the options; the new length. */
uint32_t peer_lie_sack(struct peer_conn *c, uint8_t *o, uint32_t n);

/* peer_ecn.c: RFC 3168 */
uint8_t peer_ecn_flags(struct peer_conn *c, uint32_t seq, uint8_t flags, uint32_t n);
void peer_ecn_agree(struct peer_conn *c, const struct sim_pkt *k, bool syn_ack);
void peer_ecn_in(struct peer_conn *c, const struct sim_pkt *k);
/* What the other side may not do; NULL: nothing. */
const char *peer_ecn_foul(struct peer_conn *c, const struct sim_pkt *k, uint64_t serial);

/* peer_data.c: a segment in the window, its ACK taken */
void peer_data_in(struct peer_conn *c, const struct sim_pkt *k);

/* peer_opts.c */
struct peer_opts {
	uint16_t mss;
	int shift; /* -1: none */
	bool ts, sack_ok;
	uint32_t tsval, tsecr;
};
bool peer_opts_parse(const uint8_t *o, uint32_t n, struct peer_opts *out);
uint32_t peer_opts_write(struct peer_conn *c, uint8_t *o, bool syn);

/* peer_referee.c: about every segment of a synchronised connection that the network did not touch */
void peer_referee(
	struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o, uint64_t serial);

/* peer_out.c */
void peer_send_seg(struct peer_conn *c, uint32_t seq, uint8_t flags, const uint8_t *p, uint32_t n);
void peer_send_rst(struct peer *p, const struct sim_pkt *k);
void peer_ack(struct peer_conn *c);
void peer_output(struct peer_conn *c);
void peer_rto(struct peer_conn *c);
uint32_t peer_window(struct peer_conn *c);
/* Now and then keeps a copy of a frame that is sent, to send it again much later. */
void peer_maybe_replay(struct peer *p, const struct sim_frame *f);

/* peer_net.c: Ethernet, ARP, neighbour discovery, IP */
void peer_deliver(struct sim_nic *nic, struct sim_frame *f);
void peer_send_ip(struct peer *p, struct sim_frame *f, const struct mt_addr *src,
	const struct mt_addr *dst, uint16_t l4_len);
/* Where the TCP header goes in a fresh frame for this family. */
uint8_t *peer_l4(struct sim_frame *f, const struct mt_addr *dst);

static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}
