/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of host names of endpoints. Each name is resolved once for all users, and again when its
 * answer expires. If the query for a family fails, the name keeps its last addresses of that
 * family, and the table reports since when it does not resolve. A name stays while the last load
 * used it (mt_name_table_find()), or while it is held (mt_name_hold()). Control thread only.
 */
#pragma once

#include "mt_name_state.h"
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
 * Fills *out with what is known of a name, and adds the name if it is new. Texts and addresses are
 * valid until the next turn. `table`: a struct mt_name_table.
 */
void mt_name_table_find(void *table, const char *name, struct mt_name_state *out);

/*
 * Starts due lookups. `wall`: Unix time in s. True if a name used by loads got its first answer or
 * other addresses, or has failed for a while or resolves again, since the last turn.
 */
bool mt_name_table_turn(struct mt_name_table *t, uint64_t now, int64_t wall);

/*
 * The next name that has failed for longer than MT_NAME_PATIENCE, or never had an address, or has
 * more addresses than are used. Start with *pos = 0; NULL at the end.
 */
#define MT_NAME_PATIENCE (10 * MT_SEC)
const char *mt_name_table_next(
	const struct mt_name_table *t, uint32_t *pos, struct mt_name_state *out);

/* Returns a name used by loads that has no answer yet; NULL: none. */
const char *mt_name_table_waits(const struct mt_name_table *t);

/* ---- held names, independent of loads -------------------------------------------------------- */

struct mt_name;

/* Adds a user of a name, which is resolved until the last user releases it. NULL: no memory. */
struct mt_name *mt_name_hold(struct mt_name_table *t, const char *text);
void mt_name_release(struct mt_name *n);

/* Fills *out as mt_name_table_find() does. */
void mt_name_read(const struct mt_name *n, struct mt_name_state *out);
/*
 * Count the answers that were the first of a name or changed its addresses. mt_name_answers()
 * returns the count at the last such answer of the name, 0 if there was none.
 */
uint64_t mt_name_table_answers(const struct mt_name_table *t);
uint64_t mt_name_answers(const struct mt_name *n);
