/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts: what each connection holds, and the sums by class. */
#include "mt_ledger_priv.h"
#include "mt_mutant.h"

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

/*
 * Percent. Classes that a client can fill by stopping in the middle, on either side, get most.
 * Complete requests wait in few buffers. Of bytes on their way to servers and of opaque TCP the
 * peers' windows leave little here, and from half of their share on our own windows do. Only an
 * attacker uses up all shares at once; then the memory marks apply.
 */
static const uint8_t shares[MT_N_CLASSES] = {
	[MT_CLASS_RECEIVING] = 25,
	[MT_CLASS_WAITING] = 15,
	[MT_CLASS_REPLYING] = 25,
	[MT_CLASS_RESENDING] = 10,
	[MT_CLASS_RETAINED] = 5,
	[MT_CLASS_STREAMING] = 20,
};

void mt_ledger_share_out(struct mt_ledger *l, uint64_t bytes)
{
	for (int c = 0; c < MT_N_CLASSES; c++)
		mt_ledger_set(&l->classes[c].share, bytes / 100 * shares[c]);
}

struct mt_ledger_numbers mt_ledger_read(const struct mt_ledger *l, enum mt_class c)
{
	const struct mt_ledger_class *k = &l->classes[c];

	return (struct mt_ledger_numbers){
		.charged = mt_count_read(&k->charged),
		.share = mt_count_read(&k->share),
		.peak = mt_count_read(&k->peak),
		.evicted = mt_count_read(&k->evicted),
		.holders = mt_count_read(&k->holders),
	};
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

/* OR of the values of all classes; 0 if nothing is charged. */
static uint32_t sum(const struct mt_sums *s)
{
	uint32_t all = 0;

	for (int c = 0; c < MT_N_CLASSES; c++)
		all |= s->of[c];
	return all;
}

/* True if the account needs a holder from here on. */
static bool counts(const struct mt_ledger *l, const struct mt_sums *s)
{
	for (int c = 0; c < MT_N_CLASSES; c++)
		if (s->of[c] >= MT_LEDGER_SMALL || (s->of[c] && l->pressed & 1u << c))
			return true;
	return false;
}

static struct mt_account *account_new(
	struct mt_ledger *l, uint32_t *account, const struct mt_sums *before, uint32_t conn)
{
	struct mt_account *a = mt_slab_alloc(&l->accounts, NULL);

	MT_ASSERT(a); /* as many as connections */
	a->conn = conn;
	a->charged = *before;
	*account = mt_slab_idx(&l->accounts, a) + 1;
	return a;
}

void mt_ledger_settle(struct mt_ledger *l, uint32_t *account, const struct mt_sums *before,
	const struct mt_sums *now, const struct mt_account_owner *owner, bool find)
{
	struct mt_account *a = *account ? mt_slab_at(&l->accounts, *account - 1)
					: account_new(l, account, before, owner->conn);

	for (int c = 0; c < MT_N_CLASSES; c++) {
		if (!now->of[c] && mt_mutant(MT_MUTANT_charge_not_returned))
			continue;
		mt_ledger_add(l, c, (int32_t)(now->of[c] - a->charged.of[c]));
	}
	a->charged = *now;
	if (mt_unlikely(a->place && mt_place_outdated(l, a, owner)))
		mt_place_drop(l, a);
	if (!a->place && (find || counts(l, now)))
		mt_place_new(l, a, owner);
	if (a->place)
		mt_place_settle(l, a, now);
	if (sum(now))
		return;
	mt_slab_free(&l->accounts, a);
	*account = 0;
}

/*
 * If an equal part of a share is below this, it does not distinguish large holders from small ones.
 */
#define FEW_BUFFERS (2 * 2304u)

/* True if an equal part of the share is less than `times` FEW_BUFFERS. */
static bool tiny_parts(const struct mt_ledger_class *k, uint32_t times)
{
	return k->share < times * k->holders * FEW_BUFFERS;
}

/* True if a class is full of so many holders that half of an equal part is next to nothing. */
static bool too_many(const struct mt_ledger *l)
{
	for (int c = 0; c < MT_N_CLASSES; c++)
		if (mt_ledger_full(l, (enum mt_class)c) && tiny_parts(&l->classes[c], 2))
			return true;
	return false;
}

/* Counts holders by networks once there are too many, until no class is pressed. */
static void widen(struct mt_ledger *l)
{
	if (!l->wide && l->pressed && too_many(l)) {
		l->wide = l->again = true;
	} else if (!l->pressed) {
		l->wide = l->again = l->crowded = false;
		l->crowd_at = 0;
	}
}

void mt_ledger_crowd(struct mt_ledger *l, uint64_t now)
{
	const struct mt_ledger_class *k = &l->classes[MT_CLASS_RECEIVING];

	if (!l->crowd_at) {
		/*
		 * All accounts have been assigned to networks, and there are still too many
		 * holders.
		 */
		if (l->wide && !l->again && mt_ledger_full(l, MT_CLASS_RECEIVING) &&
			tiny_parts(k, 2))
			l->crowd_at = now;
	} else if (k->charged < k->share - k->share / 16 || !tiny_parts(k, 4)) {
		l->crowd_at = 0;
	}
	l->crowded = l->crowd_at && (now - l->crowd_at) / MT_LEDGER_CROWD % 2 == 0;
}

void mt_ledger_turn(struct mt_ledger *l)
{
	l->pressed = 0;
	for (int c = 0; c < MT_N_CLASSES; c++) {
		struct mt_ledger_class *k = &l->classes[c];

		if (mt_unlikely(k->charged > k->peak))
			mt_ledger_set(&k->peak, k->charged);
		l->pressed |= (uint32_t)(k->share && k->charged >= k->share / 2) << c;
	}
	if (mt_unlikely(l->pressed || l->wide))
		widen(l);
}
