/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_jwt_priv.h"

#include <errno.h>

/* Value of a base64url character; 64 for any other. */
static uint8_t value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (uint8_t)(c - '0' + 52);
	return c == '-' ? 62 : c == '_' ? 63 : 64;
}

/*
 * The unused bits of the last character must be zero, so that there is one text for each byte
 * string (RFC 4648 §3.5).
 */
ssize_t mt_base64url(const char *in, size_t len, uint8_t *out)
{
	uint32_t bits = 0, n_bits = 0;
	size_t n = 0;

	if (len % 4 == 1)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		uint8_t v = value_of(in[i]);

		if (v == 64)
			return -EINVAL;
		bits = bits << 6 | v;
		n_bits += 6;
		if (n_bits < 8)
			continue;
		n_bits -= 8;
		out[n++] = (uint8_t)(bits >> n_bits);
		bits &= (1u << n_bits) - 1;
	}
	return bits ? -EINVAL : (ssize_t)n;
}
