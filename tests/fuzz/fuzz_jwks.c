/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys as an issuer, or who takes his place, may send them; and what each of them says of a signature. */
#include "fuzz.h"

#include "mt_jwt_priv.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const algorithms[] = {
		"RS256", "PS512", "ES256", "ES512", "EdDSA", "none"};
	static const uint8_t sig[256];
	struct mt_err e = {""};
	struct mt_jwks *k;
	char *text = malloc(size + 1);

	MT_ASSERT(text);
	memcpy(text, data, size);
	k = mt_jwks_parse(text, size, &e);
	MT_ASSERT((k == NULL) == (e.text[0] != '\0'));
	MT_ASSERT(!k || k->n <= MT_JWKS_KEYS);
	for (uint32_t i = 0; k && i < k->n && i < 2; i++)
		for (size_t a = 0; a < MT_ARRAY_LEN(algorithms); a++)
			MT_ASSERT(!mt_jwk_verify(&k->keys[i], algorithms[a], "text", 4, sig,
				a == 2	 ? 64
				: a == 3 ? 132
				: a == 4 ? 64
					 : sizeof(sig)));
	mt_jwks_drop(k);
	free(text);
	return 0;
}
