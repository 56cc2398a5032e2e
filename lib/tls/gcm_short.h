/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key of AES-GCM expanded for one record: what ipsec-mb's code for VAES and AVX-512 reads of `struct gcm_key_data` for it, and no more.
 * The library's own expansion computes 48 powers of the hash key H, one behind another; a record reads one for each of its blocks.
 */
#pragma once

#include "mt_base.h"

#include <intel-ipsec-mb.h>

#define MT_GCM_SHORT_MAX 2048 /* bytes of a record */

#ifdef MT_HAVE_GCM_SHORT
/*
 * Whether this CPU can do it, and the library makes the same of records of all lengths with it as with its own expansion. The
 * layout is the library's affair: another version, or its code for another CPU, may have another. Some milliseconds, once for a
 * process; boot, one thread.
 */
bool mt_gcm_short_works(IMB_MGR *mgr) mt_must_check;

/*
 * For one record of n <= MT_GCM_SHORT_MAX bytes, in one piece; key_len is 16 or 32. `to` is aligned to 16 bytes; what the record
 * does not need of it stays as it was. In constant time but for n. Nothing is left in memory but `to`; registers are
 * not cleared, as the library does not clear its own.
 */
void mt_gcm_short_expand(struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n);
#else
static inline bool mt_gcm_short_works(IMB_MGR *mgr)
{
	return false;
}

static inline void mt_gcm_short_expand(
	struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n)
{
}
#endif
