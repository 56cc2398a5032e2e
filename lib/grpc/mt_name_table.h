/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of host names of endpoints. Each name is resolved once for all users, and again when its
 * answer expires; if that fails it keeps its addresses. A name stays while the last load used it
 * (mt_name_table_find()), or while it is held (mt_name_hold()). Control thread only.
 */
#pragma once

#include "mt_resolve.h"

struct mt_name_table;

struct mt_name_table *mt_name_table_new(void);
/* Sets the resolver. NULL stops all lookups; those in progress are cancelled. */
void mt_name_table_ask(struct mt_name_table *t, struct mt_resolver *r);
void mt_name_table_free(struct mt_name_table *t);

/*
 * Call before and after a load. Unless it was `refused`, names that it did not use are removed if
 * not held.
 */
void mt_name_table_begin(struct mt_name_table *t);
void mt_name_table_end(struct mt_name_table *t, bool refused);

/*
 * Returns the addresses of a name, sorted, and adds the name if it is new. Returns NULL if there
 * are none; *why is then the reason, or NULL before the first answer. Both are valid until the next
 * turn. `table`: a struct mt_name_table.
 */
const struct mt_addr *mt_name_table_find(
	void *table, const char *name, uint32_t *n, const char **why);

/*
 * Starts due lookups. True if a name used by loads got its first answer or other addresses since
 * the last turn.
 */
bool mt_name_table_turn(struct mt_name_table *t, uint64_t now);

/* Returns a name used by loads that has no answer yet; NULL: none. */
const char *mt_name_table_waits(const struct mt_name_table *t);

/* ---- held names, independent of loads -------------------------------------------------------- */

struct mt_name;

/* Adds a user of a name, which is resolved until the last user releases it. NULL: no memory. */
struct mt_name *mt_name_hold(struct mt_name_table *t, const char *text);
void mt_name_release(struct mt_name *n);

/* Returns the addresses, sorted; *count 0: none. */
const struct mt_addr *mt_name_addrs(const struct mt_name *n, uint32_t *count);
/* Returns why the last lookup failed; "" if it did not. */
const char *mt_name_why(const struct mt_name *n);
/*
 * Count the answers that were the first of a name or changed its addresses. mt_name_answers()
 * returns the count at the last such answer of the name, 0 if there was none.
 */
uint64_t mt_name_table_answers(const struct mt_name_table *t);
uint64_t mt_name_answers(const struct mt_name *n);
