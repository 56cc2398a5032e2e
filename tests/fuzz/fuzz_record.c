/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading records. The first byte chooses version, cipher, which end we are, and whether another one holds the buffers; the rest is what
 * record_wire() makes of it. All ways to divide
 * the bytes agree, and each call takes one record or nothing.
 */
#include "fuzz.h"
#include "record_wire.h"

#include <string.h>

#define TOLD 512

/* What came of it, call by call. */
struct outcome {
	uint32_t n, text_len;
	uint8_t got[TOLD], alert, due;
	uint64_t sum;
};

static uint8_t wire[WIRE_ROOM];
static struct mt_aead *aead;

static uint64_t sum_of(const struct mt_chain *c)
{
	uint64_t sum = 14695981039346656037ull;

	for (struct rte_mbuf *m = c->head; m; m = mt_link(m)->next)
		for (uint32_t i = 0; i < mt_link(m)->len; i++)
			sum = (sum ^ mt_link_data(m)[i]) * 1099511628211ull;
	return sum;
}

static void take(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	struct mt_chain *to, struct outcome *o)
{
	enum mt_tls_record_got got;

	do {
		uint32_t before = from->len, had = to->len, len = mt_tls_record_len(from);

		got = mt_tls_record_read(w, r, from, to, 5 * MT_SEC);
		MT_ASSERT(got != MT_TLS_RECORD_NO_MEMORY);
		MT_ASSERT((to->len > had) == (got == MT_TLS_RECORD_DATA));
		MT_ASSERT(to->len - had <= MT_TLS_RECORD_PLAIN);
		if (got == MT_TLS_RECORD_MORE)
			MT_ASSERT(from->len == before && (len == 0 || before < len));
		if (got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN)
			MT_ASSERT(before - from->len == len);
		if (got != MT_TLS_RECORD_MORE && o->n < TOLD)
			o->got[o->n++] = (uint8_t)got;
	} while (got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN);
}

static void read_all(const struct mt_tls_keys *k, uint32_t how, uint32_t len, uint32_t piece,
	uint32_t call, struct outcome *o)
{
	struct mt_tls_records w = {.pools = fuzz_pools(), .aead = aead};
	struct mt_chain from = {0}, to = {0};
	struct mt_tls_record r;
	bool held = how & 16;

	memset(o, 0, sizeof(*o));
	mt_tls_record_init(&r, k, how & 8);
	for (uint32_t at = 0, n; at < len && r.rx_over == 0; at += n) {
		struct mt_chain also = {0};

		n = MT_MIN(call, len - at);
		fuzz_append(&from, wire + at, n, piece);
		if (held)
			MT_ASSERT(mt_chain_clone(&from, from.len, &also, w.pools) == 0);
		take(&w, &r, &from, &to, o);
		mt_chain_free(&also);
	}
	o->alert = r.alert;
	o->due = mt_tls_record_due(&r);
	o->text_len = to.len;
	o->sum = sum_of(&to);
	if (o->due & ~MT_TLS_RECORD_DUE_DRAIN) {
		struct mt_chain out = {0};

		MT_ASSERT(
			mt_tls_record_own(&w, &r, &out) == 0 && out.len && !mt_tls_record_due(&r));
		mt_chain_free(&out);
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
	} ways[] = {{61, 997}, {1448, 1448}, {7, 64}};
	struct reader in = {data, size};
	struct outcome first, other;
	struct mt_tls_keys keys;
	struct peer p;
	uint32_t how, len;

	if (size < 2)
		return 0;
	if (!aead) {
		fuzz_pools();
		aead = mt_aead_new(MT_AEAD_BEST, 4, SOCKET_ID_ANY);
		MT_ASSERT(aead);
		atexit(free_aead);
	}
	how = u8(&in);
	peer_make(&p, &tls_suites[how % 8 % N_SUITES], how, &keys);
	len = record_wire(&in, &p, wire);
	read_all(&keys, how, len, 2048, UINT32_MAX, &first);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(ways); i++) {
		read_all(&keys, how, len, ways[i].piece, ways[i].call, &other);
		MT_ASSERT(memcmp(&first, &other, sizeof(first)) == 0);
	}
	fuzz_check_pools();
	return 0;
}
