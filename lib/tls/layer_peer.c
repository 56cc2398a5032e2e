/* SPDX-License-Identifier: Apache-2.0 */
/* Peers of TLS streams. Each is stored once, however many connections it has. */
#include "layer_priv.h"
#include "mt_siphash.h"

static uint64_t hash_of(const struct mt_tls_layer *l, const struct mt_tls_peer *p)
{
	uint64_t h[3] = {mt_siphash(l->secret, p->principal, strlen(p->principal)),
		mt_siphash(l->secret, p->sni, strlen(p->sni)), (uint64_t)p->not_after};

	return mt_siphash(l->secret, h, sizeof(h));
}

static bool same(const struct mt_tls_peer *a, const struct mt_tls_peer *b)
{
	return strcmp(a->principal, b->principal) == 0 && strcmp(a->sni, b->sni) == 0 &&
	       strcmp(a->alpn, b->alpn) == 0 && a->not_after == b->not_after &&
	       a->certificate == b->certificate && a->member == b->member &&
	       a->resumed == b->resumed && a->rules == b->rules && a->n_marks == b->n_marks &&
	       memcmp(a->marks, b->marks, a->n_marks * sizeof(*a->marks)) == 0;
}

static struct tls_peer *at(const struct mt_tls_layer *l, uint32_t no)
{
	return mt_slab_at(&l->peers, no - 1);
}

bool tls_peer_set(struct tls_conn *c, const struct mt_tls_peer *p)
{
	struct mt_tls_layer *l = c->layer;
	uint64_t hash = hash_of(l, p);
	uint32_t *head = &l->peer_heads[hash % TLS_PEER_HEADS];
	struct tls_peer *w;

	for (uint32_t no = *head; no; no = w->next) {
		w = at(l, no);
		if (w->hash != hash || !same(&w->is, p))
			continue;
		w->refs++;
		c->peer = no;
		return true;
	}
	w = mt_slab_alloc(&l->peers, NULL);
	if (!w)
		return false;
	w->is = *p;
	w->hash = hash;
	w->refs = 1;
	w->next = *head;
	*head = c->peer = mt_slab_idx(&l->peers, w) + 1;
	return true;
}

void tls_peer_drop(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	uint32_t no = c->peer, *from;
	struct tls_peer *w;

	c->peer = 0;
	if (!no || --(w = at(l, no))->refs)
		return;
	for (from = &l->peer_heads[w->hash % TLS_PEER_HEADS]; *from != no;
		from = &at(l, *from)->next)
		;
	*from = w->next;
	mt_slab_free(&l->peers, w);
}
