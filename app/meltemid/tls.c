/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers need for TLS: threads for handshakes, and for each worker a ring to them and a
 * cipher provider.
 */
#include "daemon.h"

#include <errno.h>

#include <rte_memory.h>

#define THREADS 1
/*
 * Expanded keys that a worker keeps, about 1 KiB each, allocated at start; each connection has two.
 * A node that has no mesh identity at its start has few encrypted connections or none.
 */
#define KEYS	 1024
#define KEYS_FEW 16

static bool is_somebody(const struct mt_node *n)
{
	for (uint32_t i = 0; i < n->n_sources; i++)
		if (n->sources[i].xds && n->sources[i].xds->identity.s)
			return true;
	return n->identity || n->n_identities;
}

int tls_start(struct daemon *d, struct mt_err *e)
{
	uint32_t keys = is_somebody(d->node) ? KEYS : KEYS_FEW;

	d->tls = mt_tls_pool_new(d->n_workers, THREADS, e);
	if (!d->tls)
		return -ENOMEM;
	for (uint16_t i = 0; i < d->n_workers; i++) {
		d->aeads[i] = mt_aead_new(MT_AEAD_BEST, keys, SOCKET_ID_ANY);
		if (!d->aeads[i])
			return mt_err(e, -ENOMEM,
				"no memory for the ciphers of worker %u: raise spec.memory.mb", i);
	}
	return 0;
}

/* Runs after the workers have ended. */
void tls_stop(struct daemon *d)
{
	mt_tls_pool_free(d->tls);
	d->tls = NULL;
	for (uint16_t i = 0; i < d->n_workers; i++) {
		mt_aead_free(d->aeads[i]);
		d->aeads[i] = NULL;
	}
	mt_tls_contexts_sweep();
}
