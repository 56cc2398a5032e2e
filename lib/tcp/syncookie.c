/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SYN cookies (RFC 4987 §3.6): when the half-open records are used up, the SYN-ACK's sequence
 * number encodes the state. It has 27 bits of a keyed hash over tuple, the client's number and the
 * epoch, 3 bits for an MSS, and 2 bits of the epoch. The key is derived from the secret that all
 * workers share, and changes with the epoch (68.7 s). Window scale, SACK and ECN are in the low
 * bits of the timestamp that the client echoes; a client without timestamps gets none of them.
 */
#include "mt_mutant.h"
#include "mt_siphash.h"
#include "mt_tcp_priv.h"

#define EPOCH_SHIFT 36 /* 2^36 ns: 68.7 s */
#define TS_BITS	    6  /* from the lowest: SACK 1, window scale 4 (15: none), ECN 1 */
#define TS_NO_SCALE 15u

static const uint16_t mss_table[8] = {64, 536, 1024, 1220, 1360, 1400, 1440, 1460};

static uint32_t mac(
	const struct mt_tcp *t, const struct mt_tcp_key *key, uint32_t irs, uint64_t epoch)
{
	struct {
		struct mt_tcp_key key;
		uint32_t irs;
		uint64_t epoch;
	} in = {*key, irs, epoch};
	uint8_t derived[16];
	uint64_t half;

	for (int i = 0; i < 2; i++) {
		uint64_t word[2] = {epoch, (uint64_t)i};

		half = mt_siphash(t->secret, word, sizeof(word));
		memcpy(derived + 8 * i, &half, 8);
	}
	return (uint32_t)(mt_siphash(derived, &in, sizeof(in)) >> 37); /* 27 bits */
}

static uint32_t mss_index(uint16_t mss)
{
	uint32_t i = MT_ARRAY_LEN(mss_table) - 1;

	while (i > 0 && mss_table[i] > mss)
		i--;
	return i;
}

uint32_t mt_tcp_cookie_make(struct mt_tcp *t, const struct mt_tcp_half *facts, uint32_t *tsval)
{
	struct mt_tuple tuple = mt_tcp_tuple_of(&facts->key);
	uint64_t epoch = t->now >> EPOCH_SHIFT;
	uint32_t scale = facts->has_wscale ? facts->wscale : TS_NO_SCALE;
	uint32_t ts = mt_tcp_ts_now(t, mt_tcp_ts_offset(t, &tuple));
	uint32_t idx = mss_index(facts->mss);

	*tsval = (ts & ~((1u << TS_BITS) - 1)) | (uint32_t)facts->has_ecn << 5 | scale << 1 |
		 facts->has_sack;
	/* never ahead of the local clock, or PAWS would reject later segments */
	if (mt_seq_gt(*tsval, ts))
		*tsval -= 1u << TS_BITS;
	t->cookie_until = t->now + (2ull << EPOCH_SHIFT);
	return mac(t, &facts->key, facts->irs ^ idx, epoch) << 5 | idx << 2 | (epoch & 3);
}

bool mt_tcp_cookie_check(struct mt_tcp *t, const struct mt_tcp_seg *seg, struct mt_tcp_half *facts)
{
	uint32_t cookie = seg->ack - 1, idx = cookie >> 2 & 7;
	uint64_t now_epoch = t->now >> EPOCH_SHIFT;
	uint64_t age = (now_epoch - cookie) & 3;
	struct mt_tcp_key key = mt_tcp_key_of(&seg->tuple);

	if ((t->now >= t->cookie_until || age > 1 || age > now_epoch) &&
		!mt_mutant(MT_BREAK_cookie_for_ever))
		return false;
	if (mac(t, &key, (seg->seq - 1) ^ idx, now_epoch - age) != cookie >> 5 &&
		!mt_mutant(MT_BREAK_cookie_unchecked))
		return false;
	*facts = (struct mt_tcp_half){
		.key = key,
		.iss = cookie,
		.irs = seg->seq - 1,
		.mss = mss_table[idx],
	};
	if (seg->has & MT_TCP_HAS_TS) {
		uint32_t scale = seg->tsecr >> 1 & 15;

		facts->has_ts = 1;
		facts->ts_recent = seg->tsval;
		facts->has_sack = seg->tsecr & 1;
		facts->has_ecn = t->conf.ecn != MT_TCP_ECN_OFF && (seg->tsecr >> 5 & 1) &&
				 !mt_mutant(MT_BREAK_cookie_without_ecn);
		facts->has_wscale = scale <= MT_TCP_WSCALE_MAX;
		facts->wscale = (uint8_t)(facts->has_wscale ? scale : 0) & 15;
	}
	return true;
}

void mt_tcp_cookie_ack(struct mt_tcp *t, struct mt_tcp_seg *seg)
{
	struct mt_tcp_half facts;

	/*
	 * No reset: if the ACK with the cookie is lost or late, its data arrives first, and the
	 * client will send that ACK's segment again.
	 */
	if (!mt_tcp_cookie_check(t, seg, &facts)) {
		mt_tcp_note(t, MT_TCP_cookies_bad);
		if (mt_mutant(MT_MUTANT_impatient_cookie))
			mt_tcp_reset_reply(t, seg);
		return;
	}
	mt_tcp_note(t, MT_TCP_cookies_good);
	mt_tcp_accepted(t, NULL, &facts, seg);
}
