/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of a stripped host: the host, its connections, and their hash table. */
#include "stripped_priv.h"

#include "mt_net_cksum.h"

#include <errno.h>
#include <stdlib.h>

static void *memory(size_t n, size_t size)
{
	void *at = NULL;

	if (posix_memalign(&at, MT_CACHE_LINE, MT_MAX(n * size, (size_t)1)))
		return NULL;
	memset(at, 0, n * size);
	return at;
}

static void insert(struct bench_stripped *p, uint64_t key, uint32_t value)
{
	uint32_t i = slot_of(p, key);

	while (p->table[i])
		i = (i + 1) & p->mask;
	p->table[i] = value;
}

/* Entries that were displaced by it move up. */
static void remove_key(struct bench_stripped *p, uint64_t key)
{
	uint32_t i = slot_of(p, key), j;

	while (p->conns[p->table[i] - 1].key != key)
		i = (i + 1) & p->mask;
	p->table[i] = 0;
	for (j = (i + 1) & p->mask; p->table[j]; j = (j + 1) & p->mask) {
		uint32_t v = p->table[j];

		p->table[j] = 0;
		insert(p, p->conns[v - 1].key, v);
	}
}

struct stripped_conn *stripped_conn_new(struct bench_stripped *p, uint64_t key)
{
	struct stripped_conn *c;

	if (p->n_free)
		c = &p->conns[p->free[--p->n_free]];
	else if (p->fresh < p->c.max_conns)
		c = &p->conns[p->fresh++];
	else
		return NULL;
	*c = (struct stripped_conn){.key = key, .due = c->due};
	insert(p, key, (uint32_t)(c - p->conns) + 1);
	p->used++;
	return c;
}

void stripped_conn_free(struct bench_stripped *p, struct stripped_conn *c)
{
	remove_key(p, c->key);
	p->used--;
	p->connected -= c->state == UP;
	if (c->open)
		rte_pktmbuf_free(c->open);
	if (c->back) {
		free(c->back->part);
		free(c->back->waits);
		free(c->back);
	}
	/* It may still be on the iteration's list, where it is then skipped. */
	*c = (struct stripped_conn){.due = c->due & DUE_LISTED};
	p->free[p->n_free++] = (uint32_t)(c - p->conns);
}

static struct stripped_back *back_of(struct stripped_conn *c)
{
	if (!c->back)
		c->back = calloc(1, sizeof(*c->back));
	MT_ASSERT(c->back);
	return c->back;
}

uint8_t *stripped_part(struct bench_stripped *p, struct stripped_conn *c)
{
	struct stripped_back *b = back_of(c);

	mt_count(p->counters, BENCH_STRIPPED_split);
	if (!b->part)
		b->part = malloc(p->c.exchange.in_len);
	MT_ASSERT(b->part);
	return b->part;
}

static void grow(struct stripped_back *b)
{
	uint32_t cap = b->cap ? 2 * b->cap : 64;
	uint8_t(*to)[32] = malloc(cap * sizeof(*to));

	MT_ASSERT(to);
	for (uint32_t i = 0; i < b->n; i++)
		memcpy(to[i], b->waits[(b->head + i) & (b->cap - 1)], sizeof(*to));
	free(b->waits);
	b->waits = to;
	b->head = 0;
	b->cap = cap;
}

void stripped_wait(struct bench_stripped *p, struct stripped_conn *c, const uint8_t item[32])
{
	struct stripped_back *b = back_of(c);

	mt_count(p->counters, BENCH_STRIPPED_waited);
	if (b->n == b->cap)
		grow(b);
	memcpy(b->waits[(b->head + b->n++) & (b->cap - 1)], item, sizeof(*b->waits));
	due(p, c, 0);
}

/* ---- the host ------------------------------------------------------------------------------ */

static void make_head(struct bench_stripped *p)
{
	uint8_t *d = p->head;

	memset(d, 0, HEAD);
	memcpy(d + 6, p->port->mac.addr_bytes, 6);
	store16(d + 12, rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4));
	d[14] = 0x45;
	d[20] = 0x40; /* don't fragment */
	d[22] = 64;
	d[23] = IPPROTO_TCP;
	store32(d + 26, p->ip);
	d[46] = 0x80; /* 32 bytes of header */
	store16(d + 48, rte_cpu_to_be_16(WINDOW));
	memcpy(d + 54, "\x01\x01\x08\x0a", 4);
	p->ip_sum = net_sum(d + 14, 20);
	p->tcp_sum = (uint64_t)net_sum(d + 34, 32) + p->ip + rte_cpu_to_be_16(IPPROTO_TCP);
}

static void make_message(struct bench_stripped *p)
{
	const struct bench_exchange *x = &p->c.exchange;

	memcpy(p->out, x->out, x->out_len);
	for (uint32_t i = 0; i < x->n_copies; i++)
		memset(p->out + x->copies[i].to, 0, x->copies[i].len);
	p->out_sum = net_sum(p->out, x->out_len);
}

static bool fits(const struct bench_exchange *x)
{
	uint32_t all = 0;

	for (uint32_t i = 0; i < x->n_copies; i++) {
		const struct bench_copy *k = &x->copies[i];

		all += k->len;
		if (k->len % 4 || (uint32_t)k->from + k->len > x->in_len ||
			(uint32_t)k->to + k->len > x->out_len)
			return false;
	}
	return all <= 32 && x->in_len && x->out_len && x->same % 4 == 0 && x->same <= x->in_len &&
	       x->in_len <= BENCH_STRIPPED_MAX && x->out_len <= BENCH_STRIPPED_MAX;
}

static bool make(struct bench_stripped *p)
{
	uint32_t slots = 64;

	p->shift = 64 - 6;
	for (; slots < 2 * p->c.max_conns; slots *= 2)
		p->shift--;
	p->mask = slots - 1;
	p->table = memory(slots, sizeof(*p->table));
	p->conns = memory(p->c.max_conns, sizeof(*p->conns));
	/* While the list is processed, connections that are due again are appended to it. */
	p->work = memory(2 * p->c.max_conns, sizeof(*p->work));
	p->free = memory(p->c.max_conns, sizeof(*p->free));
	p->tx = memory(TX_ROOM, sizeof(*p->tx));
	p->held = memory(TX_ROOM, sizeof(*p->held));
	p->out = memory(1, BENCH_STRIPPED_MAX + BLOCK);
	p->whole = memory(1, BENCH_STRIPPED_MAX);
	p->flat = memory(1, FLAT);
	return p->table && p->conns && p->work && p->free && p->tx && p->held && p->out &&
	       p->whole && p->flat;
}

struct bench_stripped *bench_stripped_create(const struct bench_stripped_conf *c, struct mt_err *e)
{
	struct bench_stripped *p;

	if (!mt_addr_is4(&c->address) || (c->client && !mt_addr_is4(&c->gateway))) {
		mt_err(e, -EINVAL, "a stripped host has an IPv4 address");
		return NULL;
	}
	if (!fits(&c->exchange)) {
		mt_err(e, -EINVAL,
			"a stripped host's messages have at most %u bytes, not %u and %u",
			BENCH_STRIPPED_MAX, c->exchange.in_len, c->exchange.out_len);
		return NULL;
	}
	p = memory(1, sizeof(*p));
	if (p) {
		p->c = *c;
		p->port = c->port;
		p->pool = c->pools->data;
		p->ip = mt_addr_v4(&c->address);
		p->mss = c->port->mtu - 20u - 32u;
		p->next_port = 1024;
		p->blocks = rte_pktmbuf_data_room_size(p->pool) >=
			    RTE_PKTMBUF_HEADROOM + HEAD + p->mss + BLOCK;
		mt_rand_seed(&p->rand, c->seed);
	}
	if (!p || !make(p)) {
		mt_err(e, -ENOMEM, "no memory for %u connections", c->max_conns);
		return NULL; /* the program ends */
	}
	make_head(p);
	make_message(p);
	return p;
}

void bench_stripped_destroy(struct bench_stripped *p)
{
	for (uint32_t i = 0; i < p->fresh; i++)
		if (p->conns[i].key)
			stripped_conn_free(p, &p->conns[i]);
	rte_pktmbuf_free_bulk(p->spare, p->n_spare);
	rte_pktmbuf_free_bulk(p->tx, p->n_tx);
	rte_pktmbuf_free_bulk(p->held, p->n_held);
	free(p->table);
	free(p->conns);
	free(p->work);
	free(p->free);
	free(p->tx);
	free(p->held);
	free(p->out);
	free(p->whole);
	free(p->flat);
	free(p);
}

uint32_t bench_stripped_connected(const struct bench_stripped *p)
{
	return p->connected;
}

uint32_t bench_stripped_used(const struct bench_stripped *p)
{
	return p->used;
}

uint64_t bench_stripped_messages(const struct bench_stripped *p)
{
	return p->messages;
}

const uint64_t *bench_stripped_counters(const struct bench_stripped *p)
{
	return p->counters;
}

uint64_t bench_stripped_errors(const struct bench_stripped *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < BENCH_STRIPPED_N_OUTCOMES; i++)
		if (bench_stripped_outcomes.rows[i].severity == MT_SEV_ERROR)
			sum += p->counters[i];
	return sum;
}
