/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates numbers in recorded client segments from those of the recorded server to those of the
 * stack.
 */
#include "replay.h"

#include <string.h>

#include <rte_ip.h>

#define OPT_NOP	   1
#define OPT_WSCALE 3
#define OPT_SACKOK 4
#define OPT_SACK   5
#define OPT_TS	   8

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return rte_be_to_cpu_32(v);
}

static void set32(uint8_t *p, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(p, &v, sizeof(v));
}

static uint16_t checksum(const struct frame *f)
{
	uint32_t len = f->data + f->data_len - f->l4;
	struct {
		struct mt_addr a, b;
		uint32_t len, proto;
	} pseudo = {f->src, f->dst, rte_cpu_to_be_32(len), rte_cpu_to_be_32(IPPROTO_TCP)};
	uint32_t sum;

	if (f->is4) {
		memset(&pseudo.a, 0, 12);
		memset(&pseudo.b, 0, 12);
	}
	sum = (uint32_t)rte_raw_cksum(&pseudo, sizeof(pseudo)) + rte_raw_cksum(f->b + f->l4, len);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void set_checksum(struct frame *f)
{
	uint8_t *at = f->b + f->l4 + 16;
	uint16_t sum;

	memset(at, 0, 2);
	sum = checksum(f);
	memcpy(at, &sum, sizeof(sum));
}

/* True for an option that the recorded server did not accept. */
static bool unwanted(const struct conn *c, uint8_t kind)
{
	return c->syn_ack &&
	       ((kind == OPT_WSCALE && !c->took_wscale) || (kind == OPT_SACKOK && !c->took_sack) ||
		       (kind == OPT_TS && !c->took_ts));
}

static void mend_options(struct frame *f, const struct conn *c, uint32_t shift)
{
	uint8_t *p = f->b + f->l4 + 20, *end = f->b + f->data;

	while (p < end && *p != 0) {
		uint8_t len;

		if (*p == OPT_NOP) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return;
		len = p[1];
		if (f->flags & TCP_SYN && unwanted(c, *p)) {
			memset(p, OPT_NOP, len);
		} else if (*p == OPT_SACK && c->our_isn_known) {
			for (uint8_t i = 2; i + 4 <= len; i = (uint8_t)(i + 4))
				set32(p + i, get32(p + i) + shift);
		} else if (*p == OPT_TS && len == 10 && get32(p + 6) != 0 && c->our_tsval) {
			set32(p + 6, c->our_tsval);
		}
		p += len;
	}
}

void mend(struct frame *f, struct conn *c, bool always)
{
	bool right = checksum(f) == 0;
	uint32_t shift = c->our_isn - c->isn;

	if (c->our_isn_known && c->isn_known && f->flags & TCP_ACK)
		set32(f->b + f->l4 + 8, f->ack + shift);
	mend_options(f, c, shift);
	/* A segment with a wrong checksum in the recording keeps it. */
	if (right || always)
		set_checksum(f);
	frame_parse(f);
}

void mend_learn(struct conn *c, const struct frame *f)
{
	const uint8_t *p = f->b + f->l4 + 20, *end = f->b + f->data;

	if (f->flags & TCP_SYN) {
		c->our_isn = f->seq;
		c->our_isn_known = true;
	}
	while (end - p >= 2 && *p != 0) {
		if (*p == OPT_NOP) {
			p++;
			continue;
		}
		if (p[1] < 2 || p[1] > end - p)
			return;
		if (*p == OPT_TS && p[1] == 10)
			c->our_tsval = get32(p + 2);
		p += p[1];
	}
}
