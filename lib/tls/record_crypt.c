/* SPDX-License-Identifier: Apache-2.0 */
/* Passes chains to the provider, run by run. */
#include "record_priv.h"

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
