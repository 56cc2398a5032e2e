/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path MTUs learned from ICMP: a bounded table per worker, whose entries expire (RFC 1191, 8201).
 */
#include "mt_addr_hash.h"
#include "mt_net_priv.h"

#define PMTU_TTL   (600 * MT_SEC)
#define PMTU_CHECK (10 * MT_SEC)
#define PMTU_MIN4  552 /* an MTU below helps attackers more than real paths */
#define PMTU_MIN6  1280

static uint32_t set_of(const struct mt_addr *a)
{
	return mt_addr_hash(a) % NET_PMTU_SETS;
}

uint16_t net_pmtu(const struct mt_netw *w, const struct mt_addr *remote, uint16_t mtu)
{
	const struct net_pmtu *set;

	if (mt_likely(w->n_pmtu == 0))
		return mtu;
	set = w->pmtu[set_of(remote)];
	for (int i = 0; i < NET_PMTU_WAYS; i++)
		if (set[i].expires > w->now && mt_addr_eq(&set[i].remote, remote))
			return MT_MIN(set[i].mtu, mtu);
	return mtu;
}

/* The entry of this address, else a free one, else the one that expires first. */
static struct net_pmtu *place(struct mt_netw *w, const struct mt_addr *remote)
{
	struct net_pmtu *set = w->pmtu[set_of(remote)], *best = set;

	for (int i = 0; i < NET_PMTU_WAYS; i++) {
		if (set[i].expires && mt_addr_eq(&set[i].remote, remote))
			return &set[i];
		if (set[i].expires < best->expires)
			best = &set[i];
	}
	return best;
}

/*
 * Makes every cached destination of this worker stale, the caller's own in this loop iteration too.
 */
static void stale_all(struct mt_netw *w)
{
	w->pmtu_gen++;
	w->gen++;
}

void mt_net_pmtu_learn(struct mt_netw *w, const struct mt_addr *remote, uint16_t mtu)
{
	uint16_t least = mt_addr_is4(remote) ? PMTU_MIN4 : PMTU_MIN6;
	struct net_pmtu *e = place(w, remote);
	bool known = e->expires > w->now && mt_addr_eq(&e->remote, remote);

	mtu = MT_MAX(mtu, least);
	if (known && e->mtu <= mtu)
		return;
	if (e->expires == 0)
		w->n_pmtu++;
	if (w->n_pmtu == 1)
		w->pmtu_check = w->now + PMTU_CHECK;
	*e = (struct net_pmtu){*remote, w->now + PMTU_TTL, mtu};
	net_count(w, MT_NET_pmtu_learned);
	stale_all(w);
}

void net_pmtu_tick(struct mt_netw *w)
{
	struct net_pmtu *e = &w->pmtu[0][0];
	bool gone = false;

	if (mt_likely(w->n_pmtu == 0) || w->now < w->pmtu_check)
		return;
	w->pmtu_check = w->now + PMTU_CHECK;
	for (int i = 0; i < NET_PMTU_SETS * NET_PMTU_WAYS; i++, e++) {
		if (e->expires == 0 || e->expires > w->now)
			continue;
		e->expires = 0;
		w->n_pmtu--;
		gone = true;
	}
	if (gone)
		stale_all(w);
}
