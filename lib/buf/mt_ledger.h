/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: who holds how much of a worker's buffers. Every buffer that outlives a turn is charged, at its
 * parent's full truesize, to exactly one account (one connection's), by class: what the bytes are. Accounts of one
 * peer address on one side (clients, servers) add up to a holder. One struct mt_ledger per worker; nothing takes
 * locks. Called by lib/tcp and lib/proxy, which settle each connection once in a turn that touched it.
 *
 * Small accounts are only added up by class: an account finds its holder when it is MT_LEDGER_SMALL or more, or when
 * its class is pressed (above half of its share), so what most connections hold costs one cache line.
 *
 * Holders, and the accounts within one, stand in lists by power of two. The victim of a class is the first account of
 * the highest list of the first holder of the highest list: the largest within a factor of two, found without a walk.
 */
#pragma once

#include "mt_addr.h"
#include "mt_slab.h"
#include "mt_table.h"

enum mt_class {
	MT_CLASS_RECEIVING, /* incomplete messages, undecoded bytes, data out of order */
	MT_CLASS_WAITING,   /* complete requests: for a connection, a limit, a filter, a cluster */
	MT_CLASS_REPLYING,  /* owed to a client that does not read */
	MT_CLASS_RESENDING, /* sent to a server or on its way there, unacknowledged */
	MT_CLASS_RETAINED,  /* kept for another attempt or a mirror */
	MT_CLASS_STREAMING, /* byte streams and long messages under way */
	MT_N_CLASSES
};

/* "receiving", ...: for the shell and for counters. Static. */
const char *mt_class_name(enum mt_class c);

enum mt_side { MT_SIDE_CLIENT, MT_SIDE_SERVER };

/* Bytes of truesize from which on an account stands in its holder's lists. */
#define MT_LEDGER_SMALL 16384u
/* List b holds [MT_LEDGER_SMALL << b, MT_LEDGER_SMALL << (b + 1)); the last one all above, the first all below, too. */
#define MT_LEDGER_LISTS 20

struct mt_sums {
	uint32_t of[MT_N_CLASSES]; /* truesize, bytes */
};

/* Whose: where a victim is found again, and under which address it is added up. */
struct mt_account_owner {
	uint32_t conn; /* the connection's index in lib/tcp's slab */
	enum mt_side side;
	struct mt_addr peer;
};

/* A connection's, while it holds anything. */
struct mt_account {
	uint32_t conn;
	uint32_t place; /* index + 1 of its struct mt_place; 0: it has no holder yet */
	struct mt_sums charged;
};

struct mt_ledger_link {
	uint32_t next, prev; /* index + 1 */
};

/* An account within its holder. */
struct mt_place {
	uint32_t account, holder;
	struct mt_sums counted;	    /* in the holder's sums */
	uint8_t list[MT_N_CLASSES]; /* number + 1; 0: holds nothing of the class */
	struct mt_ledger_link link[MT_N_CLASSES];
};

/* Lists by power of two. */
struct mt_ledger_lists {
	uint32_t used; /* bit b: head[b] is not 0 */
	uint32_t head[MT_LEDGER_LISTS];
};

struct mt_holder {
	struct mt_addr key; /* the address, its prefix, with the side */
	uint32_t hash;
	uint32_t n; /* accounts */
	enum mt_side side;
	uint64_t charged[MT_N_CLASSES];
	uint8_t list[MT_N_CLASSES];
	struct mt_ledger_link link[MT_N_CLASSES];
	struct mt_ledger_lists accounts[MT_N_CLASSES];
};

struct mt_ledger_class {
	uint64_t charged; /* of all accounts */
	uint64_t share;	  /* S: at most; 0: no bound */
	uint64_t peak;
	uint32_t holders; /* that hold some, of those that were found */
	struct mt_ledger_lists lists;
};

struct mt_ledger {
	struct mt_ledger_class classes[MT_N_CLASSES];
	struct mt_slab accounts, places, holders;
	struct mt_table by_key;
	uint64_t key[2]; /* of the table's hash */
	bool wide;	 /* holders of one /48 or /24 count as one */
};

/* Room for `conns` connections. 0 or -ENOMEM. Boot only. */
int mt_ledger_init(struct mt_ledger *l, uint32_t conns, const uint64_t key[2]);
void mt_ledger_fini(struct mt_ledger *l);

/*
 * The connection holds exactly `now` from here on. *account: its account's index + 1, 0 while it holds nothing; kept
 * by the connection, changed here only. `owner` is read when the account, or its holder, is found.
 */
void mt_ledger_settle(struct mt_ledger *l, uint32_t *account, const struct mt_sums *now,
	const struct mt_account_owner *owner);

/* What an account (index + 1; 0: nothing) is charged. */
struct mt_sums mt_ledger_sums(const struct mt_ledger *l, uint32_t account);

/* Whether the class has used up its share. */
static inline bool mt_ledger_full(const struct mt_ledger *l, enum mt_class c)
{
	return l->classes[c].share && l->classes[c].charged >= l->classes[c].share;
}

/* Above half of its share new accounts find their holders at once. */
static inline bool mt_ledger_pressed(const struct mt_ledger *l, enum mt_class c)
{
	return l->classes[c].share && l->classes[c].charged >= l->classes[c].share / 2;
}

/*
 * The connection (struct mt_account_owner.conn) that has to give way in this class: the largest account of the largest
 * holder, both within a factor of two. false: none of those known holds half of an even part of the share
 * (share / holders); mt_ledger_find_holders() finds the others.
 */
bool mt_ledger_victim(const struct mt_ledger *l, enum mt_class c, uint32_t *conn);

/*
 * Lets up to `budget` accounts from *at on (0 at first) find their holders; *at is 0 again when all were looked at.
 * Returns how many were.
 */
uint32_t mt_ledger_find_holders(struct mt_ledger *l, uint32_t *at, uint32_t budget,
	void (*owner_of)(void *arg, uint32_t conn, struct mt_account_owner *owner), void *arg);

/* Holders by size, largest list first, at most `max`: for the shell. */
uint32_t mt_ledger_largest(
	const struct mt_ledger *l, enum mt_class c, const struct mt_holder **out, uint32_t max);
