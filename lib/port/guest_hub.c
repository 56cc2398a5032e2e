/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_guest_hub.h"

#include "mt_addr_hash.h"
#include "mt_port_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <rte_rcu_qsbr.h>

#define NO_GUEST UINT16_MAX

/* Offsets in frames without a VLAN tag. */
#define ARP	      14
#define ARP_OP	      (ARP + 6)
#define ARP_TARGET    (ARP + 24)
#define IP6	      14
#define IP6_NEXT      (IP6 + 6)
#define ICMP6	      (IP6 + 40)
#define ICMP6_TARGET  (ICMP6 + 8)
#define ICMP6_SOLICIT 135

/* The key of a guest: one of its addresses, or its Ethernet address as mac_key(). */
struct row {
	struct mt_addr key;
	uint16_t number;
	bool used;
};

/* Open addressing, at most half full. */
struct table {
	uint32_t mask;
	struct row *rows;
	struct mt_addr *addresses;			/* of all stations */
	char *names;					/* the same */
	struct mt_guest_station stations[MT_VHOST_MAX]; /* without a name: none */
};

enum { UNKNOWN, REFUSED, DROPS };

struct drops {
	uint64_t n[DROPS];
} mt_cache_aligned;

struct mt_guest_hub {
	struct mt_port port; /* first */
	struct mt_guests *guests;
	uint16_t n_counters;
	_Atomic(struct table *) table; /* ctl: w, workers: r */
	uint64_t *counters;	       /* [n_workers][MT_VHOST_MAX][n_counters] */
	struct drops drops[MT_WORKERS_MAX];
};

static struct mt_guest_hub *hub_of(const struct mt_port *p)
{
	return mt_container_of(p, struct mt_guest_hub, port);
}

/* ---- table ----------------------------------------------------------------------------------- */

/* Differs from all addresses of guests, because it is a group's. */
static struct mt_addr mac_key(const uint8_t mac[6])
{
	struct mt_addr a = {.b = {0xff}};

	memcpy(&a.b[sizeof(a.b) - 6], mac, 6);
	return a;
}

/* Returns the row with the key, or the free one for it. */
static struct row *find(const struct table *t, const struct mt_addr *key)
{
	uint32_t i = mt_addr_hash(key) & t->mask;

	while (t->rows[i].used && !mt_addr_eq(&t->rows[i].key, key))
		i = (i + 1) & t->mask;
	return &t->rows[i];
}

static void add(struct table *t, const struct mt_addr *key, uint16_t number)
{
	struct row *r = find(t, key);

	if (!r->used)
		*r = (struct row){*key, number, true};
}

static void free_table(struct table *t)
{
	if (!t)
		return;
	free(t->rows);
	free(t->addresses);
	free(t->names);
	free(t);
}

static struct table *alloc_table(const struct mt_guest_station *v, uint32_t n)
{
	struct table *t = calloc(1, sizeof(*t));
	size_t names = 0, addresses = 0;

	if (!t)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		names += strlen(v[i].name) + 1;
		addresses += v[i].n_addresses;
	}
	t->mask = rte_align32pow2(2 * (uint32_t)(addresses + n) + 2) - 1;
	t->rows = calloc(t->mask + 1, sizeof(*t->rows));
	t->addresses = calloc(addresses + 1, sizeof(*t->addresses));
	t->names = malloc(names + 1);
	if (t->rows && t->addresses && t->names)
		return t;
	free_table(t);
	return NULL;
}

static struct table *make_table(const struct mt_guest_station *v, uint32_t n)
{
	struct table *t = alloc_table(v, n);
	size_t name = 0, address = 0;

	for (uint32_t i = 0; t && i < n; i++) {
		struct mt_guest_station *s = &t->stations[v[i].number];
		const struct mt_addr key = mac_key(v[i].mac);

		*s = v[i];
		s->name = strcpy(t->names + name, v[i].name);
		s->addresses = t->addresses + address;
		name += strlen(v[i].name) + 1;
		add(t, &key, s->number);
		for (uint32_t k = 0; k < v[i].n_addresses; k++) {
			t->addresses[address++] = v[i].addresses[k];
			add(t, &v[i].addresses[k], s->number);
		}
	}
	return t;
}

/* ---- workers --------------------------------------------------------------------------------- */

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Reads the address of an ARP request or neighbour solicitation. False: it is neither. */
static bool asks(const uint8_t *f, uint16_t len, struct mt_addr *about)
{
	switch (be16(f + 12)) {
	case RTE_ETHER_TYPE_ARP: {
		uint32_t v4;

		if (len < ARP_TARGET + 4 || be16(f + ARP_OP) != 1)
			return false;
		memcpy(&v4, f + ARP_TARGET, sizeof(v4));
		*about = mt_addr4(v4);
		return true;
	}
	case RTE_ETHER_TYPE_IPV6:
		if (len < ICMP6_TARGET + 16 || f[IP6_NEXT] != IPPROTO_ICMPV6 ||
			f[ICMP6] != ICMP6_SOLICIT)
			return false;
		memcpy(about, f + ICMP6_TARGET, sizeof(*about));
		return true;
	default:
		return false;
	}
}

/* Returns the number of the guest that gets the frame, or NO_GUEST. */
static uint16_t receiver(const struct table *t, const struct rte_mbuf *m)
{
	const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
	const struct row *r;
	struct mt_addr key;

	if (mt_unlikely(m->data_len < RTE_ETHER_HDR_LEN))
		return NO_GUEST;
	if (mt_likely(!(f[0] & RTE_ETHER_GROUP_ADDR)))
		key = mac_key(f);
	else if (!asks(f, m->data_len, &key))
		return NO_GUEST;
	r = find(t, &key);
	return r->used ? r->number : NO_GUEST;
}

static void drop(
	struct mt_guest_hub *h, uint16_t worker, uint32_t why, struct rte_mbuf **pkts, uint16_t n)
{
	mt_count_n(h->drops[worker].n, why, n);
	mt_buf_free_bulk(pkts, n);
}

/* Sends frames to one guest, and drops those that it does not take. */
static void deliver(struct mt_guest_hub *h, uint16_t worker, uint16_t number,
	struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t took;

	if (number == NO_GUEST) {
		drop(h, worker, UNKNOWN, pkts, n);
		return;
	}
	took = mt_guests_send(mt_guests_worker(h->guests, worker), number, pkts, n);
	if (mt_unlikely(took < n))
		drop(h, worker, REFUSED, pkts + took, (uint16_t)(n - took));
}

static uint16_t tx(struct mt_port *p, uint16_t worker, struct rte_mbuf **pkts, uint16_t n)
{
	struct mt_guest_hub *h = hub_of(p);
	const struct table *t = atomic_load_explicit(&h->table, memory_order_acquire);
	uint16_t from = 0, to = n ? receiver(t, pkts[0]) : NO_GUEST;

	for (uint16_t i = 1; i < n; i++) {
		uint16_t next = receiver(t, pkts[i]);

		if (next == to)
			continue;
		deliver(h, worker, to, pkts + from, (uint16_t)(i - from));
		from = i;
		to = next;
	}
	if (n)
		deliver(h, worker, to, pkts + from, (uint16_t)(n - from));
	return n;
}

/* Frames of guests are received from their own ports. */
static uint16_t rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static const struct mt_port_ops ops = {.rx = rx, .tx = tx};

const struct mt_guest_station *mt_guest_hub_find(const struct mt_guest_hub *h, uint16_t number)
{
	const struct table *t = atomic_load_explicit(&h->table, memory_order_acquire);

	return t->stations[number].name ? &t->stations[number] : NULL;
}

uint64_t *mt_guest_hub_counters(const struct mt_guest_hub *h, uint16_t worker, uint16_t number)
{
	return h->counters + ((size_t)worker * MT_VHOST_MAX + number) * h->n_counters;
}

/* ---- control thread -------------------------------------------------------------------------- */

struct mt_guest_hub *mt_guest_hub_create(const struct mt_guest_hub_conf *conf)
{
	size_t len = RTE_ALIGN_CEIL(sizeof(struct mt_guest_hub), MT_CACHE_LINE);
	struct mt_guest_hub *h = aligned_alloc(MT_CACHE_LINE, len);
	struct mt_port *p;

	if (!h)
		return NULL;
	memset(h, 0, len);
	mt_addr_hash_ready();
	h->guests = conf->guests;
	h->n_counters = conf->n_counters;
	h->counters = calloc((size_t)conf->n_workers * MT_VHOST_MAX,
		sizeof(*h->counters) * MT_MAX(conf->n_counters, 1));
	atomic_store(&h->table, make_table(NULL, 0));
	if (!h->counters || !atomic_load(&h->table)) {
		mt_guest_hub_destroy(h);
		return NULL;
	}
	p = &h->port;
	p->ops = &ops;
	snprintf(p->name, sizeof(p->name), "guests");
	p->index = conf->index;
	p->mtu = conf->mtu;
	p->n_txq = p->n_workers = conf->n_workers;
	p->mac = conf->mac;
	p->caps.tx_chains = true;
	p->caps.max_frame = (uint16_t)(conf->mtu + L2_MAX);
	p->link_up = true;
	return h;
}

void mt_guest_hub_destroy(struct mt_guest_hub *h)
{
	if (!h)
		return;
	free_table(atomic_load(&h->table));
	free(h->counters);
	free(h);
}

struct mt_port *mt_guest_hub_port(struct mt_guest_hub *h)
{
	return &h->port;
}

static void begin_counters(struct mt_guest_hub *h, uint16_t number)
{
	for (uint16_t w = 0; w < h->port.n_workers; w++)
		for (uint16_t i = 0; i < h->n_counters; i++)
			__atomic_store_n(
				&mt_guest_hub_counters(h, w, number)[i], 0, __ATOMIC_RELAXED);
}

static bool is_other(const struct mt_guest_station *was, const struct mt_guest_station *is)
{
	return is->name && (!was->name || strcmp(was->name, is->name) != 0);
}

int mt_guest_hub_set(struct mt_guest_hub *h, const struct mt_guest_station *v, uint32_t n,
	struct rte_rcu_qsbr *qsbr)
{
	struct table *before = atomic_load(&h->table), *t = make_table(v, n);

	if (!t)
		return -ENOMEM;
	for (uint16_t i = 0; i < MT_VHOST_MAX; i++)
		if (is_other(&before->stations[i], &t->stations[i]))
			begin_counters(h, i);
	atomic_store_explicit(&h->table, t, memory_order_release);
	if (qsbr)
		rte_rcu_qsbr_check(qsbr, rte_rcu_qsbr_start(qsbr), true);
	free_table(before);
	return 0;
}

uint64_t mt_guest_hub_count(const struct mt_guest_hub *h, uint16_t number, uint16_t counter)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < h->port.n_workers; w++)
		sum += mt_count_read(&mt_guest_hub_counters(h, w, number)[counter]);
	return sum;
}

void mt_guest_hub_counts(const struct mt_guest_hub *h, struct mt_guest_hub_counts *out)
{
	*out = (struct mt_guest_hub_counts){0};
	for (uint16_t w = 0; w < h->port.n_workers; w++) {
		out->unknown += mt_count_read(&h->drops[w].n[UNKNOWN]);
		out->refused += mt_count_read(&h->drops[w].n[REFUSED]);
	}
}
