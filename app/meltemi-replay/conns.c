/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded connections: their addresses, and the options that the server accepted. */
#include "replay.h"

#include <errno.h>
#include <string.h>

static uint32_t bucket_of(const struct mt_tuple *t)
{
	uint64_t x = t->remote.q[1] ^ mt_rotl64(t->local.q[1], 17) ^ t->remote.q[0] ^
		     t->local.q[0] ^ ((uint64_t)t->rport << 16 | t->lport);

	return (uint32_t)((x * 0x9e3779b97f4a7c15ull) >> 52);
}

bool conns_is_local(const struct conns *cs, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < cs->n_locals; i++)
		if (mt_addr_eq(&cs->locals[i], a))
			return true;
	return false;
}

int conns_add_local(struct conns *cs, const struct mt_addr *a)
{
	struct mt_addr *more;

	if (conns_is_local(cs, a))
		return 0;
	more = realloc(cs->locals, (cs->n_locals + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	cs->locals = more;
	cs->locals[cs->n_locals++] = *a;
	return 0;
}

struct conn *conns_find(const struct conns *cs, const struct mt_tuple *t)
{
	struct conn *c = cs->bucket[bucket_of(t)];

	while (c && !mt_tuple_eq(&c->tuple, t))
		c = c->next;
	return c;
}

static struct conn *add(struct conns *cs, const struct mt_tuple *t)
{
	struct conn *c = calloc(1, sizeof(*c));
	uint32_t b = bucket_of(t);

	if (c && cs->n == cs->cap) {
		uint32_t cap = cs->cap ? cs->cap * 2 : 64;
		struct conn **more = realloc(cs->all, cap * sizeof(struct conn *));

		if (!more) {
			free(c);
			return NULL;
		}
		cs->all = more;
		cs->cap = cap;
	}
	if (!c)
		return NULL;
	c->tuple = *t;
	c->next = cs->bucket[b];
	cs->bucket[b] = c;
	cs->all[cs->n++] = c;
	return c;
}

/* Notes which options a SYN-ACK contains. */
static void agreed(struct conn *c, const struct frame *f)
{
	const uint8_t *p = f->b + f->l4 + 20, *end = f->b + f->data;

	while (p < end && *p != 0) {
		if (*p == 1) {
			p++;
			continue;
		}
		if (end - p < 2 || p[1] < 2 || p[1] > end - p)
			return;
		c->took_wscale |= *p == 3;
		c->took_sack |= *p == 4;
		c->took_ts |= *p == 8;
		p += p[1];
	}
}

/*
 * Takes the recorded server's initial sequence number from its SYN-ACK, or else from the client's
 * first ACK.
 */
static int look(struct conns *cs, const struct frame *f)
{
	bool ours = conns_is_local(cs, &f->src);
	struct mt_tuple t = ours ? (struct mt_tuple){f->src, f->dst, f->sport, f->dport, 0}
				 : (struct mt_tuple){f->dst, f->src, f->dport, f->sport, 0};
	struct conn *c = conns_find(cs, &t);

	if (!ours && !conns_is_local(cs, &f->dst))
		return 0;
	if (!c)
		c = add(cs, &t);
	if (!c)
		return -ENOMEM;
	if (ours && (f->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) && !c->syn_ack) {
		c->isn = f->seq;
		c->isn_known = c->syn_ack = true;
		agreed(c, f);
	} else if (!ours && f->flags & TCP_ACK && !(f->flags & TCP_RST) && !c->isn_known) {
		c->isn = f->ack - 1;
		c->isn_known = true;
	}
	return 0;
}

int conns_build(struct conns *cs, const struct capture *c)
{
	bool given = cs->n_locals > 0;
	int rc = 0;

	for (uint32_t i = 0; i < c->n && !given && !rc; i++) {
		const struct frame *f = &c->frames[i];

		if (f->tcp && (f->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
			rc = conns_add_local(cs, &f->dst);
	}
	for (uint32_t i = 0; i < c->n && !rc; i++)
		if (c->frames[i].tcp)
			rc = look(cs, &c->frames[i]);
	return rc;
}

void conns_free(struct conns *cs)
{
	for (uint32_t i = 0; i < cs->n; i++)
		free(cs->all[i]);
	free(cs->all);
	free(cs->locals);
}
