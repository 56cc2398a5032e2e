/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through the provider, run by run, and what it is told of a record. Little endian, as all that DPDK's x86 rooms are. */
#include "record_priv.h"

#include <rte_byteorder.h>

struct run mt_run_at(const struct mt_chain *c, uint32_t off)
{
	struct rte_mbuf *m = c->head;

	while (off >= mt_link(m)->len) {
		off -= mt_link(m)->len;
		m = mt_link(m)->next;
	}
	return (struct run){mt_link_data(m) + off, mt_link(m)->len - off, m};
}

static void next_run(struct run *at)
{
	if (at->left)
		return;
	at->m = mt_link(at->m)->next;
	at->p = mt_link_data(at->m);
	at->left = mt_link(at->m)->len;
}

static void pass(struct run *at, uint32_t n)
{
	at->p += n;
	at->left -= n;
}

void mt_tls_record_here(struct mt_aead *a, const struct mt_aead_job *j, struct run *at, uint32_t n)
{
	for (uint32_t part; n > 0; n -= part) {
		next_run(at);
		part = MT_MIN(n, at->left);
		a->ops->more(a, j, at->p, at->p, part);
		if (at->m)
			mt_link(at->m)->sum_off = 0;
		pass(at, part);
	}
}

void mt_tls_record_there(struct mt_aead *a, const struct mt_aead_job *j, struct run *from,
	struct run *to, uint32_t n)
{
	for (uint32_t part; n > 0; n -= part) {
		next_run(from);
		next_run(to);
		part = MT_MIN(n, MT_MIN(from->left, to->left));
		a->ops->more(a, j, to->p, from->p, part);
		pass(from, part);
		pass(to, part);
	}
}

typedef uint64_t two_words __attribute__((vector_size(16)));

static void put(uint64_t *to, uint64_t low, uint64_t high)
{
	two_words v = {low, high};

	memcpy(to, &v, sizeof(v));
}

/* The IV is 12 bytes; `last` are the nonce's last 8. */
static void put_nonce(const struct mt_tls_record_half *half, uint64_t last, uint64_t *nonce)
{
	uint32_t first;

	memcpy(&first, half->iv, sizeof(first));
	put(nonce, first | last << 32, last >> 32);
}

/* The number over the IV's end: RFC 8446 §5.3, RFC 7905 §2. */
static uint64_t numbered(const struct mt_tls_record_half *half)
{
	uint64_t last;

	memcpy(&last, half->iv + sizeof(uint32_t), sizeof(last));
	return last ^ rte_cpu_to_be_64(half->seq);
}

void mt_tls_record_job(const struct mt_tls_record *r, struct mt_tls_record_half *half, bool seal,
	uint64_t explicit_nonce, uint32_t header, uint32_t len, struct mt_aead_job *j)
{
	uint64_t said = header | (uint64_t)rte_cpu_to_be_16((uint16_t)len) << 24;

	j->key = half->key;
	j->hint = &half->hint;
	j->cipher = r->cipher;
	j->seal = seal;
	if (mt_likely(r->is_13)) {
		put_nonce(half, numbered(half), j->nonce);
		put(j->aad, said, 0);
		j->aad_len = MT_TLS_RECORD_HEADER;
		return;
	}
	/* In place of its end what the record says: RFC 5288 §3. */
	put_nonce(half, has_explicit_nonce(r) ? explicit_nonce : numbered(half), j->nonce);
	put(j->aad, rte_cpu_to_be_64(half->seq), said); /* RFC 5246 §6.2.3.3 */
	j->aad_len = 8 + MT_TLS_RECORD_HEADER;
}
