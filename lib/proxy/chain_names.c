/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index of a listener's chains by the server names that they match. If thousands of chains differ
 * only in one exact name, the search for a connection's chain visits only those with its name and
 * the chains in mt_chain_names.rest. The control thread builds the index in mt_snapshot_index().
 * The index never changes afterwards.
 */
#include "mt_secret_hash.h"
#include "mt_snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With fewer exact names, a search of all chains is as fast as the index. */
#define LEAST 16

/*
 * Secret: authors of several namespaces choose the names of one listener. Beside the chains of one name, a look goes through 2 slots on average; that it goes
 * through more than 256 has a chance below 10^-12.
 */
static uint32_t hash_of(const uint8_t *p, uint32_t len)
{
	return (uint32_t)mt_secret_hash(p, len, 1);
}

/*
 * True if the chain needs to be visited only for its exact server names. A chain with a destination
 * must always be visited, because even if its server name does not match it excludes less specific
 * chains.
 */
static bool is_by_name(const struct mt_filter_chain *c)
{
	const struct mt_filter_chain_match *m = &c->match;

	for (uint32_t i = 0; i < m->n_server_names; i++)
		if (m->server_names[i][0] == '*')
			return false;
	return m->n_server_names && !m->dst_port && !m->n_dst;
}

static void put(struct mt_chain_names *n, const char *name, uint32_t chain)
{
	uint32_t len = (uint32_t)strlen(name), hash = hash_of((const uint8_t *)name, len);
	uint32_t at = hash & n->mask;

	while (n->slots[at].name)
		at = (at + 1) & n->mask;
	n->slots[at] = (struct mt_chain_name){name, len, hash, chain};
}

static void fill(struct mt_chain_names *n, const struct mt_listener *l, uint32_t n_matching)
{
	for (uint32_t i = 0; i < n_matching; i++) {
		const struct mt_filter_chain *c = &l->chains[i];

		if (!is_by_name(c)) {
			n->rest[n->n_rest++] = i;
			continue;
		}
		for (uint32_t k = 0; k < c->match.n_server_names; k++)
			put(n, c->match.server_names[k], i);
	}
}

int mt_chain_names_build(struct mt_listener *l)
{
	uint32_t n_matching = l->n_chains - l->has_fallback, names = 0, rest = 0, size = 16;
	struct mt_chain_names *n;

	for (uint32_t i = 0; i < n_matching; i++) {
		bool by_name = is_by_name(&l->chains[i]);

		names += by_name ? l->chains[i].match.n_server_names : 0;
		rest += !by_name;
	}
	if (names < LEAST || l->names)
		return 0;
	while (size < 2 * names)
		size *= 2;
	n = calloc(1, sizeof(*n) + sizeof(n->slots[0]) * size + sizeof(uint32_t) * (rest + 1));
	if (!n)
		return -ENOMEM;
	n->mask = size - 1;
	n->rest = (uint32_t *)&n->slots[size];
	fill(n, l, n_matching);
	n->asks = true;
	for (uint32_t i = 0; i < n->n_rest; i++) {
		const struct mt_filter_chain_match *m = &l->chains[n->rest[i]].match;

		n->asks &= !m->dst_port && !m->n_dst;
	}
	l->names = n;
	return 0;
}

bool mt_chain_names_next(
	const struct mt_chain_names *n, struct mt_slice name, uint32_t *at, uint32_t *chain)
{
	uint32_t hash = *at <= n->mask ? hash_of(name.p, name.len) : 0, i;

	/* *at counts the visited slots; above n->mask, also the visited entries of n->rest. */
	for (; *at <= n->mask; ++*at) {
		const struct mt_chain_name *s = &n->slots[(hash + *at) & n->mask];

		if (!s->name) {
			*at = n->mask + 1;
			break;
		}
		if (s->hash == hash && s->len == name.len &&
			memcmp(s->name, name.p, name.len) == 0) {
			*chain = s->chain;
			++*at;
			return true;
		}
	}
	i = *at - n->mask - 1;
	if (i == n->n_rest)
		return false;
	*chain = n->rest[i];
	++*at;
	return true;
}
