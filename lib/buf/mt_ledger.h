/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: which peers hold how much of a worker's buffers. Every buffer that outlives a loop
 * iteration is charged, at its parent's full truesize, to each account (of one connection) that
 * shares it, by class: the meaning of the bytes. Accounts of one IPv4 address or IPv6 /64 on one
 * side (clients, servers) add up to a holder. One struct mt_ledger per worker; nothing takes locks.
 * lib/tcp (settle.c) and lib/proxy settle each connection once in an iteration that touched it.
 * Other threads read sums, shares, peaks and evictions (mt_ledger_read()).
 *
 * Accounts: a connection that holds less than MT_LEDGER_SMALL is only added to its class
 * (mt_ledger_add()): two additions, no memory. It gets an account and a holder from that size on,
 * or when its class is pressed (above half of its share). If a full class has so many holders that
 * half of an equal share is less than two buffers, each /24 or /48 is one holder (`wide`) until no
 * class is pressed. All connections find their new holders before any is evicted.
 *
 * Eviction: holders, and the accounts within one, are in lists by power of two. The victim of a
 * class is the first account of the highest list of the first holder of the highest list: the
 * largest within a factor of two, found without a walk. A holder with less than half of an equal
 * share is never the victim. A class with share 0 is measured but not limited. While a class is
 * pressed, mt_ledger_part() limits each connection of a holder above half of an equal share: to
 * that half, divided by the holder's connections, and at least 4,096 bytes. Connections with bytes
 * that can wait at their sender obey it (mt_stream.yields).
 *
 * Admission limit (mt_ledger_crowd()): if `receiving` is still full of so many holders, eviction
 * would only make space for the next newcomer. Then a connection that holds nothing in the class
 * may not store bytes there until a sixteenth of the share is free or the number of holders has
 * halved; lib/tcp enforces this. The limit is on for at most 10 s, and then off for 10 s: by then,
 * peers that stopped inside a message have reached the message timeout, and peers that keep holding
 * bytes exclude others only half of the time. Opaque TCP and replies have no such limit: they are
 * throttled, or the largest holder is evicted.
 *
 * Checked after each iteration by the simulator and lib/tcp's unit tests: each connection is
 * charged exactly the bytes that its chains and its user pin, and each class is the sum of its
 * connections (mt_tcp_ledger_wrong()); the search for a victim has the same result as a walk over
 * all (mt_ledger_wrong()); in the simulator, references to data buffers equal the charges plus
 * packets in flight (tests/sim/refs.c).
 */
#pragma once

#include "mt_addr.h"
#include "mt_outcome.h"
#include "mt_slab.h"
#include "mt_table.h"

enum mt_class {
	MT_CLASS_RECEIVING, /* incomplete messages, undecoded bytes, data out of order */
	/* complete messages: wait for a connection, a limit, a filter, a cluster */
	MT_CLASS_WAITING,
	MT_CLASS_REPLYING,  /* outstanding to a client that does not read */
	MT_CLASS_RESENDING, /* sent to a server or on its way there, unacknowledged */
	MT_CLASS_RETAINED,  /* kept for another attempt or a mirror */
	MT_CLASS_STREAMING, /* opaque TCP, and long messages in progress */
	MT_N_CLASSES
};

/* "receiving", ...: for the CLI and for counters. Static. */
const char *mt_class_name(enum mt_class c);

enum mt_side { MT_SIDE_CLIENT, MT_SIDE_SERVER };

/*
 * Truesize in bytes from which a connection has an account, and the account a holder. A power of
 * two.
 */
#define MT_LEDGER_SMALL 16384u
/*
 * List b has sizes [MT_LEDGER_FIRST << b, MT_LEDGER_FIRST << (b + 1)). The last list also has all
 * larger ones, the first list all smaller ones: one buffer.
 */
#define MT_LEDGER_FIRST 2048u
#define MT_LEDGER_LISTS 20

struct mt_sums {
	uint32_t of[MT_N_CLASSES]; /* truesize, bytes */
};

/* The connection, to find a victim again, and the address to which it is added. */
struct mt_account_owner {
	uint32_t conn; /* the connection's index in lib/tcp's slab */
	enum mt_side side;
	struct mt_addr peer;
};

/* The account of a connection that holds anything. */
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
	uint8_t list[MT_N_CLASSES]; /* list number + 1; 0: holds nothing of the class */
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
	uint64_t share;	  /* S: the maximum; 0: no bound */
	uint64_t peak;
	uint64_t evicted; /* connections selected to give way */
	uint64_t holders; /* that hold some of this class, of the known ones */
	struct mt_ledger_lists lists;
};

/* A class as another thread reads it: each number was true, but not all at the same time. */
struct mt_ledger_numbers {
	uint64_t charged, share, peak, evicted, holders;
};

struct mt_ledger {
	struct mt_ledger_class classes[MT_N_CLASSES];
	struct mt_slab accounts, places, holders;
	struct mt_table by_key;
	uint64_t key[2];  /* of the table's hash */
	uint32_t pressed; /* bit c: class c was above half of its share at the iteration's start */
	/* holders are networks, /48 or /24, because there are too many addresses */
	bool wide;
	/* `wide` is new: all accounts must find their holders again; then lib/tcp clears this */
	bool again;
	bool crowded; /* connections that hold nothing of MT_CLASS_RECEIVING so far must wait */
	/* since when that class has been full of too many holders, ns; 0: it is not */
	uint64_t crowd_at;
};

/* Room for `conns` connections. 0 or -ENOMEM. Boot only. */
int mt_ledger_init(struct mt_ledger *l, uint32_t conns, const uint64_t key[2]);
void mt_ledger_fini(struct mt_ledger *l);

/*
 * Sets the classes' shares of `bytes`, the truesize of all data buffers that are not reserved for
 * receiving.
 */
void mt_ledger_share_out(struct mt_ledger *l, uint64_t bytes);

/* Writes a number that other threads read. */
static inline void mt_ledger_set(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

/* Any thread. */
struct mt_ledger_numbers mt_ledger_read(const struct mt_ledger *l, enum mt_class c);

/* Adds to a class what a connection without an account holds more, or less, than before. */
static inline void mt_ledger_add(struct mt_ledger *l, enum mt_class c, int32_t more)
{
	mt_ledger_set(&l->classes[c].charged, l->classes[c].charged + (uint64_t)(int64_t)more);
}

/*
 * Sets what the connection holds to exactly `now`. *account is its account's index + 1; 0: none.
 * The connection keeps it, and only this function changes it: it is 0 afterwards if `now` is
 * nothing. A new account starts with `before`, which was added by mt_ledger_add(). `find`: finds
 * its holder, however little it holds. `owner` is read when the account is new or finds its holder.
 */
void mt_ledger_settle(struct mt_ledger *l, uint32_t *account, const struct mt_sums *before,
	const struct mt_sums *now, const struct mt_account_owner *owner, bool find);

/* The charges of an account (index + 1; 0: nothing). */
struct mt_sums mt_ledger_sums(const struct mt_ledger *l, uint32_t account);

/* Call once in a loop iteration: finds the pressed classes, and the peaks. */
void mt_ledger_turn(struct mt_ledger *l);

/*
 * Limit for one connection in a pressed class, if its holder has more than half of an equal part of
 * the share: that half, divided by the holder's connections, and at least MT_LEDGER_LEAST. 0: no
 * limit.
 */
#define MT_LEDGER_LEAST 4096u
uint32_t mt_ledger_part(const struct mt_ledger *l, uint32_t account, enum mt_class c);

/*
 * The same limit for each connection of a peer, for users that do not know accounts. 0 also if the
 * peer has no holder yet.
 */
uint32_t mt_ledger_part_of(
	const struct mt_ledger *l, enum mt_side side, const struct mt_addr *peer, enum mt_class c);

/*
 * ns; the longest time for which connections have to wait. A peer that stops inside of a message is
 * reset within it; one that stops inside of a TLS record may hold memory for 43 s, so for two of
 * these times and the pauses after them.
 */
#define MT_LEDGER_CROWD 10000000000ull

/*
 * Sets l->crowded if MT_CLASS_RECEIVING is full of so many holders, counted by networks, that half
 * of an equal part is less than two buffers. To evict one of them for the next connection would not
 * help, so connections that hold nothing have to wait. This lasts from the full share until a
 * sixteenth of it is free, but at most MT_LEDGER_CROWD, and then pauses as long, so that holders
 * that keep their memory do not shut out all others for ever. Call once in an iteration while a
 * class is pressed; otherwise no connection waits.
 */
void mt_ledger_crowd(struct mt_ledger *l, uint64_t now);

/* True if the class has used up its share. */
static inline bool mt_ledger_full(const struct mt_ledger *l, enum mt_class c)
{
	return l->classes[c].share && l->classes[c].charged >= l->classes[c].share;
}

/*
 * The connection (struct mt_account_owner.conn) that has to give way in this class: the largest
 * account of the largest holder, both within a factor of two. false: no known holder has half of an
 * equal part of the share (share / holders); other accounts have to find theirs first.
 */
bool mt_ledger_victim(const struct mt_ledger *l, enum mt_class c, uint32_t *conn);

/*
 * For tests: checks that the holders' sums are those of their accounts, and that the victim of each
 * class is the largest, within a factor of two each time. NULL: correct; else what is wrong, in
 * static memory. Walks over everything.
 */
const char *mt_ledger_wrong(const struct mt_ledger *l);

/* Holders by size, largest list first, at most `max`: for the CLI. */
uint32_t mt_ledger_largest(
	const struct mt_ledger *l, enum mt_class c, const struct mt_holder **out, uint32_t max);
