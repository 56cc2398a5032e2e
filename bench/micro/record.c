/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of a TLS record in TSC cycles: sealed and opened as streams do it (header, sequence numbers,
 * buffers, message type), compared with the library's function alone on the same bytes in the same
 * run. One JSON line for each provider, cipher, size and number of connections.
 *
 * 	bench_record [ROUNDS]
 *
 * Reports the minimum of all rounds of 64 records, each of another connection (in turn; with many
 * connections, at random). The library uses flat buffers and the same number of keys, all expanded.
 */
#include "mt_aead.h"
#include "mt_tls_record.h"
#include "mt_tls_kdf.h"

#include <openssl/evp.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <stdio.h>
#include <sys/mman.h>
#ifdef MT_HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#define BATCH  64
#define ROUNDS 300
#define AHEAD  8 /* connections to prefetch ahead, as a worker does in a burst */
#define PIECE  1448
#define MANY   65536

static struct mt_pools pools;
static struct mt_tls_record *senders, *receivers;
static struct mt_chain chains[BATCH];
static uint8_t *flat[BATCH];

static const char *const cipher_names[] = {"AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"};

struct cost {
	uint64_t seal, open;
};

static void lower(uint64_t *best, uint64_t cycles)
{
	*best = MT_MIN(*best, cycles);
}

static uint32_t chance(void)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void make_connections(uint8_t cipher, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mt_tls_keys k = {.version = 0x0304, .cipher = cipher, .hash = MT_TLS_SHA256};

		for (uint32_t b = 0; b < sizeof(k.tx.key); b++)
			k.tx.key[b] = (uint8_t)chance();
		k.rx = k.tx;
		mt_tls_record_init(&senders[i], &k, false);
		mt_tls_record_init(&receivers[i], &k, true);
	}
}

static void make_chains(uint32_t size)
{
	for (uint32_t i = 0; i < BATCH; i++)
		for (uint32_t left = size, n; left > 0; left -= n) {
			struct rte_mbuf *m = mt_buf_data(&pools);

			n = MT_MIN(left, (uint32_t)PIECE);
			MT_ASSERT(m);
			memset((uint8_t *)m->buf_addr + m->data_off, 'x', n);
			mt_chain_append(&chains[i], m, m->data_off, n);
		}
}

static struct cost ours(struct mt_aead *a, uint32_t size, uint32_t n, uint32_t rounds)
{
	struct mt_tls_records w = {.pools = &pools, .aead = a};
	struct cost best = {UINT64_MAX, UINT64_MAX};
	uint32_t who[BATCH];

	make_chains(size);
	for (uint32_t round = 0; round < rounds; round++) {
		uint64_t at[4];

		for (uint32_t i = 0; i < BATCH; i++)
			who[i] = n == MANY ? chance() % n : i % n;
		at[0] = rte_rdtsc_precise();
		for (uint32_t i = 0; i < BATCH; i++) {
			struct mt_chain out = {0};

			mt_tls_record_prefetch(&senders[who[MT_MIN(i + AHEAD, BATCH - 1u)]]);
			MT_ASSERT(mt_tls_record_seal(
					  &w, &senders[who[i]], &chains[i], size, &out) == 0);
			chains[i] = out;
		}
		at[1] = rte_rdtsc_precise();
		at[2] = rte_rdtsc_precise();
		for (uint32_t i = 0; i < BATCH; i++) {
			struct mt_chain out = {0};

			mt_tls_record_prefetch(&receivers[who[MT_MIN(i + AHEAD, BATCH - 1u)]]);
			MT_ASSERT(mt_tls_record_read(&w, &receivers[who[i]], &chains[i], &out, 0) ==
				  MT_TLS_RECORD_DATA);
			chains[i] = out;
		}
		at[3] = rte_rdtsc_precise();
		lower(&best.seal, (at[1] - at[0]) / BATCH);
		lower(&best.open, (at[3] - at[2]) / BATCH);
	}
	for (uint32_t i = 0; i < BATCH; i++)
		mt_chain_free(&chains[i]);
	return best;
}

static uint64_t openssl_batch(EVP_CIPHER_CTX *x, uint32_t size, bool seal, uint8_t tags[][16])
{
	static const uint8_t aad[5];
	static uint8_t nonce[12];
	uint64_t begin = rte_rdtsc_precise();
	int n;

	for (uint32_t i = 0; i < BATCH; i++) {
		nonce[0] = (uint8_t)i;
		EVP_CipherInit_ex(x, NULL, NULL, NULL, nonce, seal);
		EVP_CipherUpdate(x, NULL, &n, aad, sizeof(aad));
		EVP_CipherUpdate(x, flat[i], &n, flat[i], (int)size);
		if (!seal)
			EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, 16, tags[i]);
		MT_ASSERT(EVP_CipherFinal_ex(x, flat[i], &n) == 1);
		if (seal)
			EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, 16, tags[i]);
	}
	return (rte_rdtsc_precise() - begin) / BATCH;
}

static struct cost openssl(uint8_t cipher, uint32_t size, uint32_t rounds)
{
	const EVP_CIPHER *const ciphers[] = {
		EVP_aes_128_gcm(), EVP_aes_256_gcm(), EVP_chacha20_poly1305()};
	struct cost best = {UINT64_MAX, UINT64_MAX};
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	uint8_t key[32] = {1}, tags[BATCH][16];

	MT_ASSERT(x && EVP_CipherInit_ex(x, ciphers[cipher], NULL, key, key, 1) == 1);
	for (uint32_t round = 0; round < rounds; round++) {
		lower(&best.seal, openssl_batch(x, size, true, tags));
		lower(&best.open, openssl_batch(x, size, false, tags));
	}
	EVP_CIPHER_CTX_free(x);
	return best;
}

#ifdef MT_HAVE_IPSEC_MB
static struct {
	struct gcm_key_data key;
} mt_cache_aligned keys[BATCH];

static uint64_t ipsec_mb_batch(IMB_MGR *mgr, uint8_t cipher, uint32_t size, bool seal)
{
	static const uint8_t aad[5], raw[32] = {1}, nonce[12];
	struct chacha20_poly1305_context_data chacha;
	struct gcm_context_data gcm;
	uint64_t begin = rte_rdtsc_precise();
	uint8_t tag[16];
	aes_gcm_enc_dec_t run = cipher == MT_TLS_AES_128_GCM
					? (seal ? mgr->gcm128_enc : mgr->gcm128_dec)
					: (seal ? mgr->gcm256_enc : mgr->gcm256_dec);

	for (uint32_t i = 0; i < BATCH; i++) {
		if (cipher != MT_TLS_CHACHA20_POLY1305) {
			run(&keys[i].key, &gcm, flat[i], flat[i], size, nonce, aad, sizeof(aad),
				tag, 16);
			continue;
		}
		IMB_CHACHA20_POLY1305_INIT(mgr, raw, &chacha, nonce, aad, sizeof(aad));
		if (seal)
			IMB_CHACHA20_POLY1305_ENC_UPDATE(mgr, raw, &chacha, flat[i], flat[i], size);
		else
			IMB_CHACHA20_POLY1305_DEC_UPDATE(mgr, raw, &chacha, flat[i], flat[i], size);
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(mgr, &chacha, tag, 16);
	}
	return (rte_rdtsc_precise() - begin) / BATCH;
}

static struct cost ipsec_mb(uint8_t cipher, uint32_t size, uint32_t rounds)
{
	struct cost best = {UINT64_MAX, UINT64_MAX};
	IMB_MGR *mgr = alloc_mb_mgr(0);
	uint8_t key[32] = {1};

	MT_ASSERT(mgr);
	init_mb_mgr_auto(mgr, NULL);
	for (uint32_t i = 0; i < BATCH; i++)
		if (cipher == MT_TLS_AES_128_GCM)
			IMB_AES128_GCM_PRE(mgr, key, &keys[i].key);
		else
			IMB_AES256_GCM_PRE(mgr, key, &keys[i].key);
	for (uint32_t round = 0; round < rounds; round++) {
		lower(&best.seal, ipsec_mb_batch(mgr, cipher, size, true));
		lower(&best.open, ipsec_mb_batch(mgr, cipher, size, false));
	}
	free_mb_mgr(mgr);
	return best;
}
#else
static struct cost ipsec_mb(uint8_t cipher, uint32_t size, uint32_t rounds)
{
	return (struct cost){0};
}
#endif

/* Workers use the last one, if it is available. */
static const struct provider {
	const char *name;
	enum mt_aead_kind kind;
} providers[] = {{"openssl", MT_AEAD_OPENSSL}, {"ipsec-mb", MT_AEAD_IPSEC_MB}};

static void measure(const struct provider *p, struct mt_aead *a, uint8_t cipher, uint32_t rounds)
{
	static const struct {
		uint32_t size, connections;
	} rows[] = {{64, BATCH}, {64, MANY}, {256, BATCH}, {256, MANY}, {1408, BATCH}, {1408, MANY},
		{16384, BATCH}};

	make_connections(cipher, MANY);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t n = rows[i].size + 1; /* the type byte is protected, too */
		struct cost lib = p->kind == MT_AEAD_OPENSSL ? openssl(cipher, n, rounds)
							     : ipsec_mb(cipher, n, rounds);
		struct cost we = ours(a, rows[i].size, rows[i].connections, rounds);

		printf("{\"bench\": \"record\", \"provider\": \"%s\", \"cipher\": \"%s\", "
		       "\"bytes\": %u, \"connections\": %u, \"seal\": %lu, \"open\": %lu, "
		       "\"library_seal\": %lu, \"library_open\": %lu}\n",
			p->name, cipher_names[cipher], rows[i].size, rows[i].connections, we.seal,
			we.open, lib.seal, lib.open);
	}
}

/* Like a worker's slabs, if the kernel has huge pages. */
static void *in_huge_pages(size_t n)
{
	void *p = aligned_alloc(2u << 20, n);

	MT_ASSERT(p);
	madvise(p, n, MADV_HUGEPAGE);
	return p;
}

int main(int argc, char **argv)
{
	char *eal[] = {"bench", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	uint32_t rounds = argc > 1 ? (uint32_t)atoi(argv[1]) : ROUNDS;

	if (rte_eal_init(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "b", 4095, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		return EXIT_FAILURE;
	senders = in_huge_pages(MANY * sizeof(*senders));
	receivers = in_huge_pages(MANY * sizeof(*receivers));
	for (uint32_t i = 0; i < BATCH; i++)
		MT_ASSERT((flat[i] = calloc(1, MT_TLS_RECORD_PLAIN + 1)) != NULL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(providers); i++) {
		struct mt_aead *a = mt_aead_new(providers[i].kind, 1024, SOCKET_ID_ANY);

		for (uint8_t cipher = 0; a && cipher < MT_ARRAY_LEN(cipher_names); cipher++)
			measure(&providers[i], a, cipher, rounds);
		mt_aead_free(a);
	}
	return 0;
}
