/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the identity that the node presents on behalf of a caller. */
#include "mt_lend.h"
#include "mt_upstream.h"

#include <string.h>

static bool is_principal(struct mt_slice want, struct mt_slice is)
{
	bool begins = want.len && want.p[want.len - 1] == '*';
	uint32_t len = want.len - begins;

	return (begins ? is.len >= len : is.len == len) && memcmp(want.p, is.p, len) == 0;
}

bool mt_lend_is_for(const struct mt_lend *l, const struct mt_addr *peer, struct mt_slice principal)
{
	for (uint32_t i = 0; i < l->n_prefixes; i++)
		if (mt_prefix_contains(&l->prefixes[i].addr, l->prefixes[i].bits, peer))
			return true;
	for (uint32_t i = 0; principal.p && i < l->n_principals; i++)
		if (is_principal(l->principals[i], principal))
			return true;
	return false;
}

static bool is_same(struct mt_slice a, struct mt_slice b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

int mt_cluster_shows(const struct mt_cluster *c, const struct mt_addr *peer,
	struct mt_slice principal, bool gateway)
{
	const struct mt_lend *l = c->lend;

	/* If the caller's own identity is not available, no other one replaces it. */
	for (uint32_t i = 0; !gateway && principal.p && i < l->n_held; i++)
		if (is_same(l->held[i], principal))
			return c->as[i] ? (int)i + 1 : -1;
	return !l->nobody && (gateway || mt_lend_is_for(l, peer, principal)) ? 0 : -1;
}

uint32_t mt_cluster_need_lend(const struct mt_cluster *c)
{
	uint32_t n = 0;

	/* `principals` always contains the node's own. */
	if (!c->lend || c->lend->n_prefixes || c->lend->n_principals > 1 || c->lend->n_held)
		return 0;
	for (uint32_t i = 0; i < c->n_eps; i++)
		n += c->eps[i].tls;
	return n;
}
