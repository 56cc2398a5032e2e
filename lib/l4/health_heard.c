/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence of endpoints that any worker sees: SYN-ACKs to clients, SYNs without one, ICMP echo
 * replies. Each worker writes an array of its own, and the worker that checks an endpoint reads all
 * of them.
 *
 * An echo request carries the endpoint's index, a sequence number, and a keyed hash of both and of
 * the endpoint's address. So any worker recognizes the reply without a table, and a reply that was
 * not requested, or comes from another address, is dropped.
 */
#include "mt_l4_priv.h"

#include "mt_siphash.h"

/* ---- clients' SYNs ------------------------------------------------------------------------- */

static struct l4_heard *own(struct mt_l4 *l, uint32_t index)
{
	return l->health && index < MT_L4_INDEXES_MAX ? &l->health->heard[l->worker][index] : NULL;
}

void l4_note_syn_ack(struct mt_l4 *l, uint32_t index)
{
	struct l4_heard *h = own(l, index);

	if (h)
		__atomic_store_n(&h->answered, h->answered + 1, __ATOMIC_RELAXED);
}

/* The same at each worker, and unknown to clients. */
static uint32_t hash_of(const struct mt_l4_health *h, const struct mt_addr *client)
{
	const struct mt_addr a = mt_addr_client(client);

	return (uint32_t)mt_siphash(h->secret, &a, sizeof(a));
}

mt_noinline void l4_note_unanswered(struct mt_l4 *l, uint32_t index, const struct mt_addr *client)
{
	struct l4_heard *h = own(l, index);
	uint64_t note;

	l4_count(l, MT_L4_syns_unanswered);
	if (!h)
		return;
	note = (uint64_t)l->tick << 32 | hash_of(l->health, client);
	if ((uint32_t)h->unanswered[0] != (uint32_t)note)
		__atomic_store_n(&h->unanswered[1], h->unanswered[0], __ATOMIC_RELAXED);
	__atomic_store_n(&h->unanswered[0], note, __ATOMIC_RELAXED);
}

uint32_t l4_heard_answers(const struct mt_l4 *l, uint32_t index)
{
	uint32_t sum = 0;

	for (uint16_t i = 0; i < l->health->workers; i++)
		sum += __atomic_load_n(&l->health->heard[i][index].answered, __ATOMIC_RELAXED);
	return sum;
}

/*
 * Another worker's clock may be ahead by this. Ticks wrap around, so notes that are much later are
 * old ones.
 */
#define AHEAD L4_TICKS(MT_SEC)

bool l4_heard_unanswered(const struct mt_l4 *l, uint32_t index, uint32_t since)
{
	uint32_t span = l->tick - since + AHEAD;
	uint64_t first = 0;

	for (uint32_t i = 0; i < 2u * l->health->workers; i++) {
		const struct l4_heard *h = &l->health->heard[i / 2][index];
		uint64_t note = __atomic_load_n(&h->unanswered[i % 2], __ATOMIC_RELAXED);

		if (!note || (uint32_t)(note >> 32) - since > span)
			continue;
		if (first && (uint32_t)first != (uint32_t)note)
			return true;
		first = note;
	}
	return false;
}

/* ---- echo ---------------------------------------------------------------------------------- */

/* Contents of an echo request. */
struct ping {
	uint32_t index, seq;
	uint64_t mac;
};

_Static_assert(sizeof(struct ping) == MT_NET_ECHO_DATA, "it fills the data");

static uint64_t mac_of(const struct mt_l4_health *h, const struct ping *p, const struct mt_addr *a)
{
	struct {
		struct mt_addr addr;
		uint32_t index, seq;
	} in = {*a, p->index, p->seq};

	return mt_siphash(h->secret, &in, sizeof(in));
}

/* Packets show it, so it must reveal nothing of the secret. */
static uint16_t ident_of(const struct mt_l4_health *h)
{
	static const char purpose[] = "ICMP identifier of health checks";

	return (uint16_t)mt_siphash(h->secret, purpose, sizeof(purpose));
}

enum mt_net_result l4_send_echo(struct mt_l4 *l, const struct mt_l4_check *c, uint32_t seq)
{
	struct mt_net_echo e = {
		.remote = c->addr, .ident = ident_of(l->health), .seq = (uint16_t)seq};
	struct ping p = {.index = c->health.index, .seq = seq};

	p.mac = mac_of(l->health, &p, &c->addr);
	memcpy(e.data, &p, sizeof(p));
	return mt_net_ping(l->net, &e, mt_rand_u64(&l->rand));
}

void mt_l4_echo(struct mt_l4 *l, const struct mt_net_echo *e)
{
	struct l4_heard *h;
	struct ping p;

	memcpy(&p, e->data, sizeof(p));
	if (!l->health || e->ident != ident_of(l->health) || p.index >= MT_L4_INDEXES_MAX ||
		p.mac != mac_of(l->health, &p, &e->remote)) {
		l4_count(l, MT_L4_echo_unexpected);
		return;
	}
	h = &l->health->heard[l->worker][p.index];
	/* A copy of an older reply must not hide the newest one. */
	if ((int32_t)(p.seq - h->echo) > 0)
		__atomic_store_n(&h->echo, p.seq, __ATOMIC_RELAXED);
}

bool l4_heard_echo(const struct mt_l4 *l, uint32_t index, uint32_t seq)
{
	for (uint16_t i = 0; i < l->health->workers; i++)
		if (__atomic_load_n(&l->health->heard[i][index].echo, __ATOMIC_RELAXED) == seq)
			return true;
	return false;
}
