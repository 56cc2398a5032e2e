/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The boot self-test: checks that all sources agree on the owner of a flow. These are owner(tuple),
 * the tables by which source ports are found, and a device's own key and table as it reports them.
 * The device's result is computed by a different function than lib/steer's, from the key as
 * reported.
 */
#include "mt_rand.h"
#include "mt_steer_priv.h"

#include <errno.h>
#include <string.h>

#include <rte_thash.h>

#define TUPLES 256
#define SEED   UINT64_C(0x7475706c6573)

/* Half of the tuples are IPv4, half IPv6; the same ones each time. */
static void make_tuple(struct mt_rand *r, uint32_t i, struct mt_tuple *t)
{
	memset(t, 0, sizeof(*t));
	for (int k = 0; k < 4; k++) {
		t->local.w[k] = (uint32_t)mt_rand_u64(r);
		t->remote.w[k] = (uint32_t)mt_rand_u64(r);
	}
	if (i % 2) {
		t->local = mt_addr4(t->local.w[3]);
		t->remote = mt_addr4(t->remote.w[3]);
	}
	t->lport = (uint16_t)mt_rand_u64(r);
	t->rport = (uint16_t)mt_rand_u64(r);
}

/* The owner by the tables of source ports, which mt_steer_source_port() uses. */
static uint16_t owner_by_port(const struct mt_steer *s, const struct mt_tuple *t)
{
	const struct mt_steer_port_hash *ph = mt_addr_is4(&t->local) ? &s->port4 : &s->port6;
	struct mt_tuple zero = *t;

	zero.lport = 0;
	return mt_steer_owner_of_hash(
		s, mt_steer_hash(s, &zero) ^ ph->hi[t->lport >> 8] ^ ph->lo[t->lport & 255]);
}

static bool rings_are_there(const struct mt_steer *s)
{
	for (uint16_t from = 0; from < s->workers; from++)
		for (uint16_t to = 0; to < s->workers; to++)
			if ((s->rings[from][to] != NULL) != (from != to))
				return false;
	return true;
}

int mt_steer_check(const struct mt_steer *s, struct mt_err *e)
{
	struct mt_rand r;

	if (!rings_are_there(s))
		return mt_err(e, -EINVAL, "steering: hand-off rings are missing");
	for (uint32_t i = 0; i < MT_STEER_RETA_LEN; i++)
		if (s->reta[i] >= s->workers)
			return mt_err(e, -EINVAL, "steering: entry %u names worker %u of %u", i,
				s->reta[i], s->workers);
	mt_rand_seed(&r, SEED);
	for (uint32_t i = 0; i < TUPLES; i++) {
		struct mt_tuple t;

		make_tuple(&r, i, &t);
		if (s->workers > 1 && owner_by_port(s, &t) != mt_steer_owner(s, &t))
			return mt_err(e, -EINVAL,
				"steering: source ports are chosen for another worker than the "
				"owner of their replies");
	}
	return 0;
}

int mt_steer_check_device(const struct mt_steer *s, const struct mt_steer_device *d,
	const char *name, struct mt_err *e)
{
	struct mt_rand r;

	if (d->key_len < 40 || d->reta_len == 0)
		return mt_err(e, -EINVAL, "port %s: its RSS key has %u bytes, its table %u entries",
			name, d->key_len, d->reta_len);
	mt_rand_seed(&r, SEED);
	for (uint32_t i = 0; i < TUPLES; i++) {
		char remote[MT_ADDR_STRLEN], local[MT_ADDR_STRLEN];
		uint32_t in[MT_STEER_WORDS6], hash;
		struct mt_tuple t;
		uint16_t queue;

		make_tuple(&r, i, &t);
		hash = rte_softrss(in, mt_steer_words(&t, in), d->key);
		queue = d->reta[hash % d->reta_len];
		if (queue == mt_steer_owner(s, &t))
			continue;
		return mt_err(e, -EINVAL,
			"port %s: its RSS does not distribute as configured: %s to %s goes to "
			"queue %u, and worker %u owns it; write `queues: {model: single, max: 1}` "
			"in the device's profile",
			name, mt_addr_port_str(&t.remote, t.rport, remote),
			mt_addr_port_str(&t.local, t.lport, local), queue, mt_steer_owner(s, &t));
	}
	return 0;
}
