/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects that lib/tcp keeps for a tuple: a connection (after the handshake, or an active open), a
 * half-open record, a TIME-WAIT record. Two more objects exist only while a connection needs them:
 * the out-of-order queue and the loss record. Names are those of RFC 9293 §3.3.
 */
#pragma once

#include "mt_net.h"
#include "mt_stream.h"
#include "mt_tcp_cc_priv.h"
#include "mt_tcp_wire_priv.h"
#include "mt_wheel.h"

enum mt_tcp_state {
	MT_TCP_CLOSED,	  /* no connection */
	MT_TCP_LISTEN,	  /* no connection, but a listener for the address */
	MT_TCP_HALF_OPEN, /* SYN-RECEIVED as a record */
	MT_TCP_SYN_SENT,
	MT_TCP_SYN_RCVD, /* only after a simultaneous open */
	MT_TCP_ESTABLISHED,
	MT_TCP_FIN_WAIT_1,
	MT_TCP_FIN_WAIT_2,
	MT_TCP_CLOSE_WAIT,
	MT_TCP_CLOSING,
	MT_TCP_LAST_ACK,
	MT_TCP_TIME_WAIT,
	MT_TCP_N_STATES
};

/* c->at[]: deadlines of the one timer node, in milliseconds of t->now_ms; 0: not set. */
enum mt_tcp_deadline {
	MT_TCP_AT_RTO,	/* retransmission, or the persist timer when nothing is in flight */
	MT_TCP_AT_ACK,	/* delayed ACK, next step of a paced burst, retry after a memory shortage */
	MT_TCP_AT_KEEP, /* keep-alive */
	/* connect timeout; time limit of a detached connection; next probe of a path in doubt */
	MT_TCP_AT_LIMIT,
	MT_TCP_N_DEADLINES
};

/* c->flags */
#define MT_CF_ACTIVE	0x00001 /* active open */
#define MT_CF_TS	0x00002 /* timestamps agreed (RFC 7323) */
#define MT_CF_SACK	0x00004 /* SACK agreed (RFC 2018) */
#define MT_CF_ACK_NOW	0x00008 /* an ACK is due at flush */
#define MT_CF_ACK_DELAY 0x00010 /* an ACK may wait for delack_ms */
#define MT_CF_FIN_SENT	0x00020 /* snd_nxt includes this side's FIN */
#define MT_CF_FIN_ACKED 0x00040
#define MT_CF_DETACHED	0x00080 /* the user detached */
#define MT_CF_DEAD	0x00100 /* out of the table; reaped at the end of flush */
#define MT_CF_RST_DUE	0x00200 /* a RST is due at flush */
/* the protocol ended in order; closed() waits until rx is consumed */
#define MT_CF_ENDED	0x00400
#define MT_CF_ON_EVENTS 0x00800
#define MT_CF_ON_FLUSH	0x01000 /* on t->flush or, with MT_CF_WAITS, on t->wait[c->wait_for] */
#define MT_CF_WAITS	0x02000 /* for a port or a neighbour */
#define MT_CF_CWND_LTD	0x04000 /* only cwnd limited the last flush */
#define MT_CF_PERSIST	0x08000 /* AT_RTO is the persist timer (RFC 9293 §3.8.6.1) */
#define MT_CF_IN_TABLE	0x10000
#define MT_CF_RST_ACK	0x20000	 /* c->rst_ack is valid: the ACK number of the peer's RST */
#define MT_CF_WND_HELD	0x40000	 /* memory pressure kept the window closed; reopen it afterwards */
#define MT_CF_SYN_DUE	0x80000	 /* a SYN or SYN-ACK is due at flush */
#define MT_CF_PROBE_DUE 0x100000 /* a window or keep-alive probe is due at flush */
/* the override timer fired: send what the window allows, even a small segment */
#define MT_CF_FORCE	0x200000
#define MT_CF_TLP	0x400000  /* AT_RTO is the tail loss probe's (RFC 8985 §7) */
#define MT_CF_TLP_DUE	0x800000  /* a tail loss probe is due at flush */
#define MT_CF_REO	0x1000000 /* AT_RTO is RACK's reordering timer (RFC 8985 §6.2) */
#define MT_CF_REORDERED 0x2000000 /* reordering was seen on the path */
#define MT_CF_DSACK	0x4000000 /* the next ACK reports a duplicate (RFC 2883) */
#define MT_CF_ECN	0x8000000 /* agreed (RFC 3168) */
/* a packet marked CE came: set ECE in ACKs until the peer has reduced its window */
#define MT_CF_ECE     0x10000000
#define MT_CF_CWR     0x20000000 /* cwnd was reduced: set CWR in the next new segment */
#define MT_CF_REFUSES 0x40000000 /* the user reads no more: received payload is not accepted */
#define MT_CF_REFUSED 0x80000000 /* some payload was not accepted */
/* MT_TCP_ECE if MT_CF_ECE is set, without a branch. */
#define MT_CF_ECE_BITS(flags) (((flags)&MT_CF_ECE) >> 22)
_Static_assert(MT_CF_ECE_BITS(MT_CF_ECE) == MT_TCP_ECE, "one bit moved to the place of the other");
/* Meaning of AT_RTO if it is not the retransmission timeout. */
#define MT_CF_RTO_KIND (MT_CF_PERSIST | MT_CF_TLP | MT_CF_REO)

/* c->events: events that mt_tcp_deliver() raises, in this order */
#define MT_EV_ACCEPT	0x01
#define MT_EV_CONNECTED 0x02
#define MT_EV_READABLE	0x04
#define MT_EV_EOF	0x08
#define MT_EV_WRITABLE	0x10
#define MT_EV_ACKED	0x20
#define MT_EV_CLOSED	0x40

/* c->mode: loss recovery */
enum mt_tcp_mode {
	MT_TCP_OPEN,
	MT_TCP_RECOVERY, /* fast recovery: RFC 8985, RFC 6582 without SACK */
	MT_TCP_LOSS,	 /* after a retransmission timeout: RFC 6298 §5, RFC 5681 §3.1 */
};

#define MT_TCP_OOO_RANGES 64

/* The out-of-order queue; from a slab, only while data waits for a hole to be filled. */
struct mt_tcp_ooo {
	uint32_t n;
	uint32_t bytes, truesize;
	uint32_t stamp; /* grows with each arrival: SACK reports the newest first (RFC 2018 §4) */
	uint32_t fin_seq; /* if has_fin: the sequence number of the peer's FIN */
	bool has_fin;
	struct mt_tcp_range {
		uint32_t seq, stamp;
		struct mt_chain data;
	} r[MT_TCP_OOO_RANGES]; /* sorted, disjoint, not touching */
};

/*
 * mt_link(m)->mark of a transmitted buffer in the send queue. The low half is the time when it was
 * sent (t->now_us); flags give its state. A buffer is a segment in the sense of RFC 8985. One that
 * left in several segments counts as sent with the last of them, so losses are found later, never
 * too early.
 */
#define MT_TX_RETRANS (1ull << 32) /* sent more than once */
#define MT_TX_LOST    (1ull << 33) /* counts as lost and was not sent again since */
#define MT_TX_SACKED  (1ull << 34) /* all of it was SACKed */
/*
 * Bits above: the low bits of the ACK number in the buffer's first segment, as first transmitted.
 */
#define MT_TX_ACK_SHIFT 35
#define MT_TX_ACK	(~0ull << MT_TX_ACK_SHIFT)

#define MT_TCP_SACKED_MAX 32

/*
 * Budget of walks over the send queue for loss detection, in buffers: credit per ACK with news, and
 * its maximum.
 */
#define MT_TCP_WALK_ACK 128
#define MT_TCP_WALK_MAX 2048

/*
 * State of a loss episode: the scoreboard, RACK, the tail loss probe, PRR, and what an undo
 * restores. From a slab, only while needed.
 */
struct mt_tcp_loss {
	uint32_t n;
	uint32_t sacked; /* bytes in r[] */
	uint32_t lost;	 /* bytes in buffers marked MT_TX_LOST that are not SACKed */
	/*
	 * the first buffer that is marked lost (NULL: none) and its first byte; bytes below
	 * `resume` were sent again
	 */
	struct rte_mbuf *todo;
	uint32_t todo_seq, resume;
	uint32_t
		resent; /* end of the last byte that was sent more than once, in this loss record */
	uint64_t fin_mark; /* mark of the FIN */
	/* the buffer is marked lost only because it is the first: send one segment of it */
	bool first_only;
	bool owed; /* the next retransmission ignores the pipe limit */

	/*
	 * RFC 8985 §5.3: of the latest sent segment that arrived: time, end, round trip; RACK.fack
	 */
	bool rack_set;
	uint32_t rack_us, rack_end, rack_rtt_us, fack;
	bool dsack_round_set; /* the reordering window was widened in this round trip */
	uint32_t dsack_round;
	uint32_t rto_at; /* the RTO deadline while AT_RTO is RACK's (MT_CF_REO) */
	int32_t credit;	 /* buffers that may be walked over; below 0: walks are deferred */
	bool put_off;	 /* the scoreboard has news that no walk has processed */

	/* RFC 8985 §7.4 */
	bool tlp, tlp_again;
	uint32_t tlp_end;

	/* RFC 3168: cwnd was reduced for a mark; no second reduction until this is acknowledged */
	bool cwr;
	uint32_t cwr_end;

	uint16_t
		hole_mss; /* mss_peer before shorter segments were tried (RFC 4821); 0: not tried */

	/* RFC 6937 */
	bool prr;
	uint32_t prr_delivered, prr_out, prr_flight;

	/* RFC 3522 and D-SACK: the earlier cwnd, and the state to detect that nothing was lost */
	bool can_undo, undo_sent, undo_first;
	uint32_t undo_una; /* snd_una at the start */
	uint32_t
		undo_until; /* when this is acknowledged, no D-SACK of the episode can still come */
	uint32_t undo_ts;   /* this side's timestamp in the first retransmission */
	uint32_t undo_left; /* bytes that were sent again and are not reported as duplicates yet */
	struct mt_tcp_cc undo_cc;

	struct mt_tcp_block r[MT_TCP_SACKED_MAX]; /* sorted, disjoint, not touching */
};

/*
 * A connection. With its entry in the hot table (64 B / 5 entries) at most 512 B; an idle
 * connection holds no mbuf. Every segment touches lines 2 and 3.
 */
struct mt_tcp_conn {
	struct mt_stream s; /* first */
	struct mt_tuple tuple;
	uint32_t flags;	 /* MT_CF_* */
	uint8_t state;	 /* enum mt_tcp_state */
	uint8_t mode;	 /* enum mt_tcp_mode */
	uint8_t retries; /* consecutive timeouts without progress */
	uint8_t dup_acks;

	/* line 2: both directions' sequence state */
	uint32_t snd_una, snd_nxt, snd_wnd, snd_wl1, snd_wl2;
	uint32_t max_wnd; /* largest window that the peer offered (SWS avoidance, RFC 5961 §5) */
	uint32_t rcv_nxt;
	uint32_t rcv_adv;    /* right edge of the advertised window */
	uint32_t rcv_budget; /* bytes that may wait for the user; grows by auto-tuning */
	uint32_t ts_recent, ts_off, last_ack; /* Last.ACK.sent */
	uint32_t rcvd_ms;		      /* last segment from the peer */
	uint16_t mss_peer;		      /* announced by the peer, options not counted */
	uint16_t mss_rcv; /* largest payload received: counts as a full segment */
	uint8_t snd_scale, rcv_scale;
	uint8_t ack_segs; /* full segments since the last ACK */
	uint8_t ooo_acks; /* duplicate ACKs to send one by one (a peer without SACK counts them) */
	uint8_t events;	  /* MT_EV_* */
	uint8_t reason;	  /* for closed() */
	int16_t credit;	  /* bytes left in round wait_round of its port's queue; below 0: debt */

	/* line 3: the send queue */
	struct mt_chain tx;	  /* from snd_una (after SYN) on */
	struct rte_mbuf *nxt_seg; /* buffer of snd_nxt; NULL only if tx is empty */
	/* from buf_addr, so that dropping acknowledged bytes does not change it */
	uint32_t nxt_off;
	uint32_t ev_next,
		fl_next;    /* links of the event list; and of the flush list or of a wait queue */
	uint32_t acked;	    /* bytes for the next acked event */
	uint32_t ooo, loss; /* slab index + 1; 0: none */

	struct mt_tcp_cc cc;
	uint32_t recover; /* RFC 6582: recovery ends when this is acknowledged */
	uint32_t srtt_us, rttvar_us, rto_ms;
	union {
		uint32_t rtt_seq; /* end of the timed segment */
		uint32_t idle_ms; /* while nothing is outstanding: when the last segment was sent */
	};
	uint32_t rtt_at; /* when it was sent (now_us); 0: no segment is timed (RFC 6298 §3, Karn) */
	union {
		/* with MT_CF_DSACK: start of the duplicate to report, and its length */
		uint32_t dup_seq;
		uint32_t rst_ack; /* after the end, with MT_CF_RST_ACK */
	};

	struct mt_timer timer;
	uint32_t at[MT_TCP_N_DEADLINES];
	struct mt_net_dst dst;

	uint64_t bytes_in, bytes_out;
	uint32_t born_ms, retransmits;
	/* receive auto-tuning: bytes received in the current round, and its start */
	uint32_t tune_bytes, tune_ms;
	uint32_t fl_prev;    /* while on a wait queue */
	uint32_t oow_ms;     /* last answer to a segment out of window (RFC 5961 §7 throttling) */
	uint32_t min_rtt_us; /* smallest recent round trip; 0: none yet */
	uint16_t dup_len;
	/* times the peer's window was zero while bytes waited; at most 65,535 */
	uint16_t zero_windows;
	uint8_t reo_mult;	 /* RACK.reo_wnd_mult - 1 */
	uint8_t reo_persist : 5; /* recoveries until it is reset to 0 */
	uint8_t doubts : 3;	 /* with AT_LIMIT: eighths of the silence limit that have passed */
	uint8_t wait_for;	 /* index in mt_tcp.wait, with MT_CF_WAITS */
	uint8_t wait_round;
	union {
		uint32_t fin_una; /* snd_una when the peer's FIN arrived */
		uint32_t words;	  /* bytes that are still accepted, with MT_CF_REFUSES */
	};
};

#define MT_TCP_CONN_MAX 448 /* + 13 B of table; a multiple of the slab's cache lines */
_Static_assert(sizeof(struct mt_tcp_conn) <= MT_TCP_CONN_MAX, "an idle connection stays small");
_Static_assert(offsetof(struct mt_tcp_conn, snd_una) == 128, "line 2: sequence state");
_Static_assert(offsetof(struct mt_tcp_conn, tx) == 192, "line 3: send queue");

/* A tuple without its alignment padding: 36 bytes. */
struct mt_tcp_key {
	uint32_t local[4], remote[4];
	uint16_t lport, rport;
};

static inline struct mt_tcp_key mt_tcp_key_of(const struct mt_tuple *t)
{
	struct mt_tcp_key k = {.lport = t->lport, .rport = t->rport};

	memcpy(k.local, t->local.w, sizeof(k.local));
	memcpy(k.remote, t->remote.w, sizeof(k.remote));
	return k;
}

static inline struct mt_tuple mt_tcp_tuple_of(const struct mt_tcp_key *k)
{
	struct mt_tuple t = {.lport = k->lport, .rport = k->rport};

	memcpy(t.local.w, k->local, sizeof(k->local));
	memcpy(t.remote.w, k->remote, sizeof(k->remote));
	return t;
}

static inline bool mt_tcp_key_is(const struct mt_tcp_key *k, const struct mt_tuple *t)
{
	return k->lport == t->lport && k->rport == t->rport &&
	       memcmp(k->local, t->local.w, sizeof(k->local)) == 0 &&
	       memcmp(k->remote, t->remote.w, sizeof(k->remote)) == 0;
}

/* SYN-RECEIVED without a connection (RFC 4987 §3.3). */
struct mt_tcp_half {
	struct mt_tcp_key key;
	uint32_t iss, irs;
	uint32_t ts_recent;
	uint32_t due_ms;     /* when the SYN-ACK is sent again or the record dropped */
	uint32_t next, prev; /* index + 1 in the list of its level */
	uint16_t mss;
	uint8_t wscale : 4;
	uint8_t has_ts : 1;
	uint8_t has_wscale : 1;
	uint8_t has_sack : 1;
	uint8_t level : 7; /* SYN-ACKs sent again so far */
	uint8_t has_ecn : 1;
};
_Static_assert(sizeof(struct mt_tcp_half) == 64, "a half-open record is one cache line");

/* What must be kept of a connection that ended (RFC 9293 §3.4.2, RFC 6191). */
struct mt_tcp_tw {
	struct mt_tcp_key key;
	uint32_t snd_nxt, rcv_nxt;
	uint32_t ts_recent; /* 0: the connection had no timestamps */
};
_Static_assert(sizeof(struct mt_tcp_tw) == 48, "a TIME-WAIT record stays small");

static inline uint32_t mt_tcp_flight(const struct mt_tcp_conn *c)
{
	return c->snd_nxt - c->snd_una;
}

/* Sequence number after the last queued byte, which is that of this side's FIN. */
static inline uint32_t mt_tcp_data_end(const struct mt_tcp_conn *c)
{
	return c->snd_una + c->tx.len;
}
