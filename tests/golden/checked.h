/* SPDX-License-Identifier: Apache-2.0 */
/* One load of documents as the daemon makes it, with what must hold of each load, whatever the documents contain. */
#pragma once

#include "mt_conf.h"
#include "mt_objects.h"

/*
 * Compiles what is used of the table. As in the daemon, an object with an error costs that object only; the rounds must end.
 * *rounds: how often it was compiled, may be NULL. Returns NULL if the Node is refused.
 */
struct mt_snapshot *checked_compile(struct mt_conf *c, struct mt_object_table *t,
	struct mt_model_names names, struct mt_diags *diags, uint64_t now, uint32_t *rounds);

/* After mt_table_finish(): each of the `n_read` objects has one row, which is used unless its status excludes that. */
void checked_rows(struct mt_object_table *t, uint32_t n_read);
