/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on the neighbour table for every worker: find, claim, wait. Buckets of 8 entries; any
 * worker claims an entry with one compare-and-swap, and from then on only the owner writes it. Two
 * workers that claim the same neighbour at the same moment make two entries, which both get
 * resolved and age; no code relies on a single one.
 */
#include "mt_net_priv.h"

#include "mt_table.h"

/* Keyed, so that outsiders cannot aim at one bucket. */
static uint32_t bucket(const struct mt_net *net, uint16_t port, const struct mt_addr *a)
{
	uint64_t x = mt_fold64(a->q[0] ^ port ^ net->key[0] ^ UINT64_C(0x9e3779b97f4a7c15),
		a->q[1] ^ net->key[1] ^ UINT64_C(0xa0761d6478bd642f));

	return (uint32_t)(x >> 32) % (NET_NEIGH_MAX / NET_NEIGH_WAYS) * NET_NEIGH_WAYS;
}

static bool key_is(const struct net_neigh *n, uint16_t port, const struct mt_addr *a)
{
	return atomic_load_explicit(&n->key[0], memory_order_relaxed) == a->q[0] &&
	       atomic_load_explicit(&n->key[1], memory_order_relaxed) == a->q[1] &&
	       atomic_load_explicit(&n->port, memory_order_relaxed) == port;
}

/* The entry's word if it is this neighbour's, else 0. */
static uint64_t match(const struct net_neigh *n, uint16_t port, const struct mt_addr *a)
{
	uint64_t word = atomic_load_explicit(&n->word, memory_order_acquire), again;

	if (neigh_state(word) <= NEIGH_CLAIMED || !key_is(n, port, a))
		return 0;
	/* The key belongs to `word` if the version did not change while it was read. */
	atomic_thread_fence(memory_order_acquire);
	again = atomic_load_explicit(&n->word, memory_order_relaxed);
	if (neigh_version(again) != neigh_version(word) || neigh_state(again) <= NEIGH_CLAIMED)
		return 0;
	return again;
}

uint32_t net_neigh_find(
	const struct mt_net *net, uint16_t port, const struct mt_addr *a, uint64_t *word)
{
	uint32_t b = bucket(net, port, a);

	for (uint32_t i = b; i < b + NET_NEIGH_WAYS; i++) {
		*word = match(&net->neigh[i], port, a);
		if (*word)
			return i;
	}
	return NET_NEIGH_NONE;
}

static uint8_t user_of(uint32_t ways)
{
	if (ways == NET_NEIGH_WAYS)
		return NET_NEIGH_OWN;
	return ways == NET_NEIGH_CLIENT_WAYS ? NET_NEIGH_CLIENT : NET_NEIGH_GUEST;
}

static bool claim(
	struct net_neigh *n, uint16_t port, const struct mt_addr *a, uint8_t user, uint64_t *word)
{
	uint64_t was = atomic_load_explicit(&n->word, memory_order_relaxed);
	uint8_t version = (uint8_t)(neigh_version(was) + 1);

	if (neigh_state(was) != NEIGH_FREE)
		return false;
	if (!atomic_compare_exchange_strong_explicit(&n->word, &was,
		    neigh_word(version, NEIGH_CLAIMED, 0), memory_order_acquire,
		    memory_order_relaxed))
		return false;
	/* A reader that sees the new key must not still see the old word. */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&n->key[0], a->q[0], memory_order_relaxed);
	atomic_store_explicit(&n->key[1], a->q[1], memory_order_relaxed);
	atomic_store_explicit(&n->port, port, memory_order_relaxed);
	atomic_store_explicit(&n->user, user, memory_order_relaxed);
	*word = neigh_word(version, NEIGH_NEW, 0);
	atomic_store_explicit(&n->word, *word, memory_order_release);
	return true;
}

/* The owner looks at the entry. */
static void call_owner(struct mt_net *net, uint32_t idx)
{
	atomic_fetch_or_explicit(&net->neigh_new[idx / NET_NEIGH_GROUP],
		UINT64_C(1) << idx % NET_NEIGH_GROUP, memory_order_release);
	atomic_fetch_add_explicit(&net->neigh_kick, 1, memory_order_release);
}

uint32_t net_neigh_get(
	struct mt_net *net, uint16_t port, const struct mt_addr *a, uint32_t ways, uint64_t *word)
{
	uint32_t b = bucket(net, port, a), i = net_neigh_find(net, port, a, word);

	if (i != NET_NEIGH_NONE)
		return i;
	for (i = b; i < b + ways; i++) {
		if (!claim(&net->neigh[i], port, a, user_of(ways), word))
			continue;
		atomic_fetch_add_explicit(&net->neigh_in_use, 1, memory_order_relaxed);
		call_owner(net, i);
		return i;
	}
	return NET_NEIGH_NONE;
}

/* The bits that decide whether a destination is right: version and Ethernet address. */
#define DECIDES UINT64_C(0xff00ffffffffffff)

mt_noinline static void cache(struct mt_netw *w, struct net_neigh *n, uint64_t word)
{
	uint64_t again;

	/* The owner changes the word before it reads the mark: one of the two sees the other. */
	atomic_store_explicit(&n->cached, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	again = atomic_load_explicit(&n->word, memory_order_relaxed);
	if (((again ^ word) & DECIDES) != 0 || !neigh_usable(again))
		atomic_fetch_add_explicit(&w->net->dst_gen, 1, memory_order_release);
}

void net_neigh_cache(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	struct net_neigh *n = &w->net->neigh[idx];

	if (mt_unlikely(!atomic_load_explicit(&n->cached, memory_order_relaxed)))
		cache(w, n, word);
}

void net_neigh_need(struct mt_net *net, uint32_t idx, uint32_t ways)
{
	_Atomic uint8_t *user = &net->neigh[idx].user;

	if (mt_likely(atomic_load_explicit(user, memory_order_relaxed) <= user_of(ways)))
		return;
	/* Its solicitations may have been held back so far: it begins again. */
	atomic_store_explicit(user, user_of(ways), memory_order_relaxed);
	call_owner(net, idx);
}

void net_neigh_wait(struct mt_netw *w, uint32_t idx, uint64_t word)
{
	if (w->waiting[idx])
		return;
	w->waiting[idx] = 1;
	w->wait[w->n_wait++] = (struct net_wait){idx, neigh_version(word)};
}

/* Raises the event if the entry is resolved or failed; otherwise keeps waiting. */
static void decide(struct mt_netw *w, const struct net_wait *wait)
{
	uint64_t word = atomic_load_explicit(&w->net->neigh[wait->idx].word, memory_order_acquire);
	bool same = neigh_version(word) == wait->version && neigh_state(word) > NEIGH_CLAIMED;

	w->waiting[wait->idx] = 0;
	if (same && neigh_state(word) < NEIGH_FAILED) {
		net_neigh_wait(w, wait->idx, word);
		return;
	}
	if (w->events && w->events->neigh)
		w->events->neigh(w->events_arg, wait->idx, same && neigh_usable(word));
}

/* A longer list is looked through again after WAIT_EACH for each of its entries. */
#define WAIT_SHORT 64
#define WAIT_EACH  MT_USEC

void net_neigh_events(struct mt_netw *w)
{
	struct net_wait *list = w->wait;
	uint32_t done, n = w->n_wait;

	if (mt_likely(n == 0))
		return;
	done = atomic_load_explicit(&w->net->neigh_done, memory_order_acquire);
	if (done == w->done_seen || w->now < w->look_at)
		return;
	w->done_seen = done;
	/* A flood of forged clients makes a long list, and an event of each of them. */
	if (n > WAIT_SHORT)
		w->look_at = w->now + n * WAIT_EACH;
	/* Handlers may call mt_net_route() and so wait again: that goes to the other list. */
	w->wait = w->wait_spare;
	w->wait_spare = list;
	w->n_wait = 0;
	for (uint32_t i = 0; i < n; i++)
		decide(w, &list[i]);
}

uint32_t mt_net_neigh_in_use(const struct mt_net *net, uint32_t *size)
{
	*size = NET_NEIGH_MAX;
	return atomic_load_explicit(&net->neigh_in_use, memory_order_relaxed);
}

bool mt_net_neigh_next(const struct mt_net *net, uint32_t *idx, struct mt_net_neigh_info *info)
{
	static const char *const states[] = {
		"", "", "incomplete", "incomplete", "failed", "stale", "reachable", "probe"};

	for (; *idx < NET_NEIGH_MAX; (*idx)++) {
		const struct net_neigh *n = &net->neigh[*idx];
		uint64_t word = atomic_load_explicit(&n->word, memory_order_acquire), again;

		if (neigh_state(word) <= NEIGH_CLAIMED)
			continue;
		info->addr.q[0] = atomic_load_explicit(&n->key[0], memory_order_relaxed);
		info->addr.q[1] = atomic_load_explicit(&n->key[1], memory_order_relaxed);
		info->port = (uint16_t)atomic_load_explicit(&n->port, memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		again = atomic_load_explicit(&n->word, memory_order_relaxed);
		if (neigh_version(again) != neigh_version(word))
			continue;
		info->state = states[neigh_state(word)];
		neigh_mac(word, &info->mac);
		(*idx)++;
		return true;
	}
	return false;
}
