/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an endpoint leaves a connection idle before it ends it, learnt from its FINs: a call on a connection that is about
 * as old may cross the end. Such connections are not picked while another can be had.
 */
#include "pool/mt_pool_priv.h"

/* FINs at about the same age that are believed at once; one alone is, from BELIEVED on, if no other contradicts it. */
#define ENOUGH	 3
#define BELIEVED MT_SEC
/* FINs of different ages within this time are a server that ends, not one that waits. */
#define TOGETHER MT_SEC
/* As late may a FIN be that is due, and not count as missing. */
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
	/* It is open after twice the time: the endpoint has other reasons. */
	if (l->learnt && age > 2 * l->learnt + LATE)
		*l = (struct mt_idle_limit){0};
	return l->learnt && age > l->learnt / 5 * 4;
}
