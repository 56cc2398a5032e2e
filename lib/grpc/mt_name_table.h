/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that instances have instead of addresses: each is looked up, again when its answer has grown old, and keeps the addresses
 * that it had while it cannot be. Who loads a configuration asks for the names that are in it; one that no load asks for is
 * forgotten. Control thread only.
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

/* Asks whoever is due; true: some name leads elsewhere, or its first answer has come, since the last turn. */
bool mt_name_table_turn(struct mt_name_table *t, uint64_t now);

/* A name that nobody has answered yet; NULL: none. */
const char *mt_name_table_waits(const struct mt_name_table *t);
