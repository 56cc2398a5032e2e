/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: what each connection holds, and the sums by class. */
#include "mt_ledger_priv.h"

#include <string.h>

const char *mt_class_name(enum mt_class c)
{
	static const char *const names[MT_N_CLASSES] = {
		[MT_CLASS_RECEIVING] = "receiving",
		[MT_CLASS_WAITING] = "waiting",
		[MT_CLASS_REPLYING] = "replying",
		[MT_CLASS_RESENDING] = "resending",
		[MT_CLASS_RETAINED] = "retained",
		[MT_CLASS_STREAMING] = "streaming",
	};

	return (unsigned int)c < MT_N_CLASSES ? names[c] : "unknown";
}

int mt_ledger_init(struct mt_ledger *l, uint32_t conns, const uint64_t key[2])
{
	memset(l, 0, sizeof(*l));
	memcpy(l->key, key, sizeof(l->key));
	if (mt_slab_init(&l->accounts, "accounts", sizeof(struct mt_account), conns) ||
		mt_slab_init(&l->places, "accounts of holders", sizeof(struct mt_place), conns) ||
		mt_slab_init(&l->holders, "holders", sizeof(struct mt_holder), conns) ||
		mt_table_init(&l->by_key, conns, mt_holder_hash_of, l)) {
		mt_ledger_fini(l);
		return -ENOMEM;
	}
	return 0;
}

void mt_ledger_fini(struct mt_ledger *l)
{
	mt_table_fini(&l->by_key);
	mt_slab_fini(&l->holders);
	mt_slab_fini(&l->places);
	mt_slab_fini(&l->accounts);
}

struct mt_sums mt_ledger_sums(const struct mt_ledger *l, uint32_t account)
{
	const struct mt_account *a = account ? mt_slab_at(&l->accounts, account - 1) : NULL;

	return a ? a->charged : (struct mt_sums){0};
}

static uint32_t sum(const struct mt_sums *s)
{
	uint32_t all = 0;

	for (int c = 0; c < MT_N_CLASSES; c++)
		all |= s->of[c];
	return all;
}

/* Whether the account is to be found by its size from here on. */
static bool counts(const struct mt_ledger *l, const struct mt_sums *s)
{
	for (int c = 0; c < MT_N_CLASSES; c++)
		if (s->of[c] >= MT_LEDGER_SMALL || (s->of[c] && mt_ledger_pressed(l, c)))
			return true;
	return false;
}

static void add_up(struct mt_ledger *l, const struct mt_sums *was, const struct mt_sums *now)
{
	for (int c = 0; c < MT_N_CLASSES; c++) {
		struct mt_ledger_class *k = &l->classes[c];

		k->charged += (int64_t)now->of[c] - was->of[c];
		k->peak = MT_MAX(k->peak, k->charged);
	}
}

void mt_ledger_settle(struct mt_ledger *l, uint32_t *account, const struct mt_sums *now,
	const struct mt_account_owner *owner)
{
	struct mt_account *a = *account ? mt_slab_at(&l->accounts, *account - 1) : NULL;

	if (!a) {
		if (sum(now) == 0)
			return;
		a = mt_slab_alloc(&l->accounts, NULL);
		MT_ASSERT(a); /* as many as connections */
		a->conn = owner->conn;
		*account = mt_slab_idx(&l->accounts, a) + 1;
	}
	add_up(l, &a->charged, now);
	if (mt_likely(!a->place) && mt_unlikely(counts(l, now)))
		mt_place_new(l, a, owner);
	if (mt_unlikely(a->place))
		mt_place_settle(l, a, now);
	a->charged = *now;
	if (sum(now))
		return;
	mt_slab_free(&l->accounts, a);
	*account = 0;
}

uint32_t mt_ledger_find_holders(struct mt_ledger *l, uint32_t *at, uint32_t budget,
	void (*owner_of)(void *arg, uint32_t conn, struct mt_account_owner *owner), void *arg)
{
	uint32_t n = 0;

	while (n < budget) {
		struct mt_account *a = mt_slab_next(&l->accounts, at);
		struct mt_account_owner owner;

		if (!a) {
			*at = 0;
			return n;
		}
		n++;
		if (a->place)
			continue;
		owner_of(arg, a->conn, &owner);
		mt_place_new(l, a, &owner);
		mt_place_settle(l, a, &a->charged);
	}
	return n;
}
