/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_renew.h"

#include "mt_cert.h"

#include <stdio.h>

/* A renewal is due at a random part of the lifetime between these, in 1/1000: 80 % on average. */
#define PART_MIN 770
#define PART_MAX 830

void mt_renew_have(struct mt_renew *r, int64_t not_before, int64_t not_after, struct mt_rand *rng)
{
	int64_t life = MT_MAX(not_after - not_before, 0);
	int64_t part = PART_MIN + (int64_t)mt_rand_below(rng, PART_MAX - PART_MIN + 1);

	if (r->state == MT_RENEW_ASKING)
		r->renewals++;
	r->state = MT_RENEW_GOOD;
	r->not_before = not_before;
	r->not_after = not_after;
	/* The times are external data: a very long lifetime must not overflow. */
	r->due = not_before +
		 MT_MAX(life / 1000 * part + life % 1000 * part / 1000, MT_RENEW_LEAST_S);
	r->failures = 0;
	r->backoff = 0;
	r->why.text[0] = '\0';
}

static bool ask(struct mt_renew *r, uint64_t now)
{
	r->state = MT_RENEW_ASKING;
	r->give_up = now + MT_RENEW_ANSWER_NS;
	return true;
}

bool mt_renew_turn(struct mt_renew *r, uint64_t now, int64_t wall, struct mt_rand *rng)
{
	switch (r->state) {
	case MT_RENEW_NONE:
		return ask(r, now);
	case MT_RENEW_GOOD:
		return wall >= r->due && ask(r, now);
	case MT_RENEW_ASKING:
		if (now >= r->give_up)
			mt_renew_failed(r, now, "no answer within 30 s", rng);
		return false;
	case MT_RENEW_WAITING:
		return now >= r->retry_at && ask(r, now);
	}
	return false;
}

void mt_renew_failed(struct mt_renew *r, uint64_t now, const char *why, struct mt_rand *rng)
{
	if (r->state != MT_RENEW_ASKING)
		return;
	r->state = MT_RENEW_WAITING;
	r->failures++;
	r->backoff = r->backoff ? MT_MIN(r->backoff * 2, MT_RENEW_BACKOFF_MAX_NS)
				: MT_RENEW_BACKOFF_MIN_NS;
	/*
	 * Half of the delay is random, because many machines lose the same control plane at once.
	 */
	r->retry_at = now + r->backoff / 2 + mt_rand_u64(rng) % (r->backoff / 2 + 1);
	mt_err(&r->why, 0, "%s", why);
}

bool mt_renew_expired(const struct mt_renew *r, int64_t wall)
{
	return r->not_after && wall >= r->not_after;
}

const char *mt_renew_words(
	const struct mt_renew *r, uint64_t now, int64_t wall, char *buf, size_t size)
{
	char left[48], next[48];
	size_t n;

	mt_span_words(r->not_after - wall, left, sizeof(left));
	if (!r->not_after)
		n = (size_t)snprintf(buf, size, "no certificate yet");
	else if (mt_renew_expired(r, wall))
		n = (size_t)snprintf(buf, size, "expired %s ago", left);
	else if (wall < r->not_before)
		n = (size_t)snprintf(buf, size, "not valid before %s from now: the clock is late",
			mt_span_words(r->not_before - wall, next, sizeof(next)));
	else
		n = (size_t)snprintf(buf, size, "valid for %s", left);
	if (n >= size)
		return buf;
	if (r->state == MT_RENEW_GOOD)
		snprintf(buf + n, size - n, ", renewed in %s",
			mt_span_words(MT_MAX(r->due - wall, 0), next, sizeof(next)));
	else if (r->state == MT_RENEW_ASKING)
		snprintf(buf + n, size - n, ", being renewed%s", r->failures ? " (again)" : "");
	else if (r->state == MT_RENEW_WAITING)
		snprintf(buf + n, size - n, ", renewal failed %u times, tried again in %s: %s",
			r->failures,
			mt_span_words(
				r->retry_at > now ? (int64_t)((r->retry_at - now) / MT_SEC) : 0,
				next, sizeof(next)),
			r->why.text);
	return buf;
}
