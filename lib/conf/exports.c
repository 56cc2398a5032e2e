/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces that an object is exported to. An exportTo may have thousands of words, and is looked
 * at for each server and each host, so a long one is put into a map when it is first looked at.
 */
#include "mt_conf_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

/* Comparing so few words is cheaper than a look into the map. */
#define FEW 16

/* Identifies a word of a list, or with NULL, the list. */
static uint64_t id_of(const struct mt_exports *to, const char *word)
{
	uint64_t h = mt_secret_hash(&to->v, sizeof(to->v), word != NULL);

	h = word ? mt_secret_hash_text(word, h) : h;
	return h ? h : 1;
}

static void put(struct mt_build *b, uint64_t id)
{
	if (mt_idmap_put(&b->exports, id, b))
		b->tmp.failed = true;
}

static bool has(const struct mt_build *b, const struct mt_exports *to, const char *word)
{
	return mt_idmap_get(&b->exports, id_of(to, word)) != NULL;
}

bool mt_b_exports(
	struct mt_build *b, const struct mt_exports *to, const char *ns, const char *client_ns)
{
	if (to->n <= FEW)
		return mt_is_exported(to, to, ns, client_ns);
	if (!has(b, to, NULL)) {
		put(b, id_of(to, NULL));
		for (uint32_t i = 0; i < to->n; i++)
			put(b, id_of(to, to->v[i].s));
	}
	return has(b, to, "*") || has(b, to, client_ns) ||
	       (strcmp(ns, client_ns) == 0 && has(b, to, "."));
}
