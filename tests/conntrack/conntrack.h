/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the TCP states of lib/l4 with those of the kernel's connection tracking
 * (docs/testing/conntrack.md). A sequence of segments of one flow comes from its seed alone; no
 * segment depends on an answer, so both sides get the same ones.
 */
#pragma once

#include "mt_l4.h"

#include <stdbool.h>
#include <stdint.h>

#define CT_FIN 0x01
#define CT_SYN 0x02
#define CT_RST 0x04
#define CT_ACK 0x10

#define CT_SEGMENTS 32 /* at most in a sequence */

struct ct_segment {
	uint32_t seq, ack, stamp; /* `stamp`: of the timestamp option; 0: none */
	uint16_t len;		  /* bytes of data */
	uint8_t from;		  /* 0: the client, 1: the server */
	uint8_t flags;
};

struct ct_sequence {
	uint64_t seed;
	uint32_t n;
	struct ct_segment at[CT_SEGMENTS];
};

/* States of the kernel, with its numbers (linux/netfilter/nf_conntrack_tcp.h). */
enum ct_kernel {
	CT_NONE, /* it has no entry */
	CT_SYN_SENT,
	CT_SYN_RECV,
	CT_ESTABLISHED,
	CT_FIN_WAIT,
	CT_CLOSE_WAIT,
	CT_LAST_ACK,
	CT_TIME_WAIT,
	CT_CLOSE,
	CT_SYN_SENT2,
	CT_REVERSED, /* an entry that a SYN of the server has made */
	CT_KERNELS
};

/* The states after each segment of a sequence. */
struct ct_states {
	uint8_t kernel[CT_SEGMENTS]; /* enum ct_kernel */
	uint8_t ours[CT_SEGMENTS];   /* enum mt_l4_state; MT_L4_STATELESS: there is no flow */
};

/* The first sequence number after the segment. */
static inline uint32_t ct_end(const struct ct_segment *g)
{
	return g->seq + g->len + !!(g->flags & CT_SYN) + !!(g->flags & CT_FIN);
}

static inline bool ct_is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* sequence.c */
void ct_make(uint64_t seed, struct ct_sequence *q);

/*
 * kernel.c: makes the namespace, in which the calling thread stays. 0; 77 with a message: this
 * machine cannot track; 1: another error.
 */
int ct_kernel_up(void);
/* Sets the kernel's states of n sequences. False, with a message: the kernel did not answer. */
bool ct_kernel_run(const struct ct_sequence *q, struct ct_states *states, uint32_t n);

/* ours.c: starts lib/l4 in this process; sets its states of a sequence, in virtual time; ends it. */
void ct_ours_up(void);
void ct_ours_run(const struct ct_sequence *q, struct ct_states *states);
bool ct_ours_down(void);

/* ---- comparison ------------------------------------------------------------------------------ */

struct ct_rule {
	const char *name, *document, *text;
	uint32_t least, most; /* sequences of 10,000 */
};

#define CT_EQUAL UINT32_MAX

struct ct_result {
	uint64_t rules;	    /* that explain a difference, as bits */
	uint32_t compared;  /* segments; the others follow a difference that ends the comparison */
	uint32_t different; /* index of the first unexplained difference; CT_EQUAL: none */
};

/* compare.c */
void ct_compare(
	const struct ct_sequence *q, const struct ct_states *states, struct ct_result *result);
uint32_t ct_rules(const struct ct_rule **rules);
/* True if the states mean the same. */
bool ct_corresponds(uint8_t kernel, uint8_t ours);
