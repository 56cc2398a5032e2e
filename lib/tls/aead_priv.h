/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "key_cache.h"
#include "mt_aead.h"

struct mt_aead *mt_aead_openssl_new(uint32_t keys, int socket);
#ifdef MT_HAVE_IPSEC_MB
struct mt_aead *mt_aead_ipsec_mb_new(uint32_t keys, int socket);
/* For tests, of such a provider: how many records had keys that were expanded for them alone; the longest one that gcm_wide.h takes, or 0; it takes none any more. */
uint64_t mt_aead_ipsec_mb_briefs(struct mt_aead *a);
uint32_t mt_aead_ipsec_mb_wide_max(struct mt_aead *a);
void mt_aead_ipsec_mb_library_only(struct mt_aead *a);
#endif
