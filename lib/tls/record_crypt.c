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

/*
 * The IV is 12 bytes, what counts in it the last 8. RFC 8446 §5.3, RFC 7905 §2: the number over them; RFC 5288 §3: in their place what the record
 * says.
 */
static void put_nonce(const struct mt_tls_record *r, const struct mt_tls_record_half *half,
	uint64_t explicit_nonce, uint64_t *nonce)
{
	uint64_t last, seq = rte_cpu_to_be_64(half->seq);
	uint32_t first;

	memcpy(&first, half->iv, sizeof(first));
	memcpy(&last, half->iv + sizeof(first), sizeof(last));
	last = has_explicit_nonce(r) ? explicit_nonce : last ^ seq;
	put(nonce, first | last << 32, last >> 32);
}

void mt_tls_record_job(const struct mt_tls_record *r, const struct mt_tls_record_half *half,
	bool seal, uint64_t explicit_nonce, uint32_t header, uint32_t len, struct mt_aead_job *j)
{
	uint64_t said = header | (uint64_t)(uint8_t)(len >> 8) << 24 | (uint64_t)(uint8_t)len << 32;

	j->key = half->key;
	j->cipher = r->cipher;
	j->seal = seal;
	put_nonce(r, half, explicit_nonce, j->nonce);
	if (r->is_13)
		put(j->aad, said, 0);
	else
		put(j->aad, rte_cpu_to_be_64(half->seq), said); /* RFC 5246 §6.2.3.3 */
	j->aad_len = r->is_13 ? MT_TLS_RECORD_HEADER : 8 + MT_TLS_RECORD_HEADER;
}
