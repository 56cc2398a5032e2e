/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's TCP options: MSS, window scale, SACK, timestamps (RFC 9293 §3.1, 7323, 2018). */
#include "peer.h"

#include <string.h>

bool peer_opts_parse(const uint8_t *o, uint32_t n, struct peer_opts *out)
{
	*out = (struct peer_opts){.mss = 536, .shift = -1};
	for (uint32_t i = 0; i < n;) {
		uint8_t kind = o[i], len;

		if (kind == 0)
			break;
		if (kind == 1) {
			i++;
			continue;
		}
		if (i + 1 >= n || o[i + 1] < 2 || i + o[i + 1] > n)
			return false;
		len = o[i + 1];
		if (kind == 2 && len == 4) {
			out->mss = sim_get16(o + i + 2);
		} else if (kind == 3 && len == 3) {
			out->shift = MT_MIN(o[i + 2], 14);
		} else if (kind == 4 && len == 2) {
			out->sack_ok = true;
		} else if (kind == 8 && len == 10) {
			out->ts = true;
			out->tsval = sim_get32(o + i + 2);
			out->tsecr = sim_get32(o + i + 6);
		}
		i += len;
	}
	return true;
}

static uint32_t ts_now(const struct peer_conn *c)
{
	return (uint32_t)(c->peer->sim->now / MT_MSEC) + c->ts_offset;
}

static uint32_t write_syn(struct peer_conn *c, uint8_t *o)
{
	const struct peer_conduct *d = &c->peer->conduct;
	bool first = c->state == PEER_SYN_SENT;
	uint32_t n = 0;

	if (d->odd_options) {
		o[n++] = 1;
		memcpy(o + n, "\xfd\x04\xde\xad", 4); /* RFC 3692: experiment */
		n += 4;
	}
	o[n++] = 2;
	o[n++] = 4;
	sim_put16(o + n, d->mss);
	n += 2;
	if (first ? d->window_scale : c->ws_on) {
		memcpy(o + n, (uint8_t[]){3, 3, d->shift}, 3);
		n += 3;
	}
	if (first ? d->sack : c->sack_on) {
		memcpy(o + n, (uint8_t[]){4, 2}, 2);
		n += 2;
	}
	return n;
}

/* Up to three blocks of what is out of order, the first of the list first. */
static uint32_t write_sack(struct peer_conn *c, uint8_t *o)
{
	uint32_t n = 2, blocks = 0;

	for (struct peer_ooo *q = c->ooo; q && blocks < 3; blocks++) {
		uint32_t left = q->seq, right = q->seq + q->len;

		for (q = q->next; q && q->seq == right; q = q->next)
			right += q->len;
		sim_put32(o + n, left);
		sim_put32(o + n + 4, right);
		n += 8;
	}
	o[0] = 5;
	o[1] = (uint8_t)n;
	return n;
}

uint32_t peer_opts_write(struct peer_conn *c, uint8_t *o, bool syn)
{
	uint32_t n = syn ? write_syn(c, o) : 0;

	if (c->ts_on || (syn && c->state == PEER_SYN_SENT && c->peer->conduct.timestamps)) {
		o[n] = 8;
		o[n + 1] = 10;
		sim_put32(o + n + 2, ts_now(c));
		sim_put32(o + n + 6, c->ts_on ? c->ts_recent : 0);
		n += 10;
	}
	if (!syn && c->peer->conduct.odd_options) {
		o[n++] = 1;
		memcpy(o + n, "\xfe\x02", 2);
		n += 2;
	}
	if (!syn) {
		uint32_t before = n;

		n = peer_lie_sack(c, o, n);
		if (n == before && c->sack_on && c->ooo)
			n += write_sack(c, o + n);
	}
	while (n % 4)
		o[n++] = 1;
	return n;
}
