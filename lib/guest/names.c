/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_guest_names.h"

#include <string.h>

uint32_t guest_labels(const char *text, uint8_t out[GUEST_NAME_MAX])
{
	uint32_t n = 0;

	while (*text) {
		size_t len = strcspn(text, ".");

		if (len == 0 || len > 63 || n + 1 + len + 1 > GUEST_NAME_MAX)
			return 0;
		out[n++] = (uint8_t)len;
		memcpy(out + n, text, len);
		n += (uint32_t)len;
		text += len;
		if (*text == '.')
			text++;
	}
	if (n)
		out[n++] = 0;
	return n;
}
