/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small mesh for benches: a CA and three members, created at run time, and threads that do
 * handshakes. Meltemi, its clients and its servers each have their own handshake queue and cipher
 * provider. Boot only; a failure ends the program with the reason.
 */
#pragma once

#include "mt_aead.h"
#include "mt_tls_pool.h"

#define BENCH_TRUST_DOMAIN "cluster.local"

/* TLS of one end; without a lane it uses plaintext. */
struct bench_tls_end {
	struct mt_tls_lane *lane;
	struct mt_aead *aead;
	struct mt_tls_context *
		context; /* of a host: identity and accepted peers; NULL: Meltemi, from documents */
};

struct bench_tls {
	struct mt_tls_pool *pool;
	struct mt_credential *meltemi;
	struct bench_tls_end
		*ends; /* all ends, for each worker in the order Meltemi, client, server */
	uint32_t n_ends;
};

/* In the order of enum mt_tls_cipher. */
extern const char *const bench_cipher_names[];

/*
 * Returns a credential of "spiffe://cluster.local/ns/bench/sa/NAME" that trusts the same CA.
 * Release it with mt_credential_drop().
 */
struct mt_credential *bench_credential(const char *name);
/* Call it after the last bench_credential(). */
void bench_authority_end(void);

/* Makes three ends for each of `workers`; hosts offer and accept this cipher only, with TLS 1.3. */
void bench_tls_make(struct bench_tls *t, uint32_t workers, enum mt_tls_cipher cipher);
/* All ends must be closed. An all-zero struct is allowed. */
void bench_tls_free(struct bench_tls *t);
