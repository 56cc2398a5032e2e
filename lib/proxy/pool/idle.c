/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns from an endpoint's FINs and resets for how long it leaves connections idle. A call on a
 * connection that has been idle for about this time may cross the endpoint's FIN. So such a
 * connection is used only if no other one is found or can be opened.
 */
#include "pool/mt_pool_priv.h"

/*
 * An idle time is believed after ENOUGH ends of connections that were idle for about as long. After
 * fewer it is believed if it is at least BELIEVED and no other end follows within TOGETHER.
 */
#define ENOUGH	 3
#define BELIEVED MT_SEC
/* Different idle times within this time teach nothing, because the server itself seems to end. */
#define TOGETHER MT_SEC
/* A learned time is forgotten if a connection stays idle for twice this time plus LATE. */
#define LATE MT_SEC

static uint64_t age_of(const struct mt_proxy *p, const struct mt_up *u)
{
	return p->now - MT_MAX(u->last_rx, u->last_tx);
}

static bool alike(uint64_t a, uint64_t b)
{
	return MT_MAX(a, b) - MT_MIN(a, b) <= MT_MAX(a, b) / 3;
}

void mt_idle_ended(struct mt_proxy *p, const struct mt_up *u)
{
	struct mt_idle_limit *l = &u->lanes->idle_limit;
	uint64_t age = age_of(p, u);

	if (!u->used || p->now < l->nothing_until)
		return;
	if (l->n && alike(age, l->age)) {
		l->n++;
		l->age = MT_MIN(l->age, age);
	} else if (l->n && p->now - l->at < TOGETHER) {
		l->n = 0;
		l->nothing_until = p->now + TOGETHER;
		return;
	} else {
		l->n = 1;
		l->age = age;
	}
	l->at = p->now;
	if (l->n >= ENOUGH)
		l->learnt = l->age;
}

bool mt_idle_too_old(const struct mt_proxy *p, const struct mt_up *u)
{
	struct mt_idle_limit *l = &u->lanes->idle_limit;
	uint64_t age;

	if (mt_likely(!l->learnt && !l->n))
		return false;
	if (!l->learnt && l->age >= BELIEVED && p->now - l->at >= TOGETHER)
		l->learnt = l->age;
	age = age_of(p, u);
	/* The connection is still open, so the endpoint ended others for another reason. */
	if (l->learnt && age > 2 * l->learnt + LATE)
		*l = (struct mt_idle_limit){0};
	return l->learnt && age > l->learnt / 5 * 4;
}
