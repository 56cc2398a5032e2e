/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what is here makes the same as the library, of this version and on this CPU. */
#include "gcm_lanes.h"
#include "mt_tls_kdf.h"
#include "record_priv.h"

#include <openssl/crypto.h>
#include <string.h>

/* Of what is authenticated beside the text, in TLS 1.3 and 1.2. */
#define AAD_13 MT_TLS_RECORD_HEADER
#define AAD_12 (8 + MT_TLS_RECORD_HEADER)

/* Records of more bytes read the same powers of H, all that are kept: they are tried in one way each. */
#define ALL_WAYS (GCM_BLOCK * (GCM_POWERS + 1))

#define BEHIND GCM_LANES /* bytes that are nobody's to write */
#define POISON 0xa5

/* What the library makes of a record with its own expansion, and what is made otherwise. */
struct trial {
	IMB_MGR *mgr;
	struct gcm_key_data full mt_cache_aligned, brief mt_cache_aligned;
	struct gcm_context_data context;
	struct mt_aead_job job;
	uint8_t key[32], in[MT_GCM_WIDE_EXPAND_MAX];
	uint8_t want[MT_GCM_WIDE_EXPAND_MAX], out[MT_GCM_WIDE_EXPAND_MAX + BEHIND];
	uint8_t want_tag[MT_AEAD_TAG], tag[MT_AEAD_TAG];
	uint64_t chance;
};

static void fill(struct trial *t, uint8_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		t->chance = t->chance * 6364136223846793005ull + 1442695040888963407ull;
		to[i] = (uint8_t)(t->chance >> 56);
	}
}

static void by_library(
	struct trial *t, const struct gcm_key_data *key, uint32_t n, uint8_t *out, uint8_t *tag)
{
	bool seal = t->job.seal;
	const aes_gcm_enc_dec_t run = t->job.cipher == MT_TLS_AES_128_GCM
					      ? (seal ? t->mgr->gcm128_enc : t->mgr->gcm128_dec)
					      : (seal ? t->mgr->gcm256_enc : t->mgr->gcm256_dec);

	run(key, &t->context, out, t->in, n, mt_aead_nonce(&t->job), mt_aead_aad(&t->job),
		t->job.aad_len, tag, MT_AEAD_TAG);
}

static bool is_wanted(const struct trial *t, uint32_t n)
{
	return !memcmp(t->want, t->out, n) && !memcmp(t->want_tag, t->tag, MT_AEAD_TAG);
}

static bool nothing_behind(const struct trial *t, uint32_t n)
{
	for (uint32_t i = 0; i < BEHIND; i++)
		if (t->out[n + i] != POISON)
			return false;
	return true;
}

/* What was there before must not help. */
static bool same_by_us(struct trial *t, const struct gcm_key_data *key, uint32_t n)
{
	bool right, wrong;

	memset(t->out, POISON, n + BEHIND);
	memset(t->tag, POISON, sizeof(t->tag));
	if (t->job.seal) {
		mt_gcm_wide_seal(key, &t->job, t->out, t->in, n, t->tag);
		return is_wanted(t, n) && nothing_behind(t, n);
	}
	memcpy(t->tag, t->want_tag, MT_AEAD_TAG);
	right = mt_gcm_wide_open(key, &t->job, t->out, t->in, n, t->tag) && is_wanted(t, n);
	t->tag[n % MT_AEAD_TAG] ^= (uint8_t)(1u << n % 8);
	wrong = mt_gcm_wide_open(key, &t->job, t->out, t->in, n, t->tag);
	return right && !wrong && nothing_behind(t, n);
}

static bool same_record(struct trial *t, uint32_t n, uint8_t aad_len, bool seal)
{
	bool same;

	t->job.aad_len = aad_len;
	t->job.seal = seal;
	memset(&t->brief, POISON, sizeof(t->brief));
	mt_gcm_wide_expand(&t->brief, t->key, mt_tls_key_len(t->job.cipher), n);
	by_library(t, &t->full, n, t->want, t->want_tag);
	by_library(t, &t->brief, n, t->out, t->tag);
	same = is_wanted(t, n);
	if (n && n <= MT_GCM_WIDE_RECORD_MAX)
		same = same && same_by_us(t, &t->full, n) && same_by_us(t, &t->brief, n);
	return same;
}

static bool same_records(struct trial *t, uint8_t cipher)
{
	bool same = true;

	fill(t, t->key, sizeof(t->key));
	fill(t, (uint8_t *)t->job.nonce, sizeof(t->job.nonce));
	fill(t, (uint8_t *)t->job.aad, sizeof(t->job.aad));
	fill(t, t->in, sizeof(t->in));
	t->job.cipher = cipher;
	if (cipher == MT_TLS_AES_128_GCM)
		IMB_AES128_GCM_PRE(t->mgr, t->key, &t->full);
	else
		IMB_AES256_GCM_PRE(t->mgr, t->key, &t->full);
	for (uint32_t n = 0; n <= MT_GCM_WIDE_EXPAND_MAX; n++)
		for (uint32_t way = 0; way < 4; way++)
			if (n <= ALL_WAYS || way == n / GCM_BLOCK % 4)
				same &= same_record(t, n, way & 1 ? AAD_13 : AAD_12, way & 2);
	return same;
}

/* Twice, so that each key overwrites one of the other length. */
bool mt_gcm_wide_agrees(IMB_MGR *mgr)
{
	struct trial t = {.mgr = mgr};
	bool same = true;

	for (uint32_t keys = 0; keys < 2; keys++)
		same &= same_records(&t, MT_TLS_AES_128_GCM) &&
			same_records(&t, MT_TLS_AES_256_GCM);
	OPENSSL_cleanse(&t, sizeof(t));
	return same && imb_get_errno(mgr) == 0;
}

bool mt_gcm_wide_is_possible(const IMB_MGR *mgr)
{
	const uint64_t needs = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX2 |
			       IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;

	return mgr->used_arch == IMB_ARCH_AVX512 && (mgr->features & needs) == needs;
}

bool mt_gcm_wide_works(IMB_MGR *mgr)
{
	/* Which code of the library it was: the layout goes with it. */
	static aes_gcm_enc_dec_t judged;
	static bool agrees;

	if (!mt_gcm_wide_is_possible(mgr))
		return false;
	if (judged != mgr->gcm128_enc) {
		judged = mgr->gcm128_enc;
		agrees = mt_gcm_wide_agrees(mgr);
	}
	return agrees;
}
