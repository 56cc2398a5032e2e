/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams of UDP, and TCP segments, in fragments; both are called datagrams here. Only the first
 * fragment has ports, so the others follow it: all fragments of a datagram come to the worker that
 * owns their addresses and identification (lib/net). There the first one has the ports, later ones
 * that came before it are kept until then, and all go on to the owner of the flow, as fragments:
 * nothing is reassembled or copied.
 *
 * Any host can send fragments, so their cost is bounded:
 * - A fragment is kept for a second at most, a source has SHARE of them, a worker KEPT_MAX bytes;
 *   then those that are kept for longest give way. An IPv6 source is a /64.
 * - A worker knows at most DATAGRAMS that are not complete, SHARE of a source; the oldest gives way
 *   to a new one. Sources are counted by a keyed hash of their address.
 * - A datagram has at most RUNS received parts with gaps between them, which are searched one by
 *   one.
 *
 * A fragment that was received already is dropped, because networks repeat packets. One that
 * overlaps others by a part ends the datagram: all that is left of it is dropped (RFC 5722). So no
 * endpoint sees overlapping fragments, and ports that were used for the choice stay those of the
 * datagram. A first fragment without the whole UDP or TCP header is dropped, and so is one that
 * begins inside the TCP header (RFC 1858, RFC 3128, RFC 8200 §4.5).
 */
#include "mt_l4_fragment.h"
#include "mt_list.h"

#include <string.h>

#define LIFE	  MT_SEC
#define SHARE	  64
#define KEPT_MAX  (1u << 20) /* memory of kept fragments, with unused parts of their buffers */
#define DATAGRAMS 1024
#define SOURCES	  1024 /* a power of two */
#define RUNS	  32
#define EXPIRED	  16 /* datagrams that one call removes at most */

/* A received part of a datagram: [from, to), in units of 8 bytes. */
struct run {
	uint16_t from, to;
};

struct source {
	struct mt_list datagrams; /* oldest first */
	uint16_t n, kept;	  /* datagrams, kept fragments */
};

struct datagram {
	struct mt_list order;	  /* in l4_fragments.waiting, .open or .free */
	struct mt_list of_source; /* in source.datagrams */
	struct mt_addr src, dst;
	uint32_t id; /* l4_fragment.id */
	struct l4_first first;
	uint32_t hash;
	uint64_t until;
	struct source *source;
	struct rte_mbuf *kept, **last; /* fragments in the order of their arrival, by mt_link() */
	uint8_t proto;
	uint16_t owner; /* of the flow */
	uint16_t end;	/* of the last fragment; 0: it has not come */
	uint16_t n_runs;
	bool refused;	       /* fragments overlapped */
	struct run runs[RUNS]; /* sorted, with gaps between them */
};

struct l4_fragments {
	struct mt_table table;
	/*
	 * Datagrams that wait for their first fragment and keep others; and all other datagrams.
	 * Both in the order of `until`.
	 */
	struct mt_list waiting, open;
	struct mt_list free;
	uint32_t fresh; /* datagrams from here on were never used */
	uint32_t next_id;
	uint32_t kept; /* bytes */
	struct source sources[SOURCES];
	struct datagram list[DATAGRAMS];
};

static uint32_t hash_of(void *arg, uint32_t idx)
{
	const struct l4_fragments *f = arg;

	return f->list[idx].hash;
}

size_t l4_fragments_size(void)
{
	return sizeof(struct l4_fragments);
}

int l4_fragments_init(struct mt_l4 *l)
{
	struct l4_fragments *f = l->fragments;

	mt_list_init(&f->waiting);
	mt_list_init(&f->open);
	mt_list_init(&f->free);
	for (uint32_t i = 0; i < SOURCES; i++)
		mt_list_init(&f->sources[i].datagrams);
	f->next_id = (uint32_t)mt_rand_u64(&l->rand);
	return mt_table_init(&f->table, DATAGRAMS, hash_of, f);
}

/* ---- kept fragments ------------------------------------------------------------------------ */

static uint32_t memory_of(const struct rte_mbuf *m)
{
	uint32_t sum = 0;

	for (; m; m = m->next)
		sum += mt_buf_truesize(m);
	return sum;
}

/* Takes the fragment that is kept for longest from its datagram. */
static struct rte_mbuf *take_kept(struct mt_l4 *l, struct datagram *d)
{
	struct rte_mbuf *m = d->kept;

	d->kept = mt_link(m)->next;
	if (!d->kept)
		d->last = &d->kept;
	mt_link(m)->next = NULL;
	d->source->kept--;
	l->fragments->kept -= memory_of(m);
	return m;
}

static void drop_kept(struct mt_l4 *l, struct datagram *d, enum mt_l4_outcome why)
{
	while (d->kept)
		l4_drop(l, take_kept(l, d), why);
}

/* ---- datagrams ----------------------------------------------------------------------------- */

static struct datagram *datagram_of(struct mt_list *order)
{
	return mt_list_entry(order, struct datagram, order);
}

static void remove_datagram(struct mt_l4 *l, struct datagram *d)
{
	struct l4_fragments *f = l->fragments;

	MT_ASSERT(!d->kept);
	MT_ASSERT(mt_table_remove(&f->table, d->hash, (uint32_t)(d - f->list)));
	mt_list_del(&d->of_source);
	d->source->n--;
	mt_list_del(&d->order);
	mt_list_add(&f->free, &d->order);
}

static void end(struct mt_l4 *l, struct datagram *d, enum mt_l4_outcome why)
{
	drop_kept(l, d, why);
	remove_datagram(l, d);
}

/* The oldest datagram of a list, or NULL. */
static struct datagram *oldest(struct mt_list *list)
{
	struct mt_list *first = mt_list_first(list);

	return first ? datagram_of(first) : NULL;
}

static void expire(struct mt_l4 *l, struct mt_list *list)
{
	struct datagram *d;

	for (uint32_t i = 0; i < EXPIRED && (d = oldest(list)) && d->until <= l->now; i++)
		end(l, d, MT_L4_fragments_expired);
}

void l4_fragments_tick(struct mt_l4 *l)
{
	expire(l, &l->fragments->waiting);
	expire(l, &l->fragments->open);
}

uint64_t l4_fragments_next(const struct mt_l4 *l)
{
	const struct datagram *a = oldest(&l->fragments->waiting);
	const struct datagram *b = oldest(&l->fragments->open);

	return MT_MIN(a ? a->until : MT_NEVER, b ? b->until : MT_NEVER);
}

void l4_fragments_fini(struct mt_l4 *l)
{
	struct l4_fragments *f = l->fragments;
	struct mt_list *n;

	mt_list_foreach (n, &f->waiting) {
		struct datagram *d = datagram_of(n);

		while (d->kept)
			mt_buf_free(take_kept(l, d));
	}
	mt_table_fini(&f->table);
}

/* Keyed, so that a source can aim neither at one bucket nor at another source's share. */
static uint32_t hash_datagram(const struct mt_l4 *l, const struct l4_fragment *f)
{
	const struct mt_tuple t = {.local = f->dst,
		.remote = f->src,
		.lport = (uint16_t)f->id,
		.rport = (uint16_t)(f->id >> 16)};

	return mt_tuple_hash(&t, l->secret);
}

static struct source *source_of(struct mt_l4 *l, const struct mt_addr *a)
{
	uint64_t who = mt_addr_is4(a) ? mt_addr_v4(a) : a->q[0];
	uint64_t h = mt_fold64(who ^ l->secret[0], l->secret[1] ^ UINT64_C(0xd6e8feb86659fd93));

	return &l->fragments->sources[h % SOURCES];
}

static struct datagram *find(struct mt_l4 *l, const struct l4_fragment *f, uint32_t hash)
{
	struct l4_fragments *all = l->fragments;
	struct mt_table_iter it;
	uint32_t idx = mt_table_first(&all->table, hash, &it);

	for (; idx != MT_TABLE_NONE; idx = mt_table_next(&all->table, &it)) {
		struct datagram *d = &all->list[idx];

		if (d->id == f->id && mt_addr_eq(&d->src, &f->src) && mt_addr_eq(&d->dst, &f->dst))
			return d;
	}
	return NULL;
}

/* A place for a datagram of the source; others give way. */
static struct datagram *take_place(struct mt_l4 *l, struct source *s)
{
	struct l4_fragments *all = l->fragments;
	struct mt_list *place;

	if (s->n >= SHARE)
		end(l, mt_list_entry(mt_list_first(&s->datagrams), struct datagram, of_source),
			MT_L4_fragments_evicted);
	else if (mt_list_empty(&all->free) && all->fresh == DATAGRAMS)
		end(l, oldest(mt_list_empty(&all->open) ? &all->waiting : &all->open),
			MT_L4_fragments_evicted);
	place = mt_list_first(&all->free);
	if (!place)
		return &all->list[all->fresh++];
	mt_list_del(place);
	return datagram_of(place);
}

static struct datagram *add(struct mt_l4 *l, const struct l4_fragment *f, uint32_t hash)
{
	struct l4_fragments *all = l->fragments;
	struct source *s = source_of(l, &f->src);
	struct datagram *d = take_place(l, s);

	*d = (struct datagram){.src = f->src,
		.dst = f->dst,
		.id = f->id,
		.proto = f->proto,
		.hash = hash,
		.until = l->now + LIFE,
		.source = s,
		.last = &d->kept};
	if (mt_unlikely(mt_table_insert(&all->table, hash, (uint32_t)(d - all->list)))) {
		mt_list_add(&all->free, &d->order);
		return NULL;
	}
	mt_list_add_tail(&all->waiting, &d->order);
	mt_list_add_tail(&s->datagrams, &d->of_source);
	s->n++;
	return d;
}

/* ---- what was received --------------------------------------------------------------------- */

enum part { PART_NEW, PART_REPEATED, PART_OVERLAPS, PART_SCATTERED };

/* False: the fragment contradicts others about the end of the datagram. */
static bool end_agrees(const struct datagram *d, const struct l4_fragment *f)
{
	if (d->end && (f->more ? f->to > d->end : f->to != d->end))
		return false;
	return f->more || d->n_runs == 0 || d->runs[d->n_runs - 1].to <= f->to;
}

/* Inserts a run before the i-th, or makes it part of its neighbours. */
static bool insert(struct datagram *d, uint32_t i, struct run r)
{
	bool before = i > 0 && d->runs[i - 1].to == r.from;
	bool after = i < d->n_runs && d->runs[i].from == r.to;

	if (before && after) {
		d->runs[i - 1].to = d->runs[i].to;
		d->n_runs--;
		memmove(&d->runs[i], &d->runs[i + 1], (d->n_runs - i) * sizeof(r));
	} else if (before) {
		d->runs[i - 1].to = r.to;
	} else if (after) {
		d->runs[i].from = r.from;
	} else {
		if (d->n_runs == RUNS)
			return false;
		memmove(&d->runs[i + 1], &d->runs[i], (d->n_runs - i) * sizeof(r));
		d->runs[i] = r;
		d->n_runs++;
	}
	return true;
}

static enum part note_part(struct datagram *d, const struct l4_fragment *f)
{
	uint32_t i = 0;

	/* An IPv6 identification is one datagram's, whatever its protocol (RFC 8200 §4.5). */
	if (d->proto != f->proto || !end_agrees(d, f))
		return PART_OVERLAPS;
	while (i < d->n_runs && d->runs[i].to <= f->from)
		i++;
	if (i < d->n_runs && d->runs[i].from < f->to)
		return d->runs[i].from <= f->from && f->to <= d->runs[i].to ? PART_REPEATED
									    : PART_OVERLAPS;
	if (!insert(d, i, (struct run){f->from, f->to}))
		return PART_SCATTERED;
	if (!f->more)
		d->end = f->to;
	return PART_NEW;
}

static bool is_complete(const struct datagram *d)
{
	return d->end && d->n_runs == 1 && d->runs[0].from == 0 && d->runs[0].to == d->end;
}

/* ---- on the way ---------------------------------------------------------------------------- */

/* Sends a fragment of a datagram with known ports to the owner of the flow; takes it. */
static void pass(struct mt_l4 *l, const struct datagram *d, struct rte_mbuf *m)
{
	l4_mark_fragment(m, &d->first);
	if (d->owner == l->worker)
		l4_forward_fragment(l, m);
	else if (mt_steer_push(l->steer, l->worker, d->owner, &m, 1) == 0)
		l4_drop(l, m, MT_L4_fragment_ring_full);
}

/* An identification that this worker has not given for long, and others do not give. */
static uint32_t next_id(struct mt_l4 *l, bool is4)
{
	uint32_t id = l->fragments->next_id++ * l->steer->workers + l->worker;

	return is4 ? rte_cpu_to_be_16((uint16_t)id) : rte_cpu_to_be_32(id);
}

static void learn(struct mt_l4 *l, struct datagram *d, const struct l4_fragment *f)
{
	struct l4_key k = {{[4] = f->first.ports}};
	const struct mt_tuple t = {.local = f->dst,
		.remote = f->src,
		.lport = l4_key_dport(&k),
		.rport = l4_key_sport(&k)};

	d->first = f->first;
	d->owner = mt_steer_owner(l->steer, &t);
	d->first.new_id = next_id(l, mt_addr_is4(&f->src));
}

/* From here on the datagram keeps nothing. */
static void set_open(struct mt_l4 *l, struct datagram *d)
{
	mt_list_del(&d->order);
	mt_list_add_tail(&l->fragments->open, &d->order);
	d->until = l->now + LIFE;
}

/* Makes room for one more; false: its datagram would have to give way itself. */
static bool make_room(struct mt_l4 *l, const struct datagram *d, uint32_t size)
{
	struct l4_fragments *all = l->fragments;

	while (all->kept + size > KEPT_MAX) {
		struct datagram *victim = oldest(&all->waiting);

		if (!victim || victim == d)
			return false;
		end(l, victim, MT_L4_fragments_evicted);
	}
	return true;
}

/* Lets a fragment wait for the first one; takes it. */
static void keep(struct mt_l4 *l, struct datagram *d, struct rte_mbuf *m)
{
	uint32_t size = memory_of(m);
	bool over = d->source->kept >= SHARE;

	if (over || !make_room(l, d, size)) {
		l4_drop(l, m, over ? MT_L4_fragments_over_share : MT_L4_fragments_evicted);
		if (!d->kept)
			remove_datagram(l, d);
		return;
	}
	l4_count(l, MT_L4_fragments_kept);
	mt_link(m)->next = NULL;
	*d->last = m;
	d->last = &mt_link(m)->next;
	d->source->kept++;
	l->fragments->kept += size;
}

static void refuse(struct mt_l4 *l, struct datagram *d)
{
	drop_kept(l, d, MT_L4_fragment_overlap);
	d->refused = true;
	set_open(l, d);
}

/* Takes a fragment with a new part of the datagram. */
static void take_new(struct mt_l4 *l, struct datagram *d, const struct l4_fragment *f)
{
	if (!d->first.ports && f->from) {
		keep(l, d, f->m);
		return;
	}
	if (!f->from) {
		learn(l, d, f);
		pass(l, d, f->m);
		while (d->kept)
			pass(l, d, take_kept(l, d));
		set_open(l, d);
	} else {
		pass(l, d, f->m);
	}
	if (is_complete(d))
		remove_datagram(l, d);
}

static void receive(struct mt_l4 *l, const struct l4_fragment *f)
{
	uint32_t hash = hash_datagram(l, f);
	struct datagram *d = find(l, f, hash);
	enum part part;

	if (!d)
		d = add(l, f, hash);
	part = d ? note_part(d, f) : PART_SCATTERED;
	if (part == PART_NEW && !d->refused) {
		take_new(l, d, f);
		return;
	}
	if (part == PART_OVERLAPS && !d->refused)
		refuse(l, d);
	l4_drop(l, f->m,
		part == PART_SCATTERED ? MT_L4_fragments_over_share : MT_L4_fragment_overlap);
}

mt_noinline void l4_fragment(struct mt_l4 *l, struct rte_mbuf *m)
{
	enum mt_l4_outcome why;
	struct l4_fragment f;

	if (m->packet_type & RTE_PTYPE_INNER_L4_MASK) { /* another worker has marked it */
		l4_forward_fragment(l, m);
		return;
	}
	why = l4_read_fragment(m, &f);
	if (why != MT_L4_forwarded) {
		l4_drop(l, m, why);
		return;
	}
	l4_fragments_tick(l);
	receive(l, &f);
}
