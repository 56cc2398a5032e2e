/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two services of one endpoint with different policies: calls to one of them bypass policies of the
 * other. lib/conf warns of this, and lib/analyse reports it.
 */
#include "mt_authz.h"

static bool has_policy(const struct mt_authz *a, uint64_t serial)
{
	for (; a; a = a->also) {
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->serial == serial)
				return true;
		for (uint32_t i = 0; i < a->n_allow; i++)
			if (a->allow[i]->serial == serial)
				return true;
	}
	return false;
}

static bool denies_all(const struct mt_authz *a)
{
	for (; a; a = a->also) {
		bool admits = a->n_allow == 0;

		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->closes_all && !a->deny[i]->asks)
				return true;
		for (uint32_t i = 0; i < a->n_allow; i++)
			admits |= a->allow[i]->admits;
		if (!admits)
			return true;
	}
	return false;
}

const struct mt_authz_policy *mt_authz_allow(const struct mt_authz *a)
{
	for (; a; a = a->also)
		for (uint32_t i = 0; i < a->n_allow; i++)
			if (a->allow[i]->serial)
				return a->allow[i];
	return NULL;
}

/* The first policy of an object that is not one of the others; NULL: none. */
static const struct mt_authz_policy *missing(const struct mt_authz *a, const struct mt_authz *in)
{
	for (; a; a = a->also) {
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->serial && !has_policy(in, a->deny[i]->serial))
				return a->deny[i];
		for (uint32_t i = 0; i < a->n_allow; i++)
			if (a->allow[i]->serial && !has_policy(in, a->allow[i]->serial))
				return a->allow[i];
	}
	return NULL;
}

const struct mt_authz_policy *mt_authz_bypassed(
	const struct mt_authz *guarded, const struct mt_authz *open, bool one_namespace)
{
	if (!guarded || denies_all(open))
		return NULL;
	if (one_namespace)
		return mt_authz_allow(open) ? NULL : mt_authz_allow(guarded);
	return missing(guarded, open);
}
