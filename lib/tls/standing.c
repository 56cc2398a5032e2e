/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates a connected peer against another context, when roots, revocation lists or rules have
 * changed. Uses the marks kept with the connection, because the peer's certificates are gone.
 */
#include "mt_tls_priv.h"

static bool is_revoked(const struct mt_credential *cr, const struct mt_tls_peer *p)
{
	uint32_t n = cr->revoked_leaf_only ? MT_MIN(1, p->n_marks) : p->n_marks;

	for (uint32_t i = 0; i < n; i++)
		if (mt_marks_have(&cr->revoked, p->marks[i].issue))
			return true;
	return false;
}

/* True if the peer's chain leads to one of the roots, or through one. */
static bool is_trusted(const struct mt_credential *cr, const struct mt_tls_peer *p)
{
	for (uint32_t i = 0; i < p->n_marks; i++)
		if (mt_marks_have(&cr->trusted, p->marks[i].key))
			return true;
	return false;
}

enum mt_tls_standing mt_tls_context_standing(
	const struct mt_tls_context *c, const struct mt_tls_peer *p)
{
	const struct mt_credential *cr = c->credential;
	bool as_before = p && p->rules == c->rules_id;

	if (!p || !p->certificate)
		return c->trust == MT_TLS_VERIFIED ? MT_TLS_CONDEMNED
		       : as_before		   ? MT_TLS_STANDS
						   : MT_TLS_OUTDATED;
	if (c->trust == MT_TLS_ANYBODY)
		return MT_TLS_OUTDATED;
	if (is_revoked(cr, p) || (c->n_trust_domains && !mt_tls_has_domain(c, p->principal)))
		return MT_TLS_CONDEMNED;
	return as_before && is_trusted(cr, p) ? MT_TLS_STANDS : MT_TLS_OUTDATED;
}
