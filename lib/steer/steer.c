/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_mutant.h"
#include "mt_steer_priv.h"

#include <errno.h>
#include <string.h>

#include <rte_thash.h>

/*
 * The key that the RSS specification publishes for verification, and that most drivers use as their
 * default. The last 12 bytes repeat its beginning; only i40e and ice require them, and no tuple of
 * lib/steer is long enough to use them.
 */
static const uint8_t default_key[MT_STEER_KEY_LEN] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, /* */
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, /* */
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, /* */
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, /* */
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa, /* */
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, /* */
	0x41, 0x67, 0x25, 0x3d,				/* */
};

/* Hash of a tuple that is all zero except for its last word (source port, destination port). */
static uint32_t hash_ports(const struct mt_steer *s, uint32_t words, uint32_t last)
{
	uint32_t in[MT_STEER_WORDS6] = {0};

	in[words - 1] = last;
	return rte_softrss_be(in, words, s->key_be);
}

static void fill_port_hash(
	const struct mt_steer *s, uint32_t words, struct mt_steer_port_hash *table)
{
	for (uint32_t v = 0; v < 256; v++) {
		table->lo[v] = hash_ports(s, words, v);
		table->hi[v] = hash_ports(s, words, v << 8);
	}
}

int mt_steer_set_key(struct mt_steer *s, const uint8_t *key, uint32_t len)
{
	if (len < 40 || len > MT_STEER_KEY_LEN)
		return -EINVAL;
	memcpy(s->key, key, len);
	rte_convert_rss_key((const uint32_t *)s->key, (uint32_t *)s->key_be, MT_STEER_KEY_LEN);
	fill_port_hash(s, MT_STEER_WORDS4, &s->port4);
	fill_port_hash(s, MT_STEER_WORDS6, &s->port6);
	return 0;
}

static struct rte_ring *make_ring(uint32_t size)
{
	ssize_t bytes = rte_ring_get_memsize(size);
	struct rte_ring *r;

	if (bytes < 0)
		return NULL;
	r = aligned_alloc(RTE_CACHE_LINE_SIZE, RTE_ALIGN_CEIL((size_t)bytes, RTE_CACHE_LINE_SIZE));
	if (r && rte_ring_init(r, "steer", size, RING_F_SP_ENQ | RING_F_SC_DEQ)) {
		free(r);
		r = NULL;
	}
	return r;
}

int mt_steer_init(struct mt_steer *s, uint16_t workers, uint32_t ring_size)
{
	memset(s, 0, sizeof(*s));
	if (workers == 0 || workers > MT_STEER_WORKERS || !rte_is_power_of_2(ring_size))
		return -EINVAL;
	s->workers = workers;
	mt_steer_set_key(s, default_key, sizeof(default_key));
	for (uint16_t i = 0; i < MT_STEER_RETA_LEN; i++)
		s->reta[i] = i % workers;
	for (uint16_t from = 0; from < workers; from++) {
		for (uint16_t to = 0; to < workers; to++) {
			if (from == to)
				continue;
			s->rings[from][to] = make_ring(ring_size);
			if (!s->rings[from][to]) {
				mt_steer_fini(s);
				return -ENOMEM;
			}
		}
	}
	return 0;
}

void mt_steer_fini(struct mt_steer *s)
{
	for (uint16_t from = 0; from < s->workers; from++) {
		for (uint16_t to = 0; to < s->workers; to++) {
			struct rte_ring *r = s->rings[from][to];
			void *m;

			while (r && rte_ring_sc_dequeue(r, &m) == 0)
				mt_buf_free(m);
			free(r);
			s->rings[from][to] = NULL;
		}
	}
}

uint32_t mt_steer_words(const struct mt_tuple *t, uint32_t in[MT_STEER_WORDS6])
{
	uint32_t n = 0;

	if (mt_addr_is4(&t->local)) {
		in[n++] = rte_be_to_cpu_32(mt_addr_v4(&t->remote));
		in[n++] = rte_be_to_cpu_32(mt_addr_v4(&t->local));
	} else {
		for (int i = 0; i < 4; i++) {
			in[n + (uint32_t)i] = rte_be_to_cpu_32(t->remote.w[i]);
			in[n + 4 + (uint32_t)i] = rte_be_to_cpu_32(t->local.w[i]);
		}
		n += 8;
	}
	in[n++] = (uint32_t)t->rport << 16 | t->lport;
	return n;
}

uint32_t mt_steer_hash(const struct mt_steer *s, const struct mt_tuple *t)
{
	uint32_t in[MT_STEER_WORDS6];
	uint32_t n = mt_steer_words(t, in);

	return rte_softrss_be(in, n, s->key_be);
}

int mt_steer_source_port(const struct mt_steer *s, uint16_t worker, struct mt_tuple *t, uint16_t lo,
	uint16_t hi, bool (*taken)(void *arg, const struct mt_tuple *t), void *arg)
{
	const struct mt_steer_port_hash *ph = mt_addr_is4(&t->local) ? &s->port4 : &s->port6;
	struct mt_tuple try = *t;
	uint32_t span, probes, base;

	if (hi < lo || worker >= s->workers)
		return -EADDRNOTAVAIL;
	span = (uint32_t)hi - lo + 1;
	probes = MT_MIN((uint32_t)MT_STEER_PROBES * s->workers, span);
	/* One hash for the whole search: each port only XORs its own contribution. */
	try.lport = 0;
	base = s->workers > 1 ? mt_steer_hash(s, &try) : 0;
	try.lport = t->lport < lo || t->lport > hi ? lo : t->lport;
	for (uint32_t i = 0; i < probes; i++) {
		uint32_t h = base ^ ph->hi[try.lport >> 8] ^ ph->lo[try.lport & 255];

		if ((s->workers == 1 || mt_steer_owner_of_hash(s, h) == worker ||
			    mt_mutant(MT_MUTANT_port_of_other_worker)) &&
			!(taken && taken(arg, &try))) {
			t->lport = try.lport;
			return 0;
		}
		try.lport = try.lport == hi ? lo : try.lport + 1;
	}
	return -EADDRNOTAVAIL;
}

uint16_t mt_steer_pop(
	const struct mt_steer *s, uint16_t to, uint16_t *next, struct rte_mbuf **pkts, uint16_t n)
{
	uint16_t got = 0;

	for (uint16_t i = 0; i < s->workers && got < n; i++) {
		struct rte_ring *r = s->rings[*next % s->workers][to];

		if (r)
			got += (uint16_t)rte_ring_sc_dequeue_burst(
				r, (void **)&pkts[got], n - got, NULL);
		*next = (uint16_t)((*next + 1) % s->workers);
	}
	return got;
}

bool mt_steer_is_fed(const struct mt_steer *s, uint16_t to, uint64_t since)
{
	for (uint16_t from = 0; from < s->workers; from++) {
		uint64_t at = __atomic_load_n(&s->looked[from][0], __ATOMIC_RELAXED);

		if (from != to && at && (int64_t)(since - at) > 0)
			return false;
	}
	return true;
}
