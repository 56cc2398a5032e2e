/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holders: the accounts of one peer. Lists by power of two: of the holders in a class, and of the
 * accounts in a holder.
 */
#include "mt_ledger_priv.h"
#include "mt_mutant.h"

#include <string.h>

/* ---- lists ----------------------------------------------------------------------------------- */

/* The list number + 1 for a size; 0 for size 0. */
static uint8_t list_for(uint64_t size)
{
	uint32_t b;

	if (size == 0)
		return 0;
	if (size < 2 * MT_LEDGER_FIRST)
		return 1;
	b = 63 - (uint32_t)__builtin_clzll(size / MT_LEDGER_FIRST);
	return (uint8_t)(MT_MIN(b, MT_LEDGER_LISTS - 1u) + 1);
}

static struct mt_ledger_link *place_link(struct mt_ledger *l, uint32_t idx, int c)
{
	struct mt_place *p = mt_slab_at(&l->places, idx);

	return &p->link[c];
}

static struct mt_ledger_link *holder_link(struct mt_ledger *l, uint32_t idx, int c)
{
	struct mt_holder *h = mt_slab_at(&l->holders, idx);

	return &h->link[c];
}

/* The link of a list's element: a place or a holder. */
typedef struct mt_ledger_link *(*link_of)(struct mt_ledger *l, uint32_t idx, int c);

static void enlist(struct mt_ledger *l, struct mt_ledger_lists *lists, uint8_t list, uint32_t idx,
	int c, link_of link)
{
	uint32_t *head = &lists->head[list - 1];

	*link(l, idx, c) = (struct mt_ledger_link){.next = *head};
	if (*head)
		link(l, *head - 1, c)->prev = idx + 1;
	*head = idx + 1;
	lists->used |= 1u << (list - 1);
}

static void delist(struct mt_ledger *l, struct mt_ledger_lists *lists, uint8_t list, uint32_t idx,
	int c, link_of link)
{
	struct mt_ledger_link at = *link(l, idx, c);

	if (at.next)
		link(l, at.next - 1, c)->prev = at.prev;
	if (at.prev)
		link(l, at.prev - 1, c)->next = at.next;
	else
		lists->head[list - 1] = at.next;
	if (!lists->head[list - 1])
		lists->used &= ~(1u << (list - 1));
}

static void move(struct mt_ledger *l, struct mt_ledger_lists *lists, uint8_t *list, uint64_t size,
	uint32_t idx, int c, link_of link)
{
	uint8_t to = list_for(size);

	if (mt_likely(to == *list))
		return;
	if (*list)
		delist(l, lists, *list, idx, c, link);
	if (to)
		enlist(l, lists, to, idx, c, link);
	*list = to;
}

/* Index + 1 of the head of the highest non-empty list; 0 if all are empty. */
static uint32_t highest(const struct mt_ledger_lists *lists)
{
	if (mt_mutant(MT_MUTANT_smallest_gives_way) && lists->used)
		return lists->head[__builtin_ctz(lists->used)];
	return lists->used ? lists->head[31 - __builtin_clz(lists->used)] : 0;
}

/* ---- holders --------------------------------------------------------------------------------- */

/*
 * The prefix of a holder: an IPv4 address or an IPv6 /64; if there are too many of them, a /24 or a
 * /48.
 */
static uint8_t prefix_of(const struct mt_ledger *l, const struct mt_addr *peer)
{
	if (mt_addr_is4(peer))
		return l->wide ? 24 : 32;
	return l->wide ? 48 : 64;
}

static struct mt_addr key_of(const struct mt_addr *peer, uint8_t prefix)
{
	struct mt_addr key = *peer;

	if (prefix >= 48)
		key.q[1] = 0;
	if (prefix == 24)
		key.b[15] = 0;
	if (prefix == 48)
		key.b[6] = key.b[7] = 0;
	return key;
}

static uint32_t hash_of(const struct mt_ledger *l, const struct mt_addr *key, uint32_t kind)
{
	uint64_t h = mt_fold64(key->q[0] ^ l->key[0], key->q[1] ^ l->key[1]);

	h = mt_fold64(h ^ kind, l->key[0] ^ 0x9e3779b97f4a7c15ull);
	return (uint32_t)(h ^ h >> 32);
}

uint32_t mt_holder_hash_of(void *ledger, uint32_t holder)
{
	const struct mt_ledger *l = ledger;
	const struct mt_holder *h = mt_slab_at(&l->holders, holder);

	return h->hash;
}

/* A holder as it is found, or NULL; fills in what identifies it. */
static struct mt_holder *holder_find(const struct mt_ledger *l, enum mt_side side,
	const struct mt_addr *peer, struct mt_holder *id)
{
	struct mt_table_iter it;
	struct mt_holder *h;
	uint32_t at;

	id->side = side;
	id->prefix = prefix_of(l, peer);
	id->key = key_of(peer, id->prefix);
	id->hash = hash_of(l, &id->key, (uint32_t)side << 8 | id->prefix);
	for (at = mt_table_first(&l->by_key, id->hash, &it); at != MT_TABLE_NONE;
		at = mt_table_next(&l->by_key, &it)) {
		h = mt_slab_at(&l->holders, at);
		if (h->side == side && h->prefix == id->prefix && mt_addr_eq(&h->key, &id->key))
			return h;
	}
	return NULL;
}

static struct mt_holder *holder_get(struct mt_ledger *l, const struct mt_account_owner *owner)
{
	struct mt_holder id, *h = holder_find(l, owner->side, &owner->peer, &id);

	if (h)
		return h;
	h = mt_slab_alloc(&l->holders, NULL);
	MT_ASSERT(h); /* as many as connections */
	h->key = id.key;
	h->side = id.side;
	h->prefix = id.prefix;
	h->hash = id.hash;
	if (mt_unlikely(mt_table_insert(&l->by_key, h->hash, mt_slab_idx(&l->holders, h)))) {
		mt_slab_free(&l->holders, h);
		return NULL;
	}
	return h;
}

static void holder_free(struct mt_ledger *l, struct mt_holder *h)
{
	mt_table_remove(&l->by_key, h->hash, mt_slab_idx(&l->holders, h));
	mt_slab_free(&l->holders, h);
}

void mt_place_new(struct mt_ledger *l, struct mt_account *a, const struct mt_account_owner *owner)
{
	struct mt_holder *h = holder_get(l, owner);
	struct mt_place *p;

	if (mt_unlikely(!h)) /* the table is full: the account is only part of its class's sum */
		return;
	p = mt_slab_alloc(&l->places, NULL);
	MT_ASSERT(p); /* as many as connections */
	p->account = mt_slab_idx(&l->accounts, a);
	p->holder = mt_slab_idx(&l->holders, h);
	h->n++;
	a->place = mt_slab_idx(&l->places, p) + 1;
}

bool mt_place_outdated(
	const struct mt_ledger *l, const struct mt_account *a, const struct mt_account_owner *owner)
{
	const struct mt_place *p = mt_slab_at(&l->places, a->place - 1);
	const struct mt_holder *h = mt_slab_at(&l->holders, p->holder);

	return h->prefix != prefix_of(l, &owner->peer);
}

void mt_place_drop(struct mt_ledger *l, struct mt_account *a)
{
	static const struct mt_sums none;

	mt_place_settle(l, a, &none);
}

static void settle_class(
	struct mt_ledger *l, struct mt_holder *h, struct mt_place *p, int c, int64_t more)
{
	struct mt_ledger_class *k = &l->classes[c];

	uint64_t was = h->charged[c];

	h->charged[c] += more;
	mt_ledger_set(&k->holders, k->holders + (h->charged[c] > 0) - (was > 0));
	move(l, &k->lists, &h->list[c], h->charged[c], p->holder, c, holder_link);
}

void mt_place_settle(struct mt_ledger *l, struct mt_account *a, const struct mt_sums *now)
{
	struct mt_place *p = mt_slab_at(&l->places, a->place - 1);
	struct mt_holder *h = mt_slab_at(&l->holders, p->holder);
	uint32_t all = 0;

	for (int c = 0; c < MT_N_CLASSES; c++) {
		/* What it held before it had a place was not counted in its holder. */
		uint32_t was = p->counted.of[c];

		all |= now->of[c];
		if (was == now->of[c])
			continue;
		p->counted.of[c] = now->of[c];
		settle_class(l, h, p, c, (int64_t)now->of[c] - was);
		move(l, &h->accounts[c], &p->list[c], now->of[c], a->place - 1, c, place_link);
	}
	if (all)
		return;
	a->place = 0;
	mt_slab_free(&l->places, p);
	if (--h->n == 0)
		holder_free(l, h);
}

/* True if `charged` is at least half of an equal part of the share (share / holders). */
static bool holds_much(const struct mt_ledger_class *k, uint64_t charged)
{
	return charged * 2 * k->holders >= k->share;
}

/* The limit for each connection of the holder. */
static uint32_t part(const struct mt_ledger_class *k, const struct mt_holder *h, enum mt_class c)
{
	if (!h->charged[c] || !holds_much(k, h->charged[c]))
		return 0;
	return (uint32_t)MT_MAX(
		MT_MIN(k->share / 2 / k->holders / h->n, UINT32_MAX / 2), MT_LEDGER_LEAST);
}

uint32_t mt_ledger_part(const struct mt_ledger *l, uint32_t account, enum mt_class c)
{
	const struct mt_account *a = account ? mt_slab_at(&l->accounts, account - 1) : NULL;
	const struct mt_place *p;

	if (!(l->pressed >> c & 1) || !a || !a->place)
		return 0;
	p = mt_slab_at(&l->places, a->place - 1);
	return part(&l->classes[c], mt_slab_at(&l->holders, p->holder), c);
}

uint32_t mt_ledger_part_of(
	const struct mt_ledger *l, enum mt_side side, const struct mt_addr *peer, enum mt_class c)
{
	const struct mt_holder *h;
	struct mt_holder id;

	if (!(l->pressed >> c & 1))
		return 0;
	h = holder_find(l, side, peer, &id);
	return h ? part(&l->classes[c], h, c) : 0;
}

bool mt_ledger_victim(const struct mt_ledger *l, enum mt_class c, uint32_t *conn)
{
	uint32_t holder = highest(&l->classes[c].lists), place;
	const struct mt_account *a;
	const struct mt_holder *h;
	const struct mt_place *p;

	if (!holder)
		return false;
	h = mt_slab_at(&l->holders, holder - 1);
	/*
	 * A holder with less than half of an equal part of the share is never a victim, even if it
	 * is the largest only because other accounts have not been assigned to their holders yet.
	 */
	if (!holds_much(&l->classes[c], h->charged[c]))
		return false;
	place = highest(&h->accounts[c]);
	p = mt_slab_at(&l->places, place - 1);
	a = mt_slab_at(&l->accounts, p->account);
	*conn = a->conn;
	return true;
}

uint32_t mt_ledger_largest(
	const struct mt_ledger *l, enum mt_class c, const struct mt_holder **out, uint32_t max)
{
	const struct mt_ledger_lists *lists = &l->classes[c].lists;
	uint32_t n = 0;

	for (int b = MT_LEDGER_LISTS - 1; b >= 0; b--)
		for (uint32_t at = lists->head[b]; at && n < max; at = out[n++]->link[c].next)
			out[n] = mt_slab_at(&l->holders, at - 1);
	return n;
}
