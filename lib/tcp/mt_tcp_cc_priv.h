/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control: what one ACK said, in one struct, given to one of a few algorithms. An algorithm
 * sees only this file: it keeps cwnd and ssthresh (bytes) and knows nothing of connections.
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
				epoch_ms; /* when this congestion avoidance stage began; 0: it has not */
			uint32_t k_ms;
		};
		/* HyStart++ (RFC 9406 §4.2) while ssthresh is MT_CC_SSTHRESH_INF; microseconds, 0: infinite */
		struct {
			uint32_t last_rtt, round_rtt; /* least of the last round, of this one */
			uint32_t
				css_rtt; /* conservative slow start began with this; 0: it has not */
			uint32_t
				round_end; /* windowEnd: the round is over when it is acknowledged */
			uint16_t samples;
			uint8_t css_rounds;
			bool running; /* a round has begun */
		};
	};
};

/* The findings of one ACK. */
struct mt_ack_ctx {
	uint32_t now_ms;
	uint32_t acked;	    /* bytes newly acknowledged in sequence */
	uint32_t sacked;    /* bytes newly acknowledged selectively */
	uint32_t delivered; /* bytes that arrived by whatever the ACK says (RFC 6937 §2) */
	/* of the newest segment that it acknowledges; 0: none. In the first slow start only */
	uint32_t rtt_us;
	uint32_t srtt_us;      /* smoothed, after this sample */
	uint32_t prior_flight; /* outstanding before this ACK */
	uint32_t una, nxt;     /* SND.UNA after it, SND.NXT */
	bool dup;	       /* a duplicate ACK (RFC 5681 §2) */
};

struct mt_cc_ops {
	const char *name;
	/* An ACK outside fast recovery moved snd_una while cwnd was what held us back: may grow it. */
	void (*ack)(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx);
	/* A loss was found with `flight` bytes outstanding: sets ssthresh (not cwnd). */
	void (*loss)(struct mt_tcp_cc *cc, uint32_t flight);
	/* The retransmission timer fired; loss() came before, if it was the first time. */
	void (*timeout)(struct mt_tcp_cc *cc);
	/* It was idle: the present epoch is over. */
	void (*restart)(struct mt_tcp_cc *cc);
};

extern const struct mt_cc_ops mt_cc_newreno, mt_cc_cubic;

/* The initial window of RFC 6928 §2. */
uint32_t mt_cc_initial_window(uint32_t mss);
/* Slow start with appropriate byte counting (RFC 3465), the first one HyStart++; bytes left for avoidance. */
uint32_t mt_cc_slow_start(struct mt_tcp_cc *cc, const struct mt_ack_ctx *ctx);
/* The first slow start is over, or begins anew: what was learnt of its rounds is forgotten. */
void mt_cc_forget_rounds(struct mt_tcp_cc *cc);
