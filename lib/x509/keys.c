/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_keys.h"

#include <openssl/crypto.h>

#define SMALLEST 32 /* bytes that the smallest piece has */

bool mt_keys_lock(void)
{
	if (CRYPTO_secure_malloc_initialized())
		return true;
	return CRYPTO_secure_malloc_init(MT_KEYS_BYTES, SMALLEST) == 1;
}
