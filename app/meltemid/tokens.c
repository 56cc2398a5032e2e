/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that serve workers: one verifies tokens, one fetches their keys, one queries external
 * authorization services, and one queries rate limit services.
 */
#include "daemon.h"

#include "mt_jwks_store.h"
#include "mt_rls_grants.h"

#include <errno.h>
#include <string.h>

int tokens_start(struct daemon *d, struct mt_err *e)
{
	const struct mt_node_jwks *jwks = d->node->jwks;

	d->tokens = mt_token_pool_new(d->n_workers, e);
	d->asks = d->tokens ? mt_extauthz_new(d->n_workers, e) : NULL;
	d->limits = d->asks ? mt_rls_new(d->n_workers, e) : NULL;
	d->grants = d->limits ? mt_rls_grants_new(lease_of(d->node)) : NULL;
	if (d->limits && !d->grants)
		mt_err(e, -ENOMEM, "quotas of rate limit services: %s", strerror(ENOMEM));
	if (!d->grants)
		return -ENOMEM;
	return mt_jwks_store_start(
		mt_conf_jwks(d->conf), jwks ? jwks->roots.s : NULL, jwks && jwks->local.v, e);
}

/* Runs after the workers have ended. */
void tokens_stop(struct daemon *d)
{
	mt_rls_grants_free(d->grants);
	d->grants = NULL;
	mt_rls_free(d->limits);
	d->limits = NULL;
	mt_extauthz_free(d->asks);
	d->asks = NULL;
	mt_token_pool_free(d->tokens);
	d->tokens = NULL;
	mt_jwks_store_stop(mt_conf_jwks(d->conf));
}
