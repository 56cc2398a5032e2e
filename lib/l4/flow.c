/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of entries: keys, the table, the rewrite, and the order of flows that are not kept. */
#include "mt_l4_priv.h"

#include <string.h>

struct l4_key l4_make_key(const struct mt_addr *src, uint16_t sport, const struct mt_addr *dst,
	uint16_t dport, uint8_t proto)
{
	uint64_t ports = rte_cpu_to_be_16(sport) | (uint64_t)rte_cpu_to_be_16(dport) << 16;
	struct l4_key k = {{[4] = ports | L4_KEY_PROTO(proto)}};

	if (mt_addr_is4(src)) {
		k.q[0] = mt_addr_v4(src) | (uint64_t)mt_addr_v4(dst) << 32;
		return k;
	}
	memcpy(&k.q[0], src, sizeof(*src));
	memcpy(&k.q[2], dst, sizeof(*dst));
	k.q[4] |= L4_KEY6;
	return k;
}

uint32_t l4_hash_of(void *arg, uint32_t idx)
{
	const struct mt_l4 *l = arg;
	const struct l4_entry *e = &l->entries[idx];
	struct l4_key k = e->key;

	return l4_hash(l, &k);
}

uint32_t l4_find(const struct mt_l4 *l, const struct l4_key *k, uint32_t hash)
{
	struct mt_table_iter it;
	uint32_t idx = mt_table_first(&l->table, hash, &it);

	while (idx != L4_NONE && !l4_key_is(&l->entries[idx], k))
		idx = mt_table_next(&l->table, &it);
	return idx;
}

/* ---- the rewrite --------------------------------------------------------------------------- */

static uint32_t add_words(uint32_t sum, const void *p, uint32_t n, bool negated)
{
	const uint8_t *b = p;

	for (uint32_t i = 0; i < n; i += 2) {
		uint16_t w;

		memcpy(&w, b + i, sizeof(w));
		sum += negated ? (uint16_t)~w : w;
	}
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* ~m + m' of RFC 1624 for the addresses: `is` becomes `was` reversed. */
static uint32_t addresses(const struct l4_key *is, const struct l4_key *back)
{
	uint32_t n = l4_key_is6(is) ? 32 : 8;

	/* The order of words has no effect on their sum. */
	return add_words(add_words(0, is->q, n, true), back->q, n, false);
}

/* Writes what becomes of packets with e's key: the reverse of `back`. */
static void set_rewrite(struct l4_entry *e, const struct l4_key *back)
{
	uint32_t ends = addresses(&e->key, back);

	e->sport = (uint16_t)(back->q[4] >> 16);
	e->dport = (uint16_t)back->q[4];
	e->l4_sum = fold(add_words(add_words(ends, &e->key.q[4], 4, true), &back->q[4], 4, false));
	/* The TTL is the first byte of its word. */
	e->ip_sum = fold(ends + (uint16_t)~rte_cpu_to_be_16(0x0100));
	e->hop = 0;
	if (l4_key_is6(&e->key))
		return;
	e->v4.src = (uint32_t)(back->q[0] >> 32);
	e->v4.dst = (uint32_t)back->q[0];
}

/* ---- flows that are not kept --------------------------------------------------------------- */

static struct l4_entry *reply_of(struct mt_l4 *l, uint32_t pair)
{
	return &l->entries[2 * pair + 1];
}

static void list_newest(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	e->newer = 0;
	e->older = l->newest;
	if (l->newest)
		reply_of(l, l->newest - 1)->newer = pair + 1;
	else
		l->oldest = pair + 1;
	l->newest = pair + 1;
	l->unkept++;
}

/* It is the first to give way. */
static void list_oldest(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	e->older = 0;
	e->newer = l->oldest;
	if (l->oldest)
		reply_of(l, l->oldest - 1)->older = pair + 1;
	else
		l->newest = pair + 1;
	l->oldest = pair + 1;
	l->unkept++;
}

static void unlist(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	if (e->newer)
		reply_of(l, e->newer - 1)->older = e->older;
	else
		l->newest = e->older;
	if (e->older)
		reply_of(l, e->older - 1)->newer = e->newer;
	else
		l->oldest = e->newer;
	l->unkept--;
}

/* Returns the counter for a flow that gives way to another one. */
static enum mt_l4_outcome loss_of(const struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];

	if (e[0].service & L4_ONE_WAY && l4_is_home(l, pair))
		return MT_L4_flows_spared;
	if (l4_key_proto(&e[0].key) == IPPROTO_TCP && l->tcp[pair].state >= MT_L4_TIME_WAIT)
		return MT_L4_rests_cut;
	return e[1].service & L4_CONFIRMED ? MT_L4_flows_over_share : MT_L4_flows_evicted;
}

/* Removes the oldest flow that is not kept. */
static mt_noinline void evict(struct mt_l4 *l)
{
	uint32_t pair = l->oldest - 1;

	l4_count(l, loss_of(l, pair));
	l4_remove(l, pair);
}

/* Leaves a place for one more flow that is not kept. */
static void make_room(struct mt_l4 *l)
{
	if (mt_unlikely(l4_is_crowded(l)))
		evict(l);
}

void l4_confirm(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	e->service |= L4_CONFIRMED;
	if (e->service & L4_KEPT)
		return;
	unlist(l, pair);
	list_newest(l, pair);
}

void l4_unkeep(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	if (e->service & L4_KEPT) {
		make_room(l);
		l4_share_return(l, pair);
		e->service &= ~L4_KEPT;
	} else {
		unlist(l, pair);
	}
	list_newest(l, pair);
}

bool l4_keep(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = reply_of(l, pair);

	unlist(l, pair);
	e->service |= L4_CONFIRMED;
	if (mt_unlikely(!l4_share_take(l, pair))) {
		list_newest(l, pair);
		l->entries[2 * pair].seen = l->tick;
		/* The odd entry has links in place of its time. */
		if (!l4_key_is_tcp(&e->key))
			l->tcp[pair].end[1] = l->tick;
		return false;
	}
	e->service |= L4_KEPT | L4_PLAIN;
	e->seen = l->tick;
	e->packets = 0;
	return true;
}

void l4_note_datagram(struct mt_l4 *l, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];

	/* In a reply's entry, these are links while the flow is not kept. */
	if (idx & 1 && !(e->service & L4_KEPT) && !l4_keep(l, idx / 2))
		return;
	e->seen = l->tick;
	e->packets++;
}

/* ---- pairs --------------------------------------------------------------------------------- */

static void set_used(struct mt_l4 *l, uint32_t n)
{
	__atomic_store_n(&l->used, n, __ATOMIC_RELAXED);
}

static void release(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = &l->entries[2 * pair];

	e->service = 0;
	e->next_free = l->free;
	l->free = pair + 1;
	set_used(l, l->used - 1);
}

void l4_remove(struct mt_l4 *l, uint32_t pair)
{
	uint32_t idx = 2 * pair;

	l->changes++;
	l4_connection_set(l, pair, false);
	MT_ASSERT(mt_table_remove(&l->table, l4_hash_of(l, idx), idx));
	if (!(l->entries[idx].service & L4_ONE_WAY))
		MT_ASSERT(mt_table_remove(&l->table, l4_hash_of(l, idx + 1), idx + 1));
	if (l->entries[idx + 1].service & L4_KEPT)
		l4_share_return(l, pair);
	else
		unlist(l, pair);
	release(l, pair);
}

/* A pair for a new flow. There is one, because kept flows leave these places to others. */
static uint32_t take(struct mt_l4 *l)
{
	uint32_t pair;

	make_room(l);
	if (l->free) {
		pair = l->free - 1;
		l->free = l->entries[2 * pair].next_free;
	} else {
		pair = l->fresh++;
		/* The sweep after a change passes this place as well before it is back at its start. */
		l->to_check += l->to_check > 0;
	}
	set_used(l, l->used + 1);
	return pair;
}

/* Takes a pair for these keys, with its even entry in the table; L4_NONE: no space. */
static uint32_t take_with(struct mt_l4 *l, const struct l4_key *in, const struct l4_key *back,
	uint32_t service, uint32_t bits)
{
	uint32_t pair = take(l), idx = 2 * pair;
	struct l4_entry *e = &l->entries[idx];

	l->changes++;
	e[0].key = *in;
	e[1].key = *back;
	set_rewrite(&e[0], back);
	set_rewrite(&e[1], in);
	e[0].service = service | L4_USED | bits;
	e[1].service = service;
	e[0].seen = l->tick;
	e[0].packets = 0;
	if (mt_likely(mt_table_insert(&l->table, l4_hash(l, in), idx) == 0))
		return pair;
	release(l, pair);
	return L4_NONE;
}

static uint32_t made(struct mt_l4 *l, uint32_t pair, uint32_t service)
{
	l4_count(l, MT_L4_flows_made);
	mt_count(&l->stats[service].flows_made, 0);
	return 2 * pair;
}

uint32_t l4_add(
	struct mt_l4 *l, const struct l4_key *in, const struct l4_key *back, uint32_t service)
{
	uint32_t pair =
		take_with(l, in, back, service, l4_key_proto(in) == IPPROTO_UDP ? L4_PLAIN : 0);

	if (mt_unlikely(pair == L4_NONE))
		return L4_NONE;
	if (mt_unlikely(mt_table_insert(&l->table, l4_hash(l, back), 2 * pair + 1))) {
		mt_table_remove(&l->table, l4_hash(l, in), 2 * pair);
		release(l, pair);
		return L4_NONE;
	}
	list_newest(l, pair);
	return made(l, pair, service);
}

uint32_t l4_add_one_way(struct mt_l4 *l, const struct l4_key *in, const struct l4_key *back,
	uint32_t service, enum mt_l4_mode mode)
{
	uint32_t pair = take_with(l, in, back, service, L4_ONE_WAY);

	if (mt_unlikely(pair == L4_NONE))
		return L4_NONE;
	l->entries[2 * pair].mode = (uint8_t)mode;
	if (l4_is_home(l, pair))
		list_oldest(l, pair);
	else
		list_newest(l, pair);
	return made(l, pair, service);
}
