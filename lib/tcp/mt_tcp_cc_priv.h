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
	/* CUBIC (RFC 9438 §4.1), bytes and milliseconds */
	uint32_t w_max, w_est, prior;
	uint32_t epoch_ms; /* when this congestion avoidance stage began; 0: it has not */
	uint32_t k_ms;
};

/* The findings of one ACK. */
struct mt_ack_ctx {
	uint32_t now_ms;
	uint32_t acked;	       /* bytes newly acknowledged in sequence */
	uint32_t sacked;       /* bytes newly acknowledged selectively */
	uint32_t delivered;    /* bytes that arrived by whatever the ACK says (RFC 6937 §2) */
	uint32_t rtt_us;       /* a valid sample, or 0 */
	uint32_t srtt_us;      /* smoothed, after this sample */
	uint32_t prior_flight; /* outstanding before this ACK */
	bool dup;	       /* a duplicate ACK (RFC 5681 §2) */
	bool cwnd_limited; /* cwnd held us back since the last ACK: growing it means something */
};

struct mt_cc_ops {
	const char *name;
	/* An ACK outside fast recovery moved snd_una: may grow cwnd. */
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
/* Slow start with appropriate byte counting, (RFC 3465, RFC 9406 §4.2); returns bytes left for avoidance. */
uint32_t mt_cc_slow_start(struct mt_tcp_cc *cc, uint32_t acked);
