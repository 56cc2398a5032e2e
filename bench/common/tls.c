/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_tls.h"

#include "bench_node.h"

/*
 * As in the daemon: one thread, and expanded keys for some hundreds of connections. Hosts keep no
 * expanded keys, so they do not occupy Meltemi's caches.
 */
#define THREADS	   1
#define KEYS	   1024
#define KEYS_HOSTS 0

const char *const bench_cipher_names[] = {"aes-128-gcm", "aes-256-gcm", "chacha20-poly1305", NULL};

static struct mt_tls_context *context(
	struct mt_credential *c, enum mt_tls_role role, enum mt_tls_cipher cipher)
{
	static const char *const suites[] = {
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"};
	static const char *const alpn[] = {"istio"}, *const domains[] = {BENCH_TRUST_DOMAIN};
	struct mt_tls_rules r = {.role = role,
		.credential = c,
		.trust_domains = domains,
		.n_trust_domains = 1,
		.alpn = alpn,
		.n_alpn = 1,
		.min_version = 0x0304,
		.suites = suites[cipher]};
	struct mt_tls_context *x;
	struct mt_err e;

	x = mt_tls_context_new(&r, &e);
	if (!x)
		bench_die("a TLS context", &e);
	return x;
}

void bench_tls_make(struct bench_tls *t, uint32_t workers, enum mt_tls_cipher cipher)
{
	struct mt_credential *client = bench_credential("client"),
			     *server = bench_credential("echo");
	struct mt_err e;

	*t = (struct bench_tls){.meltemi = bench_credential("meltemi"), .n_ends = 3 * workers};
	t->pool = mt_tls_pool_new(t->n_ends, THREADS, &e);
	t->ends = calloc(t->n_ends, sizeof(*t->ends));
	if (!t->pool || !t->ends)
		bench_die("threads for handshakes", &e);
	for (uint32_t i = 0; i < t->n_ends; i++) {
		struct bench_tls_end *end = &t->ends[i];

		end->lane = mt_tls_pool_lane(t->pool, i);
		end->aead = mt_aead_new(MT_AEAD_BEST, i % 3 ? KEYS_HOSTS : KEYS, SOCKET_ID_ANY);
		MT_ASSERT(end->lane && end->aead);
		if (i % 3)
			end->context = i % 3 == 1 ? context(client, MT_TLS_CLIENT, cipher)
						  : context(server, MT_TLS_SERVER, cipher);
	}
	mt_credential_drop(client);
	mt_credential_drop(server);
	bench_authority_end();
}

void bench_tls_free(struct bench_tls *t)
{
	mt_tls_pool_free(t->pool);
	for (uint32_t i = 0; i < t->n_ends; i++) {
		mt_aead_free(t->ends[i].aead);
		mt_tls_context_drop(t->ends[i].context);
	}
	mt_tls_contexts_sweep();
	mt_credential_drop(t->meltemi);
	free(t->ends);
	*t = (struct bench_tls){0};
}
