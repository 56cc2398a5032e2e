/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through the provider, run by run, and what it is told of a record. */
#include "record_priv.h"

#include <rte_byteorder.h>

struct run run_at(const struct mt_chain *c, uint32_t off)
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

void record_here(struct mt_aead *a, const struct mt_aead_job *j, struct run *at, uint32_t n)
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

void record_there(struct mt_aead *a, const struct mt_aead_job *j, struct run *from, struct run *to,
	uint32_t n)
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

static void put_be64(uint8_t *p, uint64_t v)
{
	v = rte_cpu_to_be_64(v);
	memcpy(p, &v, sizeof(v));
}

/* RFC 8446 §5.3, RFC 7905 §2: the number over the IV; RFC 5288 §3: what the record says, behind the salt. */
static void nonce_of(const struct mt_record *r, const struct mt_record_half *half,
	const uint8_t *prefix, uint8_t *nonce)
{
	uint64_t low;

	memcpy(nonce, half->iv, 4);
	if (has_explicit_nonce(r)) {
		memcpy(nonce + 4, prefix + MT_RECORD_HEADER, EXPLICIT_NONCE);
		return;
	}
	memcpy(&low, half->iv + 4, sizeof(low));
	low ^= rte_cpu_to_be_64(half->seq);
	memcpy(nonce + 4, &low, sizeof(low));
}

void record_job(const struct mt_record *r, const struct mt_record_half *half, bool seal,
	const uint8_t *prefix, uint32_t n, struct mt_aead_job *j)
{
	j->key = half->key;
	j->cipher = r->cipher;
	j->seal = seal;
	nonce_of(r, half, prefix, j->nonce);
	if (r->is_13) {
		memcpy(j->aad, prefix, MT_RECORD_HEADER);
		j->aad_len = MT_RECORD_HEADER;
		return;
	}
	/* RFC 5246 §6.2.3.3. */
	put_be64(j->aad, half->seq);
	memcpy(j->aad + 8, prefix, 3);
	j->aad[11] = (uint8_t)(n >> 8);
	j->aad[12] = (uint8_t)n;
	j->aad_len = 13;
}
