/* SPDX-License-Identifier: Apache-2.0 */
/* A record allocates nothing: OpenSSL's memory is counted. */
#include "allocate.h"
#include "scene.h"

#include <openssl/crypto.h>

static __thread uint64_t allocated; /* other threads do handshakes */

static void *count_malloc(size_t n, const char *file, int line)
{
	allocated++;
	return malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	allocated++;
	return realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
	free(p);
}

bool allocate_count(void)
{
	return CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) == 1;
}

/* Two connections for a place, one record each. */
static void test_records(void)
{
	static uint8_t text[1400];

	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint32_t i = 0; i < N_SUITES; i++) {
			struct scene s[8];
			uint64_t before = 0;

			scene_begin(&s[0], &tls_suites[i], tls_aead[a], false);
			for (uint32_t k = 1; k < 8; k++) {
				struct mt_tls_keys keys;

				s[k] = s[0];
				peer_make(&s[k].peer, &tls_suites[i], 1000 + k, &keys);
				mt_tls_record_init(&s[k].r, &keys, false);
			}
			for (uint32_t round = 0; round < 20; round++)
				for (uint32_t k = 0; k < 8; k++) {
					struct mt_chain out = {0};
					uint8_t wire[2048];
					uint32_t n;

					n = peer_seal(&s[k].peer, &(struct peer_how){.type = 23},
						text, sizeof(text), wire);
					scene_append(&s[k].rx, wire, n, 900);
					before = allocated;
					CU_ASSERT_EQUAL(mt_tls_record_read(&s[k].w, &s[k].r,
								&s[k].rx, &s[k].text, s[k].now),
						MT_TLS_RECORD_DATA);
					CU_ASSERT_EQUAL(mt_tls_record_seal(&s[k].w, &s[k].r,
								&s[k].text, sizeof(text), &out),
						0);
					CU_ASSERT_EQUAL(allocated, before);
					mt_chain_free(&out);
				}
			CU_ASSERT_TRUE(before > 0);
			for (uint32_t k = 1; k < 8; k++)
				mt_tls_record_fini(&s[k].w, &s[k].r);
			scene_end(&s[0]);
		}
}

const struct mt_test allocate_tests[] = {{"records", test_records}, {0}};
