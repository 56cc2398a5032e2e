/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading records: no call takes more steps than the record that is there allows, and one without only a few, however the bytes are divided.
 * The provider is OpenSSL, whose own steps are not counted.
 */
#include "fuzz_steps.h"
#include "record_wire.h"

static const struct steps_bound bound = {1000, 60};

static uint8_t wire[WIRE_ROOM];
static struct mt_aead *aead;

static void read_all(const struct mt_tls_keys *k, bool server, uint32_t len, uint32_t piece,
	uint32_t call, struct steps_worst *worst, uint64_t *all)
{
	struct mt_tls_records w = {.pools = fuzz_pools(), .aead = aead};
	struct mt_chain from = {0}, to = {0};
	enum mt_tls_record_got got;
	struct mt_tls_record r;

	mt_tls_record_init(&r, k, server);
	for (uint32_t at = 0, n; at < len && r.rx_over == 0; at += n) {
		n = MT_MIN(call, len - at);
		fuzz_append(&from, wire + at, n, piece);
		do {
			uint32_t whole = mt_tls_record_len(&from);
			uint32_t bytes = whole <= from.len ? whole : 0;
			uint64_t before = steps_taken;

			got = mt_tls_record_read(&w, &r, &from, &to, 0);
			steps_hold(worst, "read", steps_taken - before,
				bound.a + (uint64_t)bound.b * bytes);
			*all += steps_taken - before;
		} while (got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN);
	}
	mt_chain_free(&from);
	mt_chain_free(&to);
	mt_tls_record_fini(&w, &r);
}

static void free_aead(void)
{
	mt_aead_free(aead);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		uint32_t piece, call;
	} ways[] = {{2048, UINT32_MAX}, {61, 7}, {1, 1448}};
	struct reader in = {data, size};
	struct steps_worst worst = {0};
	struct mt_tls_keys keys;
	uint64_t all = 0;
	struct peer p;
	uint32_t how, len;

	if (size < 2)
		return 0;
	if (!aead) {
		fuzz_pools();
		aead = mt_aead_new(MT_AEAD_OPENSSL, 4, SOCKET_ID_ANY);
		MT_ASSERT(aead);
		atexit(free_aead);
	}
	how = u8(&in);
	peer_make(&p, &tls_suites[how % 8 % N_SUITES], how, &keys);
	len = record_wire(&in, &p, wire);
	len = MT_MIN(len, 20000u);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(ways); i++)
		read_all(&keys, how & 8, len, ways[i].piece, ways[i].call, &worst, &all);
	fuzz_steps_tell(all, len, &worst, data, size);
	fuzz_check_pools();
	return 0;
}
