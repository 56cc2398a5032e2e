/* SPDX-License-Identifier: Apache-2.0 */
/* What workers need for tokens: a thread that verifies them, and one that fetches the keys. */
#include "daemon.h"

#include "mt_jwks_store.h"

#include <errno.h>

int tokens_start(struct daemon *d, struct mt_err *e)
{
	const struct mt_node_jwks *jwks = d->node->jwks;

	d->tokens = mt_token_pool_new(d->n_workers, e);
	if (!d->tokens)
		return -ENOMEM;
	return mt_jwks_store_start(mt_conf_jwks(d->conf), jwks ? jwks->roots.s : NULL, e);
}

/* Workers have ended. */
void tokens_stop(struct daemon *d)
{
	mt_token_pool_free(d->tokens);
	d->tokens = NULL;
	mt_jwks_store_stop(mt_conf_jwks(d->conf));
}
