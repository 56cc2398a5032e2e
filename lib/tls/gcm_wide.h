/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM of short records, beside ipsec-mb and with its `struct gcm_key_data`, for CPUs that have VAES and AVX-512. Of a record of some
 * hundred bytes the library's code takes more for finding its way by the length than for the cipher, and of a key that serves one
 * record nine tenths of its expansion are never read.
 */
#pragma once

#include "mt_aead.h"

#include <intel-ipsec-mb.h>

#define MT_GCM_WIDE_EXPAND_MAX 2048 /* bytes of a record whose key is expanded for it alone */
#define MT_GCM_WIDE_RECORD_MAX 320  /* bytes of a record that is sealed and opened here */

#ifdef MT_HAVE_GCM_WIDE
/*
 * Whether this CPU can do it, and all of it makes the same of records of all lengths as the library does. The layout of an expanded key is the
 * library's affair: another version, or its code for another CPU, may have another. Some milliseconds, once for a process; boot, one
 * thread.
 */
bool mt_gcm_wide_works(IMB_MGR *mgr) mt_must_check;

/*
 * Expands a key of 16 or 32 bytes for one record of n <= MT_GCM_WIDE_EXPAND_MAX bytes, in one piece, sealed or opened here or by the library.
 * `to` is aligned to 16 bytes; what the record does not need of it stays as it was. In constant time but for n. Nothing is left in
 * memory but `to`; registers are not cleared, here and below, as the library does not clear its own.
 */
void mt_gcm_wide_expand(struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n);

/*
 * One record of AES, of 0 < n <= MT_GCM_WIDE_RECORD_MAX bytes in one piece, by an expanded key: as mt_aead_ops.whole() of `to`, `from` and `tag`.
 * In constant time but for n. Any thread.
 */
void mt_gcm_wide_seal(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, uint8_t *tag);
bool mt_gcm_wide_open(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, const uint8_t *tag);
#else
static inline bool mt_gcm_wide_works(IMB_MGR *mgr)
{
	return false;
}

static inline void mt_gcm_wide_expand(
	struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n)
{
}

static inline void mt_gcm_wide_seal(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, uint8_t *tag)
{
}

static inline bool mt_gcm_wide_open(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, const uint8_t *tag)
{
	return false;
}
#endif
