/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stack, a peer made of literal segments, integer time. The test says what arrives and what must
 * leave; numbers are relative: `seq` and `ack` of either side count from that side's initial sequence
 * number, which is 0. world_net.c stands in for lib/net: it takes what the stack sends and keeps it until
 * the test asks.
 *
 *	up(NULL);                                // a stack with a listener on 10.0.0.1:80
 *	rx(.flags = S, .mss = 1460);             // the peer's SYN
 *	tx(.flags = SA, .ack = 1, .mss = 1440);  // what must come back
 *	none();                                  // and nothing else
 *	down();                                  // every mbuf must be back in its pool
 */
#pragma once

#include "mt_tcp_priv.h"
#include "mt_test.h"

#define F   MT_TCP_FIN
#define S   MT_TCP_SYN
#define R   MT_TCP_RST
#define P   MT_TCP_PSH
#define A   MT_TCP_ACK
#define SA  (MT_TCP_SYN | MT_TCP_ACK)
#define PA  (MT_TCP_PSH | MT_TCP_ACK)
#define FA  (MT_TCP_FIN | MT_TCP_ACK)
#define RA  (MT_TCP_RST | MT_TCP_ACK)
#define E   MT_TCP_ECE
#define W   MT_TCP_CWR
#define FPA (MT_TCP_FIN | MT_TCP_PSH | MT_TCP_ACK)

#define ANY UINT32_MAX

/* A segment in words; fields that are 0 are not sent, and not looked at where a comment says so. */
struct say {
	uint8_t flags;
	uint32_t seq, ack; /* relative; tx: ANY is not looked at */
	uint32_t wnd;	/* as on the wire; rx: 0 means 65535, see `shut`; tx: 0 is not looked at */
	bool shut;	/* the window is 0 */
	uint32_t len;	/* payload: bytes of a pattern that follows from their sequence numbers */
	uint16_t mss;	/* tx: 0 is not looked at */
	uint8_t wscale; /* + 1; tx: 0 is not looked at */
	bool sack_ok;
	uint32_t tsval,
		tsecr;	  /* rx: with tsval the option is there; tx: tsecr 0 is not looked at */
	uint32_t sack[8]; /* relative start, end, ...; ends at the first 0 end */
	const uint8_t *raw_opts;
	uint32_t raw_len;
	bool ce;       /* rx: a router marked it */
	bool shared;   /* rx: the mbuf has another owner */
	uint32_t segs; /* rx: spread over this many mbufs */
};

struct world {
	struct mt_tcp *t;
	struct mt_pools pools;
	struct mt_steer steer;
	uint64_t now;
	bool ip6;
	uint16_t mtu;
	uint16_t lport, rport;
	uint16_t in_port;  /* by which segments come */
	uint32_t iss, irs; /* ours and the peer's initial sequence numbers */
	bool iss_known;
	enum mt_net_result route; /* what lib/net answers */
	uint32_t room;		  /* packets that the port takes before it is full */
	uint32_t asked;		  /* how often that was asked */
	bool two_ports;		  /* to remote addresses with an odd end by the second */
	uint32_t room_1;
	uint32_t back; /* answers that needed no neighbour: the sender's station was enough */
	bool hold;     /* the port keeps what was sent */
	struct rte_mbuf *held[512];
	uint8_t held_head[512]
			 [20]; /* what the TCP header was when it was sent; [0] == 0: received */
	uint32_t n_held;
	struct mt_port_caps caps;
	struct sent {
		uint8_t flags;
		uint32_t seq, ack, wnd, len, tsval, tsecr, n_sack;
		uint32_t sack[8];
		uint16_t mss;
		uint8_t wscale;
		uint16_t rport;
		uint32_t bytes; /* from the TCP header on */
		bool has_ts, sack_ok, ect;
		bool pattern_ok;
	} out[512];
	uint32_t n_out, next_out;
	/* the user */
	struct mt_stream *s; /* the last one that was accepted or opened */
	bool listening, refuse, stop_reading;
	char events[512];
	uint32_t read; /* bytes taken */
	bool read_ok;  /* all of them were right */
	enum mt_close_reason why;
	struct mt_stream_end end; /* in closed() */
	bool reclaims;		  /* in closed() as well: all that is not acknowledged */
	int reclaim_rc;
	struct mt_chain reclaimed;
	uint32_t tx_seq; /* pattern position of what was sent */
};

extern struct world w;
/* Both paths run every test. */
extern bool slow_path_only;

void up(const struct mt_tcp_conf *conf);
void down(void);
/* rx() of SYN, SYN-ACK and ACK with nothing but an MSS; `say` adds options. Clears the log. */
void accepted(void);
void accepted_with(struct say syn);
/* Our own open, answered. */
void opened(void);

void rx_say(struct say s);
void rx_later(struct say s); /* the same burst as the next rx() */
#define rx(...)	 rx_say((struct say){__VA_ARGS__})
#define rxq(...) rx_later((struct say){__VA_ARGS__})
void tx_say(struct say s, const char *file, int line);
#define tx(...) tx_say((struct say){__VA_ARGS__}, __FILE__, __LINE__)
/* Nothing (more) left. */
void none_at(const char *file, int line);
#define none() none_at(__FILE__, __LINE__)
void skip_all(void); /* what left is not looked at */

/* One loop turn after `ms`. */
void later(uint64_t ms);
/* As many turns as timers need, ends after ms. */
void pass(uint64_t ms);
void turn(void);

void send_bytes(uint32_t n);
void send_written(uint32_t n, uint32_t piece); /* in mbufs of `piece` bytes */
void read_all(void);
void read_first(uint32_t n);
/* Asks for the sent bytes [first, last) again, for w.reclaimed; whether they are those that were sent. */
int reclaim(struct mt_stream *s, uint64_t first, uint64_t last);
bool reclaimed(uint64_t first, uint64_t last);
/* The user's log since the last call must be this. */
void events_at(const char *want, const char *file, int line);
#define events(want) events_at(want, __FILE__, __LINE__)
uint64_t counter(enum mt_tcp_outcome o);
struct mt_tcp_conn *conn(void);
void release_held(void);
void take_pool(uint32_t leave); /* empties the data pool but for some */
void give_pool(void);
/* Also the control pool. */
void take_ctrl(uint32_t leave);

extern const struct mt_test open_tests[], walk_tests[], data_tests[], loss_tests[], window_tests[],
	close_tests[], guard_tests[], wait_tests[], memory_tests[], table_tests[], cc_tests[],
	found_tests[], ignore_tests[], reclaim_tests[], recovery_tests[], ecn_tests[],
	share_tests[], silence_tests[], evict_tests[], crowd_tests[];
