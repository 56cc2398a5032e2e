/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control: the findings of one ACK, in one struct, passed to one of a few algorithms. An
 * algorithm depends on this file only: it keeps cwnd and ssthresh (bytes) and has no access to
 * connections.
 */
#pragma once

#include "mt_base.h"

#define MT_CC_CWND_MAX (64u << 20)
/* Before the first loss: "arbitrarily high" (RFC 5681 §3.1). */
#define MT_CC_SSTHRESH_INF 0x7fffffffu

struct mt_tcp_cc {
	uint32_t cwnd, ssthresh, mss;
	uint32_t acc; /* bytes acknowledged since cwnd last grew (RFC 3465) */
	union {
		struct { /* CUBIC (RFC 9438 §4.1), bytes and milliseconds */
			uint32_t w_max, w_est, prior;
			uint32_t
				epoch_ms; /* start of this stage of congestion avoidance; 0: none */
			uint32_t k_ms;
		};
		/*
		 * HyStart++ (RFC 9406 §4.2) while ssthresh is MT_CC_SSTHRESH_INF; microseconds, 0:
		 * infinite
		 */
		struct {
			uint32_t last_rtt, round_rtt; /* smallest of the last round, of this one */
			uint32_t
				css_rtt; /* round trip when conservative slow start began; 0: off */
			uint32_t
				round_end; /* windowEnd: the round ends when this is acknowledged */
			uint16_t samples;
			uint8_t css_rounds;
			bool running; /* a round has begun */
		};
	};
};

/* The findings of one ACK. */
struct mt_ack_ctx {
	uint32_t now_ms;
	uint32_t acked;	 /* bytes newly acknowledged in sequence */
	uint32_t sacked; /* bytes newly acknowledged selectively */
	/* bytes that this ACK shows to have arrived, in any way (RFC 6937 §2) */
	uint32_t delivered;
	/* round trip of the newest acknowledged segment; 0: none. In the first slow start only */
	uint32_t rtt_us;
	uint32_t srtt_us;      /* smoothed, after this sample */
	uint32_t prior_flight; /* outstanding before this ACK */
	uint32_t una, nxt;     /* SND.UNA after it, SND.NXT */
	bool dup;	       /* a duplicate ACK (RFC 5681 §2) */
};

struct mt_cc_ops {
	const char *name;
	/* An ACK outside fast recovery moved snd_una while cwnd was the limit: may grow cwnd. */
	void (*ack)(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx);
	/* A loss was found with `flight` bytes outstanding: sets ssthresh (not cwnd). */
	void (*loss)(struct mt_tcp_cc *cc, uint32_t flight);
	/*
	 * The retransmission timer fired; on the first timeout in a row loss() was called before.
	 */
	void (*timeout)(struct mt_tcp_cc *cc);
	/* The connection was idle: ends the current epoch. */
	void (*restart)(struct mt_tcp_cc *cc);
};

extern const struct mt_cc_ops mt_cc_newreno, mt_cc_cubic;

/* The initial window of RFC 6928 §2. */
uint32_t mt_cc_initial_window(uint32_t mss);
/*
 * Slow start with appropriate byte counting (RFC 3465), with HyStart++ in the first one. Returns
 * the bytes left for congestion avoidance.
 */
uint32_t mt_cc_slow_start(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx);
/* Clears the round statistics, when the first slow start ends or starts again. */
void mt_cc_forget_rounds(struct mt_tcp_cc *cc);
