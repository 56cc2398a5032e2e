/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM of short records, beside ipsec-mb and with its `struct gcm_key_data`, for CPUs whose vectors are as wide as four blocks (VAES and AVX-512).
 * A record of 64 bytes takes 128 cycles to seal and 112 to open with the library alone, and 89 and 77 so (bench/micro/bench_record); and of a
 * key that serves one such record 7 of the 48 powers of H that the library computes are read (19 for 256 bytes).
 */
#pragma once

#include "mt_aead.h"

#include <intel-ipsec-mb.h>

#define MT_GCM_WIDE_EXPAND_MAX 2048 /* bytes of a record whose key is expanded for it alone */
#define MT_GCM_WIDE_RECORD_MAX 320  /* bytes of a record that is sealed and opened here */

#ifdef MT_HAVE_GCM_WIDE
/* Whether this CPU can do it. */
bool mt_gcm_wide_is_possible(const IMB_MGR *mgr) mt_must_check;
/*
 * The same, and all of it makes the same of records as the library does: of each length that each of the functions below takes, both
 * lengths that additional data have in TLS. The layout of an expanded key is the library's affair: another version, or its code for another CPU,
 * may have another. Some 10 ms, once for a process; boot, one thread.
 */
bool mt_gcm_wide_works(IMB_MGR *mgr) mt_must_check;
/* What is compared there, anew, on a CPU that can do it. */
bool mt_gcm_wide_agrees(IMB_MGR *mgr) mt_must_check;

/*
 * Expands a key of 16 or 32 bytes for one record of n <= MT_GCM_WIDE_EXPAND_MAX bytes, in one piece, sealed or opened here or by the library.
 * `to` is aligned to 16 bytes; what the record does not need of it stays as it was. In constant time but for n. Nothing is left
 * in registers, here and below, nor in memory but `to`, by GCC with optimisation.
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
/* Nobody calls the others then. */
static inline bool mt_gcm_wide_is_possible(const IMB_MGR *mgr)
{
	return false;
}

static inline bool mt_gcm_wide_works(IMB_MGR *mgr)
{
	return false;
}

static inline void mt_gcm_wide_expand(
	struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n)
{
	MT_ASSERT(false);
}

static inline void mt_gcm_wide_seal(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, uint8_t *tag)
{
	MT_ASSERT(false);
}

static inline bool mt_gcm_wide_open(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, const uint8_t *tag)
{
	MT_ASSERT(false);
	return false;
}
#endif
