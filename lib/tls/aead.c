/* SPDX-License-Identifier: Apache-2.0 */
/* Selects the provider. */
#include "aead_priv.h"

struct mt_aead *mt_aead_new(enum mt_aead_kind kind, uint32_t keys, int socket)
{
	struct mt_aead *a = NULL;

	MT_ASSERT((keys & (keys - 1)) == 0);
#ifdef MT_HAVE_IPSEC_MB
	if (kind != MT_AEAD_OPENSSL)
		a = mt_aead_ipsec_mb_new(keys, socket);
#endif
	if (!a && kind != MT_AEAD_IPSEC_MB)
		a = mt_aead_openssl_new(keys, socket);
	return a;
}

void mt_aead_free(struct mt_aead *a)
{
	if (a)
		a->ops->free(a);
}
