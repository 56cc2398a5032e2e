/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exact bucket. Tokens are in the shared word, or claimed by a worker. Only a fill increases
 * their sum, so no interleaving can admit more than was filled in.
 *
 * - A worker claims several tokens at once, so that most requests do not touch the shared cache
 *   line. A claim is spent only within the epoch in which it was made, and is returned within
 *   MT_CLAIM_KEEP.
 * - A claim is returned only while the word is still in the claim's epoch. A later fill may have
 *   been cut off at the maximum, so returned tokens would exceed it: then the claim is lost.
 * - A bucket that gets other numbers keeps min(tokens, new maximum). Claimed tokens belong to the
 *   bucket, too: of those that are returned later, only as many are accepted as the new maximum
 *   had space for.
 * - A worker that found the bucket empty does not check again until the epoch ends. A thread that
 *   returns tokens clears this mark of all workers. Both sides store and then load, sequentially
 *   consistent, so one of them sees the other.
 */
#include "../mt_filter_priv.h"

#include "mt_mutant.h"

#include <string.h>

#define CLAIM_MAX    32u
#define CLAIM_SHARES 8u

static uint64_t pack(uint32_t epoch, uint32_t tokens)
{
	return (uint64_t)epoch << 32 | tokens;
}

static uint32_t epoch_at(const struct mt_bucket *b, uint64_t now)
{
	uint64_t e = now > b->origin ? (now - b->origin) / b->numbers.fill_ns : 0;

	/* The maximum would look like MT_BUCKET_MOVED. */
	return (uint32_t)MT_MIN(e, (uint64_t)UINT32_MAX - 1);
}

static uint64_t epoch_end(const struct mt_bucket *b, uint32_t epoch)
{
	return b->origin + ((uint64_t)epoch + 1) * b->numbers.fill_ns;
}

/* The word with all fills up to `now`. Another worker's clock may already be in a later epoch. */
static uint64_t filled(const struct mt_bucket *b, uint64_t word, uint64_t now)
{
	uint32_t at = (uint32_t)(word >> 32), tokens = (uint32_t)word, e = epoch_at(b, now);
	uint64_t sum;

	if (e <= at)
		return word;
	sum = tokens + (uint64_t)(e - at) * b->numbers.tokens_per_fill;
	if (mt_mutant(MT_MUTANT_bucket_filled_twice))
		e--;
	return pack(e, (uint32_t)MT_MIN(sum, (uint64_t)b->numbers.max_tokens));
}

static uint32_t claim_size(const struct mt_bucket *b, uint32_t tokens)
{
	return MT_MAX(MT_MIN(CLAIM_MAX, tokens / (CLAIM_SHARES * b->workers)), 1u);
}

static void set_claimed(struct mt_bucket_share *s, uint32_t n)
{
	__atomic_store_n(&s->claimed, n, __ATOMIC_RELAXED);
}

static void drop_claim(struct mt_bucket_share *s)
{
	set_claimed(s, 0);
	mt_list_del(&s->node);
}

static void keep_claim(struct mt_bucket_share *s, struct mt_filter_worker *fw, uint32_t epoch,
	uint32_t n, uint64_t now)
{
	s->claim_epoch = epoch;
	s->claim_until = epoch_end(s->bucket, epoch);
	s->return_at = now + MT_CLAIM_KEEP;
	set_claimed(s, n);
	if (n)
		mt_list_add_tail(&fw->claims, &s->node);
}

/*
 * Records that the bucket is empty until this epoch ends; false if tokens were returned meanwhile.
 */
static bool note_empty(struct mt_bucket_share *s, uint32_t epoch)
{
	__atomic_store_n(&s->empty_until, epoch_end(s->bucket, epoch), __ATOMIC_SEQ_CST);
	/* The token count of MT_BUCKET_MOVED is not 0. */
	if ((uint32_t)__atomic_load_n(&s->bucket->word, __ATOMIC_SEQ_CST) == 0)
		return true;
	__atomic_store_n(&s->empty_until, 0, __ATOMIC_RELAXED);
	return false;
}

static mt_noinline bool take_shared(
	struct mt_bucket_share *s, struct mt_filter_worker *fw, uint64_t now)
{
	struct mt_bucket *b = s->bucket;
	uint64_t word = __atomic_load_n(&b->word, __ATOMIC_SEQ_CST), have, left;
	uint32_t n;

	for (;;) {
		if (word == MT_BUCKET_MOVED)
			return mt_bucket_take(b->next, fw, now);
		have = filled(b, word, now);
		if ((uint32_t)have == 0) {
			if (note_empty(s, (uint32_t)(have >> 32)))
				break;
			word = __atomic_load_n(&b->word, __ATOMIC_SEQ_CST);
			continue;
		}
		n = claim_size(b, (uint32_t)have);
		left = mt_mutant(MT_MUTANT_claim_not_subtracted) ? have - 1 : have - n;
		if (!__atomic_compare_exchange_n(
			    &b->word, &word, left, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		keep_claim(s, fw, (uint32_t)(have >> 32), n - 1, now);
		mt_count(&s->admitted, 0);
		return true;
	}
	mt_count(&s->refused, 0);
	return false;
}

bool mt_bucket_take(struct mt_bucket *b, struct mt_filter_worker *fw, uint64_t now)
{
	struct mt_bucket_share *s = &b->shares[fw->worker];

	if (s->claimed) {
		if (mt_likely(now < s->claim_until) ||
			mt_mutant(MT_MUTANT_claim_spent_after_fill)) {
			mt_count(&s->admitted, 0);
			set_claimed(s, s->claimed - 1);
			if (s->claimed == 0)
				mt_list_del(&s->node);
			return true;
		}
		mt_bucket_return(s, fw);
	}
	if (now < __atomic_load_n(&s->empty_until, __ATOMIC_RELAXED)) {
		mt_count(&s->refused, 0);
		return false;
	}
	return take_shared(s, fw, now);
}

static void wake_others(struct mt_bucket *b)
{
	if (mt_mutant(MT_MUTANT_bucket_stays_empty))
		return;
	for (uint16_t i = 0; i < b->workers; i++)
		if (__atomic_load_n(&b->shares[i].empty_until, __ATOMIC_SEQ_CST))
			__atomic_store_n(&b->shares[i].empty_until, 0, __ATOMIC_SEQ_CST);
}

/*
 * How many of n tokens may be returned to the successor of a moved bucket: at most as many in all
 * as it had space for.
 */
static uint32_t follow(struct mt_bucket *b, uint32_t n)
{
	uint32_t room = __atomic_load_n(&b->moved_room, __ATOMIC_SEQ_CST), take;

	if (mt_mutant(MT_MUTANT_claim_back_after_reload))
		return MT_MIN(n, b->next->numbers.max_tokens - (uint32_t)b->next->word);
	do {
		take = MT_MIN(n, room);
	} while (take && !__atomic_compare_exchange_n(&b->moved_room, &room, room - take, false,
				 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return take;
}

/*
 * Adds n tokens that were claimed in this epoch. Returns how many were added: 0 if the epoch has
 * ended.
 */
static uint32_t give_back(struct mt_bucket *b, uint32_t epoch, uint32_t n)
{
	uint64_t word = __atomic_load_n(&b->word, __ATOMIC_SEQ_CST);

	do {
		if (word == MT_BUCKET_MOVED) {
			n = epoch == b->last_epoch ? follow(b, n) : 0;
			return n ? give_back(b->next, b->moved_epoch, n) : 0;
		}
		if ((uint32_t)(word >> 32) != epoch && !mt_mutant(MT_MUTANT_claim_back_after_fill))
			return 0;
	} while (!__atomic_compare_exchange_n(
		&b->word, &word, word + n, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	wake_others(b);
	return n;
}

void mt_bucket_return(struct mt_bucket_share *s, struct mt_filter_worker *fw)
{
	uint32_t n = s->claimed, back;

	drop_claim(s);
	back = give_back(s->bucket, s->claim_epoch, n);
	mt_count_n(fw->counters, MT_FILTER_claims_returned, back);
	mt_count_n(fw->counters, MT_FILTER_claims_expired, n - back);
}

uint32_t mt_bucket_tokens(const struct mt_bucket *b, uint64_t now)
{
	uint64_t word = __atomic_load_n(&b->word, __ATOMIC_RELAXED);

	return word == MT_BUCKET_MOVED ? 0 : (uint32_t)filled(b, word, now);
}

void mt_bucket_move(struct mt_bucket *b, struct mt_bucket *to, uint64_t now)
{
	bool same_pace = b->numbers.fill_ns == to->numbers.fill_ns;
	uint64_t word = __atomic_load_n(&b->word, __ATOMIC_SEQ_CST), have;
	uint32_t kept;

	do {
		have = filled(b, word, now);
		to->origin = same_pace ? b->origin : now;
		b->last_epoch = (uint32_t)(have >> 32);
		b->moved_epoch = same_pace ? b->last_epoch : 0;
		kept = mt_mutant(MT_MUTANT_bucket_full_after_reload) ? UINT32_MAX : (uint32_t)have;
		kept = MT_MIN(kept, to->numbers.max_tokens);
		to->word = pack(b->moved_epoch, kept);
		b->moved_room = to->numbers.max_tokens - kept;
		b->next = to;
	} while (!__atomic_compare_exchange_n(
		&b->word, &word, MT_BUCKET_MOVED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	wake_others(b);
}
