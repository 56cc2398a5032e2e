/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that make lib/net and lib/tcp work: a peer that has much to acknowledge, and says what it likes; frames of any bytes. The
 * steps that were not paid for by what came (tests/steps/packets.h) are what is maximised, and held to its bound.
 *
 * Bytes: two of what the connection is like (see options()), then records: a verb (low three bits) with an argument (the
 * others), and what the verb needs.
 */
#include "../steps/packets.h"
#include "fuzz_steps.h"
#include "fuzz_reader.h"

#include <string.h>

#define PORT	 4000
#define PACKETS	 2000 /* of one input */
#define SMALL	 455  /* small buffers that a user may queue: tx_high counts truesize */
#define PAUSE_MS 5000 /* of all its pauses */
#define WRITES	 2000 /* buffers that its application adds */

static const uint16_t pieces[] = {1448, 400, 64, 1};

static struct packets w;
static struct packets_conf conf;
static uint32_t packets_left, ms_left, writes_left;

static void options(struct reader *r)
{
	uint32_t bits = u8(r), queued = u8(r) * 8;

	conf = (struct packets_conf){.v6 = bits & 1,
		.ts = bits & 2,
		.sack = bits & 4,
		.wscale = bits & 8,
		.piece = pieces[bits >> 4 & 3]};
	conf.queued = MT_MIN(queued, conf.piece < MT_TCP_COALESCE_MAX ? SMALL : UINT32_MAX);
}

/* ---- segments ---- */

#define ARG_WINDOW 0x01 /* a window of its own */
#define ARG_BURST  0x02 /* 16 in a turn */
#define ARG_OTHER  0x04 /* by another port */
#define ARG_NO_TS  0x08
#define ARG_SAME   0x10 /* flags are those of an ACK */

#define HOW_SEQ	   0x03 /* the next; near it; at the window's edge; far */
#define HOW_ACK	   0x0c /* of nothing new; of some bytes; of some buffers; of all */
#define HOW_BLOCKS 0x30 /* SACK blocks */
#define HOW_PIECES 0x40 /* they count buffers, not bytes */
#define HOW_AGAIN  0x80 /* the same some times, each with numbers that have moved */

/* A segment, and what moves in those that follow. */
struct spec {
	struct packets_seg s;
	uint32_t block[6];
	uint32_t n_blocks;
	uint32_t times;
	int32_t by_seq, by_ack, by_start, by_end;
};

static void numbers(struct reader *r, struct spec *p, uint32_t how)
{
	const struct mt_tcp_conn *c = packets_conn(&w);
	uint32_t una = c ? c->snd_una : 0, unit = how & HOW_PIECES ? conf.piece : 1;

	p->s.seq = c ? c->rcv_nxt : 0;
	if ((how & HOW_SEQ) == 1)
		p->s.seq += (uint32_t)(int16_t)u16(r);
	else if ((how & HOW_SEQ) == 2)
		p->s.seq = (c ? c->rcv_adv : 0) + (uint32_t)(int8_t)u8(r);
	else if ((how & HOW_SEQ) == 3)
		p->s.seq += u16(r) * 16;
	p->s.ack = una;
	if ((how & HOW_ACK) == 0x04)
		p->s.ack += u16(r);
	else if ((how & HOW_ACK) == 0x08)
		p->s.ack += u8(r) * conf.piece;
	else if ((how & HOW_ACK) == 0x0c)
		p->s.ack = c ? c->snd_nxt : 0;
	p->n_blocks = (how & HOW_BLOCKS) >> 4;
	for (uint32_t i = 0; i < p->n_blocks; i++) {
		p->block[2 * i] = una + u16(r) * unit;
		p->block[2 * i + 1] = p->block[2 * i] + u8(r) * unit;
	}
}

static void put_options(struct spec *p, bool ts)
{
	uint8_t *o = p->s.opts;

	p->s.n_opts = 0;
	if (ts) {
		mt_put_be32(o, 0x0101080a);
		mt_put_be32(o + 4, (uint32_t)(w.f.now / MT_MSEC));
		mt_put_be32(o + 8,
			packets_conn(&w) ? mt_tcp_ts_now(w.tcp, packets_conn(&w)->ts_off) : 0);
		p->s.n_opts = 12;
		o += 12;
	}
	if (p->n_blocks == 0)
		return;
	mt_put_be32(o, 0x01010500u | (2 + 8 * p->n_blocks));
	for (uint32_t i = 0; i < 2 * p->n_blocks; i++)
		mt_put_be32(o + 4 + 4 * i, p->block[i]);
	p->s.n_opts = (uint8_t)(p->s.n_opts + 4 + 8 * p->n_blocks);
}

static void segments(struct reader *r, uint32_t arg)
{
	struct spec p = {.times = 1};
	uint32_t how = u8(r), len;

	p.s.flags = arg & ARG_SAME ? MT_TCP_ACK : (uint8_t)u8(r);
	len = u8(r) * 6;
	p.s.len = (uint16_t)MT_MIN(len, 1400u);
	p.s.wnd = arg & ARG_WINDOW ? (uint16_t)u16(r) : 65535;
	p.s.port = (uint16_t)(arg & ARG_OTHER ? PORT + u8(r) : PORT);
	numbers(r, &p, how);
	if (how & HOW_AGAIN) {
		p.times = u8(r) * 4 + 1;
		p.by_seq = (int8_t)u8(r);
		p.by_ack = (int8_t)u8(r);
		p.by_start = (int8_t)u8(r);
		p.by_end = (int8_t)u8(r);
	}
	w.burst = arg & ARG_BURST ? 16 : 1;
	for (; p.times && packets_left; p.times--, packets_left--) {
		put_options(&p, conf.ts && !(arg & ARG_NO_TS));
		packets_send(&w, &conf, &p.s);
		p.s.seq += (uint32_t)p.by_seq;
		p.s.ack += (uint32_t)p.by_ack;
		for (uint32_t i = 0; i < p.n_blocks; i++) {
			p.block[2 * i] += (uint32_t)p.by_start;
			p.block[2 * i + 1] += (uint32_t)p.by_end;
		}
	}
}

/* ---- the others ---- */

static void raw(struct reader *r, uint32_t arg)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x0806, 0x8100};
	uint32_t n = u8(r) * 8;
	struct fx_pkt p = {0};

	n = (uint32_t)MT_MIN((size_t)MT_MIN(n, 1500u), r->left);
	fx_eth(&p, arg & 4 ? NULL : fx_our_mac[0], types[arg & 3]);
	fx_put(&p, r->at, (uint16_t)n);
	r->at += n;
	r->left -= n;
	w.burst = 1;
	if (packets_left) {
		packets_left--;
		packets_raw(&w, p.b, p.len);
	}
}

static void pause(struct reader *r, uint32_t arg)
{
	uint32_t ms = u8(r) * (arg & 1 ? 50 : 1);

	ms = MT_MIN(ms, ms_left);
	ms_left -= ms;
	packets_pass(&w, ms);
}

static void write_some(struct reader *r, uint32_t arg)
{
	uint32_t n = u8(r) + 1;

	n = MT_MIN(n, writes_left);
	writes_left -= n;
	packets_write(&w, n, pieces[arg & 3]);
	packets_turn(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = {data, size};

	if (size < 3)
		return 0;
	options(&r);
	packets_left = PACKETS;
	ms_left = PAUSE_MS;
	writes_left = WRITES;
	packets_up(&w, fuzz_pools(), &conf);
	while (r.left) {
		uint32_t verb = u8(&r), arg = verb >> 3;

		switch (verb & 7) {
		case 4:
			pause(&r, arg);
			break;
		case 5:
			write_some(&r, arg);
			break;
		case 6:
			packets_read(&w, arg & 1);
			break;
		case 7:
			raw(&r, arg);
			break;
		default:
			segments(&r, arg);
		}
	}
	packets_turn(&w);
	packets_down(&w);
	fuzz_steps_tell(w.steps, w.bytes, &w.worst, data, size);
	fuzz_check_pools();
	return 0;
}
