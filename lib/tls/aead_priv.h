/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "key_cache.h"
#include "mt_aead.h"

struct mt_aead *mt_aead_openssl_new(uint32_t keys, int socket);
#ifdef MT_HAVE_IPSEC_MB
struct mt_aead *mt_aead_ipsec_mb_new(uint32_t keys, int socket);
#endif
