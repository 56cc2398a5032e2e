/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The neighbour table's owner: solicits, learns, ages. After three solicitations a second apart an
 * entry fails and stays as a negative entry for a while. A usable entry is solicited again every 30
 * s while it is in use, and removed after 60 s without use.
 *
 * A change of an entry makes all destinations stale that workers have cached: each flow looks its
 * next hop up again. Stations on a link cause changes, so these are bounded. Entries that no worker
 * has used make nothing stale. An Ethernet address changes at once, but then not before CHANGES are
 * over, when the last one heard counts. At most STALE times a second (STALE_BURST at first) a
 * change makes destinations stale at once. Further ones, and entries that end, are collected for
 * LATER.
 *
 * Entries are in groups. Each group has one word that marks new entries, and the time at which its
 * first entry is due. So the owner finds new and due ones in 16 KiB, not in the table of 4 MiB.
 */
#include "mt_net_priv.h"

#include <string.h>

#define TRIES	   3
#define RETRY	   (1 * MT_SEC)
#define REACHABLE  (30 * MT_SEC)
#define FAILED_FOR (3 * MT_SEC)
#define IDLE_MAX   (60 * MT_SEC)
#define CHANGES	   (1 * MT_SEC)
#define LATER	   (MT_SEC / 2)
/* Times that destinations become stale without delay: a second, and at once. */
#define STALE	    2
#define STALE_BURST 64
#define MAC_BITS    0xffffffffffffull
/* Solicitations of clients, and of guests, by a port: a second, and at once. */
#define UNKNOWN	      1000
#define UNKNOWN_BURST 1000

struct net_owner *net_owner_create(void)
{
	struct net_owner *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->due = o->announce_at = o->stale_at = MT_NEVER;
	o->stale_limit = (struct net_limit){0, STALE_BURST, STALE_BURST, STALE};
	for (uint32_t i = 0; i < NET_NEIGH_USERS * MT_PORTS_MAX; i++)
		o->user_limit[i / MT_PORTS_MAX][i % MT_PORTS_MAX] =
			(struct net_limit){0, UNKNOWN_BURST, UNKNOWN_BURST, UNKNOWN};
	for (uint32_t g = 0; g < NET_NEIGH_GROUPS; g++)
		o->group_due[g] = MT_NEVER;
	for (uint32_t i = 0; i < NET_NEIGH_MAX; i++)
		o->neigh[i].due = MT_NEVER;
	return o;
}

static void set_due(struct net_owner *o, uint32_t idx, uint64_t due)
{
	uint64_t *group = &o->group_due[idx / NET_NEIGH_GROUP];

	o->neigh[idx].due = due;
	*group = MT_MIN(*group, due);
	o->due = MT_MIN(o->due, due);
}

/* Only the owner writes the word of a claimed entry. */
static void put(struct mt_netw *w, uint32_t idx, uint64_t word, enum net_neigh_state state,
	uint64_t mac_bits)
{
	atomic_store_explicit(&w->net->neigh[idx].word,
		neigh_word(neigh_version(word), state, mac_bits), memory_order_release);
}

static void bump(_Atomic uint32_t *gen)
{
	atomic_fetch_add_explicit(gen, 1, memory_order_release);
}

/* ---- stale destinations -------------------------------------------------------------------- */

static void renew(struct mt_netw *w)
{
	w->owner->stale_at = MT_NEVER;
	bump(&w->net->dst_gen);
}

/* The entry's word has changed: destinations with the former one become stale. */
static void make_stale(struct mt_netw *w, uint32_t idx, bool at_once)
{
	struct net_owner *o = w->owner;

	atomic_thread_fence(memory_order_seq_cst); /* see net_neigh_cache() */
	if (!atomic_exchange_explicit(&w->net->neigh[idx].cached, 0, memory_order_relaxed))
		return;
	if (at_once && !net_limited(&o->stale_limit, w->now))
		renew(w);
	else
		o->stale_at = MT_MIN(o->stale_at, w->now + LATER);
}

/* ---- solicitations and age ----------------------------------------------------------------- */

/* A little less or more than `t`, so that many entries do not act at once. */
static uint64_t jitter(struct mt_netw *w, uint64_t t)
{
	return t - t / 8 + mt_rand_below(&w->rand, (uint32_t)MT_MIN(t / 4, UINT32_MAX));
}

/*
 * True if too many unknown clients or guests are solicited: the link's other hosts receive each of
 * these packets. One that is not sent counts as a try of a guest, so forged guests leave the table
 * as soon. Clients wait for their turn, in no order.
 */
static bool is_limited(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];
	uint32_t port = w->net->neigh[idx].port;

	if (neigh_usable(word) || own->user == NET_NEIGH_OWN ||
		!net_limited(&w->owner->user_limit[own->user][port], w->now))
		return false;
	net_count(w, MT_NET_neigh_limited);
	if (own->user == NET_NEIGH_CLIENT) {
		own->tries--;
		set_due(w->owner, idx, w->now + jitter(w, RETRY));
	}
	return true;
}

static void solicit(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	const struct net_neigh *n = &w->net->neigh[idx];
	struct mt_addr target = {.q = {n->key[0], n->key[1]}};
	const struct net_addr *from = net_port_addr(w->table, (uint16_t)n->port, &target);
	struct rte_ether_addr mac;

	w->owner->neigh[idx].tries++;
	set_due(w->owner, idx, w->now + RETRY);
	if (!from || is_limited(w, idx, word))
		return;
	w->owner->neigh[idx].sent++;
	net_count(w, MT_NET_neigh_solicited);
	neigh_mac(word, &mac);
	if (mt_addr_is4(&target))
		net_arp_send(w, (uint16_t)n->port, RTE_ARP_OP_REQUEST,
			neigh_usable(word) ? &mac : NULL, &from->addr, &target, NULL);
	else
		net_nd_solicit(w, (uint16_t)n->port, &from->addr, &target,
			neigh_usable(word) ? &mac : NULL);
}

/* True if any worker sent to this neighbour since the last check. */
static bool was_used(struct mt_netw *w, uint32_t idx)
{
	bool used = false;

	for (uint16_t i = 0; i < w->net->workers; i++) {
		struct mt_netw *p =
			atomic_load_explicit(&w->net->workers_part[i], memory_order_acquire);

		if (p && atomic_load_explicit(&p->used[idx], memory_order_relaxed)) {
			atomic_store_explicit(&p->used[idx], 0, memory_order_relaxed);
			used = true;
		}
	}
	return used;
}

static void release(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	w->owner->neigh[idx].due = MT_NEVER;
	w->owner->neigh[idx].hold = w->owner->neigh[idx].next = 0;
	put(w, idx, word, NEIGH_FREE, 0);
	atomic_fetch_sub_explicit(&w->net->neigh_in_use, 1, memory_order_relaxed);
}

static void fail(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	net_count(w, MT_NET_neigh_failed);
	w->owner->neigh[idx].hold = w->owner->neigh[idx].next = 0;
	set_due(w->owner, idx, w->now + FAILED_FOR);
	put(w, idx, word, NEIGH_FAILED, 0);
	if (neigh_usable(word))
		make_stale(w, idx, false);
	bump(&w->net->neigh_done);
}

/* A usable entry is due: removes it when idle, else solicits it again. */
static void age(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];

	if (was_used(w, idx))
		own->idle = w->now;
	if (w->now - own->idle >= IDLE_MAX) {
		release(w, idx, word);
		make_stale(w, idx, false);
		return;
	}
	own->tries = own->sent = 0;
	put(w, idx, word, NEIGH_PROBE, word & MAC_BITS);
	solicit(w, idx, word);
}

/* Gives a usable entry another Ethernet address. */
static void set_mac(
	struct mt_netw *w, uint32_t idx, uint64_t word, enum net_neigh_state state, uint64_t mac)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];

	own->hold = w->now + CHANGES;
	own->next = 0;
	net_count(w, MT_NET_neigh_changed);
	put(w, idx, word, state, mac);
	set_due(w->owner, idx, w->now + jitter(w, REACHABLE));
	make_stale(w, idx, true);
}

static void entry_due(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];

	if (mt_unlikely(own->next) && neigh_usable(word)) {
		set_mac(w, idx, word, NEIGH_STALE, own->next);
		return;
	}
	switch (neigh_state(word)) {
	case NEIGH_NEW:
		own->tries = own->sent = 0;
		put(w, idx, word, NEIGH_INCOMPLETE, 0);
		solicit(w, idx, word);
		return;
	case NEIGH_INCOMPLETE:
	case NEIGH_PROBE:
		if (own->tries < TRIES)
			solicit(w, idx, word);
		else if (own->sent == 0 && own->user == NET_NEIGH_GUEST)
			release(w, idx, word); /* no solicitation was sent */
		else
			fail(w, idx, word);
		return;
	case NEIGH_STALE:
	case NEIGH_REACHABLE:
		age(w, idx, word);
		return;
	case NEIGH_FAILED:
		release(w, idx, word);
		return;
	case NEIGH_FREE:
	case NEIGH_CLAIMED:
		return;
	}
}

/* An entry that has another user has all its tries, from now on. */
static void see_user(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];
	uint8_t user = atomic_load_explicit(&w->net->neigh[idx].user, memory_order_relaxed);

	if (mt_likely(own->user == user))
		return;
	own->user = user;
	if (neigh_state(word) != NEIGH_INCOMPLETE)
		return;
	own->tries = 0;
	own->due = w->now;
}

static void scan_group(struct mt_netw *w, uint32_t group)
{
	struct net_owner *o = w->owner;
	uint32_t first = group * NET_NEIGH_GROUP;

	atomic_exchange_explicit(&w->net->neigh_new[group], 0, memory_order_acquire);
	o->group_due[group] = MT_NEVER;
	for (uint32_t i = first; i < first + NET_NEIGH_GROUP; i++) {
		uint64_t word = atomic_load_explicit(&w->net->neigh[i].word, memory_order_acquire);

		if (neigh_state(word) <= NEIGH_CLAIMED)
			continue;
		see_user(w, i, word);
		if (neigh_state(word) == NEIGH_NEW || o->neigh[i].due <= w->now)
			entry_due(w, i, word);
		o->group_due[group] = MT_MIN(o->group_due[group], o->neigh[i].due);
	}
}

/* Looks for entries that are new or due; called when there is one. */
static void scan(struct mt_netw *w)
{
	struct net_owner *o = w->owner;

	o->due = MT_NEVER;
	for (uint32_t g = 0; g < NET_NEIGH_GROUPS; g++) {
		if (o->group_due[g] <= w->now ||
			atomic_load_explicit(&w->net->neigh_new[g], memory_order_relaxed))
			scan_group(w, g);
		o->due = MT_MIN(o->due, o->group_due[g]);
	}
}

/* ---- learning ------------------------------------------------------------------------------ */

static void learn_one(struct mt_netw *w, uint32_t idx, uint64_t word, const struct net_learn *l)
{
	struct net_neigh_own *own = &w->owner->neigh[idx];
	uint64_t old = word & MAC_BITS;
	uint64_t mac = l->has_mac ? neigh_mac_bits(&l->mac) : old;
	bool usable = neigh_usable(word), moved = usable && mac != old;
	enum net_neigh_state state = l->confirmed ? NEIGH_REACHABLE : NEIGH_STALE;

	if (!usable && !l->has_mac)
		return;
	/*
	 * RFC 4861 §7.2.5: without the override flag a different address only makes the entry
	 * stale.
	 */
	if (moved && !l->override) {
		mac = old;
		moved = false;
		state = NEIGH_STALE;
	}
	if (moved && w->now < own->hold) {
		own->next = mac;
		set_due(w->owner, idx, own->hold);
		return;
	}
	if (moved) {
		set_mac(w, idx, word, state, mac);
		return;
	}
	/* The station with the entry's address is heard after the one that waits. */
	if (!l->has_mac || neigh_mac_bits(&l->mac) == old)
		own->next = 0;
	/* An unsolicited claim neither confirms an entry nor weakens a confirmed one. */
	if (usable && !l->confirmed)
		return;
	if (!usable)
		own->idle = w->now;
	put(w, idx, word, state, mac);
	/* The address that waits for `hold` counts then. */
	set_due(w->owner, idx, own->next ? own->hold : w->now + jitter(w, REACHABLE));
	if (!usable)
		bump(&w->net->neigh_done);
}

static void learn(struct mt_netw *w, const struct net_learn *l)
{
	bool known = false;
	uint64_t word;
	uint32_t idx;

	/* Update every entry of this neighbour, because two workers may have claimed one each. */
	idx = net_neigh_find(w->net, l->port, &l->addr, &word);
	if (idx == NET_NEIGH_NONE && l->create && l->has_mac)
		idx = net_neigh_get(w->net, l->port, &l->addr, NET_NEIGH_GUEST_WAYS, &word);
	if (idx == NET_NEIGH_NONE)
		return;
	for (uint32_t b = idx - idx % NET_NEIGH_WAYS; b % NET_NEIGH_WAYS || !known; b++) {
		struct net_neigh *n = &w->net->neigh[b];

		known = true;
		word = atomic_load_explicit(&n->word, memory_order_acquire);
		if (neigh_state(word) > NEIGH_CLAIMED && n->port == l->port &&
			n->key[0] == l->addr.q[0] && n->key[1] == l->addr.q[1])
			learn_one(w, b, word, l);
	}
}

void net_learn(struct mt_netw *w, const struct net_learn *l)
{
	struct net_learn_ring *r = &w->learned;
	uint32_t head;

	if (w->owner) {
		learn(w, l);
		return;
	}
	head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == NET_LEARN_RING) {
		net_count(w, MT_NET_neigh_learn_lost);
		return;
	}
	r->slots[head % NET_LEARN_RING] = *l;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

static void drain(struct mt_netw *w, struct net_learn_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t head = atomic_load_explicit(&r->head, memory_order_acquire);

	for (; tail != head; tail++)
		learn(w, &r->slots[tail % NET_LEARN_RING]);
	atomic_store_explicit(&r->tail, tail, memory_order_release);
}

void net_owner_tick(struct mt_netw *w)
{
	uint32_t kick = atomic_load_explicit(&w->net->neigh_kick, memory_order_acquire);

	for (uint16_t i = 1; i < w->net->workers; i++) {
		struct mt_netw *p =
			atomic_load_explicit(&w->net->workers_part[i], memory_order_acquire);

		if (p)
			drain(w, &p->learned);
	}
	if (kick != w->owner->kick_seen || w->now >= w->owner->due) {
		w->owner->kick_seen = kick;
		scan(w);
	}
	if (mt_unlikely(w->now >= w->owner->stale_at))
		renew(w);
	net_announce_tick(w);
}

uint64_t net_owner_next(const struct mt_netw *w)
{
	const struct net_owner *o = w->owner;

	if (atomic_load_explicit(&w->net->neigh_kick, memory_order_acquire) != o->kick_seen ||
		atomic_load_explicit(&w->net->conf_gen, memory_order_acquire) != o->conf_seen)
		return w->now;
	for (uint16_t i = 1; i < w->net->workers; i++) {
		const struct mt_netw *p =
			atomic_load_explicit(&w->net->workers_part[i], memory_order_acquire);

		if (p && atomic_load_explicit(&p->learned.head, memory_order_acquire) !=
				 atomic_load_explicit(&p->learned.tail, memory_order_relaxed))
			return w->now;
	}
	return MT_MIN(MT_MIN(o->due, o->announce_at), o->stale_at);
}
