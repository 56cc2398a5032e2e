/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: who holds how much of a worker's buffers. Every buffer that outlives a turn is charged, at its
 * parent's full truesize, to exactly one account (one connection's), by class: what the bytes are. Accounts of one
 * peer address on one side (clients, servers) add up to a holder. One struct mt_ledger per worker; nothing takes
 * locks. Called by lib/tcp and lib/proxy, which settle each connection once in a turn that touched it.
 *
 * A connection that holds less than MT_LEDGER_SMALL is only added up by class (mt_ledger_add()): an account and a
 * holder are looked for from there on, or when its class is pressed (above half of its share). So what most
 * connections hold costs a few instructions and no memory of the ledger's own.
 *
 * Holders, and the accounts within one, stand in lists by power of two. The victim of a class is the first account of
 * the highest list of the first holder of the highest list: the largest within a factor of two, found without a walk.
 */
#pragma once

#include "mt_addr.h"
#include "mt_outcome.h"
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

/* Bytes of truesize from which on a connection has an account, and the account a holder. A power of two. */
#define MT_LEDGER_SMALL 16384u
/* List b holds [MT_LEDGER_FIRST << b, MT_LEDGER_FIRST << (b + 1)); the last one all above, the first all below, too: one buffer. */
#define MT_LEDGER_FIRST 2048u
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
	uint8_t prefix; /* bits of the key: 32, 64; 24, 48 */
	uint64_t charged[MT_N_CLASSES];
	uint8_t list[MT_N_CLASSES];
	struct mt_ledger_link link[MT_N_CLASSES];
	struct mt_ledger_lists accounts[MT_N_CLASSES];
};

/* The numbers are written by the worker and read by any thread (mt_ledger_read()). */
struct mt_ledger_class {
	uint64_t charged; /* of all accounts */
	uint64_t share;	  /* S: at most; 0: no bound */
	uint64_t peak;
	uint64_t evicted; /* connections that were asked to give way */
	uint64_t holders; /* that hold some, of those that were found */
	struct mt_ledger_lists lists;
};

/* A class as another thread sees it: each number for itself is one that was true. */
struct mt_ledger_numbers {
	uint64_t charged, share, peak, evicted, holders;
};

struct mt_ledger {
	struct mt_ledger_class classes[MT_N_CLASSES];
	struct mt_slab accounts, places, holders;
	struct mt_table by_key;
	uint64_t key[2];  /* of the table's hash */
	uint32_t pressed; /* bit c: class c was above half of its share when the turn began */
	bool wide;	  /* holders of one /48 or /24 count as one: there are too many of them */
	bool again;   /* since not long ago: all are to find their holders again, who clears this */
	bool crowded; /* who holds nothing of MT_CLASS_RECEIVING yet has to wait */
	uint64_t crowd_at; /* since when that class has been full of too many, ns; 0: it is not */
};

/* Room for `conns` connections. 0 or -ENOMEM. Boot only. */
int mt_ledger_init(struct mt_ledger *l, uint32_t conns, const uint64_t key[2]);
void mt_ledger_fini(struct mt_ledger *l);

/* The classes' shares of `bytes`, the truesize of all data buffers that are not reserved for receiving. */
void mt_ledger_share_out(struct mt_ledger *l, uint64_t bytes);

/* A number that other threads read. */
static inline void mt_ledger_set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

/* Any thread. */
struct mt_ledger_numbers mt_ledger_read(const struct mt_ledger *l, enum mt_class c);

/* A connection without an account holds so much more, or less, than before. */
static inline void mt_ledger_add(struct mt_ledger *l, enum mt_class c, int32_t more)
{
	mt_ledger_set(&l->classes[c].charged, l->classes[c].charged + (uint64_t)(int64_t)more);
}

/*
 * The connection holds exactly `now` from here on. *account: its account's index + 1, 0: it has none; kept by the
 * connection, changed here only: it is 0 afterwards when `now` is nothing. A new one begins with `before`, what
 * was added by mt_ledger_add(). `find`: its holder is looked for, however little it holds. `owner` is read when the
 * account is new or finds its holder.
 */
void mt_ledger_settle(struct mt_ledger *l, uint32_t *account, const struct mt_sums *before,
	const struct mt_sums *now, const struct mt_account_owner *owner, bool find);

/* What an account (index + 1; 0: nothing) is charged. */
struct mt_sums mt_ledger_sums(const struct mt_ledger *l, uint32_t account);

/* Once a turn: which classes are pressed, and the peaks. */
void mt_ledger_turn(struct mt_ledger *l);

/*
 * What one connection should hold of a pressed class whose holder has more than half of an even part of the share: as much of
 * that half as each of the holder's connections can have, MT_LEDGER_LEAST at least. 0: there is no such bound.
 */
#define MT_LEDGER_LEAST 4096u
uint32_t mt_ledger_part(const struct mt_ledger *l, uint32_t account, enum mt_class c);

/*
 * Whether MT_CLASS_RECEIVING is so full of holders, counted by networks, that half of an even part is less than two buffers: to
 * let one of them give way for the next comer helps nobody, so l->crowded says that who holds nothing has to wait. From its share
 * on until a sixteenth of it is free; each MT_LEDGER_CROWD at most, and then as long not, so that those who go on holding shut
 * nobody out for ever. Once a turn while a class is pressed; when none is, nobody waits.
 */
#define MT_LEDGER_CROWD                                                                            \
	10000000000ull /* ns: who stopped in the middle of a message has gone by then */
void mt_ledger_crowd(struct mt_ledger *l, uint64_t now);

/* Whether the class has used up its share. */
static inline bool mt_ledger_full(const struct mt_ledger *l, enum mt_class c)
{
	return l->classes[c].share && l->classes[c].charged >= l->classes[c].share;
}

/*
 * The connection (struct mt_account_owner.conn) that has to give way in this class: the largest account of the largest
 * holder, both within a factor of two. false: none of those known holds half of an even part of the share
 * (share / holders): others have to find theirs first.
 */
bool mt_ledger_victim(const struct mt_ledger *l, enum mt_class c, uint32_t *conn);

/*
 * For tests: whether the holders' sums are those of their accounts, and the victim of each class is the largest, within a
 * factor of two each time. NULL: yes; else what is wrong, in static memory. Walks over all.
 */
const char *mt_ledger_wrong(const struct mt_ledger *l);

/* Holders by size, largest list first, at most `max`: for the shell. */
uint32_t mt_ledger_largest(
	const struct mt_ledger *l, enum mt_class c, const struct mt_holder **out, uint32_t max);
