/* SPDX-License-Identifier: Apache-2.0 */
/* A record allocates nothing: OpenSSL's memory is counted. */
#include "allocate.h"
#include "scene.h"

#include <openssl/crypto.h>
#include <string.h>

static __thread uint64_t allocated; /* other threads do handshakes */

#define WATCHED 1024

static __thread struct {
	void *p;
	size_t n;
} watched[WATCHED];
static __thread uint32_t n_watched;
static __thread bool watching;

static void *watch(void *p, size_t n)
{
	if (!watching || !p)
		return p;
	MT_ASSERT(n_watched < WATCHED);
	watched[n_watched].p = p;
	watched[n_watched++].n = n;
	return p;
}

static void forget(const void *p)
{
	for (uint32_t i = 0; i < n_watched; i++)
		if (watched[i].p == p) {
			watched[i] = watched[--n_watched];
			return;
		}
}

void allocate_watch(bool on)
{
	watching = on;
	n_watched = 0;
}

bool allocate_holds(const uint8_t *bytes, size_t n)
{
	for (uint32_t i = 0; i < n_watched; i++)
		if (memmem(watched[i].p, watched[i].n, bytes, n))
			return true;
	return false;
}

static void *count_malloc(size_t n, const char *file, int line)
{
	allocated++;
	return watch(malloc(n), n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	allocated++;
	forget(p);
	return watch(realloc(p, n), n);
}

static void count_free(void *p, const char *file, int line)
{
	forget(p);
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
