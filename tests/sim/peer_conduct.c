/* SPDX-License-Identifier: Apache-2.0 */
/* How a peer behaves, by seed: from the model pupil to the vandal. */
#include "peer.h"

static uint32_t sometimes(struct mt_rand *r, uint32_t severity, uint32_t max)
{
	return severity && sim_one_in(r, 4) ? 1 + sim_below(r, max * severity / 3) : 0;
}

void peer_conduct_draw(struct peer_conduct *c, struct mt_rand *r, uint32_t severity)
{
	static const uint16_t mss[] = {1460, 1460, 1440, 1220, 536, 300};
	static const uint32_t bufs[] = {65535, 65535, 262144, 32768, 8192, 3000};

	*c = (struct peer_conduct){
		.timestamps = !sim_one_in(r, 3),
		.sack = !sim_one_in(r, 3),
		.window_scale = !sim_one_in(r, 3),
		.keep_ooo = !sim_one_in(r, 3),
		.shift = (uint8_t)sim_below(r, 9),
		.mss = mss[sim_below(r, MT_ARRAY_LEN(mss))],
		.rcvbuf = bufs[sim_below(r, MT_ARRAY_LEN(bufs))],
		.ack_every = 1 + sim_below(r, 3),
		.delack = sim_one_in(r, 3) ? 0 : sim_between(r, MT_MSEC, 200 * MT_MSEC),
		.rto_min = sim_between(r, 50, 400) * MT_MSEC,
		.odd_options = severity && sim_one_in(r, 5),
		.uneven = severity && sim_one_in(r, 4),
		.tiny = sometimes(r, severity, 300000),
		.replay = sometimes(r, severity, 60000),
		.shrink = sometimes(r, severity, 60000),
		.zero_wnd = sometimes(r, severity, 30000),
		.bad_ack = sometimes(r, severity, 20000),
		.stray = sometimes(r, severity, 20000),
		.ecn = sim_one_in(r, 2),
		.cross = sim_one_in(r, 3) ? sim_below(r, 500000) : 0,
		.near_wrap = sim_one_in(r, 3),
	};
	if (!c->window_scale && c->rcvbuf > 65535)
		c->rcvbuf = 65535;
}

bool peer_conduct_fair(const struct peer_conduct *c)
{
	return !c->shrink && !c->bad_ack && !c->stray && !c->zero_wnd && !c->overrun;
}
