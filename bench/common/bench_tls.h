/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small mesh for benches: an authority and three members, made on the spot, and threads that do handshakes. Meltemi, its clients
 * and its servers have a lane and a provider of ciphers of their own each. Boot only; what fails ends the program with the reason.
 */
#pragma once

#include "mt_aead.h"
#include "mt_tls_pool.h"

#define BENCH_TRUST_DOMAIN "cluster.local"

/* What an end has: without a lane it speaks clear text. */
struct bench_tls_end {
	struct mt_tls_lane *lane;
	struct mt_aead *aead;
	struct mt_tls_context *
		context; /* of a host: who it is and wants to see; NULL for Meltemi, which has documents */
};

struct bench_tls {
	struct mt_tls_pool *pool;
	struct mt_credential *meltemi;
	struct bench_tls_end
		*ends; /* Meltemi, client, server of each worker, one after the other */
	uint32_t n_ends;
};

/* As enum mt_tls_cipher. */
extern const char *const bench_cipher_names[];

/* A credential of "spiffe://cluster.local/ns/bench/sa/NAME" and who trusts the same authority. mt_credential_drop(). */
struct mt_credential *bench_credential(const char *name);
/* Behind the last bench_credential(). */
void bench_authority_end(void);

/* `workers` times three ends; hosts offer and take this cipher alone, TLS 1.3. */
void bench_tls_make(struct bench_tls *t, uint32_t workers, enum mt_tls_cipher cipher);
/* All ends are gone. Zero is allowed. */
void bench_tls_free(struct bench_tls *t);
