/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast provider: direct calls of intel-ipsec-mb, which has code for each generation of vector
 * instructions. The library does not compare tags; this file does.
 */
#include "aead_priv.h"
#include "mt_tls_kdf.h"

#include <intel-ipsec-mb.h>
#include <rte_malloc.h>

/*
 * The library's code faults if a key is not aligned to 16 bytes. An expanded key starts with the
 * key itself (FIPS 197 §5.2). The mark follows it, with VAES in the cache line of H, so that
 * finding a key touches no cache line that its use would not.
 */
struct expanded {
	struct gcm_key_data key;
	struct mt_key_mark mark;
	/* Spreads the used lines of all places over the sets of the CPU cache. */
	uint8_t apart[MT_CACHE_LINE];
} mt_cache_aligned;

struct aead_ipsec_mb {
	struct mt_aead a;
	IMB_MGR *mgr;
	struct mt_key_cache cache;
	struct mt_key_set *sets;
	aes_gcm_enc_dec_t run[4];	/* for whole records, by cipher and direction */
	const struct gcm_key_data *now; /* of the record in hand */
	union {
		struct gcm_context_data gcm;
		struct chacha20_poly1305_context_data chacha;
	} context mt_cache_aligned;
	struct expanded keys[]; /* the cache's, then the scratch */
};

_Static_assert(MT_TLS_AES_128_GCM < 2 && MT_TLS_AES_256_GCM < 2, "of run[]");

static struct aead_ipsec_mb *self(struct mt_aead *a)
{
	return mt_container_of(a, struct aead_ipsec_mb, a);
}

/* Finds the expanded key of AES in the cache, or expands it into a place or the scratch. */
static mt_noinline const struct gcm_key_data *key_slow(
	struct aead_ipsec_mb *s, const struct mt_aead_job *j, uint32_t len)
{
	bool load;
	uint32_t i = mt_key_cache_find_slow(&s->cache, j->cipher, j->key, len, j->hint, &load);

	if (!load)
		return &s->keys[i].key;
	/* A shorter key would leave some of a longer one. */
	if (i != s->cache.n)
		OPENSSL_cleanse(&s->keys[i].key, sizeof(s->keys[i].key));
	if (len == 16)
		IMB_AES128_GCM_PRE(s->mgr, j->key, &s->keys[i].key);
	else
		IMB_AES256_GCM_PRE(s->mgr, j->key, &s->keys[i].key);
	return &s->keys[i].key;
}

static inline uint32_t len_of(const struct mt_aead_job *j)
{
	return j->cipher == MT_TLS_AES_128_GCM ? 16 : 32;
}

/* The expanded AES key at the hint; NULL: it is not there. */
static inline const struct gcm_key_data *key_at_hint(
	const struct aead_ipsec_mb *s, const struct mt_aead_job *j)
{
	uint32_t at = *j->hint;
	const struct expanded *e = &s->keys[at];

	if (mt_unlikely(at >= s->cache.n))
		return NULL;
	return mt_likely(mt_key_is_ready(
		       e->key.expanded_keys, &e->mark, j->cipher, j->key, len_of(j)))
		       ? &e->key
		       : NULL;
}

/* The expanded AES key, for records in parts. */
static inline const struct gcm_key_data *key_of(
	struct aead_ipsec_mb *s, const struct mt_aead_job *j)
{
	const struct gcm_key_data *key = key_at_hint(s, j);

	return mt_likely(key != NULL) ? key : key_slow(s, j, len_of(j));
}

static void begin(struct mt_aead *a, const struct mt_aead_job *j)
{
	struct aead_ipsec_mb *s = self(a);

	if (j->cipher == MT_TLS_CHACHA20_POLY1305) {
		IMB_CHACHA20_POLY1305_INIT(s->mgr, j->key, &s->context.chacha, mt_aead_nonce(j),
			mt_aead_aad(j), j->aad_len);
		return;
	}
	s->now = key_of(s, j);
	if (j->cipher == MT_TLS_AES_128_GCM)
		IMB_AES128_GCM_INIT(s->mgr, s->now, &s->context.gcm, mt_aead_nonce(j),
			mt_aead_aad(j), j->aad_len);
	else
		IMB_AES256_GCM_INIT(s->mgr, s->now, &s->context.gcm, mt_aead_nonce(j),
			mt_aead_aad(j), j->aad_len);
}

static void more(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to, const uint8_t *from,
	uint32_t n)
{
	struct aead_ipsec_mb *s = self(a);
	struct gcm_context_data *gcm = &s->context.gcm;

	switch (j->cipher << 1 | j->seal) {
	case MT_TLS_AES_128_GCM << 1 | 1:
		IMB_AES128_GCM_ENC_UPDATE(s->mgr, s->now, gcm, to, from, n);
		break;
	case MT_TLS_AES_128_GCM << 1:
		IMB_AES128_GCM_DEC_UPDATE(s->mgr, s->now, gcm, to, from, n);
		break;
	case MT_TLS_AES_256_GCM << 1 | 1:
		IMB_AES256_GCM_ENC_UPDATE(s->mgr, s->now, gcm, to, from, n);
		break;
	case MT_TLS_AES_256_GCM << 1:
		IMB_AES256_GCM_DEC_UPDATE(s->mgr, s->now, gcm, to, from, n);
		break;
	case MT_TLS_CHACHA20_POLY1305 << 1 | 1:
		IMB_CHACHA20_POLY1305_ENC_UPDATE(s->mgr, j->key, &s->context.chacha, to, from, n);
		break;
	default:
		IMB_CHACHA20_POLY1305_DEC_UPDATE(s->mgr, j->key, &s->context.chacha, to, from, n);
		break;
	}
}

/* Compares all bytes of a tag at once. */
static bool same_tag(const uint8_t *computed, const uint8_t *tag)
{
	uint64_t is[2], want[2];

	memcpy(is, computed, sizeof(is));
	memcpy(want, tag, sizeof(want));
	return ((is[0] ^ want[0]) | (is[1] ^ want[1])) == 0;
}

static bool end(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *tag)
{
	struct aead_ipsec_mb *s = self(a);
	uint8_t computed[MT_AEAD_TAG], *to_tag = j->seal ? tag : computed;
	aes_gcm_enc_dec_finalize_t finish;

	if (j->cipher == MT_TLS_CHACHA20_POLY1305) {
		IMB_CHACHA20_POLY1305_ENC_FINALIZE(s->mgr, &s->context.chacha, to_tag, MT_AEAD_TAG);
		return j->seal || same_tag(computed, tag);
	}
	if (j->cipher == MT_TLS_AES_128_GCM)
		finish = j->seal ? s->mgr->gcm128_enc_finalize : s->mgr->gcm128_dec_finalize;
	else
		finish = j->seal ? s->mgr->gcm256_enc_finalize : s->mgr->gcm256_dec_finalize;
	finish(s->now, &s->context.gcm, to_tag, MT_AEAD_TAG);
	return j->seal || same_tag(computed, tag);
}

/* A job is done when it is submitted; for short ones it costs a third less than direct calls. */
static bool chacha_whole(struct aead_ipsec_mb *s, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, uint8_t *tag)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(s->mgr);

	job->cipher_direction = j->seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
	job->chain_order = j->seal ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	job->enc_keys = job->dec_keys = j->key;
	job->key_len_in_bytes = 32;
	job->u.CHACHA20_POLY1305.aad = mt_aead_aad(j);
	job->u.CHACHA20_POLY1305.aad_len_in_bytes = j->aad_len;
	job->iv = mt_aead_nonce(j);
	job->iv_len_in_bytes = MT_AEAD_NONCE;
	job->src = from;
	job->dst = to;
	job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = n;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = MT_AEAD_TAG;
	job = IMB_SUBMIT_JOB(s->mgr);
	return job && job->status == IMB_STATUS_COMPLETED;
}

/* mt_noinline would make it cold. */
static __attribute__((noinline)) bool chacha(struct aead_ipsec_mb *s, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, uint8_t *tag)
{
	uint8_t computed[MT_AEAD_TAG];

	return chacha_whole(s, j, to, from, n, j->seal ? tag : computed) &&
	       (j->seal || same_tag(computed, tag));
}

static inline bool aes(struct aead_ipsec_mb *s, const struct gcm_key_data *key,
	const struct mt_aead_job *j, uint8_t *to, const uint8_t *from, uint32_t n, uint8_t *tag)
{
	aes_gcm_enc_dec_t run = s->run[j->cipher << 1 | j->seal];
	uint8_t computed[MT_AEAD_TAG];

	run(key, &s->context.gcm, to, from, n, mt_aead_nonce(j), mt_aead_aad(j), j->aad_len,
		j->seal ? tag : computed, MT_AEAD_TAG);
	return j->seal || same_tag(computed, tag);
}

static mt_noinline bool aes_slow(struct aead_ipsec_mb *s, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, uint8_t *tag)
{
	return aes(s, key_slow(s, j, len_of(j)), j, to, from, n, tag);
}

/* Runs for each record. Calls the rare cases last, so that no registers are saved for them. */
static bool whole(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to, const uint8_t *from,
	uint32_t n, uint8_t *tag)
{
	struct aead_ipsec_mb *s = self(a);
	const struct gcm_key_data *key;

	if (mt_unlikely(j->cipher == MT_TLS_CHACHA20_POLY1305))
		return chacha(s, j, to, from, n, tag);
	key = key_at_hint(s, j);
	if (mt_unlikely(!key))
		return aes_slow(s, j, to, from, n, tag);
	return aes(s, key, j, to, from, n, tag);
}

/* Wipes the scratch, too, which may contain the key. */
static void forget(struct mt_aead *a, enum mt_tls_cipher c, const uint8_t *key)
{
	struct aead_ipsec_mb *s = self(a);
	uint32_t i = mt_key_cache_forget(&s->cache, c, key, mt_tls_key_len(c));

	OPENSSL_cleanse(&s->keys[i].key, sizeof(s->keys[i].key));
	OPENSSL_cleanse(&s->keys[s->cache.n].key, sizeof(s->keys[0].key));
	OPENSSL_cleanse(&s->context, sizeof(s->context));
}

static void free_all(struct mt_aead *a)
{
	struct aead_ipsec_mb *s = self(a);

	if (s->mgr)
		free_mb_mgr(s->mgr);
	rte_free(s->sets);
	OPENSSL_cleanse(s->keys, (s->cache.n + 1) * sizeof(s->keys[0]));
	rte_free(s);
}

static const struct mt_aead_ops ops = {
	.name = "ipsec-mb",
	.begin = begin,
	.more = more,
	.end = end,
	.whole = whole,
	.forget = forget,
	.free = free_all,
};

/*
 * True if expanded keys start with the key, for both lengths, and the mark stays unchanged. The
 * cache relies on it.
 */
static bool expands_behind_the_key(struct aead_ipsec_mb *s)
{
	static const uint8_t key[32] = "a key to see where it lies then";
	struct gcm_key_data *scratch = &s->keys[s->cache.n].key;
	struct mt_key_mark *mark = &s->keys[s->cache.n].mark;
	bool is_so;

	*mark = (struct mt_key_mark){.cipher = MT_KEY_CACHE_NONE, .used = true};
	IMB_AES128_GCM_PRE(s->mgr, key, scratch);
	is_so = memcmp(scratch->expanded_keys, key, 16) == 0;
	IMB_AES256_GCM_PRE(s->mgr, key, scratch);
	return is_so && memcmp(scratch->expanded_keys, key, 32) == 0 &&
	       mark->cipher == MT_KEY_CACHE_NONE && mark->used;
}

struct mt_aead *mt_aead_ipsec_mb_new(uint32_t keys, int socket)
{
	const uint64_t needs = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;
	struct aead_ipsec_mb *s = rte_zmalloc_socket(
		"aead", sizeof(*s) + (keys + 1) * sizeof(s->keys[0]), MT_CACHE_LINE, socket);

	if (!s)
		return NULL;
	s->a.ops = &ops;
	s->sets = rte_zmalloc_socket(
		"aead", mt_key_cache_sets(keys) * sizeof(s->sets[0]), MT_CACHE_LINE, socket);
	s->mgr = alloc_mb_mgr(0);
	if (s->sets && s->mgr) {
		const struct mt_key_places places = {
			s->keys[0].key.expanded_keys, &s->keys[0].mark, sizeof(s->keys[0])};

		mt_key_cache_init(&s->cache, places, s->sets, keys);
		init_mb_mgr_auto(s->mgr, NULL);
		s->run[MT_TLS_AES_128_GCM << 1] = s->mgr->gcm128_dec;
		s->run[MT_TLS_AES_128_GCM << 1 | 1] = s->mgr->gcm128_enc;
		s->run[MT_TLS_AES_256_GCM << 1] = s->mgr->gcm256_dec;
		s->run[MT_TLS_AES_256_GCM << 1 | 1] = s->mgr->gcm256_enc;
		if (imb_get_errno(s->mgr) == 0 && (s->mgr->features & needs) == needs &&
			expands_behind_the_key(s))
			return &s->a;
	}
	free_all(&s->a);
	return NULL;
}
