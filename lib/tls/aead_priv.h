/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "key_cache.h"
#include "mt_aead.h"

struct mt_aead *mt_aead_openssl_new(uint32_t keys, int socket);
#ifdef MT_HAVE_IPSEC_MB
struct mt_aead *mt_aead_ipsec_mb_new(uint32_t keys, int socket);
/* How many records had keys that were expanded for them alone (gcm_wide.h); 0 for another provider. For tests. */
uint64_t mt_aead_ipsec_mb_shorts(const struct mt_aead *a);
#endif
