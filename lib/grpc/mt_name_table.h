/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that instances have instead of addresses: each is looked up, again when its answer has grown old, and keeps the addresses
 * that it had while it cannot be. Who loads a configuration asks for the names that are in it; one that no load asks for, and nobody
 * holds, is forgotten. Control thread only.
 */
#pragma once

#include "mt_resolve.h"

struct mt_name_table;

struct mt_name_table *mt_name_table_new(void);
/* Who is asked from now on; NULL: nobody, and lookups that are under way end without an answer. */
void mt_name_table_ask(struct mt_name_table *t, struct mt_resolver *r);
void mt_name_table_free(struct mt_name_table *t);

/* Around a load: what is not asked for in between is forgotten, if it was not `refused`. */
void mt_name_table_begin(struct mt_name_table *t);
void mt_name_table_end(struct mt_name_table *t, bool refused);

/*
 * The addresses of a name, sorted, until the next turn. NULL: none; *why then, in words, until the next turn, or NULL while nobody
 * has answered. `table`: a struct mt_name_table.
 */
const struct mt_addr *mt_name_table_find(
	void *table, const char *name, uint32_t *n, const char **why);

/* Asks whoever is due; true: some name of the loads leads elsewhere, or its first answer has come, since the last turn. */
bool mt_name_table_turn(struct mt_name_table *t, uint64_t now);

/* A name of the loads that nobody has answered yet; NULL: none. */
const char *mt_name_table_waits(const struct mt_name_table *t);

/* ---- held, whatever loads ask for ------------------------------------------------------------------- */

struct mt_name;

/* Looked up until it is released, once for all who hold it. NULL: no memory. */
struct mt_name *mt_name_hold(struct mt_name_table *t, const char *text);
void mt_name_release(struct mt_name *n);

/* Sorted; *n 0: none. */
const struct mt_addr *mt_name_addrs(const struct mt_name *n, uint32_t *count);
/* Why the last lookup failed; "": it did not. */
const char *mt_name_why(const struct mt_name *n);
/* So many times some name of the table was answered first, or otherwise than before; of a name: the last of these; 0: never yet. */
uint64_t mt_name_table_answers(const struct mt_name_table *t);
uint64_t mt_name_answers(const struct mt_name *n);
