/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing the faults of a wire, and damaging frames. */
#include "link.h"

#include <string.h>

/* A rate for one kind of fault: most wires have only some kinds. */
static uint32_t rate(struct mt_rand *r, uint32_t severity, uint32_t max)
{
	if (severity == 0 || !sim_one_in(r, severity == 1 ? 3 : 2))
		return 0;
	return 1 + sim_below(r, max * severity / 3);
}

static void draw_blackouts(struct sim *s, struct sim_wire *w)
{
	struct mt_rand *r = &s->plan;

	for (uint32_t i = 0; i < SIM_BLACKOUTS; i++) {
		uint64_t from = s->now + sim_between(r, 5 * MT_MSEC, 3 * MT_SEC);

		if (sim_one_in(r, 2))
			w->blackout[i] = (struct sim_window){
				from, from + sim_between(r, 10 * MT_MSEC, 1500 * MT_MSEC)};
	}
}

void sim_wire_draw(struct sim *s, struct sim_wire *w, uint32_t severity)
{
	static const uint64_t delays[] = {
		5 * MT_USEC, 50 * MT_USEC, 500 * MT_USEC, 5 * MT_MSEC, 30 * MT_MSEC};
	struct mt_rand *r = &s->plan;

	memset(w, 0, sizeof(*w));
	w->delay = delays[sim_below(r, MT_ARRAY_LEN(delays))];
	w->jitter = sim_one_in(r, 2) ? w->delay / 2 : 0;
	w->reorder_by = 2 * w->delay + 300 * MT_USEC;
	w->loss = rate(r, severity, 60000);
	w->burst_enter = rate(r, severity, 8000);
	w->burst_leave = 300000;
	w->duplicate = rate(r, severity, 40000);
	w->reorder = rate(r, severity, 100000);
	w->corrupt = rate(r, severity, 20000);
	w->mark = rate(r, severity, 50000);
	w->corrupt_fixed = rate(r, severity, 20000);
	if (severity && sim_one_in(r, 5)) {
		w->bytes_per_sec = sim_between(r, 200000, 20000000);
		w->queue_bytes = (uint32_t)sim_between(r, 6000, 60000);
		w->mark_bytes = sim_one_in(r, 2) ? w->queue_bytes / 2 : 0;
	}
	if (severity >= 2 && sim_one_in(r, 4))
		draw_blackouts(s, w);
}

/*
 * Flips one to three bits within one byte: the 16-bit checksums find every such error, so nothing of
 * the frame may have an effect, except that it is lost.
 */
void sim_corrupt(struct sim *s, struct sim_frame *f)
{
	uint32_t at = 14 + sim_below(&s->net_rand, (uint32_t)f->len - 14);
	uint8_t mask = (uint8_t)(1 + sim_below(&s->net_rand, 255));
	struct sim_pkt p;

	/* Bytes that no checksum covers: the IPv6 header's first eight, and padding. */
	if (!sim_parse(f->data, f->len, &p) || p.proto != 6 || &f->data[at] >= p.l4 + p.l4_len)
		return;
	if (p.family == 6 && at < 14 + 8)
		at += 8;
	f->data[at] ^= mask;
	f->hurt = true;
	sim_count_fault(s, SIM_F_CORRUPT);
}

/* Fields that may change without harm to the byte stream. */
static bool touch_harmless(struct mt_rand *r, struct sim_pkt *p)
{
	switch (sim_below(r, 5)) {
	case 0: /* type of service, traffic class: not the ECN bits' meaning for TCP without ECN */
		p->ip[1] ^= p->family == 4 ? 0x10 : 0x20;
		return true;
	case 1:
		if (p->family == 4)
			p->ip[8] = 1; /* time to live */
		else
			p->ip[7] = 1;
		return true;
	case 2:
		p->l4[12] ^= (uint8_t)(2 << sim_below(r, 3)); /* reserved bits */
		return true;
	case 3:
		if (p->flags & SIM_URG)
			return false;
		sim_put16(p->l4 + 18, (uint16_t)mt_rand_u64(r)); /* urgent pointer without URG */
		return true;
	default:
		if (p->flags & SIM_SYN)
			return false;
		sim_put16(p->l4 + 14, p->wnd / 2); /* a smaller window for once */
		return true;
	}
}

void sim_corrupt_fixed(struct sim *s, struct sim_frame *f, bool wild)
{
	struct mt_rand *r = &s->net_rand;
	struct sim_pkt p;

	if (!sim_parse(f->data, f->len, &p) || p.proto != 6)
		return;
	if (wild)
		p.l4[4 + sim_below(r, (uint32_t)p.l4_len - 4)] ^= (uint8_t)(1 + sim_below(r, 255));
	else if (!touch_harmless(r, &p))
		return;
	sim_fix_cksums(&p);
	f->hurt = true;
	sim_count_fault(s, SIM_F_CORRUPT_FIXED);
}
